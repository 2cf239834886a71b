//! Facts that were wrong: which facts of a service were retracted, by whom, when and why, and which facts of the services
//! that it follows.
//!
//! Nothing is deleted: a fact stays where it is, and whoever reads facts leaves out those that don't stand (`stands!`,
//! `learned_stands!` in the statement). A retraction may come before its fact, so it is a row of its own and not a column of
//! the fact's.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::partition::Fnv;
use crate::{StoreError, Tx, bulk_insert, execute, fetch_optional, fetch_page, list::Listed, select_by_keys};

/// That a fact was retracted.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Retraction {
    /// The fact.
    pub fact_id: String,
    /// Its programme.
    pub programme_id: String,
    /// The full name of the message that told it; empty when that had not come yet.
    pub fact_type: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// When.
    pub retracted_at: DateTime<Utc>,
    /// When the service learned of it.
    pub recorded_at: DateTime<Utc>,
}

/// A condition of a statement: the row of a fact (a table's short name, with the columns `programme_id` and `fact_id`) stands.
#[macro_export]
macro_rules! stands {
    ($row:literal) => {
        concat!(
            " NOT EXISTS (SELECT 1 FROM retraction WHERE retraction.programme_id = ",
            $row,
            ".programme_id AND retraction.fact_id = ",
            $row,
            ".fact_id) "
        )
    };
}

/// As `stands!`, of a fact that was learned from the log of a source.
#[macro_export]
macro_rules! learned_stands {
    ($row:literal, $source:literal) => {
        concat!(
            " NOT EXISTS (SELECT 1 FROM learned_retraction WHERE learned_retraction.source = '",
            $source,
            "' AND learned_retraction.programme_id = ",
            $row,
            ".programme_id AND learned_retraction.fact_id = ",
            $row,
            ".fact_id) "
        )
    };
}

/// Lets a fact and its retraction wait for each other until the transaction ends: of two that come at once the later one sees
/// the earlier one.
pub async fn lock(tx: &mut Tx, fact_id: &str) -> Result<(), StoreError> {
    if tx.is_postgres() {
        let mut key = Fnv::new();
        key.add(fact_id.as_bytes());
        execute!(tx, "SELECT pg_advisory_xact_lock($1)", key.0.cast_signed())?;
    }
    Ok(())
}

/// Keeps a retraction; false when the fact was retracted before.
pub async fn insert(tx: &mut Tx, retraction: &Retraction) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO retraction (fact_id, programme_id, fact_type, reason, actor, retracted_at, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (programme_id, fact_id) DO NOTHING",
        &retraction.fact_id,
        &retraction.programme_id,
        &retraction.fact_type,
        &retraction.reason,
        &retraction.actor,
        retraction.retracted_at,
        retraction.recorded_at
    )?;
    Ok(inserted == 1)
}

/// The retraction of a fact.
pub async fn find(tx: &mut Tx, programme_id: &str, fact_id: &str) -> Result<Option<Retraction>, StoreError> {
    fetch_optional!(
        tx,
        Retraction,
        "SELECT fact_id, programme_id, fact_type, reason, actor, retracted_at, recorded_at FROM retraction
         WHERE programme_id = $1 AND fact_id = $2",
        programme_id,
        fact_id
    )
}

/// Those of these facts that were retracted.
pub async fn find_all(
    tx: &mut Tx,
    programme_id: &str,
    fact_ids: &[&str],
) -> Result<BTreeSet<String>, StoreError> {
    let rows: Vec<(String,)> = select_by_keys!(
        tx,
        (String,),
        ["SELECT fact_id FROM retraction WHERE programme_id = ", programme_id, " AND fact_id IN "],
        fact_ids,
        |fact_id| (*fact_id)
    )?;
    Ok(rows.into_iter().map(|(fact_id,)| fact_id).collect())
}

/// The retractions of a programme after one of them, by when they were recorded.
pub async fn list(
    tx: &mut Tx,
    programme_id: &str,
    (after_at, after_fact): (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Listed<Retraction>>, StoreError> {
    fetch_page!(
        tx,
        Retraction,
        "retraction" by ["recorded_at", "fact_id"],
        [
            "SELECT fact_id, programme_id, fact_type, reason, actor, retracted_at, recorded_at FROM retraction \
             WHERE programme_id = ",
            programme_id,
            " AND (recorded_at, fact_id) > (",
            after_at,
            ", ",
            after_fact,
            ") ORDER BY recorded_at, fact_id LIMIT ",
            limit
        ]
    )
}

/// Keeps that facts (programme and id) of a source's log don't stand.
pub async fn learn(tx: &mut Tx, source: &str, facts: &[(&str, &str)]) -> Result<(), StoreError> {
    let mut facts = facts.to_vec();
    facts.sort_unstable();
    facts.dedup();
    bulk_insert!(
        tx,
        "INSERT INTO learned_retraction (source, programme_id, fact_id)",
        facts,
        |(programme_id, fact_id)| (source, *programme_id, *fact_id),
        " ON CONFLICT (source, programme_id, fact_id) DO NOTHING"
    )?;
    Ok(())
}
