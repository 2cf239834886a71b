//! One transaction: load, take every beat in the order in which it came, write, append events, commit.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1::SessionOpened;
use shipei_rules::ids::{ProgrammeId, SessionId, text_of};
use shipei_rules::study_time::HeartbeatOutcome;
use shipei_service_kit::{Error, Origin, Result, Token, Unit, consistency::partition_number};

use super::working_set::{OtherSession, Owner, Target, WorkingSet};
use super::{Answer, AttemptFailed, BeatAnswer, Message, Writer};
use crate::domain::dated::{DatedCredit, Reached, achievements};
use crate::domain::study::{Fact, KnownSession, admit_beat, take_beat};
use crate::handler::group_of;
use crate::log::{course_completed, phase_achieved, phase_studied};
use crate::store::united;

/// For each event the index of the message that it belongs to; and who was seen.
#[derive(Default)]
struct Events {
    messages: Vec<usize>,
    seen: Vec<Seen>,
}

/// A learner who sent a beat that was taken.
struct Seen {
    group: String,
    person_id: String,
    at: DateTime<Utc>,
}

impl Writer {
    /// Does the messages in one transaction, and answers each.
    pub(super) async fn attempt(
        &self,
        messages: &[&Message],
    ) -> std::result::Result<Vec<Answer>, AttemptFailed> {
        let Some(sender) = messages.first().map(|message| &message.sender) else { return Ok(Vec::new()) };
        let now = self.kit.clock().now();
        let origin = Origin { now, occurred_at: now, ..sender.origin.clone() };
        let transaction = self.kit.transact(&sender.admitted, origin, |unit| self.take(unit, messages));
        let committed = transaction.await.map_err(AttemptFailed)?;
        let whole_log = committed.heads.as_ref().map(|heads| Token::of(self.kit.source(), heads));
        let (mut answers, events) = committed.value;
        if let Some(whole_log) = whole_log {
            // Duplicates were taken before, maybe in a call whose answer was lost: what they led to is somewhere in the log.
            let repeated = answers.iter_mut().filter(|answer| has_duplicates(answer));
            repeated.for_each(|answer| answer.token.merge(&whole_log));
        }
        for Seen { group, person_id, at } in &events.seen {
            self.presence.mark(group, person_id, *at);
        }
        for (position, message) in committed.positions.iter().zip(events.messages) {
            let token = &mut answers[message].token;
            token.raise(self.kit.source(), partition_number(position.partition), position.number);
        }
        Ok(answers)
    }

    /// The work of one transaction.
    async fn take(&self, mut unit: Unit, messages: &[&Message]) -> Result<(Unit, (Vec<Answer>, Events))> {
        let mut answers: Vec<Answer> = messages.iter().map(|message| refused_throughout(message)).collect();
        let mut by_programme: BTreeMap<&ProgrammeId, Vec<(usize, &Message)>> = BTreeMap::new();
        for (index, message) in messages.iter().enumerate() {
            by_programme.entry(&message.programme).or_default().push((index, message));
        }
        let mut events = Events::default();
        for (programme_id, share) in by_programme {
            self.work(&mut unit, programme_id, &share, &mut answers, &mut events).await?;
        }
        if answers.iter().any(has_duplicates) {
            unit.rests_on_the_whole_log();
        }
        Ok((unit, (answers, events)))
    }

