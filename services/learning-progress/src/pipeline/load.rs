//! Fills a working set from the database: learners are locked first, in the order of their ids; everything else follows by
//! lists of keys, as it is committed by then.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::counties_opened_at;
use shipei_rules::ids::{CourseId, PersonId, SessionId};
use shipei_rules::region::RegionCode;
use shipei_rules::vocabulary::{EducationStage, Role};
use shipei_service_kit::Result;
use shipei_store::{StoreError, Tx};

use super::working_set::{LearnerState, OtherSession, Owner, WorkingSet};
use crate::domain::course::Totals;
use crate::domain::study::{CourseGate, Eligibility, LearnerCourse, Phase};
use crate::store::{correction, phase, session, study};

impl<'m> WorkingSet<'m> {
    /// Loads everything that the beats can touch.
    pub(super) async fn load(&mut self, tx: &mut Tx) -> Result<()> {
        let mut person_ids: Vec<&'m PersonId> =
            self.learners.iter().map(|learner| learner.person_id).collect();
        person_ids.sort_unstable();
        self.load_learners(tx, &person_ids).await?;
        self.load_days(tx).await?;
        self.load_gates(tx, &person_ids).await?;
        self.load_courses(tx).await?;
        self.load_sessions(tx).await?;
        self.load_whole_study(tx).await
    }

