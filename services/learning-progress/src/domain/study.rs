//! A heartbeat: may it be, what is it worth, and what does it lead to.
//!
//! All state of one learner that a heartbeat can touch is a few small values, loaded for a whole batch and worked on in
//! memory; nothing here depends on how heartbeats were batched. A refused beat changes nothing. Completion of a phase by
//! its main line needs no list of courses: a phase counts the main-line courses completed inside its window, and is
//! compared with how many there are for this learner now, so that a course added later is taken into account at the
//! next beat. That comparison rests on a learner's subject and stage staying what they are; where they change, what was achieved is
//! read anew (`projector`), and from then on by dates. Where a course changes, everybody is read anew (`anew`).
//! A beat dated before one that is credited already, or before the last change of what is studied, makes its learner late: when they
//! achieved what is then read from all their credit (`dated`), since the order of arrival decides nothing.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::{Absences, History};
use shipei_rules::ids::SessionId;
use shipei_rules::intervals::Span;
use shipei_rules::scheme::{OnlineEntry, Scheme};
use shipei_rules::study_time::{
    self, CourseStudy, HeartbeatOutcome, LearnerStudy, MICROS_PER_SECOND, PhaseStudy, SessionStudy,
    UncreditedReason, whole_seconds,
};

use super::beats::BeatLog;
use super::course::{Course, Terms};
use super::refusals::Refusals;

/// When a learner may study a course, as instants: each check is one comparison for each beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Eligibility {
    /// When the learner was away.
    pub(crate) absences: Absences,
    /// When learning was opened for the county in which the learner stood as of then.
    pub(crate) opened_at: History<Option<DateTime<Utc>>>,
    /// The learner's first log-in.
    pub(crate) login_at: Option<DateTime<Utc>>,
    /// What the course asks of the learner as of then.
    pub(crate) course: History<CourseGate>,
    /// When the learner selected the course.
    pub(crate) selected_at: Option<DateTime<Utc>>,
}

/// What a course asks of a learner, at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CourseGate {
    /// Why it can't be studied: it is retired, or for other subjects or stages.
    pub(crate) refused: Option<ErrorReason>,
    /// Whether the scheme prescribes it, so that it needs no selection.
    pub(crate) main_line: bool,
}

impl Eligibility {
    /// Whether a beat at `at` may pass; the first thing that stands against it is the reason.
    pub(crate) fn admit(&self, at: DateTime<Utc>) -> Result<(), ErrorReason> {
        let by_then = |since: Option<DateTime<Utc>>| since.is_some_and(|since| since <= at);
        if self.absences.at(at) {
            return Err(ErrorReason::Withdrawn);
        }
        if !by_then(*self.opened_at.at(at)) || !by_then(self.login_at) {
            return Err(ErrorReason::LearningNotOpen);
        }
        let gate = self.course.at(at);
        if let Some(reason) = gate.refused {
            return Err(reason);
        }
        if !gate.main_line && !by_then(self.selected_at) {
            return Err(ErrorReason::CourseNotSelected);
        }
        Ok(())
    }

    /// Whether a fact that decides has just this instant.
    fn turns_at(&self, at: DateTime<Utc>) -> bool {
        let facts = [*self.opened_at.at(at), self.login_at, self.selected_at];
        facts.contains(&Some(at))
            || self.absences.turns_at(at)
            || self.course.at(at) != self.course.before(at)
    }
}

/// What is known of the session that a beat names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownSession<'a> {
    pub(crate) session_id: &'a SessionId,
    /// Whether it is one of another course.
    pub(crate) taken: bool,
    /// As it stands, when it was opened.
    pub(crate) session: Option<&'a Session>,
    /// What the learner was refused.
    pub(crate) refusals: &'a Refusals,
}

/// Whether a beat may be: the first thing that stands against it is the reason. `eligibility` is a refusal where there is no
/// such trainee or course. A beat that was taken before may be whatever is known now, since it is a duplicate.
pub(crate) fn admit_beat(
    eligibility: &Result<Eligibility, ErrorReason>,
    known: KnownSession<'_>,
    beat: &Beat,
) -> Result<(i64, DateTime<Utc>), ErrorReason> {
    let at = beat.at?;
    if beat.seq < 0 {
        return Err(ErrorReason::InvalidField);
    }
    let eligibility = eligibility.as_ref().map_err(|reason| *reason)?;
    let verdict = eligibility.admit(at);
    let is_tie = eligibility.turns_at(at);
    if verdict.is_err() || is_tie {
        let session = known.session.filter(|_| !known.taken);
        if session.is_some_and(|session| session.has_taken(beat.seq, at)) {
            return Ok((beat.seq, at));
        }
        if let Some(reason) = known.refusals.of(known.session_id, at).filter(|_| is_tie) {
            return Err(reason);
        }
    }
    verdict?;
    if known.taken {
        return Err(ErrorReason::AlreadyExists);
    }
    if known.session.is_some_and(|session| session.voided && beat.seq > session.study.last_seq) {
        return Err(ErrorReason::SessionVoided);
    }
    Ok((beat.seq, at))
}

