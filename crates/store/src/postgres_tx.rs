//! A connection to Postgres while somebody has it, and a transaction on one. sqlx has both too; what it lacks is a bound on how
//! long a connection may take to go back: it asks the server once more before, for ever, and a connection that goes silent just
//! then (a network that swallows, a server that was cut off) would keep its place in the pool until the process ends. A pool for
//! streams of the log has two places.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Row as _};

use crate::StoreError;
use crate::error::Fault;
use crate::postgres::PING_TIME_MAX;
use crate::sometimes::threw_connection_away;

/// How long BEGIN may take: it waits for nobody.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a connection may take to be asked whether it is clean, twice, and to be back.
const GIVE_BACK_TIME_MAX: Duration = Duration::from_secs(2 * PING_TIME_MAX.as_secs() + 1);

/// A connection that is somebody's until it is dropped.
struct Lent {
    /// None once it goes back.
    connection: Option<PoolConnection<Postgres>>,
    /// A transaction was begun, and nothing has ended it.
    is_open: bool,
}

impl Lent {
    /// Waits for a connection, as long as the pool lets anybody wait.
    async fn from(pool: &PgPool) -> Result<Lent, StoreError> {
        Ok(Lent { connection: Some(pool.acquire().await?), is_open: false })
    }

    /// Ends the transaction by a word. It is over whatever is answered, and whether that is waited for or not: what is open
    /// nevertheless is found when the connection goes back, which is closed then.
    async fn end(&mut self, word: &'static str) -> Result<(), sqlx::Error> {
        self.is_open = false;
        sqlx::raw_sql(word).execute(&mut **self).await.map(|_| ())
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_deref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_deref_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // Without a runtime the process ends, and its connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(give_back(connection, self.is_open));
        }
    }
}

/// Rolls back what is open and gives the connection back to its pool; cuts one that does not answer, so that another can be
/// made in its place.
async fn give_back(mut connection: PoolConnection<Postgres>, is_open: bool) {
    if is_open {
        let rolling_back = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
        if !matches!(tokio::time::timeout(PING_TIME_MAX, rolling_back).await, Ok(Ok(_))) {
            threw_connection_away();
            // sqlx bounds this one.
            connection.close_on_drop();
            return;
        }
    }
    let returning = connection.return_to_pool();
    if tokio::time::timeout(GIVE_BACK_TIME_MAX, returning).await.is_err() {
        threw_connection_away();
    }
}

/// Whether a write would be possible: the server answers, is no standby, and has not been told to read only.
pub(crate) async fn check_writable(pool: &PgPool) -> Result<(), StoreError> {
    let mut connection = Lent::from(pool).await?;
    let asked =
        sqlx::query("SELECT current_setting('transaction_read_only') = 'on'").fetch_one(&mut *connection);
    match asked.await?.try_get(0)? {
        true => Err(StoreError::ReadOnly),
        false => Ok(()),
    }
}

/// A transaction on Postgres. Dropped without a commit it is rolled back.
pub struct PostgresTx {
    connection: Lent,
    /// A statement failed, so that COMMIT would roll back and say nothing of it.
    failed: bool,
}

impl fmt::Debug for PostgresTx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresTx").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl PostgresTx {
    /// Begins a transaction. While it waits for a connection a caller that goes away leaves the line, so that nothing is done for
    /// nobody; one that goes away later leaves a transaction that is rolled back, also if BEGIN was sent and not answered yet.
    pub(crate) async fn begin(pool: &PgPool, statement: &'static str) -> Result<PostgresTx, StoreError> {
        let mut connection = Lent::from(pool).await?;
        connection.is_open = true;
        let beginning = sqlx::raw_sql(statement).execute(&mut *connection);
        match tokio::time::timeout(BEGIN_TIME_MAX, beginning).await {
            Ok(begun) => begun?,
            // The connection is silent; another one may not be.
            Err(_) => return Err(StoreError::Database(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
        };
        Ok(PostgresTx { connection, failed: false })
    }

    /// Looks at what a statement ended with; gives it back as it is.
    pub fn noted<T, E: Fault>(&mut self, outcome: Result<T, E>) -> Result<T, E> {
        if let Err(error) = &outcome {
            self.failed |= error.is_answer();
        }
        outcome
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// It has gone back to a savepoint that was before what failed.
    pub(crate) fn went_back(&mut self) {
        self.failed = false;
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::TransactionEnded);
        }
        self.connection.end("COMMIT").await.map_err(StoreError::of_commit)
    }

    pub(crate) async fn rollback(mut self) -> Result<(), StoreError> {
        Ok(self.connection.end("ROLLBACK").await?)
    }
}

impl Deref for PostgresTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for PostgresTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
