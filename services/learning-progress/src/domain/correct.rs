//! Study put right by hand: a session voided and given back, time granted (scoring.md, Facts that were wrong). All of a learner's study is
//! loaded for it, and what they achieved is read anew from all credit by its dates.

use chrono::{DateTime, Utc};
use shipei_rules::intervals::{Intervals, Span};
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::{self, UncreditedReason};

use super::beats::BeatLog;
use super::dated::Reached;
use super::study::{AchievedBy, Learner, LearnerCourse, Phase, Session, Tally, completes, place_of};

/// Takes back what a session was credited, which is free again; the learner's days must be loaded. Gives what is free.
pub(crate) fn void(
    scheme: &Scheme,
    learner: &mut Learner,
    course: &mut LearnerCourse,
    session: &mut Session,
) -> Intervals {
    let mut freed = Intervals::default();
    let length = course.study.length_micros();
    for (at, spans) in session.beats.beats(session.opened_at) {
        for span in &spans {
            learner.study.take_back(*span, at);
            freed.insert(*span);
        }
        let micros: i64 = spans.iter().map(|span| span.micros()).sum();
        course.study.credited_micros -= micros;
        for index in scheme.phases_open(course.study.category, at) {
            if let Some(phase) = learner.phases.get_mut(index).filter(|_| micros > 0) {
                phase.study.micros -= micros;
                phase.changed = true;
                if let Some(inside) = course.phase_micros.get_mut(index) {
                    let was_complete = *inside >= length;
                    *inside -= micros;
                    phase.main_line_complete -= i64::from(was_complete && *inside < length);
                }
            }
        }
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
    course: &mut LearnerCourse,
    session: &mut Session,
) {
    let mut beats = BeatLog::default();
    let mut previous = session.opened_at;
    session.uncredited[place_of(UncreditedReason::Voided)] = Tally::default();
    for (at, spans) in session.beats.beats(session.opened_at) {
        let credit = study_time::credit_again(scheme, &mut learner.study, &mut course.study, at, &spans);
        add(learner, course, (&credit.phases, credit.micros()), at);
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

/// Adds credit to the phases that it counts for.
fn add(
    learner: &mut Learner,
    course: &mut LearnerCourse,
    (phases, micros): (&[usize], i64),
    at: DateTime<Utc>,
) {
    for index in phases {
        if let Some(phase) = learner.phases.get_mut(*index).filter(|_| micros > 0) {
            phase.study.add(micros, at);
            phase.changed = true;
            if let Some(inside) = course.phase_micros.get_mut(*index) {
                let is_complete = completes(inside, micros, course.study.length_micros());
                phase.main_line_complete += i64::from(is_complete);
            }
        }
    }
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
    course: &mut LearnerCourse,
    at: DateTime<Utc>,
    micros: i64,
) -> (i64, Vec<(UncreditedReason, i64)>) {
    learner.study.ask_for(scheme, at);
    let (granted, phases, uncredited) =
        study_time::grant(scheme, &mut learner.study, &mut course.study, at, micros);
    add(learner, course, (&phases, granted), at);
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
    for index in scheme.phases_open(course.study.category, at) {
        if let Some(phase) = learner.phases.get_mut(index).filter(|_| micros > 0) {
            phase.study.micros -= micros;
            phase.changed = true;
            if let Some(inside) = course.phase_micros.get_mut(index) {
                *inside -= micros;
            }
        }
    }
}

/// Brings the phases that a correction changed to what credit by its dates says; gives those of which something else stands
/// now. One that it did not touch stays what it is, whatever courses there are by now.
pub(crate) fn restate<'a>(
    phases: &mut [Phase],
    found: &[Option<Reached<'a, AchievedBy>>],
) -> Vec<(usize, Option<Reached<'a, AchievedBy>>)> {
    let mut news = Vec::new();
    for (index, phase) in phases.iter_mut().enumerate().filter(|(_, phase)| phase.changed) {
        let reached = found.get(index).copied().flatten();
        if phase.study.achieved_at == reached.map(|reached| reached.at) {
            continue;
        }
        phase.take_back();
        if let Some(reached) = reached {
            phase.study.achieved_at = Some(reached.at);
            phase.achieved_by = Some(reached.by);
        }
        news.push((index, reached));
    }
    news
}
