//! Whom an RPC is about, and in which of their roles: held while it changes them, and shown afterwards.

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::{Result, Unit};
use shipei_store::Tx;

use super::Handler;
use crate::{
    convert,
    domain::{Member, decide_role},
    error::not_found,
    store::person as people,
};

/// The person in a role, as the answer shows them, or NOT_FOUND.
pub(super) async fn person_of(
    handler: &Handler,
    unit: &mut Unit,
    id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
) -> Result<pb::Person> {
    unit.shows(id.as_str(), person_id.as_str());
    let row = people::person(&mut unit.tx, id, person_id, role).await?;
    let row = row.ok_or_else(|| not_found("person_id"))?;
    convert::person_to(row, id, handler.kit.keys())
}

/// The person in a role; `field` is the request field that names them.
pub(super) async fn member(
    tx: &mut Tx,
    id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
    field: &str,
) -> Result<Member> {
    Ok(people::member(tx, id, person_id, role).await?.ok_or_else(|| not_found(field))?)
}

/// The person in a role, held until the unit ends; `field` is the request field that names them.
pub(super) async fn held_member(
    tx: &mut Tx,
    id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
    field: &str,
) -> Result<Member> {
    people::lock_person(tx, id, person_id).await?;
    member(tx, id, person_id, role, field).await
}

/// The person in those of the roles in which the caller reaches them, a trainee first; held until the unit ends.
pub(super) async fn held_members(
    unit: &mut Unit,
    id: &ProgrammeId,
    person_id: &PersonId,
    roles: &[Role],
) -> Result<Vec<Member>> {
    people::lock_person(&mut unit.tx, id, person_id).await?;
    let mut held = Vec::new();
    for row in people::in_each_role(&mut unit.tx, &unit.reach, id, person_id, unit.now).await? {
        if roles.contains(&row.role()?) {
            held.push(people::member_of(&mut unit.tx, id, &row).await?);
        }
    }
    Ok(held)
}

/// Which roles they are.
pub(super) fn roles_of(members: &[Member]) -> Vec<Role> {
    members.iter().map(|member| member.role).collect()
}

/// The one in the role that is asked for, else the only one.
pub(super) fn meant(members: Vec<Member>, asked: Option<Role>) -> Result<Member> {
    let role = decide_role(&roles_of(&members), asked)?;
    let meant = members.into_iter().find(|member| member.role == role);
    Ok(meant.ok_or_else(|| not_found("person_id"))?)
}
