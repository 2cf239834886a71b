//! Two ids of one person.

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{ids::PersonId, vocabulary::Role};
use shipei_service_kit::Refusal;

use crate::error::not_found;

/// That an id counts for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    /// The id that counts for the other one.
    pub(crate) merged_id: PersonId,
    /// The id that is kept.
    pub(crate) kept_id: PersonId,
}

/// An id is merged into another one while it counts for itself and nobody for it, and the other one counts for itself: no chains,
/// so that whoever asks for whom an id counts asks once. The merges are those that stand in which the id takes part.
pub(crate) fn decide_merge(wanted: &Merge, of_kept: &[Merge], of_merged: &[Merge]) -> Result<(), Refusal> {
    let kept_is_merged = of_kept.iter().find(|merge| merge.merged_id == wanted.kept_id);
    let (field, merge) = match (of_merged.first(), kept_is_merged) {
        (Some(merge), _) => ("merged_id", merge),
        (None, Some(merge)) => ("person_id", merge),
        (None, None) => return Ok(()),
    };
    let refusal = Refusal::new(ErrorReason::PersonMerged).field(field);
    Err(refusal.with("merged_id", merge.merged_id.as_str()).with("kept_id", merge.kept_id.as_str()))
}

/// The roles that both ids have, one of which is merged: what a tutor did can't count for a trainee.
pub(crate) fn decide_common_roles(kept: &[Role], merged: &[Role]) -> Result<Vec<Role>, Refusal> {
    for (field, roles) in [("person_id", kept), ("merged_id", merged)] {
        if roles.is_empty() {
            return Err(not_found(field));
        }
    }
    let common: Vec<Role> = kept.iter().copied().filter(|role| merged.contains(role)).collect();
    if !common.is_empty() {
        return Ok(common);
    }
    let words = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let refusal = Refusal::new(ErrorReason::RolesDiffer).field("merged_id");
    Err(refusal.with("roles", words(kept)).with("merged_roles", words(merged)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_that_both_ids_have_are_merged() {
        let (trainee, tutor, expert) = (Role::Trainee, Role::ClassTutor, Role::SubjectExpert);
        assert_eq!(decide_common_roles(&[trainee, tutor], &[tutor, expert]).unwrap(), [tutor]);
        assert_eq!(decide_common_roles(&[trainee, tutor], &[tutor, trainee]).unwrap(), [trainee, tutor]);
        let refused = |kept: &[Role], merged: &[Role]| {
            let refusal = decide_common_roles(kept, merged).unwrap_err();
            (refusal.reason, refusal.field.unwrap_or_default())
        };
        assert_eq!(refused(&[trainee], &[tutor]), (ErrorReason::RolesDiffer, "merged_id".to_owned()));
        assert_eq!(refused(&[], &[tutor]), (ErrorReason::NotFound, "person_id".to_owned()));
        assert_eq!(refused(&[tutor], &[]), (ErrorReason::NotFound, "merged_id".to_owned()));
    }

    fn merge(merged_id: &str, kept_id: &str) -> Merge {
        let id = |text| PersonId::parse(text).unwrap();
        Merge { merged_id: id(merged_id), kept_id: id(kept_id) }
    }

    #[test]
    fn merges_make_no_chains() {
        let wanted = merge("B", "A");
        for (of_kept, of_merged, refused) in [
            (vec![], vec![], None),
            // Others count for the one that is kept already.
            (vec![merge("C", "A")], vec![], None),
            (vec![merge("A", "D")], vec![], Some("person_id")),
            (vec![], vec![merge("B", "D")], Some("merged_id")),
            (vec![merge("B", "A")], vec![merge("B", "A")], Some("merged_id")),
            (vec![], vec![merge("C", "B")], Some("merged_id")),
        ] {
            let refusal = decide_merge(&wanted, &of_kept, &of_merged).err();
            assert_eq!(
                refusal.as_ref().map(|refusal| refusal.reason),
                refused.map(|_| ErrorReason::PersonMerged)
            );
            assert_eq!(
                refusal.and_then(|refusal| refusal.field).as_deref(),
                refused,
                "{of_kept:?} {of_merged:?}"
            );
        }
    }
}
