//! Roles and places as text: in events, in metadata and in claims.

use shipei_contracts::common::v1::Role;

const ROLE_PREFIX: &str = "ROLE_";

/// Who did something, as events say it: `role:subject@place`, without the place `role:subject`.
pub(crate) fn actor(role: Role, subject: &str, place: &str) -> String {
    let role = role_name(role);
    if place.is_empty() { format!("{role}:{subject}") } else { format!("{role}:{subject}@{place}") }
}

/// The role of a name such as `municipal_lead`; None when there is no such one.
pub fn role_of(name: &str) -> Option<Role> {
    let role = Role::from_str_name(&format!("{ROLE_PREFIX}{}", name.to_ascii_uppercase()))?;
    (role != Role::Unspecified).then_some(role)
}

/// The name of a role, such as `municipal_lead`.
pub fn role_name(role: Role) -> String {
    let name = role.as_str_name();
    name.strip_prefix(ROLE_PREFIX).unwrap_or(name).to_ascii_lowercase()
}

/// Whether a text has the form of a region's code (GB/T 2260): six digits.
pub(crate) fn is_region_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}
