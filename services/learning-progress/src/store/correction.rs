//! What was put right by hand: sessions voided, time granted.

use chrono::{DateTime, Utc};
use shipei_store::{StoreError, Tx, execute, select_by_keys};

/// A row of `granted_time`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct GrantRow {
    pub(crate) person_id: String,
    pub(crate) grant_id: String,
    pub(crate) course_id: String,
    pub(crate) granted_at: DateTime<Utc>,
    pub(crate) seconds: i64,
    pub(crate) micros: i64,
    pub(crate) reason: String,
    pub(crate) evidence: String,
}

/// All time granted to these learners.
pub(crate) async fn grants(
    tx: &mut Tx,
    programme_id: &str,
    person_ids: &[&str],
) -> Result<Vec<GrantRow>, StoreError> {
    select_by_keys!(
        tx,
        GrantRow,
        [
            "SELECT person_id, grant_id, course_id, granted_at, seconds, micros, reason, evidence \
             FROM granted_time WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (*person_id)
    )
}

/// Keeps a grant, which is new.
pub(crate) async fn insert_grant(
    tx: &mut Tx,
    programme_id: &str,
    grant: &GrantRow,
    recorded_at: DateTime<Utc>,
    actor: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO granted_time (programme_id, person_id, grant_id, course_id, granted_at, seconds, micros, reason, \
         evidence, recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        programme_id,
        grant.person_id.as_str(),
        grant.grant_id.as_str(),
        grant.course_id.as_str(),
        grant.granted_at,
        grant.seconds,
        grant.micros,
        grant.reason.as_str(),
        grant.evidence.as_str(),
        recorded_at,
        actor
    )?;
    Ok(())
}

/// Keeps why a session was voided.
pub(crate) async fn insert_voided(
    tx: &mut Tx,
    programme_id: &str,
    (person_id, session_id): (&str, &str),
    reason: &str,
    recorded_at: DateTime<Utc>,
    actor: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO session_voided (programme_id, person_id, session_id, reason, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        programme_id,
        person_id,
        session_id,
        reason,
        recorded_at,
        actor
    )?;
    Ok(())
}
