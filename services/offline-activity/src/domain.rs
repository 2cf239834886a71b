//! What is decided here, and by which state: pure functions from state and command to facts or a refusal. No SQL, no
//! gRPC, no clock; `at` is when the thing happened. State is dated: what happened after `at` is not seen by a decision
//! about `at`, so that an old operation sent again is answered as it was. To add an RPC: its command, its
//! `decide_..`, its table of cases in the tests below.
//!
//! Order of refusals: who is nobody, who has no say, who has withdrawn, the window, the state, the content.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::Member;
use shipei_rules::{
    calendar::Period,
    ids::{ActivityId, PersonId},
    region::RegionCode,
    scheme::Scheme,
    vocabulary::{EducationStage, Role},
};
use shipei_service_kit::Refusal;

use crate::error::{Decided, inside, not_found};

/// The most scores that one attendance can have, whether they stand or not: each is kept.
pub(crate) const SCORES_PER_ATTENDANCE_MAX: i64 = 1_000;

/// A county's plan for one education stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) county_code: RegionCode,
    pub(crate) stage: EducationStage,
    /// The latest.
    pub(crate) title: String,
    /// Who submitted it first.
    pub(crate) counselor_id: PersonId,
    /// When it was submitted first.
    pub(crate) submitted_at: DateTime<Utc>,
    /// The fact of that.
    pub(crate) fact_id: String,
    /// The fact that gives the title.
    pub(crate) title_fact_id: String,
}

/// Whether a counselor may submit the county's plan (Annex 4).
///
/// # Errors
/// NOT_COUNTY_COUNSELOR, WINDOW_NOT_OPEN, WINDOW_CLOSED.
pub(crate) fn decide_plan(
    scheme: &Scheme,
    counselor: &Member,
    county: RegionCode,
    at: DateTime<Utc>,
) -> Decided<()> {
    refuse_other_county(counselor, county, at)?;
    inside(scheme.plan_period(), at, "plan")
}

/// An activity that a county held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) activity_id: ActivityId,
    pub(crate) county_code: RegionCode,
    pub(crate) stage: EducationStage,
    pub(crate) theme: String,
    pub(crate) counselor_id: PersonId,
    pub(crate) held_at: DateTime<Utc>,
    pub(crate) fact_id: String,
    /// Whether it was not retracted.
    pub(crate) stands: bool,
}

/// Whether a counselor may record an activity or results of the county (Annex 4).
///
/// # Errors
/// NOT_COUNTY_COUNSELOR, WINDOW_NOT_OPEN, WINDOW_CLOSED.
pub(crate) fn decide_county_fact(
    scheme: &Scheme,
    counselor: &Member,
    county: RegionCode,
    at: DateTime<Utc>,
) -> Decided<()> {
    refuse_other_county(counselor, county, at)?;
    inside(scheme.counselor.offline.period, at, "offline")
}

/// Whether an activity of that id is the very same one, sent again. `stated_at` is the time that the caller stated.
pub(crate) fn is_same_activity(there: &Activity, new: &Activity, stated_at: Option<DateTime<Utc>>) -> bool {
    there.county_code == new.county_code
        && there.stage == new.stage
        && there.theme == new.theme
        && there.counselor_id == new.counselor_id
        && stated_at.is_none_or(|at| at == there.held_at)
}

/// Whether a counselor may record who attended, and which of these people can't be recorded. `members` are those of the people
/// whom the programme knows; their county is the one of `at`. `period_of` is the window that each of them has, or that
/// of the county.
///
/// # Errors
/// For all of them: NOT_FOUND (the activity was not held by then, or retracted), NOT_COUNTY_COUNSELOR. For each: NOT_FOUND (no
/// trainee), WITHDRAWN, WINDOW_NOT_OPEN, WINDOW_CLOSED, NOT_COUNTY_TRAINEE.
pub(crate) fn decide_attendance(
    period_of: impl Fn(Option<&Member>) -> Period,
    counselor: &Member,
    activity: &Activity,
    (person_ids, members): (&[PersonId], &BTreeMap<PersonId, Member>),
    at: DateTime<Utc>,
) -> Decided<Vec<RefusedAttendee>> {
    if at < activity.held_at || !activity.stands {
        return Err(not_found("activity_id"));
    }
    refuse_other_county(counselor, activity.county_code, at)?;
    if person_ids.is_empty() {
        inside(period_of(None), at, "offline")?;
    }
    let mut refused = Vec::new();
    for (place, person_id) in person_ids.iter().enumerate() {
        let refusal = match members.get(person_id).filter(|member| member.role == Role::Trainee) {
            None => {
                let nobody = not_found("person_ids").with("person_id", person_id.as_str());
                Some((Ground::NotFound, nobody))
            }
            Some(trainee) => against(&period_of, trainee, activity, at),
        };
        if let Some((ground, refusal)) = refusal {
            refused.push(RefusedAttendee { row: place + 1, person_id: person_id.clone(), ground, refusal });
        }
    }
    Ok(refused)
}

/// What stands against a trainee's attendance, in the order in which it is said of a call as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    NotFound,
    Withdrawn,
    Window,
    NotCountyTrainee,
}