/// One heartbeat, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beat {
    /// Its number within the session.
    pub(crate) seq: i64,
    /// When, or why that can't be.
    pub(crate) at: Result<DateTime<Utc>, ErrorReason>,
}

/// Time and heartbeats that one reason took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) micros: i64,
    pub(crate) beats: i64,
}

/// How a phase was achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AchievedBy {
    /// The sum of seconds.
    Minutes,
    /// Every main-line course that applies.
    MainLine,
}

/// A learner's phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) study: PhaseStudy,
    /// Main-line courses completed by credit from inside the window.
    pub(crate) main_line_complete: i64,
    pub(crate) achieved_by: Option<AchievedBy>,
    /// How often what stands of it has changed.
    pub(crate) version: i64,
    /// Whether it must be written.
    pub(crate) changed: bool,
}

/// A learner over all sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Learner {
    pub(crate) study: LearnerStudy,
    /// One for each online entry of the scheme, in its order.
    pub(crate) phases: Vec<Phase>,
    /// The beats that came too early.
    pub(crate) refusals: Refusals,
    /// Whether beats are dated before such as are credited: what was achieved is then read by dates.
    pub(crate) is_late: bool,
    /// Whether it is stored already.
    pub(crate) stored: bool,
    /// Whether its row must be written; days have a mark of their own.
    pub(crate) changed: bool,
}

/// A learner's course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LearnerCourse {
    /// With the course's length and category as of the beat that is looked at.
    pub(crate) study: CourseStudy,
    /// What is credited inside the window of each online entry; kept for courses that are main-line or were, empty for others.
    pub(crate) inside: Vec<Inside>,
    /// Whether the main line asks for it as of that beat.
    pub(crate) main_line: bool,
    /// When it was credited in full, by its length of then.
    pub(crate) completed_at: Option<DateTime<Utc>>,
    /// How often that has changed.
    pub(crate) version: i64,
    /// Whether it must be written.
    pub(crate) changed: bool,
}

impl LearnerCourse {
    /// Nothing is credited of a course yet.
    pub(crate) fn new(course: &Course, phases_count: usize) -> Self {
        let terms = course.terms.last();
        let inside = if course.is_ever_main_line() { phases_count } else { 0 };
        Self {
            study: CourseStudy {
                length_seconds: terms.length_seconds,
                credited_micros: 0,
                category: terms.category,
            },
            inside: vec![Inside::default(); inside],
            main_line: terms.main_line,
            completed_at: None,
            version: 0,
            changed: false,
        }
    }

    /// Takes the course's length and category as of a beat.
    pub(crate) fn as_of(&mut self, terms: &Terms) {
        self.study.length_seconds = terms.length_seconds;
        self.study.category = terms.category;
        self.main_line = terms.main_line;
    }

    /// Takes when it was credited in full, if that is something else; tells whether it is.
    pub(crate) fn complete(&mut self, at: Option<DateTime<Utc>>) -> bool {
        let is_news = self.completed_at != at;
        if is_news {
            self.completed_at = at;
            self.version += 1;
            self.changed = true;
        }
        is_news
    }
}

/// What is credited of a course inside a phase's window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) micros: i64,
    /// Whether that was all of its length at some time.
    pub(crate) complete: bool,
}

impl Inside {
    /// Looks whether the course is complete by this length; tells whether it was not before. One of no length never is: nobody
    /// waits for it.
    pub(crate) fn look(&mut self, length_micros: i64) -> bool {
        let is_news = !self.complete && length_micros > 0 && self.micros >= length_micros;
        self.complete |= is_news;
        is_news
    }
}

/// A session: one learner watching one course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) study: SessionStudy,
    pub(crate) credited_micros: i64,
    /// Every beat after the first. Of a voided session they keep what they had been credited, which counts nothing.
    pub(crate) beats: BeatLog,
    /// Whether it is voided: it is credited nothing.
    pub(crate) voided: bool,
    /// By reason, in the order of [`UncreditedReason::ALL`].
    pub(crate) uncredited: [Tally; UncreditedReason::ALL.len()],
    /// Whether it is stored already.
    pub(crate) stored: bool,
    /// Whether it must be written.
    pub(crate) changed: bool,
}

