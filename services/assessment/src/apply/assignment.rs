//! Assignment-grading's log: submissions and marks of trainees, seminars, posts and bulletins of classes.

use shipei_contracts::{
    assignment::v1::{self as assignment, Grade},
    event::v1::Event,
};
use shipei_mirror::Programmes;
use shipei_rules::vocabulary;
use shipei_service_kit::{Projector, Result, Unit, decode};

use super::{Batches, apply_batches, batch_of, cause_of, event_time, keep_first};
use crate::facts::{Batch, Cause, Instant, Mark, Post, Submission, first_of};

const TYPES: [&str; 7] = [
    "shipei.assignment.v1.AssignmentSubmitted",
    "shipei.assignment.v1.SubmissionReviewed",
    "shipei.assignment.v1.SubmissionReturned",
    "shipei.assignment.v1.SeminarOpened",
    "shipei.assignment.v1.PostAccepted",
    "shipei.assignment.v1.SeminarSummarised",
    "shipei.assignment.v1.BulletinPublished",
];

/// Follows assignment-grading.
#[derive(Debug, Clone, Default)]
pub struct AssignmentProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
}

#[tonic::async_trait]
impl Projector for AssignmentProjector {
    fn source(&self) -> &'static str {
        "assignment-grading"
    }

    fn types(&self) -> Vec<String> {
        TYPES.map(str::to_owned).to_vec()
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        apply_batches(unit, &self.schemes, gather(events)?).await
    }
}

fn gather(events: &[Event]) -> Result<Batches> {
    let mut batches = Batches::new();
    for event in events {
        let at = event_time(event)?;
        let cause = cause_of(event, at);
        if let Some(fact) = decode::<assignment::AssignmentSubmitted>(event)? {
            let batch = batch_of(&mut batches, &fact.programme_id);
            batch.touched.trainee(&fact.person_id, &cause);
            batch.submissions.entry(fact.submission_id.clone()).or_insert(Submission {
                submission_id: fact.submission_id,
                person_id: fact.person_id,
                submitted_at: at,
                number: fact.number,
                owed_class_id: None,
                late_class_id: None,
            });
        } else if let Some(fact) = decode::<assignment::SubmissionReviewed>(event)? {
            let grade = grade_word(fact.new());
            let mark = Mark {
                submission_id: fact.submission_id,
                mark_number: fact.mark_number,
                person_id: fact.person_id,
                class_id: fact.class_id,
                tutor_id: fact.tutor_id,
                grade: grade.to_owned(),
                marked_at: at,
            };
            marked(batch_of(&mut batches, &fact.programme_id), mark, &cause);
        } else if let Some(fact) = decode::<assignment::SubmissionReturned>(event)? {
            let mark = Mark {
                submission_id: fact.submission_id,
                mark_number: fact.mark_number,
                person_id: fact.person_id,
                class_id: fact.class_id,
                tutor_id: fact.tutor_id,
                grade: String::new(),
                marked_at: at,
            };
            marked(batch_of(&mut batches, &fact.programme_id), mark, &cause);
        } else {
            of_class(&mut batches, event, at, &cause)?;
        }
    }
    Ok(batches)
}

/// What happens in a class as a whole.
fn of_class(batches: &mut Batches, event: &Event, at: Instant, cause: &Cause) -> Result<()> {
    if let Some(fact) = decode::<assignment::SeminarOpened>(event)? {
        seminar(batch_of(batches, &fact.programme_id), fact.seminar_id, fact.class_id, Some(at), None, cause);
    } else if let Some(fact) = decode::<assignment::SeminarSummarised>(event)? {
        seminar(batch_of(batches, &fact.programme_id), fact.seminar_id, fact.class_id, None, Some(at), cause);
    } else if let Some(fact) = decode::<assignment::PostAccepted>(event)? {
        let batch = batch_of(batches, &fact.programme_id);
        batch.touched.trainee(&fact.person_id, cause);
        seminar(batch, fact.seminar_id.clone(), fact.class_id, None, None, cause);
        let key = (fact.seminar_id.clone(), fact.number);
        batch.posts.entry(key).or_insert(Post {
            seminar_id: fact.seminar_id,
            post_number: fact.number,
            person_id: fact.person_id,
            posted_at: at,
        });
    } else if let Some(fact) = decode::<assignment::BulletinPublished>(event)? {
        let batch = batch_of(batches, &fact.programme_id);
        batch.touched.class(&fact.class_id, cause);
        keep_first(&mut batch.bulletins, (fact.class_id, fact.number), at);
    }
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
    opened_at: Option<Instant>,
    summarised_at: Option<Instant>,
    cause: &Cause,
) {
    batch.touched.class(&class_id, cause);
    let kept = batch.seminars.entry(seminar_id).or_default();
    kept.class_id = class_id;
    kept.opened_at = first_of(kept.opened_at, opened_at);
    kept.summarised_at = first_of(kept.summarised_at, summarised_at);
}

fn grade_word(grade: Grade) -> &'static str {
    match grade {
        Grade::Excellent => vocabulary::Grade::Excellent.as_str(),
        Grade::Pass => vocabulary::Grade::Pass.as_str(),
        Grade::Fail => vocabulary::Grade::Fail.as_str(),
        Grade::Unspecified => "",
    }
}
