//! A database: a SQLite file or a schema of a Postgres database, behind one type.
//!
//! SQLite has ONE writer connection (writers queue for it in order, instead of meeting in the file) and some readers,
//! which WAL lets read meanwhile. Postgres has one bounded pool, with timeouts as connection options. To add an
//! option, put it where the connection is made, so that every connection has it.

use std::fmt;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlitePool};

use crate::limits::{PoolLimits, STATEMENTS_CACHED};
use crate::postgres::{self, PostgresPools};
use crate::{StoreError, Tx, migration};

/// The page cache of SQLite's writing connection (negative: KiB).
const SQLITE_WRITER_CACHE: &str = "-8192";

/// The page cache of each reading connection. Caches fill up to their bound and stay there, so these bounds are what
/// the memory of an embedded suite comes to, however large a season grows.
const SQLITE_READER_CACHE: &str = "-2048";

/// The most readers of a SQLite file; the cores of one machine, not its clients, are what they compete for.
const SQLITE_READERS_MAX: u32 = 4;

/// Rows that SQLite's thread may be ahead of their reader.
const SQLITE_ROWS_AHEAD: usize = 512;

/// How long an opening waits before it tries again to open a SQLite file that is held by another.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long closing may take; what is left then ends with the process.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

/// What is said of a URL of neither kind.
const NEITHER: &str = "it begins with neither sqlite: nor postgres://";

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
    Postgres(PostgresPools),
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
        if let Some(path) = Database::sqlite_path(url) {
            return open_sqlite(path, limits).await;
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pools = Pools::Postgres(postgres::open(url, limits).await?);
            return Ok(Database { pools, limits });
        }
        Err(StoreError::BadUrl(NEITHER.to_owned()))
    }

    /// The file of a `sqlite:` URL.
    pub fn sqlite_path(url: &str) -> Option<&str> {
        url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path))
    }

    /// Whether there is the file, or the schema, of a URL; makes neither.
    pub async fn exists(url: &str, limits: PoolLimits) -> Result<bool, StoreError> {
        match Database::sqlite_path(url) {
            Some(path) => Ok(std::path::Path::new(path).exists()),
            None => postgres::schema_exists(url, limits).await,
        }
    }

    /// Where a URL leads, as an operator looks for it: a file, HOST:PORT or a socket's folder. Never a password.
    pub fn place(url: &str) -> String {
        match Database::sqlite_path(url) {
            Some(path) => path.to_owned(),
            None => postgres::place(url),
        }
    }

    /// Whether [`Database::open`] could make sense of a URL, and read the certificates that it names; nothing is opened.
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        if url.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty()) {
            return Ok(());
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            postgres::check_files(url)?;
            return postgres::options_of(url).map(|_| ());
        }
        Err(StoreError::BadUrl(NEITHER.to_owned()))
    }

    /// Applies the store's migrations and then the service's (files from 0100_). Instances that start together take
    /// turns. A TEXT column without `COLLATE "C"` is refused; see [`crate::migration`].
    pub async fn migrate(&self, service: &Migrator) -> Result<(), StoreError> {
        let migrator = migration::combined(service, self.is_postgres())?;
        match &self.pools {
            Pools::Postgres(PostgresPools { unlimited, .. }) => {
                // A connection of its own: a migration may take longer than a statement, and the advisory lock that
                // sqlx takes goes with the connection if anything fails.
                let mut connection = postgres::connect_in_time(unlimited, self.limits).await?;
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
            Pools::Postgres(PostgresPools { pool, .. }) => {
                postgres::begin(pool, "BEGIN ISOLATION LEVEL READ COMMITTED").await
            }
            Pools::Sqlite { writer, .. } => Ok(Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)),
        }
    }

    /// Begins a transaction that only reads, and sees one state of the whole database: that of its first statement.
    pub async fn begin_read(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { pool, .. }) => {
                postgres::begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
            }
            Pools::Sqlite { readers, .. } => Ok(Tx::Sqlite(readers.begin_with("BEGIN DEFERRED").await?)),
        }
    }

    /// As [`Database::begin_write`], on a connection that is kept for what must not wait behind calls: leases, which would
    /// be lost when load is highest.
    pub(crate) async fn begin_apart(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { apart, .. }) => {
                postgres::begin(apart, "BEGIN ISOLATION LEVEL READ COMMITTED").await
            }
            Pools::Sqlite { .. } => self.begin_write().await,
        }
    }

    /// Whether the database answers, asked on a connection that does not wait behind calls: many of them mean work, not
    /// that the database is away.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { apart, .. }) => {
                sqlx::query("SELECT 1").execute(apart).await.map(|_| ())?
            }
            Pools::Sqlite { readers, .. } => {
                // All of them at work is an answer too.
                if let Some(mut reader) = readers.try_acquire() {
                    sqlx::query("SELECT 1").execute(&mut *reader).await?;
                } else if readers.size() == 0 {
                    sqlx::query("SELECT 1").execute(readers).await?;
                }
            }
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
            Pools::Postgres(PostgresPools { pool, .. }) => connections_of(pool),
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
        matches!(self.pools, Pools::Postgres(_))
    }

    /// Closes all connections, after the transactions that hold them have ended. SQLite folds its WAL into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres(PostgresPools { pool, apart, .. }) => {
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

async fn open_sqlite(path: &str, limits: PoolLimits) -> Result<Database, StoreError> {
    if path.is_empty() || path.contains(":memory:") || path.contains('?') {
        return Err(StoreError::BadUrl("sqlite: needs the path of a file, without options".to_owned()));
    }
    if let Some(directory) = std::path::Path::new(path).parent() {
        crate::crypto::make_private_folder(directory)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_of_a_database_has_no_password() {
        for (url, place) in [
            ("sqlite:a/b.sqlite", "a/b.sqlite"),
            ("postgres://u:secret@h/d?schema=a", "h:5432"),
            ("postgres://u@h:6432/d?password=secret", "h:6432"),
            ("postgres://u:secret@localhost/d?host=/run/pg&port=7", "/run/pg, port 7"),
        ] {
            assert_eq!(Database::place(url), place);
        }
    }

    #[tokio::test]
    async fn folder_that_is_made_for_a_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let test = crate::testing::TestDatabase::sqlite();
        let folder = std::path::Path::new(Database::sqlite_path(test.url()).unwrap()).with_file_name("data");
        let url = format!("sqlite:{}", folder.join("a.sqlite").display());
        Database::open(&url, PoolLimits::default()).await.unwrap();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[tokio::test]
    async fn url_of_nothing_known_is_refused_without_repeating_it() {
        for url in [
            "mysql://secret@h/d",
            "sqlite:",
            "sqlite::memory:",
            "postgres://h/d?schema=A secret",
            "postgres://h/d?pasword=secret",
        ] {
            let error = Database::open(url, PoolLimits::default()).await.unwrap_err();
            assert!(matches!(error, StoreError::BadUrl(_)));
            assert!(!error.to_string().contains("secret"));
        }
    }
}
