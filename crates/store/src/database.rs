//! A database: a SQLite file or a schema of a Postgres database, behind one type.
//!
//! How each of them is opened, and what is made sure of before a connection is used, is in `sqlite` and `postgres`.

use std::fmt;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::migrate::Migrator;

use crate::limits::PoolLimits;
use crate::postgres::{self, PostgresPools};
use crate::postgres_tx::{self, PostgresTx};
use crate::sqlite::{self, SqlitePools};
use crate::{StoreError, Tx, migration};

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
    Sqlite(SqlitePools),
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
            let pools = Pools::Sqlite(sqlite::open(path, limits).await?);
            return Ok(Database { pools, limits });
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
        self.migrate_by(&migration::combined(service, self.is_postgres())?).await?;
        self.ensure_epoch().await
    }

    /// Applies what of these migrations has not been applied.
    pub(crate) async fn migrate_by(&self, migrator: &Migrator) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { unlimited, .. }) => {
                // A connection of its own: a migration may take longer than a statement, and the advisory lock that
                // sqlx takes goes with the connection if anything fails.
                let mut connection = postgres::connect_in_time(unlimited, self.limits).await?;
                let migrated = migrator.run_direct(None, &mut connection, false).await;
                connection.close().await?;
                migrated?;
            }
            Pools::Sqlite(pools) => {
                let mut transaction = pools.begin_write().await?;
                migrator.run_direct(None, &mut *transaction, false).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Begins a transaction that may write. On SQLite it is the only one, until it ends (BEGIN IMMEDIATE); on
    /// Postgres it is READ COMMITTED: lock what you read in order to write (` FOR UPDATE`).
    pub async fn begin_write(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { pool, .. }) => {
                Ok(Tx::Postgres(PostgresTx::begin(pool, "BEGIN ISOLATION LEVEL READ COMMITTED").await?))
            }
            Pools::Sqlite(pools) => Ok(Tx::Sqlite(pools.begin_write().await?)),
        }
    }

    /// Begins a transaction that only reads, and sees one state of the whole database: that of its first statement.
    pub async fn begin_read(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { pool, .. }) => {
                let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Tx::Postgres(PostgresTx::begin(pool, statement).await?))
            }
            Pools::Sqlite(pools) => Ok(Tx::Sqlite(pools.begin_read().await?)),
        }
    }

    /// As [`Database::begin_read`], on connections that are kept for streams of the log: hundreds of them that begin at once
    /// would else take all from calls.
    pub async fn begin_read_of_log(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { logs, .. }) => {
                let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Tx::Postgres(PostgresTx::begin(logs, statement).await?))
            }
            Pools::Sqlite(pools) => Ok(Tx::Sqlite(pools.begin_read_of_log().await?)),
        }
    }

    /// As [`Database::begin_write`], on a connection that is kept for what must not wait behind calls: leases, which would
    /// be lost when load is highest.
    pub(crate) async fn begin_apart(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { apart, .. }) => {
                Ok(Tx::Postgres(PostgresTx::begin(apart, "BEGIN ISOLATION LEVEL READ COMMITTED").await?))
            }
            Pools::Sqlite(_) => self.begin_write().await,
        }
    }

    /// Whether a write would be possible, asked without waiting behind calls: many of them mean work, not that the database
    /// is away.
    ///
    /// # Errors
    /// When it can't be reached, or only reads, or (SQLite) when its one writer is held longer than any attempt may take.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Postgres(PostgresPools { apart, .. }) => postgres_tx::check_writable(apart).await,
            Pools::Sqlite(pools) => pools.check_writable(self.attempt_time_max()).await,
        }
    }

    /// Gives memory back that only work needs (SQLite's page cache), if nobody has written since this was last asked; says
    /// whether it did. To be asked now and then.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn give_back_at_rest(&self) -> Result<bool, StoreError> {
        match &self.pools {
            Pools::Postgres(_) => Ok(false),
            Pools::Sqlite(pools) => pools.give_back_at_rest().await,
        }
    }

    /// Empties SQLite's write-ahead log if a transaction has erased something since that was done ([`Tx::erases`]): the log keeps pages
    /// as they were. False when a reader of an older state is in the way: then it is to be asked again. On Postgres, whose log and
    /// back-ups are its administrator's, nothing.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn forget_erased(&self) -> Result<bool, StoreError> {
        match &self.pools {
            Pools::Postgres(_) => Ok(true),
            Pools::Sqlite(pools) => pools.forget_erased().await,
        }
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

    /// Bytes that may still be written to its disk; `None` where nobody can tell, as of Postgres, which is on another machine.
    pub fn free_bytes(&self) -> Option<u64> {
        match &self.pools {
            Pools::Postgres(_) => None,
            Pools::Sqlite(pools) => pools.free_bytes(),
        }
    }

    /// What its connections do just now.
    pub fn connections(&self) -> Connections {
        match &self.pools {
            Pools::Postgres(PostgresPools { pool, .. }) => connections_of(pool),
            Pools::Sqlite(SqlitePools { writer, readers, logs, .. }) => {
                let mut all = Connections::default();
                for one in [connections_of(writer), connections_of(readers), connections_of(logs)] {
                    all.used += one.used;
                    all.idle += one.idle;
                    all.unopened += one.unopened;
                }
                all
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
            Pools::Postgres(PostgresPools { pool, apart, logs, .. }) => {
                // One that has gone silent would be waited for.
                let closing = async {
                    apart.close().await;
                    logs.close().await;
                    pool.close().await;
                };
                let _ = tokio::time::timeout(CLOSE_TIME_MAX, closing).await;
            }
            Pools::Sqlite(pools) => pools.close().await,
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
