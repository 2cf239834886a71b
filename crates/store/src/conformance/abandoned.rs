//! Callers go away at every moment of a `begin` (a deadline, a client that hung up); whoever gets the connection next
//! must find it clean. Run it with one connection, so that the next is the same one.

use std::time::Duration;

use crate::{Database, StoreError, execute, fetch_one};

/// How many callers go away.
const ABANDONED: u64 = 400;

/// Abandons reads and writes at ever later moments, with a write in between that must be kept.
///
/// # Errors
/// When a connection was left inside somebody else's transaction.
pub async fn abandoned_begin(database: &Database) -> Result<(), StoreError> {
    database.migrate(&super::migrator()).await?;
    for number in 0..ABANDONED {
        let patience = Duration::from_micros(number * 3);
        drop(tokio::time::timeout(patience, database.begin_read()).await);
        drop(tokio::time::timeout(patience, database.begin_write()).await);
        let mut tx = database.begin_write().await?;
        let code = format!("a{number}");
        execute!(tx, "INSERT INTO item (county, code, amount, active) VALUES ('c', $1, 0, TRUE)", code)?;
        tx.commit().await?;
    }
    let mut tx = database.begin_read().await?;
    let (kept,): (i64,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item")?;
    assert_eq!(kept.unsigned_abs(), ABANDONED, "writes were lost");
    Ok(())
}
