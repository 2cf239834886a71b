//! When it may be erased who somebody was.

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{scheme::Scheme, vocabulary::Role};
use shipei_service_kit::Refusal;

use super::Time;

/// The years have passed when they have for each role that somebody has or had.
///
/// # Errors
/// RETENTION_NOT_PASSED, with the first day on which they have.
pub(crate) fn decide_retention(roles: &[Role], scheme: &Scheme, now: Time) -> Result<(), Refusal> {
    let due_day = roles.iter().map(|role| scheme.erasable_from(*role)).max();
    match due_day {
        Some(due_day) if due_day > scheme.zone.day_of(now) => {
            let refusal = Refusal::new(ErrorReason::RetentionNotPassed).field("ground");
            // With its zone a day is told as it is, and not as one of this year.
            Err(refusal.with("due_day", format!("{due_day} ({})", scheme.zone)))
        }
        _ => Ok(()),
    }
}

/// The roles for which the years have passed.
pub(crate) fn roles_due(scheme: &Scheme, now: Time) -> Vec<Role> {
    let today = scheme.zone.day_of(now);
    Role::ALL.iter().copied().filter(|role| scheme.erasable_from(*role) <= today).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_due_before_the_day_of_their_last_role() {
        let scheme = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");
        let scheme = Scheme::parse(scheme).unwrap();
        let (trainee, tutor) = (Role::Trainee, Role::ClassTutor);
        for (roles, now, due_day) in [
            (&[tutor][..], "2022-12-30T23:59:59+08:00", Some("2022-12-31")),
            (&[tutor], "2022-12-31T00:00:00+08:00", None),
            (&[tutor, trainee], "2022-12-31T00:00:00+08:00", Some("2024-12-31")),
            (&[trainee, tutor], "2024-12-31T00:00:00+08:00", None),
        ] {
            let now = now.parse().unwrap();
            let refused = decide_retention(roles, &scheme, now).err();
            let stated = refused.as_ref().map(|refusal| refusal.metadata["due_day"].clone());
            let due_day = due_day.map(|day| format!("{day} (Asia/Shanghai)"));
            assert_eq!(stated, due_day, "{roles:?} {now}");
            let due = roles_due(&scheme, now);
            assert_eq!(roles.iter().all(|role| due.contains(role)), refused.is_none(), "{roles:?} {now}");
        }
    }
}
