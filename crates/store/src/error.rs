//! The one error of the store.
//!
//! No message carries a bound value or a row's content, because messages reach logs: of a database's own words only
//! those about structure are kept. To add a kind, add a variant, and say in [`StoreError::is_retryable`] if running
//! the whole transaction again can help.

use std::fmt;

/// Postgres codes after which the same transaction may well succeed: serialization failure, deadlock,
/// lock not available (lock_timeout), and a server that is starting, stopping or out of connections.
const RETRYABLE_SQLSTATES: [&str; 8] =
    ["40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "25P03"];

/// What Postgres says of a statement that took longer than it may. It is rolled back; at once again it would take as long.
const SQLSTATE_QUERY_CANCELED: &str = "57014";

/// SQLite's primary result codes BUSY and LOCKED (extended codes keep them in the low byte).
const RETRYABLE_SQLITE_CODES: [i64; 2] = [5, 6];

/// SQLite's extended result code of a broken PRIMARY KEY.
const SQLITE_CONSTRAINT_PRIMARYKEY: &str = "1555";

/// What can go wrong with stored state.
#[derive(thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("{}", describe(.0))]
    Database(sqlx::Error),
    /// A unique constraint or primary key was violated; see [`StoreError::unique_violation`].
    #[error("the unique constraint {constraint} was violated")]
    UniqueViolation {
        /// The constraint's name, the same on both databases.
        constraint: String,
    },
    /// The connection was lost during COMMIT: the transaction may have been kept or not. Only a caller that can tell
    /// (by a request id or a compare-and-set) may run it again.
    #[error("the connection was lost during commit, the outcome is unknown: {}", describe(.0))]
    CommitOutcomeUnknown(sqlx::Error),
    /// A row holds something that this program never writes.
    #[error("corrupt row: table {table}, column {column}, key {key}")]
    CorruptRow {
        /// The table's name.
        table: &'static str,
        /// The column's name.
        column: &'static str,
        /// The row's key; never personal data.
        key: String,
    },
    /// The database's URL can't be used. The text does not repeat the URL, which may hold a password.
    #[error("bad database URL: {0}")]
    BadUrl(String),
    /// A migration's file or the list of applied migrations is wrong.
    #[error("migration: {0}")]
    Migration(String),
    /// The file of keys can't be read, written or understood.
    #[error("key file {path}: {reason}")]
    KeyFile {
        /// The file's path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl fmt::Debug for StoreError {
    /// The same words as `Display`: sqlx's own Debug would print the values of the offending row.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoreError({self})")
    }
}

impl StoreError {
    /// A row that this program never writes; `key` must not be personal data.
    pub fn corrupt_row(table: &'static str, column: &'static str, key: impl fmt::Display) -> StoreError {
        StoreError::CorruptRow { table, column, key: key.to_string() }
    }

    /// Whether running the WHOLE transaction again may succeed: serialization failure, deadlock, a busy SQLite, a
    /// connection lost before commit. A pool without a free connection is not among them: more load does not help.
    pub fn is_retryable(&self) -> bool {
        let StoreError::Database(error) = self else {
            return false;
        };
        match error {
            // A connection that is cut while it is made fails as a broken protocol: SSLRequest answered by nothing.
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
            sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => {
                let Some(code) = error.code() else { return false };
                if is_postgres(&**error) {
                    return code.starts_with("08") || RETRYABLE_SQLSTATES.contains(&code.as_ref());
                }
                code.parse::<i64>().is_ok_and(|code| RETRYABLE_SQLITE_CODES.contains(&(code & 0xff)))
            }
            _ => false,
        }
    }

