//! What is decided here, and by which state: pure functions from state and command to a decision or a refusal. No SQL, no gRPC,
//! no clock; `at` is when it was decided.
//!
//! Order of refusals: who is nobody, who has withdrawn, the content.

pub(crate) mod evidence;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::Member;
use shipei_rules::{
    explanation::ItemKey,
    ids::{PersonId, ProgrammeId},
    scheme::Scheme,
    trainee::most_points,
    vocabulary::AdjustmentKind,
};
use shipei_service_kit::Refusal;

use crate::error::{Decided, invalid};

/// AdjustItem: what somebody wants to be decided.
#[derive(Debug, Clone)]
pub(crate) struct Adjust {
    pub(crate) programme: ProgrammeId,
    pub(crate) person: PersonId,
    pub(crate) item: ItemKey,
    pub(crate) points: i64,
    pub(crate) kind: AdjustmentKind,
    pub(crate) reason: String,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// What an item of a trainee's score counts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adjustment {
    pub(crate) person_id: PersonId,
    /// Among the trainee's; 0 until it is kept.
    pub(crate) number: i64,
    pub(crate) item: ItemKey,
    pub(crate) points: i64,
    /// The most that the item could bring then.
    pub(crate) max_points: i64,
    pub(crate) kind: AdjustmentKind,
    pub(crate) reason: String,
    pub(crate) decided_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) actor: String,
    pub(crate) fact_id: String,
    /// Whether it was not retracted.
    pub(crate) stands: bool,
}

/// The most points of the item that is to be adjusted.
///
/// # Errors
/// WITHDRAWN, INVALID_FIELD for an item that the scheme gives no trainee and for a time that is over, SCORE_OUT_OF_RANGE.
pub(crate) fn decide_adjustment(
    scheme: &Scheme,
    trainee: &Member,
    command: &Adjust,
    at: DateTime<Utc>,
) -> Decided<i64> {
    if trainee.absences.at(at) {
        return Err(Refusal::new(ErrorReason::Withdrawn).with("person_id", trainee.person_id.as_str()));
    }
    let Some(max_points) = most_points(scheme, command.item) else {
        return Err(invalid("item", "the scheme has no such item for trainees"));
    };
    if !(0..=max_points).contains(&command.points) {
        return Err(Refusal::new(ErrorReason::ScoreOutOfRange)
            .field("points")
            .with("score_min", "0")
            .with("score_max", max_points.to_string()));
    }
    if command.expires_at.is_some_and(|expires_at| expires_at <= at) {
        return Err(invalid("expires_time", "must be behind the time of the decision"));
    }
    Ok(max_points)
}

#[cfg(test)]
mod tests;
