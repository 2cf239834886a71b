//! A database: a SQLite file or a schema of a Postgres database, behind one type.
//!
//! SQLite has ONE writer connection (writers queue for it in order, instead of meeting in the file) and some readers,
//! which WAL lets read meanwhile. Postgres has one bounded pool, with timeouts as connection options. To add an
//! option, put it where the connection is made, so that every connection has it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row as _, SqlitePool};

use crate::{StoreError, Tx, migration};

/// Prepared statements kept by each connection.
const STATEMENTS_CACHED: usize = 400;

/// The page cache of SQLite's writing connection (negative: KiB).
const SQLITE_WRITER_CACHE: &str = "-8192";

/// The page cache of each reading connection. Caches fill up to their bound and stay there, so these bounds are what
/// the memory of an embedded suite comes to, however large a season grows.
const SQLITE_READER_CACHE: &str = "-2048";

/// The most readers of a SQLite file; the cores of one machine, not its clients, are what they compete for.
const SQLITE_READERS_MAX: u32 = 4;

/// Rows that SQLite's thread may be ahead of their reader.
const SQLITE_ROWS_AHEAD: usize = 512;

/// A Postgres connection that was idle longer than this is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);

/// How long a connection that is given back, or was idle, may take to answer; one that takes longer is cut.
const PING_TIME_MAX: Duration = Duration::from_secs(2);

/// How long an opening waits before it tries again to open a SQLite file that is held by another.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long closing may take; what is left then ends with the process.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

/// From so many connections on, one is kept apart for leases.
const CONNECTIONS_WITH_ONE_APART: u32 = 4;

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

/// The longest name of a schema, as Postgres has it.
const SCHEMA_NAME_MAX: usize = 63;

/// The advisory lock under which schemas are created.
const SCHEMA_LOCK: i64 = 0x7368_6970_6569;

/// What is said of a URL of neither kind.
const NEITHER: &str = "it begins with neither sqlite: nor postgres://";

/// How many connections there may be, and how long one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections to Postgres, or readers of SQLite (its writer is one, always).
    pub connections: u32,
    /// How long a request waits for a free connection. On SQLite this is how long a writer may queue.
    pub acquire_timeout: Duration,
    /// How long a Postgres statement may run.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock; on SQLite, for another process that writes to the file.
    pub lock_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> PoolLimits {
        PoolLimits {
            connections: 10,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
        }
    }
}

/// What the connections to a database do just now; together they are the most that there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// In somebody's hands.
    pub used: u32,
    /// Open, and waiting for work.
    pub idle: u32,
    /// Not open, and may be opened.
    pub unopened: u32,
}

/// An open database. Clones share its connections.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    limits: PoolLimits,
}

#[derive(Clone)]
enum Pools {
    Postgres { pool: PgPool, apart: PgPool, unlimited: Box<PgConnectOptions> },
    Sqlite { writer: SqlitePool, readers: SqlitePool },
}

impl fmt::Debug for Database {
    /// Without the connection's options, which hold the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_postgres() { "Database(Postgres)" } else { "Database(SQLite)" })
    }
}

