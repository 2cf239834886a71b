//! Evidence, and its being sent back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, taught_by};
use shipei_rules::{
    duties,
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed, Unless},
    select_by_keys, stands,
};

use crate::domain::evidence::{Bearer, Evidence, SentBack};

/// Keeps evidence and gives it the next number of its bearer.
pub(crate) async fn insert(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: Evidence,
    recorded_at: DateTime<Utc>,
) -> Result<Evidence, StoreError> {
    let (number,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO evidence_number (programme_id, person_id, region_code, last_number) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (programme_id, person_id, region_code) DO UPDATE SET last_number = evidence_number.last_number + 1 \
         RETURNING last_number",
        programme_id.as_str(),
        new.bearer.person_id(),
        new.bearer.region_code()
    )?;
    let about: Vec<&str> = new.about.iter().map(PersonId::as_str).collect();
    execute!(
        tx,
        "INSERT INTO evidence (programme_id, person_id, region_code, number, duty, role, done_text, link, file_sha256, about, \
         done_at, recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        programme_id.as_str(),
        new.bearer.person_id(),
        new.bearer.region_code(),
        number,
        &new.duty,
        duties::duty(&new.duty).map_or("", |duty| duty.role.as_str()),
        &new.text,
        &new.link,
        &new.file_sha256,
        about.join(" "),
        new.done_at,
        recorded_at,
        &new.actor,
        &new.fact_id
    )?;
    Ok(Evidence { number, ..new })
}

