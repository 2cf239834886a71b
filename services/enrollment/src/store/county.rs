//! Annex 1 by county: what was reported, compiled, remitted, opened.

use shipei_rules::{
    ids::{PersonId, ProgrammeId, RemittanceRef, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_list, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed},
    retraction, stands,
};

use super::{
    Stamp,
    person::{counts_for_itself, is_there},
};
use crate::domain::Time;

/// The most counties that one compilation looks at.
pub(crate) const COUNTIES_OF_CITY_MAX: i64 = 1_000;

/// What a county does and counts once.
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
    #[sqlx(try_from = "String")]
    pub(crate) county_code: RegionCode,
    pub(crate) name: String,
    pub(crate) reported_at: Option<Time>,
    pub(crate) reported_fact_id: Option<String>,
    pub(crate) compiled_at: Option<Time>,
    pub(crate) compiled_fact_id: Option<String>,
    pub(crate) remitted_at: Option<Time>,
    pub(crate) opened_at: Option<Time>,
    pub(crate) opened_fact_id: Option<String>,
    pub(crate) active_trainees: i64,
}

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct RemittanceRow {
    #[sqlx(try_from = "String")]
    pub(crate) county_code: RegionCode,
    #[sqlx(try_from = "String")]
    pub(crate) r#ref: RemittanceRef,
    pub(crate) amount_fen: i64,
    pub(crate) occurred_at: Time,
    pub(crate) fact_id: String,
    pub(crate) confirmed_at: Option<Time>,
    pub(crate) confirmed_fact_id: Option<String>,
    pub(crate) invoiced_at: Option<Time>,
    pub(crate) invoiced_fact_id: Option<String>,
}

/// A column of the first fact of a kind that stands, of a county: two expressions for its programme and code.
macro_rules! first_fact {
    ($column:literal, $kind:literal, $programme:literal, $county:literal) => {
        concat!(
            "(SELECT f.",
            $column,
            " FROM county_fact f WHERE f.programme_id = ",
            $programme,
            " AND f.county_code = ",
            $county,
            " AND f.kind = '",
            $kind,
            "' AND",
            stands!("f"),
            "ORDER BY f.occurred_at, f.fact_id LIMIT 1)"
        )
    };
}

/// When a county's money was first there: the first confirmation that stands, of a remittance that does.
macro_rules! remitted {
    ($programme:literal, $county:literal) => {
        concat!(
            "(SELECT MIN(c.occurred_at) FROM remittance_fact c JOIN remittance m ON m.programme_id = c.programme_id \
             AND m.county_code = c.county_code AND m.ref = c.ref AND m.occurred_at <= c.occurred_at AND",
            stands!("m"),
            "WHERE c.kind = 'confirmed' AND",
            stands!("c"),
            "AND c.programme_id = ",
            $programme,
            " AND c.county_code = ",
            $county,
            ")"
        )
    };
}

/// The statement that gives [`CountyRow`]s, for a WHERE. Active trainees are counted here, who has several ids once.
macro_rules! counties_where {
    ($where:literal) => {
        concat!(
            "SELECT r.code AS county_code, r.name, ",
            first_fact!("occurred_at", "reported", "r.programme_id", "r.code"),
            " AS reported_at, ",
            first_fact!("fact_id", "reported", "r.programme_id", "r.code"),
            " AS reported_fact_id, ",
            first_fact!("occurred_at", "compiled", "r.programme_id", "r.code"),
            " AS compiled_at, ",
            first_fact!("fact_id", "compiled", "r.programme_id", "r.code"),
            " AS compiled_fact_id, ",
            first_fact!("occurred_at", "opened", "r.programme_id", "r.code"),
            " AS opened_at, ",
            first_fact!("fact_id", "opened", "r.programme_id", "r.code"),
            " AS opened_fact_id, ",
            remitted!("r.programme_id", "r.code"),
            " AS remitted_at, \
             (SELECT COUNT(*) FROM person p WHERE p.programme_id = r.programme_id AND p.county_code = r.code \
              AND p.role = 'trainee' AND",
            is_there!(),
            "AND",
            counts_for_itself!(),
            "AND NOT EXISTS (SELECT 1 FROM person_fact w WHERE w.programme_id = p.programme_id \
              AND w.person_id = p.person_id AND w.role = p.role AND w.kind = 'withdrawal' AND",
            stands!("w"),
            "AND NOT EXISTS (SELECT 1 FROM person_fact b WHERE b.programme_id = w.programme_id \
              AND b.person_id = w.person_id AND b.role = w.role AND b.kind = 'return' AND b.occurred_at > w.occurred_at AND",
            stands!("b"),
            "))) AS active_trainees FROM region r ",
            $where
        )
    };
}

