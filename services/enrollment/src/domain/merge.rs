//! Two ids of one person.

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{ids::PersonId, vocabulary::Role};
use shipei_service_kit::Refusal;

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

/// Both are of one role: what a tutor did can't count for a trainee.
pub(crate) fn decide_roles(kept: Role, merged: Role) -> Result<(), Refusal> {
    if kept == merged {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorReason::RolesDiffer).field("merged_id");
    Err(refusal.with("role", kept.as_str()).with("merged_role", merged.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_one_role_are_merged() {
        decide_roles(Role::ClassTutor, Role::ClassTutor).unwrap();
        let refusal = decide_roles(Role::Trainee, Role::ClassTutor).unwrap_err();
        assert_eq!((refusal.reason, refusal.field.as_deref()), (ErrorReason::RolesDiffer, Some("merged_id")));
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
