//! Assignment-grading's log: submissions and marks of trainees, seminars, posts and bulletins of classes.

use shipei_contracts::{assignment::v1 as assignment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_service_kit::{Fact, Handles, Projector, Result, Unit, dispatch, handles};

use super::{Batches, Behind, apply_batches, batch_of, cause_of, keep_first};
use crate::facts::{Batch, Cause, Mark, Post, Seminar, Submission, Summary};

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
        2
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
        fact_id: told.event.fact_id.clone(),
        stands: true,
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
        fact_id: told.event.fact_id.clone(),
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
        fact_id: told.event.fact_id.clone(),
    };
    marked(batch_of(batches, &fact.programme_id), mark, &cause_of(told));
    Ok(())
}

fn seminar_opened(batches: &mut Batches, fact: assignment::SeminarOpened, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id);
    let kept = seminar(batch, fact.seminar_id, fact.class_id, &cause_of(told));
    kept.opened_at = Some(told.at);
    kept.fact_id.clone_from(&told.event.fact_id);
    Ok(())
}

fn seminar_summarised(
    batches: &mut Batches,
    fact: assignment::SeminarSummarised,
    told: &Fact<'_>,
) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id);
    seminar(batch, fact.seminar_id.clone(), fact.class_id, &cause_of(told));
    let summary = Summary { summarised_at: told.at, fact_id: told.event.fact_id.clone() };
    batch.summaries.entry((fact.seminar_id, fact.number)).or_insert(summary);
    Ok(())
}

fn post_accepted(batches: &mut Batches, fact: assignment::PostAccepted, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id), cause_of(told));
    batch.touched.trainee(&fact.person_id, &cause);
    seminar(batch, fact.seminar_id.clone(), fact.class_id, &cause);
    let key = (fact.seminar_id.clone(), i64::from(fact.number));
    batch.posts.entry(key).or_insert(Post {
        seminar_id: fact.seminar_id,
        post_number: fact.number.into(),
        person_id: fact.person_id,
        posted_at: told.at,
        fact_id: told.event.fact_id.clone(),
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
    let key = (fact.class_id, i64::from(fact.number), told.event.fact_id.clone());
    keep_first(&mut batch.bulletins, key, told.at);
    Ok(())
}

fn marked(batch: &mut Batch, mark: Mark, cause: &Cause) {
    batch.touched.trainee(&mark.person_id, cause);
    batch.marks.entry((mark.submission_id.clone(), mark.mark_number)).or_insert(mark);
}

fn seminar<'batch>(
    batch: &'batch mut Batch,
    seminar_id: String,
    class_id: String,
    cause: &Cause,
) -> &'batch mut Seminar {
    batch.touched.class(&class_id, cause);
    let kept = batch.seminars.entry(seminar_id).or_default();
    kept.class_id = class_id;
    kept
}
