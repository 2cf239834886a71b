//! Crediting study time: what one heartbeat is worth, and why the rest of it is worth nothing (scoring.md, Study time).
//!
//! Time is exact, in whole microseconds; whole seconds are shown only ([`WholeSeconds`]). What was credited to a learner
//! is a set of intervals, kept by local day, so that a session that is uploaded late earns what nobody has earned, and
//! a day's limit holds in whatever order the days arrive. A heartbeat needs the days that it can touch, its session's
//! last heartbeat and the sum of its course: a province's heartbeats need no history.
//!
//! To add a reason, add it to the enum and take its time from `left` in `heartbeat`, at the place in the order where
//! it belongs: what a heartbeat can't prove first (gap, overlap), then what the scheme does not count.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::calendar::Period;
use crate::intervals::{Intervals, Span};
use crate::scheme::{OnlineEntry, Scheme};
use crate::vocabulary::Category;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// Why time was not credited.
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
    /// The heartbeat's `seq` was seen before. Always no time: it is accounted for at the next new heartbeat.
    Duplicate,
    /// No phase that takes the course's category is open at the heartbeat.
    OutsideWindow,
    /// It had been credited, and the session was voided by hand.
    Voided,
}

impl UncreditedReason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Overlap,
        Self::Gap,
        Self::CourseFull,
        Self::DailyCap,
        Self::Duplicate,
        Self::OutsideWindow,
        Self::Voided,
    ];

    /// The stable code, e.g. `COURSE_FULL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "OVERLAP",
            Self::Gap => "GAP",
            Self::CourseFull => "COURSE_FULL",
            Self::DailyCap => "DAILY_CAP",
            Self::Duplicate => "DUPLICATE",
            Self::OutsideWindow => "OUTSIDE_WINDOW",
            Self::Voided => "VOIDED",
        }
    }

    /// Reads a code; `None` when there is no such reason.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == code)
    }
}

/// What was credited to a learner on one local calendar day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayStudy {
    /// The day, in the scheme's time zone.
    pub day: NaiveDate,
    /// Its instants.
    pub period: Period,
    /// The instants of this day that are credited.
    pub credited: Intervals,
    /// The time credited by heartbeats of this day. A heartbeat just after midnight is credited what lies before it,
    /// too, so this may differ from what `credited` holds.
    pub micros: i64,
    /// Whether something was credited since this was made.
    pub changed: bool,
}

/// What is kept of a learner, over all sessions: the days that were asked for. Starts as `LearnerStudy::default()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LearnerStudy {
    /// In order.
    days: Vec<DayStudy>,
}

impl LearnerStudy {
    /// The days that were asked for, in order.
    pub fn days(&self) -> &[DayStudy] {
        &self.days
    }

    /// One of them.
    pub fn day_mut(&mut self, day: NaiveDate) -> Option<&mut DayStudy> {
        self.days.binary_search_by_key(&day, |known| known.day).ok().map(|index| &mut self.days[index])
    }

    /// Adds the days that a heartbeat at `at` can touch, empty. Whoever keeps days fills them before the heartbeat.
    pub fn ask_for(&mut self, scheme: &Scheme, at: DateTime<Utc>) {
        let from = at - longest_gap(scheme);
        if self.day_index(at).is_some() && self.day_index(from).is_some() {
            return;
        }
        let last = scheme.zone.day_of(at);
        let mut day = scheme.zone.day_of(from);
        loop {
            if let Err(index) = self.days.binary_search_by_key(&day, |known| known.day) {
                let next = day.succ_opt().unwrap_or(day);
                let (zone, from, until) =
                    (scheme.zone, scheme.zone.start_of(day), scheme.zone.start_of(next));
                let period = Period { from, until, zone };
                let credited = Intervals::default();
                self.days.insert(index, DayStudy { day, period, credited, micros: 0, changed: false });
            }
            match day.succ_opt() {
                Some(next) if day < last => day = next,
                _ => return,
            }
        }
    }

