//! All study of one learner, for what looks at it as a whole: study put right by hand, and who turns out to teach something else.
//! It is loaded under the lock of the learner's row, which a batch of heartbeats holds too.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::learning::v1::PhaseTakenBack;
use shipei_mirror::{History, Member, Programmes};
use shipei_rules::ids::{CourseId, ProgrammeId, SessionId};
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::CourseStudy;
use shipei_service_kit::{Error, Result, Unit};
use shipei_store::{StoreError, Tx};

use crate::catalogue::{Catalogue, Catalogues};
use crate::domain::correct;
use crate::domain::course::{Asked, Course};
use crate::domain::dated::{DatedCredit, achievements};
use crate::domain::study::{Learner, LearnerCourse, Phase, Session};
use crate::handler::not_found;
use crate::log;
use crate::store::correction::{self, GrantRow};
use crate::store::session::{self, KeptSession};
use crate::store::study;

/// The study of one learner, and what it belongs to.
pub(crate) struct Study {
    pub(crate) programme_id: ProgrammeId,
    pub(crate) member: Member,
    pub(crate) scheme: Arc<Scheme>,
    catalogue: Arc<Catalogue>,
    pub(crate) learner: Learner,
    /// Session and course ids, and the session.
    pub(crate) sessions: Vec<(SessionId, CourseId, Session)>,
    pub(crate) grants: Vec<GrantRow>,
}

impl Study {
    /// Loads a learner's study, locked; a learner who never studied gets a row to lock.
    pub(crate) async fn load(
        tx: &mut Tx,
        programmes: &Programmes,
        catalogues: &Catalogues,
        programme_id: &ProgrammeId,
        member: Member,
    ) -> Result<Study> {
        let scheme = programmes.windows(tx, programme_id).await?.of_member(&member);
        let catalogue = catalogues.current(tx, programme_id).await?;
        let person_id = &member.person_id;
        let mut learner =
            Learner { phases: vec![Phase::default(); scheme.trainee.online.len()], ..Learner::default() };
        // Somebody's first heartbeat may come at the same moment: whoever begins the row, one waits for the other.
        study::begin_learner(tx, programme_id, person_id).await?;
        study::lock_learners(tx, programme_id, &[person_id]).await?;
        for row in study::phases(tx, programme_id, &[person_id]).await? {
            let place = usize::try_from(row.phase_index)
                .map_err(|_| StoreError::corrupt_row("phase_progress", "phase_index", person_id))?;
            if let Some(phase) = learner.phases.get_mut(place) {
                *phase = row.phase()?;
            }
        }
        let mut sessions = Vec::new();
        for row in session::all_sessions(tx, programme_id, &[person_id]).await? {
            let session = row.session()?;
            sessions.push((row.session_id, row.course_id, session));
        }
        let grants = correction::grants(tx, programme_id, &[person_id]).await?;
        let programme_id = programme_id.clone();
        Ok(Study { programme_id, member, scheme, catalogue, learner, sessions, grants })
    }

    pub(crate) fn course_of(&self, course_id: &CourseId) -> Result<&Arc<Course>> {
        Ok(self.catalogue.course(course_id).ok_or_else(|| not_found("course_id"))?)
    }

    /// The learner's course as it stands.
    pub(crate) async fn course(&self, tx: &mut Tx, course_id: &CourseId) -> Result<LearnerCourse> {
        let course = self.course_of(course_id)?;
        let phases_count = self.scheme.trainee.online.len();
        let mut state = LearnerCourse {
            study: CourseStudy {
                length_seconds: course.length_seconds(),
                credited_micros: 0,
                category: course.category,
            },
            phase_micros: if course.main_line { vec![0; phases_count] } else { Vec::new() },
            was_complete: false,
            changed: false,
        };
        let key = [(&self.member.person_id, course_id)];
        for row in study::course_progress(tx, &self.programme_id, &key).await? {
            state.study.credited_micros = row.credited_micros;
            state.was_complete = state.study.is_complete();
        }
        for row in study::phase_courses(tx, &self.programme_id, &key).await? {
            let place = usize::try_from(row.phase_index).map_err(|_| {
                StoreError::corrupt_row("phase_course_progress", "phase_index", &row.person_id)
            })?;
            if let Some(micros) = state.phase_micros.get_mut(place) {
                *micros = row.micros;
            }
        }
        Ok(state)
    }

    /// The days that heartbeats at these instants touched.
    pub(crate) async fn load_days(&mut self, tx: &mut Tx, beats: &[DateTime<Utc>]) -> Result<()> {
        for at in beats {
            self.learner.study.ask_for(&self.scheme, *at);
        }
        let person_id = &self.member.person_id;
        let days = self.learner.study.days().iter();
        let keys: Vec<_> = days.map(|day| (person_id, i64::from(day.day.to_epoch_days()))).collect();
        for row in study::days(tx, &self.programme_id, &keys).await? {
            if let Some(day) = self.learner.study.day_mut(row.day()?) {
                row.fill(day)?;
            }
        }
        Ok(())
    }

