//! Answers already given, by the request id that the caller chose.
//!
//! The record is written in the transaction of the write itself, so that a request has its effect once, however often
//! it is sent. The digest tells a re-sent request from another one that reuses the id.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{StoreError, Tx, bulk_insert, execute, select_by_keys};

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RequestRecord {
    /// The id that the caller chose.
    pub request_id: String,
    /// The full name of the method.
    pub method: String,
    /// See [`digest`].
    pub digest: Vec<u8>,
    /// The answer, in the caller's own encoding (a response or a refusal).
    pub outcome: Vec<u8>,
    /// Whose data the answer shows ([`shown`]); empty for nearly all.
    pub shows: String,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}

/// SHA-256 of a method's name and a request's bytes.
pub fn digest(method: &str, request: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::new();
    digest.update((method.len() as u64).to_be_bytes());
    digest.update(method.as_bytes());
    digest.update(request);
    digest.finalize().to_vec()
}

/// The answers recorded under these request ids.
pub async fn find_all(tx: &mut Tx, request_ids: &[&str]) -> Result<Vec<RequestRecord>, StoreError> {
    select_by_keys!(
        tx,
        RequestRecord,
        [
            "SELECT request_id, method, digest, outcome, shows, recorded_at FROM request_record WHERE request_id IN "
        ],
        request_ids,
        |request_id| (*request_id)
    )
}

/// Records answers. If an id has one already (two equal requests at once), the error is the unique violation
/// `request_record_pkey`: roll back, and [`find_all`] gives what the other one recorded.
pub async fn record_all(tx: &mut Tx, records: &[RequestRecord]) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO request_record (request_id, method, digest, outcome, shows, recorded_at)",
        records,
        |record| (
            record.request_id.as_str(),
            record.method.as_str(),
            record.digest.as_slice(),
            record.outcome.as_slice(),
            record.shows.as_str(),
            record.recorded_at
        )
    )?;
    Ok(())
}

/// What a record says of whose data its answer shows. No id has this sign in it.
pub fn shown(programme_id: &str, person_id: &str) -> String {
    format!("{programme_id}/{person_id}")
}

/// Puts another outcome in the place of the answers that show somebody's data; the requests stay known. Gives how many there were.
pub async fn replace_shown(tx: &mut Tx, shows: &str, outcome: &[u8]) -> Result<u64, StoreError> {
    execute!(
        tx,
        "UPDATE request_record SET outcome = $2, shows = '' WHERE shows = $1 AND shows <> ''",
        shows,
        outcome
    )
}

/// Deletes one record, which another one replaces.
pub async fn forget(tx: &mut Tx, request_id: &str) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM request_record WHERE request_id = $1", request_id)?;
    Ok(())
}

/// Deletes at most `limit` records from before `time`, the oldest first; gives how many.
pub async fn forget_before(tx: &mut Tx, time: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
    execute!(
        tx,
        "DELETE FROM request_record WHERE request_id IN
         (SELECT request_id FROM request_record WHERE recorded_at < $1 ORDER BY recorded_at LIMIT $2)",
        time,
        limit
    )
}
