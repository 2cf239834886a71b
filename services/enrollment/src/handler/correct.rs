//! What was kept wrongly of a person is put right, and people are found by number and name.

use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1 as pb,
    event::v1::{Accessed, AuditKind},
};
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    teaching::{Teaching, TeachingChange},
    vocabulary::Role,
};
use shipei_service_kit::{Error, Refusal, Result, Unit, to_timestamp};
use shipei_store::Tx;

use super::{
    Handler,
    bar::refuse_barred,
    member::{held_members, meant, person_of},
    programme_head, region_of,
};
use crate::{
    convert::{self, Right},
    domain::{Content, ContentChange, Time},
    error::{invalid_field, not_found, person_erased},
    store::{
        Stamp,
        person::{self as people, PersonRow, Sought},
        person_change as changes,
        programme::share_programme,
    },
};

/// The most people that a search shows.
const FOUND_MAX: i64 = 100;
/// How far ahead of the service's clock the moment of a change may be.
const AHEAD_MAX: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

pub(super) async fn correct_person(
    handler: Handler,
    mut unit: Unit,
    request: pb::CorrectPersonRequest,
) -> Result<(Unit, pb::CorrectPersonResponse)> {
    let (id, person_id, right) = convert::right(&request)?;
    let (id, person_id, asked) = (&id, &person_id, convert::asked_role(request.role)?);
    // Name and number are read by who enrolls the person in another role.
    share_programme(&mut unit.tx, id).await?;
    let head = programme_head(&mut unit.tx, id).await?;
    let mut members = held_members(&mut unit, id, person_id, Role::ALL).await?;
    if asked.is_none() && !right.is_of_teaching() {
        // A name and a number are those of all roles.
        members.truncate(1);
    }
    let member = meant(members, asked)?;
    let role = member.role;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    refuse_the_future(&right, scheme.zone.day_of(unit.now), unit.now)?;
    let kept = people::person(&mut unit.tx, id, person_id, role).await?;
    let kept = kept.ok_or_else(|| not_found("person_id"))?;
    if let Some(erased_at) = kept.erased_at {
        return Err(person_erased(erased_at).into());
    }
    let (before, as_enrolled) = content_of(&mut unit.tx, id, person_id, &kept).await?;
    let mut change = handler.change(id, &kept, role, &right)?;
    leave_out_what_is_so(&mut change, &before);
    if change.is_nothing() {
        let person = Some(person_of(&handler, &mut unit, id, person_id, role).await?);
        return Ok((unit, pb::CorrectPersonResponse { person, fact_id: String::new() }));
    }
    if change.name.is_some() || change.identity_number.is_some() {
        let name = change.name.as_ref().unwrap_or(&before.name);
        let (_, digest) = change.identity_number.as_ref().unwrap_or(&before.identity_number);
        let same = (digest.as_slice(), name.as_str());
        if let Some(other) = changes::same_person(&mut unit.tx, id, person_id, same).await? {
            let refusal = Refusal::new(ErrorReason::AlreadyExists).field("id_number");
            let because = "number and name are those of somebody else in this role";
            return Err(refusal.because(because).with("person_id", other.as_str()).into());
        }
    }
    if let Some(number) = right.identity_number.as_ref().filter(|_| change.identity_number.is_some())
        && people::person(&mut unit.tx, id, person_id, Role::ClassTutor).await?.is_some()
    {
        let digest = convert::barred_digest(handler.kit.keys(), number);
        refuse_barred(&handler, &mut unit, id, &digest, "id_number").await?;
    }
    let number = changes::next_number(&mut unit.tx, id, person_id).await?;
    if number >= changes::CHANGES_MAX {
        let changes_max = changes::CHANGES_MAX.to_string();
        return Err(Refusal::new(ErrorReason::LimitReached).with("kept_max", changes_max).into());
    }
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    // Who retracts it meanwhile comes before or after, never between.
    unit.is_retracted(id.as_str(), &fact_id).await?;
    if let Some(as_enrolled) = as_enrolled {
        changes::insert_change(&mut unit.tx, id, person_id, &as_enrolled, "", (&stamp, "")).await?;
    }
    change.teaching.number = number;
    let told = (&stamp, fact_id.as_str());
    changes::insert_change(&mut unit.tx, id, person_id, &change, &right.reason, told).await?;
    refold(&mut unit.tx, id, person_id).await?;
    let event = corrected(id, person_id, &before, &change);
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &event);
    let person = Some(person_of(&handler, &mut unit, id, person_id, role).await?);
    Ok((unit, pb::CorrectPersonResponse { person, fact_id }))
}

/// Nobody is born tomorrow, and what is so from a moment on is so by now.
fn refuse_the_future(right: &Right, today: chrono::NaiveDate, now: Time) -> Result<()> {
    if right.identity_number.as_ref().is_some_and(|number| number.birthdate() > today) {
        let refusal = Refusal::new(ErrorReason::InvalidIdentityNumber).field("id_number");
        return Err(refusal.because("the birth date in the identity number is not yet").into());
    }
    if right.teaching.since.is_some_and(|since| since > now + AHEAD_MAX) {
        return Err(Refusal::new(ErrorReason::InTheFuture).field("since_time").into());
    }
    if right.teaching.since.is_some() && !right.is_of_teaching() {
        return Err(invalid_field("since_time", "a name or a number is not dated").into());
    }
    Ok(())
}

