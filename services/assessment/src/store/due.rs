//! Whose scores are due: while much is learned at once, nobody is scored for each of their facts, but once, when it has been
//! learned. Whoever is here has a stored score that is behind the facts, or none.

use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId},
    region::RegionCode,
};
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
pub async fn add(tx: &mut Tx, programme_id: &ProgrammeId, touched: &Touched) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    let mut add = |kind, id, cause, latest_fact_at| rows.push(DueRow { kind, id, cause, latest_fact_at });
    for (person_id, cause) in &touched.trainees {
        add(TRAINEE, person_id.as_str(), cause, None);
    }
    for (class_id, cause) in &touched.classes {
        add(CLASS, class_id.as_str(), cause, None);
    }
    for (county_code, touch) in &touched.counties {
        add(COUNTY, county_code.as_str(), &touch.cause, touch.latest_fact_at);
    }
    bulk_insert!(
        tx,
        "INSERT INTO due (programme_id, kind, id, cause, caused_at, latest_fact_at)",
        rows,
        |row| (programme_id.as_str(), row.kind, row.id, &row.cause.id, row.cause.at, row.latest_fact_at),
        " ON CONFLICT (programme_id, kind, id) DO UPDATE SET cause = excluded.cause, caused_at = excluded.caused_at, \
         latest_fact_at = CASE WHEN due.latest_fact_at IS NULL OR excluded.latest_fact_at > due.latest_fact_at \
             THEN excluded.latest_fact_at ELSE due.latest_fact_at END"
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct ProgrammeRow {
    #[sqlx(try_from = "String")]
    programme_id: ProgrammeId,
}

/// Programmes with anybody who is due, at most `limit`.
pub async fn programmes(tx: &mut Tx, limit: i64) -> Result<Vec<ProgrammeId>, StoreError> {
    let rows = fetch_all!(
        tx,
        ProgrammeRow,
        "SELECT DISTINCT programme_id FROM due ORDER BY programme_id LIMIT $1",
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.programme_id).collect())
}

/// Takes up to `limit` who are due, the first of the first kind that there is. Of two instances each takes others.
pub async fn take(tx: &mut Tx, programme_id: &ProgrammeId, limit: i64) -> Result<Touched, StoreError> {
    for kind in [TRAINEE, CLASS, COUNTY] {
        let rows = take_kind(tx, programme_id, kind, limit).await?;
        if !rows.is_empty() {
            return touched(kind, rows);
        }
    }
    Ok(Touched::default())
}

/// Id, cause, when that happened, and the latest time of a fact.
type Taken = (String, String, Instant, Option<Instant>);

async fn take_kind(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: i64,
    limit: i64,
) -> Result<Vec<Taken>, StoreError> {
    if tx.is_postgres() {
        return fetch_all!(
            tx,
            Taken,
            "DELETE FROM due WHERE programme_id = $1 AND kind = $2 AND id IN (SELECT id FROM due \
             WHERE programme_id = $1 AND kind = $2 ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING id, cause, caused_at, latest_fact_at",
            programme_id.as_str(),
            kind,
            limit
        );
    }
    let rows: Vec<Taken> = fetch_all!(
        tx,
        Taken,
        "SELECT id, cause, caused_at, latest_fact_at FROM due WHERE programme_id = $1 AND kind = $2 \
         ORDER BY id LIMIT $3",
        programme_id.as_str(),
        kind,
        limit
    )?;
    if let Some((last, ..)) = rows.last() {
        execute!(
            tx,
            "DELETE FROM due WHERE programme_id = $1 AND kind = $2 AND id <= $3",
            programme_id.as_str(),
            kind,
            last
        )?;
    }
    Ok(rows)
}

fn touched(kind: i64, rows: Vec<Taken>) -> Result<Touched, StoreError> {
    let mut touched = Touched::default();
    for (id, cause, at, latest_fact_at) in rows {
        let corrupt = || StoreError::corrupt_row("due", "id", &id);
        let cause = Cause { id: cause, at };
        match kind {
            TRAINEE => touched.trainee(&PersonId::parse(&id).map_err(|_| corrupt())?, &cause),
            CLASS => touched.class(&ClassId::parse(&id).map_err(|_| corrupt())?, &cause),
            _ => {
                let county_code = RegionCode::parse(&id).map_err(|_| corrupt())?;
                touched.counties.insert(county_code, CountyTouch { cause, latest_fact_at });
            }
        }
    }
    Ok(touched)
}