impl Database {
    /// Opens `sqlite:PATH` (created if missing, its directory too) or `postgres://USER:PASSWORD@HOST/NAME`, where
    /// `?schema=NAME` (created if missing) lets several services share one Postgres database.
    pub async fn open(url: &str, limits: PoolLimits) -> Result<Database, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return open_sqlite(path.strip_prefix("//").unwrap_or(path), limits).await;
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return open_postgres(url, limits).await;
        }
        Err(StoreError::BadUrl(NEITHER.to_owned()))
    }

    /// Whether [`Database::open`] could make sense of a URL; nothing is opened.
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        if url.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty()) {
            return Ok(());
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres_options(url).map(|_| ());
        }
        Err(StoreError::BadUrl(NEITHER.to_owned()))
    }

    /// Applies the store's migrations and then the service's (files from 0100_). Instances that start together take
    /// turns. A TEXT column without `COLLATE "C"` is refused; see [`crate::migration`].
    pub async fn migrate(&self, service: &Migrator) -> Result<(), StoreError> {
        let migrator = migration::combined(service, self.is_postgres())?;
        match &self.pools {
            Pools::Postgres { unlimited, .. } => {
                // A connection of its own: a migration may take longer than a statement, and the advisory lock that
                // sqlx takes goes with the connection if anything fails.
                let mut connection = connect_in_time(unlimited, self.limits).await?;
                let migrated = migrator.run_direct(None, &mut connection, false).await;
                connection.close().await?;
                migrated?;
            }
            Pools::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                migrator.run_direct(None, &mut *transaction, false).await?;
                transaction.commit().await?;
            }
        }
        self.ensure_epoch().await
    }

    /// Begins a transaction that may write. On SQLite it is the only one, until it ends (BEGIN IMMEDIATE); on
    /// Postgres it is READ COMMITTED: lock what you read in order to write (` FOR UPDATE`).
    pub async fn begin_write(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres { pool, .. } => {
                begin_postgres(pool, "BEGIN ISOLATION LEVEL READ COMMITTED", self.limits).await
            }
            Pools::Sqlite { writer, .. } => Ok(Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)),
        }
    }

    /// Begins a transaction that only reads, and sees one state of the whole database: that of its first statement.
    pub async fn begin_read(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres { pool, .. } => {
                begin_postgres(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", self.limits).await
            }
            Pools::Sqlite { readers, .. } => Ok(Tx::Sqlite(readers.begin_with("BEGIN DEFERRED").await?)),
        }
    }

    /// As [`Database::begin_write`], on a connection that is kept for what must not wait behind calls: leases, which would
    /// be lost when load is highest.
    pub(crate) async fn begin_apart(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres { apart, .. } => {
                begin_postgres(apart, "BEGIN ISOLATION LEVEL READ COMMITTED", self.limits).await
            }
            Pools::Sqlite { .. } => self.begin_write().await,
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Postgres { pool, .. } => sqlx::query("SELECT 1").execute(pool).await.map(|_| ())?,
            Pools::Sqlite { readers, .. } => sqlx::query("SELECT 1").execute(readers).await.map(|_| ())?,
        }
        Ok(())
    }

    /// How long one attempt of [`Database::retry`] may take: what all its waits may take by the limits.
    pub fn attempt_time_max(&self) -> Duration {
        let PoolLimits { acquire_timeout, statement_timeout, lock_timeout, .. } = self.limits;
        acquire_timeout + statement_timeout + lock_timeout
    }

    /// The limits that it was opened with.
    pub fn limits(&self) -> PoolLimits {
        self.limits
    }

    /// What its connections do just now.
    pub fn connections(&self) -> Connections {
        match &self.pools {
            Pools::Postgres { pool, .. } => connections_of(pool),
            Pools::Sqlite { writer, readers } => {
                let (one, many) = (connections_of(writer), connections_of(readers));
                Connections {
                    used: one.used + many.used,
                    idle: one.idle + many.idle,
                    unopened: one.unopened + many.unopened,
                }
            }
        }
    }

    /// Whether this is Postgres.
    pub fn is_postgres(&self) -> bool {
        matches!(self.pools, Pools::Postgres { .. })
    }

    /// Closes all connections, after the transactions that hold them have ended. SQLite folds its WAL into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres { pool, apart, .. } => {
                // One that has gone silent would be waited for.
                let closing = async {
                    apart.close().await;
                    pool.close().await;
                };
                let _ = tokio::time::timeout(CLOSE_TIME_MAX, closing).await;
            }
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

fn connections_of<DB: sqlx::Database>(pool: &sqlx::Pool<DB>) -> Connections {
    let open = pool.size();
    // The two are read one after the other, so that idle ones may be more for a moment.
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX).min(open);
    let unopened = pool.options().get_max_connections().saturating_sub(open);
    Connections { used: open - idle, idle, unopened }
}

/// Begins a transaction to its end, also when the caller goes away meanwhile (a deadline, a client that hung up). A
/// dropped `begin` would leave BEGIN sent and not yet counted: sqlx would send no ROLLBACK. A database that is silent
/// keeps it no longer than a statement may take; what is given back then is looked at by [`is_clean_in_time`].
async fn begin_postgres(
    pool: &PgPool,
    statement: &'static str,
    limits: PoolLimits,
) -> Result<Tx, StoreError> {
    let pool = pool.clone();
    let time_max = limits.acquire_timeout + limits.statement_timeout;
    let begun = tokio::spawn(async move { tokio::time::timeout(time_max, pool.begin_with(statement)).await });
    match begun.await {
        Ok(Ok(begun)) => Ok(Tx::Postgres(begun?)),
        Ok(Err(_)) => Err(StoreError::Database(sqlx::Error::PoolTimedOut)),
        Err(_) => Err(StoreError::Database(sqlx::Error::WorkerCrashed)),
    }
}

