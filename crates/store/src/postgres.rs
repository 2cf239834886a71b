//! The connections to Postgres: their options, and what is made sure of before they are used and after they are given back
//! (how a transaction uses one: `postgres_tx.rs`). Why so much: a pool outlives the servers, clients and networks that its
//! connections lead to, and each of them may vanish in the middle of a word.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row as _};

use crate::StoreError;
use crate::limits::{PoolLimits, STATEMENTS_CACHED};
use crate::sometimes::threw_connection_away;

/// A Postgres connection that was idle longer than this is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);

/// How long a connection that is given back, or was idle, may take to answer; one that takes longer is cut.
pub(crate) const PING_TIME_MAX: Duration = Duration::from_secs(2);

/// From so many connections on, one is kept apart, for leases and for health.
const CONNECTIONS_WITH_ONE_APART: u32 = 4;

/// From so many connections on, one of so many is for streams of the log only.
const CONNECTIONS_WITH_LOGS_APART: u32 = 8;
const LOGS_PART: u32 = 4;

/// What Postgres is told of a connection whose client vanished: a transaction that does nothing for this long is ended
/// (milliseconds), and so is a connection on which nothing that was sent is acknowledged (seconds between probes, their
/// number, milliseconds in all), also during a long statement.
const POSTGRES_LOST_CLIENT: [(&str, &str); 6] = [
    ("idle_in_transaction_session_timeout", "15000"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
    ("client_connection_check_interval", "5000"),
];

/// What a URL may say behind its `?`: what sqlx knows (besides `options[NAME]`), and `schema`, which is ours.
const OPTIONS_KNOWN: [&str; 19] = [
    "schema",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Those of them that name a file.
const OPTIONS_OF_FILES: [&str; 7] =
    ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// The longest name of a schema, as Postgres has it.
const SCHEMA_NAME_MAX: usize = 63;

/// The advisory lock under which schemas are created.
const SCHEMA_LOCK: i64 = 0x7368_6970_6569;

/// The pools of one schema.
#[derive(Clone)]
pub(crate) struct PostgresPools {
    /// For calls.
    pub(crate) pool: PgPool,
    /// For what must not wait behind calls.
    pub(crate) apart: PgPool,
    /// For streams of the log.
    pub(crate) logs: PgPool,
    /// How to connect without limits.
    pub(crate) unlimited: Box<PgConnectOptions>,
}

/// Opens the pools of a schema.
pub(crate) async fn open(url: &str, limits: PoolLimits) -> Result<PostgresPools, StoreError> {
    let (options, schema) = options_of(url)?;
    let mut options = options
        .application_name("shipei")
        .statement_cache_capacity(STATEMENTS_CACHED)
        // Tables grow from nothing within one season: a generic plan made for an almost empty table reads all of it
        // (20,000 rows by lists of 128 keys took 19 s; planned anew, 3 s).
        .options([("jit", "off"), ("plan_cache_mode", "force_custom_plan")]);
    if let Some(schema) = schema {
        create_schema(&options, &schema, limits).await?;
        options = options.options([("search_path", schema)]);
    }
    let limited = options.clone().options(POSTGRES_LOST_CLIENT).options([
        ("statement_timeout", limits.statement_timeout.as_millis()),
        ("lock_timeout", limits.lock_timeout.as_millis()),
    ]);
    let all = limits.connections.max(1);
    let apart = u32::from(all >= CONNECTIONS_WITH_ONE_APART);
    let logs = if all >= CONNECTIONS_WITH_LOGS_APART { all / LOGS_PART } else { 0 };
    let pool = pool_of(all - apart - logs, limits).connect_with(limited.clone()).await?;
    let logs = match logs {
        0 => pool.clone(),
        _ => pool_of(logs, limits).connect_lazy_with(limited.clone()),
    };
    let apart = match apart {
        0 => pool.clone(),
        _ => pool_of(apart, limits).connect_lazy_with(limited),
    };
    Ok(PostgresPools { pool, apart, logs, unlimited: Box::new(options) })
}

fn pool_of(connections: u32, limits: PoolLimits) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(limits.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for > TRUSTED_IDLE {
                    ping_in_time(connection).await.inspect_err(|_| threw_connection_away())?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                let is_clean = is_clean_in_time(connection).await;
                if !matches!(is_clean, Ok(true)) {
                    threw_connection_away();
                }
                is_clean
            })
        })
}

async fn ping_in_time(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    in_time(connection.ping()).await
}

/// Whether a connection that is given back is outside of any transaction, and its server not a standby, as one may become
/// in a failover; it is closed else, or if it does not answer. Also sends what waits to be sent. (sqlx pings once more, without
/// a bound of its own: `postgres_tx.rs` bounds all of it.)
async fn is_clean_in_time(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // One message of the simple protocol begins its own transaction at its own time, unless one is open already.
    let asking = sqlx::raw_sql(
        "SELECT transaction_timestamp() = statement_timestamp() AND NOT pg_catalog.pg_is_in_recovery()",
    )
    .fetch_one(connection);
    in_time(asking).await?.try_get(0)
}

