//! Facts that were wrong. What: every recorded fact has an id, which its event and its row carry ([`Unit::emit_fact`]); a
//! retraction names it (`retract`), and what a service keeps is a fold over the facts that stand. Why one mechanism: a fact of
//! any kind falls the same way, in any order with everything else, also before it has come. A correction is a retraction and a
//! new fact in one unit of work: whatever request carries a `correction` gets it on its way to the handler.
//!
//! For one more kind of fact: `unit.new_fact_id()` and `emit_fact` in its handler, a column `fact_id` in its table,
//! `stands!` where its rows are read, and its line in the service's [`Facts::refold`] if something that is kept follows from it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prost::{Message as _, Name as _};
use shipei_contracts::{common::v1::Correction, event::v1::FactRetracted};
use shipei_store::{
    Link, LogPosition, NewEvent, StoreError, StoredEvent, Tx, event_log,
    retraction::{self, Retraction},
};

use crate::{
    answer::{convert::Fields, error::Result},
    write::{event::to_event, unit::Unit},
};

/// The longest reason, characters.
const REASON_CHARS_MAX: usize = 2_000;
/// The longest fact id, bytes: a request id with a number.
pub(crate) const FACT_ID_BYTES_MAX: usize = 160;

/// What a service does about its facts.
#[tonic::async_trait]
pub trait Facts: fmt::Debug + Send + Sync + 'static {
    /// The region of a programme: where a retraction is told whose fact has not come yet.
    ///
    /// # Errors
    /// NOT_FOUND when there is no such programme, and what the database does.
    async fn region(&self, unit: &mut Unit, programme_id: &str) -> Result<String>;

    /// Brings what is kept up to date, behind the retraction of a fact: its row is still there and does not stand any more.
    ///
    /// # Errors
    /// What the database does, and rows that can't be.
    async fn refold(&self, unit: &mut Unit, fact: &StoredFact) -> Result<()>;

    /// Why a fact was recorded, where this is for whoever reaches the fact. Events don't say it: what people write may be about people.
    ///
    /// # Errors
    /// What the database does, and rows that can't be.
    async fn why(&self, _tx: &mut Tx, _fact: &StoredFact) -> Result<Why> {
        Ok(Why::default())
    }

    /// Whether nothing that follows from what is written is left to be done in the background.
    ///
    /// # Errors
    /// What the database does.
    async fn is_settled(&self, _tx: &mut Tx) -> Result<bool> {
        Ok(true)
    }
}

/// Why a fact was recorded, in the words of who did; empty where nobody was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// The reason.
    pub reason: String,
    /// What shows it, e.g. the number of a document.
    pub evidence: String,
}

/// A fact as its event told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFact {
    /// The event.
    pub event: StoredEvent,
}

impl StoredFact {
    /// The message, if the event has one of this type.
    pub fn message<M: prost::Message + prost::Name + Default>(&self) -> Option<M> {
        if self.event.kind != M::full_name() {
            return None;
        }
        M::decode(self.event.data.as_slice()).ok()
    }

