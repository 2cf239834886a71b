//! Which class answers for a submission (Annex 3, marking and late weeks), also when its trainee moves.
//!
//! **Decided**: a mark that is still owed is owed by the class that the trainee stands in as of then, and from the end of
//! `review_until` on by the class that they stood in at that end. A late week is the class's in which the trainee stood
//! at the week's deadline, whoever marks the work afterwards. A marked, superseded or withdrawn trainee's submission is
//! owed by nobody. The rules judge one list for both questions, so [`MarkingDuty::for_tutor`] says each in their terms.

use shipei_rules::{
    ids::SubmissionId,
    marking_weeks::{late_week, week_of},
    scheme::Scheme,
    tutor::{TutorScore, TutorSubmission},
};

use crate::{
    domain::trainee::{SubmissionRecord, TraineeRecord},
    facts::{Instant, first_of},
};

/// What tutors answer for about one submission, as of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkingDuty {
    /// The submission.
    pub submission_id: SubmissionId,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// The class whose tutor owes a mark.
    pub owed_class_id: Option<String>,
    /// The class whose week it made late.
    pub late_class_id: Option<String>,
}

impl MarkingDuty {
    /// Whether any tutor answers for it.
    pub fn is_any(&self) -> bool {
        self.owed_class_id.is_some() || self.late_class_id.is_some()
    }

    /// The submission as the rules see it for a tutor with these classes; `None` when it does not concern them.
    pub fn for_tutor(&self, scheme: &Scheme, is_own: impl Fn(&str) -> bool) -> Option<TutorSubmission> {
        let owed = self.owed_class_id.as_deref().is_some_and(&is_own);
        let late = self.late_class_id.as_deref().is_some_and(&is_own);
        let mut submission = TutorSubmission {
            id: self.submission_id.clone(),
            submitted_at: self.submitted_at,
            superseded_at: None,
            first_mark_at: None,
            withdrawn_at: None,
        };
        match (owed, late) {
            (false, false) => return None,
            (true, true) => {}
            // Late here, no longer owed here: settled at the very deadline, which is too late for the week.
            (false, true) => submission.superseded_at = Some(week_of(scheme, self.submitted_at)?.deadline),
            // Owed here, late in another class: submitted in no marking week. `correct_evidence` puts the time right.
            (true, false) if self.late_class_id.is_some() => submission.submitted_at = Instant::UNIX_EPOCH,
            (true, false) => {}
        }
        Some(submission)
    }
}

/// The duties about a trainee's submissions as of a time, one for each submission.
pub fn duties(scheme: &Scheme, trainee: &TraineeRecord, as_of: Instant) -> Vec<MarkingDuty> {
    let mut duties = Vec::with_capacity(trainee.submissions.len());
    for submission in &trainee.submissions {
        duties.push(MarkingDuty {
            submission_id: submission.id.clone(),
            submitted_at: submission.submitted_at,
            owed_class_id: owed_class(scheme, trainee, submission, as_of).filter(|class| !class.is_empty()),
            late_class_id: late_class(scheme, trainee, submission, as_of).filter(|class| !class.is_empty()),
        });
    }
    duties
}

fn owed_class(
    scheme: &Scheme,
    trainee: &TraineeRecord,
    submission: &SubmissionRecord,
    as_of: Instant,
) -> Option<String> {
    let review_until = scheme.trainee.assignment.review_until;
    let happened = |at: Option<Instant>| at.is_some_and(|at| at <= as_of);
    let marked = submission.first_mark_at.is_some_and(|at| at <= as_of && at < review_until);
    if submission.submitted_at > as_of
        || marked
        || happened(submission.superseded_at)
        || trainee.withdrawn_by(as_of)
    {
        return None;
    }
    let place =
        if as_of < review_until { trainee.places.at(as_of) } else { trainee.places.before(review_until) };
    Some(place.class_id.clone())
}

fn late_class(
    scheme: &Scheme,
    trainee: &TraineeRecord,
    submission: &SubmissionRecord,
    as_of: Instant,
) -> Option<String> {
    let settled_at =
        first_of(first_of(submission.first_mark_at, submission.superseded_at), trainee.facts.withdrawn_at);
    let week = late_week(scheme, submission.submitted_at, settled_at, as_of)?;
    Some(trainee.places.before(week.deadline).class_id.clone())
}

/// Gives the unmarked submission that a score names its own time back (see [`MarkingDuty::for_tutor`]).
pub fn correct_evidence(score: &mut TutorScore, duties: &[MarkingDuty]) {
    for item in &mut score.items {
        if item.at != Some(Instant::UNIX_EPOCH) {
            continue;
        }
        let named = duties.iter().find(|duty| item.evidence.as_deref() == Some(duty.submission_id.as_str()));
        item.at = named.map(|duty| duty.submitted_at);
    }
}