impl Session {
    /// The beats after the first, each with what is credited of it: nothing of a voided session.
    pub(crate) fn credits(&self) -> impl Iterator<Item = (DateTime<Utc>, Vec<Span>)> + '_ {
        let beats = self.beats.beats(self.opened_at);
        beats.map(|(at, spans)| (at, if self.voided { Vec::new() } else { spans }))
    }

    /// Whether it took this beat.
    fn has_taken(&self, seq: i64, at: DateTime<Utc>) -> bool {
        seq <= self.study.last_seq && self.beats.has(self.opened_at, at)
    }
}

/// What a beat led to, beside its credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The session began.
    SessionOpened,
    /// The course is credited in full; `version` counts what was said of it.
    CourseCompleted { version: i64 },
    /// The phase of this index is achieved; `version` counts what was said of it.
    PhaseAchieved { phase: usize, by: AchievedBy, version: i64 },
    /// Study of a phase that is not achieved passed another step.
    PhaseStudied(PhaseProgress),
}

/// How much of a phase that is not achieved was studied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PhaseProgress {
    /// Its index.
    pub(crate) phase: usize,
    /// In whole steps ([`study_time::whole_steps`]).
    pub(crate) seconds: i64,
    /// The latest heartbeat or grant that credit rests on.
    pub(crate) latest_at: Option<DateTime<Utc>>,
    /// Counts what was said of the phase.
    pub(crate) version: i64,
}

/// What became of a beat that was not refused. Seconds are by how much the whole seconds of the session's sum grew, so that
/// those of all beats are those of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worth {
    pub(crate) outcome: HeartbeatOutcome,
    pub(crate) credited_micros: i64,
    pub(crate) credited_seconds: i64,
    pub(crate) uncredited: Vec<(UncreditedReason, i64)>,
}

/// Takes a beat that the eligibility admits, on a session of this learner and course, which is as of the beat. `main_line_totals` says for each online
/// entry how many main-line courses apply to the learner now. What it led to is added to `facts`, but for a late learner,
/// whose facts are read by dates.
///
/// Refused with OUT_OF_ORDER, or with LIMIT_REACHED when the session is full; then nothing changed.
pub(crate) fn take_beat(
    scheme: &Scheme,
    main_line_totals: &[i64],
    (learner, course, session): (&mut Learner, &mut LearnerCourse, &mut Option<Session>),
    (seq, at): (i64, DateTime<Utc>),
    facts: &mut Vec<Fact>,
) -> Result<Worth, ErrorReason> {
    let previous = session.as_ref().map(|session| session.study);
    if session.as_ref().is_some_and(|session| session.beats.is_full() && seq > session.study.last_seq) {
        return Err(ErrorReason::LimitReached);
    }
    let mut progress = previous;
    let credit = study_time::heartbeat(scheme, &mut learner.study, &mut progress, &mut course.study, seq, at)
        .map_err(|_| ErrorReason::OutOfOrder)?;
    let Some(progress) = progress else { return Err(ErrorReason::OutOfOrder) };

    let kept = session.get_or_insert_with(|| {
        facts.push(Fact::SessionOpened);
        learner.changed |= !learner.stored;
        Session {
            opened_at: at,
            study: progress,
            credited_micros: 0,
            beats: BeatLog::default(),
            voided: false,
            uncredited: [Tally::default(); UncreditedReason::ALL.len()],
            stored: false,
            changed: true,
        }
    });
    let credited_micros = credit.micros();
    let mut worth = Worth {
        outcome: credit.outcome,
        credited_micros,
        credited_seconds: grow(&mut kept.credited_micros, credited_micros),
        uncredited: Vec::with_capacity(credit.uncredited.len()),
    };
    for (reason, micros) in &credit.uncredited {
        let tally = &mut kept.uncredited[place_of(*reason)];
        worth.uncredited.push((*reason, grow(&mut tally.micros, *micros)));
        tally.beats += 1;
    }
    kept.study = progress;
    kept.changed = true;
    if credit.outcome == HeartbeatOutcome::Duplicate {
        return Ok(worth);
    }
    if let Some(previous) = previous {
        kept.beats.push(previous.last_at, at, &credit.credited);
    }
    if credited_micros > 0 {
        course.changed = true;
        let is_complete = course.study.length_seconds > 0 && course.study.is_complete();
        if !learner.is_late && course.completed_at.is_none() && is_complete {
            course.complete(Some(at));
            facts.push(Fact::CourseCompleted { version: course.version });
        }
    }
    add_to_phases(scheme, main_line_totals, learner, course, &credit.phases, credited_micros, at, facts);
    Ok(worth)
}

