//! What a county submits: plans and results.

use chrono::{DateTime, Utc};
use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
    vocabulary::EducationStage,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_all, fetch_one, fetch_page,
    list::{Equal, Listed, Unless},
    stands,
};

use super::{Recorded, stage_of};
use crate::domain::{Plan, Results};

#[derive(sqlx::FromRow)]
struct PlanRow {
    #[sqlx(try_from = "String")]
    county_code: RegionCode,
    education_stage: String,
    title: String,
    title_fact_id: String,
    #[sqlx(try_from = "String")]
    counselor_id: PersonId,
    submitted_at: DateTime<Utc>,
    fact_id: String,
}

impl TryFrom<PlanRow> for Plan {
    type Error = StoreError;

    fn try_from(row: PlanRow) -> Result<Plan, StoreError> {
        Ok(Plan {
            stage: stage_of(&row.education_stage, "plan", row.county_code)?,
            county_code: row.county_code,
            title: row.title,
            title_fact_id: row.title_fact_id,
            counselor_id: row.counselor_id,
            submitted_at: row.submitted_at,
            fact_id: row.fact_id,
        })
    }
}

/// Keeps a submission of a plan; the plan as it stands then, if any submission of it does.
pub(crate) async fn insert_plan(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: &Plan,
    recorded: &Recorded,
) -> Result<Option<Plan>, StoreError> {
    // The row is locked until the transaction ends.
    let (number,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO plan (programme_id, county_code, education_stage, title, title_fact_id, counselor_id, fact_id, \
         version_count) VALUES ($1, $2, $3, '', '', '', '', 1) \
         ON CONFLICT (programme_id, county_code, education_stage) DO UPDATE SET version_count = plan.version_count + 1 \
         RETURNING version_count",
        programme_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str()
    )?;
    execute!(
        tx,
        "INSERT INTO plan_version (programme_id, county_code, education_stage, number, title, counselor_id, \
         submitted_at, recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        programme_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str(),
        number,
        &new.title,
        new.counselor_id.as_str(),
        new.submitted_at,
        recorded.at,
        &recorded.actor,
        &new.fact_id
    )?;
    fold_plan(tx, programme_id, new.county_code, new.stage).await
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    title: String,
    counselor_id: String,
    submitted_at: DateTime<Utc>,
    fact_id: String,
}

/// Keeps what the submissions of a plan that stand come to: the earliest gives its time and counselor, the latest its title.
pub(crate) async fn fold_plan(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_code: RegionCode,
    stage: EducationStage,
) -> Result<Option<Plan>, StoreError> {
    execute!(
        tx,
        "UPDATE plan SET version_count = version_count WHERE programme_id = $1 AND county_code = $2 \
         AND education_stage = $3",
        programme_id.as_str(),
        county_code.as_str(),
        stage.as_str()
    )?;
    // Bounded by one county's plan of one stage.
    let versions = fetch_all!(
        tx,
        VersionRow,
        concat!(
            "SELECT v.title, v.counselor_id, v.submitted_at, v.fact_id FROM plan_version v \
             WHERE v.programme_id = $1 AND v.county_code = $2 AND v.education_stage = $3 AND",
            stands!("v"),
            "ORDER BY v.submitted_at, v.number"
        ),
        programme_id.as_str(),
        county_code.as_str(),
        stage.as_str()
    )?;
    let (first, last) = (versions.first(), versions.last());
    let text = |version: Option<&VersionRow>, of: fn(&VersionRow) -> &String| {
        version.map_or_else(String::new, |version| of(version).clone())
    };
    execute!(
        tx,
        "UPDATE plan SET title = $4, title_at = $5, title_fact_id = $6, counselor_id = $7, submitted_at = $8, \
         fact_id = $9 WHERE programme_id = $1 AND county_code = $2 AND education_stage = $3",
        programme_id.as_str(),
        county_code.as_str(),
        stage.as_str(),
        text(last, |version| &version.title),
        last.map(|version| version.submitted_at),
        text(last, |version| &version.fact_id),
        text(first, |version| &version.counselor_id),
        first.map(|version| version.submitted_at),
        text(first, |version| &version.fact_id)
    )?;
    let Some((first, last)) = first.zip(last) else { return Ok(None) };
    let counselor_id = PersonId::parse(&first.counselor_id)
        .map_err(|_| StoreError::corrupt_row("plan_version", "counselor_id", county_code))?;
    Ok(Some(Plan {
        county_code,
        stage,
        title: last.title.clone(),
        title_fact_id: last.fact_id.clone(),
        counselor_id,
        submitted_at: first.submitted_at,
        fact_id: first.fact_id.clone(),
    }))
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
) -> Result<Vec<Listed<Plan>>, StoreError> {
    let columns = Columns {
        region: "p.county_code",
        person: "p.counselor_id",
        ..Columns::none("p.programme_id", AsOf::Row("p.submitted_at"))
    };
    let rows = fetch_page!(
        tx,
        PlanRow,
        "plan" by ["county_code", "education_stage"],
        [
            "SELECT p.county_code, p.education_stage, p.title, p.title_fact_id, p.counselor_id, p.submitted_at, p.fact_id \
             FROM plan p WHERE p.submitted_at IS NOT NULL AND p.programme_id = ",
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
    Ok(rows.into_iter().map(|row| row.and_then(Plan::try_from)).collect())
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
    fact_id: String,
    stands: bool,
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
         recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        programme_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str(),
        number,
        &new.title,
        new.counselor_id.as_str(),
        new.submitted_at,
        recorded.at,
        &recorded.actor,
        &new.fact_id
    )?;
    Ok(Results { number, ..new })
}

/// Results by county, stage and number, each reached by where its county lay when they were submitted; of a county or
/// (empty) of all, after some.
pub(crate) async fn list_results(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (county_code, with_retracted): (Option<RegionCode>, bool),
    (after_county, after_stage, after_number): (&str, &str, i64),
    limit: i64,
) -> Result<Vec<Listed<Results>>, StoreError> {
    let columns = Columns {
        region: "r.county_code",
        person: "r.counselor_id",
        ..Columns::none("r.programme_id", AsOf::Row("r.submitted_at"))
    };
    let rows = fetch_page!(
        tx,
        ResultsRow,
        "results" by ["county_code", "education_stage", "number"],
        [
            concat!(
                "SELECT r.number, r.county_code, r.education_stage, r.title, r.counselor_id, r.submitted_at, r.fact_id,",
                stands!("r"),
                "AS stands FROM results r WHERE r.programme_id = "
            ),
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
            Unless(with_retracted, stands!("r")),
            "",
            reach.over(columns),
            " ORDER BY r.county_code, r.education_stage, r.number LIMIT ",
            limit
        ]
    )?;
    let results = |row: ResultsRow| {
        Ok(Results {
            number: row.number,
            stage: stage_of(&row.education_stage, "results", row.county_code)?,
            county_code: row.county_code,
            title: row.title,
            counselor_id: row.counselor_id,
            submitted_at: row.submitted_at,
            fact_id: row.fact_id,
            stands: row.stands,
        })
    };
    Ok(rows.into_iter().map(|row| row.and_then(results)).collect())
}
