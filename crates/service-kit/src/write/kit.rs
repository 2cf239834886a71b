//! The kit of one service, and the path of every write and read. What: [`Kit::write`] carries a request out once
//! by its `request_id`, in one transaction with its events, and answers with a consistency token; [`Kit::read`]
//! answers from one snapshot. Why here: idempotency, retries, tokens and wakes are the same for every RPC of every
//! service, so that a handler is only: parse, look up, decide, save, answer.

use std::{fmt, future::Future, sync::Arc};

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use shipei_contracts::{WriteRequest, common::v1::ErrorReason};
use shipei_store::{
    Database, LogPosition, NewEvent, PageTokens, Retryable, SealedTokens, StoreError, Tx, Wake,
    crypto::Keys,
    event_log,
    idempotency::{self, RequestRecord},
};
use tonic::{Request, Response, Status, metadata::MetadataValue};

use crate::{
    answer::{
        error::{Error, Refusal, Result},
        page::Page,
    },
    call::{
        access::Caller,
        consistency::{Applied, TOKEN_HEADER, Token, partition_number},
        metadata::Call,
        reach::Reach,
        stated_time::StatedTimes,
    },
    clock::Clock,
    soft_state::{Instance, wakes::Log},
    telemetry::metrics,
    write::{
        outcome::{Outcome, is_worth_recording},
        share::Share,
        unit::{EVENTS_PER_UNIT_MAX, ReadUnit, Unit},
    },
};

/// The longest request id, bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// The smallest answer that is compressed, bytes: below it more time is lost than bytes are won.
const COMPRESSED_BYTES_MIN: usize = 1024;
/// The name of the primary key of the table of request records, on both databases.
const REQUEST_RECORD_KEY: &str = "request_record_pkey";
/// What keeps cursors apart from other sealed tokens.
const CURSOR_PURPOSE: &str = "cursor";

/// What every handler of one service shares. Clones are the same one.
#[derive(Clone)]
pub struct Kit {
    inner: Arc<Inner>,
}

struct Inner {
    source: &'static str,
    database: Database,
    clock: Clock,
    wake: Wake,
    applied: Applied,
    share: Share,
    instance: Instance,
    page_tokens: PageTokens,
    cursor_tokens: SealedTokens,
    keys: Keys,
}

/// What one attempt at a write came to.
struct Written {
    outcome: Outcome,
    token: Token,
}

/// An error that ends one attempt.
struct AttemptFailed {
    error: Error,
    again: bool,
}

impl Retryable for AttemptFailed {
    fn is_retryable(&self) -> bool {
        self.again
    }

    fn no_answer() -> Self {
        Self { error: Error::Store(StoreError::no_answer()), again: false }
    }
}

impl Retryable for Error {
    fn is_retryable(&self) -> bool {
        matches!(self, Error::Store(error) if error.is_retryable())
    }

    fn no_answer() -> Self {
        Error::Store(StoreError::no_answer())
    }
}

/// A request that is about to be carried out.
struct Work<'request> {
    call: Arc<Call>,
    now: DateTime<Utc>,
    occurred_at: DateTime<Utc>,
    actor: Arc<str>,
    cause: Arc<str>,
    request_id: &'request str,
    method: &'request str,
    /// Of method and request; empty without a request id.
    digest: Vec<u8>,
}

impl fmt::Debug for Kit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kit").field("source", &self.inner.source).finish_non_exhaustive()
    }
}

