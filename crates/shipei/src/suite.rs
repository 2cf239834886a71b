//! The services of one process: their databases, their server, and the logs that they follow.
//!
//! All five in one process or each in its own is the same to a service: it follows the others' logs over gRPC, over
//! an in-memory connection to this process's server or over TCP to another one. The services stand in `services.rs`.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use shipei_service_kit::{
    Checkpoints, Clock, CorsOrigins, Identification, InMemory, Instance, Kit, ListenerFiles, ListenerTls,
    PeerFiles, PeerTls, Peers, ProcessBounds, Server, ServerBuilder, Service, Shutdown, SoftState,
    TokenSettings, TrustedProxies, Verifier, connect_lazily,
    follow::shards::LEASE_TERM,
    key_file,
    soft_state::{rate_limit::RateLimiter, wakes},
};
use shipei_store::{
    Claim, Database, PoolLimits, Schema, StoreError,
    crypto::{Cipher, Keys, random_name},
    cursor, event_log,
};
use tokio::net::TcpListener;
use tonic::transport::Channel;

pub use crate::storage::Storage;
use crate::{
    redis::RedisAddress,
    services::{peer_missing, service_of, services_of},
};

/// What an address begins with that is spoken TLS to.
const HTTPS: &str = "https://";
/// After this age clients are asked to connect anew and streams end, so that load spreads over instances that came
/// meanwhile.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Makes a service forget what it learned from other logs, so that it reads them from their first events when it is
/// started again. False when it follows no log.
///
/// # Errors
/// When it is running, when a log that it follows does not begin with its first event any more, or when its database can't be used.
pub async fn forget_learned(service: &str, storage: &Storage, limits: PoolLimits) -> Result<bool> {
    let service = service_of(service)?;
    let tables = service.learned_tables();
    if tables.is_empty() {
        return Ok(false);
    }
    let _claim = storage.claim(service.name)?;
    for source in service.follows {
        refuse_shortened(source, storage, limits).await?;
    }
    let (database, _) = storage.open(service.name, &(service.migrations)(), limits, false).await?;
    let forgetting = database.retry(|| async {
        let mut tx = database.begin_write().await?;
        let running = cursor::forget_learned(&mut tx, &tables).await?;
        tx.commit().await?;
        Ok::<i64, StoreError>(running)
    });
    let running = forgetting.await.with_context(|| format!("the database of {}", service.name));
    database.close().await;
    match running? {
        0 => Ok(true),
        running => bail!(
            "{running} instance(s) of {} are running: stop them first (one that was killed counts for {} s)",
            service.name,
            LEASE_TERM.as_secs()
        ),
    }
}

/// Refuses to forget what can't be learned again, as far as is known here where a log is. (A follower does not begin in the middle of one.)
async fn refuse_shortened(source: &str, storage: &Storage, limits: PoolLimits) -> Result<()> {
    let Storage::Databases { urls, .. } = storage else {
        // SQLite keeps all events.
        return Ok(());
    };
    let Some(url) = urls.get(source) else { return Ok(()) };
    let database = Database::open(url, limits).await?;
    let looking = database.retry(|| async {
        let mut tx = database.begin_read().await?;
        let dropped = event_log::dropped(&mut tx).await?;
        tx.rollback().await?;
        Ok::<_, StoreError>(dropped.iter().next().is_some())
    });
    let is_shortened = looking.await.with_context(|| format!("the log of {source}"));
    database.close().await;
    if is_shortened? {
        bail!(
            "old months of the log of {source} were dropped (log_kept_days): what would be learned from the rest would be wrong, so nothing is \
             forgotten; restore a back-up instead"
        );
    }
    Ok(())
}

/// Brings the schema of a service up to date; gives it as it was before.
pub async fn migrate(service: &str, storage: &Storage, limits: PoolLimits) -> Result<Schema> {
    let service = service_of(service)?;
    let (database, before) = storage.open(service.name, &(service.migrations)(), limits, true).await?;
    database.close().await;
    Ok(before)
}

