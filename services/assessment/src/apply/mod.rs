//! From the logs of facts and decisions to rows and scores: one projector for each log, one file for each. All end
//! in [`apply_batches`]: facts are written, then everybody whom they touch is scored, in the transaction that moves the
//! cursor. To learn from one more event: its line in the file's table of events, its function, the projector's next version.

pub mod assignment;
mod behind;
pub mod decisions;
pub mod enrollment;
pub mod learning;
pub mod offline;

use std::{collections::BTreeMap, fmt};

use shipei_contracts::event::v1::Event;
use shipei_mirror::{Merge, Programmes, merges};
use shipei_rules::{
    ids::{ActivityId, ClassId, PersonId, ProgrammeId, SeminarId},
    vocabulary::Role,
};
use shipei_service_kit::{Error, Fact, Result, Unit};
use shipei_store::StoreError;

pub use behind::Behind;

use crate::{
    facts::{Batch, Cause, DutyFactKey, Instant, Touched},
    recompute::{self, rescore},
    store::{classes, due, load, places, save, scores},
};

/// What the events of one batch say, by programme.
pub type Batches = BTreeMap<ProgrammeId, Batch>;

/// The event as the cause of what follows from it.
fn cause_of(told: &Fact<'_>) -> Cause {
    Cause { id: told.cause(), at: told.at }
}

/// An id of an event, as its type reads it. A text that is none can't have been written by a service.
fn id_of<Id, Fault: fmt::Display>(told: &Fact<'_>, id: std::result::Result<Id, Fault>) -> Result<Id> {
    id.map_err(|fault| Error::Internal(format!("event {} of {}: {fault}", told.event.id, told.event.source)))
}

/// The batch of a programme.
fn batch_of<'batches>(
    batches: &'batches mut Batches,
    programme_id: &str,
    told: &Fact<'_>,
) -> Result<&'batches mut Batch> {
    Ok(batches.entry(id_of(told, ProgrammeId::parse(programme_id))?).or_default())
}

/// Keeps the least time under a key.
fn keep_first<Key: Ord>(times: &mut BTreeMap<Key, Instant>, key: Key, at: Instant) {
    times.entry(key).and_modify(|kept| *kept = at.min(*kept)).or_insert(at);
}