impl Handler {
    /// What is right, as it is kept.
    fn change(&self, id: &ProgrammeId, kept: &PersonRow, role: Role, right: &Right) -> Result<ContentChange> {
        let keys = self.kit.keys();
        let identity_number = match &right.identity_number {
            None => None,
            Some(number) => {
                let vault = convert::vault_of_row(keys, id, kept)?;
                let sealed = convert::sealed_number(&vault, id, &kept.person_id, number)?;
                Some((sealed, convert::identity_digest(keys, id, number).to_vec()))
            }
        };
        Ok(ContentChange {
            role,
            teaching: right.teaching.clone(),
            name: right.name.clone(),
            identity_number,
        })
    }
}

/// Leaves out of a change what was so before it.
fn leave_out_what_is_so(change: &mut ContentChange, before: &Content) {
    let then = taught(before, change.teaching.since);
    let teaching = &mut change.teaching;
    teaching.subject.take_if(|subject| *subject == then.subject);
    teaching.education_stage.take_if(|stage| Some(*stage) == then.education_stage);
    teaching.development_stage.take_if(|stage| Some(*stage) == then.development_stage);
    change.name.take_if(|name| *name == before.name);
    // Sealed twice, a number is two texts.
    change.identity_number.take_if(|(_, digest)| *digest == before.identity_number.1);
}

/// What somebody taught from a moment on, or from the beginning.
fn taught(content: &Content, since: Option<Time>) -> &Teaching {
    since.map_or(content.teaching.first(), |since| content.teaching.at(since))
}

fn corrected(
    id: &ProgrammeId,
    person_id: &PersonId,
    before: &Content,
    change: &ContentChange,
) -> pb::PersonCorrected {
    let said = &change.teaching;
    let new = Teaching {
        subject: said.subject.clone().unwrap_or_default(),
        education_stage: said.education_stage,
        development_stage: said.development_stage,
    };
    pb::PersonCorrected {
        programme_id: id.to_string(),
        person_id: person_id.to_string(),
        change_number: said.number,
        since_time: said.since.map(to_timestamp),
        old: Some(convert::teaching_to(taught(before, said.since), said)),
        new: Some(convert::teaching_to(&new, said)),
        name_changed: change.name.is_some(),
        identity_number_changed: change.identity_number.is_some(),
        role: convert::role_to(change.role).into(),
    }
}

/// As it was enrolled: what is taught, of a role of which nothing was put right yet, and name and number, of a person of whom
/// nothing was.
fn as_enrolled(kept: &PersonRow, is_first: bool) -> Result<ContentChange> {
    let teaching = TeachingChange {
        since: None,
        number: 0,
        subject: Some(kept.subject.clone()),
        education_stage: kept.education_stage()?,
        development_stage: kept.development_stage()?,
    };
    let identity_number = Some((kept.sealed_identity_number.clone(), kept.identity_digest.clone()));
    Ok(ContentChange {
        role: kept.role()?,
        teaching,
        name: is_first.then(|| kept.name.clone()),
        identity_number: identity_number.filter(|_| is_first),
    })
}

/// What stands of a person in a role, and what is to be kept with the first change of it.
async fn content_of(
    tx: &mut Tx,
    id: &ProgrammeId,
    person_id: &PersonId,
    kept: &PersonRow,
) -> Result<(Content, Option<ContentChange>)> {
    let role = kept.role()?;
    let mut standing = changes::changes(tx, id, person_id).await?;
    let mut first = None;
    if !standing.iter().any(|change| change.role == role && change.teaching.number == 0) {
        let as_enrolled = as_enrolled(kept, standing.is_empty())?;
        standing.insert(0, as_enrolled.clone());
        first = Some(as_enrolled);
    }
    let content = Content::of(&standing, role);
    let content =
        content.ok_or_else(|| Error::Internal("a person without what the roster had".to_owned()))?;
    Ok((content, first))
}

/// Brings a person's rows to what stands of them.
pub(super) async fn refold(tx: &mut Tx, id: &ProgrammeId, person_id: &PersonId) -> Result<()> {
    let standing = changes::changes(tx, id, person_id).await?;
    for as_enrolled in standing.iter().filter(|change| change.teaching.number == 0) {
        let Some(content) = Content::of(&standing, as_enrolled.role) else { continue };
        changes::put_teaching(tx, id, person_id, as_enrolled.role, &content).await?;
        changes::put_identity(tx, id, person_id, &content).await?;
    }
    Ok(())
}

pub(super) async fn find_persons(
    handler: Handler,
    mut unit: Unit,
    request: pb::FindPersonsRequest,
) -> Result<(Unit, pb::FindPersonsResponse)> {
    let (id, sought, region_code) = convert::find(&request, handler.kit.keys())?;
    let head = programme_head(&mut unit.tx, &id).await?;
    let asked = (&sought, region_code);
    let limit = FOUND_MAX + 1;
    let mut rows = people::found(&mut unit.tx, &unit.reach, &id, asked, unit.now, limit).await?;
    let shown = usize::try_from(FOUND_MAX).unwrap_or_default();
    let has_more = rows.len() > shown;
    rows.truncate(shown);
    let mut persons = Vec::with_capacity(rows.len());
    for row in rows {
        persons.push(convert::person_to(row, &id, handler.kit.keys())?);
    }
    let by_number = matches!(sought, Sought::Number(_));
    let kind = if by_number { AuditKind::SearchByNumber } else { AuditKind::SearchByName };
    let ids = persons.iter().map(|person| person.person_id.clone()).collect();
    let region = region_code.unwrap_or(head.region_code);
    let accessed = Accessed { kind: kind.into(), ids, ..Accessed::default() };
    unit.audit(id.as_str(), region.as_str(), accessed);
    Ok((unit, pb::FindPersonsResponse { persons, has_more }))
}