/// What a process serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The services to run; empty for all five.
    pub services: Vec<String>,
    /// Where state is kept.
    pub storage: Storage,
    /// The addresses of services that run elsewhere.
    pub peers: BTreeMap<String, String>,
    /// The clock.
    pub clock: Clock,
    /// The name of this process among the instances of a service.
    pub instance: String,
    /// The Redis that instances share, if there is one.
    pub redis: Option<RedisAddress>,
    /// The most calls of one caller to one gRPC service in a minute, if there is a bound.
    pub rate_limit: Option<NonZeroU32>,
    /// Whose tokens are taken; without it the suite is open.
    pub tokens: Option<TokenSettings>,
    /// What is spoken TLS with, to clients and to peers.
    pub tls: TlsFiles,
    /// The bounds of each service's database.
    pub limits: PoolLimits,
    /// What the process may hold for its clients.
    pub bounds: ProcessBounds,
    /// The proxies that are believed where a call comes from.
    pub proxies: TrustedProxies,
    /// The origins whose pages may call.
    pub cors: CorsOrigins,
    /// Where checkpoints of the logs go, if they go anywhere.
    pub checkpoints: Option<Checkpoints>,
    /// The algorithm by which what is kept is sealed.
    pub cipher: Cipher,
    /// Whether to bring older schemas on Postgres up to date instead of refusing them; on SQLite it is always done.
    pub migrate: bool,
}

/// The files of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Of the listener; in plain text without them.
    pub listener: Option<ListenerFiles>,
    /// For peers at `https://` addresses.
    pub peers: PeerFiles,
}

/// Services that run in this process.
#[derive(Debug)]
pub struct Suite {
    server: Server,
    in_memory: InMemory,
    listener_tls: Option<ListenerTls>,
    shutdown: Shutdown,
    _claims: Vec<Claim>,
}

impl Suite {
    /// All five services, reachable in memory; their schemas are brought up to date.
    pub async fn start_embedded(storage: &Storage) -> Result<Suite> {
        let options = Options {
            services: Vec::new(),
            storage: storage.clone(),
            peers: BTreeMap::new(),
            clock: Clock::system(),
            instance: random_name()?,
            redis: None,
            rate_limit: None,
            tokens: None,
            tls: TlsFiles::default(),
            limits: PoolLimits::default(),
            bounds: ProcessBounds::default(),
            proxies: TrustedProxies::default(),
            cors: CorsOrigins::default(),
            checkpoints: None,
            cipher: Cipher::default(),
            migrate: true,
        };
        Suite::start(&options).await
    }

    /// Opens the databases, builds the server, follows the logs. It listens nowhere yet but in memory.
    pub async fn start(options: &Options) -> Result<Suite> {
        let services = services_of(&options.services)?;
        let mut databases = Vec::new();
        let mut claims = Vec::new();
        for service in &services {
            claims.push(options.storage.claim(service.name)?);
            let migrations = (service.migrations)();
            let opening = options.storage.open(service.name, &migrations, options.limits, options.migrate);
            databases.push((service.name, opening.await?.0));
        }
        // Behind everything that may refuse the start, since it may make the key file.
        let (keys, of_databases) = options.storage.keys(&databases, options.limits, options.cipher).await?;
        let soft_state = options.redis.as_ref().map(|redis| soft_state(redis, &keys)).transpose()?;
        let instance = Instance::new(&options.instance, soft_state)?;
        let shutdown = Shutdown::new();
        key_file::keep_fresh(&keys, &shutdown);
        let identification = match options.tokens.clone() {
            Some(tokens) => {
                let verifier = Verifier::start(tokens, &keys, &options.clock, &shutdown).await?;
                Identification::Verified(verifier, options.clock.clone())
            }
            None => Identification::Open,
        };
        let mut builder = ServerBuilder::new(&shutdown)
            .identification(identification)
            .connection_age_max(CONNECTION_AGE_MAX)
            .bounds(options.bounds)
            .trusted_proxies(options.proxies.clone())
            .cors(options.cors.clone());
        if let Some(limit) = options.rate_limit {
            let limiter = RateLimiter::start(limit, &options.clock, instance.soft_state(), &shutdown);
            builder = builder.rate_limiter(limiter);
        }
        if let Some(checkpoints) = options.checkpoints.clone() {
            builder = builder.checkpoints(checkpoints);
        }
        let mut kits = Vec::new();
        for ((service, (_, database)), keys) in services.iter().zip(databases).zip(&of_databases) {
            let kit = Kit::new(service.name, database, options.clock.clone(), keys, instance.clone());
            for source in service.follows {
                // Before anybody calls: from now on a call that carries a token waits.
                kit.applied().register(source);
            }
            builder = (service.serve)(builder, &kit);
            kits.push(kit);
        }
        let listener = options.tls.listener.clone();
        let listener_tls = listener.map(|files| ListenerTls::start(files, &shutdown)).transpose()?;
        let encrypted = options.peers.values().any(|address| address.starts_with(HTTPS));
        let peer_files = encrypted.then(|| options.tls.peers.clone());
        let peer_tls = peer_files.map(|files| PeerTls::start(files, &shutdown)).transpose()?;
        let server = builder.build().await?;
        let in_memory = server.serve_in_memory();
        for (service, kit) in services.iter().zip(&kits) {
            let peers = peers_of(service, &services, &in_memory, &options.peers, peer_tls.as_ref())?;
            (service.follow)(kit, &peers, &shutdown);
        }
        let logs: Vec<_> = kits.iter().map(Kit::log).collect();
        wakes::carry(&logs, &shutdown);
        Ok(Suite { server, in_memory, listener_tls, shutdown, _claims: claims })
    }

