//! What the log says of what study led to, where a batch of heartbeats and a correction say the same.

use shipei_contracts::learning::v1 as proto;
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId, SessionId, text_of};
use shipei_service_kit::{to_int32, to_timestamp};

use crate::domain::study::{AchievedBy, PhaseProgress};

/// An achieved phase: which, how, and its version; in which session, if in one.
pub(crate) fn phase_achieved(
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    (phase, by, version): (usize, AchievedBy, i64),
    session_id: Option<&SessionId>,
) -> proto::PhaseAchieved {
    proto::PhaseAchieved {
        programme_id: programme_id.to_string(),
        person_id: person_id.to_string(),
        phase_index: i32::try_from(phase).unwrap_or(i32::MAX),
        by: match by {
            AchievedBy::Minutes => proto::AchievedBy::Minutes,
            AchievedBy::MainLine => proto::AchievedBy::MainLine,
        }
        .into(),
        session_id: text_of(session_id).to_owned(),
        version,
        united: false,
    }
}

/// How much of a phase that is not achieved was studied.
pub(crate) fn phase_studied(
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    progress: PhaseProgress,
) -> proto::PhaseStudied {
    proto::PhaseStudied {
        programme_id: programme_id.to_string(),
        person_id: person_id.to_string(),
        phase_index: i32::try_from(progress.phase).unwrap_or(i32::MAX),
        credited_seconds: to_int32(progress.seconds),
        latest_time: progress.latest_at.map(to_timestamp),
        version: progress.version,
        united: false,
    }
}

/// A phase that is not achieved any more.
pub(crate) fn phase_taken_back(
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    phase: usize,
    version: i64,
) -> proto::PhaseTakenBack {
    proto::PhaseTakenBack {
        programme_id: programme_id.to_string(),
        person_id: person_id.to_string(),
        phase_index: i32::try_from(phase).unwrap_or(i32::MAX),
        version,
        united: false,
    }
}

/// A course that is credited in full, with the version; in which session, if in one.
pub(crate) fn course_completed(
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    (course_id, version): (&CourseId, i64),
    session_id: Option<&SessionId>,
) -> proto::CourseCompleted {
    proto::CourseCompleted {
        programme_id: programme_id.to_string(),
        person_id: person_id.to_string(),
        course_id: course_id.to_string(),
        session_id: text_of(session_id).to_owned(),
        version,
    }
}

/// A course that is not credited in full any more.
pub(crate) fn completion_taken_back(
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    course_id: &CourseId,
    version: i64,
) -> proto::CompletionTakenBack {
    proto::CompletionTakenBack {
        programme_id: programme_id.to_string(),
        person_id: person_id.to_string(),
        course_id: course_id.to_string(),
        version,
    }
}
