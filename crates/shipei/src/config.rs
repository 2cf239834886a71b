//! What a process is told, checked before anything starts, and how it is shown again.
//!
//! [`crate::settings`] collects what was said and where; here it gets its types. An error names the place; it never
//! repeats a database's URL, which may hold a password.

mod access;
mod shown;
mod tls;
mod values;

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, builder::PossibleValuesParser};
use shipei_client::client::with_scheme;
use shipei_contracts::services::{ASSESSMENT, ASSESSMENT_DECISIONS};
use shipei_service_kit::{
    CallerLimits, ConnectionLimits, CorsOrigins, Destination, InvalidNetwork, InvalidOrigin, ProcessBounds,
    Quota, TrustedProxies, WriteBounds, config::ListenAddress, serve::checkpoints::CHECKPOINT_INTERVAL,
    telemetry::LogFormat,
};
use shipei_store::{
    Database, PoolLimits,
    crypto::{self, Cipher},
};
use tonic::transport::{Endpoint, Uri};

pub use self::access::Access;
use self::values::{many, one, path, switch};
use crate::{
    environment::unknown_variables,
    redis::{RedisAddress, masked},
    services::{peer_missing, service_names, sources_missing},
    settings::{Flags, Givens, SETTINGS, Source},
    storage::{KEY_FILE, Storage},
    suite::TlsFiles,
};

/// Where a server listens unless it is told otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:7300";
const DATA_DEFAULT: &str = "shipei-data";
const DAY_SECONDS: u64 = 24 * 60 * 60;
const MEGABYTE: usize = 1024 * 1024;
const MEGABYTE_BYTES: u64 = 1024 * 1024;
/// The most connections to one database.
const CONNECTIONS_MAX: u32 = 1_000;
/// The longest that a timeout may be.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest name of an instance, bytes.
const INSTANCE_BYTES_MAX: usize = 63;
/// How much of an instance's own name is random, hexadecimal digits.
const INSTANCE_RANDOM_BYTES: usize = 8;
/// The word for all five services, where they must be named.
const ALL: &str = "all";
/// What a command that opens databases is told.
#[derive(Debug, Args)]
pub struct Options {
    /// The services; all five if none is named.
    #[arg(value_name = "SERVICE", value_parser = PossibleValuesParser::new(service_names()))]
    pub services: Vec<String>,
    /// The settings.
    #[command(flatten)]
    pub flags: Flags,
}

/// What a command is told that takes nothing for granted: the services must be named.
#[derive(Debug, Args)]
pub struct NamedOptions {
    /// The services, or `all`.
    #[arg(
        value_name = "SERVICE|all",
        required = true,
        value_parser = PossibleValuesParser::new(service_names().into_iter().chain([ALL]))
    )]
    services: Vec<String>,
    /// The settings.
    #[command(flatten)]
    flags: Flags,
}

impl From<NamedOptions> for Options {
    fn from(named: NamedOptions) -> Options {
        let all = named.services.iter().any(|service| service == ALL);
        Options { services: if all { Vec::new() } else { named.services }, flags: named.flags }
    }
}

/// What is in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The services that the command is about, in the suite's order.
    pub services: Vec<&'static str>,
    /// Where to listen.
    pub listen: ListenAddress,
    /// How callers are known.
    pub access: Access,
    /// What is spoken TLS with.
    pub tls: TlsFiles,
    /// The networks of proxies that are believed where a call comes from.
    pub trusted_proxies: Vec<String>,
    /// The origins whose pages may call from a browser.
    pub cors_origins: Vec<String>,
    /// The addresses of services that run elsewhere.
    pub peers: BTreeMap<String, String>,
    /// Where state is kept.
    pub storage: Storage,
    /// Whether to bring schemas on Postgres up to date before serving.
    pub migrate: bool,
    /// The bounds of each service's database.
    pub limits: PoolLimits,
    /// What the process may hold for its clients.
    pub bounds: ProcessBounds,
    /// The name of this process among the instances of a service.
    pub instance: String,
    /// What instances share and may lose, if there is any.
    pub redis: Option<RedisAddress>,
    /// The most calls of one caller to one service in a minute, if there is a bound.
    pub rate_limit: Option<NonZeroU32>,
    /// The OpenTelemetry collector, if there is one.
    pub otlp: Option<String>,
    /// Where checkpoints of the logs go, if they go anywhere.
    pub audit_checkpoints: Option<Destination>,
    /// How often.
    pub audit_interval: Duration,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The algorithm by which what is kept is sealed.
    pub cipher: Cipher,
    data: PathBuf,
    key_file: PathBuf,
    file: Option<(PathBuf, Source)>,
    sources: BTreeMap<&'static str, Source>,
    /// Variables of the environment that look like settings and are none.
    pub unknown_variables: Vec<String>,
}

