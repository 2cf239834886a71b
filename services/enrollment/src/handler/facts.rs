//! What follows when a fact of this service falls: what is kept of a person, where a trainee stands now, who is a class's tutor, and what
//! became of places. Everything else is read as the first one that stands.

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::ids::{ClassId, PersonId, ProgrammeId};
use shipei_service_kit::{Facts, Result, StoredFact, Unit, Why};
use shipei_store::Tx;

use super::{correct, programme_head};
use crate::{
    convert,
    error::not_found,
    store::{
        class as classes, person as people,
        place::{self as places, When},
        programme::{lock_programme, share_programme},
        transfer as transfers,
    },
};

/// Puts in place what follows for a place from the changes that stand.
async fn settle(
    unit: &mut Unit,
    fact: &StoredFact,
    programme_id: &str,
    (kind, code): (pb::PlaceKind, &str),
) -> Result<()> {
    let id = fact.id(programme_id, ProgrammeId::parse)?;
    lock_programme(&mut unit.tx, &id).await?;
    let Some(kind) = convert::kind_from(kind) else { return Ok(()) };
    Ok(places::settle(&mut unit.tx, &id, kind, code).await?)
}

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
            // Name and number are read by who enrolls the person in another role.
            share_programme(&mut unit.tx, &id).await?;
            people::lock_person(&mut unit.tx, &id, &person_id).await?;
            return correct::refold(&mut unit.tx, &id, &person_id).await;
        }
        if let Some(told) = fact.message::<pb::TutorReplaced>() {
            let id = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let class_id = fact.id(&told.class_id, ClassId::parse)?;
            lock_programme(&mut unit.tx, &id).await?;
            return Ok(classes::put_tutor(&mut unit.tx, &id, &class_id).await?);
        }
        if let Some((programme_id, kind, code)) = place_of(fact) {
            return settle(unit, fact, &programme_id, (kind, &code)).await;
        }
        let Some(told) = fact.message::<pb::TraineeTransferred>() else { return Ok(()) };
        let id = &fact.id(&told.programme_id, ProgrammeId::parse)?;
        let person_id = &fact.id(&told.person_id, PersonId::parse)?;
        share_programme(&mut unit.tx, id).await?;
        people::lock_person(&mut unit.tx, id, person_id).await?;
        // Also of who was removed: they may come to be there again.
        let roster_place = transfers::roster_place(&mut unit.tx, id, person_id).await?;
        let Some(roster_place) = roster_place else { return Ok(()) };
        let moves = transfers::moves(&mut unit.tx, id, person_id).await?;
        let place = moves.into_iter().next_back().map_or(roster_place, |last| last.new);
        let successors = places::successors_of(&mut unit.tx, id, [&place]).await?;
        let place = places::standing(&successors, &place, When::Last)?;
        Ok(transfers::put_in_place(&mut unit.tx, id, person_id, &place).await?)
    }

    async fn why(&self, tx: &mut Tx, fact: &StoredFact) -> Result<Why> {
        let fact_id = fact.event.fact_id.as_str();
        let reason = if let Some(told) = fact.message::<pb::TutorReplaced>() {
            let id = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let class_id = fact.id(&told.class_id, ClassId::parse)?;
            classes::why_replaced(tx, &id, &class_id, fact_id).await?
        } else if let Some((programme_id, kind, code)) = place_of(fact)
            && let Some(kind) = convert::kind_from(kind)
        {
            let id = fact.id(&programme_id, ProgrammeId::parse)?;
            places::why(tx, &id, (kind, &code), fact_id).await?
        } else {
            String::new()
        };
        Ok(Why { reason, ..Why::default() })
    }
}

/// The place that was renamed, merged or closed, with its programme.
fn place_of(fact: &StoredFact) -> Option<(String, pb::PlaceKind, String)> {
    if let Some(told) = fact.message::<pb::PlaceRenamed>() {
        return Some((told.programme_id.clone(), told.kind(), told.code));
    }
    if let Some(told) = fact.message::<pb::PlaceMerged>() {
        return Some((told.programme_id.clone(), told.kind(), told.code));
    }
    let told = fact.message::<pb::PlaceClosed>()?;
    Some((told.programme_id.clone(), told.kind(), told.code))
}
