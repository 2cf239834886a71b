//! A heartbeat: may it be, what is it worth, and what does it lead to.
//!
//! All state of one learner that a heartbeat can touch is a few small values, loaded for a whole batch and worked on in
//! memory; nothing here depends on how heartbeats were batched. A refused beat changes nothing. Completion of a phase by
//! its main line needs no list of courses: a phase counts the main-line courses completed inside its window, and is
//! compared with how many there are for this learner now, so that a course added later is taken into account at the
//! next beat. (That comparison rests on a learner's subject and stage staying what they are: no event changes them.)

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::History;
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::{
    self, CourseStudy, HeartbeatOutcome, LearnerStudy, PhaseStudy, SessionStudy, UncreditedReason,
};

/// When a learner may study a course, as instants: each check is one comparison for each beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    /// From then on the learner is withdrawn.
    pub(crate) withdrawn_at: Option<DateTime<Utc>>,
    /// When learning was opened for the county in which the learner stood as of then.
    pub(crate) opened_at: History<Option<DateTime<Utc>>>,
    /// The learner's first log-in.
    pub(crate) login_at: Option<DateTime<Utc>>,
    /// Whether the course is for the learner's subject and education stage.
    pub(crate) applicable: bool,
    /// Whether the scheme prescribes the course, so that it needs no selection.
    pub(crate) main_line: bool,
    /// When the learner selected the course.
    pub(crate) selected_at: Option<DateTime<Utc>>,
}

impl Gate {
    /// Whether a beat at `at` may pass; the first thing that stands against it is the reason.
    pub(crate) fn admit(&self, at: DateTime<Utc>) -> Result<(), ErrorReason> {
        let by_then = |since: Option<DateTime<Utc>>| since.is_some_and(|since| since <= at);
        if by_then(self.withdrawn_at) {
            return Err(ErrorReason::Withdrawn);
        }
        if !by_then(*self.opened_at.at(at)) || !by_then(self.login_at) {
            return Err(ErrorReason::LearningNotOpen);
        }
        if !self.applicable {
            return Err(ErrorReason::CourseNotApplicable);
        }
        if !self.main_line && !by_then(self.selected_at) {
            return Err(ErrorReason::CourseNotSelected);
        }
        Ok(())
    }
}

/// Whether a beat may be: the first thing that stands against it is the reason. `gate` is a refusal where there is no
/// such trainee or course; `taken` says that the session's id is that of another learner or course.
pub(crate) fn admit_beat(
    gate: &Result<Gate, ErrorReason>,
    taken: bool,
    beat: &Beat,
) -> Result<(i64, DateTime<Utc>), ErrorReason> {
    let at = beat.at?;
    if beat.seq < 0 {
        return Err(ErrorReason::InvalidField);
    }
    match gate {
        Ok(gate) => gate.admit(at)?,
        Err(reason) => return Err(*reason),
    }
    if taken {
        return Err(ErrorReason::AlreadyExists);
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

/// Seconds and heartbeats that one reason took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) seconds: i64,
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
    /// Whether it must be written.
    pub(crate) changed: bool,
}

/// A learner over all sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Learner {
    pub(crate) study: LearnerStudy,
    /// One for each online entry of the scheme, in its order.
    pub(crate) phases: Vec<Phase>,
    /// Whether it is stored already.
    pub(crate) stored: bool,
    /// Whether it must be written.
    pub(crate) changed: bool,
}

/// A learner's course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LearnerCourse {
    pub(crate) study: CourseStudy,
    /// Seconds from inside the window of each online entry; kept for main-line courses only, empty for others.
    pub(crate) phase_seconds: Vec<i64>,
    /// Whether it must be written.
    pub(crate) changed: bool,
}

/// A session: one learner watching one course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) study: SessionStudy,
    pub(crate) credited_seconds: i64,
    /// By reason, in the order of [`UncreditedReason::ALL`].
    pub(crate) uncredited: [Tally; UncreditedReason::ALL.len()],
    /// Whether it is stored already.
    pub(crate) stored: bool,
    /// Whether it must be written.
    pub(crate) changed: bool,
}

/// What a beat led to, beside its credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The session began.
    SessionOpened,
    /// The course is credited in full.
    CourseCompleted,
    /// The phase of this index is achieved.
    PhaseAchieved { phase: usize, by: AchievedBy },
}

