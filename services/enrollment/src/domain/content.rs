//! Which of somebody's roles is meant, and what is kept of them in it: name and number are those of all their roles.

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    history::History,
    teaching::{Teaching, TeachingChange},
    vocabulary::Role,
};
use shipei_service_kit::Refusal;

use crate::error::not_found;

/// Which of their roles is meant of somebody: the one that is asked for, else the only one.
pub(crate) fn decide_role(roles: &[Role], asked: Option<Role>) -> Result<Role, Refusal> {
    match (roles, asked) {
        (_, Some(asked)) if roles.contains(&asked) => Ok(asked),
        ([], _) | (_, Some(_)) => Err(not_found("person_id")),
        ([role], None) => Ok(*role),
        (_, None) => {
            let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            Err(Refusal::new(ErrorReason::RoleRequired).field("role").with("roles", words.join(", ")))
        }
    }
}

/// What is kept of a person in a role beside their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// The name.
    pub(crate) name: String,
    /// The identity number, sealed, and its keyed digest.
    pub(crate) identity_number: (Vec<u8>, Vec<u8>),
    /// What they teach at each time.
    pub(crate) teaching: History<Teaching>,
}

/// What is put right of a person, or changes; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentChange {
    /// In which role they teach that; name and number are those of all their roles.
    pub(crate) role: Role,
    /// What they teach, with the number of the change.
    pub(crate) teaching: TeachingChange,
    /// The name.
    pub(crate) name: Option<String>,
    /// The identity number, sealed, and its keyed digest.
    pub(crate) identity_number: Option<(Vec<u8>, Vec<u8>)>,
}

impl ContentChange {
    /// Whether it changes nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        let TeachingChange { subject, education_stage, development_stage, .. } = &self.teaching;
        subject.is_none()
            && education_stage.is_none()
            && development_stage.is_none()
            && self.name.is_none()
            && self.identity_number.is_none()
    }
}

impl Content {
    /// What follows for a role from the changes of a person that stand, by number, of which the first is what the roster had. `None`
    /// without that.
    pub(crate) fn of(changes: &[ContentChange], role: Role) -> Option<Self> {
        let name = changes.iter().rev().find_map(|change| change.name.clone())?;
        let identity_number = changes.iter().rev().find_map(|change| change.identity_number.clone())?;
        let of_role = changes.iter().filter(|change| change.role == role);
        let changes = of_role.map(|change| change.teaching.clone()).collect();
        Some(Self { name, identity_number, teaching: Teaching::history(Teaching::default(), changes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_is_asked_for_only_of_who_has_several() {
        let both = [Role::Trainee, Role::ClassTutor];
        for (roles, asked, expected) in [
            (&both[..1], None, Ok(Role::Trainee)),
            (&both[..1], Some(Role::Trainee), Ok(Role::Trainee)),
            (&both[..1], Some(Role::ClassTutor), Err(ErrorReason::NotFound)),
            (&both[..], Some(Role::ClassTutor), Ok(Role::ClassTutor)),
            (&both[..], None, Err(ErrorReason::RoleRequired)),
            (&[], None, Err(ErrorReason::NotFound)),
        ] {
            let decided = decide_role(roles, asked).map_err(|refusal| refusal.reason);
            assert_eq!(decided, expected, "{roles:?} {asked:?}");
        }
    }
}
