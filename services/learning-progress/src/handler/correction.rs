//! Study put right by hand: `VoidSession` and `GrantTime`. All of one learner's study is loaded, under the lock of the
//! learner's row, which a batch of heartbeats holds too (`whole`).

use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1::{
    GrantTimeRequest, GrantTimeResponse, LostTime, SessionVoided, TimeGranted, VoidSessionRequest,
    VoidSessionResponse,
};
use shipei_rules::study_time::{MICROS_PER_SECOND, whole_seconds};
use shipei_service_kit::{Refusal, Result, Unit, to_int32};

use super::{StudyHandler, not_found, trainee};
use crate::convert;
use crate::domain::correct;
use crate::store::correction;
use crate::store::session::{self, KeptSession};
use crate::whole::Study;

impl StudyHandler {
    pub(super) async fn void(
        self,
        mut unit: Unit,
        request: VoidSessionRequest,
    ) -> Result<(Unit, VoidSessionResponse)> {
        let (programme, person, voided, reason) = convert::void_session(&request)?;
        let member = trainee(&mut unit.tx, &programme, &person).await?;
        let mut known =
            Study::load(&mut unit.tx, &self.programmes, &self.catalogues, &programme, member).await?;
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
        grant.fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &grant.fact_id).await?;
        let member = trainee(&mut unit.tx, &programme, &person).await?;
        let mut known =
            Study::load(&mut unit.tx, &self.programmes, &self.catalogues, &programme, member).await?;
        if let Some(made) = known.grants.iter().find(|made| made.grant_id == grant.grant_id) {
            grant.micros = made.micros;
            if !made.is_same(&grant) {
                return Err(Refusal::new(ErrorReason::AlreadyExists).field("grant_id").into());
            }
            let granted_seconds = to_int32(whole_seconds(made.micros));
            let fact_id = made.fact_id.clone();
            return Ok((unit, GrantTimeResponse { granted_seconds, uncredited: Vec::new(), fact_id }));
        }
        if known.member.absences.at(at) {
            return Err(Refusal::new(ErrorReason::Withdrawn).field("person_id").into());
        }
        let mut course = known.course(&mut unit.tx, &grant.course_id).await?;
        if !known.course_of(&grant.course_id)?.applies_to(known.member.teaching.at(at).into()) {
            return Err(Refusal::new(ErrorReason::CourseNotApplicable).field("course_id").into());
        }
        known.load_days(&mut unit.tx, &[at]).await?;
        // One that was retracted before it came grants nothing.
        let micros = if stands { grant.seconds * MICROS_PER_SECOND } else { 0 };
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
        unit.emit_fact(&grant.fact_id, known.member.places.at(at).county_text(), person.as_str(), &fact);
        let (actor, now) = (unit.actor().to_owned(), unit.now);
        correction::insert_grant(&mut unit.tx, &programme, &grant, now, &actor).await?;
        let (course_id, fact_id) = (grant.course_id.clone(), grant.fact_id.clone());
        known.grants.push(grant);
        known.save(&mut unit, &course_id, &course).await?;
        let shown: Vec<_> =
            uncredited.into_iter().map(|(reason, micros)| (reason, whole_seconds(micros))).collect();
        let uncredited = convert::uncredited_to_proto(&shown);
        let granted_seconds = to_int32(whole_seconds(granted));
        Ok((unit, GrantTimeResponse { granted_seconds, uncredited, fact_id }))
    }
}
