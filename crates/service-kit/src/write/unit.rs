//! The unit of work that a handler gets: an open transaction, the time, the call, its reach, and the events to be.
//! What: [`Unit`] for writes, [`ReadUnit`] for reads. Why by value, in and out: a handler's future then borrows nothing,
//! so it is `Send` in a tonic handler and can be run by whoever holds the transaction. A unit that is not given back
//! gives its transaction back all the same, and what it wrote is undone there, not what others wrote in it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use shipei_contracts::{EventMessage, common::v1::Role, event::v1::Accessed};
use shipei_store::{NewEvent, Partition, StoreError, Tx, crypto, idempotency, retraction};
use tokio::sync::OwnedMutexGuard;

use crate::{
    answer::error::{self, Refusal},
    call::{admit::Admitted, metadata::Call, reach::Reach},
    identity::caller::role_of,
    write::{
        origin::Origin,
        outcome::Outcome,
        people::{self, PersonTable},
        quota::{Quota, Whose},
    },
};

/// The events of a transaction that tell facts.
pub(super) type PendingFacts = Arc<Mutex<Vec<NewEvent>>>;

/// What entries of the audit log are about, where events have a subject: no subject of the log has this sign.
const AUDITED: &str = "audit/";

/// The most events that one unit may emit.
pub const EVENTS_PER_UNIT_MAX: usize = 100_000;

/// One write: everything in it is kept together or not at all.
#[derive(Debug)]
pub struct Unit {
    /// The open transaction, lent: it may hold other units too.
    pub tx: OwnedMutexGuard<Tx>,
    /// When the service works on it.
    pub now: DateTime<Utc>,
    /// When it happened: as the caller stated, else `now`. Rules use this one.
    pub occurred_at: DateTime<Utc>,
    /// The call that it answers.
    pub call: Arc<Call>,
    /// How far the caller may see.
    pub reach: Reach,
    quota: Quota,
    origin: Origin,
    events: Vec<NewEvent>,
    /// How many fact ids were given.
    facts: usize,
    /// What units before this one have told in the same transaction.
    pending: PendingFacts,
    needs_whole_log: bool,
    /// Whose data the answer shows; empty for nobody's.
    shows: String,
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

/// What a unit leaves behind besides what it wrote.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) events: Vec<NewEvent>,
    pub(super) needs_whole_log: bool,
}

impl ReadUnit {
    /// Of a call whose things are found within its reach, in this snapshot.
    pub(super) async fn open(mut tx: Tx, admitted: &Admitted) -> error::Result<Self> {
        let reach = admitted.enter(&mut tx).await?;
        let (now, call) = (admitted.now(), admitted.call().clone());
        Ok(Self { tx, now, call, reach })
    }
}

impl Unit {
    pub(super) fn new(
        tx: OwnedMutexGuard<Tx>,
        admitted: &Admitted,
        origin: Origin,
        quota: Quota,
        pending: PendingFacts,
    ) -> Self {
        Self {
            tx,
            quota,
            now: origin.now,
            occurred_at: origin.occurred_at,
            call: admitted.call().clone(),
            // Nothing, until what the request names is found.
            reach: Reach::any_of([]),
            origin,
            events: Vec::new(),
            facts: 0,
            pending,
            needs_whole_log: false,
            shows: String::new(),
        }
    }

    /// Finds what the request names within the caller's reach; before that a unit reaches nothing.
    pub(super) async fn enter(mut self, admitted: &Admitted) -> error::Result<Self> {
        self.reach = admitted.enter(&mut self.tx).await?;
        Ok(self)
    }

    /// Who does it, as events and rows say it: `role:subject@place`.
    pub fn actor(&self) -> &str {
        &self.origin.actor
    }

    /// The roles in which the caller may do this: those of all grants by which the call was let in, or of who needs no token the one that
    /// they say.
    pub fn roles(&self) -> Vec<Role> {
        let mut roles = self.origin.roles.all();
        if roles.is_empty() {
            let said = self.origin.actor.split_once(':').and_then(|(role, _)| role_of(role));
            roles.push(said.unwrap_or_default());
        }
        roles
    }

    /// Adds an event, to be written last: what happened to `subject` (an id) in `region` (a GB/T 2260 code, by
    /// which the partition is chosen), caused by this call, at `occurred_at`.
    pub fn emit<M: Message + Name + EventMessage>(&mut self, region: &str, subject: &str, message: &M) {
        push(&mut self.events, &self.origin, region, subject, "", message);
    }

