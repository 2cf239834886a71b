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

/// The person in a role, as messages have them, or NOT_FOUND.
pub(super) async fn person_of(
    handler: &Handler,
    tx: &mut Tx,
    id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
) -> Result<pb::Person> {
    let row = people::person(tx, id, person_id, role).await?;
    let row = row.ok_or_else(|| not_found("person_id"))?;
    convert::person_to(row, id, handler.kit.keys().vault())
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

/// Those of the roles in which the caller reaches a person, who is held until the unit ends.
pub(super) async fn held_roles(
    unit: &mut Unit,
    id: &ProgrammeId,
    person_id: &PersonId,
    roles: &[Role],
) -> Result<Vec<Role>> {
    people::lock_person(&mut unit.tx, id, person_id).await?;
    let mut held = Vec::new();
    for row in people::in_each_role(&mut unit.tx, &unit.reach, id, person_id, unit.now).await? {
        held.extend(Some(row.role()?).filter(|role| roles.contains(role)));
    }
    Ok(held)
}

/// The person in the one of the roles that is asked for, else in the only one that they have of these; held until the unit ends.
pub(super) async fn held_in_role(
    unit: &mut Unit,
    id: &ProgrammeId,
    person_id: &PersonId,
    (roles, asked): (&[Role], Option<Role>),
) -> Result<Member> {
    let role = decide_role(&held_roles(unit, id, person_id, roles).await?, asked)?;
    member(&mut unit.tx, id, person_id, role, "person_id").await
}
