//! How far a programme has been scored anew after its scheme or its windows changed, and whether stored scores are behind.

use shipei_rules::ids::ProgrammeId;
use shipei_store::{StoreError, Tx, execute, fetch_all, fetch_optional};

use crate::facts::{Cause, Instant};

/// How far a programme has been scored anew.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RescoreRow {
    /// `trainees`, `tutors` or `counties`.
    pub stage: String,
    /// The last id of the stage that is done.
    pub done_until: String,
    /// The event that brought the scheme.
    pub cause: String,
    /// When it happened.
    pub caused_at: Instant,
}

/// Begins scoring everything of a programme anew.
pub async fn begin(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    stage: &str,
    cause: &Cause,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO rescore (programme_id, stage, done_until, cause, caused_at) VALUES ($1, $2, '', $3, $4) \
         ON CONFLICT (programme_id) DO UPDATE SET stage = excluded.stage, done_until = '', cause = excluded.cause, \
         caused_at = excluded.caused_at",
        programme_id.as_str(),
        stage,
        &cause.id,
        cause.at
    )?;
    Ok(())
}

/// Where scoring anew stands, locked; `None` when it is done.
pub async fn lock(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Option<RescoreRow>, StoreError> {
    let sql = match tx.is_postgres() {
        true => "SELECT stage, done_until, cause, caused_at FROM rescore WHERE programme_id = $1 FOR UPDATE",
        false => "SELECT stage, done_until, cause, caused_at FROM rescore WHERE programme_id = $1",
    };
    fetch_optional!(tx, RescoreRow, sql, programme_id.as_str())
}

/// Remembers how far scoring anew has come.
pub async fn move_on(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    stage: &str,
    done_until: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE rescore SET stage = $2, done_until = $3 WHERE programme_id = $1",
        programme_id.as_str(),
        stage,
        done_until
    )?;
    Ok(())
}

/// Everything is scored by the new scheme.
pub async fn end(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM rescore WHERE programme_id = $1", programme_id.as_str())?;
    Ok(())
}

/// Whether stored scores of a programme are behind the facts: it is being scored anew, or somebody is due.
pub async fn is_behind(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<bool, StoreError> {
    let row: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT programme_id FROM rescore WHERE programme_id = $1 \
             UNION ALL SELECT programme_id FROM due WHERE programme_id = $1 LIMIT 1",
        programme_id.as_str()
    )?;
    Ok(row.is_some())
}

#[derive(sqlx::FromRow)]
struct ProgrammeRow {
    #[sqlx(try_from = "String")]
    programme_id: ProgrammeId,
}

/// The programmes that are being scored anew, at most `limit`.
pub async fn programmes(tx: &mut Tx, limit: i64) -> Result<Vec<ProgrammeId>, StoreError> {
    let rows = fetch_all!(
        tx,
        ProgrammeRow,
        "SELECT programme_id FROM rescore ORDER BY programme_id LIMIT $1",
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.programme_id).collect())
}
