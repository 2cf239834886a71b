//! From proto to typed values, by field name, and from state to proto. No SQL, no rules.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1 as proto;
use shipei_rules::ids::{CourseId, GrantId, PersonId, ProgrammeId, SessionId};
use shipei_rules::region::RegionCode;
use shipei_rules::study_time::{HeartbeatOutcome, UncreditedReason, WholeSeconds};
use shipei_service_kit::{Error, Fields, Refusal, Result, StatedTimes, to_int32, to_timestamp};

use crate::domain::course::LENGTH_SECONDS_MAX;
use crate::domain::study::{Beat, Session, Worth, place_of};
use crate::pipeline::{BEATS_PER_MESSAGE_MAX, BeatAnswer, Message, Sender, SessionBeats, SessionKeys};
use crate::store::correction::GrantRow;

mod course;
pub(crate) use course::{
    change_to_proto, corrected, course_to_proto, courses, new_course, retired, terms_to_proto,
};

/// The longest title and subject, characters.
const NAME_CHARACTERS_MAX: usize = 500;
/// The longest reason of a correction, and the longest evidence, characters.
const REASON_CHARACTERS_MAX: usize = 2_000;
/// The most time of one grant, seconds: that of the longest course.
const GRANTED_SECONDS_MAX: i64 = LENGTH_SECONDS_MAX;

/// A programme and somebody in it.
pub(crate) fn person(programme_id: &str, person_id: &str) -> Result<(ProgrammeId, PersonId)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", person_id, PersonId::parse);
    fields.all((programme, person))
}

/// A programme and a region (all of it when absent).
pub(crate) fn region(programme_id: &str, region_code: &str) -> Result<(ProgrammeId, Option<RegionCode>)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let region = fields.optional_id("region_code", region_code, RegionCode::parse);
    fields.all((programme, region))
}

/// A programme and a course.
pub(crate) fn course_key(programme_id: &str, course_id: &str) -> Result<(ProgrammeId, CourseId)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let course = fields.id("course_id", course_id, CourseId::parse);
    fields.all((programme, course))
}

/// A programme, somebody in it, and a course.
pub(crate) fn selection(request: &proto::SelectCourseRequest) -> Result<(ProgrammeId, PersonId, CourseId)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let course = fields.id("course_id", &request.course_id, CourseId::parse);
    fields.all((programme, person, course))
}

/// Whose sessions, and of which course (all when absent).
pub(crate) fn sessions(
    request: &proto::ListSessionsRequest,
) -> Result<(ProgrammeId, PersonId, Option<CourseId>)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let course = fields.optional_id("course_id", &request.course_id, CourseId::parse);
    fields.all((programme, person, course))
}

/// The times that the sender states in what came at `now`.
fn times_of(sender: &Sender, now: DateTime<Utc>) -> StatedTimes {
    StatedTimes::of(&sender.admitted, now)
}

/// A beat at the time that is stated for it, else at `now`.
fn beat(seq: i64, occurred_at: Option<&Timestamp>, times: StatedTimes, now: DateTime<Utc>) -> Beat {
    let at = occurred_at.map_or(Ok(now), |stated| {
        times.read(stated).map_err(|error| match error {
            Error::Refused(refusal) => refusal.reason,
            _ => ErrorReason::InvalidField,
        })
    });
    Beat { seq, at }
}

/// One heartbeat as a message. What can't be is named by field, since it is one request.
pub(crate) fn single_beat(
    request: &proto::RecordHeartbeatRequest,
    sender: &Sender,
    now: DateTime<Utc>,
) -> Result<Message> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let course = fields.id("course_id", &request.course_id, CourseId::parse);
    let session = fields.id("session_id", &request.session_id, SessionId::parse);
    let seq = fields.integer("seq", request.seq, 0..=i64::MAX);
    let stated = fields.optional_timestamp("occurred_at", request.occurred_at);
    let (programme, person, course, session, seq, _) =
        fields.all((programme, person, course, session, seq, stated))?;
    let beat = beat(seq, request.occurred_at.as_ref(), times_of(sender, now), now);
    Ok(Message {
        programme,
        sessions: vec![SessionBeats {
            keys: Some(SessionKeys { person, course, session }),
            beats: vec![beat],
        }],
        sender: sender.clone(),
    })
}

/// One message of a stream. Ids that can't be refuse the beats of their session only.
pub(crate) fn stream_message(
    request: &proto::StreamHeartbeatsRequest,
    sender: &Sender,
    now: DateTime<Utc>,
) -> Result<Message> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let beats: usize = request.sessions.iter().map(|session| session.heartbeats.len().max(1)).sum();
    if beats > BEATS_PER_MESSAGE_MAX {
        let refusal = Refusal::new(ErrorReason::TooMany).with("items_max", BEATS_PER_MESSAGE_MAX.to_string());
        return Err(refusal.field("sessions").into());
    }
    let (programme,) = fields.all((programme,))?;
    let times = times_of(sender, now);
    let mut sessions = Vec::with_capacity(request.sessions.len());
    for session in &request.sessions {
        let mut beats = Vec::with_capacity(session.heartbeats.len());
        for heartbeat in &session.heartbeats {
            beats.push(beat(heartbeat.seq, heartbeat.occurred_at.as_ref(), times, now));
        }
        sessions.push(SessionBeats { keys: session_keys(session), beats });
    }
    Ok(Message { programme, sessions, sender: sender.clone() })
}

fn session_keys(session: &proto::SessionHeartbeats) -> Option<SessionKeys> {
    Some(SessionKeys {
        person: PersonId::parse(&session.person_id).ok()?,
        course: CourseId::parse(&session.course_id).ok()?,
        session: SessionId::parse(&session.session_id).ok()?,
    })
}

