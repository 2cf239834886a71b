//! Roles by their names, and who did something as events say it.

use shipei_contracts::common::v1::Role;

const ROLE_PREFIX: &str = "ROLE_";

/// Who did something, as events say it: `role:subject@place`, without the place `role:subject`.
pub(super) fn actor(role: Role, subject: &str, place: &str) -> String {
    let role = role_name(role);
    if place.is_empty() { format!("{role}:{subject}") } else { format!("{role}:{subject}@{place}") }
}

/// The role of a name such as `province`; None when there is no such one.
pub fn role_of(name: &str) -> Option<Role> {
    let role = Role::from_str_name(&format!("{ROLE_PREFIX}{}", name.to_ascii_uppercase()))?;
    (role != Role::Unspecified).then_some(role)
}

/// The name of a role, such as `province`.
pub fn role_name(role: Role) -> String {
    let name = role.as_str_name();
    name.strip_prefix(ROLE_PREFIX).unwrap_or(name).to_ascii_lowercase()
}

/// Whether a text has the form of a region's code (GB/T 2260): six digits.
pub(super) fn is_region_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_name_that_is_read_again() {
        for number in 1.. {
            let Ok(role) = Role::try_from(number) else { break };
            assert_eq!(role_of(&role_name(role)), Some(role));
        }
    }
}
