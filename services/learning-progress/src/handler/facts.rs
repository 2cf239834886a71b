//! What follows when a fact of this service falls. Of a selection nothing is kept that follows from it: heartbeats ask for the first
//! one that stands, and study that was taken stays until its session is voided. Time that was granted is taken back; a session that is
//! voided no more has its time again. A course is what the changes of it that stand say, and everybody's study is read anew by that.

use std::sync::Arc;

use shipei_contracts::learning::v1::{CourseCorrected, CourseRetired, SessionVoided, TimeGranted};
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{CourseId, PersonId, ProgrammeId, SessionId},
    vocabulary::Role,
};
use shipei_service_kit::{Facts, Result, StoredFact, Unit, Why};
use shipei_store::Tx;

use super::course_change;
use crate::{
    catalogue::Catalogues,
    domain::correct,
    store::{anew, correction},
    whole::Study,
};

/// The facts of learning-progress.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) programmes: Programmes,
    pub(crate) catalogues: Catalogues,
}

#[tonic::async_trait]
impl Facts for Keeping {
    async fn region(&self, unit: &mut Unit, programme_id: &str) -> Result<String> {
        self.programmes.region(&mut unit.tx, programme_id).await
    }

    async fn refold(&self, unit: &mut Unit, fact: &StoredFact) -> Result<()> {
        if let Some(told) = fact.message::<SessionVoided>() {
            return self.give_back(unit, fact, &told).await;
        }
        if let Some(told) = fact.message::<CourseCorrected>() {
            return course_change::refold(unit, fact, (&told.programme_id, &told.course_id)).await;
        }
        if let Some(told) = fact.message::<CourseRetired>() {
            return course_change::refold(unit, fact, (&told.programme_id, &told.course_id)).await;
        }
        let Some(told) = fact.message::<TimeGranted>() else { return Ok(()) };
        let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
        let person = fact.id(&told.person_id, PersonId::parse)?;
        let course_id = fact.id(&told.course_id, CourseId::parse)?;
        // Who was removed meanwhile is nobody, of whom nothing is scored.
        let member = shipei_mirror::member(&mut unit.tx, &programme, Role::Trainee, &person).await?;
        let Some(member) = member else { return Ok(()) };
        let (programmes, catalogues) = (&self.programmes, &self.catalogues);
        let mut known = Study::load(&mut unit.tx, programmes, catalogues, &programme, member).await?;
        let mut course = known.course(&course_id)?;
        let at = fact.event.occurred_at;
        known.load_days(&mut unit.tx, &[at]).await?;
        let scheme = known.scheme.clone();
        correct::take_back_grant(&scheme, &mut known.learner, &mut course, at, told.granted_micros);
        known.save(unit, &course_id, course).await
    }

    async fn why(&self, tx: &mut Tx, fact: &StoredFact) -> Result<Why> {
        let fact_id = fact.event.fact_id.as_str();
        if let Some(told) = fact.message::<SessionVoided>() {
            let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let reason = correction::why_voided(tx, &programme, fact_id).await?;
            return Ok(Why { reason, ..Why::default() });
        }
        let Some(told) = fact.message::<TimeGranted>() else { return Ok(Why::default()) };
        let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
        let person = fact.id(&told.person_id, PersonId::parse)?;
        let (reason, evidence) = correction::why_granted(tx, &programme, &person, fact_id).await?;
        Ok(Why { reason, evidence })
    }

    async fn is_settled(&self, tx: &mut Tx) -> Result<bool> {
        Ok(anew::is_done(tx).await?)
    }
}

impl Keeping {
    /// What had been taken from a session that no fact voids any more is its own again.
    async fn give_back(&self, unit: &mut Unit, fact: &StoredFact, told: &SessionVoided) -> Result<()> {
        let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
        let person = fact.id(&told.person_id, PersonId::parse)?;
        let session_id = fact.id(&told.session_id, SessionId::parse)?;
        // Who was removed meanwhile is nobody, of whom nothing is scored.
        let member = shipei_mirror::member(&mut unit.tx, &programme, Role::Trainee, &person).await?;
        let Some(member) = member else { return Ok(()) };
        let (programmes, catalogues) = (&self.programmes, &self.catalogues);
        let mut known = Study::load(&mut unit.tx, programmes, catalogues, &programme, member).await?;
        let (session_id, course_id, mut session) = known.take_session(&session_id)?;
        let voids = correction::voids(&mut unit.tx, &programme, &person, &[&session_id]).await?;
        if !session.voided || !voids.is_empty() {
            return Ok(());
        }
        known.load_days_of(&mut unit.tx, &session).await?;
        let (mut course, of) = (known.course(&course_id)?, Arc::clone(known.course_of(&course_id)?));
        let scheme = known.scheme.clone();
        correct::give_back(&scheme, &mut known.learner, &of, &mut course, &mut session);
        known.save_session(unit, (&session_id, &course_id), &session).await?;
        known.save(unit, &course_id, course).await
    }
}