    /// One programme's share. A programme that is not known here has no trainees: all of it stays refused.
    async fn work(
        &self,
        unit: &mut Unit,
        programme_id: &ProgrammeId,
        messages: &[(usize, &Message)],
        answers: &mut [Answer],
        events: &mut Events,
    ) -> Result<()> {
        let windows = match self.programmes.windows(&mut unit.tx, programme_id).await {
            Ok(windows) => windows,
            Err(Error::Refused(refusal)) if refusal.reason == ErrorReason::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let catalogue = self.catalogues.held(&mut unit.tx, programme_id).await?;
        let by_index: BTreeMap<usize, &Message> = messages.iter().copied().collect();
        let mut set = WorkingSet::new(programme_id, windows, catalogue, messages);
        set.load(&mut unit.tx).await?;
        let targets = std::mem::take(&mut set.targets);
        for target in &targets {
            let Some(message) = by_index.get(&target.message) else { continue };
            let taken = set.take(target, message, unit, events);
            if let Some(at) = last_taken(target, &taken).filter(|at| self.presence.is_now(*at)) {
                events.seen.push(set.seen(target, at));
            }
            answers[target.message].sessions[target.index] = taken;
        }
        for target in &targets {
            let Some(message) = by_index.get(&target.message) else { continue };
            set.settle(target, message, unit, events);
        }
        set.save(&mut unit.tx, unit.now).await?;
        for member in set.learners.iter().filter_map(|learner| learner.member.as_ref()) {
            united::is_due(&mut unit.tx, programme_id, member).await?;
        }
        Ok(())
    }
}

impl<'m> WorkingSet<'m> {
    /// Takes the beats of one session, in order.
    fn take(
        &mut self,
        target: &Target<'m>,
        message: &'m Message,
        unit: &mut Unit,
        events: &mut Events,
    ) -> Vec<BeatAnswer> {
        let mut answers = Vec::with_capacity(target.beats.beats.len());
        let mut facts = Vec::new();
        for beat in &target.beats.beats {
            let course = &mut self.courses[target.course];
            let learner = &mut self.learners[course.learner];
            let session = &mut self.sessions[target.session];
            let known = KnownSession {
                session_id: session.session_id,
                taken: session.owner != Owner::Nobody && session.owner != Owner::Course(target.course),
                session: session.state.as_ref(),
                refusals: &learner.state.refusals,
            };
            let admitted = admit_beat(&course.eligibility, known, beat);
            let answer = match (admitted, &mut course.state, &course.course) {
                (Err(reason), ..) => Err(reason),
                (Ok(beat), Some(state), Some(course)) => {
                    state.as_of(course.terms.at(beat.1));
                    let totals = &learner.asked.last().totals;
                    let state = (&mut learner.state, state, &mut session.state);
                    take_beat(&learner.scheme, totals, state, beat, &mut facts)
                }
                (Ok(_), ..) => Err(ErrorReason::NotFound),
            };
            if let (Err(reason), Ok(at)) = (&answer, beat.at) {
                learner.state.changed |= learner.state.refusals.remember(session.session_id, at, *reason);
            }
            if session.owner == Owner::Nobody && session.state.is_some() {
                session.owner = Owner::Course(target.course);
                session.actor = &message.sender.origin.actor;
            }
            if let Ok(at) = beat.at {
                let session_id = session.session_id;
                for fact in facts.drain(..) {
                    events.messages.push(target.message);
                    self.emit(unit, target, message, (at, Some(session_id)), fact);
                }
            }
            answers.push(answer);
        }
        answers
    }

    /// The learner whose beats these were.
    fn seen(&self, target: &Target<'_>, at: DateTime<Utc>) -> Seen {
        let learner = &self.learners[self.courses[target.course].learner];
        let group = group_of(self.programme_id.as_str(), learner.county_at(at));
        Seen { group, person_id: learner.person_id.to_string(), at }
    }