/// Somebody who can't be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedAttendee {
    /// From 1.
    pub(crate) row: usize,
    pub(crate) person_id: PersonId,
    pub(crate) ground: Ground,
    pub(crate) refusal: Refusal,
}

/// For whom a call that asks for all or none is refused.
pub(crate) fn refused_first(refused: Vec<RefusedAttendee>) -> Option<Refusal> {
    refused.into_iter().min_by_key(|refused| (refused.ground, refused.row)).map(|refused| refused.refusal)
}

fn against(
    period_of: &impl Fn(Option<&Member>) -> Period,
    trainee: &Member,
    activity: &Activity,
    at: DateTime<Utc>,
) -> Option<(Ground, Refusal)> {
    if let Err(refusal) = refuse_withdrawn(trainee, at) {
        return Some((Ground::Withdrawn, refusal));
    }
    if let Err(refusal) = inside(period_of(Some(trainee)), at, "offline") {
        return Some((Ground::Window, refusal));
    }
    let is_of_county = trainee.places.at(at).county_code == Some(activity.county_code);
    if is_of_county && trainee.teaching.at(at).education_stage == Some(activity.stage) {
        return None;
    }
    let refusal = Refusal::new(ErrorReason::NotCountyTrainee)
        .field("person_ids")
        .with("person_id", trainee.person_id.as_str())
        .with("county_code", activity.county_code.as_str())
        .with("education_stage", activity.stage.as_str());
    Some((Ground::NotCountyTrainee, refusal))
}

/// One trainee at one activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attendance {
    pub(crate) person_id: PersonId,
    /// When they were there first, by the records that stand; none when all were retracted.
    pub(crate) attended_at: Option<DateTime<Utc>>,
    /// The fact that says so; empty when none does.
    pub(crate) fact_id: String,
    /// The score that counts, and when it was given.
    pub(crate) score: Option<(i64, DateTime<Utc>)>,
    /// Its fact; empty when there is none.
    pub(crate) score_fact_id: String,
    /// How many scores were given, whether they stand or not.
    pub(crate) score_count: i64,
}

/// Whether a counselor may give an attendee this score (Annex 2, offline activity; Annex 4). Where the trainee stands
/// does not matter: attendance stays where it was earned.
///
/// # Errors
/// NOT_FOUND (the activity was not held by then, or retracted), NOT_COUNTY_COUNSELOR, WITHDRAWN, WINDOW_NOT_OPEN, WINDOW_CLOSED,
/// SCORE_OUT_OF_RANGE, NOT_ATTENDED, LIMIT_REACHED.
pub(crate) fn decide_score(
    scheme: &Scheme,
    (counselor, activity): (&Member, &Activity),
    (trainee, attendance): (&Member, Option<&Attendance>),
    score: i64,
    at: DateTime<Utc>,
) -> Decided<()> {
    if at < activity.held_at || !activity.stands {
        return Err(not_found("activity_id"));
    }
    refuse_other_county(counselor, activity.county_code, at)?;
    refuse_withdrawn(trainee, at)?;
    let rules = &scheme.trainee.offline;
    inside(rules.period, at, "offline")?;
    if score < rules.min_score || score > rules.max_score {
        return Err(Refusal::new(ErrorReason::ScoreOutOfRange)
            .field("score")
            .with("score_min", rules.min_score.to_string())
            .with("score_max", rules.max_score.to_string()));
    }
    let attended_at = attendance.and_then(|attendance| attendance.attended_at);
    if attended_at.is_none_or(|attended_at| at < attended_at) {
        return Err(Refusal::new(ErrorReason::NotAttended).with("person_id", trainee.person_id.as_str()));
    }
    if attendance.is_some_and(|attendance| attendance.score_count >= SCORES_PER_ATTENDANCE_MAX) {
        return Err(
            Refusal::new(ErrorReason::LimitReached).with("kept_max", SCORES_PER_ATTENDANCE_MAX.to_string())
        );
    }
    Ok(())
}

/// A county's results for one education stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Results {
    /// From 1, within county and stage.
    pub(crate) number: i64,
    pub(crate) county_code: RegionCode,
    pub(crate) stage: EducationStage,
    pub(crate) title: String,
    pub(crate) counselor_id: PersonId,
    pub(crate) submitted_at: DateTime<Utc>,
    pub(crate) fact_id: String,
    /// Whether they were not retracted.
    pub(crate) stands: bool,
}

fn refuse_withdrawn(trainee: &Member, at: DateTime<Utc>) -> Decided<()> {
    if trainee.absences.at(at) {
        return Err(Refusal::new(ErrorReason::Withdrawn).with("person_id", trainee.person_id.as_str()));
    }
    Ok(())
}

fn refuse_other_county(counselor: &Member, county: RegionCode, at: DateTime<Utc>) -> Decided<()> {
    if counselor.absences.at(at) {
        return Err(Refusal::new(ErrorReason::Withdrawn).field("counselor_id"));
    }
    if counselor.places.at(at).county_code == Some(county) {
        return Ok(());
    }
    Err(Refusal::new(ErrorReason::NotCountyCounselor)
        .field("counselor_id")
        .with("county_code", county.as_str()))
}

#[cfg(test)]
mod tests;
