//! Study put right by hand: a session voided and given back, time granted (scoring.md, Facts that were wrong). All of a learner's study is
//! loaded for it, and what they achieved is read anew from all credit by its dates.

use chrono::{DateTime, Utc};
use shipei_rules::intervals::{Intervals, Span};
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::{self, UncreditedReason};

use super::beats::BeatLog;
use super::course::Course;
use super::dated::PhaseSum;
use super::study::{AchievedBy, Learner, LearnerCourse, Phase, Session, Tally, place_of};

/// Takes back what a session was credited, which is free again; the learner's days must be loaded. Gives what is free.
pub(crate) fn void(learner: &mut Learner, course: &mut LearnerCourse, session: &mut Session) -> Intervals {
    let mut freed = Intervals::default();
    for (at, spans) in session.beats.beats(session.opened_at) {
        for span in &spans {
            learner.study.take_back(*span, at);
            freed.insert(*span);
        }
        course.study.credited_micros -= spans.iter().map(|span| span.micros()).sum::<i64>();
    }
    let tally = &mut session.uncredited[place_of(UncreditedReason::Voided)];
    tally.micros += session.credited_micros;
    tally.beats += i64::from(session.credited_micros > 0);
    session.credited_micros = 0;
    session.voided = true;
    session.changed = true;
    course.changed = true;
    freed
}

/// Gives a session that is voided no more its time again, but for what other sessions have earned of it meanwhile and what the caps
/// don't leave; the learner's days must be loaded. Whoever has common time, their sum is the same as if it had never been voided.
pub(crate) fn give_back(
    scheme: &Scheme,
    learner: &mut Learner,
    of: &Course,
    course: &mut LearnerCourse,
    session: &mut Session,
) {
    let mut beats = BeatLog::default();
    let mut previous = session.opened_at;
    session.uncredited[place_of(UncreditedReason::Voided)] = Tally::default();
    for (at, spans) in session.beats.beats(session.opened_at) {
        course.as_of(of.terms.at(at));
        let credit = study_time::credit_again(scheme, &mut learner.study, &mut course.study, at, &spans);
        session.credited_micros += credit.micros();
        for (reason, micros) in &credit.uncredited {
            let tally = &mut session.uncredited[place_of(*reason)];
            tally.micros += micros;
            tally.beats += 1;
        }
        beats.push(previous, at, &credit.credited);
        previous = at;
    }
    session.beats = beats;
    session.voided = false;
    session.changed = true;
    course.changed = true;
}

/// What a session had lost to what is free now: time that its heartbeats stood for and were not credited.
pub(crate) fn lost_to(scheme: &Scheme, freed: &Intervals, session: &Session) -> i64 {
    let longest = scheme.study.max_gap_seconds * study_time::MICROS_PER_SECOND;
    let mut previous = session.opened_at;
    let mut lost = 0;
    for (at, spans) in session.beats.beats(session.opened_at) {
        let elapsed = Span::new(previous, at);
        previous = at;
        let mut uncredited = Intervals::default();
        uncredited.insert(Span { from: elapsed.from.max(elapsed.until - longest), ..elapsed });
        spans.into_iter().for_each(|span| uncredited.remove(span));
        for span in uncredited.spans() {
            lost += freed.spans().iter().filter_map(|free| free.within(*span)).map(Span::micros).sum::<i64>();
        }
    }
    lost
}

/// Grants time at a moment, within the caps; gives how much, and the rest by reason.
pub(crate) fn grant(
    scheme: &Scheme,
    learner: &mut Learner,
    (of, course): (&Course, &mut LearnerCourse),
    at: DateTime<Utc>,
    micros: i64,
) -> (i64, Vec<(UncreditedReason, i64)>) {
    learner.study.ask_for(scheme, at);
    course.as_of(of.terms.at(at));
    let (granted, uncredited) = study_time::grant(scheme, &mut learner.study, &mut course.study, at, micros);
    course.changed |= granted > 0;
    (granted, uncredited)
}

/// Takes back what a grant for a moment was credited.
pub(crate) fn take_back_grant(
    scheme: &Scheme,
    learner: &mut Learner,
    course: &mut LearnerCourse,
    at: DateTime<Utc>,
    micros: i64,
) {
    learner.study.ask_for(scheme, at);
    learner.study.take_back_granted(micros, at);
    course.study.credited_micros -= micros;
    course.changed |= micros > 0;
}

/// Brings a phase to what credit by its dates says. Tells whether anything is otherwise, and whether what was achieved is.
pub(crate) fn restate(
    phase: &mut Phase,
    sum: &PhaseSum,
    reached: Option<(DateTime<Utc>, AchievedBy)>,
) -> News {
    let before = (phase.study.micros, phase.study.last_at, phase.main_line_complete);
    let achievement = phase.study.achieved_at != reached.map(|(at, _)| at);
    let news = News {
        anything: achievement || before != (sum.micros, sum.last_at, sum.main_line_complete),
        achievement,
    };
    phase.study.micros = sum.micros;
    phase.study.last_at = sum.last_at;
    phase.main_line_complete = sum.main_line_complete;
    phase.changed |= news.anything;
    if achievement {
        phase.take_back();
        phase.study.achieved_at = reached.map(|(at, _)| at);
        phase.achieved_by = reached.map(|(_, by)| by);
    }
    news
}

/// What is otherwise of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) anything: bool,
    pub(crate) achievement: bool,
}
