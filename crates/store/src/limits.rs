//! How many connections to a database there may be, and how long each of them may be waited for.

use std::time::Duration;

/// Prepared statements kept by each connection.
pub(crate) const STATEMENTS_CACHED: usize = 400;

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
