//! The kit of one service: what every handler of it shares. The path of a write is `commands.rs`, that of a read
//! `read.rs`; here is what they pass through.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use prost::{Message, Name};
use shipei_contracts::NamesThings;
use shipei_store::{DataKeys, Database, PageTokens, Retryable, SealedTokens, StoreError, Wake};
use tokio::sync::Semaphore;
use tonic::{
    Request, Response,
    metadata::{MetadataMap, MetadataValue},
};

use crate::{
    answer::{
        error::{Error, Result},
        page::Page,
    },
    call::{
        admit::{Admitted, AdmittedStream},
        consistency::{Applied, TOKEN_HEADER, Token},
        metadata::Call,
        things::Things,
    },
    clock::Clock,
    identity::{
        caller::{CALLER_HEADER, Caller},
        service_token::ServiceTokens,
    },
    soft_state::{Instance, wakes::Log},
    telemetry::metrics,
    write::{
        facts::Facts,
        line::Lines,
        people::{PersonTable, Reveals},
        room::{Room, WriteBounds},
        share::Share,
        wrapped::Wrapped,
    },
};

/// How long a service waits for what it asks another.
const ASKED_WITHIN: Duration = Duration::from_secs(60);

/// The smallest answer that is compressed, bytes: below it more time is lost than bytes are won.
const COMPRESSED_BYTES_MIN: usize = 1024;
/// The most exports of a service that are under way at once.
pub const EXPORTS_MAX: usize = 2;
/// The most reads of a service that go on at once.
pub const OBSERVERS_MAX: usize = 256;
/// What keeps cursors apart from other sealed tokens.
const CURSOR_PURPOSE: &str = "cursor";
const PAGE_PURPOSE: &str = "page of a caller";

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
    lines: Lines,
    room: Room,
    exports: Arc<Semaphore>,
    observers: Arc<Semaphore>,
    instance: Instance,
    page_tokens: PageTokens,
    cursor_tokens: SealedTokens,
    page_seal: SealedTokens,
    keys: DataKeys,
    service_tokens: ServiceTokens,
    facts: OnceLock<Arc<dyn Facts>>,
    shared: Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
    things: OnceLock<Arc<dyn Things>>,
    wrapped: OnceLock<Arc<dyn Wrapped>>,
    people: OnceLock<&'static [&'static [PersonTable]]>,
    reveals: OnceLock<Arc<dyn Reveals>>,
}

impl fmt::Debug for Kit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kit").field("source", &self.inner.source).finish_non_exhaustive()
    }
}

impl Kit {
    /// The kit of the service `source` (e.g. `enrollment`), whose migrated database this is, with its keys. `instance` is
    /// this process among those that run the same service.
    pub fn new(
        source: &'static str,
        database: Database,
        clock: Clock,
        keys: &DataKeys,
        instance: Instance,
    ) -> Self {
        let installation = keys.installation();
        metrics::watch_pool(source, &database);
        let inner = Inner {
            source,
            service_tokens: ServiceTokens::new(source, installation, clock.clone()),
            share: Share::new(&database),
            lines: Lines::new(&database),
            room: Room::new(),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            observers: Arc::new(Semaphore::new(OBSERVERS_MAX)),
            instance,
            database,
            clock,
            wake: Wake::new(),
            applied: Applied::new(),
            page_tokens: PageTokens::new(installation.tokens()),
            cursor_tokens: SealedTokens::new(installation.tokens(), CURSOR_PURPOSE),
            page_seal: SealedTokens::new(installation.tokens(), PAGE_PURPOSE),
            keys: keys.clone(),
            facts: OnceLock::new(),
            shared: Mutex::new(HashMap::new()),
            things: OnceLock::new(),
            wrapped: OnceLock::new(),
            people: OnceLock::new(),
            reveals: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of the service, which is the source of its events.
    pub fn source(&self) -> &'static str {
        self.inner.source
    }

    /// What the parts of a service share in this process beside the kit, e.g. what was parsed once: one of each type, made when it
    /// is first asked for. Clones of `Shared` must be the same one.
    pub fn shared<Shared: Clone + Default + Send + Sync + 'static>(&self) -> Shared {
        let mut all = self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(TypeId::of::<Shared>()).or_insert_with(|| Box::new(Shared::default()));
        own.downcast_ref::<Shared>().cloned().unwrap_or_default()
    }

    /// Says to another service, or to another instance of this one, who calls: by name, and by a token that proves it.
    ///
    /// # Errors
    /// [`Error::Internal`] when that can't be said, which can't be.
    pub(crate) fn introduce(&self, metadata: &mut MetadataMap) -> Result<()> {
        let cannot = |_| Error::Internal("a service can't say who it is".into());
        let name = MetadataValue::try_from(Caller::service(self.source()).to_string()).map_err(cannot)?;
        metadata.insert(CALLER_HEADER, name);
        let token = format!("Bearer {}", self.inner.service_tokens.current()?);
        let mut token = MetadataValue::try_from(token).map_err(cannot)?;
        token.set_sensitive(true);
        metadata.insert("authorization", token);
        Ok(())
    }

