//! How far this service has read another one's log, moved in the transaction that writes what it read.
//!
//! The move is a compare-and-set on `version`: of two instances that hold one shard only one can apply its events.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::positions::Positions;
use crate::{StoreError, Tx, execute, fetch_all, fetch_one, fetch_optional};

/// A reader's place in one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The opaque token that the stream gave; empty before the first one.
    pub token: String,
    /// How far each partition was applied.
    pub positions: Positions,
    /// Grows by one with every move; 0 before the first.
    pub version: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    token: String,
    positions: Vec<u8>,
    version: i64,
}

/// The cursor of a stream's shard; one that was never moved is empty and has version 0.
pub async fn load(tx: &mut Tx, stream: &str, shard: i64) -> Result<Cursor, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT token, positions, version FROM consumer_cursor WHERE stream = $1 AND shard = $2",
        stream,
        shard
    )?;
    let Some(row) = row else {
        return Ok(Cursor::default());
    };
    let positions = Positions::from_bytes(&row.positions).map_err(|_| {
        StoreError::corrupt_row("consumer_cursor", "positions", format_args!("{stream}/{shard}"))
    })?;
    Ok(Cursor { token: row.token, positions, version: row.version })
}

/// How far each stream was applied, all its shards together.
pub async fn all(tx: &mut Tx) -> Result<BTreeMap<String, Positions>, StoreError> {
    let rows =
        fetch_all!(tx, (String, i64, Vec<u8>), "SELECT stream, shard, positions FROM consumer_cursor")?;
    let mut streams: BTreeMap<String, Positions> = BTreeMap::new();
    for (stream, shard, positions) in rows {
        let positions = Positions::from_bytes(&positions).map_err(|_| {
            StoreError::corrupt_row("consumer_cursor", "positions", format_args!("{stream}/{shard}"))
        })?;
        streams.entry(stream).or_default().merge(&positions);
    }
    Ok(streams)
}

/// Forgets all that was learned from other logs: every cursor and the rows of these tables, so that the logs are read
/// from their first events. Gives how many instances of the service are running; then nothing was done, since they would
/// go on as if they knew. On SQLite, where nobody notes who runs, it is for the caller to know that nobody does.
pub async fn forget_learned(tx: &mut Tx, tables: &[&'static str]) -> Result<i64, StoreError> {
    if tx.is_postgres() {
        // Also keeps out who was about to begin.
        execute!(tx, "LOCK TABLE consumer_cursor, instance IN EXCLUSIVE MODE")?;
        let running = "SELECT COUNT(*) FROM instance WHERE expires_at > clock_timestamp()";
        let (running,) = fetch_one!(tx, (i64,), running)?;
        if running > 0 {
            return Ok(running);
        }
    }
    // The versions go on: an instance that slept through it can't take the new cursors for those that it knew.
    let nothing = Positions::new().to_bytes();
    execute!(tx, "UPDATE consumer_cursor SET token = '', positions = $1, version = version + 1", nothing)?;
    for table in tables {
        // The names stand in the program. A million rows are gone at once on Postgres; SQLite has no such statement,
        // and does the same for a DELETE without WHERE.
        let statement =
            if tx.is_postgres() { format!("TRUNCATE {table}") } else { format!("DELETE FROM {table}") };
        execute!(tx, AssertSqlSafe(statement.clone()))?;
    }
    Ok(0)
}

/// Moves the cursor if it still has `expected_version`; `false` if somebody else moved it meanwhile: then roll back.
pub async fn advance(
    tx: &mut Tx,
    stream: &str,
    shard: i64,
    expected_version: i64,
    token: &str,
    positions: &Positions,
) -> Result<bool, StoreError> {
    if expected_version == 0 {
        let inserted = execute!(
            tx,
            "INSERT INTO consumer_cursor (stream, shard, token, positions, version) VALUES ($1, $2, $3, $4, 1)
             ON CONFLICT (stream, shard) DO NOTHING",
            stream,
            shard,
            token,
            positions.to_bytes()
        )?;
        return Ok(inserted == 1);
    }
    let moved = execute!(
        tx,
        "UPDATE consumer_cursor SET token = $4, positions = $5, version = version + 1
         WHERE stream = $1 AND shard = $2 AND version = $3",
        stream,
        shard,
        expected_version,
        token,
        positions.to_bytes()
    )?;
    Ok(moved == 1)
}