async fn open_sqlite(path: &str, limits: PoolLimits) -> Result<Database, StoreError> {
    if path.is_empty() || path.contains(":memory:") || path.contains('?') {
        return Err(StoreError::BadUrl("sqlite: needs the path of a file, without options".to_owned()));
    }
    if let Some(directory) = std::path::Path::new(path).parent() {
        std::fs::create_dir_all(directory)
            .map_err(|error| StoreError::BadUrl(format!("the directory can't be created: {error}")))?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(limits.lock_timeout)
        .statement_cache_capacity(STATEMENTS_CACHED)
        .row_buffer_size(SQLITE_ROWS_AHEAD)
        .pragma("cache_size", SQLITE_WRITER_CACHE)
        .pragma("temp_store", "MEMORY");
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(limits.acquire_timeout)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
    };
    // Whoever opens a fresh file at the same moment may hold it while it becomes a WAL file, and for that SQLite does
    // not wait by itself.
    let until = tokio::time::Instant::now() + limits.lock_timeout;
    let writer = loop {
        let opening = pool().min_connections(1).max_connections(1).connect_with(options.clone());
        match opening.await.map_err(StoreError::from) {
            Err(error) if error.is_retryable() && tokio::time::Instant::now() < until => {
                tokio::time::sleep(crate::crypto::jitter(BUSY_PAUSE)).await;
            }
            opened => break opened?,
        }
    };
    let readers = pool()
        .max_connections(limits.connections.clamp(1, SQLITE_READERS_MAX))
        .connect_lazy_with(options.pragma("cache_size", SQLITE_READER_CACHE).pragma("query_only", "ON"));
    Ok(Database { pools: Pools::Sqlite { writer, readers }, limits })
}

async fn open_postgres(url: &str, limits: PoolLimits) -> Result<Database, StoreError> {
    let (options, schema) = postgres_options(url)?;
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
    let pool = postgres_pool(all - apart, limits).connect_with(limited.clone()).await?;
    let apart = match apart {
        0 => pool.clone(),
        _ => postgres_pool(apart, limits).connect_lazy_with(limited),
    };
    let pools = Pools::Postgres { pool, apart, unlimited: Box::new(options) };
    Ok(Database { pools, limits })
}

fn postgres_pool(connections: u32, limits: PoolLimits) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(limits.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for > TRUSTED_IDLE {
                    ping_in_time(connection).await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| Box::pin(is_clean_in_time(connection)))
}

async fn ping_in_time(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    in_time(connection.ping()).await
}

/// Whether a connection that is given back is outside of any transaction; it is closed if it is not, or if it does not
/// answer. A caller that went away during BEGIN (a deadline, a client that hung up) leaves BEGIN sent and not counted: sqlx
/// sends no ROLLBACK then, and whoever got the connection next would work inside of somebody else's transaction. Also
/// sends what waits to be sent, as the ROLLBACK of a transaction that was dropped. (sqlx pings once more, without a
/// bound: behind this it is answered.)
async fn is_clean_in_time(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // One message of the simple protocol begins its own transaction at its own time, unless one is open already.
    let asking =
        sqlx::raw_sql("SELECT transaction_timestamp() = statement_timestamp()").fetch_one(connection);
    in_time(asking).await?.try_get(0)
}

async fn in_time<T>(asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(PING_TIME_MAX, asking).await {
        Ok(answered) => answered,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// What a Postgres URL says, and the schema in it.
fn postgres_options(url: &str) -> Result<(PgConnectOptions, Option<String>), StoreError> {
    let (url, schema) = take_schema(url)?;
    let options = PgConnectOptions::from_str(&url)
        .map_err(|_| StoreError::BadUrl("it is no URL of a Postgres database".to_owned()))?;
    Ok((options, schema))
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
async fn connect_in_time(options: &PgConnectOptions, limits: PoolLimits) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(limits.acquire_timeout, PgConnection::connect_with(options)).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(StoreError::Database(sqlx::Error::PoolTimedOut)),
    }
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
    let exists: Option<(i32,)> = sqlx::query_as("SELECT 1 FROM pg_namespace WHERE nspname = $1")
        .bind(schema)
        .fetch_optional(&mut *transaction)
        .await?;
    if exists.is_none() {
        // The name was checked by is_plain_name.
        sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\""))).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[tokio::test]
    async fn url_of_nothing_known_is_refused_without_repeating_it() {
        for url in ["mysql://secret@h/d", "sqlite:", "sqlite::memory:", "postgres://h/d?schema=A secret"] {
            let error = Database::open(url, PoolLimits::default()).await.unwrap_err();
            assert!(matches!(error, StoreError::BadUrl(_)));
            assert!(!error.to_string().contains("secret"));
        }
    }
}