    /// Listens on TCP too, over TLS if there are certificates; gives the address, with the port if it was 0.
    pub fn listen(&self, listener: TcpListener) -> Result<SocketAddr> {
        let listening = match &self.listener_tls {
            Some(tls) => self.server.serve_tls(listener, tls),
            None => self.server.serve_tcp(listener),
        };
        listening.context("cannot listen")
    }

    /// A channel of its own to the services of this process.
    pub fn channel(&self) -> Channel {
        self.in_memory.channel()
    }

    /// Returns when it ends by itself, since a part of it has failed.
    pub async fn ended(&self) {
        self.shutdown.begun().await;
    }

    /// Ends it: calls under way are answered first, within bounds. False when a part of it has failed.
    pub async fn stop(self) -> bool {
        self.shutdown.finish().await;
        !self.shutdown.has_failed()
    }
}

fn soft_state(redis: &RedisAddress, keys: &Keys) -> Result<SoftState> {
    let read = |file: &PathBuf| {
        std::fs::read(file).with_context(|| format!("`redis_ca_file`: cannot read {}", file.display()))
    };
    let authority = redis.ca_file.as_ref().map(read).transpose()?;
    SoftState::open(&redis.url, authority, keys).context("Redis")
}

/// The channels that a service follows logs over and asks others on: in memory where the service runs here, else to its address.
fn peers_of(
    service: &Service,
    here: &[&'static Service],
    in_memory: &InMemory,
    addresses: &BTreeMap<String, String>,
    tls: Option<&PeerTls>,
) -> Result<Peers> {
    let mut peers = Peers::new();
    for source in service.follows.iter().chain(service.asks) {
        let channel = match addresses.get(*source) {
            _ if here.iter().any(|here| here.name == *source) => in_memory.channel(),
            Some(address) => {
                let connecting = match tls.filter(|_| address.starts_with(HTTPS)) {
                    Some(tls) => tls.connect_lazily(address),
                    None => connect_lazily(&shipei_client::client::with_scheme(address)),
                };
                connecting.with_context(|| format!("--peer {source}={address} is not an address"))?
            }
            // What it can't ask it answers UNAVAILABLE for.
            None if service.asks.contains(source) => continue,
            None => bail!("{}", peer_missing(service.name, source)),
        };
        peers.insert(source, channel);
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn suite_of_which_a_part_fails_ends_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::Directory(folder.path().to_owned());
        assert!(Suite::start_embedded(&storage).await.unwrap().stop().await);
        let suite = Suite::start_embedded(&storage).await.unwrap();
        drop(suite.shutdown.spawn(async { panic!("as a follower may") }));
        suite.ended().await;
        assert!(!suite.stop().await);
    }
}
