//! Two ids of one person, of the merges that stand.

use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_store::{StoreError, Tx, execute, fetch_all, fetch_one, stands};

use super::Stamp;
use crate::domain::Merge;

/// The most merges of one id, and into one, that are kept.
pub(crate) const MERGES_MAX: i64 = 100;

#[derive(sqlx::FromRow)]
struct MergeRow {
    #[sqlx(try_from = "String")]
    merged_id: PersonId,
    #[sqlx(try_from = "String")]
    kept_id: PersonId,
}

/// The merges of a role that stand in which an id takes part, on either side.
pub(crate) async fn merges_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
) -> Result<Vec<Merge>, StoreError> {
    let rows = fetch_all!(
        tx,
        MergeRow,
        concat!(
            "SELECT g.merged_id, g.kept_id FROM person_merge g WHERE g.programme_id = $1 \
             AND (g.merged_id = $2 OR g.kept_id = $2) AND g.role = $3 AND",
            stands!("g"),
            "ORDER BY g.merged_id, g.number LIMIT $4"
        ),
        programme_id.as_str(),
        person_id.as_str(),
        role.as_str(),
        MERGES_MAX
    )?;
    Ok(rows.into_iter().map(|MergeRow { merged_id, kept_id }| Merge { merged_id, kept_id }).collect())
}

/// The number of the next merge of an id, whatever became of those before.
pub(crate) async fn next_number(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    merged_id: &PersonId,
) -> Result<i64, StoreError> {
    let (last,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COALESCE(MAX(number), 0) FROM person_merge WHERE programme_id = $1 AND merged_id = $2",
        programme_id.as_str(),
        merged_id.as_str()
    )?;
    Ok(last.saturating_add(1))
}

/// Keeps a merge.
pub(crate) async fn insert(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (Merge { merged_id, kept_id }, role): (&Merge, Role),
    number: i64,
    reason: &str,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO person_merge (programme_id, merged_id, number, kept_id, role, reason, occurred_at, recorded_at, actor, \
         fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        programme_id.as_str(),
        merged_id.as_str(),
        number,
        kept_id.as_str(),
        role.as_str(),
        reason,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}
