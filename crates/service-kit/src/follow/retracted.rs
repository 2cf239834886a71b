//! Facts that fell, as a reader of a log learns of them. What: every retraction in a batch is kept, and the projector is given
//! the fact itself again, told by the retraction. Why so: a projector needs no word for retractions: it keeps a fact once, with
//! its id, however often it is told, it scores or shows anew whomever it is about, and its statements leave out what does not
//! stand (`shipei_store::learned_stands!`). So a retraction means the same before its fact and behind it.

use std::borrow::Cow;

use prost::Name as _;
use shipei_contracts::event::v1::{Event, FactRetracted};
use shipei_store::retraction;

use crate::{answer::error::Result, follow::dispatch::Fact, write::unit::Unit};

/// The types of a subscription, with the one that retracts; all stays all.
pub(super) fn with_retractions(mut types: Vec<String>) -> Vec<String> {
    if !types.is_empty() {
        types.push(FactRetracted::full_name());
    }
    types
}

/// Keeps what was retracted, and gives the events with each retraction replaced by its fact, where that is known.
///
/// # Errors
/// Retractions that can't be read, and what the database does.
pub async fn learn<'a>(unit: &mut Unit, source: &str, events: &'a [Event]) -> Result<Cow<'a, [Event]>> {
    let kind = FactRetracted::full_name();
    if events.iter().all(|event| event.r#type != kind) {
        return Ok(Cow::Borrowed(events));
    }
    let mut retractions = Vec::new();
    let mut told = Vec::with_capacity(events.len());
    for event in events {
        if event.r#type != kind {
            told.push(event.clone());
            continue;
        }
        let mut retraction: FactRetracted = Fact::of(event)?.message()?;
        if let Some(fact) = retraction.fact.take() {
            // What follows from it is caused by the retraction, and is as new as that.
            told.push(Event { id: event.id.clone(), recorded_time: event.recorded_time, ..fact });
        }
        retractions.push(retraction);
    }
    let facts: Vec<(&str, &str)> = retractions
        .iter()
        .map(|retraction| (retraction.programme_id.as_str(), retraction.fact_id.as_str()))
        .collect();
    retraction::learn(&mut unit.tx, source, &facts).await?;
    Ok(Cow::Owned(told))
}