/// Keeps that evidence was sent back.
pub(crate) async fn insert_sent_back(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    evidence_fact_id: &str,
    sent_back: &SentBack,
    recorded_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO evidence_sent_back (programme_id, evidence_fact_id, reason, sent_back_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        programme_id.as_str(),
        evidence_fact_id,
        &sent_back.reason,
        sent_back.at,
        recorded_at,
        &sent_back.actor,
        &sent_back.fact_id
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct EvidenceRow {
    person_id: String,
    region_code: String,
    number: i64,
    duty: String,
    done_text: String,
    link: String,
    file_sha256: Vec<u8>,
    about: String,
    done_at: DateTime<Utc>,
    actor: String,
    fact_id: String,
    stands: bool,
}

impl TryFrom<EvidenceRow> for Evidence {
    type Error = StoreError;

    fn try_from(row: EvidenceRow) -> Result<Evidence, StoreError> {
        let corrupt = |column| StoreError::corrupt_row("evidence", column, &row.fact_id);
        let person = PersonId::parse_optional(&row.person_id).map_err(|_| corrupt("person_id"))?;
        let region = RegionCode::parse_optional(&row.region_code).map_err(|_| corrupt("region_code"))?;
        let bearer = match (person, region) {
            (Some(person), _) => Bearer::Person(person),
            (None, Some(region)) => Bearer::Region(region),
            (None, None) => Bearer::Institution,
        };
        let about = row.about.split_whitespace().map(PersonId::parse).collect::<Result<_, _>>();
        Ok(Evidence {
            bearer,
            about: about.map_err(|_| corrupt("about"))?,
            number: row.number,
            duty: row.duty,
            text: row.done_text,
            link: row.link,
            file_sha256: row.file_sha256,
            done_at: row.done_at,
            actor: row.actor,
            fact_id: row.fact_id,
            stands: row.stands,
            sent_back: None,
        })
    }
}

/// The columns of evidence `e`.
macro_rules! columns {
    () => {
        concat!(
            "e.person_id, e.region_code, e.number, e.duty, e.done_text, e.link, e.file_sha256, e.about, e.done_at, e.actor, \
             e.fact_id,",
            stands!("e"),
            "AS stands"
        )
    };
}

/// Evidence of a fact; `None` for a fact that is none.
pub(crate) async fn by_fact(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    fact_id: &str,
) -> Result<Option<Evidence>, StoreError> {
    let row = fetch_optional!(
        tx,
        EvidenceRow,
        concat!("SELECT ", columns!(), " FROM evidence e WHERE e.programme_id = $1 AND e.fact_id = $2"),
        programme_id.as_str(),
        fact_id
    )?;
    let Some(row) = row else { return Ok(None) };
    let row = Evidence::try_from(row)?;
    let sent_back = sent_back(tx, programme_id, &[row.fact_id.as_str()]).await?.remove(&row.fact_id);
    Ok(Some(Evidence { sent_back, ..row }))
}

/// Whether a region has evidence of a duty that was done by then, stands, and was not sent back by then.
pub(crate) async fn region_has(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (region_code, duty): (RegionCode, &str),
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let found = fetch_optional!(
        tx,
        (String,),
        concat!(
            "SELECT e.fact_id FROM evidence e WHERE e.programme_id = $1 AND e.person_id = '' AND e.region_code = $2 \
             AND e.duty = $3 AND e.done_at <= $4 AND",
            stands!("e"),
            "AND NOT EXISTS (SELECT 1 FROM evidence_sent_back b WHERE b.programme_id = e.programme_id \
             AND b.evidence_fact_id = e.fact_id AND b.sent_back_at <= $4 AND",
            stands!("b"),
            ") LIMIT 1"
        ),
        programme_id.as_str(),
        region_code.as_str(),
        duty,
        at
    )?;
    Ok(found.is_some())
}

/// Which evidence is asked for; absent parts are any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'call> {
    pub(crate) person: Option<&'call PersonId>,
    /// With what lies in it now.
    pub(crate) region: Option<RegionCode>,
    /// The duty's code; empty for any.
    pub(crate) duty: &'call str,
    /// That which was retracted too.
    pub(crate) with_retracted: bool,
    /// When it is asked: the tree of regions is that of then.
    pub(crate) now: DateTime<Utc>,
}

/// Where a list of evidence goes on: behind this person, region and number.
pub(crate) type After<'call> = (&'call str, &'call str, i64);

/// Evidence by bearer and number, a person's reached by where they stand now; after some.
pub(crate) async fn list(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    asked: Asked<'_>,
    (after_person, after_region, after_number): After<'_>,
    limit: i64,
) -> Result<Vec<Listed<Evidence>>, StoreError> {
    let columns = Columns {
        programme: "e.programme_id",
        region: concat!(
            "(CASE WHEN e.person_id = '' THEN e.region_code ELSE ",
            placed!("county_code", "e.programme_id", "e.person_id", "e.role", "'9999-12-31T00:00:00+00:00'"),
            " END)"
        ),
        class: placed!("class_id", "e.programme_id", "e.person_id", "e.role", "'9999-12-31T00:00:00+00:00'"),
        person: "e.person_id",
        subject: taught_by!("e.programme_id", "e.person_id", "e.role"),
        as_of: AsOf::At(asked.now),
    };
    let region = Reach::region(text_of(asked.region.as_ref()));
    let rows = fetch_page!(
        tx,
        EvidenceRow,
        "evidence" by ["person_id", "region_code", "number"],
        [
            concat!("SELECT ", columns!(), " FROM evidence e WHERE e.programme_id = "),
            programme_id.as_str(),
            " AND (e.person_id, e.region_code, e.number) > (",
            after_person,
            ", ",
            after_region,
            ", ",
            after_number,
            ")",
            Equal("e.person_id", text_of(asked.person)),
            "",
            Equal("e.duty", asked.duty),
            "",
            Unless(asked.with_retracted, stands!("e")),
            "",
            region.over(columns),
            "",
            reach.over(columns),
            " ORDER BY e.person_id, e.region_code, e.number LIMIT ",
            limit
        ]
    )?;
    let rows: Vec<Listed<Evidence>> = rows.into_iter().map(|row| row.and_then(Evidence::try_from)).collect();
    let facts: Vec<&str> = rows.iter().filter_map(Listed::readable).map(|row| row.fact_id.as_str()).collect();
    let mut of_fact = sent_back(tx, programme_id, &facts).await?;
    let rows = rows.into_iter().map(|row| {
        row.map(|row| {
            let sent_back = of_fact.remove(&row.fact_id);
            Evidence { sent_back, ..row }
        })
    });
    Ok(rows.collect())
}

#[derive(sqlx::FromRow)]
struct SentBackRow {
    evidence_fact_id: String,
    reason: String,
    sent_back_at: DateTime<Utc>,
    actor: String,
    fact_id: String,
}

/// The first time that each of these facts was sent back, of those that stand.
async fn sent_back(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    facts: &[&str],
) -> Result<BTreeMap<String, SentBack>, StoreError> {
    let mut rows: Vec<SentBackRow> = select_by_keys!(
        tx,
        SentBackRow,
        [
            concat!(
                "SELECT b.evidence_fact_id, b.reason, b.sent_back_at, b.actor, b.fact_id FROM evidence_sent_back b WHERE",
                stands!("b"),
                "AND b.programme_id = "
            ),
            programme_id.as_str(),
            " AND b.evidence_fact_id IN "
        ],
        facts,
        |fact_id| (*fact_id)
    )?;
    rows.sort_by(|one, other| (other.sent_back_at, &other.fact_id).cmp(&(one.sent_back_at, &one.fact_id)));
    // The first of each comes last.
    let mut of_fact: BTreeMap<String, SentBack> = BTreeMap::new();
    for row in rows {
        let SentBackRow { evidence_fact_id, reason, sent_back_at, actor, fact_id } = row;
        of_fact.insert(evidence_fact_id, SentBack { at: sent_back_at, reason, actor, fact_id });
    }
    Ok(of_fact)
}