/// What became of the beats of one session, as proto.
pub(crate) fn session_result(answers: &[BeatAnswer]) -> proto::SessionHeartbeatsResult {
    let mut result = proto::SessionHeartbeatsResult {
        outcomes: Vec::with_capacity(answers.len()),
        credited_seconds: Vec::with_capacity(answers.len()),
        refused: Vec::new(),
    };
    for (index, answer) in answers.iter().enumerate() {
        match answer {
            Ok(worth) => {
                result.outcomes.push(outcome_to_proto(worth.outcome).into());
                result.credited_seconds.push(to_int32(worth.credited_seconds));
            }
            Err(reason) => {
                result.outcomes.push(proto::HeartbeatOutcome::Refused.into());
                result.credited_seconds.push(0);
                let index = i32::try_from(index).unwrap_or(i32::MAX);
                result.refused.push(proto::RefusedHeartbeat { index, reason: (*reason).into() });
            }
        }
    }
    result
}

/// What one beat was worth, as proto.
pub(crate) fn worth_to_proto(worth: &Worth) -> proto::RecordHeartbeatResponse {
    proto::RecordHeartbeatResponse {
        outcome: outcome_to_proto(worth.outcome).into(),
        credited_seconds: to_int32(worth.credited_seconds),
        uncredited: uncredited_to_proto(&worth.uncredited),
    }
}

/// A session as proto, without what voided it. Its seconds add up: what is credited and what is not are the whole seconds of the session.
pub(crate) fn session_to_proto(
    session_id: &SessionId,
    course_id: &CourseId,
    session: &Session,
) -> proto::Session {
    let mut shown = WholeSeconds::default();
    let credited_seconds = shown.next(session.credited_micros);
    let mut uncredited = Vec::new();
    for reason in UncreditedReason::ALL {
        let tally = session.uncredited[place_of(*reason)];
        if tally.beats > 0 {
            uncredited.push(proto::Uncredited {
                reason: reason_to_proto(*reason).into(),
                seconds: to_int32(shown.next(tally.micros)),
                heartbeats: to_int32(tally.beats),
            });
        }
    }
    proto::Session {
        session_id: session_id.to_string(),
        course_id: course_id.to_string(),
        opened_time: Some(to_timestamp(session.opened_at)),
        last_time: Some(to_timestamp(session.study.last_at)),
        last_seq: session.study.last_seq,
        credited_seconds: to_int32(credited_seconds),
        uncredited,
        void_fact_ids: Vec::new(),
    }
}

/// A session that is to be voided: its programme, learner and id, and why.
pub(crate) fn void_session(
    request: &proto::VoidSessionRequest,
) -> Result<(ProgrammeId, PersonId, SessionId, String)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let session = fields.id("session_id", &request.session_id, SessionId::parse);
    let reason = fields.text("reason", &request.reason, REASON_CHARACTERS_MAX);
    fields.all((programme, person, session, reason))
}

/// Time that is to be granted at a moment: the programme, and the grant before the caps.
pub(crate) fn grant_time(
    request: &proto::GrantTimeRequest,
    granted_at: DateTime<Utc>,
) -> Result<(ProgrammeId, PersonId, GrantRow)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let course = fields.id("course_id", &request.course_id, CourseId::parse);
    let grant = fields.id("grant_id", &request.grant_id, GrantId::parse);
    let seconds = fields.integer("seconds", i64::from(request.seconds), 1..=GRANTED_SECONDS_MAX);
    let reason = fields.text("reason", &request.reason, REASON_CHARACTERS_MAX);
    let evidence = fields.text("evidence", &request.evidence, REASON_CHARACTERS_MAX);
    let (programme, person, course, grant, seconds, reason, evidence) =
        fields.all((programme, person, course, grant, seconds, reason, evidence))?;
    let row = GrantRow {
        person_id: person.clone(),
        grant_id: grant,
        course_id: course,
        granted_at,
        seconds,
        micros: 0,
        reason,
        evidence,
        fact_id: String::new(),
    };
    Ok((programme, person, row))
}

/// Time by reason, as proto.
pub(crate) fn uncredited_to_proto(uncredited: &[(UncreditedReason, i64)]) -> Vec<proto::Uncredited> {
    let each = uncredited.iter();
    each.map(|(reason, seconds)| proto::Uncredited {
        reason: reason_to_proto(*reason).into(),
        seconds: to_int32(*seconds),
        heartbeats: 1,
    })
    .collect()
}

fn outcome_to_proto(outcome: HeartbeatOutcome) -> proto::HeartbeatOutcome {
    match outcome {
        HeartbeatOutcome::Opened => proto::HeartbeatOutcome::Opened,
        HeartbeatOutcome::Credited => proto::HeartbeatOutcome::Credited,
        HeartbeatOutcome::Duplicate => proto::HeartbeatOutcome::Duplicate,
    }
}

fn reason_to_proto(reason: UncreditedReason) -> proto::UncreditedReason {
    match reason {
        UncreditedReason::Overlap => proto::UncreditedReason::Overlap,
        UncreditedReason::Gap => proto::UncreditedReason::Gap,
        UncreditedReason::CourseFull => proto::UncreditedReason::CourseFull,
        UncreditedReason::DailyCap => proto::UncreditedReason::DailyCap,
        UncreditedReason::Duplicate => proto::UncreditedReason::Duplicate,
        UncreditedReason::OutsideWindow => proto::UncreditedReason::OutsideWindow,
        UncreditedReason::Voided => proto::UncreditedReason::Voided,
    }
}