    /// The id of a fact that this unit is about to record: that of its request, with a number behind the first one's. What came
    /// without a request id gets a random one.
    ///
    /// # Errors
    /// Without random bytes.
    pub fn new_fact_id(&mut self) -> Result<String, StoreError> {
        if self.origin.request_id.is_empty() {
            return crypto::random_name();
        }
        self.facts += 1;
        Ok(match self.facts {
            1 => self.origin.request_id.to_string(),
            number => format!("{}.{number}", self.origin.request_id),
        })
    }

    /// As [`Unit::new_fact_id`], of one of several facts of a request that are told apart by what they are about (`R7:T1`): so
    /// each has its id whatever the others are.
    ///
    /// # Errors
    /// Without random bytes.
    pub fn new_fact_id_of(&self, part: &str) -> Result<String, StoreError> {
        if self.origin.request_id.is_empty() {
            return crypto::random_name();
        }
        Ok(format!("{}:{part}", self.origin.request_id))
    }

    /// Those of the facts of this request ([`Unit::new_fact_id_of`]) that were retracted before they came, as
    /// [`Unit::is_retracted`] says of one.
    ///
    /// # Errors
    /// What the database does.
    pub async fn retracted_of(
        &mut self,
        programme_id: &str,
        fact_ids: &[&str],
    ) -> Result<BTreeSet<String>, StoreError> {
        if self.origin.request_id.is_empty() {
            // Nobody could name them before.
            return Ok(BTreeSet::new());
        }
        retraction::lock(&mut self.tx, &self.origin.request_id).await?;
        retraction::find_all(&mut self.tx, programme_id, fact_ids).await
    }

    /// Whether a fact was retracted before it came. Whoever keeps something that follows from several facts asks, behind the
    /// lock of what it is about.
    ///
    /// # Errors
    /// What the database does.
    pub async fn is_retracted(&mut self, programme_id: &str, fact_id: &str) -> Result<bool, StoreError> {
        if self.origin.request_id.is_empty() {
            // Nobody could name it before.
            return Ok(false);
        }
        retraction::lock(&mut self.tx, fact_id).await?;
        Ok(retraction::find(&mut self.tx, programme_id, fact_id).await?.is_some())
    }

