//! The services of one process: their databases, their server, and the logs that they follow.
//!
//! All five in one process or each in its own is the same to a service: it follows the others' logs over gRPC, over
//! an in-memory connection to this process's server or over TCP to another one. To add a service: one more `Member`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use shipei_service_kit::{
    Clock, InMemory, Instance, Kit, Server, ServerBuilder, Shutdown, SoftState, connect_lazily,
    soft_state::{rate_limit::RateLimiter, wakes},
};
use shipei_store::{
    Database, Fit, PoolLimits, Schema,
    crypto::{Keys, random_name},
    sqlx::migrate::Migrator,
};
use tokio::net::TcpListener;
use tonic::transport::Channel;

use crate::config::RedisAddress;

/// After this age clients are asked to connect anew and streams end, so that load spreads over instances that came
/// meanwhile.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Gives the channel of the service that a log belongs to.
type Peers = BTreeMap<&'static str, Channel>;

/// A service of the suite, as a process puts it together.
struct Member {
    name: &'static str,
    migrations: fn() -> Migrator,
    serve: fn(ServerBuilder, &Kit, &Shutdown) -> ServerBuilder,
    /// The logs that it follows.
    follows: &'static [&'static str],
    follow: fn(&Kit, &Peers, &Shutdown),
}

const ENROLLMENT: &str = shipei_enrollment::NAME;
const LEARNING: &str = shipei_learning_progress::NAME;
const ASSIGNMENT: &str = shipei_assignment_grading::NAME;
const OFFLINE: &str = shipei_offline_activity::NAME;
const ASSESSMENT: &str = shipei_assessment::NAME;

/// The five services.
const MEMBERS: [Member; 5] = [
    Member {
        name: ENROLLMENT,
        migrations: shipei_enrollment::migrations,
        serve: |builder, kit, _| shipei_enrollment::serve(builder, kit),
        follows: &[],
        follow: |_, _, _| {},
    },
    Member {
        name: LEARNING,
        migrations: shipei_learning_progress::migrations,
        serve: |builder, kit, shutdown| shipei_learning_progress::start(kit, shutdown).serve_with(builder),
        follows: &[ENROLLMENT],
        follow: |kit, peers, shutdown| {
            shipei_learning_progress::follow_enrollment(kit, peers[ENROLLMENT].clone(), shutdown);
        },
    },
    Member {
        name: ASSIGNMENT,
        migrations: shipei_assignment_grading::migrations,
        serve: |builder, kit, _| shipei_assignment_grading::serve(builder, kit),
        follows: &[ENROLLMENT],
        follow: |kit, peers, shutdown| {
            shipei_assignment_grading::follow_enrollment(kit, peers[ENROLLMENT].clone(), shutdown);
        },
    },
    Member {
        name: OFFLINE,
        migrations: shipei_offline_activity::migrations,
        serve: |builder, kit, _| shipei_offline_activity::serve(builder, kit),
        follows: &[ENROLLMENT],
        follow: |kit, peers, shutdown| {
            shipei_offline_activity::follow_enrollment(kit, peers[ENROLLMENT].clone(), shutdown);
        },
    },
    Member {
        name: ASSESSMENT,
        migrations: shipei_assessment::migrations,
        serve: |builder, kit, _| builder.service(kit, shipei_assessment::service(kit)),
        follows: &[ENROLLMENT, LEARNING, ASSIGNMENT, OFFLINE],
        follow: |kit, peers, shutdown| {
            let peers = shipei_assessment::Peers {
                enrollment: peers[ENROLLMENT].clone(),
                learning_progress: peers[LEARNING].clone(),
                assignment_grading: peers[ASSIGNMENT].clone(),
                offline_activity: peers[OFFLINE].clone(),
            };
            drop(shipei_assessment::start(kit, peers, shutdown));
        },
    },
];

/// The names of the five services, which are those of their logs.
pub fn service_names() -> Vec<&'static str> {
    MEMBERS.iter().map(|member| member.name).collect()
}

