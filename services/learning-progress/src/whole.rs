//! All study of one learner, for what looks at it as a whole: study put right by hand, who turns out to teach something else, and a
//! course that turns out to be another.
//! It is loaded under the lock of the learner's row, which a batch of heartbeats holds too.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::learning::v1::{PhaseAchieved, PhaseStudied, PhaseTakenBack};
use shipei_mirror::{Member, Programmes};
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId, SessionId};
use shipei_rules::scheme::{OnlineEntry, Scheme};
use shipei_service_kit::{Result, Unit};
use shipei_store::{StoreError, Tx};

use crate::catalogue::{Catalogue, Catalogues};
use crate::domain::correct;
use crate::domain::course::Course;
use crate::domain::dated::{DatedCredit, PhaseSum, Reached, achievements};
use crate::domain::study::{AchievedBy, Inside, Learner, LearnerCourse, Phase, Session};
use crate::handler::not_found;
use crate::log;
use crate::store::correction::{self, GrantRow};
use crate::store::session::{self, KeptSession};
use crate::store::{phase as stored_phase, study, united};

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
    /// The courses that something was credited of.
    courses: BTreeMap<CourseId, LearnerCourse>,
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
        let catalogue = catalogues.held(tx, programme_id).await?;
        let person_id = &member.person_id;
        let mut learner =
            Learner { phases: vec![Phase::default(); scheme.trainee.online.len()], ..Learner::default() };
        // Somebody's first heartbeat may come at the same moment: whoever begins the row, one waits for the other.
        study::begin_learner(tx, programme_id, person_id).await?;
        study::lock_learners(tx, programme_id, &[person_id]).await?;
        for row in stored_phase::phases(tx, programme_id, &[person_id]).await? {
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
        let courses = load_courses(tx, (programme_id, person_id), &catalogue, learner.phases.len()).await?;
        let programme_id = programme_id.clone();
        Ok(Study { programme_id, member, scheme, catalogue, learner, sessions, grants, courses })
    }

    pub(crate) fn course_of(&self, course_id: &CourseId) -> Result<&Arc<Course>> {
        Ok(self.catalogue.course(course_id).ok_or_else(|| not_found("course_id"))?)
    }

    /// The learner's course as it stands.
    pub(crate) fn course(&self, course_id: &CourseId) -> Result<LearnerCourse> {
        if let Some(known) = self.courses.get(course_id) {
            return Ok(known.clone());
        }
        Ok(LearnerCourse::new(self.course_of(course_id)?, self.learner.phases.len()))
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

    /// Reads anew what was achieved, keeps what changed, and emits what is news. A phase for which nothing else is credited stays
    /// what it is, whatever courses there are by now.
    pub(crate) async fn save(
        &mut self,
        unit: &mut Unit,
        course_id: &CourseId,
        course: LearnerCourse,
    ) -> Result<()> {
        self.courses.insert(course_id.clone(), course);
        self.restate(unit, false).await?;
        let person_id = &self.member.person_id;
        let days: Vec<_> =
            self.learner.study.days().iter().filter(|day| day.changed).map(|day| (person_id, day)).collect();
        study::save_days(&mut unit.tx, &self.programme_id, &days).await?;
        Ok(())
    }

    /// As [`Study::save`], when somebody turns out to teach something else or a course to be another: every phase is read anew, by
    /// the courses of now.
    pub(crate) async fn read_anew(&mut self, unit: &mut Unit) -> Result<()> {
        self.restate(unit, true).await
    }

    /// Reads phases and courses anew from all credit by its dates.
    async fn restate(&mut self, unit: &mut Unit, all_phases: bool) -> Result<()> {
        let mut credits: Vec<DatedCredit<'_>> = Vec::new();
        for grant in &self.grants {
            let course = self.catalogue.course(&grant.course_id);
            credits.extend(DatedCredit::of_grant(course, grant.granted_at, grant.micros));
        }
        for (session_id, of_course, session) in &self.sessions {
            credits.extend(DatedCredit::of_session(self.catalogue.course(of_course), session_id, session));
        }
        let entries = &self.scheme.trainee.online;
        let phases: Vec<_> = entries.iter().map(|entry| entry.categories.as_slice()).collect();
        let main_line = self.catalogue.main_line();
        let asked =
            main_line.asked(&self.member.teaching, |teaching| main_line.totals(&phases, teaching.into()));
        let found = achievements(&self.scheme, &asked, credits);
        let (programme_id, member) = (&self.programme_id, &self.member);
        let person_id = &member.person_id;

        for (index, (entry, phase)) in entries.iter().zip(&mut self.learner.phases).enumerate() {
            let (sum, reached) = (found.sums[index], found.phases[index]);
            if !all_phases && sum.micros == phase.study.micros {
                continue;
            }
            restate_phase(unit, (programme_id, member, false), (index, entry), phase, (&sum, reached));
        }

        let mut held = Vec::new();
        for (course_id, course) in &mut self.courses {
            let reached = found.courses.get(course_id);
            if course.complete(reached.map(|reached| reached.at)) {
                if let Some(reached) = reached {
                    let fact = log::course_completed(
                        programme_id,
                        person_id,
                        (course_id, course.version),
                        reached.session_id,
                    );
                    let county = member.places.at(reached.at).county_text();
                    unit.emit_at(county, person_id.as_str(), reached.at, &fact);
                } else {
                    let fact = log::completion_taken_back(programme_id, person_id, course_id, course.version);
                    unit.emit(member.places.at(unit.now).county_text(), person_id.as_str(), &fact);
                }
            }
            // One that is main-line by now may not have been when it was credited.
            let is_main_line =
                self.catalogue.course(course_id).is_some_and(|course| course.is_ever_main_line());
            course
                .inside
                .resize(if is_main_line { entries.len() } else { course.inside.len() }, Inside::default());
            for (index, inside) in course.inside.iter_mut().enumerate() {
                let now = found.inside.get(&(course_id, index)).copied().unwrap_or_default();
                if *inside != now {
                    *inside = now;
                    held.push((person_id, course_id, index, now));
                }
            }
        }
        let tx = &mut unit.tx;
        study::save_phase_courses(tx, programme_id, &held).await?;
        let changed = self.courses.iter().filter(|(_, course)| course.changed);
        let courses: Vec<_> = changed.map(|(course_id, course)| (person_id, course_id, course)).collect();
        study::save_course_progress(tx, programme_id, &courses).await?;
        let changed = (0_i64..).zip(&self.learner.phases).filter(|(_, phase)| phase.changed);
        let phases: Vec<_> = changed.map(|(index, phase)| (person_id, index, phase)).collect();
        stored_phase::save_phases(tx, programme_id, &phases).await?;
        united::is_due(tx, programme_id, member).await?;
        Ok(())
    }
}

