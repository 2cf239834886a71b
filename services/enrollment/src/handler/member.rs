//! Whom an RPC is about: held while it changes them, and shown afterwards.

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::Result;
use shipei_store::Tx;

use super::Handler;
use crate::{
    convert,
    domain::{Member, member_of_role},
    error::not_found,
    store::person as people,
};

/// The person as messages have them, or NOT_FOUND.
pub(super) async fn person_of(
    handler: &Handler,
    tx: &mut Tx,
    id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<pb::Person> {
    let row = people::person(tx, id, person_id).await?;
    let row = row.ok_or_else(|| not_found("person_id"))?;
    convert::person_to(row, id, handler.kit.keys().vault())
}

/// The person of one of the roles, held until the unit ends; `field` is the request field that names them.
pub(super) async fn held_member(
    tx: &mut Tx,
    id: &ProgrammeId,
    person_id: &PersonId,
    roles: &[Role],
    field: &str,
) -> Result<Member> {
    people::lock_person(tx, id, person_id).await?;
    Ok(member_of_role(people::member(tx, id, person_id).await?, roles, field)?)
}
