//! What follows when a fact of this service falls: what is kept of a person, where a trainee stands now, and who is a class's tutor. Everything else is read as the first one that
//! stands.

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::ids::{ClassId, PersonId, ProgrammeId};
use shipei_service_kit::{Facts, Result, StoredFact, Unit};

use super::{correct, programme_head};
use crate::{
    error::not_found,
    store::{class as classes, person as people, programme::lock_programme, transfer as transfers},
};

/// The facts of enrollment.
#[derive(Debug)]
pub(crate) struct Keeping;

#[tonic::async_trait]
impl Facts for Keeping {
    async fn region(&self, unit: &mut Unit, programme_id: &str) -> Result<String> {
        let id = ProgrammeId::parse(programme_id).map_err(|_| not_found("programme_id"))?;
        Ok(programme_head(&mut unit.tx, &id).await?.region_code.into())
    }

    async fn refold(&self, unit: &mut Unit, fact: &StoredFact) -> Result<()> {
        if let Some(told) = fact.message::<pb::PersonCorrected>() {
            let id = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let person_id = fact.id(&told.person_id, PersonId::parse)?;
            people::lock_person(&mut unit.tx, &id, &person_id).await?;
            return correct::refold(&mut unit.tx, &id, &person_id).await;
        }
        if let Some(told) = fact.message::<pb::TutorReplaced>() {
            let id = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let class_id = fact.id(&told.class_id, ClassId::parse)?;
            lock_programme(&mut unit.tx, &id).await?;
            return Ok(classes::put_tutor(&mut unit.tx, &id, &class_id).await?);
        }
        let Some(told) = fact.message::<pb::TraineeTransferred>() else { return Ok(()) };
        let id = &fact.id(&told.programme_id, ProgrammeId::parse)?;
        let person_id = &fact.id(&told.person_id, PersonId::parse)?;
        people::lock_person(&mut unit.tx, id, person_id).await?;
        // Also of who was removed: they may come to be there again.
        let roster_place = transfers::roster_place(&mut unit.tx, id, person_id).await?;
        let Some(roster_place) = roster_place else { return Ok(()) };
        let moves = transfers::moves(&mut unit.tx, id, person_id).await?;
        let place = moves.into_iter().next_back().map_or(roster_place, |last| last.new);
        Ok(transfers::put_in_place(&mut unit.tx, id, person_id, &place).await?)
    }
}
