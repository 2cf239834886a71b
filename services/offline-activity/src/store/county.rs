//! What a county submits: plans and results.

use chrono::{DateTime, Utc};
use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, execute, fetch_list, fetch_one, list::Equal};

use super::{Recorded, stage_of};
use crate::domain::{Plan, Results};

#[derive(sqlx::FromRow)]
struct PlanRow {
    #[sqlx(try_from = "String")]
    county_code: RegionCode,
    education_stage: String,
    title: String,
    #[sqlx(try_from = "String")]
    counselor_id: PersonId,
    submitted_at: DateTime<Utc>,
    version_count: i64,
}

impl TryFrom<PlanRow> for Plan {
    type Error = StoreError;

    fn try_from(row: PlanRow) -> Result<Plan, StoreError> {
        Ok(Plan {
            stage: stage_of(&row.education_stage, "plan", row.county_code)?,
            county_code: row.county_code,
            title: row.title,
            counselor_id: row.counselor_id,
            submitted_at: row.submitted_at,
        })
    }
}

/// The earliest submission of a plan gives its time and counselor, the latest its title, in whatever order they come.
const UPSERT_PLAN: &str = "INSERT INTO plan (programme_id, county_code, education_stage, title, title_at, counselor_id, submitted_at, \
     version_count) VALUES ($1, $2, $3, $4, $5, $6, $5, 1) \
     ON CONFLICT (programme_id, county_code, education_stage) DO UPDATE SET \
     title = CASE WHEN excluded.title_at >= plan.title_at THEN excluded.title ELSE plan.title END, \
     title_at = CASE WHEN excluded.title_at >= plan.title_at THEN excluded.title_at ELSE plan.title_at END, \
     counselor_id = CASE WHEN excluded.submitted_at < plan.submitted_at THEN excluded.counselor_id \
     ELSE plan.counselor_id END, \
     submitted_at = CASE WHEN excluded.submitted_at < plan.submitted_at THEN excluded.submitted_at \
     ELSE plan.submitted_at END, \
     version_count = plan.version_count + 1 \
     RETURNING county_code, education_stage, title, counselor_id, submitted_at, version_count";

/// Keeps a submission of a plan; the plan as it stands then.
pub(crate) async fn insert_plan(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: &Plan,
    recorded: &Recorded,
) -> Result<Plan, StoreError> {
    let row: PlanRow = fetch_one!(
        tx,
        PlanRow,
        UPSERT_PLAN,
        programme_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str(),
        &new.title,
        new.submitted_at,
        new.counselor_id.as_str()
    )?;
    execute!(
        tx,
        "INSERT INTO plan_version (programme_id, county_code, education_stage, number, title, counselor_id, \
         submitted_at, recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        programme_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str(),
        row.version_count,
        &new.title,
        new.counselor_id.as_str(),
        new.submitted_at,
        recorded.at,
        &recorded.actor
    )?;
    Plan::try_from(row)
}

/// Plans by county and stage, each reached by where its county lay when it was submitted; of a county or (empty) of all,
/// after one of them.
pub(crate) async fn list_plans(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    county_code: Option<RegionCode>,
    (after_county, after_stage): (&str, &str),
    limit: i64,
) -> Result<Vec<Plan>, StoreError> {
    let columns = Columns {
        region: "p.county_code",
        person: "p.counselor_id",
        ..Columns::none("p.programme_id", AsOf::Row("p.submitted_at"))
    };
    let rows = fetch_list!(
        tx,
        PlanRow,
        [
            "SELECT p.county_code, p.education_stage, p.title, p.counselor_id, p.submitted_at, p.version_count \
             FROM plan p WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND (p.county_code, p.education_stage) > (",
            after_county,
            ", ",
            after_stage,
            ")",
            Equal("p.county_code", text_of(county_code.as_ref())),
            "",
            reach.over(columns),
            " ORDER BY p.county_code, p.education_stage LIMIT ",
            limit
        ]
    )?;
    rows.into_iter().map(Plan::try_from).collect()
}

#[derive(sqlx::FromRow)]
struct ResultsRow {
    number: i64,
    #[sqlx(try_from = "String")]
    county_code: RegionCode,
    education_stage: String,
    title: String,
    #[sqlx(try_from = "String")]
    counselor_id: PersonId,
    submitted_at: DateTime<Utc>,
}

/// Keeps results and gives them the next number of their county and stage.
pub(crate) async fn insert_results(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: Results,
    recorded: &Recorded,
) -> Result<Results, StoreError> {
    let (number,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO results_number (programme_id, county_code, education_stage, last_number) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (programme_id, county_code, education_stage) \
         DO UPDATE SET last_number = results_number.last_number + 1 RETURNING last_number",
        programme_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str()
    )?;
    execute!(
        tx,
        "INSERT INTO results (programme_id, county_code, education_stage, number, title, counselor_id, submitted_at, \
         recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        programme_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str(),
        number,
        &new.title,
        new.counselor_id.as_str(),
        new.submitted_at,
        recorded.at,
        &recorded.actor
    )?;
    Ok(Results { number, ..new })
}

/// Results by county, stage and number, each reached by where its county lay when they were submitted; of a county or
/// (empty) of all, after some.
pub(crate) async fn list_results(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    county_code: Option<RegionCode>,
    (after_county, after_stage, after_number): (&str, &str, i64),
    limit: i64,
) -> Result<Vec<Results>, StoreError> {
    let columns = Columns {
        region: "r.county_code",
        person: "r.counselor_id",
        ..Columns::none("r.programme_id", AsOf::Row("r.submitted_at"))
    };
    let rows = fetch_list!(
        tx,
        ResultsRow,
        [
            "SELECT r.number, r.county_code, r.education_stage, r.title, r.counselor_id, r.submitted_at \
             FROM results r WHERE r.programme_id = ",
            programme_id.as_str(),
            " AND (r.county_code, r.education_stage, r.number) > (",
            after_county,
            ", ",
            after_stage,
            ", ",
            after_number,
            ")",
            Equal("r.county_code", text_of(county_code.as_ref())),
            "",
            reach.over(columns),
            " ORDER BY r.county_code, r.education_stage, r.number LIMIT ",
            limit
        ]
    )?;
    let mut results = Vec::with_capacity(rows.len());
    for row in rows {
        results.push(Results {
            number: row.number,
            stage: stage_of(&row.education_stage, "results", row.county_code)?,
            county_code: row.county_code,
            title: row.title,
            counselor_id: row.counselor_id,
            submitted_at: row.submitted_at,
        });
    }
    Ok(results)
}