/// Notes a fact; the first one of its kind that stands counts.
pub(crate) async fn note(
    tx: &mut Tx,
    (programme_id, county_code): (&ProgrammeId, RegionCode),
    fact: CountyFact,
    person_id: Option<&PersonId>,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO county_fact (programme_id, county_code, kind, person_id, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        programme_id.as_str(),
        county_code.as_str(),
        fact.as_str(),
        text_of(person_id),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}

pub(crate) async fn any_opened(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<bool, StoreError> {
    let row = fetch_optional!(
        tx,
        (String,),
        concat!(
            "SELECT f.county_code FROM county_fact f WHERE f.programme_id = $1 AND f.kind = 'opened' AND",
            stands!("f"),
            "LIMIT 1"
        ),
        programme_id.as_str()
    )?;
    Ok(row.is_some())
}

#[derive(sqlx::FromRow)]
struct CodeRow {
    #[sqlx(try_from = "String")]
    code: RegionCode,
}

/// The counties of a city, as of an instant, that had reported by then, by code.
pub(crate) async fn reported_counties(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    city_code: RegionCode,
    at: Time,
) -> Result<Vec<RegionCode>, StoreError> {
    let columns = Columns { region: "r.code", ..Columns::none("r.programme_id", AsOf::At(at)) };
    let city = Reach::region(city_code.as_str());
    let rows = fetch_list!(
        tx,
        CodeRow,
        [
            concat!(
                "SELECT r.code FROM region r WHERE r.level = 'county' AND ",
                first_fact!("occurred_at", "reported", "r.programme_id", "r.code"),
                " <= "
            ),
            at,
            " AND r.programme_id = ",
            programme_id.as_str(),
            "",
            city.over(columns),
            "",
            reach.over(columns),
            " ORDER BY r.code LIMIT ",
            COUNTIES_OF_CITY_MAX
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.code).collect())
}

/// Counties by code, with where they stand, of those reached now; an empty city is any. Active trainees are counted here.
pub(crate) async fn counties(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    city_code: Option<RegionCode>,
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<CountyRow>>, StoreError> {
    let columns = Columns { region: "r.code", ..Columns::none("r.programme_id", AsOf::At(now)) };
    let city = Reach::region(text_of(city_code.as_ref()));
    fetch_page!(
        tx,
        CountyRow,
        "region" by ["county_code"],
        [
            counties_where!("WHERE r.level = 'county' AND r.programme_id = "),
            programme_id.as_str(),
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
    programme_id: &ProgrammeId,
    county_code: RegionCode,
) -> Result<(Option<Time>, Option<Time>), StoreError> {
    fetch_one!(
        tx,
        (Option<Time>, Option<Time>),
        concat!("SELECT ", first_fact!("occurred_at", "reported", "$1", "$2"), ", ", remitted!("$1", "$2")),
        programme_id.as_str(),
        county_code.as_str()
    )
}

/// One county's row of [`counties`].
pub(crate) async fn county_state(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_code: RegionCode,
) -> Result<Option<CountyRow>, StoreError> {
    fetch_optional!(
        tx,
        CountyRow,
        counties_where!("WHERE r.programme_id = $1 AND r.level = 'county' AND r.code = $2"),
        programme_id.as_str(),
        county_code.as_str()
    )
}

/// A column of what became of a remittance `m` that stands: the first fact of a kind that does.
macro_rules! became {
    ($column:literal, $kind:literal) => {
        concat!(
            "(SELECT c.",
            $column,
            " FROM remittance_fact c WHERE c.programme_id = m.programme_id AND c.county_code = m.county_code \
             AND c.ref = m.ref AND c.occurred_at >= m.occurred_at AND c.kind = '",
            $kind,
            "' AND",
            stands!("c"),
            "ORDER BY c.occurred_at, c.fact_id LIMIT 1)"
        )
    };
}

/// The statement that gives [`RemittanceRow`]s that stand, for a condition.
macro_rules! remittances_where {
    ($condition:literal) => {
        concat!(
            "SELECT m.county_code, m.ref, m.amount_fen, m.occurred_at, m.fact_id, ",
            became!("occurred_at", "confirmed"),
            " AS confirmed_at, ",
            became!("fact_id", "confirmed"),
            " AS confirmed_fact_id, ",
            became!("occurred_at", "invoiced"),
            " AS invoiced_at, ",
            became!("fact_id", "invoiced"),
            " AS invoiced_fact_id FROM remittance m WHERE",
            stands!("m"),
            "AND ",
            $condition
        )
    };
}

pub(crate) async fn remittance(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_code: RegionCode,
    reference: &RemittanceRef,
) -> Result<Option<RemittanceRow>, StoreError> {
    fetch_optional!(
        tx,
        RemittanceRow,
        remittances_where!("m.programme_id = $1 AND m.county_code = $2 AND m.ref = $3 LIMIT 1"),
        programme_id.as_str(),
        county_code.as_str(),
        reference.as_str()
    )
}

/// Remittances by county and reference, each reached by where its county lay when it was sent; an empty county is any.
pub(crate) async fn remittances(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    county_code: Option<RegionCode>,
    (after_county, after_ref): (&str, &str),
    limit: i64,
) -> Result<Vec<Listed<RemittanceRow>>, StoreError> {
    let columns =
        Columns { region: "m.county_code", ..Columns::none("m.programme_id", AsOf::Row("m.occurred_at")) };
    fetch_page!(
        tx,
        RemittanceRow,
        "remittance" by ["county_code", "ref"],
        [
            remittances_where!("m.programme_id = "),
            programme_id.as_str(),
            " AND (m.county_code, m.ref) > (",
            after_county,
            ", ",
            after_ref,
            ")",
            Equal("m.county_code", text_of(county_code.as_ref())),
            "",
            reach.over(columns),
            " ORDER BY m.county_code, m.ref LIMIT ",
            limit
        ]
    )
}

/// Holds a reference of a county until the transaction ends.
pub(crate) async fn lock_remittance(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_code: RegionCode,
    reference: &RemittanceRef,
) -> Result<(), StoreError> {
    retraction::lock(tx, &format!("{programme_id}/{county_code}/{reference}")).await
}

/// Adds a remittance of a reference that is held.
pub(crate) async fn insert_remittance(
    tx: &mut Tx,
    (programme_id, county_code, reference): (&ProgrammeId, RegionCode, &RemittanceRef),
    amount_fen: i64,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO remittance (programme_id, county_code, ref, amount_fen, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        programme_id.as_str(),
        county_code.as_str(),
        reference.as_str(),
        amount_fen,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}

/// What becomes of a remittance and counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemittanceFact {
    Confirmed,
    Invoiced,
}

/// Notes what became of a remittance; the first one of its kind that stands counts.
pub(crate) async fn note_of_remittance(
    tx: &mut Tx,
    (programme_id, county_code, reference): (&ProgrammeId, RegionCode, &RemittanceRef),
    fact: RemittanceFact,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    let kind = match fact {
        RemittanceFact::Confirmed => "confirmed",
        RemittanceFact::Invoiced => "invoiced",
    };
    execute!(
        tx,
        "INSERT INTO remittance_fact (programme_id, county_code, ref, kind, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        programme_id.as_str(),
        county_code.as_str(),
        reference.as_str(),
        kind,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}
