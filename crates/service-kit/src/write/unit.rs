//! The unit of work that a handler gets: an open transaction, the time, the call, and the events to be. What:
//! [`Unit`] for writes, [`ReadUnit`] for reads. Why by value, in and out: a handler's future then borrows nothing
//! of the kit, so it is `Send` in a tonic handler, and a unit that is not given back is rolled back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use shipei_store::{NewEvent, Partition, Tx};

use crate::call::{metadata::Call, reach::Reach};

/// The most events that one unit may emit.
pub const EVENTS_PER_UNIT_MAX: usize = 100_000;

/// One write: everything in it is kept together or not at all.
#[derive(Debug)]
pub struct Unit {
    /// The open transaction.
    pub tx: Tx,
    /// When the service works on it.
    pub now: DateTime<Utc>,
    /// When it happened: as the caller stated, else `now`. Rules use this one.
    pub occurred_at: DateTime<Utc>,
    /// The call that it answers.
    pub call: Arc<Call>,
    /// How far the caller may see.
    pub reach: Reach,
    events: Vec<NewEvent>,
    actor: Arc<str>,
    cause: Arc<str>,
}

/// One read: a snapshot.
#[derive(Debug)]
pub struct ReadUnit {
    /// The open read transaction.
    pub tx: Tx,
    /// When the service works on it.
    pub now: DateTime<Utc>,
    /// The call that it answers.
    pub call: Arc<Call>,
    /// How far the caller may see.
    pub reach: Reach,
}

impl Unit {
    pub(crate) fn new(
        tx: Tx,
        now: DateTime<Utc>,
        occurred_at: DateTime<Utc>,
        call: Arc<Call>,
        actor: Arc<str>,
        cause: Arc<str>,
    ) -> Self {
        Self { tx, now, occurred_at, call, reach: Reach::Everything, events: Vec::new(), actor, cause }
    }

    /// Adds an event, to be written last: what happened to `subject` (an id) in `region` (a GB/T 2260 code, by
    /// which the partition is chosen), caused by this call, at `occurred_at`.
    pub fn emit<M: Message + Name>(&mut self, region: &str, subject: &str, message: &M) {
        let cause = self.cause.to_string();
        self.push(region, subject, cause, self.occurred_at, message);
    }

    /// As [`Unit::emit`], with a cause (the id of an event or a request) and a time of its own: for projectors.
    pub fn emit_caused<M: Message + Name>(
        &mut self,
        region: &str,
        subject: &str,
        cause: &str,
        occurred_at: DateTime<Utc>,
        message: &M,
    ) {
        self.push(region, subject, cause.to_owned(), occurred_at, message);
    }

    /// How many events will be written.
    pub fn events_count(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn into_parts(self) -> (Tx, Vec<NewEvent>) {
        (self.tx, self.events)
    }

    fn push<M: Message + Name>(
        &mut self,
        region: &str,
        subject: &str,
        cause: String,
        occurred_at: DateTime<Utc>,
        message: &M,
    ) {
        self.events.push(NewEvent {
            partition: Partition::of(region),
            kind: M::full_name(),
            subject: subject.to_owned(),
            region: region.to_owned(),
            occurred_at,
            actor: self.actor.to_string(),
            cause,
            trace: self.call.trace.clone(),
            data: message.encode_to_vec(),
        });
    }
}
