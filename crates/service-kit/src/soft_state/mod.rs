//! What the instances of a suite share in Redis, and may lose at any moment: wakes (`wakes.rs`), who is present
//! (`presence.rs`), how often a caller has called (`rate_limit.rs`). What: one connection that is made when it is first
//! needed and again whenever it breaks, with a short bound on every answer. Why nothing here is an error: without Redis a
//! wake is a poll later, presence and limits are those of one instance, and no call fails. To share one more thing: a
//! file here, whose state is whole without Redis.

pub mod presence;
pub mod rate_limit;
pub mod wakes;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    Client, FromRedisValue, IntoConnectionInfo as _, Pipeline, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use shipei_store::{
    StoreError,
    crypto::{self, Keys},
};

use crate::telemetry::metrics;

/// How long Redis may take to answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);
/// When an idle connection is tried, how often, and how many times in vain; and how long what was sent may stay
/// unacknowledged.
const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// The first and the longest pause before a broken connection is made again; the client puts jitter on them.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often one command waits for a new connection; the next command tries again.
const RETRIES: usize = 1;
/// How much of a process's name is random, hexadecimal digits.
const PROCESS_DIGITS: usize = 8;

/// One instance of a service: its name, and what it shares with the others.
#[derive(Debug, Clone)]
pub struct Instance {
    name: String,
    process: String,
    soft_state: Option<SoftState>,
}

impl Instance {
    /// This process, under the name that people know it by, with the Redis that instances share, if there is one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new(name: &str, soft_state: Option<SoftState>) -> Result<Self, StoreError> {
        let random = crypto::random_name()?;
        let process = format!("{name}/{}", random.get(..PROCESS_DIGITS).unwrap_or(&random));
        Ok(Self { name: name.to_owned(), process, soft_state })
    }

    /// Its name among those that run the same service, for people: it stays the same when the process starts again.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of this very process, in leases and wakes: its name and a random part, so that nothing goes wrong when
    /// two processes were given one name.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// The Redis that instances share, if there is one.
    pub fn soft_state(&self) -> Option<&SoftState> {
        self.soft_state.as_ref()
    }
}

/// A Redis that can't be used, whatever its state: the address or the authority is wrong. The text holds no password.
#[derive(Debug, thiserror::Error)]
pub enum SoftStateError {
    /// Not a URL of Redis.
    #[error("it is no URL of a Redis")]
    Url,
    /// Not a certificate of an authority.
    #[error("the authority's certificate can't be used: {0}")]
    Authority(String),
}

/// The way to a Redis. Clones share its connection.
#[derive(Clone)]
pub struct SoftState {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    connection: ConnectionManager,
    namespace: String,
    /// Whether commands are answered, and whether wakes are heard: each has a connection of its own.
    commands: Answering,
    wakes: Answering,
}

/// All that Redis is asked to do, as it stands in logs and on the metric of failures.
const WORK: [&str; 7] = [
    "hearing wakes",
    "asking for a sign of life",
    "counting who is here",
    "reading who is here",
    "sharing who is here",
    "sharing how often is called",
    "telling a wake",
];

/// Whether Redis answers on one of its connections. That it has stopped, or answers again, is logged once.
#[derive(Debug)]
pub(crate) struct Answering(AtomicBool);

impl Answering {
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    fn tell(&self, what: &'static str, error: Option<&str>) {
        debug_assert!(WORK.contains(&what), "{what}");
        if error.is_some() {
            metrics::redis_failed(what, 1);
        }
        let answered_before = self.0.swap(error.is_none(), Ordering::Relaxed);
        match error {
            Some(error) if answered_before => {
                tracing::warn!(what, error, "Redis does not answer; everything goes on without it");
            }
            None if !answered_before => tracing::info!(what, "Redis answers again"),
            _ => {}
        }
    }
}

/// What kind of error it is, and Redis's own word for it (`NOAUTH`, `WRONGPASS`, `OOM`), which holds nothing private.
fn told_by(error: &redis::RedisError) -> String {
    match error.code() {
        Some(code) => format!("{}: {code}", error.category()),
        None => error.category().to_owned(),
    }
}

impl fmt::Debug for SoftState {
    /// Without the address, which may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SoftState").field("namespace", &self.inner.namespace).finish_non_exhaustive()
    }
}

impl SoftState {
    /// Opens `redis://[:PASSWORD@]HOST[:PORT]`, or `rediss://` over TLS, trusting `authority` (PEM; the system's when
    /// absent). Nothing is connected yet. Suites with other `keys` don't see each other. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address or the authority can't be used.
    pub fn open(url: &str, authority: Option<Vec<u8>>, keys: &Keys) -> Result<Self, SoftStateError> {
        // A connection whose other end vanished without a word is found out, and replaced.
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
        let settings = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive.with_retries(KEEPALIVE_RETRIES))
            .set_user_timeout(UNACKNOWLEDGED_TIME_MAX);
        let address = url.into_connection_info().map_err(|_| SoftStateError::Url)?.set_tcp_settings(settings);
        let client = match authority {
            None => Client::open(address).map_err(|_| SoftStateError::Url)?,
            Some(pem) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
                Client::build_with_tls(address, certificates)
                    .map_err(|error| SoftStateError::Authority(error.category().to_owned()))?
            }
        };
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER_TIME_MAX))
            .set_connection_timeout(Some(CONNECT_TIME_MAX))
            .set_min_delay(PAUSE_FIRST)
            .set_max_delay(PAUSE_MAX)
            .set_number_of_retries(RETRIES);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(|_| SoftStateError::Url)?;
        for what in WORK {
            // From the beginning, at 0: what never failed is no missing metric.
            metrics::redis_failed(what, 0);
        }
        let (commands, wakes) = (Answering::new(), Answering::new());
        Ok(Self { inner: Arc::new(Inner { client, connection, namespace: keys.suite(), commands, wakes }) })
    }

    /// The name of something in Redis: a key or a channel.
    fn key(&self, kind: &str, name: &str) -> String {
        format!("shipei:{}:{kind}:{name}", self.inner.namespace)
    }

    /// Runs commands; None when Redis does not answer them in time.
    async fn run<T: FromRedisValue>(&self, what: &'static str, commands: &Pipeline) -> Option<T> {
        let mut connection = self.inner.connection.clone();
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, commands.query_async(&mut connection)).await;
        let (answer, error) = match answer {
            Ok(Ok(answer)) => (Some(answer), None),
            Ok(Err(error)) => (None, Some(told_by(&error))),
            Err(_) => (None, Some("no answer in time".to_owned())),
        };
        self.inner.commands.tell(what, error.as_deref());
        answer
    }

    /// As [`SoftState::run`], for a call that waits: a Redis that did not answer last time is not waited for. Tasks in the
    /// background find out when it answers again.
    async fn run_for_a_call<T: FromRedisValue>(&self, what: &'static str, commands: &Pipeline) -> Option<T> {
        match self.answers() {
            true => self.run(what, commands).await,
            false => None,
        }
    }

    /// Whether Redis answered last time.
    fn answers(&self) -> bool {
        self.inner.commands.0.load(Ordering::Relaxed)
    }

    /// Asks a Redis that did not answer last time whether it does now.
    async fn is_back(&self) -> bool {
        let mut ping = Pipeline::new();
        ping.cmd("PING").ignore();
        self.run::<()>("asking for a sign of life", &ping).await.is_some()
    }
}
