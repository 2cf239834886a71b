//! Study put right by hand: `VoidSession` and `GrantTime`. All of one learner's study is loaded, under the lock of the
//! learner's row, which a batch of heartbeats holds too (`whole`).

use std::sync::Arc;

use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1::{
    self as proto, GrantTimeRequest, GrantTimeResponse, LostTime, SessionVoided, TimeGranted,
    VoidSessionRequest, VoidSessionResponse,
};
use shipei_rules::study_time::{MICROS_PER_SECOND, whole_seconds};
use shipei_service_kit::{Refusal, Result, Unit, to_int32};

use super::{StudyHandler, trainee};
use crate::convert;
use crate::domain::correct;
use crate::store::correction::{self, Voided};
use crate::whole::Study;

/// The most facts that void one session.
const VOIDS_PER_SESSION_MAX: usize = 100;

impl StudyHandler {
    pub(super) async fn void(
        self,
        mut unit: Unit,
        request: VoidSessionRequest,
    ) -> Result<(Unit, VoidSessionResponse)> {
        let (programme, person, session, reason) = convert::void_session(&request)?;
        let fact_id = unit.new_fact_id()?;
        // One that was retracted before it came voids nothing.
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let member = trainee(&mut unit.tx, &programme, &person).await?;
        let mut known =
            Study::load(&mut unit.tx, &self.programmes, &self.catalogues, &programme, member).await?;
        let (session_id, course_id, mut session) = known.take_session(&session)?;
        let voids = correction::voids(&mut unit.tx, &programme, &person, &[&session_id]).await?;
        if voids.len() >= VOIDS_PER_SESSION_MAX {
            let refusal = Refusal::new(ErrorReason::LimitReached);
            return Err(refusal.with("kept_max", VOIDS_PER_SESSION_MAX.to_string()).into());
        }
        let mut lost = Vec::new();
        let credited_micros = if stands { session.credited_micros } else { 0 };
        let fact = SessionVoided {
            programme_id: known.programme_id.to_string(),
            person_id: known.member.person_id.to_string(),
            course_id: course_id.to_string(),
            session_id: session_id.to_string(),
            credited_micros,
        };
        unit.emit_fact(&fact_id, known.member.places.at(unit.now).county_text(), person.as_str(), &fact);
        let (actor, now) = (unit.actor().to_owned(), unit.now);
        let voided =
            Voided { person_id: &person, session_id: &session_id, reason: &reason, fact_id: &fact_id };
        correction::insert_voided(&mut unit.tx, &programme, &voided, now, &actor).await?;
        if stands && !session.voided {
            known.load_days_of(&mut unit.tx, &session).await?;
            let mut course = known.course(&course_id)?;
            let freed = correct::void(&mut known.learner, &mut course, &mut session);
            for (id, of_course, other) in known.sessions.iter().filter(|(.., other)| !other.voided) {
                let micros = correct::lost_to(&known.scheme, &freed, other);
                if micros > 0 {
                    let (session_id, course_id) = (id.to_string(), of_course.to_string());
                    lost.push(LostTime { session_id, course_id, seconds: to_int32(whole_seconds(micros)) });
                }
            }
            lost.sort_by(|one, other| one.session_id.cmp(&other.session_id));
            known.save_session(&mut unit, (&session_id, &course_id), &session).await?;
            known.save(&mut unit, &course_id, course).await?;
        }
        let mut void_fact_ids: Vec<String> = voids.into_iter().map(|void| void.fact_id).collect();
        void_fact_ids.extend(stands.then(|| fact_id.clone()));
        void_fact_ids.sort_unstable();
        let session =
            proto::Session { void_fact_ids, ..convert::session_to_proto(&session_id, &course_id, &session) };
        Ok((unit, VoidSessionResponse { session: Some(session), lost, fact_id }))
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
        let (mut course, of) =
            (known.course(&grant.course_id)?, Arc::clone(known.course_of(&grant.course_id)?));
        if let Some(reason) = of.terms.at(at).refuses(known.member.teaching.at(at).into()) {
            return Err(Refusal::new(reason).field("course_id").into());
        }
        known.load_days(&mut unit.tx, &[at]).await?;
        // One that was retracted before it came grants nothing.
        let micros = if stands { grant.seconds * MICROS_PER_SECOND } else { 0 };
        let (granted, uncredited) =
            correct::grant(&known.scheme, &mut known.learner, (&of, &mut course), at, micros);
        grant.micros = granted;
        let fact = TimeGranted {
            programme_id: known.programme_id.to_string(),
            person_id: grant.person_id.to_string(),
            course_id: grant.course_id.to_string(),
            grant_id: grant.grant_id.to_string(),
            seconds: grant.seconds,
            granted_micros: granted,
        };
        unit.emit_fact(&grant.fact_id, known.member.places.at(at).county_text(), person.as_str(), &fact);
        let (actor, now) = (unit.actor().to_owned(), unit.now);
        correction::insert_grant(&mut unit.tx, &programme, &grant, now, &actor).await?;
        let (course_id, fact_id) = (grant.course_id.clone(), grant.fact_id.clone());
        known.grants.push(grant);
        known.save(&mut unit, &course_id, course).await?;
        let shown: Vec<_> =
            uncredited.into_iter().map(|(reason, micros)| (reason, whole_seconds(micros))).collect();
        let uncredited = convert::uncredited_to_proto(&shown);
        let granted_seconds = to_int32(whole_seconds(granted));
        Ok((unit, GrantTimeResponse { granted_seconds, uncredited, fact_id }))
    }
}
