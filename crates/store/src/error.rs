//! The one error of the store.
//!
//! No message carries a bound value or a row's content, because messages reach logs: of a database's own words only
//! those about structure are kept. To add a kind, add a variant, and say in [`StoreError::is_retryable`] if running
//! the whole transaction again can help.

use std::borrow::Cow;
use std::fmt;

/// Postgres codes after which the same transaction may well succeed: serialization failure, deadlock,
/// lock not available (lock_timeout), and a server that is starting, stopping or out of connections.
const RETRYABLE_SQLSTATES: [&str; 8] =
    ["40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "25P03"];

/// Postgres codes after which the same may succeed later, but not at once: a statement that took longer than it may
/// (behind the locks of a session whose client has vanished, too), a server that has become a standby, its disk or its
/// operating system. Class 53 (disk full, out of memory) is among them as a whole.
const PASSING_SQLSTATES: [&str; 4] = ["57014", "25006", "58000", "58030"];

/// Postgres codes for the lack of a right: one is refused, or the schema that one may not use counts as none.
const MISSING_RIGHT_SQLSTATES: [&str; 2] = ["42501", "3F000"];

/// What a role needs to bring a schema up to date.
const RIGHT_TO_MIGRATE: &str = "USAGE and CREATE on the schema, and the tables in it must be its own";

/// SQLite's primary result codes BUSY and LOCKED.
const RETRYABLE_SQLITE_CODES: [i64; 2] = [5, 6];

/// SQLite's primary result codes NOMEM, READONLY, IOERR, FULL, CANTOPEN and PROTOCOL: what an operator will mend.
const PASSING_SQLITE_CODES: [i64; 6] = [7, 8, SQLITE_IOERR, 13, 14, 15];

/// SQLite's primary result codes TOOBIG, CONSTRAINT, MISMATCH and RANGE: the statement alone failed.
const SQLITE_CODES_OF_STATEMENTS: [i64; 4] = [18, 19, 20, 25];

/// SQLite's primary result codes BUSY, LOCKED and INTERRUPT, with which it may end a transaction by itself; the connection
/// is as good as before.
const SQLITE_CODES_OF_TRANSACTIONS: [i64; 3] = [5, 6, 9];

/// SQLite's primary result codes CORRUPT and NOTADB, and Postgres's data_corrupted and index_corrupted.
const CORRUPT_SQLITE_CODES: [i64; 2] = [11, 26];
const CORRUPT_SQLSTATES: [&str; 2] = ["XX001", "XX002"];

/// SQLite's primary result code of a disk that fails.
const SQLITE_IOERR: i64 = 10;

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
        column: Cow<'static, str>,
        /// The row's key; never personal data.
        key: String,
    },
    /// The database can be read and not written.
    #[error("the database can only be read")]
    ReadOnly,
    /// A statement of the transaction had failed, or the database had ended it by itself, when it was to be committed:
    /// nothing of it is kept.
    #[error("the transaction had failed before it was committed")]
    TransactionEnded,
    /// There is no room to begin in.
    #[error("the disk is full: {free} bytes are free at {path}, and {needed} are needed to begin")]
    DiskFull {
        /// The database's file.
        path: String,
        /// Bytes that may still be written.
        free: u64,
        /// Bytes that opening takes.
        needed: u64,
    },
    /// A SQLite file was not closed, and its write-ahead log, with what was written last, is gone.
    #[error(
        "{path}-wal is missing: {path} was not closed, so the last acknowledged writes were in that file. Put it back; \
         or, if they are to be given up for lost, remove {mark}"
    )]
    LogMissing {
        /// The database's file.
        path: String,
        /// The file that says that it was not closed.
        mark: String,
    },
    /// A month of the log that is not the oldest one can't be dropped: the text is its table.
    #[error("{0} is not the oldest month of the log")]
    NotTheOldest(String),
    /// Events that somebody wants to read were dropped with their month, up to this number.
    #[error("partition {partition} of the log is kept from behind number {number} on")]
    EventsDropped {
        /// The partition's number.
        partition: i64,
        /// Of the last event that was dropped.
        number: i64,
    },
    /// The database's URL can't be used. The text does not repeat the URL, which may hold a password.
    #[error("bad database URL: {0}")]
    BadUrl(String),
    /// The database's role may not do what it must; the text names the right.
    #[error("the database's role lacks a right: {right} ({reason})")]
    MissingRight {
        /// The right, as `GRANT` has it, and what for.
        right: String,
        /// The database's own words.
        reason: String,
    },
    /// The lock of a SQLite file can't be had, by nobody.
    #[error("cannot lock {path}: {reason}")]
    Claim {
        /// The database's file.
        path: String,
        /// Why not.
        reason: String,
    },
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
    pub fn corrupt_row(
        table: &'static str,
        column: impl Into<Cow<'static, str>>,
        key: impl fmt::Display,
    ) -> StoreError {
        StoreError::CorruptRow { table, column: column.into(), key: key.to_string() }
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
            // A connection that was not as a fresh one is, which is closed then: the next one is.
            sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => true,
            sqlx::Error::InvalidSavePointStatement => true,
            sqlx::Error::Database(error) => {
                let Some(code) = error.code() else { return false };
                match sqlite_code(&**error) {
                    Some(code) => RETRYABLE_SQLITE_CODES.contains(&code),
                    None => code.starts_with("08") || RETRYABLE_SQLSTATES.contains(&code.as_ref()),
                }
            }
            _ => false,
        }
    }

    /// Whether the database could not be reached in time (no free connection, connection refused or lost) or can't do
    /// its work for now (a full disk, a standby): the caller should be told to come again later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            StoreError::Database(error) => {
                matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
                    || error.as_database_error().is_some_and(will_pass)
                    || self.is_retryable()
            }
            StoreError::CommitOutcomeUnknown(_)
            | StoreError::ReadOnly
            | StoreError::TransactionEnded
            | StoreError::DiskFull { .. } => true,
            _ => false,
        }
    }

    /// Whether the database found its own file damaged, or holds a value that this program never writes. What lies elsewhere in
    /// it can still be read and written.
    pub fn is_corrupt(&self) -> bool {
        let StoreError::Database(error) = self else { return false };
        if let sqlx::Error::ColumnDecode { .. } = error {
            return true;
        }
        error.as_database_error().is_some_and(|error| match (sqlite_code(error), error.code()) {
            (Some(code), _) => CORRUPT_SQLITE_CODES.contains(&code),
            (None, Some(code)) => CORRUPT_SQLSTATES.contains(&code.as_ref()),
            (None, None) => false,
        })
    }

    /// Whether TLS or a certificate is what is wrong, which waiting doesn't mend: the server speaks no TLS, nobody known
    /// has signed its certificate, or ours can't be used. For who starts: once it has run, a server that is being set up
    /// anew may say the same for a moment, so [`StoreError::is_retryable`] has it too.
    pub fn is_about_tls(&self) -> bool {
        match self {
            StoreError::Database(sqlx::Error::Tls(_)) => true,
            // What rustls finds wrong with what it was sent comes as invalid data; a connection that is cut meanwhile
            // as an unexpected end.
            StoreError::Database(sqlx::Error::Io(error)) => error.kind() == std::io::ErrorKind::InvalidData,
            _ => false,
        }
    }

    /// An error of the database that names the right, if it is for the lack of one.
    pub(crate) fn of_missing_right(error: sqlx::Error, right: &str) -> StoreError {
        let code = error.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
        match code.as_deref() {
            Some(code) if MISSING_RIGHT_SQLSTATES.contains(&code) => {
                StoreError::MissingRight { right: right.to_owned(), reason: describe(&error) }
            }
            _ => error.into(),
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
            // SQLite says what it did, unless the disk failed it.
            StoreError::Database(sqlx::Error::Database(ref inner))
                if sqlite_code(&**inner).is_some_and(|code| code != SQLITE_IOERR) =>
            {
                error
            }
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
        let (error, place) = match error {
            sqlx::migrate::MigrateError::Execute(error) => (error, String::new()),
            sqlx::migrate::MigrateError::ExecuteMigration(error, version) => {
                (error, format!("version {version}: "))
            }
            other => return StoreError::Migration(other.to_string()),
        };
        match StoreError::of_missing_right(error, RIGHT_TO_MIGRATE) {
            StoreError::Database(error) => StoreError::Migration(format!("{place}{}", describe(&error))),
            other => other,
        }
    }
}

