//! Study put right by hand: `VoidSession` and `GrantTime`. All of one learner's study is loaded, under the lock of the
//! learner's row, which a batch of heartbeats holds too.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1::{
    GrantTimeRequest, GrantTimeResponse, LostTime, PhaseTakenBack, SessionVoided, TimeGranted,
    VoidSessionRequest, VoidSessionResponse,
};
use shipei_mirror::Member;
use shipei_rules::ids::{CourseId, ProgrammeId, SessionId};
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::{CourseStudy, MICROS_PER_SECOND, whole_seconds};
use shipei_service_kit::{Error, Refusal, Result, Unit, to_int32};
use shipei_store::{StoreError, Tx};

use super::{StudyHandler, not_found, trainee};
use crate::catalogue::Catalogue;
use crate::convert;
use crate::domain::correct;
use crate::domain::course::{Course, Teaches, main_line_total};
use crate::domain::dated::{DatedCredit, achievements};
use crate::domain::study::{Learner, LearnerCourse, Phase, Session};
use crate::log;
use crate::store::correction::{self, GrantRow};
use crate::store::session::{self, KeptSession};
use crate::store::study;

/// The study of one learner, and what it belongs to.
struct Study {
    programme_id: ProgrammeId,
    member: Member,
    scheme: Arc<Scheme>,
    catalogue: Arc<Catalogue>,
    learner: Learner,
    /// Session and course ids, and the session.
    sessions: Vec<(SessionId, CourseId, Session)>,
    grants: Vec<GrantRow>,
}

impl StudyHandler {
    pub(super) async fn void(
        self,
        mut unit: Unit,
        request: VoidSessionRequest,
    ) -> Result<(Unit, VoidSessionResponse)> {
        let (programme, person, voided, reason) = convert::void_session(&request)?;
        let member = trainee(&mut unit.tx, &programme, &person).await?;
        let mut known = self.study_of(&mut unit.tx, &programme, member).await?;
        let place = known.sessions.iter().position(|(id, ..)| *id == voided);
        let place = place.ok_or_else(|| not_found("session_id"))?;
        let (session_id, course_id, mut session) = known.sessions.swap_remove(place);
        let mut lost = Vec::new();
        if !session.voided {
            let beats: Vec<_> = session.beats.beats(session.opened_at).map(|(at, _)| at).collect();
            known.load_days(&mut unit.tx, &beats).await?;
            let mut course = known.course(&mut unit.tx, &course_id).await?;
            let credited_micros = session.credited_micros;
            let freed = correct::void(&known.scheme, &mut known.learner, &mut course, &mut session);
            for (id, of_course, other) in &known.sessions {
                let micros = correct::lost_to(&known.scheme, &freed, other);
                if micros > 0 {
                    let (session_id, course_id) = (id.to_string(), of_course.to_string());
                    lost.push(LostTime { session_id, course_id, seconds: to_int32(whole_seconds(micros)) });
                }
            }
            lost.sort_by(|one, other| one.session_id.cmp(&other.session_id));
            let fact = SessionVoided {
                programme_id: known.programme_id.to_string(),
                person_id: known.member.person_id.to_string(),
                course_id: course_id.to_string(),
                session_id: session_id.to_string(),
                reason: reason.clone(),
                credited_micros,
            };
            unit.emit(known.member.places.at(unit.now).county_text(), person.as_str(), &fact);
            let actor = unit.actor().to_owned();
            let key = (&person, &session_id);
            let (tx, now) = (&mut unit.tx, unit.now);
            correction::insert_voided(tx, &programme, key, &reason, now, &actor).await?;
            let kept = KeptSession {
                session_id: &session_id,
                person_id: &person,
                course_id: &course_id,
                session: &session,
                actor: &actor,
            };
            session::save_sessions(tx, &programme, &[kept], now).await?;
            known.save(&mut unit, &course_id, &course).await?;
        }
        let session = Some(convert::session_to_proto(&session_id, &course_id, &session));
        Ok((unit, VoidSessionResponse { session, lost }))
    }