impl Config {
    /// Reads the file, the variables and the flags.
    ///
    /// # Errors
    /// When something in them can't be; where it stands is named.
    pub fn load(options: &Options) -> Result<Config> {
        let givens = options.flags.with_file()?;
        let said = |name: &&str| {
            options.services.is_empty() || options.services.iter().any(|service| service == name)
        };
        let services: Vec<&'static str> = service_names().into_iter().filter(said).collect();
        let defaults = PoolLimits::default();
        let data = one(&givens, "data", PathBuf::from(DATA_DEFAULT), path)?;
        let access = access::read(&givens, &data)?;
        let listen = |text: &str| ListenAddress::parse(text, matches!(access, Access::Open));
        let key_file = one(&givens, "key_file", data.join(KEY_FILE), path)?;
        let urls = many(&givens, "database", |values| databases(values, &services))?;
        let storage = match urls {
            _ if !urls.is_empty() => Storage::Databases { urls, key_file: key_file.clone() },
            _ if givens.contains_key("key_file") => {
                let url = |service| (service, Storage::sqlite_url(&data, service));
                Storage::Databases {
                    urls: service_names().into_iter().map(url).collect(),
                    key_file: key_file.clone(),
                }
            }
            _ => Storage::Directory(data.clone()),
        };
        Ok(Config {
            services,
            listen: one(&givens, "listen", listen(LISTEN_DEFAULT)?, listen)?,
            access,
            tls: tls::read(&givens)?,
            trusted_proxies: one(&givens, "trusted_proxies", Vec::new(), trusted_proxies)?,
            cors_origins: one(&givens, "cors_origins", Vec::new(), cors_origins)?,
            peers: many(&givens, "peers", peers)?,
            storage,
            migrate: one(&givens, "migrate", false, switch)?,
            limits: PoolLimits {
                connections: one(&givens, "pool_connections", defaults.connections, connections)?,
                acquire_timeout: one(&givens, "acquire_timeout", defaults.acquire_timeout, timeout)?,
                statement_timeout: one(&givens, "statement_timeout", defaults.statement_timeout, timeout)?,
                lock_timeout: one(&givens, "lock_timeout", defaults.lock_timeout, timeout)?,
            },
            bounds: bounds(&givens)?,
            instance: match one(&givens, "instance", None, instance)? {
                Some(name) => name,
                None => instance_default()?,
            },
            redis: redis(&givens)?,
            rate_limit: one(&givens, "rate_limit", None, rate_limit)?,
            otlp: one(&givens, "otlp", None, |text| collector(text).map(Some))?,
            audit_checkpoints: one(&givens, "audit_checkpoints", None, |text| text.parse().map(Some))?,
            audit_interval: one(&givens, "audit_interval", CHECKPOINT_INTERVAL, timeout)?,
            log_format: one(&givens, "log_format", LogFormat::default(), str::parse)?,
            cipher: one(&givens, "cipher", Cipher::default(), str::parse)?,
            data,
            key_file,
            file: options.flags.config().cloned(),
            sources: givens.into_iter().map(|(key, given)| (key, given.source)).collect(),
            unknown_variables: unknown_variables(
                std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()),
                |name| SETTINGS.iter().any(|setting| setting.variable == name),
            ),
        })
    }

    /// Says which variables look like settings and are none: a server that passes a mistyped one over in silence runs with
    /// something else than its operator thinks.
    pub fn warn_of_unknown_variables(&self) {
        for variable in &self.unknown_variables {
            tracing::warn!(variable, "there is no such setting; `shipei config` shows all that there are");
        }
    }

    /// The services that a process with these settings serves: those that are named, and with assessment what people decide about
    /// its scores, unless that runs elsewhere or nothing says where it is kept.
    pub fn served(&self) -> Vec<&'static str> {
        let is_kept = match &self.storage {
            Storage::Directory(_) => true,
            Storage::Databases { urls, .. } => urls.contains_key(ASSESSMENT_DECISIONS),
        };
        let is_elsewhere = self.peers.contains_key(ASSESSMENT_DECISIONS);
        let comes_along = self.services.contains(&ASSESSMENT) && is_kept && !is_elsewhere;
        let is_served =
            |name: &&str| self.services.contains(name) || (*name == ASSESSMENT_DECISIONS && comes_along);
        service_names().into_iter().filter(is_served).collect()
    }

    /// Refuses what can't be served: a service whose sources are neither here nor at a known address, or with files
    /// that can't be read.
    ///
    /// # Errors
    /// When an address is missing, or a file.
    pub fn require_servable(&self) -> Result<()> {
        if let Some((service, source)) = sources_missing(&self.served(), &self.peers).first() {
            bail!("{}", peer_missing(service, source));
        }
        if let Some(file) = self.redis.as_ref().and_then(|redis| redis.ca_file.as_ref()) {
            let source = self.sources.get("redis_ca_file").unwrap_or(&Source::Default);
            std::fs::read(file)
                .with_context(|| format!("{source}: `redis_ca_file`: cannot read {}", file.display()))?;
        }
        Ok(())
    }
}

