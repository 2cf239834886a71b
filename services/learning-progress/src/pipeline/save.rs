//! Writes what changed in a working set, in bulk.

use chrono::{DateTime, Utc};
use shipei_store::{StoreError, Tx};

use super::working_set::{Owner, WorkingSet};
use crate::store::session::{self, KeptSession};
use crate::store::{phase as stored_phase, study};

impl WorkingSet<'_> {
    /// Writes every row that changed; in the order of keys, for the sake of other processes.
    pub(super) async fn save(&self, tx: &mut Tx, recorded_at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut learners = Vec::new();
        let mut days = Vec::new();
        let mut phases = Vec::new();
        for learner in &self.learners {
            if learner.state.changed {
                learners.push((learner.person_id, &learner.state));
            }
            let changed_days = learner.state.study.days().iter().filter(|day| day.changed);
            days.extend(changed_days.map(|day| (learner.person_id, day)));
            for (index, phase) in learner.state.phases.iter().enumerate().filter(|(_, phase)| phase.changed) {
                phases.push((learner.person_id, column_of(index), phase));
            }
        }
        learners.sort_unstable_by_key(|(person_id, _)| *person_id);

        let mut courses = Vec::new();
        let mut phase_courses = Vec::new();
        for course in &self.courses {
            let Some(state) = course.state.as_ref().filter(|state| state.changed) else { continue };
            let person_id = self.learners[course.learner].person_id;
            courses.push((person_id, course.course_id, state));
            for (index, inside) in state.inside.iter().enumerate().filter(|(_, inside)| inside.micros > 0) {
                phase_courses.push((person_id, course.course_id, index, *inside));
            }
        }

        let mut sessions = Vec::new();
        for kept in &self.sessions {
            let (Some(state), Owner::Course(course)) = (&kept.state, kept.owner) else { continue };
            if !state.changed {
                continue;
            }
            let course = &self.courses[course];
            sessions.push(KeptSession {
                session_id: kept.session_id,
                person_id: kept.person_id,
                course_id: course.course_id,
                session: state,
                actor: kept.actor,
            });
        }
        sessions.sort_unstable_by_key(|kept| (kept.person_id, kept.session_id));

        study::save_learners(tx, self.programme_id, &learners).await?;
        session::save_sessions(tx, self.programme_id, &sessions, recorded_at).await?;
        study::save_days(tx, self.programme_id, &days).await?;
        study::save_course_progress(tx, self.programme_id, &courses).await?;
        stored_phase::save_phases(tx, self.programme_id, &phases).await?;
        study::save_phase_courses(tx, self.programme_id, &phase_courses).await
    }
}

/// An index as the column that holds it.
fn column_of(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