/// Who of these services follows which log that is neither of these services nor at an address.
pub fn sources_missing(
    services: &[&str],
    addresses: &BTreeMap<String, String>,
) -> Vec<(&'static str, &'static str)> {
    const ALL: &[Member; 5] = &MEMBERS;
    let served = ALL.iter().filter(|member| services.contains(&member.name));
    let follows = served.flat_map(|member| member.follows.iter().map(|source| (member.name, *source)));
    follows.filter(|(_, source)| !services.contains(source) && !addresses.contains_key(*source)).collect()
}

/// Where state is kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A folder with a SQLite file for each service and the key file; made if it is not there.
    Directory(PathBuf),
    /// A database URL for each service, and the file of keys.
    Databases {
        /// By service.
        urls: BTreeMap<&'static str, String>,
        /// The file of keys; made if it is not there.
        key_file: PathBuf,
    },
}

impl Storage {
    /// The keys that identity numbers and tokens are sealed with.
    fn keys(&self) -> Result<Keys> {
        let file = match self {
            Storage::Directory(folder) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make the folder {}", folder.display()))?;
                &folder.join("shipei.key")
            }
            Storage::Databases { key_file, .. } => key_file,
        };
        Ok(Keys::load_or_create(file)?)
    }

    /// The URL of the SQLite file of a service in a folder.
    pub(crate) fn sqlite_url(folder: &Path, service: &str) -> String {
        format!("sqlite:{}", folder.join(format!("{service}.sqlite")).display())
    }

    /// The URL of a service's database.
    pub(crate) fn url(&self, service: &str) -> Result<String> {
        match self {
            Storage::Directory(folder) => Ok(Storage::sqlite_url(folder, service)),
            Storage::Databases { urls, .. } => {
                urls.get(service).cloned().with_context(|| format!("no database URL for {service}"))
            }
        }
    }

    /// Opens a service's database with a schema that this program can work on; gives the schema as it was before.
    async fn open(&self, member: &Member, limits: PoolLimits, migrate: bool) -> Result<(Database, Schema)> {
        let database = Database::open(&self.url(member.name)?, limits)
            .await
            .with_context(|| format!("the database of {}", member.name))?;
        match ready(member, &database, migrate || !database.is_postgres()).await {
            Ok(schema) => Ok((database, schema)),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }
}

/// Brings an older schema up to date if `migrate`, else refuses it; a newer one is refused always. Gives the schema as
/// it was before.
async fn ready(member: &Member, database: &Database, migrate: bool) -> Result<Schema> {
    let named = || format!("the database of {}", member.name);
    let migrations = (member.migrations)();
    let schema = database.schema(&migrations).await.with_context(named)?;
    let Schema { version, needed, fit } = schema;
    match fit {
        Fit::Newer => bail!(
            "the schema of {} is at version {version}, newer than this shipei, which knows version {needed}: \
             use a newer shipei",
            member.name
        ),
        Fit::Older if !migrate => bail!(
            "the schema of {} is at version {version}, older than this shipei, which needs version {needed}: \
             run `shipei migrate` first (or serve with --migrate)",
            member.name
        ),
        Fit::Older => database.migrate(&migrations).await.with_context(named)?,
        Fit::Current => database.ensure_epoch().await.with_context(named)?,
    }
    Ok(schema)
}

/// Brings the schema of a service up to date; gives it as it was before.
pub async fn migrate(service: &str, storage: &Storage, limits: PoolLimits) -> Result<Schema> {
    const ALL: &[Member; 5] = &MEMBERS;
    let Some(member) = ALL.iter().find(|member| member.name == service) else {
        bail!("there is no service `{service}`; there are {}", service_names().join(", "));
    };
    let (database, before) = storage.open(member, limits, true).await?;
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
    /// The bounds of each service's database.
    pub limits: PoolLimits,
    /// Whether to bring older schemas on Postgres up to date instead of refusing them; on SQLite it is always done.
    pub migrate: bool,
}

