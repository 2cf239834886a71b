//! Crediting study time: what one heartbeat is worth, and why the rest of it is worth nothing (scoring.md, Study time).
//!
//! State is small and per key (a learner, a session, a course of a learner), so that a province's heartbeats need no
//! history. Whole seconds: the elapsed time of a heartbeat is the interval since the session's previous one, rounded down,
//! and of those seconds every one is either credited or has an [`UncreditedReason`]. A fraction of a second is never
//! carried over to the next heartbeat.
//!
//! To add a reason, add it to the enum and take its seconds from `left` in `heartbeat`, at the place in the order where
//! it belongs: what a heartbeat can't prove first (gap, overlap), then what the scheme does not count.

use chrono::{DateTime, NaiveDate, Utc};

use crate::scheme::{OnlineEntry, Scheme};
use crate::vocabulary::Category;

/// Why seconds were not credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UncreditedReason {
    /// The learner was credited for that time already, in this or another session.
    Overlap,
    /// Longer since the previous heartbeat than the scheme's maximum.
    Gap,
    /// The course is credited up to its length.
    CourseFull,
    /// The learner's credit of the day is used up.
    DailyCap,
    /// The heartbeat's `seq` was seen before. Always 0 seconds: the time is accounted for at the next new heartbeat.
    Duplicate,
    /// No phase that takes the course's category is open at the heartbeat.
    OutsideWindow,
}

impl UncreditedReason {
    /// Every reason.
    pub const ALL: &'static [Self] =
        &[Self::Overlap, Self::Gap, Self::CourseFull, Self::DailyCap, Self::Duplicate, Self::OutsideWindow];

    /// The stable code, e.g. `COURSE_FULL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "OVERLAP",
            Self::Gap => "GAP",
            Self::CourseFull => "COURSE_FULL",
            Self::DailyCap => "DAILY_CAP",
            Self::Duplicate => "DUPLICATE",
            Self::OutsideWindow => "OUTSIDE_WINDOW",
        }
    }

    /// Reads a code; `None` when there is no such reason.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == code)
    }
}

/// What is kept of a learner, over all sessions. Starts as `LearnerStudy::default()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LearnerStudy {
    /// The end of the last interval credited in any session.
    pub credited_until: Option<DateTime<Utc>>,
    /// The local calendar day of the last credit.
    pub day: Option<NaiveDate>,
    /// The seconds credited on that day.
    pub day_seconds: i64,
}

/// What is kept of a session: its last heartbeat that was no duplicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStudy {
    /// Its `seq`.
    pub last_seq: i64,
    /// Its instant.
    pub last_at: DateTime<Utc>,
}

/// What is kept of a learner's course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CourseStudy {
    /// The course's length, in seconds.
    pub length_seconds: i64,
    /// The seconds credited to the learner so far.
    pub credited_seconds: i64,
    /// The course's category.
    pub category: Category,
}

impl CourseStudy {
    /// Whether the course is credited in full.
    pub fn is_complete(&self) -> bool {
        self.credited_seconds >= self.length_seconds
    }
}

/// What kind of heartbeat it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeartbeatOutcome {
    /// The session's first: credits nothing.
    Opened,
    /// A later one, accounted for in full (its credit may be 0).
    Credited,
    /// One whose `seq` is not larger than the last: nothing changed.
    Duplicate,
}

/// What a heartbeat was worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// What kind of heartbeat it was.
    pub outcome: HeartbeatOutcome,
    /// The seconds credited, dated at the heartbeat.
    pub credited_seconds: i64,
    /// The other seconds by reason, in the order in which they were taken. Only a duplicate has an entry of 0.
    pub uncredited: Vec<(UncreditedReason, i64)>,
    /// The indices of the online entries that the credit counts for; empty when nothing was credited.
    pub phases: Vec<usize>,
}

/// A heartbeat dated before the session's previous one (`OUT_OF_ORDER`). Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the heartbeat is dated before the session's previous one")]
pub struct OutOfOrder;

