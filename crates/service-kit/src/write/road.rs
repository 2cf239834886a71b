//! The one road of every write: the only place that begins a write transaction, appends events, commits, wakes readers
//! and knows the positions for a token (`tests/architecture.rs` refuses another). Who writes comes here: commands
//! (`group.rs`), imports in parts, background work, followers, and services that gather what many have sent. What every write must
//! have, it gets here once.

use std::{
    future::Future,
    sync::{Arc, PoisonError},
};

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_store::{
    LogPosition, NewEvent, Partition, Positions, StoreError, Tx, event_log, idempotency::RequestRecord,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    answer::error::{Error, Refusal, Result},
    call::{
        admit::Admitted,
        consistency::{Token, partition_number},
    },
    write::{
        facts,
        kit::Kit,
        origin::Origin,
        unit::{EVENTS_PER_UNIT_MAX, PendingFacts, Unit},
    },
};

/// What was kept.
#[derive(Debug)]
pub struct Committed<T> {
    /// What the work gave.
    pub value: T,
    /// Where its events stand, in the order in which they were emitted.
    pub positions: Vec<LogPosition>,
    /// The end of the whole log, where the work asked for it.
    pub heads: Option<Positions>,
}

impl<T> Committed<T> {
    /// The token of what was written, or of the whole log.
    pub fn token(&self, source: &str) -> Token {
        token_of(source, &self.positions, self.heads.as_ref())
    }
}

/// The token of these positions, and of the whole log where that is known.
pub(super) fn token_of(source: &str, positions: &[LogPosition], heads: Option<&Positions>) -> Token {
    let mut token = heads.map(|heads| Token::of(source, heads)).unwrap_or_default();
    // The audit log is in no vector of positions: nobody waits for it.
    for position in positions.iter().filter(|position| position.partition != Partition::AUDIT) {
        token.raise(source, partition_number(position.partition), position.number);
    }
    token
}

/// An open write transaction of a service, with the events to be.
pub(super) struct Transaction {
    kit: Kit,
    tx: Arc<Mutex<Tx>>,
    events: Vec<NewEvent>,
    /// Those of the events that tell facts, for who retracts one of the same transaction.
    facts: PendingFacts,
    recorded_at: DateTime<Utc>,
    needs_whole_log: bool,
}

impl Transaction {
    pub(super) async fn begin(kit: &Kit) -> std::result::Result<Self, StoreError> {
        let tx = kit.database().begin_write().await?;
        Ok(Self {
            kit: kit.clone(),
            tx: Arc::new(Mutex::new(tx)),
            events: Vec::new(),
            facts: PendingFacts::default(),
            recorded_at: DateTime::<Utc>::MIN_UTC,
            needs_whole_log: false,
        })
    }

    /// The transaction itself; an error while a unit has it.
    pub(super) fn lend(&self) -> Result<OwnedMutexGuard<Tx>> {
        let lent = Arc::clone(&self.tx).try_lock_owned();
        lent.map_err(|_| Error::Internal("a transaction was lent to two units at once".to_owned()))
    }

    /// A unit of work in it.
    pub(super) fn unit(&mut self, admitted: &Admitted, origin: Origin) -> Result<Unit> {
        self.recorded_at = self.recorded_at.max(origin.now);
        let quota = self.kit.write_bounds().quota;
        Ok(Unit::new(self.lend()?, admitted, origin, quota, Arc::clone(&self.facts)))
    }

    /// Takes what a unit leaves; gives how many events were there before.
    pub(super) fn take(&mut self, unit: Unit) -> Result<usize> {
        let before = self.events.len();
        let mut remains = unit.finish();
        if remains.events.len() > EVENTS_PER_UNIT_MAX {
            let refusal = Refusal::new(ErrorReason::TooMany);
            return Err(refusal.with("events_max", EVENTS_PER_UNIT_MAX.to_string()).into());
        }
        let facts = remains.events.iter().filter(|event| !event.fact_id.is_empty());
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).extend(facts.cloned());
        self.events.append(&mut remains.events);
        self.needs_whole_log |= remains.needs_whole_log;
        Ok(before)
    }

    pub(super) fn rests_on_the_whole_log(&mut self) {
        self.needs_whole_log = true;
    }

    pub(super) fn events_count(&self) -> usize {
        self.events.len()
    }

    /// Keeps the records, appends the events, commits, and wakes readers.
    pub(super) async fn commit(self, records: &[RequestRecord]) -> Result<Committed<()>> {
        let mut tx = Arc::into_inner(self.tx)
            .map(Mutex::into_inner)
            .ok_or_else(|| Error::Internal("a transaction is still lent to a unit".to_owned()))?;
        let mut events = self.events;
        let fallen = facts::fallen(&mut tx, self.kit.source(), &events).await?;
        events.extend(fallen);
        let positions = event_log::conclude(&mut tx, &events, records, self.recorded_at).await?;
        let heads = match self.needs_whole_log {
            true => Some(event_log::heads(&mut tx).await?),
            false => None,
        };
        tx.commit().await?;
        if !positions.is_empty() {
            self.kit.wake().notify();
        }
        Ok(Committed { value: (), positions, heads })
    }

    /// Undoes everything, and waits for it.
    pub(super) async fn roll_back(self) {
        let Some(tx) = Arc::into_inner(self.tx).map(Mutex::into_inner) else { return };
        if let Err(error) = tx.rollback().await {
            tracing::debug!(%error, "a transaction could not be rolled back, its connection goes");
        }
    }
}

impl Kit {
    /// Carries work out in one transaction with its events. Once: what may be tried again is for the caller to say.
    ///
    /// # Errors
    /// What the work answers, and what the database does; then nothing is kept.
    pub async fn transact<T, Work, Working>(
        &self,
        admitted: &Admitted,
        origin: Origin,
        work: Work,
    ) -> Result<Committed<T>>
    where
        Work: FnOnce(Unit) -> Working,
        Working: Future<Output = Result<(Unit, T)>>,
    {
        if !admitted.is_own_work() {
            self.check_room()?;
        }
        let mut transaction = Transaction::begin(self).await?;
        let unit = transaction.unit(admitted, origin)?;
        let working = async { work(unit.enter(admitted).await?).await };
        let (unit, value) = match working.await {
            Ok(done) => done,
            Err(error) => {
                transaction.roll_back().await;
                return Err(error);
            }
        };
        transaction.take(unit)?;
        let Committed { positions, heads, .. } = transaction.commit(&[]).await?;
        Ok(Committed { value, positions, heads })
    }

    /// Does work in a transaction that is undone: what it would answer, with nothing kept and nothing told.
    ///
    /// # Errors
    /// What the work answers, and what the database does.
    pub(super) async fn rehearse<T, Work, Working>(
        &self,
        admitted: &Admitted,
        origin: Origin,
        work: Work,
    ) -> Result<T>
    where
        Work: FnOnce(Unit) -> Working,
        Working: Future<Output = Result<(Unit, T)>>,
    {
        let mut transaction = Transaction::begin(self).await?;
        let unit = transaction.unit(admitted, origin)?;
        let working = async { work(unit.enter(admitted).await?).await };
        let outcome = match working.await {
            Ok((unit, value)) => transaction.take(unit).map(|_| value),
            Err(error) => Err(error),
        };
        transaction.roll_back().await;
        outcome
    }
}