    /// An id in it.
    ///
    /// # Errors
    /// A text that is none: then the log is damaged.
    pub fn id<T, E>(
        &self,
        text: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, StoreError> {
        parse(text).map_err(|_| StoreError::corrupt_row("event", "data", &self.event.fact_id))
    }
}

/// Which fact falls, and why.
#[derive(Debug, Clone)]
pub(crate) struct Retract {
    pub(crate) programme_id: String,
    pub(crate) fact_id: String,
    pub(crate) reason: String,
}

impl Retract {
    /// Reads which fact and why; the fields are named by the request.
    pub(crate) fn read(fields: &mut Fields, programme_id: &str, fact_id: &str, reason: &str) -> Option<Self> {
        let programme_id = id(fields, "programme_id", programme_id, FACT_ID_BYTES_MAX);
        let fact_id = id(fields, "fact_id", fact_id, FACT_ID_BYTES_MAX);
        let reason = match shipei_text::trim_unseen(reason).is_empty() {
            true => fields.fault("reason", "required"),
            false => fields.text("reason", reason, REASON_CHARS_MAX),
        };
        Some(Self { programme_id: programme_id?, fact_id: fact_id?, reason: reason? })
    }
}

/// An id of the caller's.
pub(crate) fn id(fields: &mut Fields, field: &str, value: &str, bytes_max: usize) -> Option<String> {
    if value.is_empty() {
        return fields.fault(field, "required");
    }
    match shipei_text::fault_of_id(value, bytes_max) {
        Some(fault) => fields.fault(field, fault),
        None => Some(value.to_owned()),
    }
}

/// The correction of a request, to be carried out before its handler.
#[derive(Clone)]
pub(super) struct Correcting {
    pub(super) facts: Arc<dyn Facts>,
    pub(super) source: &'static str,
    pub(super) programme_id: String,
    pub(super) correction: Correction,
}

impl Correcting {
    /// Retracts what is corrected.
    pub(super) async fn carry_out(self, mut unit: Unit) -> Result<Unit> {
        let Correction { fact_id, reason } = &self.correction;
        let mut fields = Fields::new();
        let read =
            fields.inner("correction", |fields| Retract::read(fields, &self.programme_id, fact_id, reason));
        let (command,) = fields.all((read,))?;
        retract(&mut unit, &*self.facts, self.source, command).await?;
        Ok(unit)
    }
}

/// Retracts a fact: the first retraction stands. A fact of another programme is as if it were not there.
pub(crate) async fn retract(
    unit: &mut Unit,
    facts: &dyn Facts,
    source: &str,
    command: Retract,
) -> Result<Retraction> {
    let Retract { programme_id, fact_id, reason } = command;
    let programme_region = facts.region(unit, &programme_id).await?;
    retraction::lock(&mut unit.tx, &fact_id).await?;
    if let Some((request_id, _)) = fact_id.rsplit_once(':') {
        // It may be one of many facts of that request, which ask for all of them at once.
        retraction::lock(&mut unit.tx, request_id).await?;
    }
    if let Some(standing) = retraction::find(&mut unit.tx, &programme_id, &fact_id).await? {
        return Ok(standing);
    }
    let told = match event_log::fact(&mut unit.tx, &fact_id).await? {
        Some(told) => Some(told),
        None => unit.pending_fact(&fact_id).as_ref().map(as_stored),
    };
    let told = told.filter(|event| event.programme == programme_id);
    let retraction = Retraction {
        fact_id: fact_id.clone(),
        programme_id: programme_id.clone(),
        fact_type: told.as_ref().map(|event| event.kind.clone()).unwrap_or_default(),
        reason,
        actor: unit.actor().to_owned(),
        retracted_at: unit.occurred_at,
        recorded_at: unit.now,
    };
    retraction::insert(&mut unit.tx, &retraction).await?;
    let fact = told.as_ref().map(|event| to_event(source, event.clone()));
    let message = FactRetracted { programme_id, fact_id, fact };
    match told {
        Some(event) => {
            unit.emit(&event.region, &event.subject, &message);
            facts.refold(unit, &StoredFact { event }).await?;
        }
        None => unit.emit(&programme_region, &retraction.fact_id, &message),
    }
    Ok(retraction)
}

/// Facts among these events that were retracted before they came: told as retracted behind themselves, since a reader of another
/// partition may have heard of the retraction before.
pub(super) async fn fallen(tx: &mut Tx, source: &str, events: &[NewEvent]) -> Result<Vec<NewEvent>> {
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.fact_id.is_empty()) {
        ids.entry(&event.programme).or_default().push(&event.fact_id);
    }
    let mut told = Vec::new();
    for (programme, ids) in ids {
        let fallen = retraction::find_all(tx, programme, &ids).await?;
        if fallen.is_empty() {
            continue;
        }
        let is_fallen = |event: &&NewEvent| event.programme == programme && fallen.contains(&event.fact_id);
        for event in events.iter().filter(is_fallen) {
            let Some(retraction) = retraction::find(tx, programme, &event.fact_id).await? else { continue };
            let message = FactRetracted {
                programme_id: event.programme.clone(),
                fact_id: event.fact_id.clone(),
                fact: Some(to_event(source, as_stored(event))),
            };
            told.push(NewEvent {
                kind: FactRetracted::full_name(),
                occurred_at: retraction.retracted_at,
                actor: retraction.actor,
                cause: event.fact_id.clone(),
                transaction_size: 1,
                transaction_place: 1,
                data: message.encode_to_vec(),
                fact_id: String::new(),
                ..event.clone()
            });
        }
    }
    Ok(told)
}

/// An event that has no place in the log yet.
fn as_stored(event: &NewEvent) -> StoredEvent {
    StoredEvent {
        position: LogPosition { partition: event.partition, number: 0 },
        recorded_at: event.occurred_at,
        kind: event.kind.clone(),
        programme: event.programme.clone(),
        subject: event.subject.clone(),
        version: 0,
        region: event.region.clone(),
        occurred_at: event.occurred_at,
        actor: event.actor.clone(),
        address: event.address.clone(),
        cause: event.cause.clone(),
        trace: event.trace.clone(),
        transaction_size: event.transaction_size,
        transaction_place: event.transaction_place,
        data: event.data.clone(),
        fact_id: event.fact_id.clone(),
        link: Link::NONE,
    }
}