    /// Whether the database could not be reached in time (no free connection, connection refused or lost): the
    /// caller should be told to come again later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            StoreError::Database(error) => {
                matches!(
                    error,
                    sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::BeginFailed
                ) || error.as_database_error().is_some_and(was_cancelled)
                    || self.is_retryable()
            }
            StoreError::CommitOutcomeUnknown(_) => true,
            _ => false,
        }
    }

    /// The error of work that the database did not answer in time: what it did may have been kept or not.
    pub fn no_answer() -> StoreError {
        StoreError::CommitOutcomeUnknown(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// The name of the violated unique constraint, by Postgres's convention on both databases: `table_pkey` for a
    /// primary key, `table_a_b_key` for `UNIQUE (a, b)`. So don't name constraints; give a partial unique index the
    /// name that the convention would give it (`CREATE UNIQUE INDEX table_a_b_key ON table (a, b) WHERE ..`).
    pub fn unique_violation(&self) -> Option<&str> {
        match self {
            StoreError::UniqueViolation { constraint } => Some(constraint),
            _ => None,
        }
    }

    /// The error of a failed COMMIT.
    pub(crate) fn of_commit(error: sqlx::Error) -> StoreError {
        let error = StoreError::from(error);
        if !error.is_unavailable() {
            return error;
        }
        match error {
            StoreError::Database(sqlx::Error::Database(ref inner)) if !is_postgres(&**inner) => error,
            StoreError::Database(sqlx::Error::Database(ref inner))
                if inner.code().is_some_and(|code| code.starts_with("40")) =>
            {
                error
            }
            StoreError::Database(inner) => StoreError::CommitOutcomeUnknown(inner),
            other => other,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        let constraint = match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => constraint_name(&**inner),
            _ => None,
        };
        match constraint {
            Some(constraint) => StoreError::UniqueViolation { constraint },
            None => StoreError::Database(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> StoreError {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => StoreError::Migration(describe(&error)),
            sqlx::migrate::MigrateError::ExecuteMigration(error, version) => {
                StoreError::Migration(format!("version {version}: {}", describe(&error)))
            }
            other => StoreError::Migration(other.to_string()),
        }
    }
}

/// Whether the statement ran into `statement_timeout`, e.g. behind the locks of a session whose client has vanished.
fn was_cancelled(error: &dyn sqlx::error::DatabaseError) -> bool {
    is_postgres(error) && error.code().is_some_and(|code| code == SQLSTATE_QUERY_CANCELED)
}

fn is_postgres(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.as_error().is::<sqlx::postgres::PgDatabaseError>()
}

/// Postgres names the constraint; SQLite names columns (`UNIQUE constraint failed: t.a, t.b`), from which
/// Postgres's name follows.
fn constraint_name(error: &dyn sqlx::error::DatabaseError) -> Option<String> {
    if let Some(name) = error.constraint() {
        return Some(name.to_owned());
    }
    let (_, columns) = error.message().split_once(": ")?;
    if let Some(index) = columns.strip_prefix("index '") {
        return Some(index.trim_end_matches('\'').to_owned());
    }
    let mut name = String::new();
    for column in columns.split(", ") {
        let (table, column) = column.split_once('.')?;
        if name.is_empty() {
            name.push_str(table);
        }
        if error.code().as_deref() == Some(SQLITE_CONSTRAINT_PRIMARYKEY) {
            return Some(format!("{name}_pkey"));
        }
        name.push('_');
        name.push_str(column);
    }
    name.push_str("_key");
    Some(name)
}

/// sqlx's error without values: of Postgres's data exceptions (class 22, whose message repeats the value) only the
/// code is kept, and of a column that could not be decoded only its name.
fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if is_postgres(&**error) && code.starts_with("22") {
                return format!("database error {code}");
            }
            format!("database error {code}: {}", error.message())
        }
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} could not be decoded"),
        sqlx::Error::Decode(_) => "a column could not be decoded".to_owned(),
        sqlx::Error::Encode(_) => "a value could not be encoded".to_owned(),
        sqlx::Error::Configuration(_) => "the connection's configuration is wrong".to_owned(),
        other => other.to_string(),
    }
}