    /// The event of a fact that the same transaction holds, which is not in the log yet.
    pub(super) fn pending_fact(&self, fact_id: &str) -> Option<NewEvent> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.iter().find(|event| event.fact_id == fact_id).cloned()
    }

    /// As [`Unit::emit`], of a fact that somebody may retract, by the id that [`Unit::new_fact_id`] gave.
    pub fn emit_fact<M: Message + Name + EventMessage>(
        &mut self,
        fact_id: &str,
        region: &str,
        subject: &str,
        message: &M,
    ) {
        push(&mut self.events, &self.origin, region, subject, fact_id, message);
    }

    /// As [`Unit::emit`], with a time of its own: what this call finds out about another time.
    pub fn emit_at<M: Message + Name + EventMessage>(
        &mut self,
        region: &str,
        subject: &str,
        occurred_at: DateTime<Utc>,
        message: &M,
    ) {
        let origin = self.origin.clone().occurred_at(occurred_at);
        self.emit_as(&origin, region, subject, message);
    }

    /// As [`Unit::emit`], with a cause (the id of an event or a request) and a time of its own: for projectors.
    pub fn emit_caused<M: Message + Name + EventMessage>(
        &mut self,
        region: &str,
        subject: &str,
        cause: &str,
        occurred_at: DateTime<Utc>,
        message: &M,
    ) {
        let origin = Origin { cause: cause.into(), occurred_at, ..self.origin.clone() };
        self.emit_as(&origin, region, subject, message);
    }

    /// As [`Unit::emit`], from somebody else: for a transaction that holds what many have sent.
    pub fn emit_as<M: Message + Name + EventMessage>(
        &mut self,
        origin: &Origin,
        region: &str,
        subject: &str,
        message: &M,
    ) {
        push(&mut self.events, origin, region, subject, "", message);
    }

    /// Tells in the audit log that the caller was shown something of a region (empty for all that they reach); kept with the rest of
    /// the unit. `method` and `count` are filled in.
    pub fn audit(&mut self, programme_id: &str, region: &str, accessed: Accessed) {
        let accessed = Accessed { method: self.call.method.clone(), count: 1, ..accessed };
        let origin = self.origin.clone();
        self.audit_as(&origin, programme_id, region, &accessed);
    }

    /// As [`Unit::audit`], of what somebody else did.
    pub(crate) fn audit_as(
        &mut self,
        origin: &Origin,
        programme_id: &str,
        region: &str,
        accessed: &Accessed,
    ) {
        self.events.push(NewEvent {
            partition: Partition::AUDIT,
            programme: programme_id.to_owned(),
            ..new_event(origin, region, AUDITED, "", accessed)
        });
    }

    /// Whose work it is, and why.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Counts one more of `what` (a word of a few fixed ones), with so many bytes of text, for what a person may add in a day.
    ///
    /// # Errors
    /// QUOTA_SPENT, with the figures and the day's end; or a database that fails.
    pub async fn take_from_quota(
        &mut self,
        what: &'static str,
        whose: Whose<'_>,
        bytes: usize,
    ) -> error::Result<()> {
        self.quota.take(&mut self.tx, what, whose, bytes).await
    }

    /// What is answered rests on what was in the log before, maybe written by a call whose answer was lost: the token of
    /// the answer is to name the whole log.
    pub fn rests_on_the_whole_log(&mut self) {
        self.needs_whole_log = true;
    }

    /// Says that the answer shows somebody's own data (a name, a number), so that what is kept of it under the request id goes when they
    /// are erased ([`Unit::erase`]). An answer shows one person's at most; one that shows more is not kept ([`Kit::show`](crate::kit::Kit::show)).
    pub fn shows(&mut self, programme_id: &str, person_id: &str) {
        self.shows = idempotency::shown(programme_id, person_id);
    }

    /// Whose data the answer shows.
    pub(super) fn shown(&self) -> &str {
        &self.shows
    }

    /// Erases what is kept of somebody beside the tables of the service that knows them: answers that show their data, so that each
    /// of those requests is refused `because` from now on, and what is private in these tables.
    ///
    /// # Errors
    /// What the database does.
    pub async fn erase(
        &mut self,
        tables: &[&[PersonTable]],
        (programme_id, person_id): (&str, &str),
        because: Refusal,
    ) -> Result<(), StoreError> {
        let outcome = Outcome::Refused(because).encode();
        let shows = idempotency::shown(programme_id, person_id);
        idempotency::replace_shown(&mut self.tx, &shows, &outcome).await?;
        people::erase(&mut self.tx, tables, (programme_id, person_id)).await
    }

    /// Gives the transaction back.
    pub(super) fn finish(self) -> Remains {
        let mut events = self.events;
        // Who follows the log counts what it is shown, and never sees the audit log.
        let is_told = |event: &&mut NewEvent| event.partition != Partition::AUDIT;
        let size = events.iter_mut().filter(is_told).count();
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        for (event, place) in events.iter_mut().filter(is_told).zip(1..) {
            (event.transaction_size, event.transaction_place) = (size, place);
        }
        Remains { events, needs_whole_log: self.needs_whole_log }
    }
}

fn push<M: Message + Name + EventMessage>(
    events: &mut Vec<NewEvent>,
    origin: &Origin,
    region: &str,
    subject: &str,
    fact_id: &str,
    message: &M,
) {
    events.push(NewEvent {
        programme: message.programme_id().to_owned(),
        ..new_event(origin, region, subject, fact_id, message)
    });
}

/// An event, of no programme yet.
fn new_event<M: Message + Name>(
    origin: &Origin,
    region: &str,
    subject: &str,
    fact_id: &str,
    message: &M,
) -> NewEvent {
    NewEvent {
        partition: Partition::of(region),
        kind: M::full_name(),
        programme: String::new(),
        subject: subject.to_owned(),
        region: region.to_owned(),
        occurred_at: origin.occurred_at,
        actor: origin.actor.to_string(),
        address: origin.address.map(|address| address.to_string()).unwrap_or_default(),
        cause: origin.cause.to_string(),
        trace: origin.trace.to_string(),
        transaction_size: 1,
        transaction_place: 1,
        data: message.encode_to_vec(),
        fact_id: fact_id.to_owned(),
    }
}