    async fn load_learners(&mut self, tx: &mut Tx, person_ids: &[&'m PersonId]) -> Result<()> {
        let phases_count = self.windows.scheme.trainee.online.len();
        for learner in &mut self.learners {
            learner.state.phases = vec![Phase::default(); phases_count];
        }
        let mut stored: Vec<&'m PersonId> = Vec::new();
        for row in study::lock_learners(tx, self.programme_id, person_ids).await? {
            let Some(index) = self.learner_of.get(&row.person_id) else { continue };
            let learner = &mut self.learners[*index];
            learner.state.refusals = row.refusals()?;
            learner.state.stored = true;
            stored.push(learner.person_id);
        }
        for row in phase::phases(tx, self.programme_id, &stored).await? {
            let Some(index) = self.learner_of.get(&row.person_id) else { continue };
            let phases = &mut self.learners[*index].state.phases;
            let place = usize::try_from(row.phase_index)
                .map_err(|_| StoreError::corrupt_row("phase_progress", "phase_index", &row.person_id))?;
            if let Some(phase) = phases.get_mut(place) {
                *phase = row.phase()?;
            }
        }
        Ok(())
    }

    /// The days that the beats can touch; and which learners are late, now that their latest credit is known.
    async fn load_days(&mut self, tx: &mut Tx) -> Result<()> {
        let latest_credit = |learner: &LearnerState<'_>| {
            learner.state.phases.iter().filter_map(|phase| phase.study.last_at).max()
        };
        let mut latest: Vec<Option<DateTime<Utc>>> = self.learners.iter().map(latest_credit).collect();
        for target in &self.targets {
            let index = self.courses[target.course].learner;
            let state = &mut self.learners[index].state;
            for at in target.beats.beats.iter().filter_map(|beat| beat.at.ok()) {
                state.study.ask_for(&self.windows.scheme, at);
                state.is_late |= latest[index].is_some_and(|latest| at < latest);
                // Courses and what the main line asks were others then.
                let course_id = self.courses[target.course].course_id;
                state.is_late |= self.catalogue.latest_change(course_id).is_some_and(|change| at < change);
                latest[index] = latest[index].max(Some(at));
            }
        }
        let mut keys: Vec<(&'m PersonId, i64)> = Vec::new();
        for learner in self.learners.iter().filter(|learner| learner.state.stored) {
            let days = learner.state.study.days().iter();
            keys.extend(days.map(|day| (learner.person_id, i64::from(day.day.to_epoch_days()))));
        }
        for row in study::days(tx, self.programme_id, &keys).await? {
            let Some(index) = self.learner_of.get(&row.person_id) else { continue };
            if let Some(day) = self.learners[*index].state.study.day_mut(row.day()?) {
                row.fill(day)?;
            }
        }
        Ok(())
    }

    /// Who the learners are, which courses there are, and when they may be studied.
    async fn load_gates(&mut self, tx: &mut Tx, person_ids: &[&'m PersonId]) -> Result<()> {
        for member in shipei_mirror::members(tx, self.programme_id, Role::Trainee, person_ids).await? {
            if let Some(index) = self.learner_of.get(&member.person_id) {
                self.learners[*index].scheme = self.windows.of_member(&member);
                self.learners[*index].member = Some(member);
            }
        }
        let mut counties: Vec<RegionCode> = Vec::new();
        for member in self.learners.iter().filter_map(|learner| learner.member.as_ref()) {
            counties.extend(member.places.all().filter_map(|place| place.county_code));
        }
        counties.sort_unstable();
        counties.dedup();
        let opened = counties_opened_at(tx, self.programme_id, &counties).await?;

        let mut known: HashMap<(String, Option<EducationStage>), Totals> = HashMap::new();
        let entries = &self.windows.scheme.trainee.online;
        let phases: Vec<_> = entries.iter().map(|entry| entry.categories.as_slice()).collect();
        let main_line = self.catalogue.main_line();
        for learner in &mut self.learners {
            let Some(member) = &learner.member else { continue };
            for teaching in member.teaching.all() {
                let key = (teaching.subject.clone(), teaching.education_stage);
                known.entry(key).or_insert_with(|| main_line.totals(&phases, teaching.into()));
            }
            learner.asked = main_line.asked(&member.teaching, |teaching| {
                let totals = known.get(&(teaching.subject.clone(), teaching.education_stage));
                totals.cloned().unwrap_or_default()
            });
            // What the main line asks at a time is read by dates.
            learner.state.is_late |= member.teaching.latest_change().is_some();
        }

        let mut to_select: Vec<(&'m PersonId, &'m CourseId)> = Vec::new();
        for entry in &mut self.courses {
            let learner = &self.learners[entry.learner];
            entry.course = self.catalogue.course(entry.course_id).map(Arc::clone);
            let (Some(member), Some(course)) = (&learner.member, &entry.course) else {
                entry.eligibility = Err(ErrorReason::NotFound);
                continue;
            };
            let gate = member.teaching.join(&course.terms, |teaching, terms| CourseGate {
                refused: terms.refuses(teaching.into()),
                main_line: terms.main_line,
            });
            if gate.all().any(|gate| gate.refused.is_none() && !gate.main_line) {
                to_select.push((learner.person_id, entry.course_id));
            }
            entry.eligibility = Ok(Eligibility {
                absences: member.absences.clone(),
                opened_at: member.places.map(|place| opened.get(&place.county_code?).copied()),
                login_at: member.login_at,
                course: gate,
                selected_at: None,
            });
        }
        for row in study::selected(tx, self.programme_id, &to_select).await? {
            let key = (&row.person_id, &row.course_id);
            let Some(index) = self.course_of.get(&key) else { continue };
            if let Ok(eligibility) = &mut self.courses[*index].eligibility {
                eligibility.selected_at = Some(row.selected_at);
            }
        }
        Ok(())
    }

    async fn load_courses(&mut self, tx: &mut Tx) -> Result<()> {
        let phases_count = self.windows.scheme.trainee.online.len();
        let mut stored: Vec<(&'m PersonId, &'m CourseId)> = Vec::new();
        let mut stored_main_line: Vec<(&'m PersonId, &'m CourseId)> = Vec::new();
        for entry in &mut self.courses {
            let (Ok(_), Some(course)) = (&entry.eligibility, &entry.course) else { continue };
            let learner = &self.learners[entry.learner];
            if learner.state.stored {
                stored.push((learner.person_id, entry.course_id));
                if course.is_ever_main_line() {
                    stored_main_line.push((learner.person_id, entry.course_id));
                }
            }
            entry.state = Some(LearnerCourse::new(course, phases_count));
        }
        for row in study::course_progress(tx, self.programme_id, &stored).await? {
            let key = (&row.person_id, &row.course_id);
            let Some(index) = self.course_of.get(&key) else { continue };
            if let Some(state) = &mut self.courses[*index].state {
                row.fill(state);
            }
        }
        for row in study::phase_courses(tx, self.programme_id, &stored_main_line).await? {
            let key = (&row.person_id, &row.course_id);
            let Some(index) = self.course_of.get(&key) else { continue };
            let place = row.place()?;
            let Some(state) = &mut self.courses[*index].state else { continue };
            if let Some(inside) = state.inside.get_mut(place) {
                *inside = row.inside();
            }
        }
        Ok(())
    }

    async fn load_sessions(&mut self, tx: &mut Tx) -> Result<()> {
        let keys: Vec<(&'m PersonId, &'m SessionId)> =
            self.sessions.iter().map(|session| (session.person_id, session.session_id)).collect();
        for row in session::sessions(tx, self.programme_id, &keys).await? {
            let key = (&row.person_id, &row.session_id);
            let Some(index) = self.session_of.get(&key) else { continue };
            let key = (&row.person_id, &row.course_id);
            let entry = &mut self.sessions[*index];
            entry.owner = self.course_of.get(&key).map_or(Owner::Elsewhere, |course| Owner::Course(*course));
            entry.state = Some(row.session()?);
        }
        Ok(())
    }

    /// The other sessions of late learners, and what was granted to them.
    async fn load_whole_study(&mut self, tx: &mut Tx) -> Result<()> {
        let late = self.learners.iter().filter(|learner| learner.state.is_late && learner.state.stored);
        let person_ids: Vec<&'m PersonId> = late.map(|learner| learner.person_id).collect();
        for row in session::all_sessions(tx, self.programme_id, &person_ids).await? {
            let key = (&row.person_id, &row.session_id);
            let Some(index) = self.learner_of.get(key.0).filter(|_| !self.session_of.contains_key(&key))
            else {
                continue;
            };
            let session = row.session()?;
            let (session_id, course_id) = (row.session_id, row.course_id);
            self.learners[*index].other_sessions.push(OtherSession { session_id, course_id, session });
        }
        for row in correction::grants(tx, self.programme_id, &person_ids).await? {
            if let Some(index) = self.learner_of.get(&row.person_id) {
                self.learners[*index].grants.push(row);
            }
        }
        Ok(())
    }
}