/// How far an error reaches beyond the statement that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// The statement alone.
    Statement,
    /// The transaction may have been ended.
    Transaction,
    /// Nobody can tell what state the connection is in.
    Connection,
}

/// An error that a statement may end with.
pub trait Fault {
    /// How far it reaches on SQLite.
    fn extent(&self) -> Extent;

    /// Whether a server has said so: Postgres does nothing more in a transaction then, until it goes back to a savepoint.
    fn is_answer(&self) -> bool;
}

impl Fault for sqlx::Error {
    fn extent(&self) -> Extent {
        match self {
            sqlx::Error::Database(error) => match sqlite_code(&**error) {
                Some(code) if SQLITE_CODES_OF_STATEMENTS.contains(&code) => Extent::Statement,
                Some(code) if SQLITE_CODES_OF_TRANSACTIONS.contains(&code) => Extent::Transaction,
                _ => Extent::Connection,
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::InvalidSavePointStatement => Extent::Connection,
            _ => Extent::Statement,
        }
    }

    fn is_answer(&self) -> bool {
        matches!(self, sqlx::Error::Database(_))
    }
}

impl Fault for StoreError {
    fn extent(&self) -> Extent {
        match self {
            StoreError::Database(error) | StoreError::CommitOutcomeUnknown(error) => error.extent(),
            _ => Extent::Statement,
        }
    }

    fn is_answer(&self) -> bool {
        matches!(self, StoreError::Database(sqlx::Error::Database(_)) | StoreError::UniqueViolation { .. })
    }
}

/// Whether the same may succeed later, though not at once.
fn will_pass(error: &dyn sqlx::error::DatabaseError) -> bool {
    let Some(code) = error.code() else { return false };
    match sqlite_code(error) {
        Some(code) => PASSING_SQLITE_CODES.contains(&code),
        None => code.starts_with("53") || PASSING_SQLSTATES.contains(&code.as_ref()),
    }
}

/// The primary result code, if this is an error of SQLite.
fn sqlite_code(error: &dyn sqlx::error::DatabaseError) -> Option<i64> {
    if is_postgres(error) {
        return None;
    }
    Some(error.code()?.parse::<i64>().ok()? & 0xff)
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn certificate_ends_a_start_and_a_cut_connection_does_not() {
        let of = |kind: ErrorKind| StoreError::from(sqlx::Error::Io(kind.into()));
        let tls = StoreError::from(sqlx::Error::Tls("server does not support TLS".into()));
        // rustls's own errors come as invalid data: sqlx-core's tls_rustls.rs hands on what complete_io() says.
        for error in [tls, of(ErrorKind::InvalidData)] {
            assert!(error.is_about_tls() && error.is_retryable(), "{error}");
        }
        let cut = StoreError::from(sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".into()));
        for error in [cut, of(ErrorKind::UnexpectedEof), of(ErrorKind::ConnectionReset)] {
            assert!(!error.is_about_tls() && error.is_retryable(), "{error}");
        }
    }
}