    /// Takes one of the learner's sessions out.
    pub(crate) fn take_session(&mut self, session_id: &SessionId) -> Result<(SessionId, CourseId, Session)> {
        let place = self.sessions.iter().position(|(id, ..)| id == session_id);
        Ok(self.sessions.swap_remove(place.ok_or_else(|| not_found("session_id"))?))
    }

    /// Keeps a session that was taken out and has changed, and puts it back.
    pub(crate) async fn save_session(
        &mut self,
        unit: &mut Unit,
        (session_id, course_id): (&SessionId, &CourseId),
        session: &Session,
    ) -> Result<()> {
        let actor = unit.actor().to_owned();
        let person_id = &self.member.person_id;
        let kept = KeptSession { session_id, person_id, course_id, session, actor: &actor };
        session::save_sessions(&mut unit.tx, &self.programme_id, &[kept], unit.now).await?;
        self.sessions.push((session_id.clone(), course_id.clone(), session.clone()));
        Ok(())
    }

    /// The days that a session touched.
    pub(crate) async fn load_days_of(&mut self, tx: &mut Tx, session: &Session) -> Result<()> {
        let beats: Vec<_> = session.beats.beats(session.opened_at).map(|(at, _)| at).collect();
        self.load_days(tx, &beats).await
    }

    /// Reads anew what was achieved, keeps what changed, and emits what is news.
    pub(crate) async fn save(
        &mut self,
        unit: &mut Unit,
        course_id: &CourseId,
        course: &LearnerCourse,
    ) -> Result<()> {
        self.restate(unit).await?;
        let (tx, person_id) = (&mut unit.tx, &self.member.person_id);
        let days: Vec<_> =
            self.learner.study.days().iter().filter(|day| day.changed).map(|day| (person_id, day)).collect();
        study::save_days(tx, &self.programme_id, &days).await?;
        let progress = [(person_id, course_id, course.study.credited_micros)];
        study::save_course_progress(tx, &self.programme_id, &progress).await?;
        let inside = (0_i64..).zip(&course.phase_micros);
        let courses: Vec<_> = inside.map(|(index, micros)| (person_id, course_id, index, *micros)).collect();
        study::save_phase_courses(tx, &self.programme_id, &courses).await?;
        Ok(())
    }

    /// As [`Study::save`], when somebody turns out to teach something else: every phase that they studied for is read anew, by
    /// the courses of now.
    pub(crate) async fn teach_otherwise(&mut self, unit: &mut Unit) -> Result<()> {
        for phase in &mut self.learner.phases {
            phase.changed |= phase.study.micros > 0 || phase.study.achieved_at.is_some();
        }
        self.restate(unit).await
    }

    /// Reads anew the phases that have changed.
    async fn restate(&mut self, unit: &mut Unit) -> Result<()> {
        let mut credits: Vec<DatedCredit<'_>> = Vec::new();
        for grant in &self.grants {
            let course = self.catalogue.course(&grant.course_id);
            credits.extend(DatedCredit::of_grant(course, grant.granted_at, grant.micros));
        }
        for (session_id, of_course, session) in &self.sessions {
            credits.extend(DatedCredit::of_session(self.catalogue.course(of_course), session_id, session));
        }
        let entries = &self.scheme.trainee.online;
        let asked: History<Asked> =
            self.member.teaching.map(|teaching| Asked::of(teaching, entries, self.catalogue.main_line()));
        let found = achievements(&self.scheme, &asked, credits);
        for (phase, complete) in self.learner.phases.iter_mut().zip(&found.main_line_complete) {
            if phase.changed {
                phase.main_line_complete = *complete;
            }
        }
        let person_id = &self.member.person_id;
        for (index, reached) in correct::restate(&mut self.learner.phases, &found.phases) {
            let version = self.learner.phases[index].version;
            if let Some(reached) = reached {
                let what = (index, reached.by, version);
                let fact = log::phase_achieved(&self.programme_id, person_id, what, reached.session_id);
                let county = self.member.places.at(reached.at).county_text();
                unit.emit_at(county, person_id.as_str(), reached.at, &fact);
            } else {
                let fact = PhaseTakenBack {
                    programme_id: self.programme_id.to_string(),
                    person_id: person_id.to_string(),
                    phase_index: i32::try_from(index)
                        .map_err(|_| Error::Internal("more phases than a number can count".to_owned()))?,
                    version,
                };
                unit.emit(self.member.places.at(unit.now).county_text(), person_id.as_str(), &fact);
            }
        }
        let entries = self.scheme.trainee.online.iter().zip(&mut self.learner.phases).enumerate();
        for (index, (entry, phase)) in entries.filter(|(_, (_, phase))| phase.changed) {
            if phase.study.achieved_at.is_none() {
                let fact = log::phase_studied(&self.programme_id, person_id, phase.tell(index, entry));
                unit.emit(self.member.places.at(unit.now).county_text(), person_id.as_str(), &fact);
            }
        }
        let changed = (0_i64..).zip(&self.learner.phases).filter(|(_, phase)| phase.changed);
        let phases: Vec<_> = changed.map(|(index, phase)| (person_id, index, phase)).collect();
        study::save_phases(&mut unit.tx, &self.programme_id, &phases).await?;
        Ok(())
    }
}
