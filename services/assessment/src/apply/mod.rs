//! From the logs of the other four services to facts and scores: one projector for each log, one file for each. All end
//! in [`apply_batches`]: facts are written, then everybody whom they touch is scored, in the transaction that moves the
//! cursor. To learn from one more event: its line in the file's table of events, its function, the projector's next version.

pub mod assignment;
mod behind;
pub mod enrollment;
pub mod learning;
pub mod offline;

use std::collections::BTreeMap;

use shipei_contracts::event::v1::Event;
use shipei_mirror::Programmes;
use shipei_service_kit::{Fact, Result, Unit};

pub use behind::Behind;

use crate::{
    facts::{Batch, Cause, Instant, Touched},
    recompute::{self, rescore},
    store::{due, load, save, scores},
};

/// What the events of one batch say, by programme.
pub type Batches = BTreeMap<String, Batch>;

/// The event as the cause of what follows from it.
fn cause_of(told: &Fact<'_>) -> Cause {
    Cause { id: told.cause(), at: told.at }
}

/// The batch of a programme.
fn batch_of<'batches>(batches: &'batches mut Batches, programme_id: &str) -> &'batches mut Batch {
    batches.entry(programme_id.to_owned()).or_default()
}

/// Keeps the least time under a key.
fn keep_first<Key: Ord>(times: &mut BTreeMap<Key, Instant>, key: Key, at: Instant) {
    times.entry(key).and_modify(|kept| *kept = at.min(*kept)).or_insert(at);
}

/// Writes facts and scores what they touch. A new scheme locks its programme alone; it scores everything anew, the first
/// page at once. While much is learned at once ([`Behind`]), trainees, classes and counties are only marked as due: each is
/// then scored once and not for each of their facts.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn apply_batches(
    unit: &mut Unit,
    schemes: &Programmes,
    behind: &Behind,
    events: &[Event],
    batches: Batches,
) -> Result<()> {
    let put_off = behind.begin(unit.now, events);
    for (programme_id, mut batch) in batches {
        if batch.scheme.is_none() && !batch.changes_windows {
            scores::lock_programme(&mut unit.tx, &programme_id, false).await?;
        }
        save::batch(&mut unit.tx, &programme_id, &batch).await?;
        touch_what_rests_on_it(unit, &programme_id, &mut batch).await?;
        let class_ids: Vec<&str> = batch.classes_extended.keys().map(String::as_str).collect();
        for (class_id, person_id) in load::people_of(&mut unit.tx, &programme_id, &class_ids).await? {
            if let Some(cause) = batch.classes_extended.get(&class_id) {
                batch.touched.trainee(&person_id, cause);
            }
        }
        if put_off.is_some() {
            due::add(&mut unit.tx, &programme_id, &batch.touched).await?;
            batch.touched = Touched { tutors: batch.touched.tutors, ..Touched::default() };
        }
        recompute::run(unit, schemes, &programme_id, batch.touched).await?;
        if let Some(cause) = &batch.scheme {
            rescore::begin(unit, &programme_id, cause).await?;
            rescore::step(unit, schemes, &programme_id).await?;
        }
    }
    Ok(())
}

/// Touches whom a fact of the batch concerns by what rests on it, when it was retracted: posts to a seminar, attendances of an
/// activity.
async fn touch_what_rests_on_it(unit: &mut Unit, programme_id: &str, batch: &mut Batch) -> Result<()> {
    let opened = batch.seminars.iter().filter(|(_, seminar)| seminar.opened_at.is_some());
    let opened: Vec<&str> = opened.map(|(seminar_id, _)| seminar_id.as_str()).collect();
    for (seminar_id, person_id) in load::posters_of_fallen(&mut unit.tx, programme_id, &opened).await? {
        let class = batch.seminars.get(&seminar_id).map(|seminar| &seminar.class_id);
        let cause = class.and_then(|class_id| batch.touched.classes.get(class_id)).cloned();
        if let Some(cause) = cause {
            batch.touched.trainee(&person_id, &cause);
        }
    }
    let held: BTreeMap<&str, &str> = batch
        .county_facts
        .keys()
        .filter(|key| key.kind == "activity")
        .map(|key| (key.reference.as_str(), key.county_code.as_str()))
        .collect();
    let activities: Vec<&str> = held.keys().copied().collect();
    let fallen = load::attendees_of_fallen(&mut unit.tx, programme_id, &activities).await?;
    for (activity_id, person_id) in &fallen {
        let county = held.get(activity_id.as_str()).copied().unwrap_or_default();
        let cause = batch.touched.counties.get(county).map(|touch| touch.cause.clone());
        if let Some(cause) = cause {
            batch.touched.trainee(person_id, &cause);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use shipei_service_kit::Projector;

    use super::{
        assignment::AssignmentProjector, enrollment::EnrollmentProjector, learning::LearningProjector,
        offline::OfflineProjector,
    };

    /// Whoever wants another event must raise the version, or a service that stands never learns the ones that were.
    #[test]
    fn versions_are_of_these_events() {
        let named = |projector: &dyn Projector| {
            let types = projector.types();
            let names: Vec<&str> = types.iter().filter_map(|name| name.split('.').next_back()).collect();
            format!("{} {}: {}", projector.source(), projector.version(), names.join(" "))
        };
        let expected = "assignment-grading 2: AssignmentSubmitted SubmissionReviewed SubmissionReturned SeminarOpened \
            PostAccepted SeminarSummarised BulletinPublished";
        assert_eq!(named(&AssignmentProjector::default()), expected);
        let expected = "enrollment 4003: ClassCreated ExtensionGranted LearningOpened PersonLoggedIn PersonRegistered \
            PreJobTrainingAttended ProgrammeCreated RegionCreated RegionMoved SchemeRevised TraineeTransferred \
            TraineeWithdrawn TutorChosen TutorReplaced";
        assert_eq!(named(&EnrollmentProjector::default()), expected);
        let expected = "learning-progress 2: PhaseAchieved PhaseTakenBack";
        assert_eq!(named(&LearningProjector::default()), expected);
        let expected = "offline-activity 2: PlanSubmitted ActivityHeld AttendanceRecorded AttendeeScored ResultsSubmitted";
        assert_eq!(named(&OfflineProjector::default()), expected);
    }
}