/// The name of an instance, as it may stand in a lease and on a metric.
fn instance(text: &str) -> Result<Option<String>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > INSTANCE_BYTES_MAX || !text.bytes().all(plain) {
        return Err(format!("write up to {INSTANCE_BYTES_MAX} letters, digits, `-`, `_` and `.`"));
    }
    Ok(Some(text.to_owned()))
}

/// The machine's name, and what tells two processes of one machine apart.
fn instance_default() -> Result<String> {
    let machine: String = gethostname::gethostname()
        .to_string_lossy()
        .chars()
        .filter(|character| character.is_ascii_alphanumeric() || *character == '-')
        .take(INSTANCE_BYTES_MAX / 2)
        .collect();
    let random = crypto::random_name()?;
    Ok(format!("{machine}-{}", &random[..INSTANCE_RANDOM_BYTES]))
}

fn bounds(givens: &Givens) -> Result<ProcessBounds> {
    let defaults = ProcessBounds::default();
    let megabytes = one(givens, "memory_budget", defaults.budget_bytes / MEGABYTE, at_least_one)?;
    let all = one(givens, "connections", defaults.connections.all, at_least_one)?;
    let by_address = one(givens, "connections_by_address", all, at_least_one)?;
    let connections = ConnectionLimits { all, by_address };
    let callers = CallerLimits {
        calls: one(givens, "calls_by_caller", defaults.callers.calls, at_most)?,
        streams: one(givens, "streams_by_caller", defaults.callers.streams, at_most)?,
    };
    let kept = u32::try_from(defaults.request_records_kept.as_secs() / DAY_SECONDS).unwrap_or(u32::MAX);
    let days = one(givens, "request_records_days", kept, days)?;
    let request_records_kept = Duration::from_secs(u64::from(days) * DAY_SECONDS);
    let log_kept_days = one(givens, "log_kept_days", 0, |text| {
        text.parse::<u32>().map_err(|_| "write a number of days, or 0 to keep all")
    })?;
    let log_kept =
        NonZeroU32::new(log_kept_days).map(|days| Duration::from_secs(u64::from(days.get()) * DAY_SECONDS));
    let writes = writes(givens, defaults.writes)?;
    let budget_bytes = megabytes.saturating_mul(MEGABYTE);
    Ok(ProcessBounds { budget_bytes, connections, callers, request_records_kept, log_kept, writes })
}

fn writes(givens: &Givens, defaults: WriteBounds) -> Result<WriteBounds> {
    let reserve = one(givens, "disk_reserve", defaults.disk_reserve_bytes / MEGABYTE_BYTES, |text| {
        text.parse::<u64>().map_err(|_| "write a number of megabytes, or 0 to keep nothing free")
    })?;
    let things = one(givens, "quota_things", defaults.quota.things, |text| {
        text.parse::<u32>().ok().filter(|number| *number > 0).ok_or("write a number from 1")
    })?;
    let megabytes = one(givens, "quota_megabytes", defaults.quota.bytes / MEGABYTE_BYTES, |text| {
        text.parse::<u64>().ok().filter(|number| *number > 0).ok_or("write a number of megabytes from 1")
    })?;
    Ok(WriteBounds {
        disk_reserve_bytes: reserve.saturating_mul(MEGABYTE_BYTES),
        quota: Quota { things, bytes: megabytes.saturating_mul(MEGABYTE_BYTES) },
    })
}

/// Origins with commas between them, each looked at.
fn cors_origins(text: &str) -> Result<Vec<String>, InvalidOrigin> {
    let origins = parted(text);
    CorsOrigins::new(&origins).map(|_| origins)
}

/// Networks with commas between them, each looked at.
fn trusted_proxies(text: &str) -> Result<Vec<String>, InvalidNetwork> {
    let networks = parted(text);
    TrustedProxies::new(&networks).map(|_| networks)
}

/// What stands between commas.
fn parted(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn days(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("write a number of days from 1")
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("write a number from 1")
}

fn at_most(text: &str) -> Result<Option<NonZeroUsize>, &'static str> {
    text.parse().map(NonZeroUsize::new).map_err(|_| "write a number, or 0 for no limit")
}

