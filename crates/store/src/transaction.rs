//! A transaction on either database, and the macros that run one SQL text on it.
//!
//! [`Tx`] is an enum, not a trait: an expression is expanded once for each database by [`crate::on!`], so that sqlx's types
//! stay concrete and a row needs only `#[derive(sqlx::FromRow)]`. Parameters are `$1`, `$2` on both. Where two texts
//! are truly needed, choose by [`Tx::is_postgres`] and keep them side by side.

use crate::StoreError;
use crate::postgres_tx::PostgresTx;
use crate::sqlite::SqliteTx;

/// An open transaction. Dropped without [`Tx::commit`] it is rolled back.
#[derive(Debug)]
pub enum Tx {
    /// On Postgres.
    Postgres(PostgresTx),
    /// On SQLite.
    Sqlite(SqliteTx),
}

impl Tx {
    /// Keeps what was written. When the connection is lost meanwhile, the error is
    /// [`StoreError::CommitOutcomeUnknown`].
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Tx::Postgres(transaction) => transaction.commit().await,
            Tx::Sqlite(transaction) => transaction.commit().await,
        }
    }

    /// Undoes what was written and waits for it; dropping does the same without waiting.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Tx::Postgres(transaction) => transaction.rollback().await,
            Tx::Sqlite(transaction) => transaction.rollback().await,
        }
    }

    /// Says that something is erased in it for good, so that no copy of it may stay behind: see [`crate::Database::forget_erased`].
    pub fn erases(&mut self) {
        match self {
            Tx::Postgres(_) => {}
            Tx::Sqlite(transaction) => transaction.erases(),
        }
    }

    /// Whether nothing that is done in it can be kept any more, since a statement failed or the database has ended it by
    /// itself. [`Tx::commit`] refuses it then. On Postgres [`Tx::back_to_savepoint`] mends it, on SQLite nothing does:
    /// what is done behind it, savepoints too, would be kept apart from what came before.
    pub fn has_failed(&self) -> bool {
        match self {
            Tx::Postgres(transaction) => transaction.has_failed(),
            Tx::Sqlite(transaction) => transaction.has_failed(),
        }
    }

    /// Marks a place to which [`Tx::back_to_savepoint`] goes back, instead of the last such place.
    pub async fn savepoint(&mut self) -> Result<(), StoreError> {
        crate::execute!(self, "SAVEPOINT part").map(|_| ())
    }

    /// Moves the savepoint here, in one round trip: what was written since stays.
    pub async fn move_savepoint(&mut self) -> Result<(), StoreError> {
        if self.has_failed() {
            return Err(StoreError::TransactionEnded);
        }
        const MOVING: &str = "RELEASE SAVEPOINT part; SAVEPOINT part";
        match self {
            Tx::Postgres(transaction) => {
                let moved = sqlx::raw_sql(MOVING).execute(&mut **transaction).await;
                transaction.noted(moved)?;
            }
            // SQLite prepares several statements of one text, and keeps them.
            Tx::Sqlite(transaction) => {
                let moved = sqlx::query(MOVING).execute(&mut **transaction).await;
                transaction.noted(moved)?;
            }
        }
        Ok(())
    }

    /// Undoes what was written since [`Tx::savepoint`].
    pub async fn back_to_savepoint(&mut self) -> Result<(), StoreError> {
        if matches!(self, Tx::Sqlite(_)) && self.has_failed() {
            return Err(StoreError::TransactionEnded);
        }
        crate::execute!(self, "ROLLBACK TO SAVEPOINT part")?;
        if let Tx::Postgres(transaction) = self {
            transaction.went_back();
        }
        Ok(())
    }

    /// Forgets the last savepoint; what was written since stays.
    pub async fn release_savepoint(&mut self) -> Result<(), StoreError> {
        if self.has_failed() {
            return Err(StoreError::TransactionEnded);
        }
        crate::execute!(self, "RELEASE SAVEPOINT part").map(|_| ())
    }

    /// Whether this runs on Postgres.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Tx::Postgres(_))
    }

    /// ` FOR UPDATE` on Postgres; nothing on SQLite, where a write transaction is alone anyway.
    pub fn for_update(&self) -> &'static str {
        match self {
            Tx::Postgres(_) => " FOR UPDATE",
            Tx::Sqlite(_) => "",
        }
    }

    /// Itself: lets the macros take `tx: &mut Tx` and a field `unit.tx` alike.
    pub fn as_tx(&mut self) -> &mut Tx {
        self
    }
}

/// Expands an expression once for each database, with a mutable reference to the connection under the given name.
///
/// ```ignore
/// let row: Option<Row> = on!(tx, |c| sqlx::query_as(SQL).bind(id).fetch_optional(&mut *c).await)?;
/// ```
/// `tx` is a `&mut Tx` or a field that is a `Tx`. Both arms must have one type, a `Result` of sqlx's error or of
/// [`crate::StoreError`]: turn a query result into `rows_affected()` inside.
#[macro_export]
macro_rules! on {
    ($tx:expr, |$connection:ident| $body:expr) => {
        match $tx.as_tx() {
            $crate::Tx::Postgres(transaction) => {
                let outcome = {
                    let $connection: &mut $crate::sqlx::PgConnection = &mut *transaction;
                    $body
                };
                transaction.noted(outcome)
            }
            $crate::Tx::Sqlite(transaction) => {
                let outcome = {
                    let $connection: &mut $crate::sqlx::SqliteConnection = &mut *transaction;
                    $body
                };
                transaction.noted(outcome)
            }
        }
    };
}

/// Runs a statement: `execute!(tx, SQL, bind, bind)` gives `Result<u64, StoreError>`, the number of rows it touched.
#[macro_export]
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::on!($tx, |connection| $crate::sqlx::query($sql)
            $(.bind($bind))*
            .execute(&mut *connection)
            .await
            .map(|done| done.rows_affected())
            .map_err($crate::StoreError::from))
    };
}

/// All rows: `fetch_all!(tx, Row, SQL, bind, bind)` gives `Result<Vec<Row>, StoreError>`; the SQL must carry a LIMIT
/// or be bounded by its key. A single column is a tuple: `fetch_all!(tx, (i64,), SQL)`.
#[macro_export]
macro_rules! fetch_all {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::on!($tx, |connection| $crate::sqlx::query_as::<_, $row>($sql)
            $(.bind($bind))*
            .fetch_all(&mut *connection)
            .await
            .map_err($crate::StoreError::from))
    };
}

/// One row or none: `fetch_optional!(tx, Row, SQL, bind)` gives `Result<Option<Row>, StoreError>`.
#[macro_export]
macro_rules! fetch_optional {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::on!($tx, |connection| $crate::sqlx::query_as::<_, $row>($sql)
            $(.bind($bind))*
            .fetch_optional(&mut *connection)
            .await
            .map_err($crate::StoreError::from))
    };
}

/// Exactly one row (a count, a RETURNING): `fetch_one!(tx, Row, SQL, bind)` gives `Result<Row, StoreError>`.
#[macro_export]
macro_rules! fetch_one {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::on!($tx, |connection| $crate::sqlx::query_as::<_, $row>($sql)
            $(.bind($bind))*
            .fetch_one(&mut *connection)
            .await
            .map_err($crate::StoreError::from))
    };
}