/// What became of a beat that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worth {
    pub(crate) outcome: HeartbeatOutcome,
    pub(crate) credited_seconds: i64,
    pub(crate) uncredited: Vec<(UncreditedReason, i64)>,
}

/// Takes a beat that the gate admits, on a session of this learner and course. `main_line_totals` says for each online
/// entry how many main-line courses apply to the learner now. What it led to is added to `facts`.
///
/// Refused with OUT_OF_ORDER; then nothing changed.
pub(crate) fn take_beat(
    scheme: &Scheme,
    main_line_totals: &[i64],
    learner: &mut Learner,
    course: &mut LearnerCourse,
    session: &mut Option<Session>,
    (seq, at): (i64, DateTime<Utc>),
    facts: &mut Vec<Fact>,
) -> Result<Worth, ErrorReason> {
    let was_complete = course.study.is_complete();
    let mut progress = session.as_ref().map(|session| session.study.clone());
    let credit = study_time::heartbeat(scheme, &mut learner.study, &mut progress, &mut course.study, seq, at)
        .map_err(|_| ErrorReason::OutOfOrder)?;
    let Some(progress) = progress else { return Err(ErrorReason::OutOfOrder) };

    let kept = session.get_or_insert_with(|| {
        facts.push(Fact::SessionOpened);
        learner.changed |= !learner.stored;
        Session {
            opened_at: at,
            study: progress.clone(),
            credited_seconds: 0,
            uncredited: [Tally::default(); UncreditedReason::ALL.len()],
            stored: false,
            changed: true,
        }
    });
    kept.study = progress;
    kept.changed = true;
    kept.credited_seconds += credit.credited_seconds;
    for (reason, seconds) in &credit.uncredited {
        let tally = &mut kept.uncredited[place_of(*reason)];
        tally.seconds += seconds;
        tally.beats += 1;
    }

    let worth = Worth {
        outcome: credit.outcome,
        credited_seconds: credit.credited_seconds,
        uncredited: credit.uncredited,
    };
    if credit.outcome == HeartbeatOutcome::Duplicate {
        return Ok(worth);
    }
    if credit.credited_seconds > 0 {
        learner.changed = true;
        course.changed = true;
        if !was_complete && course.study.is_complete() {
            facts.push(Fact::CourseCompleted);
        }
    }
    add_to_phases(
        scheme,
        main_line_totals,
        learner,
        course,
        &credit.phases,
        credit.credited_seconds,
        at,
        facts,
    );
    Ok(worth)
}

/// Adds a credit to the phases that it counts for, and looks at every phase whose window holds the beat.
#[expect(clippy::too_many_arguments, reason = "the second half of take_beat, with the same state")]
fn add_to_phases(
    scheme: &Scheme,
    main_line_totals: &[i64],
    learner: &mut Learner,
    course: &mut LearnerCourse,
    counts_for: &[usize],
    credited_seconds: i64,
    at: DateTime<Utc>,
    facts: &mut Vec<Fact>,
) {
    for (index, (entry, phase)) in scheme.trainee.online.iter().zip(&mut learner.phases).enumerate() {
        if !entry.period.contains(at) {
            continue;
        }
        let seconds = if counts_for.contains(&index) { credited_seconds } else { 0 };
        if seconds > 0 {
            phase.changed = true;
            if let Some(inside) = course.phase_seconds.get_mut(index) {
                let was_complete = *inside >= course.study.length_seconds;
                *inside += seconds;
                if !was_complete && *inside >= course.study.length_seconds {
                    phase.main_line_complete += 1;
                }
            }
        }
        let total = main_line_totals.get(index).copied().unwrap_or_default();
        let main_line_complete = total > 0 && phase.main_line_complete >= total;
        if phase.study.add(entry, seconds, main_line_complete, at) {
            let by_minutes = phase.study.seconds >= entry.required_seconds;
            let by = if by_minutes { AchievedBy::Minutes } else { AchievedBy::MainLine };
            phase.achieved_by = Some(by);
            phase.changed = true;
            facts.push(Fact::PhaseAchieved { phase: index, by });
        }
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
    }
}

#[cfg(test)]
#[path = "study_tests.rs"]
mod tests;