fn redis(givens: &Givens) -> Result<Option<RedisAddress>> {
    let ca_file = one(givens, "redis_ca_file", None, |text| path(text).map(Some))?;
    let url = one(givens, "redis", None, |text| redis_url(text).map(Some))?;
    if url.is_none() && ca_file.is_some() {
        bail!("`redis_ca_file` is given, but no `redis`");
    }
    Ok(url.map(|url| RedisAddress { url, ca_file }))
}

fn redis_url(text: &str) -> Result<String, &'static str> {
    let known = ["redis://", "rediss://", "redis+unix://"].iter().any(|scheme| text.starts_with(scheme));
    if known { Ok(text.to_owned()) } else { Err("write redis://HOST:6379 or rediss://:PASSWORD@HOST:6379") }
}

fn rate_limit(text: &str) -> Result<Option<NonZeroU32>, &'static str> {
    text.parse().map(NonZeroU32::new).map_err(|_| "write a number of calls a minute, or 0 for no limit")
}

fn collector(text: &str) -> Result<String, &'static str> {
    let known = text.starts_with("http://") || text.starts_with("https://");
    if known && Endpoint::from_shared(text.to_owned()).is_ok() {
        return Ok(text.to_owned());
    }
    Err("write http://HOST:4317")
}

fn connections(text: &str) -> Result<u32, String> {
    let wrong = || format!("write a number from 1 to {CONNECTIONS_MAX}");
    text.parse().ok().filter(|number| (1..=CONNECTIONS_MAX).contains(number)).ok_or_else(wrong)
}

fn timeout(text: &str) -> Result<Duration, &'static str> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => 0,
    };
    let parsed = number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds));
    let time = parsed.map(Duration::from_millis).filter(|time| !time.is_zero() && *time <= TIMEOUT_MAX);
    time.ok_or("write a time up to a day as 500ms, 10s or 2m")
}

/// The URL of each service's database.
fn databases(values: &[String], services: &[&'static str]) -> Result<BTreeMap<&'static str, String>, String> {
    let mut urls = BTreeMap::new();
    let mut for_all = None;
    for value in values {
        // A URL's own `=` stands behind a `:`, a service's name before one.
        let own = match value.split_once('=') {
            Some((name, url)) if !name.contains(':') => Some((required_service(name)?, url)),
            _ => None,
        };
        let url = own.map_or(value.as_str(), |(_, url)| url);
        Database::check_url(url).map_err(|error| error.to_string())?;
        match own {
            Some((service, url)) => {
                if urls.insert(service, url.to_owned()).is_some() {
                    return Err(format!("two URLs for {service}"));
                }
            }
            None if url.starts_with("sqlite:") || url.contains("schema=") => {
                return Err(
                    "a URL for all services is a postgres:// one without schema=; else write SERVICE=URL"
                        .to_owned(),
                );
            }
            None if for_all.is_some() => return Err("two URLs for all services".to_owned()),
            None => for_all = Some(url),
        }
    }
    if let Some(url) = for_all {
        for service in service_names() {
            urls.entry(service).or_insert_with(|| with_schema(url, service));
        }
    }
    match services.iter().find(|service| !urls.contains_key(*service)) {
        Some(service) if !values.is_empty() => {
            Err(format!("none for {service}: write {service}=URL, or one postgres:// URL for all"))
        }
        _ => Ok(urls),
    }
}

/// The same database, a schema for each service.
fn with_schema(url: &str, service: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}schema={}", service.replace('-', "_"))
}

fn peers(values: &[String]) -> Result<BTreeMap<String, String>, String> {
    let mut addresses = BTreeMap::new();
    for value in values {
        let Some((name, address)) = value.split_once('=') else {
            return Err(format!("`{}` is not SERVICE=ADDRESS", masked(value)));
        };
        let service = required_service(name)?;
        if !is_peer(address) {
            return Err(format!(
                "`{}` is no address of {service}; write HOST:PORT, http://HOST:PORT or https://HOST:PORT",
                masked(address)
            ));
        }
        if addresses.insert(service.to_owned(), address.to_owned()).is_some() {
            return Err(format!("two addresses for {service}"));
        }
    }
    Ok(addresses)
}

/// Whether a peer can be spoken to at an address: at a port that is named.
fn is_peer(address: &str) -> bool {
    let Ok(uri) = with_scheme(address).parse::<Uri>() else { return false };
    let plain = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.port_u16().is_some()
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    plain && uri.host().is_some_and(|host| !host.is_empty()) && uri.path() == "/" && uri.query().is_none()
}

fn required_service(name: &str) -> Result<&'static str, String> {
    let known = service_names().into_iter().find(|service| *service == name);
    known.ok_or_else(|| format!("there is no service `{name}`; there are {}", service_names().join(", ")))
}

#[cfg(test)]
mod tests;
