//! Who leaves, who comes back, and who should never have been enrolled.

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::vocabulary::Role;
use shipei_service_kit::{Result, Unit};

use super::{
    Handler,
    erase::reason_of,
    member::{held_member, held_members, meant, person_of},
    programme_head, region_of,
};
use crate::{
    convert,
    domain::{decide_return, still_enrolled},
    store::{
        Stamp,
        person_fact::{self, PersonFact},
    },
};

pub(super) async fn withdraw(
    handler: Handler,
    mut unit: Unit,
    request: pb::WithdrawTraineeRequest,
) -> Result<(Unit, pb::WithdrawTraineeResponse)> {
    let (id, person_id, reason) = convert::withdrawal(&request)?;
    let (id, person_id) = (&id, &person_id);
    let head = programme_head(&mut unit.tx, id).await?;
    let member = held_member(&mut unit.tx, id, person_id, Role::Trainee, "person_id").await?;
    still_enrolled(&member, unit.occurred_at, "person_id")?;
    let reason = reason_of(&mut unit.tx, id, &[person_id], reason).await?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    person_fact::note(&mut unit.tx, id, &member, PersonFact::Withdrawal, &reason, (&stamp, &fact_id)).await?;
    let withdrawn = pb::TraineeWithdrawn { programme_id: id.to_string(), person_id: person_id.to_string() };
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &withdrawn);
    let person = Some(person_of(&handler, &mut unit, id, person_id, member.role).await?);
    Ok((unit, pb::WithdrawTraineeResponse { person }))
}

pub(super) async fn come_back(
    handler: Handler,
    mut unit: Unit,
    request: pb::ReturnTraineeRequest,
) -> Result<(Unit, pb::ReturnTraineeResponse)> {
    let (id, person_id, reason) =
        convert::person_and_reason(&request.programme_id, &request.person_id, &request.reason)?;
    let (id, person_id) = (&id, &person_id);
    let head = programme_head(&mut unit.tx, id).await?;
    let member = held_member(&mut unit.tx, id, person_id, Role::Trainee, "person_id").await?;
    decide_return(&member, unit.occurred_at)?;
    let reason = reason_of(&mut unit.tx, id, &[person_id], reason).await?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    person_fact::note(&mut unit.tx, id, &member, PersonFact::Return, &reason, (&stamp, &fact_id)).await?;
    let returned = pb::TraineeReturned { programme_id: id.to_string(), person_id: person_id.to_string() };
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &returned);
    let person = Some(person_of(&handler, &mut unit, id, person_id, member.role).await?);
    Ok((unit, pb::ReturnTraineeResponse { person, fact_id }))
}

/// Everybody but trainees, who withdraw.
const STAFF: [Role; 5] = [
    Role::ClassTutor,
    Role::CountyCounselor,
    Role::SubjectExpert,
    Role::MunicipalLead,
    Role::TrainingInstitution,
];

pub(super) async fn depart(
    handler: Handler,
    mut unit: Unit,
    request: pb::RecordDepartureRequest,
) -> Result<(Unit, pb::RecordDepartureResponse)> {
    let (id, person_id, reason) =
        convert::person_and_reason(&request.programme_id, &request.person_id, &request.reason)?;
    let (id, person_id, asked) = (&id, &person_id, convert::asked_role(request.role)?);
    let head = programme_head(&mut unit.tx, id).await?;
    let member = meant(held_members(&mut unit, id, person_id, &STAFF).await?, asked)?;
    still_enrolled(&member, unit.occurred_at, "person_id")?;
    let reason = reason_of(&mut unit.tx, id, &[person_id], reason).await?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    person_fact::note(&mut unit.tx, id, &member, PersonFact::Withdrawal, &reason, (&stamp, &fact_id)).await?;
    let departed = pb::PersonDeparted {
        programme_id: id.to_string(),
        person_id: person_id.to_string(),
        role: convert::role_to(member.role).into(),
    };
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &departed);
    let person = Some(person_of(&handler, &mut unit, id, person_id, member.role).await?);
    Ok((unit, pb::RecordDepartureResponse { person, fact_id }))
}

pub(super) async fn remove(
    _: Handler,
    mut unit: Unit,
    request: pb::RemovePersonRequest,
) -> Result<(Unit, pb::RemovePersonResponse)> {
    let (id, person_id, reason) =
        convert::person_and_reason(&request.programme_id, &request.person_id, &request.reason)?;
    let (id, person_id, asked) = (&id, &person_id, convert::asked_role(request.role)?);
    let head = programme_head(&mut unit.tx, id).await?;
    let member = meant(held_members(&mut unit, id, person_id, Role::ALL).await?, asked)?;
    let reason = reason_of(&mut unit.tx, id, &[person_id], reason).await?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    person_fact::note(&mut unit.tx, id, &member, PersonFact::Removal, &reason, (&stamp, &fact_id)).await?;
    let removed = pb::PersonRemoved {
        programme_id: id.to_string(),
        person_id: person_id.to_string(),
        role: convert::role_to(member.role).into(),
    };
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &removed);
    Ok((unit, pb::RemovePersonResponse { fact_id }))
}
