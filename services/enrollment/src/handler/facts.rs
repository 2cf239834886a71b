//! What follows when a fact of this service falls: where a trainee stands now. Everything else is read as the first one that
//! stands.

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_service_kit::{Facts, Result, StoredFact, Unit};

use super::programme_head;
use crate::{error::not_found, store::person as people};

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
        let Some(told) = fact.message::<pb::TraineeTransferred>() else { return Ok(()) };
        let id = &fact.id(&told.programme_id, ProgrammeId::parse)?;
        let person_id = &fact.id(&told.person_id, PersonId::parse)?;
        people::lock_person(&mut unit.tx, id, person_id).await?;
        let Some(member) = people::member(&mut unit.tx, id, person_id).await? else { return Ok(()) };
        let moves = people::moves(&mut unit.tx, id, person_id).await?;
        let place = moves.into_iter().next_back().map_or(member.roster_place, |last| last.new);
        Ok(people::put_in_place(&mut unit.tx, id, person_id, &place).await?)
    }
}