    /// Where the day of an instant stands.
    fn day_index(&self, at: DateTime<Utc>) -> Option<usize> {
        let index = self.days.partition_point(|day| day.period.until <= at);
        self.days.get(index).filter(|day| day.period.contains(at)).map(|_| index)
    }

    /// Credits a span that is free.
    fn credit(&mut self, span: Span) {
        self.change(span, Intervals::insert);
    }

    /// Frees a span that was credited by a heartbeat at `at`; its days must have been asked for.
    pub fn take_back(&mut self, span: Span, at: DateTime<Utc>) {
        self.change(span, Intervals::remove);
        if let Some(day) = self.day_index(at) {
            self.days[day].micros -= span.micros();
            self.days[day].changed = true;
        }
    }

    /// Takes back time that was granted by hand for an instant; its day must have been asked for.
    pub fn take_back_granted(&mut self, micros: i64, at: DateTime<Utc>) {
        if let Some(day) = self.day_index(at).filter(|_| micros > 0) {
            self.days[day].micros -= micros;
            self.days[day].changed = true;
        }
    }

    /// Changes what is credited of a span, day by day.
    fn change(&mut self, span: Span, change: impl Fn(&mut Intervals, Span)) {
        let first = self.first_day(span);
        for day in &mut self.days[first..] {
            let Some(part) = span_of(day).within(span) else { return };
            change(&mut day.credited, part);
            day.changed = true;
        }
    }

    /// What of a span is not credited, in order.
    fn free_of(&self, span: Span) -> Vec<Span> {
        let mut free = Vec::new();
        for day in &self.days[self.first_day(span)..] {
            let Some(part) = span_of(day).within(span) else { break };
            day.credited.push_free(part, &mut free);
        }
        free
    }

    /// The first day that does not end before a span.
    fn first_day(&self, span: Span) -> usize {
        self.days.partition_point(|day| span_of(day).until <= span.from)
    }
}

fn span_of(day: &DayStudy) -> Span {
    Span::new(day.period.from, day.period.until)
}

/// Credits time by hand, dated `at`: it takes no interval, and the caps are those of a heartbeat. Gives what is credited, and
/// the rest by reason. The day must have been asked for ([`LearnerStudy::ask_for`]).
pub fn grant(
    scheme: &Scheme,
    learner: &mut LearnerStudy,
    course: &mut CourseStudy,
    at: DateTime<Utc>,
    micros: i64,
) -> (i64, Vec<(UncreditedReason, i64)>) {
    let mut left = Remainder { spans: vec![Span { from: 0, until: micros }], uncredited: Vec::new() };
    let phases = scheme.phases_open(course.category, at);
    left.keep_what_counts(scheme, learner, course, at, &phases);
    let granted = left.micros();
    if let Some(day) = learner.day_index(at).filter(|_| granted > 0) {
        learner.days[day].micros += granted;
        learner.days[day].changed = true;
    }
    course.credited_micros += granted;
    (granted, left.uncredited)
}

/// The most time that one heartbeat stands for.
fn longest_gap(scheme: &Scheme) -> TimeDelta {
    TimeDelta::seconds(scheme.study.max_gap_seconds)
}

/// What is kept of a session: its last heartbeat that was no duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// The time credited to the learner so far.
    pub credited_micros: i64,
    /// The course's category.
    pub category: Category,
}

impl CourseStudy {
    /// The course's length.
    pub fn length_micros(&self) -> i64 {
        self.length_seconds * MICROS_PER_SECOND
    }

