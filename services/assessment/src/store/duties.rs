//! What shows that duties of Annex 1 were done (table `duty_fact`), and what else records ask for.

use std::collections::BTreeMap;

use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_store::{StoreError, Tx, fetch_all, fetch_one, learned_stands, select_by_keys};

use crate::facts::Instant;

/// The catalogue has a course: of nobody, about nothing.
pub const COURSE: &str = "course";
/// A trainee selected a course.
pub const SELECTED: &str = "selected";
/// Somebody attended the training before the job.
pub const PRE_JOB: &str = "pre_job";
/// A county reported its roster.
pub const ROSTER: &str = "roster";
/// A city compiled its rosters.
pub const COMPILED: &str = "compiled";
/// A county sent a remittance.
pub const REMITTED: &str = "remitted";
/// It was confirmed.
pub const CONFIRMED: &str = "confirmed";
/// It was invoiced.
pub const INVOICED: &str = "invoiced";
/// Scores were made final: of nobody, about the version.
pub const FINAL: &str = "final";
/// A county issued its first certificate.
pub const CERTIFICATES: &str = "certificates";
/// A duty's bearer told that it was done: about the duty.
pub const EVIDENCE: &str = "evidence";
/// Evidence was sent back: about its fact.
pub const SENT_BACK: &str = "sent_back";

/// A trainee was recommended as excellent: of the trainee, about the tutor.
pub const RECOMMENDED: &str = "recommended";

/// The most facts of one bearer or kind that are read.
const FACTS_MAX: i64 = 100_000;

/// A condition: the fact of a row `f` was not retracted.
macro_rules! fact_stands {
    () => {
        " NOT EXISTS (SELECT 1 FROM learned_retraction r WHERE r.source = f.source AND r.programme_id = f.programme_id \
         AND r.fact_id = f.fact_id) "
    };
}

/// What shows that a duty was done.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DutyFact {
    /// One of this file's.
    pub kind: String,
    /// The region whose it is; empty for a person's and the institution's.
    pub region_code: String,
    /// What it is about.
    pub reference: String,
    /// When.
    pub happened_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// What a bearer did (a person, a region, or with both empty the institution), the earliest first.
pub async fn of_bearer(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (person_id, region_code): (&str, &str),
) -> Result<Vec<DutyFact>, StoreError> {
    fetch_all!(
        tx,
        DutyFact,
        concat!(
            "SELECT f.kind, f.region_code, f.reference, f.happened_at, f.fact_id FROM duty_fact f WHERE f.programme_id = $1 \
             AND f.kind IN ('course', 'selected', 'roster', 'compiled', 'remitted', 'final', 'certificates', 'evidence', \
             'sent_back') AND f.person_id = $2 AND f.region_code = $3 AND",
            fact_stands!(),
            "ORDER BY f.happened_at, f.fact_id LIMIT $4"
        ),
        programme_id.as_str(),
        person_id,
        region_code,
        FACTS_MAX
    )
}

/// What all counties did of a kind, the earliest first.
pub async fn of_counties(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: &str,
) -> Result<Vec<DutyFact>, StoreError> {
    fetch_all!(
        tx,
        DutyFact,
        concat!(
            "SELECT f.kind, f.region_code, f.reference, f.happened_at, f.fact_id FROM duty_fact f WHERE f.programme_id = $1 \
             AND f.kind = $2 AND",
            fact_stands!(),
            "ORDER BY f.happened_at, f.fact_id LIMIT $3"
        ),
        programme_id.as_str(),
        kind,
        FACTS_MAX
    )
}

/// When something of a kind happened first, whosever it is.
pub async fn first(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: &str,
) -> Result<Option<Instant>, StoreError> {
    let (at,) = fetch_one!(
        tx,
        (Option<Instant>,),
        concat!(
            "SELECT MIN(f.happened_at) FROM duty_fact f WHERE f.programme_id = $1 AND f.kind = $2 AND",
            fact_stands!()
        ),
        programme_id.as_str(),
        kind
    )?;
    Ok(at)
}

/// When an expert first chose a tutor as excellent.
pub async fn first_choice(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    expert_id: &PersonId,
) -> Result<Option<Instant>, StoreError> {
    let (at,) = fetch_one!(
        tx,
        (Option<Instant>,),
        concat!(
            "SELECT MIN(c.chosen_at) FROM tutor_choice c WHERE c.programme_id = $1 AND c.expert_id = $2 AND",
            learned_stands!("c", "enrollment")
        ),
        programme_id.as_str(),
        expert_id.as_str()
    )?;
    Ok(at)
}

#[derive(sqlx::FromRow)]
struct CodeRow {
    #[sqlx(try_from = "String")]
    code: RegionCode,
}

/// The counties of a region, by the tree as of a time, in which a trainee ever stood.
pub async fn counties_with_trainees(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    region_code: RegionCode,
    as_of: Instant,
) -> Result<Vec<RegionCode>, StoreError> {
    let rows = fetch_all!(
        tx,
        CodeRow,
        "SELECT w.region_code AS code FROM region_within w WHERE w.programme_id = $1 AND w.within_code = $2 \
         AND w.from_at <= $3 AND w.until_at > $3 AND EXISTS (SELECT 1 FROM trainee_place p \
         WHERE p.programme_id = w.programme_id AND p.county_code = w.region_code) ORDER BY w.region_code LIMIT $4",
        programme_id.as_str(),
        region_code.as_str(),
        as_of,
        FACTS_MAX
    )?;
    Ok(rows.into_iter().map(|row| row.code).collect())
}

#[derive(sqlx::FromRow)]
struct RegionTime {
    #[sqlx(try_from = "String")]
    region_code: RegionCode,
    happened_at: Instant,
}

/// When each of these counties first did something of a kind, of those that did.
pub async fn first_of_counties(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: &str,
    counties: &[RegionCode],
) -> Result<BTreeMap<RegionCode, Instant>, StoreError> {
    let rows: Vec<RegionTime> = select_by_keys!(
        tx,
        RegionTime,
        [
            concat!(
                "SELECT f.region_code, MIN(f.happened_at) AS happened_at FROM duty_fact f WHERE",
                fact_stands!(),
                "AND f.person_id = '' AND f.kind = "
            ),
            kind,
            " AND f.programme_id = ",
            programme_id.as_str(),
            " AND f.region_code IN "
        ],
        counties,
        |county| (county.as_str()),
        " GROUP BY f.region_code"
    )?;
    Ok(rows.into_iter().map(|row| (row.region_code, row.happened_at)).collect())
}
