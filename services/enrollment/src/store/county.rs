//! Annex 1 by county: what was reported, compiled, remitted, opened.

use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, execute, fetch_list, fetch_one, fetch_optional, list::Equal};

use super::Stamp;
use crate::domain::Time;

/// The most counties that one compilation looks at.
pub(crate) const COUNTIES_OF_CITY_MAX: i64 = 1_000;

/// What a county does once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountyFact {
    Reported,
    Compiled,
    Opened,
}

impl CountyFact {
    fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Compiled => "compiled",
            Self::Opened => "opened",
        }
    }
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct CountyRow {
    pub(crate) county_code: String,
    pub(crate) name: String,
    pub(crate) reported_at: Option<Time>,
    pub(crate) compiled_at: Option<Time>,
    pub(crate) remitted_at: Option<Time>,
    pub(crate) opened_at: Option<Time>,
    pub(crate) active_trainees: i64,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct RemittanceRow {
    pub(crate) county_code: String,
    pub(crate) r#ref: String,
    pub(crate) amount_fen: i64,
    pub(crate) occurred_at: Time,
    pub(crate) confirmed_at: Option<Time>,
    pub(crate) invoiced_at: Option<Time>,
}

/// The statement that gives [`CountyRow`]s, for a WHERE. Active trainees are counted here.
macro_rules! counties_where {
    ($where:literal) => {
        concat!(
            "SELECT r.code AS county_code, r.name, reported.occurred_at AS reported_at, \
             compiled.occurred_at AS compiled_at, opened.occurred_at AS opened_at, \
             (SELECT MIN(m.confirmed_at) FROM remittance m \
              WHERE m.programme_id = r.programme_id AND m.county_code = r.code) AS remitted_at, \
             (SELECT COUNT(*) FROM person p WHERE p.programme_id = r.programme_id AND p.county_code = r.code \
              AND p.role = 'trainee' AND NOT EXISTS (SELECT 1 FROM person_fact w WHERE w.programme_id = p.programme_id \
              AND w.person_id = p.person_id AND w.kind = 'withdrawal')) AS active_trainees \
             FROM region r \
             LEFT JOIN county_fact reported ON reported.programme_id = r.programme_id \
              AND reported.county_code = r.code AND reported.kind = 'reported' \
             LEFT JOIN county_fact compiled ON compiled.programme_id = r.programme_id \
              AND compiled.county_code = r.code AND compiled.kind = 'compiled' \
             LEFT JOIN county_fact opened ON opened.programme_id = r.programme_id \
              AND opened.county_code = r.code AND opened.kind = 'opened' ",
            $where
        )
    };
}

/// Notes the first time of a fact; false when it was noted for the same time or earlier.
pub(crate) async fn note_first(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    fact: CountyFact,
    person_id: &str,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let changed = execute!(
        tx,
        "INSERT INTO county_fact (programme_id, county_code, kind, person_id, occurred_at, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (programme_id, county_code, kind) DO UPDATE SET \
         person_id = excluded.person_id, occurred_at = excluded.occurred_at, recorded_at = excluded.recorded_at, \
         actor = excluded.actor WHERE excluded.occurred_at < county_fact.occurred_at",
        programme_id,
        county_code,
        fact.as_str(),
        person_id,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(changed == 1)
}

pub(crate) async fn any_opened(tx: &mut Tx, programme_id: &str) -> Result<bool, StoreError> {
    let row = fetch_optional!(
        tx,
        (String,),
        "SELECT county_code FROM county_fact WHERE programme_id = $1 AND kind = 'opened' LIMIT 1",
        programme_id
    )?;
    Ok(row.is_some())
}

/// The counties of a city, as of an instant, that had reported by then, by code.
pub(crate) async fn reported_counties(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    city_code: &str,
    at: Time,
) -> Result<Vec<String>, StoreError> {
    let columns = Columns { region: "r.code", ..Columns::none("r.programme_id", AsOf::At(at)) };
    let city = Reach::region(city_code);
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT r.code FROM region r JOIN county_fact f ON f.programme_id = r.programme_id \
             AND f.county_code = r.code AND f.kind = 'reported' WHERE r.level = 'county' AND r.programme_id = ",
            programme_id,
            " AND f.occurred_at <= ",
            at,
            "",
            city.over(columns),
            "",
            reach.over(columns),
            " ORDER BY r.code LIMIT ",
            COUNTIES_OF_CITY_MAX
        ]
    )?;
    Ok(rows.into_iter().map(|(code,)| code).collect())
}