    pub(super) async fn grant(
        self,
        mut unit: Unit,
        request: GrantTimeRequest,
    ) -> Result<(Unit, GrantTimeResponse)> {
        let at = unit.occurred_at;
        let (programme, person, mut grant) = convert::grant_time(&request, at)?;
        let member = trainee(&mut unit.tx, &programme, &person).await?;
        let mut known = self.study_of(&mut unit.tx, &programme, member).await?;
        if let Some(made) = known.grants.iter().find(|made| made.grant_id == grant.grant_id) {
            grant.micros = made.micros;
            if *made != grant {
                return Err(Refusal::new(ErrorReason::AlreadyExists).field("grant_id").into());
            }
            let granted_seconds = to_int32(whole_seconds(made.micros));
            return Ok((unit, GrantTimeResponse { granted_seconds, uncredited: Vec::new() }));
        }
        if known.member.withdrawn_at.is_some_and(|withdrawn_at| withdrawn_at <= at) {
            return Err(Refusal::new(ErrorReason::Withdrawn).field("person_id").into());
        }
        let mut course = known.course(&mut unit.tx, &grant.course_id).await?;
        if !known.course_of(&grant.course_id)?.applies_to(teaches(&known.member)) {
            return Err(Refusal::new(ErrorReason::CourseNotApplicable).field("course_id").into());
        }
        known.load_days(&mut unit.tx, &[at]).await?;
        let micros = grant.seconds * MICROS_PER_SECOND;
        let (granted, uncredited) =
            correct::grant(&known.scheme, &mut known.learner, &mut course, at, micros);
        grant.micros = granted;
        let fact = TimeGranted {
            programme_id: known.programme_id.to_string(),
            person_id: grant.person_id.to_string(),
            course_id: grant.course_id.to_string(),
            grant_id: grant.grant_id.to_string(),
            seconds: grant.seconds,
            granted_micros: granted,
            reason: grant.reason.clone(),
            evidence: grant.evidence.clone(),
        };
        unit.emit(known.member.places.at(at).county_text(), person.as_str(), &fact);
        let (actor, now) = (unit.actor().to_owned(), unit.now);
        correction::insert_grant(&mut unit.tx, &programme, &grant, now, &actor).await?;
        let course_id = grant.course_id.clone();
        known.grants.push(grant);
        known.save(&mut unit, &course_id, &course).await?;
        let shown: Vec<_> =
            uncredited.into_iter().map(|(reason, micros)| (reason, whole_seconds(micros))).collect();
        let uncredited = convert::uncredited_to_proto(&shown);
        Ok((unit, GrantTimeResponse { granted_seconds: to_int32(whole_seconds(granted)), uncredited }))
    }

    /// Loads a learner's study, locked; a learner who never studied gets a row to lock.
    async fn study_of(&self, tx: &mut Tx, programme_id: &ProgrammeId, member: Member) -> Result<Study> {
        let scheme = self.programmes.windows(tx, programme_id).await?.of_member(&member);
        let catalogue = self.catalogues.current(tx, programme_id).await?;
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
}

impl Study {
    fn course_of(&self, course_id: &CourseId) -> Result<&Arc<Course>> {
        Ok(self.catalogue.course(course_id).ok_or_else(|| not_found("course_id"))?)
    }

    /// The learner's course as it stands.
    async fn course(&self, tx: &mut Tx, course_id: &CourseId) -> Result<LearnerCourse> {
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
    async fn load_days(&mut self, tx: &mut Tx, beats: &[DateTime<Utc>]) -> Result<()> {
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

    /// Reads anew what was achieved, keeps what changed, and emits what is news.
    async fn save(&mut self, unit: &mut Unit, course_id: &CourseId, course: &LearnerCourse) -> Result<()> {
        let mut credits: Vec<DatedCredit<'_>> = Vec::new();
        for grant in &self.grants {
            let course = self.catalogue.course(&grant.course_id);
            credits.extend(DatedCredit::of_grant(course, grant.granted_at, grant.micros));
        }
        for (session_id, of_course, session) in &self.sessions {
            credits.extend(DatedCredit::of_session(self.catalogue.course(of_course), session_id, session));
        }
        let teaches = teaches(&self.member);
        let entries = self.scheme.trainee.online.iter();
        let totals: Vec<i64> =
            entries.map(|entry| main_line_total(self.catalogue.main_line(), entry, teaches)).collect();
        let found = achievements(&self.scheme, &totals, credits);
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
        let tx = &mut unit.tx;
        let days: Vec<_> =
            self.learner.study.days().iter().filter(|day| day.changed).map(|day| (person_id, day)).collect();
        study::save_days(tx, &self.programme_id, &days).await?;
        let progress = [(person_id, course_id, course.study.credited_micros)];
        study::save_course_progress(tx, &self.programme_id, &progress).await?;
        let changed = (0_i64..).zip(&self.learner.phases).filter(|(_, phase)| phase.changed);
        let phases: Vec<_> = changed.map(|(index, phase)| (person_id, index, phase)).collect();
        study::save_phases(tx, &self.programme_id, &phases).await?;
        let inside = (0_i64..).zip(&course.phase_micros);
        let courses: Vec<_> = inside.map(|(index, micros)| (person_id, course_id, index, *micros)).collect();
        study::save_phase_courses(tx, &self.programme_id, &courses).await?;
        Ok(())
    }
}

fn teaches(member: &Member) -> Teaches<'_> {
    Teaches { subject: &member.subject, education_stage: member.education_stage }
}