    /// Whether the course is credited in full.
    pub fn is_complete(&self) -> bool {
        self.credited_micros >= self.length_micros()
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
    /// What is credited, in order; dated at the heartbeat.
    pub credited: Vec<Span>,
    /// The rest of its time by reason, in microseconds, in the order in which it was taken. Only a duplicate has an entry of
    /// 0.
    pub uncredited: Vec<(UncreditedReason, i64)>,
    /// The indices of the online entries that the credit counts for; empty when nothing was credited.
    pub phases: Vec<usize>,
}

impl Credit {
    /// How much is credited.
    pub fn micros(&self) -> i64 {
        total(&self.credited)
    }
}

/// A heartbeat dated before the session's previous one (`OUT_OF_ORDER`). Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the heartbeat is dated before the session's previous one")]
pub struct OutOfOrder;

/// Credits one heartbeat and moves the state (scoring.md, Study time). The time since the session's previous heartbeat
/// loses, in this order: what lies beyond the maximum gap, counted back from the heartbeat (`GAP`); what is credited to
/// the learner already (`OVERLAP`); everything when no phase takes the category at `at` (`OUTSIDE_WINDOW`); what
/// the course no longer holds (`COURSE_FULL`); what the day no longer holds, the local day of `at` (`DAILY_CAP`).
/// Of what is free the last part is credited. The learner's days must have been asked for ([`LearnerStudy::ask_for`]).
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
    learner.ask_for(scheme, at);
    let elapsed = Span::new(previous.last_at, at);
    *previous = SessionStudy { last_seq: seq, last_at: at };

    let mut uncredited = Vec::new();
    let proved = Span { from: elapsed.from.max(Span::new(at - longest_gap(scheme), at).from), ..elapsed };
    note(&mut uncredited, UncreditedReason::Gap, elapsed.micros() - proved.micros());
    Ok(credit(scheme, learner, course, at, &[proved], uncredited))
}

/// Credits again what a heartbeat at `at` had been credited and was taken from it, of the session that is voided no more: what
/// nobody has earned meanwhile, within the caps. The learner's days must have been asked for.
pub fn credit_again(
    scheme: &Scheme,
    learner: &mut LearnerStudy,
    course: &mut CourseStudy,
    at: DateTime<Utc>,
    spans: &[Span],
) -> Credit {
    credit(scheme, learner, course, at, spans, Vec::new())
}

/// Credits what is free of some spans, within the caps.
fn credit(
    scheme: &Scheme,
    learner: &mut LearnerStudy,
    course: &mut CourseStudy,
    at: DateTime<Utc>,
    wanted: &[Span],
    mut uncredited: Vec<(UncreditedReason, i64)>,
) -> Credit {
    let spans: Vec<Span> = wanted.iter().flat_map(|span| learner.free_of(*span)).collect();
    note(&mut uncredited, UncreditedReason::Overlap, total(wanted) - total(&spans));
    let mut left = Remainder { spans, uncredited };
    let phases = scheme.phases_open(course.category, at);
    left.keep_what_counts(scheme, learner, course, at, &phases);

    if left.spans.is_empty() {
        return without_credit(HeartbeatOutcome::Credited, left.uncredited);
    }
    for span in &left.spans {
        learner.credit(*span);
    }
    if let Some(day) = learner.day_index(at) {
        learner.days[day].micros += left.micros();
        learner.days[day].changed = true;
    }
    course.credited_micros += left.micros();
    Credit { outcome: HeartbeatOutcome::Credited, credited: left.spans, uncredited: left.uncredited, phases }
}

fn without_credit(outcome: HeartbeatOutcome, uncredited: Vec<(UncreditedReason, i64)>) -> Credit {
    Credit { outcome, credited: Vec::new(), uncredited, phases: Vec::new() }
}

fn total(spans: &[Span]) -> i64 {
    spans.iter().map(|span| span.micros()).sum()
}

fn note(uncredited: &mut Vec<(UncreditedReason, i64)>, reason: UncreditedReason, micros: i64) {
    if micros > 0 {
        uncredited.push((reason, micros));
    }
}

/// The time of a heartbeat that is still to be credited, and that which is not.
struct Remainder {
    spans: Vec<Span>,
    uncredited: Vec<(UncreditedReason, i64)>,
}

impl Remainder {
    fn micros(&self) -> i64 {
        total(&self.spans)
    }

