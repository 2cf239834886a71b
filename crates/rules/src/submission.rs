//! The submissions of one trainee, and which of them counts (Annex 2, practical assignment).
//!
//! A newer submission supersedes the one that counted, unless that one had been graded excellent or pass by then: the
//! newer one is then disregarded, also when the grade is told after it. What follows is a fold over all submissions and
//! marks by their time, and at one instant by their number, so that the order in which they arrive decides nothing. The
//! trainee's score, the tutor's marking and assignment-grading's refusals all ask [`standings`], and nothing else.

use chrono::{DateTime, Utc};

use crate::ids::SubmissionId;
use crate::scheme::Scheme;
use crate::vocabulary::Grade;

/// A practical assignment with what the tutor did about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its id.
    pub id: SubmissionId,
    /// When it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// Its number among the trainee's submissions and marks, given when it was recorded: of two at one instant the larger
    /// is the later.
    pub number: i64,
    /// Its reviews and returns.
    pub marks: Vec<Mark>,
}

/// A review or a return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Its number among the trainee's submissions and marks.
    pub number: i64,
    /// What it was.
    pub kind: MarkKind,
}

/// A grade, or a return for revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// Returned for revision.
    Returned,
    /// Graded.
    Graded(Grade),
}

impl MarkKind {
    /// The grade; none of a return.
    pub fn grade(self) -> Option<Grade> {
        match self {
            Self::Returned => None,
            Self::Graded(grade) => Some(grade),
        }
    }
}

impl Submission {
    /// The last mark of those that count: made by an instant, and before another one.
    pub fn last_mark(&self, by: DateTime<Utc>, before: DateTime<Utc>) -> Option<&Mark> {
        let counted = self.marks.iter().filter(|mark| mark.at <= by && mark.at < before);
        counted.max_by_key(|mark| (mark.at, mark.number))
    }

    /// When it was first reviewed or returned.
    pub fn first_marked_at(&self) -> Option<DateTime<Utc>> {
        self.marks.iter().map(|mark| mark.at).min()
    }

    /// Whether the grade that it has when another submission comes keeps that one from superseding it.
    fn is_settled_before(&self, newer: &Submission) -> bool {
        let earlier =
            self.marks.iter().filter(|mark| (mark.at, mark.number) < (newer.submitted_at, newer.number));
        let last = earlier.max_by_key(|mark| (mark.at, mark.number));
        last.is_some_and(|mark| matches!(mark.kind, MarkKind::Graded(Grade::Excellent | Grade::Pass)))
    }
}

/// Where a submission stands among those of its trainee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'s> {
    /// It counts: it is the newest one that could supersede what was before it.
    Counts,
    /// A newer one took its place.
    Superseded {
        /// The newer one.
        by: &'s Submission,
    },
    /// It is kept and does not count.
    Disregarded {
        /// The one that had been graded excellent or pass by then.
        graded: &'s Submission,
    },
}

impl Standing<'_> {
    /// When a newer one took its place.
    pub fn superseded_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Superseded { by } => Some(by.submitted_at),
            Self::Counts | Self::Disregarded { .. } => None,
        }
    }
}

/// The submissions of one trainee inside the assignment's window by `as_of`, by time, each with its standing as of then.
/// At most one of them counts, and exactly one if there is any.
pub fn standings<'s>(
    scheme: &Scheme,
    submissions: &'s [Submission],
    as_of: DateTime<Utc>,
) -> Vec<(&'s Submission, Standing<'s>)> {
    let window = &scheme.trainee.assignment.period;
    let inside = submissions
        .iter()
        .filter(|submission| submission.submitted_at <= as_of && window.contains(submission.submitted_at));
    let mut standings: Vec<(&Submission, Standing<'_>)> =
        inside.map(|submission| (submission, Standing::Counts)).collect();
    // Numbers are those of one id: what a person handed in under two of them at one instant is in the order of its ids.
    standings.sort_by_key(|(submission, _)| (submission.submitted_at, submission.number, &submission.id));
    let mut counting = 0;
    for index in 1..standings.len() {
        let (current, newer) = (standings[counting].0, standings[index].0);
        if current.is_settled_before(newer) {
            standings[index].1 = Standing::Disregarded { graded: current };
        } else {
            standings[counting].1 = Standing::Superseded { by: newer };
            counting = index;
        }
    }
    standings
}

/// Of the submissions of one id those that are not disregarded by that id alone: of who has several ids they are read together with those
/// of the others. Whether one was taken although that id had been graded by then, since the grade was told late, or refused, must not
/// decide about the person.
pub fn not_disregarded(scheme: &Scheme, mut submissions: Vec<Submission>) -> Vec<Submission> {
    let standings = standings(scheme, &submissions, DateTime::<Utc>::MAX_UTC);
    let disregarded =
        standings.iter().filter(|(_, standing)| matches!(standing, Standing::Disregarded { .. }));
    let disregarded: Vec<SubmissionId> = disregarded.map(|(submission, _)| submission.id.clone()).collect();
    submissions.retain(|submission| !disregarded.contains(&submission.id));
    submissions
}

/// The one that counts as of a time.
pub fn counting<'s>(
    scheme: &Scheme,
    submissions: &'s [Submission],
    as_of: DateTime<Utc>,
) -> Option<&'s Submission> {
    let mut standings = standings(scheme, submissions, as_of).into_iter();
    standings.find_map(|(submission, standing)| (standing == Standing::Counts).then_some(submission))
}