/// Brings a phase to what credit by its dates says, and tells what is news: of an id alone, or of all study of a person with several
/// ids.
pub(crate) fn restate_phase(
    unit: &mut Unit,
    (programme_id, member, united): (&ProgrammeId, &Member, bool),
    (index, entry): (usize, &OnlineEntry),
    phase: &mut Phase,
    (sum, reached): (&PhaseSum, Option<Reached<'_, AchievedBy>>),
) {
    let person_id = &member.person_id;
    let county_now = member.places.at(unit.now).county_text();
    let news = correct::restate(phase, sum, reached.map(|reached| (reached.at, reached.by)));
    match reached.filter(|_| news.achievement) {
        Some(reached) => {
            let what = (index, reached.by, phase.version);
            let fact = log::phase_achieved(programme_id, person_id, what, reached.session_id);
            let county = member.places.at(reached.at).county_text();
            unit.emit_at(county, person_id.as_str(), reached.at, &PhaseAchieved { united, ..fact });
        }
        None if news.achievement => {
            let fact = log::phase_taken_back(programme_id, person_id, index, phase.version);
            unit.emit(county_now, person_id.as_str(), &PhaseTakenBack { united, ..fact });
        }
        None => {}
    }
    if news.anything && phase.study.achieved_at.is_none() {
        let fact = log::phase_studied(programme_id, person_id, phase.tell(index, entry));
        unit.emit(county_now, person_id.as_str(), &PhaseStudied { united, ..fact });
    }
}

/// What a learner's courses hold.
async fn load_courses(
    tx: &mut Tx,
    (programme_id, person_id): (&ProgrammeId, &PersonId),
    catalogue: &Catalogue,
    phases_count: usize,
) -> Result<BTreeMap<CourseId, LearnerCourse>> {
    let mut courses = BTreeMap::new();
    for row in study::all_course_progress(tx, programme_id, person_id).await? {
        let course = catalogue.course(&row.course_id);
        let course =
            course.ok_or_else(|| StoreError::corrupt_row("course_progress", "course_id", &row.course_id))?;
        let mut state = LearnerCourse::new(course, phases_count);
        row.fill(&mut state);
        courses.insert(row.course_id, state);
    }
    for row in study::all_phase_courses(tx, programme_id, person_id).await? {
        let place = row.place()?;
        if let Some(inside) = courses
            .get_mut(&row.course_id)
            .and_then(|course: &mut LearnerCourse| course.inside.get_mut(place))
        {
            *inside = row.inside();
        }
    }
    Ok(courses)
}