    /// Takes what the scheme does not count: outside every phase, beyond the course, beyond the day.
    fn keep_what_counts(
        &mut self,
        scheme: &Scheme,
        learner: &LearnerStudy,
        course: &CourseStudy,
        at: DateTime<Utc>,
        phases: &[usize],
    ) {
        if phases.is_empty() {
            self.keep_at_most(0, UncreditedReason::OutsideWindow);
        }
        if scheme.study.cap_course_at_duration {
            self.keep_at_most(course.length_micros() - course.credited_micros, UncreditedReason::CourseFull);
        }
        if let Some(daily_cap_seconds) = scheme.study.daily_cap_seconds {
            let day_micros = learner.day_index(at).map_or(0, |day| learner.days[day].micros);
            self.keep_at_most(daily_cap_seconds * MICROS_PER_SECOND - day_micros, UncreditedReason::DailyCap);
        }
    }

    /// Keeps the last part.
    fn keep_at_most(&mut self, limit: i64, reason: UncreditedReason) {
        let mut excess = self.micros() - limit.max(0);
        note(&mut self.uncredited, reason, excess);
        while excess > 0
            && let Some(first) = self.spans.first_mut()
        {
            let lost = excess.min(first.micros());
            first.from += lost;
            excess -= lost;
            if first.micros() == 0 {
                self.spans.remove(0);
            }
        }
    }
}

/// Shows the parts of a sum in whole seconds that add up: the first is rounded down, and all of them together are the sum
/// rounded down. Every part is less than a second from what it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct WholeSeconds {
    micros: i64,
    shown: i64,
}

impl WholeSeconds {
    /// The seconds of the next part.
    pub fn next(&mut self, micros: i64) -> i64 {
        self.micros += micros;
        let so_far = whole_seconds(self.micros);
        let seconds = so_far - self.shown;
        self.shown = so_far;
        seconds
    }
}

/// A sum as it is shown: rounded down, once.
pub fn whole_seconds(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_SECOND)
}

/// Whether a phase is achieved by the time credited inside its window, or by the main line (Annex 2, online). The
/// caller dates the achievement at the heartbeat after which this first holds.
pub fn phase_achieved(entry: &OnlineEntry, credited_in_window_micros: i64, main_line_complete: bool) -> bool {
    main_line_complete || credited_in_window_micros >= entry.required_seconds * MICROS_PER_SECOND
}

/// The shortest step in which credit towards a phase is told, in seconds.
const STEP_SECONDS_MIN: i64 = 600;
/// The most steps to a phase.
const STEPS_MAX: i64 = 4;

/// Time credited towards a phase, rounded down to whole steps, in seconds. A step is a quarter of what the entry asks for, in
/// whole minutes and at least ten: so much is told to others while a phase is not achieved, far more seldom than heartbeats come.
/// Each step has a trainee scored anew; ten of them cost an eighth of all heartbeats.
pub fn whole_steps(entry: &OnlineEntry, micros: i64) -> i64 {
    let minutes = (entry.required_seconds / STEPS_MAX + 59).div_euclid(60);
    let step = (minutes * 60).max(STEP_SECONDS_MIN);
    whole_seconds(micros).div_euclid(step) * step
}

/// A learner's study in one phase, kept up to date heartbeat by heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseStudy {
    /// The time credited inside the phase's window on courses of its categories.
    pub micros: i64,
    /// The latest heartbeat that it was credited by.
    pub last_at: Option<DateTime<Utc>>,
    /// When the phase was first achieved.
    pub achieved_at: Option<DateTime<Utc>>,
}

impl PhaseStudy {
    /// Adds a credit dated `at`, one that names this phase.
    pub fn add(&mut self, credited_micros: i64, at: DateTime<Utc>) {
        self.micros += credited_micros;
        self.last_at = self.last_at.max(Some(at));
    }

    /// Looks at the phase after a heartbeat at `at`, the latest of the learner's, and tells whether that achieved it.
    /// `main_line_complete` is as of then. A phase that asks for 0 minutes is achieved without study
    /// ([`OnlineEntry::given_at`]).
    pub fn look(&mut self, entry: &OnlineEntry, main_line_complete: bool, at: DateTime<Utc>) -> bool {
        let known_before = self.achieved_at.is_some() || entry.given_at().is_some();
        if known_before || !phase_achieved(entry, self.micros, main_line_complete) {
            return false;
        }
        self.achieved_at = Some(at);
        true
    }
}
