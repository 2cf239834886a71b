//! Assignment-grading's log: submissions and marks of trainees, seminars, posts and bulletins of classes.

use shipei_contracts::{assignment::v1 as assignment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_rules::ids::{ClassId, PersonId, SeminarId, SubmissionId};
use shipei_service_kit::{Fact, Handles, Projector, Result, Unit, dispatch, handles};

use super::{Batches, Behind, apply_batches, batch_of, cause_of, id_of, keep_first};
use crate::facts::{Batch, Cause, Mark, Post, Seminar, Submission, Summary};

/// The events that are scored.
const EVENTS: &[Handles<Batches>] = handles![Batches:
    assignment::AssignmentSubmitted => submitted,
    assignment::SubmissionReviewed => reviewed,
    assignment::SubmissionReturned => returned,
    assignment::MarkJudged => judged,
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
        3
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
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let submission_id = id_of(told, SubmissionId::parse(&fact.submission_id))?;
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    batch.touched.trainee(&person_id, &cause_of(told));
    batch.submissions.entry(submission_id.clone()).or_insert(Submission {
        submission_id,
        person_id,
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
        submission_id: id_of(told, SubmissionId::parse(&fact.submission_id))?,
        mark_number: fact.mark_number,
        person_id: id_of(told, PersonId::parse(&fact.person_id))?,
        class_id: id_of(told, ClassId::parse(&fact.class_id))?,
        tutor_id: id_of(told, PersonId::parse(&fact.tutor_id))?,
        grade: grade.to_owned(),
        marked_at: told.at,
        fact_id: told.event.fact_id.clone(),
    };
    marked(batch_of(batches, &fact.programme_id, told)?, mark, &cause_of(told));
    Ok(())
}

fn returned(batches: &mut Batches, fact: assignment::SubmissionReturned, told: &Fact<'_>) -> Result<()> {
    let mark = Mark {
        submission_id: id_of(told, SubmissionId::parse(&fact.submission_id))?,
        mark_number: fact.mark_number,
        person_id: id_of(told, PersonId::parse(&fact.person_id))?,
        class_id: id_of(told, ClassId::parse(&fact.class_id))?,
        tutor_id: id_of(told, PersonId::parse(&fact.tutor_id))?,
        grade: String::new(),
        marked_at: told.at,
        fact_id: told.event.fact_id.clone(),
    };
    marked(batch_of(batches, &fact.programme_id, told)?, mark, &cause_of(told));
    Ok(())
}

fn judged(batches: &mut Batches, fact: assignment::MarkJudged, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id, told)?;
    batch.touched.trainee(&id_of(told, PersonId::parse(&fact.person_id))?, &cause_of(told));
    let key = (id_of(told, SubmissionId::parse(&fact.submission_id))?, fact.mark_number);
    let word = (fact.version, fact.counts);
    let kept = batch.mark_judgements.entry(key).or_insert(word);
    *kept = word.max(*kept);
    Ok(())
}

fn seminar_opened(batches: &mut Batches, fact: assignment::SeminarOpened, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let seminar_id = id_of(told, SeminarId::parse(&fact.seminar_id))?;
    let class_id = id_of(told, ClassId::parse(&fact.class_id))?;
    let kept = seminar(batch, seminar_id, class_id, &cause_of(told));
    kept.opened_at = Some(told.at);
    kept.fact_id.clone_from(&told.event.fact_id);
    Ok(())
}

fn seminar_summarised(
    batches: &mut Batches,
    fact: assignment::SeminarSummarised,
    told: &Fact<'_>,
) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let seminar_id = id_of(told, SeminarId::parse(&fact.seminar_id))?;
    let class_id = id_of(told, ClassId::parse(&fact.class_id))?;
    seminar(batch, seminar_id.clone(), class_id, &cause_of(told));
    let summary = Summary { summarised_at: told.at, fact_id: told.event.fact_id.clone() };
    batch.summaries.entry((seminar_id, fact.number)).or_insert(summary);
    Ok(())
}

fn post_accepted(batches: &mut Batches, fact: assignment::PostAccepted, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    let seminar_id = id_of(told, SeminarId::parse(&fact.seminar_id))?;
    let class_id = id_of(told, ClassId::parse(&fact.class_id))?;
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    batch.touched.trainee(&person_id, &cause);
    seminar(batch, seminar_id.clone(), class_id, &cause);
    batch.posts.entry((seminar_id.clone(), i64::from(fact.number))).or_insert(Post {
        seminar_id,
        post_number: fact.number.into(),
        person_id,
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
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let class_id = id_of(told, ClassId::parse(&fact.class_id))?;
    batch.touched.class(&class_id, &cause_of(told));
    let key = (class_id, i64::from(fact.number), told.event.fact_id.clone());
    keep_first(&mut batch.bulletins, key, told.at);
    Ok(())
}

fn marked(batch: &mut Batch, mark: Mark, cause: &Cause) {
    batch.touched.trainee(&mark.person_id, cause);
    batch.marks.entry((mark.submission_id.clone(), mark.mark_number)).or_insert(mark);
}

fn seminar<'batch>(
    batch: &'batch mut Batch,
    seminar_id: SeminarId,
    class_id: ClassId,
    cause: &Cause,
) -> &'batch mut Seminar {
    batch.touched.class(&class_id, cause);
    let unopened = Seminar { class_id: class_id.clone(), opened_at: None, fact_id: String::new() };
    let kept = batch.seminars.entry(seminar_id).or_insert(unopened);
    kept.class_id = class_id;
    kept
}
