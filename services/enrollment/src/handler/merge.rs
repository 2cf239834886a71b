//! Two ids of one person, in a role that both have.

use shipei_contracts::{
    common::v1::{ErrorReason, Role as RoleNumber},
    enrollment::v1 as pb,
};
use shipei_rules::vocabulary::Role;
use shipei_service_kit::{Refusal, Result, Unit};

use super::{
    Handler,
    erase::reason_of,
    member::{held_members, meant, roles_of},
    programme_head, region_of,
};
use crate::{
    convert,
    domain::{Merge, decide_common_roles, decide_merge},
    store::{Stamp, person as people, person_merge as merges},
};

pub(super) async fn merge(
    _: Handler,
    mut unit: Unit,
    request: pb::MergePersonsRequest,
) -> Result<(Unit, pb::MergePersonsResponse)> {
    let (id, wanted, asked, reason) = convert::merge(&request)?;
    let (id, Merge { merged_id, kept_id }) = (&id, &wanted);
    let head = programme_head(&mut unit.tx, id).await?;
    // Both are held, in the order of ids, so that of two merges that meet one sees the other.
    for person_id in [kept_id.min(merged_id), kept_id.max(merged_id)] {
        people::lock_person(&mut unit.tx, id, person_id).await?;
    }
    let mut kept = held_members(&mut unit, id, kept_id, Role::ALL).await?;
    let merged = held_members(&mut unit, id, merged_id, Role::ALL).await?;
    let common = decide_common_roles(&roles_of(&kept), &roles_of(&merged))?;
    kept.retain(|member| common.contains(&member.role));
    let member = meant(kept, asked)?;
    let role = member.role;
    let of_kept = merges::merges_of(&mut unit.tx, id, kept_id, role).await?;
    let of_merged = merges::merges_of(&mut unit.tx, id, merged_id, role).await?;
    decide_merge(&wanted, &of_kept, &of_merged)?;
    let number = merges::next_number(&mut unit.tx, id, merged_id).await?;
    let into = i64::try_from(of_kept.len()).unwrap_or(i64::MAX);
    if number > merges::MERGES_MAX || into >= merges::MERGES_MAX {
        let merges_max = merges::MERGES_MAX.to_string();
        return Err(Refusal::new(ErrorReason::LimitReached).with("kept_max", merges_max).into());
    }
    let reason = reason_of(&mut unit.tx, id, &[kept_id, merged_id], reason).await?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    let merged = pb::PersonsMerged {
        programme_id: id.to_string(),
        person_id: kept_id.to_string(),
        merged_id: merged_id.to_string(),
        merge_number: number,
        role: RoleNumber::from(role).into(),
    };
    merges::insert(&mut unit.tx, id, (&wanted, role), number, &reason, (&stamp, &fact_id)).await?;
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), kept_id.as_str(), &merged);
    Ok((unit, pb::MergePersonsResponse { fact_id }))
}
