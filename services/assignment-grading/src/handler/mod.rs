//! One file for each gRPC service, and what they share: look-ups that refuse, and places in lists. A handler looks
//! up, lets the domain decide, saves, emits, answers.

mod assignment;
mod bulletin;
mod export;
pub(crate) mod facts;
pub(crate) mod judge;
mod marking;
mod seminar;
mod similarity;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::{Class, Member, Programmes};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId},
    scheme::Scheme,
    vocabulary::Role,
};
use shipei_service_kit::{Error, Kit, Refusal, Result, Unit, Whose, page::Page};
use shipei_store::Tx;
use tonic::{Response, Status};

use crate::{
    error::not_found,
    store::{AfterTime, Recorded},
};

/// What an RPC answers.
type Answer<T> = std::result::Result<Response<T>, Status>;

/// What every handler has at hand.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    kit: Kit,
    programmes: Programmes,
}

impl Handler {
    /// The handler of all gRPC services.
    pub(crate) fn new(kit: Kit) -> Handler {
        Handler { kit, programmes: Programmes::default() }
    }
}

/// Who told this write, and when.
fn recorded(unit: &Unit) -> Recorded {
    Recorded { at: unit.now, actor: unit.actor().to_owned() }
}

/// Whose quota is taken from, of the day of that instant.
fn whose<'call>(
    programme: &'call ProgrammeId,
    person: &'call PersonId,
    scheme: &Scheme,
    at: DateTime<Utc>,
) -> Whose<'call> {
    let day = scheme.zone.day_around(at);
    Whose { programme: programme.as_str(), person: person.as_str(), day_from: day.from, day_until: day.until }
}

/// Somebody of this role; NOT_FOUND for nobody and for who has other roles only.
async fn member(
    tx: &mut Tx,
    programme: &ProgrammeId,
    person: &PersonId,
    role: Role,
    field: &str,
) -> Result<Member> {
    let found = shipei_mirror::member(tx, programme, role, person).await?;
    Ok(found.ok_or_else(|| not_found(field))?)
}

async fn trainee(tx: &mut Tx, programme: &ProgrammeId, person: &PersonId) -> Result<Member> {
    member(tx, programme, person, Role::Trainee, "person_id").await
}

async fn tutor(tx: &mut Tx, programme: &ProgrammeId, person: &PersonId) -> Result<Member> {
    member(tx, programme, person, Role::ClassTutor, "tutor_id").await
}

async fn class(tx: &mut Tx, programme: &ProgrammeId, class: &ClassId) -> Result<Class> {
    let found = shipei_mirror::class(tx, programme, class).await?;
    Ok(found.ok_or_else(|| not_found("class_id"))?)
}

/// The beginning of time, before everything that a list by time holds.
const BEGINNING: DateTime<Utc> = match DateTime::from_timestamp(-62_135_596_800, 0) {
    Some(beginning) => beginning,
    None => DateTime::<Utc>::UNIX_EPOCH,
};

/// Where a page of a list by (time, id) begins.
fn after_time(page: &Page) -> Result<AfterTime<'_>> {
    if page.is_first() {
        return Ok(AfterTime { at: BEGINNING, id: "" });
    }
    let micros = after_number(page, 0)?;
    let at = DateTime::from_timestamp_micros(micros).ok_or_else(invalid_page_token)?;
    Ok(AfterTime { at, id: page.after(1) })
}

/// A part of a page's key that is a number; the least there is on the first page.
fn after_number(page: &Page, part: usize) -> Result<i64> {
    if page.is_first() {
        return Ok(i64::MIN);
    }
    page.after(part).parse().map_err(|_| invalid_page_token())
}

fn invalid_page_token() -> Error {
    Refusal::new(ErrorReason::InvalidPageToken).field("page_token").into()
}