/// Adds to a sum, and gives by how much its whole seconds grew.
fn grow(sum: &mut i64, micros: i64) -> i64 {
    let before = whole_seconds(*sum);
    *sum += micros;
    whole_seconds(*sum) - before
}

/// Adds a credit to the phases that it counts for, and looks at every phase whose window holds the beat.
#[expect(clippy::too_many_arguments, reason = "the second half of take_beat, with the same state")]
fn add_to_phases(
    scheme: &Scheme,
    main_line_totals: &[i64],
    learner: &mut Learner,
    course: &mut LearnerCourse,
    counts_for: &[usize],
    credited_micros: i64,
    at: DateTime<Utc>,
    facts: &mut Vec<Fact>,
) {
    for (index, (entry, phase)) in scheme.trainee.online.iter().zip(&mut learner.phases).enumerate() {
        if !entry.period.contains(at) {
            continue;
        }
        let micros_before = phase.study.micros;
        if credited_micros > 0 && counts_for.contains(&index) {
            phase.changed = true;
            phase.study.add(credited_micros, at);
            if let Some(inside) = course.inside.get_mut(index) {
                inside.micros += credited_micros;
                let is_complete = inside.look(course.study.length_micros());
                phase.main_line_complete += i64::from(is_complete && course.main_line);
            }
        }
        let total = main_line_totals.get(index).copied().unwrap_or_default();
        let main_line_complete = total > 0 && phase.main_line_complete >= total;
        if !learner.is_late && phase.study.look(entry, main_line_complete, at) {
            let by = achieved_by(entry, phase.study.micros);
            phase.achieved_by = Some(by);
            phase.version += 1;
            phase.changed = true;
            facts.push(Fact::PhaseAchieved { phase: index, by, version: phase.version });
        } else if phase.study.achieved_at.is_none()
            && phase.study.micros > micros_before
            && phase.study.micros < entry.required_seconds * MICROS_PER_SECOND
            && study_time::whole_steps(entry, phase.study.micros)
                > study_time::whole_steps(entry, micros_before)
        {
            facts.push(Fact::PhaseStudied(phase.tell(index, entry)));
        }
    }
}

/// How a phase with this sum was achieved.
pub(crate) fn achieved_by(entry: &OnlineEntry, micros: i64) -> AchievedBy {
    let by_minutes = micros >= entry.required_seconds * MICROS_PER_SECOND;
    if by_minutes { AchievedBy::Minutes } else { AchievedBy::MainLine }
}

impl Phase {
    /// What is said of it while it is not achieved.
    pub(crate) fn tell(&mut self, phase: usize, entry: &OnlineEntry) -> PhaseProgress {
        self.version += 1;
        self.changed = true;
        let seconds = study_time::whole_steps(entry, self.study.micros);
        PhaseProgress { phase, seconds, latest_at: self.study.last_at, version: self.version }
    }

    /// Takes what credit by its dates says, when that is earlier than what is known; tells whether it is.
    pub(crate) fn achieve(&mut self, at: DateTime<Utc>, by: AchievedBy) -> bool {
        let is_news = self.study.achieved_at.is_none_or(|known| at < known);
        if is_news {
            self.study.achieved_at = Some(at);
            self.achieved_by = Some(by);
            self.version += 1;
            self.changed = true;
        }
        is_news
    }

    /// Takes an achievement back.
    pub(crate) fn take_back(&mut self) {
        self.study.achieved_at = None;
        self.achieved_by = None;
        self.version += 1;
        self.changed = true;
    }
}

/// Where a reason stands in [`UncreditedReason::ALL`], and so in [`Session::uncredited`].
pub(crate) fn place_of(reason: UncreditedReason) -> usize {
    match reason {
        UncreditedReason::Overlap => 0,
        UncreditedReason::Gap => 1,
        UncreditedReason::CourseFull => 2,
        UncreditedReason::DailyCap => 3,
        UncreditedReason::Duplicate => 4,
        UncreditedReason::OutsideWindow => 5,
        UncreditedReason::Voided => 6,
    }
}

#[cfg(test)]
#[path = "study_tests.rs"]
mod tests;
