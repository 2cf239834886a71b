//! What stands for what was merged or closed, and when: dated rows that every service has, filled by whoever knows the endings
//! (enrollment from its own facts, the others from enrollment's log). Who is kept with the code of a place that has ended stands in its
//! successor, which statements ask for by [`crate::successor!`].

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::{StoreError, Tx, bulk_insert, execute, fetch_all, select_by_keys};

/// The most rows of one kind in one programme.
pub const SUCCESSIONS_MAX: i64 = 100_000;

/// What stands for a code of a kind from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
pub struct SuccessorRow {
    /// Of what kind it is.
    pub kind: String,
    /// What had ended.
    pub code: String,
    /// From when on.
    pub from_at: DateTime<Utc>,
    /// Until when; `None` for good.
    pub until_at: Option<DateTime<Utc>>,
    /// What stands for it; empty for nothing.
    pub successor: String,
}

/// SQL for what stands for a code (an expression) of a kind, of a programme, at an instant (two more): the code itself while it has not
/// ended, an empty text when nothing does.
#[macro_export]
macro_rules! successor {
    ($kind:literal, $programme:literal, $code:expr, $at:literal) => {
        concat!(
            "(SELECT COALESCE((SELECT g.successor FROM place_successor g WHERE g.programme_id = ",
            $programme,
            " AND g.kind = '",
            $kind,
            "' AND g.code = ended.code AND g.from_at <= ",
            $at,
            " AND (g.until_at IS NULL OR g.until_at > ",
            $at,
            ")), ended.code) FROM (SELECT ",
            $code,
            " AS code) ended)"
        )
    };
}

/// Puts what follows for one kind in place of all that was there.
pub async fn put(
    tx: &mut Tx,
    programme_id: &str,
    kind: &str,
    rows: &[SuccessorRow],
) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM place_successor WHERE programme_id = $1 AND kind = $2", programme_id, kind)?;
    bulk_insert!(
        tx,
        "INSERT INTO place_successor (programme_id, kind, code, from_at, until_at, successor)",
        rows,
        |row| (programme_id, kind, &row.code, row.from_at, row.until_at, &row.successor)
    )?;
    Ok(())
}

/// All that is kept of one kind, by code and time.
pub async fn all(tx: &mut Tx, programme_id: &str, kind: &str) -> Result<Vec<SuccessorRow>, StoreError> {
    fetch_all!(
        tx,
        SuccessorRow,
        "SELECT kind, code, from_at, until_at, successor FROM place_successor \
         WHERE programme_id = $1 AND kind = $2 ORDER BY code, from_at LIMIT $3",
        programme_id,
        kind,
        SUCCESSIONS_MAX
    )
}

/// What is kept of some codes, whatever their kind.
pub async fn of_codes(
    tx: &mut Tx,
    programme_id: &str,
    codes: &BTreeSet<&str>,
) -> Result<Vec<SuccessorRow>, StoreError> {
    let codes: Vec<&str> = codes.iter().copied().collect();
    select_by_keys!(
        tx,
        SuccessorRow,
        [
            "SELECT kind, code, from_at, until_at, successor FROM place_successor WHERE programme_id = ",
            programme_id,
            " AND code IN "
        ],
        codes,
        |code| (*code)
    )
}

/// Those of the codes of a kind for which one of `successors` stands at some time, and these themselves.
pub async fn sources(
    tx: &mut Tx,
    programme_id: &str,
    kind: &str,
    successors: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, StoreError> {
    let keys: Vec<&str> = successors.iter().copied().collect();
    let rows = select_by_keys!(
        tx,
        (String,),
        [
            "SELECT DISTINCT code FROM place_successor WHERE programme_id = ",
            programme_id,
            " AND kind = ",
            kind,
            " AND successor IN "
        ],
        keys,
        |code| (*code)
    )?;
    let own = successors.iter().map(|code| (*code).to_owned());
    Ok(own.chain(rows.into_iter().map(|(code,)| code)).collect())
}
