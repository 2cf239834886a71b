//! Assignment-grading's log: submissions and marks of trainees, seminars, posts and bulletins of classes.

use shipei_contracts::{assignment::v1 as assignment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_service_kit::{Fact, Handles, Projector, Result, Unit, dispatch, handles};

use super::{Batches, Behind, apply_batches, batch_of, cause_of, keep_first};
use crate::facts::{Batch, Cause, Instant, Mark, Post, Submission, first_of};

/// The events that are scored.
const EVENTS: &[Handles<Batches>] = handles![Batches:
    assignment::AssignmentSubmitted => submitted,
    assignment::SubmissionReviewed => reviewed,
    assignment::SubmissionReturned => returned,
    assignment::SeminarOpened => seminar_opened,
    assignment::PostAccepted => post_accepted,
    assignment::SeminarSummarised => seminar_summarised,
    assignment::BulletinPublished => bulletin_published,
];

/// Follows assignment-grading.
#[derive(Debug, Clone, Default)]
pub struct AssignmentProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
    /// Whether scores wait until the logs have been read.
    pub behind: Behind,
}

#[tonic::async_trait]
impl Projector for AssignmentProjector {
    fn source(&self) -> &'static str {
        shipei_contracts::services::ASSIGNMENT_GRADING
    }

    fn version(&self) -> u32 {
        1
    }

    fn types(&self) -> Vec<String> {
        dispatch::types(EVENTS)
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        let mut batches = Batches::new();
        dispatch::gather(EVENTS, &mut batches, events)?;
        apply_batches(unit, &self.schemes, &self.behind, events, batches).await
    }
}

fn submitted(batches: &mut Batches, fact: assignment::AssignmentSubmitted, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id);
    batch.touched.trainee(&fact.person_id, &cause_of(told));
    batch.submissions.entry(fact.submission_id.clone()).or_insert(Submission {
        submission_id: fact.submission_id,
        person_id: fact.person_id,
        submitted_at: told.at,
        number: fact.number,
        owed_class_id: None,
        late_class_id: None,
    });
    Ok(())
}

fn reviewed(batches: &mut Batches, fact: assignment::SubmissionReviewed, told: &Fact<'_>) -> Result<()> {
    let grade = fact.new().word();
    let mark = Mark {
        submission_id: fact.submission_id,
        mark_number: fact.mark_number,
        person_id: fact.person_id,
        class_id: fact.class_id,
        tutor_id: fact.tutor_id,
        grade: grade.to_owned(),
        marked_at: told.at,
    };
    marked(batch_of(batches, &fact.programme_id), mark, &cause_of(told));
    Ok(())
}

fn returned(batches: &mut Batches, fact: assignment::SubmissionReturned, told: &Fact<'_>) -> Result<()> {
    let mark = Mark {
        submission_id: fact.submission_id,
        mark_number: fact.mark_number,
        person_id: fact.person_id,
        class_id: fact.class_id,
        tutor_id: fact.tutor_id,
        grade: String::new(),
        marked_at: told.at,
    };
    marked(batch_of(batches, &fact.programme_id), mark, &cause_of(told));
    Ok(())
}

fn seminar_opened(batches: &mut Batches, fact: assignment::SeminarOpened, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id);
    seminar(batch, fact.seminar_id, fact.class_id, (Some(told.at), None), &cause_of(told));
    Ok(())
}

fn seminar_summarised(
    batches: &mut Batches,
    fact: assignment::SeminarSummarised,
    told: &Fact<'_>,
) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id);
    seminar(batch, fact.seminar_id, fact.class_id, (None, Some(told.at)), &cause_of(told));
    Ok(())
}

fn post_accepted(batches: &mut Batches, fact: assignment::PostAccepted, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id), cause_of(told));
    batch.touched.trainee(&fact.person_id, &cause);
    seminar(batch, fact.seminar_id.clone(), fact.class_id, (None, None), &cause);
    let key = (fact.seminar_id.clone(), i64::from(fact.number));
    batch.posts.entry(key).or_insert(Post {
        seminar_id: fact.seminar_id,
        post_number: fact.number.into(),
        person_id: fact.person_id,
        posted_at: told.at,
    });
    Ok(())
}

fn bulletin_published(
    batches: &mut Batches,
    fact: assignment::BulletinPublished,
    told: &Fact<'_>,
) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id);
    batch.touched.class(&fact.class_id, &cause_of(told));
    keep_first(&mut batch.bulletins, (fact.class_id, i64::from(fact.number)), told.at);
    Ok(())
}

fn marked(batch: &mut Batch, mark: Mark, cause: &Cause) {
    batch.touched.trainee(&mark.person_id, cause);
    batch.marks.entry((mark.submission_id.clone(), mark.mark_number)).or_insert(mark);
}

fn seminar(
    batch: &mut Batch,
    seminar_id: String,
    class_id: String,
    (opened_at, summarised_at): (Option<Instant>, Option<Instant>),
    cause: &Cause,
) {
    batch.touched.class(&class_id, cause);
    let kept = batch.seminars.entry(seminar_id).or_default();
    kept.class_id = class_id;
    kept.opened_at = first_of(kept.opened_at, opened_at);
    kept.summarised_at = first_of(kept.summarised_at, summarised_at);
}