/// Counties by code, with where they stand, of those reached now; an empty city is any. Active trainees are counted here.
pub(crate) async fn counties(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    city_code: &str,
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<CountyRow>, StoreError> {
    let columns = Columns { region: "r.code", ..Columns::none("r.programme_id", AsOf::At(now)) };
    let city = Reach::region(city_code);
    fetch_list!(
        tx,
        CountyRow,
        [
            counties_where!("WHERE r.level = 'county' AND r.programme_id = "),
            programme_id,
            " AND r.code > ",
            after,
            "",
            city.over(columns),
            "",
            reach.over(columns),
            " ORDER BY r.code LIMIT ",
            limit
        ]
    )
}

/// When a county reported, and when its money was first there.
pub(crate) async fn reported_and_remitted(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
) -> Result<(Option<Time>, Option<Time>), StoreError> {
    fetch_one!(
        tx,
        (Option<Time>, Option<Time>),
        "SELECT (SELECT occurred_at FROM county_fact WHERE programme_id = $1 AND county_code = $2 \
         AND kind = 'reported'), (SELECT MIN(confirmed_at) FROM remittance WHERE programme_id = $1 \
         AND county_code = $2)",
        programme_id,
        county_code
    )
}

/// One county's row of [`counties`].
pub(crate) async fn county_state(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
) -> Result<Option<CountyRow>, StoreError> {
    fetch_optional!(
        tx,
        CountyRow,
        counties_where!("WHERE r.programme_id = $1 AND r.level = 'county' AND r.code = $2"),
        programme_id,
        county_code
    )
}

pub(crate) async fn remittance(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    reference: &str,
) -> Result<Option<RemittanceRow>, StoreError> {
    fetch_optional!(
        tx,
        RemittanceRow,
        "SELECT county_code, ref, amount_fen, occurred_at, confirmed_at, invoiced_at FROM remittance \
         WHERE programme_id = $1 AND county_code = $2 AND ref = $3",
        programme_id,
        county_code,
        reference
    )
}

/// Remittances by county and reference, each reached by where its county lay when it was sent; an empty county is any.
pub(crate) async fn remittances(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    county_code: &str,
    (after_county, after_ref): (&str, &str),
    limit: i64,
) -> Result<Vec<RemittanceRow>, StoreError> {
    let columns =
        Columns { region: "m.county_code", ..Columns::none("m.programme_id", AsOf::Row("m.occurred_at")) };
    fetch_list!(
        tx,
        RemittanceRow,
        [
            "SELECT m.county_code, m.ref, m.amount_fen, m.occurred_at, m.confirmed_at, m.invoiced_at FROM remittance m \
             WHERE m.programme_id = ",
            programme_id,
            " AND (m.county_code, m.ref) > (",
            after_county,
            ", ",
            after_ref,
            ")",
            Equal("m.county_code", county_code),
            "",
            reach.over(columns),
            " ORDER BY m.county_code, m.ref LIMIT ",
            limit
        ]
    )
}

/// Adds a remittance; false when the county has one of this reference.
pub(crate) async fn insert_remittance(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    reference: &str,
    amount_fen: i64,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO remittance (programme_id, county_code, ref, amount_fen, occurred_at, recorded_at, actor, \
         confirmed_actor, invoiced_actor) VALUES ($1, $2, $3, $4, $5, $6, $7, '', '') \
         ON CONFLICT (programme_id, county_code, ref) DO NOTHING",
        programme_id,
        county_code,
        reference,
        amount_fen,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(inserted == 1)
}

/// Notes when a remittance was first confirmed; false when it was by then.
pub(crate) async fn confirm(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    reference: &str,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let changed = execute!(
        tx,
        "UPDATE remittance SET confirmed_at = $4, confirmed_recorded_at = $5, confirmed_actor = $6 \
         WHERE programme_id = $1 AND county_code = $2 AND ref = $3 AND (confirmed_at IS NULL OR confirmed_at > $4)",
        programme_id,
        county_code,
        reference,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(changed == 1)
}

/// Notes when an invoice was first issued; false when it was by then.
pub(crate) async fn invoice(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    reference: &str,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let changed = execute!(
        tx,
        "UPDATE remittance SET invoiced_at = $4, invoiced_recorded_at = $5, invoiced_actor = $6 \
         WHERE programme_id = $1 AND county_code = $2 AND ref = $3 AND (invoiced_at IS NULL OR invoiced_at > $4)",
        programme_id,
        county_code,
        reference,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(changed == 1)
}