async fn in_time<T>(asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(PING_TIME_MAX, asking).await {
        Ok(answered) => answered,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// What a Postgres URL says, and the schema in it.
pub(crate) fn options_of(url: &str) -> Result<(PgConnectOptions, Option<String>), StoreError> {
    for (name, _) in query_of(url) {
        let known = OPTIONS_KNOWN.contains(&&*name) || name.starts_with("options[");
        if !known {
            // sqlx would go on without it, as a mistyped sslmode without TLS, and log its value.
            return Err(StoreError::BadUrl(format!(
                "there is no option `{name}`; there are {}",
                OPTIONS_KNOWN.join(", ")
            )));
        }
    }
    let (url, schema) = take_schema(url)?;
    let options = PgConnectOptions::from_str(&url)
        .map_err(|_| StoreError::BadUrl("it is no URL of a Postgres database".to_owned()))?;
    Ok((options, schema))
}

/// The options of a URL, decoded.
fn query_of(url: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    form_urlencoded::parse(query.as_bytes())
}

/// Whether the certificates that a URL names can be read.
pub(crate) fn check_files(url: &str) -> Result<(), StoreError> {
    for (name, file) in query_of(url) {
        // A certificate may stand in the URL itself.
        if !OPTIONS_OF_FILES.contains(&&*name) || file.trim_start().starts_with("-----BEGIN") {
            continue;
        }
        std::fs::File::open(&*file)
            .and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink()))
            .map_err(|error| StoreError::BadUrl(format!("`{name}`: cannot read {file}: {error}")))?;
    }
    Ok(())
}

/// Where a URL leads, without user and password.
pub(crate) fn place(url: &str) -> String {
    let Ok((options, _)) = options_of(url) else { return "an unknown place".to_owned() };
    match options.get_socket() {
        Some(folder) => format!("{}, port {}", folder.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// Takes `schema=NAME` out of the URL's query, since Postgres knows no such option.
fn take_schema(url: &str) -> Result<(String, Option<String>), StoreError> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };
    let mut schema = None;
    let mut others = Vec::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        match option.strip_prefix("schema=") {
            Some(name) => schema = Some(name.to_owned()),
            None => others.push(option),
        }
    }
    if let Some(name) = &schema
        && !is_plain_name(name)
    {
        return Err(StoreError::BadUrl("a schema's name has only a-z, 0-9 and _".to_owned()));
    }
    if others.is_empty() {
        return Ok((base.to_owned(), schema));
    }
    Ok((format!("{base}?{}", others.join("&")), schema))
}

fn is_plain_name(name: &str) -> bool {
    name.len() <= SCHEMA_NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|part| part.is_ascii_lowercase() || part.is_ascii_digit() || part == '_')
}

/// A connection of its own, outside of the pool.
pub(crate) async fn connect_in_time(
    options: &PgConnectOptions,
    limits: PoolLimits,
) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(limits.acquire_timeout, PgConnection::connect_with(options)).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(StoreError::Database(sqlx::Error::PoolTimedOut)),
    }
}

/// Whether the schema that a URL names is there; without one it is the database's own.
pub(crate) async fn schema_exists(url: &str, limits: PoolLimits) -> Result<bool, StoreError> {
    let (options, Some(schema)) = options_of(url)? else { return Ok(true) };
    let mut connection = connect_in_time(&options, limits).await?;
    let exists = has_schema(&mut connection, &schema).await;
    connection.close().await?;
    exists
}

async fn has_schema(connection: &mut PgConnection, schema: &str) -> Result<bool, StoreError> {
    let found = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(schema);
    Ok(found.fetch_optional(connection).await?.is_some())
}

async fn create_schema(
    options: &PgConnectOptions,
    schema: &str,
    limits: PoolLimits,
) -> Result<(), StoreError> {
    let mut connection = connect_in_time(options, limits).await?;
    let mut transaction = connection.begin().await?;
    // IF NOT EXISTS alone fails when two instances create it at once.
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK).execute(&mut *transaction).await?;
    if !has_schema(&mut transaction, schema).await? {
        // The name was checked by is_plain_name.
        let creating = sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\"")));
        creating.execute(&mut *transaction).await.map_err(|error| {
            let right = format!("CREATE on the database, to make the schema {schema}");
            StoreError::of_missing_right(error, &right)
        })?;
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_that_nothing_knows_is_refused_by_name_only() {
        for url in ["postgres://h/d?ssslmode=s3cret", "postgres://h/d?sslmode=require&s3%63ret=s3cret"] {
            let error = options_of(url).unwrap_err().to_string();
            assert!(error.contains("there is no option `s"), "{error}");
            assert!(!error.contains("ssslmode=") && !error.contains("=s3cret"), "{error}");
        }
        assert!(options_of("postgres://h/d?sslmode=require&options[work_mem]=1MB&schema=a").is_ok());
    }

    #[test]
    fn certificates_must_be_readable() {
        let error = check_files("postgres://h/d?sslrootcert=%2Fnowhere%2Fca.crt").unwrap_err().to_string();
        assert!(error.contains("`sslrootcert`: cannot read /nowhere/ca.crt"), "{error}");
        assert!(check_files("postgres://h/d?sslmode=require&sslrootcert=Cargo.toml").is_ok());
    }

    #[test]
    fn schema_is_taken_out_of_the_url() {
        let taken = |url| take_schema(url).unwrap();
        assert_eq!(taken("postgres://h/d"), ("postgres://h/d".to_owned(), None));
        assert_eq!(taken("postgres://h/d?schema=one"), ("postgres://h/d".to_owned(), Some("one".to_owned())));
        assert_eq!(
            taken("postgres://h/d?host=/tmp/x&schema=one&sslmode=disable"),
            ("postgres://h/d?host=/tmp/x&sslmode=disable".to_owned(), Some("one".to_owned()))
        );
        assert!(take_schema("postgres://h/d?schema=a\"b").is_err());
        assert!(take_schema("postgres://h/d?schema=").is_err());
    }
}