    /// A request of this service to another, in its own name, in the course of a call: what a service asks for its own work, whoever
    /// its caller is. What the caller must see the other one sees too.
    ///
    /// # Errors
    /// [`Error::Internal`] when it can't say who it is, which can't be.
    pub fn asking<T>(&self, call: &Call, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        self.introduce(request.metadata_mut())?;
        if let Some(token) = &call.token
            && let Ok(value) = MetadataValue::try_from(token.encode())
        {
            request.metadata_mut().insert(TOKEN_HEADER, value);
        }
        request.set_timeout(ASKED_WITHIN);
        Ok(request)
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

    /// The keys of its database, for what a service keeps sealed.
    pub fn keys(&self) -> &DataKeys {
        &self.inner.keys
    }

    /// Says what the service does about its facts; once, before it serves.
    pub fn keeps_facts(&self, facts: impl Facts) {
        // A second time is of the same service.
        let _ = self.inner.facts.set(Arc::new(facts));
    }

    /// What it does about its facts; none when it keeps none.
    pub(crate) fn facts(&self) -> Option<&Arc<dyn Facts>> {
        self.inner.facts.get()
    }

    /// Says what lies where of what the service keeps; once, before it serves.
    pub fn keeps_things(&self, things: impl Things) {
        // A second time is of the same service.
        let _ = self.inner.things.set(Arc::new(things));
    }

    /// Says what keys the service keeps wrapped; once, before it serves.
    pub fn keeps_wrapped(&self, wrapped: impl Wrapped) {
        // A second time is of the same service.
        let _ = self.inner.wrapped.set(Arc::new(wrapped));
    }

    /// The keys that it keeps wrapped; none when there are none but its database's.
    pub(crate) fn wrapped(&self) -> Option<&Arc<dyn Wrapped>> {
        self.inner.wrapped.get()
    }

    /// Says which tables of the service have rows about people; once, before it serves.
    pub fn keeps_people(&self, tables: &'static [&'static [PersonTable]]) {
        // A second time is of the same service.
        let _ = self.inner.people.set(tables);
    }

    /// The tables that have rows about people.
    pub(crate) fn people(&self) -> impl Iterator<Item = &'static PersonTable> {
        self.inner.people.get().copied().unwrap_or_default().iter().copied().flatten()
    }

    /// Says how the service shows what only it can read; once, before it serves.
    pub fn reveals(&self, reveals: impl Reveals) {
        // A second time is of the same service.
        let _ = self.inner.reveals.set(Arc::new(reveals));
    }

    /// How it shows what only it can read; none when there is nothing such.
    pub(crate) fn revealing(&self) -> Option<&Arc<dyn Reveals>> {
        self.inner.reveals.get()
    }

    /// What its stream cursors are sealed with.
    pub(crate) fn cursor_tokens(&self) -> &SealedTokens {
        &self.inner.cursor_tokens
    }

    /// What binds a page token to its caller.
    pub(super) fn page_seal(&self) -> &SealedTokens {
        &self.inner.page_seal
    }

    /// The page that a list request of type `Req` asks for. `filter` is every request field that chooses or orders
    /// rows, because a page token is bound to them.
    ///
    /// # Errors
    /// A negative size, or INVALID_PAGE_TOKEN.
    pub fn page<Req: Name>(&self, filter: &[&str], page_size: i32, page_token: &str) -> Result<Page> {
        Page::open::<Req>(&self.inner.page_tokens, filter, page_size, page_token)
    }

    /// Says what its writers may fill, before anybody writes.
    pub fn bound_writes(&self, bounds: WriteBounds) {
        self.inner.room.bound(bounds);
        metrics::watch_disk(self.source(), bounds.disk_reserve_bytes);
    }

    pub(super) fn write_bounds(&self) -> WriteBounds {
        self.inner.room.bounds()
    }

    /// Whether there is too little room on the disk for calls that write.
    pub(crate) fn is_short_of_disk(&self) -> bool {
        self.inner.room.look(self.source(), self.database())
    }

    /// Refuses a call that writes while there is too little room on the disk.
    pub(super) fn check_room(&self) -> Result<()> {
        self.inner.room.check(self.source(), self.database())
    }

    /// The places of exports.
    pub(super) fn exports(&self) -> Arc<Semaphore> {
        self.inner.exports.clone()
    }

    /// The places of reads that go on.
    pub(super) fn observers(&self) -> Arc<Semaphore> {
        self.inner.observers.clone()
    }

    /// The commands of this service that wait.
    pub(super) fn lines(&self) -> &Lines {
        &self.inner.lines
    }

    /// Admits a call: who calls is read, who may is asked, and what its token names is waited for.
    ///
    /// # Errors
    /// Metadata that can't be, NOT_PERMITTED, or a token that is not caught up with.
    pub async fn admit<T: NamesThings>(&self, request: &Request<T>) -> Result<Admitted> {
        let Inner { applied, things, clock, .. } = &*self.inner;
        Admitted::of(request, applied, things.get(), clock).await
    }

    /// Admits a call of many messages, each of which is admitted for itself.
    ///
    /// # Errors
    /// As [`Kit::admit`].
    pub async fn admit_stream<T>(&self, request: &Request<T>) -> Result<AdmittedStream> {
        let Inner { applied, things, clock, .. } = &*self.inner;
        AdmittedStream::of(request, applied, things.get(), clock).await
    }

    /// Admits the service's own work, as a part of a trace.
    pub(crate) fn admit_itself(&self, trace: String) -> Admitted {
        Admitted::service(self.inner.source, trace, &self.inner.clock)
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

/// The answer, with its token.
pub fn respond<Res: Message>(response: Res, token: &Token) -> Response<Res> {
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
