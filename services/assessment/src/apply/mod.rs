//! From the logs of the other four services to facts and scores: one projector for each log, one file for each. All end
//! in [`apply_batches`]: facts are written, then everybody whom they touch is scored, in the transaction that moves the
//! cursor. To learn from one more event: its type in the file's list, its lines in the file's function.

pub mod assignment;
pub mod enrollment;
pub mod learning;
pub mod offline;

use std::collections::BTreeMap;

use shipei_contracts::{common::v1::EducationStage, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_rules::vocabulary;
use shipei_service_kit::{Error, Result, Unit, convert::from_timestamp};

use crate::{
    facts::{Batch, Cause, Instant},
    recompute::{self, rescore},
    store::{save, scores},
};

/// What the events of one batch say, by programme.
pub type Batches = BTreeMap<String, Batch>;

/// The event's time, as a fact is dated.
fn event_time(event: &Event) -> Result<Instant> {
    let time =
        event.time.as_ref().ok_or_else(|| Error::Internal(format!("event {} has no time", event.id)))?;
    from_timestamp(time).map_err(|fault| Error::Internal(format!("event {}: {fault}", event.id)))
}

/// The event as the cause of what follows from it.
fn cause_of(event: &Event, at: Instant) -> Cause {
    Cause { id: format!("{}/{}", event.source, event.id), at }
}

/// The batch of a programme.
fn batch_of<'batches>(batches: &'batches mut Batches, programme_id: &str) -> &'batches mut Batch {
    batches.entry(programme_id.to_owned()).or_default()
}

/// Keeps the least time under a key.
fn keep_first<Key: Ord>(times: &mut BTreeMap<Key, Instant>, key: Key, at: Instant) {
    times.entry(key).and_modify(|kept| *kept = at.min(*kept)).or_insert(at);
}

/// The word of an education stage; empty where there is none.
fn stage_word(stage: EducationStage) -> &'static str {
    match stage {
        EducationStage::Compulsory => vocabulary::EducationStage::Compulsory.as_str(),
        EducationStage::NonCompulsory => vocabulary::EducationStage::NonCompulsory.as_str(),
        EducationStage::Unspecified => "",
    }
}

/// Writes facts and scores what they touch. A new scheme locks its programme alone; it scores everything anew, the first
/// page at once.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn apply_batches(unit: &mut Unit, schemes: &Programmes, batches: Batches) -> Result<()> {
    for (programme_id, batch) in batches {
        if batch.scheme.is_none() {
            scores::lock_programme(&mut unit.tx, &programme_id, false).await?;
        }
        save::batch(&mut unit.tx, &programme_id, &batch).await?;
        recompute::run(unit, schemes, &programme_id, batch.touched).await?;
        if let Some(cause) = &batch.scheme {
            rescore::begin(unit, &programme_id, cause).await?;
            rescore::step(unit, schemes, &programme_id).await?;
        }
    }
    Ok(())
}