impl Kit {
    /// The kit of the service `source` (e.g. `enrollment`), whose migrated database this is. `instance` is
    /// this process among those that run the same service.
    pub fn new(
        source: &'static str,
        database: Database,
        clock: Clock,
        keys: &Keys,
        instance: Instance,
    ) -> Self {
        metrics::watch_pool(source, &database);
        let inner = Inner {
            source,
            share: Share::new(&database),
            instance,
            database,
            clock,
            wake: Wake::new(),
            applied: Applied::new(),
            page_tokens: PageTokens::new(keys.tokens().clone()),
            cursor_tokens: SealedTokens::new(keys.tokens().clone(), CURSOR_PURPOSE),
            keys: keys.clone(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of the service, which is the source of its events.
    pub fn source(&self) -> &'static str {
        self.inner.source
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The wake of its event log.
    pub fn wake(&self) -> &Wake {
        &self.inner.wake
    }

    /// Its event log, as wakes of it are carried between processes.
    pub fn log(&self) -> Log {
        Log { source: self.source(), instance: self.inner.instance.clone(), wake: self.inner.wake.clone() }
    }

    /// How far it has learned of other services' logs.
    pub fn applied(&self) -> &Applied {
        &self.inner.applied
    }

    /// This process among those that run the same service.
    pub fn instance(&self) -> &Instance {
        &self.inner.instance
    }

    /// This instance's share in what is followed.
    pub(crate) fn share(&self) -> &Share {
        &self.inner.share
    }

    /// The keys of this installation, for what a service keeps sealed.
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// What its stream cursors are sealed with.
    pub(crate) fn cursor_tokens(&self) -> &SealedTokens {
        &self.inner.cursor_tokens
    }

    /// The page that a list request of type `Req` asks for. `filter` is every request field that chooses or orders
    /// rows, because a page token is bound to them.
    ///
    /// # Errors
    /// A negative size, or INVALID_PAGE_TOKEN.
    pub fn page<Req: Name>(&self, filter: &[&str], page_size: i32, page_token: &str) -> Result<Page> {
        Page::open::<Req>(&self.inner.page_tokens, filter, page_size, page_token)
    }

    /// Carries a write out. The handler may run several times, each time with a fresh unit; what it wrote is kept
    /// when it gives the unit back with a response, and rolled back otherwise. With a `request_id` the write is
    /// carried out once, and the same request again gets the same answer.
    ///
    /// # Errors
    /// What the handler answers, and everything that can go wrong around it, as a status with details.
    pub async fn write<Req, Res, Handler, Handling>(
        &self,
        request: Request<Req>,
        handler: Handler,
    ) -> std::result::Result<Response<Res>, Status>
    where
        Req: Message + Name + Clone + Default + WriteRequest,
        Res: Message + Default,
        Handler: Fn(Unit, Req) -> Handling,
        Handling: Future<Output = Result<(Unit, Res)>>,
    {
        let call = Arc::new(Call::of(&request)?);
        let request = request.into_inner();
        self.wait_for_token(&call).await?;
        let now = self.inner.clock.now();
        let occurred_at = resolve_occurred_at(&call.caller, &request, now)?;
        let request_id = request.request_id();
        if !request_id.is_empty()
            && let Some(fault) = shipei_text::fault_of_id(request_id, REQUEST_ID_BYTES_MAX)
        {
            return Err(Error::invalid("request_id", fault).into());
        }
        let method = Req::full_name();
        let digest = match request_id {
            "" => Vec::new(),
            _ => idempotency::digest(&method, &request.encode_to_vec()),
        };
        let work = Work {
            now,
            occurred_at,
            actor: call.caller.to_string().into(),
            cause: if request_id.is_empty() { method.as_str().into() } else { request_id.into() },
            call,
            request_id,
            method: &method,
            digest,
        };

        let attempt = self.retry(|| self.attempt(&work, &request, &handler)).await;
        let written = match attempt {
            Ok(written) => written,
            Err(AttemptFailed { error: Error::Refused(refusal), .. }) => self.refuse(&work, refusal).await?,
            Err(AttemptFailed { error: Error::Store(StoreError::CommitOutcomeUnknown(error)), .. })
                if request_id.is_empty() =>
            {
                tracing::warn!(error = %StoreError::CommitOutcomeUnknown(error), "a write that can't be repeated");
                return Err(Refusal::new(ErrorReason::OutcomeUnknown).into());
            }
            Err(failed) => return Err(failed.error.into()),
        };
        let token = merged(&work.call, written.token);
        match written.outcome {
            Outcome::Answered(bytes) => {
                let response = Res::decode(bytes.as_slice())
                    .map_err(|_| Error::Internal(format!("the recorded answer of {method} is unreadable")))?;
                Ok(respond(response, &token))
            }
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Answers a read from one snapshot, after the caller's token is caught up with.
    ///
    /// # Errors
    /// What the handler answers, and everything that can go wrong around it, as a status with details.
    pub async fn read<Req, Res, Handler, Handling>(
        &self,
        request: Request<Req>,
        handler: Handler,
    ) -> std::result::Result<Response<Res>, Status>
    where
        Req: Clone,
        Res: Message,
        Handler: Fn(ReadUnit, Req) -> Handling,
        Handling: Future<Output = Result<(ReadUnit, Res)>>,
    {
        let call = Arc::new(Call::of(&request)?);
        let request = request.into_inner();
        self.wait_for_token(&call).await?;
        let now = self.inner.clock.now();
        let response = self
            .retry(|| async {
                let tx = self.inner.database.begin_read().await?;
                let (unit, response) = handler(
                    ReadUnit { tx, now, call: call.clone(), reach: Reach::Everything },
                    request.clone(),
                )
                .await?;
                unit.tx.rollback().await?;
                Ok::<_, Error>(response)
            })
            .await?;
        Ok(respond(response, call.token.as_ref().unwrap_or(&Token::default())))
    }

    pub(crate) async fn wait_for_token(&self, call: &Call) -> Result<()> {
        match &call.token {
            Some(token) => self.inner.applied.wait_for(token, call.deadline).await,
            None => Ok(()),
        }
    }

    async fn attempt<Req, Res, Handler, Handling>(
        &self,
        work: &Work<'_>,
        request: &Req,
        handler: &Handler,
    ) -> std::result::Result<Written, AttemptFailed>
    where
        Req: Clone,
        Res: Message,
        Handler: Fn(Unit, Req) -> Handling,
        Handling: Future<Output = Result<(Unit, Res)>>,
    {
        let mut tx = self.inner.database.begin_write().await.map_err(|error| work.failed(error))?;
        if let Some(written) = self.find_recorded(work, &mut tx).await? {
            return Ok(written);
        }
        let (actor, cause) = (work.actor.clone(), work.cause.clone());
        let unit = Unit::new(tx, work.now, work.occurred_at, work.call.clone(), actor, cause);
        let (unit, response) = match handler(unit, request.clone()).await {
            Ok(done) => done,
            Err(Error::Store(error)) => return Err(work.failed(error)),
            Err(error) => return Err(AttemptFailed { error, again: false }),
        };
        let outcome = Outcome::Answered(response.encode_to_vec());
        let (mut tx, events) = unit.into_parts();
        work.record(&mut tx, &outcome).await?;
        let positions = append(&mut tx, &events, work.now).await.map_err(|error| match error {
            Error::Store(error) => work.failed(error),
            error => AttemptFailed { error, again: false },
        })?;
        let token = self.token_of(&positions, &mut tx).await.map_err(|error| work.failed(error))?;
        tx.commit().await.map_err(|error| work.failed(error))?;
        if !positions.is_empty() {
            self.inner.wake.notify();
        }
        Ok(Written { outcome, token })
    }

    /// The token of what was written. What writes nothing has found it written already, maybe by a call whose answer was
    /// lost, and then the token is that of the whole log.
    async fn token_of(
        &self,
        positions: &[LogPosition],
        tx: &mut Tx,
    ) -> std::result::Result<Token, StoreError> {
        if positions.is_empty() {
            return Ok(Token::of(self.inner.source, &event_log::heads(tx).await?));
        }
        let mut token = Token::default();
        for position in positions {
            token.raise(self.inner.source, partition_number(position.partition), position.number);
        }
        Ok(token)
    }

    /// The answer that was given to this request before, if it was.
    async fn find_recorded(
        &self,
        work: &Work<'_>,
        tx: &mut Tx,
    ) -> std::result::Result<Option<Written>, AttemptFailed> {
        if work.request_id.is_empty() {
            return Ok(None);
        }
        let found = idempotency::find(tx, work.request_id).await.map_err(|error| work.failed(error))?;
        let Some(record) = found else { return Ok(None) };
        if record.digest != work.digest {
            let refusal = Refusal::new(ErrorReason::RequestIdReused).field("request_id");
            let outcome = Outcome::Refused(refusal);
            return Ok(Some(Written { outcome, token: Token::default() }));
        }
        let outcome = Outcome::decode(&record.outcome).ok_or_else(|| {
            work.failed(StoreError::corrupt_row("request_record", "outcome", work.request_id))
        })?;
        let heads = event_log::heads(tx).await.map_err(|error| work.failed(error))?;
        Ok(Some(Written { outcome, token: Token::of(self.inner.source, &heads) }))
    }

    /// Keeps a refusal under the request id, so that the same request gets the same answer; or finds that the
    /// request has been answered meanwhile, and gives that answer.
    async fn refuse(&self, work: &Work<'_>, refusal: Refusal) -> Result<Written> {
        let outcome = Outcome::Refused(refusal);
        if work.request_id.is_empty() || !is_worth_recording(&outcome) {
            return Ok(Written { outcome, token: Token::default() });
        }
        let recorded = self
            .retry(|| async {
                let mut tx = self.inner.database.begin_write().await.map_err(|error| work.failed(error))?;
                if let Some(written) = self.find_recorded(work, &mut tx).await? {
                    return Ok(Some(written));
                }
                work.record(&mut tx, &outcome).await?;
                tx.commit().await.map_err(|error| work.failed(error))?;
                Ok(None)
            })
            .await
            .map_err(|failed: AttemptFailed| failed.error)?;
        Ok(recorded.unwrap_or(Written { outcome, token: Token::default() }))
    }
}

impl Work<'_> {
    /// Is the attempt worth another? Besides what the database calls retryable: a request id that another attempt
    /// has recorded meanwhile, or a lost commit, since the next attempt finds the record.
    fn failed(&self, error: StoreError) -> AttemptFailed {
        let identified = !self.request_id.is_empty();
        let recorded_meanwhile = error.unique_violation() == Some(REQUEST_RECORD_KEY);
        let outcome_unknown = matches!(error, StoreError::CommitOutcomeUnknown(_));
        let again = error.is_retryable() || identified && (recorded_meanwhile || outcome_unknown);
        AttemptFailed { error: error.into(), again }
    }

    async fn record(&self, tx: &mut Tx, outcome: &Outcome) -> std::result::Result<(), AttemptFailed> {
        if self.request_id.is_empty() {
            return Ok(());
        }
        let record = RequestRecord {
            request_id: self.request_id.to_owned(),
            method: self.method.to_owned(),
            digest: self.digest.clone(),
            outcome: outcome.encode(),
            recorded_at: self.now,
        };
        idempotency::record(tx, &record).await.map_err(|error| self.failed(error))
    }
}

/// Writes events, if there are any.
pub(crate) async fn append(
    tx: &mut Tx,
    events: &[NewEvent],
    recorded_at: DateTime<Utc>,
) -> Result<Vec<LogPosition>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    if events.len() > EVENTS_PER_UNIT_MAX {
        let refusal = Refusal::new(ErrorReason::TooMany).with("events_max", EVENTS_PER_UNIT_MAX.to_string());
        return Err(refusal.into());
    }
    Ok(event_log::append(tx, events, recorded_at).await?)
}

fn resolve_occurred_at<Req: WriteRequest>(
    caller: &Caller,
    request: &Req,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>> {
    request.occurred_at().map_or(Ok(now), |stated| StatedTimes::of(caller, now).read(&stated))
}

fn merged(call: &Call, written: Token) -> Token {
    let mut token = call.token.clone().unwrap_or_default();
    token.merge(&written);
    token
}

pub(crate) fn respond<Res: Message>(response: Res, token: &Token) -> Response<Res> {
    let is_small = response.encoded_len() < COMPRESSED_BYTES_MIN;
    let mut response = Response::new(response);
    if is_small {
        response.disable_compression();
    }
    if token.is_empty() {
        return response;
    }
    if let Ok(value) = MetadataValue::try_from(token.encode()) {
        response.metadata_mut().insert(TOKEN_HEADER, value);
    }
    response
}