/// Credits one heartbeat and moves the state (scoring.md, Study time). The seconds since the session's previous heartbeat
/// lose, in this order: what lies beyond the maximum gap, counted back from the heartbeat (`GAP`); what lies before the
/// learner's `credited_until` (`OVERLAP`); everything when no phase takes the category at `at` (`OUTSIDE_WINDOW`); what
/// the course no longer holds (`COURSE_FULL`); what the day no longer holds, the local day of `at` (`DAILY_CAP`).
/// The rest is credited. `credited_until` moves to `at` only when something was.
///
/// Errors with [`OutOfOrder`], and changes nothing, when `at` is before the session's previous heartbeat; a duplicate
/// `seq` is answered as a duplicate even then.
pub fn heartbeat(
    scheme: &Scheme,
    learner: &mut LearnerStudy,
    session: &mut Option<SessionStudy>,
    course: &mut CourseStudy,
    seq: i64,
    at: DateTime<Utc>,
) -> Result<Credit, OutOfOrder> {
    let Some(previous) = session else {
        *session = Some(SessionStudy { last_seq: seq, last_at: at });
        return Ok(without_credit(HeartbeatOutcome::Opened, Vec::new()));
    };
    if seq <= previous.last_seq {
        let uncredited = vec![(UncreditedReason::Duplicate, 0)];
        return Ok(without_credit(HeartbeatOutcome::Duplicate, uncredited));
    }
    if at < previous.last_at {
        return Err(OutOfOrder);
    }
    let elapsed_seconds = (at - previous.last_at).num_seconds();
    *previous = SessionStudy { last_seq: seq, last_at: at };

    let mut left = Remainder { seconds: elapsed_seconds, uncredited: Vec::new() };
    left.keep_at_most(scheme.study.max_gap_seconds, UncreditedReason::Gap);
    if let Some(credited_until) = learner.credited_until {
        left.keep_at_most((at - credited_until).num_seconds(), UncreditedReason::Overlap);
    }
    let phases = scheme.phases_open(course.category, at);
    if phases.is_empty() {
        left.keep_at_most(0, UncreditedReason::OutsideWindow);
    }
    if scheme.study.cap_course_at_duration {
        left.keep_at_most(course.length_seconds - course.credited_seconds, UncreditedReason::CourseFull);
    }
    let day = scheme.zone.day_of(at);
    // Credit lies after `credited_until`, so days never run backwards here: another day is always a later one.
    let day_seconds = if learner.day == Some(day) { learner.day_seconds } else { 0 };
    if let Some(daily_cap_seconds) = scheme.study.daily_cap_seconds {
        left.keep_at_most(daily_cap_seconds - day_seconds, UncreditedReason::DailyCap);
    }

    if left.seconds == 0 {
        return Ok(without_credit(HeartbeatOutcome::Credited, left.uncredited));
    }
    learner.credited_until = Some(at);
    learner.day = Some(day);
    learner.day_seconds = day_seconds + left.seconds;
    course.credited_seconds += left.seconds;
    Ok(Credit {
        outcome: HeartbeatOutcome::Credited,
        credited_seconds: left.seconds,
        uncredited: left.uncredited,
        phases,
    })
}

fn without_credit(outcome: HeartbeatOutcome, uncredited: Vec<(UncreditedReason, i64)>) -> Credit {
    Credit { outcome, credited_seconds: 0, uncredited, phases: Vec::new() }
}

/// The seconds of a heartbeat that are still to be credited, and those that are not.
struct Remainder {
    seconds: i64,
    uncredited: Vec<(UncreditedReason, i64)>,
}

impl Remainder {
    fn keep_at_most(&mut self, limit: i64, reason: UncreditedReason) {
        let excess = self.seconds - limit.clamp(0, self.seconds);
        if excess > 0 {
            self.uncredited.push((reason, excess));
            self.seconds -= excess;
        }
    }
}

/// Whether every main-line course is complete, given each one's (length, seconds credited inside the phase's window). With
/// no such course the answer is no (Annex 2: at least one).
pub fn main_line_complete(courses: impl IntoIterator<Item = (i64, i64)>) -> bool {
    let mut any = false;
    for (length_seconds, credited_in_window_seconds) in courses {
        if credited_in_window_seconds < length_seconds {
            return false;
        }
        any = true;
    }
    any
}

/// Whether a phase is achieved by the seconds credited inside its window, or by the main line (Annex 2, online). The
/// caller dates the achievement at the heartbeat after which this first holds.
pub fn phase_achieved(
    entry: &OnlineEntry,
    credited_in_window_seconds: i64,
    main_line_complete: bool,
) -> bool {
    main_line_complete || credited_in_window_seconds >= entry.required_seconds
}

/// A learner's study in one phase, kept up to date heartbeat by heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseStudy {
    /// The seconds credited inside the phase's window on courses of its categories.
    pub seconds: i64,
    /// When the phase was first achieved.
    pub achieved_at: Option<DateTime<Utc>>,
}

impl PhaseStudy {
    /// Adds a credit dated `at` (one that names this phase) and tells whether it achieved the phase just now.
    /// `main_line_complete` is as of after this credit. An achievement is never taken back; a phase that asks for 0 minutes
    /// is achieved without study ([`OnlineEntry::given_at`]).
    pub fn add(
        &mut self,
        entry: &OnlineEntry,
        credited_seconds: i64,
        main_line_complete: bool,
        at: DateTime<Utc>,
    ) -> bool {
        self.seconds += credited_seconds;
        let known_before = self.achieved_at.is_some() || entry.given_at().is_some();
        if known_before || !phase_achieved(entry, self.seconds, main_line_complete) {
            return false;
        }
        self.achieved_at = Some(at);
        true
    }
}