/// Keeps what shows that a duty was done: by a person or a region (or neither: the institution), and about what.
fn keep_duty_fact(
    batches: &mut Batches,
    (programme_id, kind): (&str, &'static str),
    (person_id, region_code): (&str, &str),
    reference: &str,
    told: &Fact<'_>,
) -> Result<()> {
    let key = DutyFactKey {
        kind,
        person_id: person_id.to_owned(),
        region_code: region_code.to_owned(),
        reference: reference.to_owned(),
        source: told.event.source.clone(),
        fact_id: told.event.fact_id.clone(),
    };
    keep_first(&mut batch_of(batches, programme_id, told)?.duty_facts, key, told.at);
    Ok(())
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
    let resettled = batches.values().map(|batch| batch.resettled.len()).sum();
    let put_off = behind.begin(unit.now, events, resettled);
    for (programme_id, mut batch) in batches {
        if batch.scheme.is_none() && !batch.changes_windows {
            scores::lock_programme(&mut unit.tx, &programme_id, false).await?;
        }
        save::batch(&mut unit.tx, &programme_id, &batch).await?;
        places::settle(&mut unit.tx, &programme_id, &batch).await?;
        for (person_id, cause) in &batch.resettled {
            batch.touched.author(person_id, cause);
        }
        touch_what_rests_on_it(unit, &programme_id, &mut batch).await?;
        let class_ids: Vec<&ClassId> = batch.classes_extended.keys().collect();
        for person in classes::people_of(&mut unit.tx, &programme_id, &class_ids).await? {
            if let Some(cause) = batch.classes_extended.get(&person.class_id) {
                batch.touched.trainee(&person.person_id, cause);
            }
        }
        let touched: Vec<&PersonId> = batch.touched.trainees.keys().collect();
        for Merge { merged_id, kept_id } in
            merges(&mut unit.tx, &programme_id, Role::Trainee, &touched).await?
        {
            // What was recorded for an id counts for the one that is kept.
            if let Some(cause) = batch.touched.trainees.get(&merged_id).cloned() {
                batch.touched.trainees.entry(kept_id).or_insert(cause);
            } else if let Some(cause) = batch.removed.get(&kept_id).cloned() {
                // Nobody counts for who is nobody.
                batch.touched.trainees.insert(merged_id, cause);
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
async fn touch_what_rests_on_it(
    unit: &mut Unit,
    programme_id: &ProgrammeId,
    batch: &mut Batch,
) -> Result<()> {
    let opened = batch.seminars.iter().filter(|(_, seminar)| seminar.opened_at.is_some());
    let opened: Vec<&SeminarId> = opened.map(|(seminar_id, _)| seminar_id).collect();
    for poster in load::posters_of_fallen(&mut unit.tx, programme_id, &opened).await? {
        let class = batch.seminars.get(&poster.seminar_id).map(|seminar| &seminar.class_id);
        let cause = class.and_then(|class_id| batch.touched.classes.get(class_id)).cloned();
        if let Some(cause) = cause {
            batch.touched.trainee(&poster.person_id, &cause);
        }
    }
    let mut held = BTreeMap::new();
    for key in batch.county_facts.keys().filter(|key| key.kind == "activity") {
        let activity_id = ActivityId::parse(&key.reference)
            .map_err(|_| StoreError::corrupt_row("county_fact", "reference", key.county_code))?;
        held.insert(activity_id, key.county_code);
    }
    let activities: Vec<&ActivityId> = held.keys().collect();
    let fallen = load::attendees_of_fallen(&mut unit.tx, programme_id, &activities).await?;
    for attendee in &fallen {
        let county = held.get(&attendee.activity_id);
        let touch = county.and_then(|county_code| batch.touched.counties.get(county_code));
        if let Some(cause) = touch.map(|touch| touch.cause.clone()) {
            batch.touched.trainee(&attendee.person_id, &cause);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use shipei_service_kit::Projector;

    use super::{
        assignment::AssignmentProjector, decisions::DecisionsProjector, enrollment::EnrollmentProjector,
        learning::LearningProjector, offline::OfflineProjector,
    };

    /// Whoever wants another event must raise the version, or a service that stands never learns the ones that were.
    #[test]
    fn versions_are_of_these_events() {
        let named = |projector: &dyn Projector| {
            let types = projector.types();
            let names: Vec<&str> = types.iter().filter_map(|name| name.split('.').next_back()).collect();
            format!("{} {}: {}", projector.source(), projector.version(), names.join(" "))
        };
        let expected = "assignment-grading 3: AssignmentSubmitted SubmissionReviewed SubmissionReturned MarkJudged SeminarOpened \
            PostAccepted SeminarSummarised BulletinPublished";
        assert_eq!(named(&AssignmentProjector::default()), expected);
        let expected = "enrollment 9007: ClassCreated ExtensionGranted InvoiceIssued LearningOpened PersonCorrected \
            PersonDeparted PersonErased PersonLoggedIn PersonRegistered PersonRemoved PersonsMerged PlaceClosed PlaceMerged PreJobTrainingAttended ProgrammeCreated RegionCreated \
            RegionMoved RemittanceConfirmed RemittanceSent RosterCompiled RosterReported SchemeRevised TraineeReturned TraineeTransferred TraineeWithdrawn TutorChosen TutorReplaced";
        assert_eq!(named(&EnrollmentProjector::default()), expected);
        let expected =
            "learning-progress 5: PhaseAchieved PhaseStudied PhaseTakenBack CourseCreated CourseSelected";
        assert_eq!(named(&LearningProjector::default()), expected);
        let expected = "offline-activity 2: PlanSubmitted ActivityHeld AttendanceRecorded AttendeeScored ResultsSubmitted";
        assert_eq!(named(&OfflineProjector::default()), expected);
        let expected = "assessment-decisions 2: ItemAdjusted EvidenceSubmitted EvidenceSentBack ProgrammeFinalised \
            CertificateIssued";
        assert_eq!(named(&DecisionsProjector::default()), expected);
    }
}