/// Services that run in this process.
#[derive(Debug)]
pub struct Suite {
    server: Server,
    in_memory: InMemory,
    shutdown: Shutdown,
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
            limits: PoolLimits::default(),
            migrate: true,
        };
        Suite::start(&options).await
    }

    /// Opens the databases, builds the server, follows the logs. It listens nowhere yet but in memory.
    pub async fn start(options: &Options) -> Result<Suite> {
        let members = members_of(&options.services)?;
        let keys = options.storage.keys()?;
        let instance = Instance {
            name: options.instance.clone(),
            soft_state: options.redis.as_ref().map(|redis| soft_state(redis, &keys)).transpose()?,
        };
        let shutdown = Shutdown::new();
        let mut builder = ServerBuilder::new(&shutdown).connection_age_max(CONNECTION_AGE_MAX);
        if let Some(limit) = options.rate_limit {
            let limiter = RateLimiter::start(limit, &options.clock, instance.soft_state.as_ref(), &shutdown);
            builder = builder.rate_limiter(limiter);
        }
        let mut kits = Vec::new();
        for member in &members {
            let (database, _) = options.storage.open(member, options.limits, options.migrate).await?;
            let kit = Kit::new(member.name, database, options.clock.clone(), &keys, instance.clone());
            for source in member.follows {
                // Before anybody calls: from now on a call that carries a token waits.
                kit.applied().register(source);
            }
            builder = (member.serve)(builder, &kit, &shutdown);
            kits.push(kit);
        }
        let server = builder.build().await?;
        let in_memory = server.serve_in_memory();
        for (member, kit) in members.iter().zip(&kits) {
            let peers = peers_of(member, &members, &in_memory, &options.peers)?;
            (member.follow)(kit, &peers, &shutdown);
        }
        wakes::carry(&kits, &shutdown);
        Ok(Suite { server, in_memory, shutdown })
    }

    /// Listens on TCP too; gives the address, with the port if it was 0.
    pub fn listen(&self, listener: TcpListener) -> Result<SocketAddr> {
        self.server.serve_tcp(listener).context("cannot listen")
    }

    /// A channel of its own to the services of this process.
    pub fn channel(&self) -> Channel {
        self.in_memory.channel()
    }

    /// Ends it: calls under way are answered first, within bounds.
    pub async fn stop(self) {
        self.shutdown.begin();
        self.shutdown.finish().await;
    }
}

fn soft_state(redis: &RedisAddress, keys: &Keys) -> Result<SoftState> {
    let read =
        |file: &PathBuf| std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let authority = redis.ca_file.as_ref().map(read).transpose()?;
    SoftState::open(&redis.url, authority, keys).context("Redis")
}

fn members_of(names: &[String]) -> Result<Vec<&'static Member>> {
    const ALL: &[Member; 5] = &MEMBERS;
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let mut members: Vec<&Member> = Vec::new();
    for name in names {
        let Some(member) = ALL.iter().find(|member| member.name == name) else {
            bail!("there is no service `{name}`; there are {}", service_names().join(", "));
        };
        if members.iter().all(|known| known.name != member.name) {
            members.push(member);
        }
    }
    Ok(members)
}

/// The channels that a service follows logs over: in memory where the service runs here, else to its address.
fn peers_of(
    member: &Member,
    here: &[&'static Member],
    in_memory: &InMemory,
    addresses: &BTreeMap<String, String>,
) -> Result<Peers> {
    let mut peers = Peers::new();
    for source in member.follows {
        let channel = match addresses.get(*source) {
            _ if here.iter().any(|member| member.name == *source) => in_memory.channel(),
            Some(address) => connect_lazily(&with_scheme(address))
                .with_context(|| format!("--peer {source}={address} is not an address"))?,
            None => bail!(
                "{} follows the log of {source}: say where it runs with --peer {source}=ADDRESS",
                member.name
            ),
        };
        peers.insert(source, channel);
    }
    Ok(peers)
}

/// `host:port` as a URL.
pub fn with_scheme(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}