    /// Reads what a late learner achieved from all their credit by its dates, once in a transaction, and emits what is
    /// news. `target` is any of theirs.
    fn settle(&mut self, target: &Target<'m>, message: &'m Message, unit: &mut Unit, events: &mut Events) {
        let index = self.courses[target.course].learner;
        if !std::mem::take(&mut self.learners[index].state.is_late) {
            return;
        }
        let learner = &mut self.learners[index];
        let others = std::mem::take(&mut learner.other_sessions);
        let grants = std::mem::take(&mut learner.grants);
        let mut credits = Vec::new();
        for grant in &grants {
            let course = self.catalogue.course(&grant.course_id);
            credits.extend(DatedCredit::of_grant(course, grant.granted_at, grant.micros));
        }
        for OtherSession { session_id, course_id, session } in &others {
            credits.extend(DatedCredit::of_session(self.catalogue.course(course_id), session_id, session));
        }
        for kept in &self.sessions {
            let (Some(session), Owner::Course(course)) = (&kept.state, kept.owner) else { continue };
            if self.courses[course].learner == index {
                let course = self.catalogue.course(self.courses[course].course_id);
                credits.extend(DatedCredit::of_session(course, kept.session_id, session));
            }
        }
        let found = achievements(&learner.scheme, &learner.asked, credits);
        let mut facts = Vec::new();
        for (phase, sum) in learner.state.phases.iter_mut().zip(&found.sums) {
            phase.changed |= phase.main_line_complete != sum.main_line_complete;
            phase.main_line_complete = sum.main_line_complete;
        }
        for (number, (phase, reached)) in learner.state.phases.iter_mut().zip(found.phases).enumerate() {
            let Some(Reached { at, session_id, by }) = reached else { continue };
            if phase.achieve(at, by) {
                let fact = Fact::PhaseAchieved { phase: number, by, version: phase.version };
                facts.push((at, session_id, target.course, fact));
            }
        }
        for (number, course) in self.courses.iter_mut().enumerate() {
            let Some(state) = course.state.as_mut().filter(|_| course.learner == index) else { continue };
            for (entry, inside) in state.inside.iter_mut().enumerate() {
                let now = found.inside.get(&(course.course_id, entry)).copied().unwrap_or_default();
                state.changed |= *inside != now;
                *inside = now;
            }
            let Some(reached) = found.courses.get(course.course_id) else { continue };
            if state.complete(Some(reached.at)) {
                let fact = Fact::CourseCompleted { version: state.version };
                facts.push((reached.at, reached.session_id, number, fact));
            }
        }
        for (at, session_id, course, fact) in facts {
            events.messages.push(target.message);
            self.emit(unit, &Target { course, ..*target }, message, (at, session_id), fact);
        }
    }

    fn emit(
        &self,
        unit: &mut Unit,
        target: &Target<'_>,
        message: &Message,
        (occurred_at, reached_in): (DateTime<Utc>, Option<&SessionId>),
        fact: Fact,
    ) {
        let course = &self.courses[target.course];
        let learner = &self.learners[course.learner];
        let programme_id = self.programme_id.to_string();
        let person_id = learner.person_id.to_string();
        let course_id = course.course_id.to_string();
        let session_id = text_of(reached_in).to_owned();
        let region = learner.county_at(occurred_at);
        let origin = message.sender.origin.clone().occurred_at(occurred_at);
        match fact {
            Fact::SessionOpened => {
                let opened = SessionOpened { programme_id, person_id, course_id, session_id };
                unit.emit_as(&origin, region, learner.person_id.as_str(), &opened);
            }
            Fact::CourseCompleted { version } => {
                let what = (course.course_id, version);
                let completed = course_completed(self.programme_id, learner.person_id, what, reached_in);
                unit.emit_as(&origin, region, learner.person_id.as_str(), &completed);
            }
            Fact::PhaseAchieved { phase, by, version } => {
                let what = (phase, by, version);
                let achieved = phase_achieved(self.programme_id, learner.person_id, what, reached_in);
                unit.emit_as(&origin, region, learner.person_id.as_str(), &achieved);
            }
            Fact::PhaseStudied(progress) => {
                let studied = phase_studied(self.programme_id, learner.person_id, progress);
                unit.emit_as(&origin, region, learner.person_id.as_str(), &studied);
            }
        }
    }
}

/// Does it answer beats that had been taken before?
fn has_duplicates(answer: &Answer) -> bool {
    let duplicate =
        |beat: &BeatAnswer| matches!(beat, Ok(worth) if worth.outcome == HeartbeatOutcome::Duplicate);
    answer.sessions.iter().flatten().any(duplicate)
}

/// The time of the last beat that was taken.
fn last_taken(target: &Target<'_>, taken: &[BeatAnswer]) -> Option<DateTime<Utc>> {
    let last = taken.iter().rposition(|answer| answer.is_ok())?;
    target.beats.beats.get(last)?.at.as_ref().ok().copied()
}

/// The answer of a message of which nothing is taken: NOT_FOUND, or INVALID_FIELD where an id can't be one.
fn refused_throughout(message: &Message) -> Answer {
    let mut answer = Answer::default();
    for session in &message.sessions {
        let reason = if session.keys.is_some() { ErrorReason::NotFound } else { ErrorReason::InvalidField };
        answer.sessions.push(session.beats.iter().map(|_| Err(reason)).collect());
    }
    answer
}
