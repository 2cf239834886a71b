//! Which class answers for the marking of a submission, and in which week (Annex 3, marking and 每周日).
//!
//! Weeks run Monday to Sunday in the scheme's zone. A week is late when a submission made in it still waited at the week's
//! deadline: the end of its Sunday plus the grace.
//!
//! **Decided**: a mark that is still owed is owed by the class that the trainee stands in as of then, and from the end of
//! `review_until` on by the class that they stood in just before that end. A late week is the class's in which the
//! trainee stood just before the week's deadline, whoever marks the work afterwards. What was marked, superseded or
//! disregarded is owed by nobody, nor is what a withdrawn trainee left; being away just before the deadline settles the week,
//! and who leaves at the deadline or later leaves too late for it. Who was away at the end of reviews is owed nothing, also when they
//! come back.
//!
//! The tutor's score, the list of what is due by Sunday and the late weeks all ask [`answering`]. There is no other rhythm
//! to add; a scheme changes the first week, the grace and the number that disqualifies.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};

use crate::absence::Absences;
use crate::history::History;
use crate::ids::SubmissionId;
use crate::scheme::Scheme;
use crate::submission::{Standing, Submission, standings};

/// One week of marking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkingWeek {
    /// 0 for the week that holds `late_week.from`, then counting up.
    pub index: i64,
    /// Its Monday.
    pub monday: NaiveDate,
    /// Its Sunday.
    pub sunday: NaiveDate,
    /// The first instant that is too late: the end of the Sunday, plus the grace.
    pub deadline: DateTime<Utc>,
}

/// The week that an instant falls in; `None` before the week that holds `late_week.from`.
pub fn week_of(scheme: &Scheme, at: DateTime<Utc>) -> Option<MarkingWeek> {
    let rule = &scheme.tutor.marking.late_week;
    let first_monday = monday_of(rule.from);
    let monday = monday_of(scheme.zone.day_of(at));
    if monday < first_monday {
        return None;
    }
    let sunday = monday + Days::new(6);
    let deadline = scheme.zone.start_of(monday + Days::new(7)) + TimeDelta::seconds(rule.grace_seconds);
    Some(MarkingWeek { index: (monday - first_monday).num_days() / 7, monday, sunday, deadline })
}

fn monday_of(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.weekday().num_days_from_monday()))
}

/// Where a trainee stood and when they were away, of submissions that were recorded for another id of theirs.
pub type Elsewhere<Place> = BTreeMap<SubmissionId, (History<Place>, Absences)>;

/// The work of one trainee, for whoever has to mark it. `Place` is what tells the class: where the trainee stands.
#[derive(Debug)]
pub struct TraineeWork<'w, Place> {
    /// Every submission.
    pub submissions: &'w [Submission],
    /// Where the trainee stood.
    pub places: &'w History<Place>,
    /// When the trainee was away.
    pub absences: &'w Absences,
    /// Who has two ids hands in where either stands: a submission is marked where it was handed in.
    pub elsewhere: &'w Elsewhere<Place>,
}

impl<'w, Place> TraineeWork<'w, Place> {
    /// Where the trainee stood, for a submission.
    fn places(&self, submission: &Submission) -> &'w History<Place> {
        self.elsewhere.get(&submission.id).map_or(self.places, |(places, _)| places)
    }

    /// Whether the trainee was away, by either id, for a submission.
    fn is_away(&self, submission: &Submission, then: impl Fn(&Absences) -> bool) -> bool {
        then(self.absences) || self.elsewhere.get(&submission.id).is_some_and(|(_, absences)| then(absences))
    }
}

/// Who answers for the marking of one submission as of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answering<'w, Place> {
    /// The submission.
    pub submission: &'w Submission,
    /// The place whose class owes a mark.
    pub owed_in: Option<&'w Place>,
    /// The week that it made late, and the place whose class's week it was.
    pub late: Option<(MarkingWeek, &'w Place)>,
}

/// Who answers for the marking of a trainee's submissions as of a time; those that nobody answers for are left out.
pub fn answering<'w, Place>(
    scheme: &Scheme,
    work: &TraineeWork<'w, Place>,
    as_of: DateTime<Utc>,
) -> Vec<Answering<'w, Place>> {
    let mut found = Vec::new();
    for (submission, standing) in standings(scheme, work.submissions, as_of) {
        let owed_in = owed_in(scheme, work, submission, standing, as_of);
        let late = late_week(scheme, work, submission, standing, as_of);
        if owed_in.is_some() || late.is_some() {
            found.push(Answering { submission, owed_in, late });
        }
    }
    found
}

fn owed_in<'w, Place>(
    scheme: &Scheme,
    work: &TraineeWork<'w, Place>,
    submission: &Submission,
    standing: Standing<'_>,
    as_of: DateTime<Utc>,
) -> Option<&'w Place> {
    let review_until = scheme.trainee.assignment.review_until;
    let is_marked = submission.last_mark(as_of, review_until).is_some();
    // Who comes back after the end of reviews had nobody who could mark for them by then.
    let is_away = work.is_away(submission, |absences| {
        absences.at(as_of) || (as_of >= review_until && absences.before(review_until))
    });
    if standing != Standing::Counts || is_marked || is_away {
        return None;
    }
    let places = work.places(submission);
    Some(if as_of < review_until { places.at(as_of) } else { places.before(review_until) })
}

fn late_week<'w, Place>(
    scheme: &Scheme,
    work: &TraineeWork<'w, Place>,
    submission: &Submission,
    standing: Standing<'_>,
    as_of: DateTime<Utc>,
) -> Option<(MarkingWeek, &'w Place)> {
    if matches!(standing, Standing::Disregarded { .. }) {
        return None;
    }
    let week = week_of(scheme, submission.submitted_at).filter(|week| week.deadline <= as_of)?;
    let settled = [submission.first_marked_at(), standing.superseded_at()];
    let is_settled = settled.into_iter().flatten().any(|settled_at| settled_at < week.deadline);
    if is_settled || work.is_away(submission, |absences| absences.before(week.deadline)) {
        return None;
    }
    Some((week, work.places(submission).before(week.deadline)))
}
