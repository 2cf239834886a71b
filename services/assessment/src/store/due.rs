//! Whose scores are due: while much is learned at once, nobody is scored for each of their facts, but once, when it has been
//! learned. Whoever is here has a stored score that is behind the facts, or none.

use shipei_store::{StoreError, Tx, bulk_insert, execute, fetch_all};

use crate::facts::{Cause, CountyTouch, Instant, Touched};

/// Trainees, who come first: classes and counties follow from them.
const TRAINEE: i64 = 0;
/// Classes, for their tutors.
const CLASS: i64 = 1;
/// Counties.
const COUNTY: i64 = 2;

struct DueRow<'touched> {
    kind: i64,
    id: &'touched str,
    cause: &'touched Cause,
    latest_fact_at: Option<Instant>,
}

/// Marks trainees, classes and counties as due, each with the last event that led to it. Tutors of their own account are few
/// and never due.
pub async fn add(tx: &mut Tx, programme_id: &str, touched: &Touched) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for (kind, causes) in [(TRAINEE, &touched.trainees), (CLASS, &touched.classes)] {
        rows.extend(causes.iter().map(|(id, cause)| DueRow { kind, id, cause, latest_fact_at: None }));
    }
    for (id, touch) in &touched.counties {
        rows.push(DueRow { kind: COUNTY, id, cause: &touch.cause, latest_fact_at: touch.latest_fact_at });
    }
    bulk_insert!(
        tx,
        "INSERT INTO due (programme_id, kind, id, cause, caused_at, latest_fact_at)",
        rows,
        |row| (programme_id, row.kind, row.id, &row.cause.id, row.cause.at, row.latest_fact_at),
        " ON CONFLICT (programme_id, kind, id) DO UPDATE SET cause = excluded.cause, caused_at = excluded.caused_at, \
         latest_fact_at = CASE WHEN due.latest_fact_at IS NULL OR excluded.latest_fact_at > due.latest_fact_at \
             THEN excluded.latest_fact_at ELSE due.latest_fact_at END"
    )?;
    Ok(())
}

/// Programmes with anybody who is due, at most `limit`.
pub async fn programmes(tx: &mut Tx, limit: i64) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = fetch_all!(
        tx,
        (String,),
        "SELECT DISTINCT programme_id FROM due ORDER BY programme_id LIMIT $1",
        limit
    )?;
    Ok(rows.into_iter().map(|(programme_id,)| programme_id).collect())
}

/// Takes up to `limit` who are due, the first of the first kind that there is. Of two instances each takes others.
pub async fn take(tx: &mut Tx, programme_id: &str, limit: i64) -> Result<Touched, StoreError> {
    for kind in [TRAINEE, CLASS, COUNTY] {
        let rows = take_kind(tx, programme_id, kind, limit).await?;
        if !rows.is_empty() {
            return Ok(touched(kind, rows));
        }
    }
    Ok(Touched::default())
}

/// Id, cause, when that happened, and the latest time of a fact.
type Taken = (String, String, Instant, Option<Instant>);

async fn take_kind(tx: &mut Tx, programme_id: &str, kind: i64, limit: i64) -> Result<Vec<Taken>, StoreError> {
    if tx.is_postgres() {
        return fetch_all!(
            tx,
            Taken,
            "DELETE FROM due WHERE programme_id = $1 AND kind = $2 AND id IN (SELECT id FROM due \
             WHERE programme_id = $1 AND kind = $2 ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING id, cause, caused_at, latest_fact_at",
            programme_id,
            kind,
            limit
        );
    }
    let rows: Vec<Taken> = fetch_all!(
        tx,
        Taken,
        "SELECT id, cause, caused_at, latest_fact_at FROM due WHERE programme_id = $1 AND kind = $2 \
         ORDER BY id LIMIT $3",
        programme_id,
        kind,
        limit
    )?;
    if let Some((last, ..)) = rows.last() {
        execute!(
            tx,
            "DELETE FROM due WHERE programme_id = $1 AND kind = $2 AND id <= $3",
            programme_id,
            kind,
            last
        )?;
    }
    Ok(rows)
}

fn touched(kind: i64, rows: Vec<Taken>) -> Touched {
    let mut touched = Touched::default();
    for (id, cause, at, latest_fact_at) in rows {
        let cause = Cause { id: cause, at };
        match kind {
            TRAINEE => touched.trainee(&id, &cause),
            CLASS => touched.class(&id, &cause),
            _ => {
                touched.counties.insert(id, CountyTouch { cause, latest_fact_at });
            }
        }
    }
    touched
}
