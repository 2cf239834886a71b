//! What trainees add up to, as lists ask for it: sums over `trainee_count`, which no trainee is looked at for.

use shipei_rules::{ids::ProgrammeId, region::RegionCode, vocabulary::EducationStage};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, fetch_list,
    list::{Equal, Unless},
    tree::REGIONS_MAX,
};

use crate::{
    domain::{contribution::stage_number, counter::Dimension},
    facts::Instant,
};

/// What a sum is over.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// By what trainees are told apart.
    pub dimension: Dimension,
    /// Of that dimension only this part; empty for all.
    pub part: &'a str,
    /// Only this region, as of `as_of`.
    pub region_code: Option<RegionCode>,
    /// Only this education stage.
    pub stage: Option<EducationStage>,
    /// As of when regions are asked for.
    pub as_of: Instant,
}

/// What the rows of an answer are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// By nothing.
    Nothing,
    /// By county.
    County,
    /// By part of the dimension.
    Part,
    /// By education stage, by its number.
    Stage,
}

impl Key {
    /// As an expression over `trainee_count t`.
    fn expression(self) -> &'static str {
        match self {
            Self::Nothing => "''",
            Self::County => "t.county_code",
            Self::Part => "t.part",
            Self::Stage => "CAST(t.education_stage AS TEXT)",
        }
    }
}

/// Counties by where each lies: those that enrollment named, and those that anything happened in. Where a county lies is asked
/// once for each and not for each of its rows.
const COUNTIES: &str = " AND t.county_code IN (SELECT c.code FROM (SELECT programme_id, region_code AS code FROM mirror_region \
     WHERE level = 'county' UNION SELECT programme_id, county_code AS code FROM county_score) AS c WHERE c.programme_id = ";

/// One sum.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SumRow {
    /// Whose.
    pub key: String,
    /// The counter's number.
    pub counter: i64,
    /// Its detail.
    pub detail: i64,
    /// The local day, since 1970-01-01; 0 when it was not asked for.
    pub day: i64,
    /// The sum.
    pub amount: i64,
}

/// What a row of `trainee_count` belongs to.
fn columns(dimension: Dimension, as_of: Instant) -> Columns {
    Columns {
        programme: "t.programme_id",
        region: "t.county_code",
        class: if dimension == Dimension::Class { "t.part" } else { "" },
        subject: if dimension == Dimension::Subject { "t.part" } else { "" },
        person: "",
        as_of: AsOf::At(as_of),
    }
}

/// The counties of a region, of which each is asked once where it lies.
fn of_county(as_of: Instant) -> Columns {
    Columns { region: "c.code", ..Columns::none("c.programme_id", AsOf::At(as_of)) }
}

/// Stage and part that are asked for, as they stand in the table.
fn stage_text(stage: Option<EducationStage>) -> String {
    stage.map_or_else(String::new, |stage| stage_number(Some(stage)).to_string())
}

/// Whether a reach is told by the county alone, so that what is kept of whole counties can be summed.
pub fn is_by_county(reach: &Reach) -> bool {
    match reach {
        Reach::Everything | Reach::Regions(_) | Reach::Programmes(_) => true,
        Reach::Both(both) => is_by_county(&both.0) && is_by_county(&both.1),
        Reach::Any(any) => any.iter().all(is_by_county),
        Reach::Classes(_) | Reach::Person(_) | Reach::Subject(_) | Reach::ClassesOf(_) => false,
    }
}

/// A reach as what counties can be cut down by, and the rest, which each row is asked.
fn by_county(reach: &Reach) -> (Reach, Reach) {
    match reach {
        Reach::Both(both) => {
            let ((first, first_rest), (second, second_rest)) = (by_county(&both.0), by_county(&both.1));
            (first.and(second), first_rest.and(second_rest))
        }
        _ if is_by_county(reach) => (reach.clone(), Reach::Everything),
        _ => (Reach::Everything, reach.clone()),
    }
}

/// The keys of a page, after a key, by key.
pub async fn keys(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (asked, key): (Asked<'_>, Key),
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let Asked { dimension, part, region_code, stage, as_of } = asked;
    let region = Reach::region(region_code.as_ref().map_or("", RegionCode::as_str));
    let (county_reach, row_reach) = by_county(reach);
    let expression = key.expression();
    let rows: Vec<(String,)> = fetch_list!(
        tx,
        (String,),
        [
            format!("SELECT DISTINCT {expression} AS key FROM trainee_count t WHERE t.programme_id = "),
            programme_id.as_str(),
            " AND t.dimension = ",
            dimension.number(),
            format!(" AND {expression} > "),
            after,
            "",
            Equal("t.part", part),
            "",
            Equal("CAST(t.education_stage AS TEXT)", &stage_text(stage)),
            COUNTIES,
            programme_id.as_str(),
            "",
            region.over(of_county(as_of)),
            "",
            county_reach.over(of_county(as_of)),
            ")",
            row_reach.over(columns(dimension, as_of)),
            " ORDER BY key LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

/// The sums of the keys from the first to the last, both included.
pub async fn sums(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (asked, key, by_day): (Asked<'_>, Key, bool),
    (first, last): (&str, &str),
) -> Result<Vec<SumRow>, StoreError> {
    let Asked { dimension, part, region_code, stage, as_of } = asked;
    let region = Reach::region(region_code.as_ref().map_or("", RegionCode::as_str));
    let (county_reach, row_reach) = by_county(reach);
    let expression = key.expression();
    let (day, grouped_day) = if by_day { ("t.day", ", t.day") } else { ("CAST(0 AS BIGINT)", "") };
    let grouped_key = if key == Key::Nothing { String::new() } else { format!("{expression}, ") };
    fetch_list!(
        tx,
        SumRow,
        [
            format!(
                "SELECT {expression} AS key, t.counter, t.detail, {day} AS day, CAST(SUM(t.amount) AS BIGINT) AS amount \
                 FROM trainee_count t WHERE t.programme_id = "
            ),
            programme_id.as_str(),
            " AND t.dimension = ",
            dimension.number(),
            format!(" AND {expression} >= "),
            first,
            format!(" AND {expression} <= "),
            last,
            "",
            Equal("t.part", part),
            "",
            Equal("CAST(t.education_stage AS TEXT)", &stage_text(stage)),
            COUNTIES,
            programme_id.as_str(),
            "",
            region.over(of_county(as_of)),
            "",
            county_reach.over(of_county(as_of)),
            ")",
            row_reach.over(columns(dimension, as_of)),
            format!(" GROUP BY {grouped_key}t.counter, t.detail{grouped_day}"),
            Unless(true, "")
        ]
    )
}

/// The city in which each county lies as of a time.
pub async fn cities(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    as_of: Instant,
) -> Result<Vec<(String, String)>, StoreError> {
    fetch_list!(
        tx,
        (String, String),
        [
            "SELECT w.region_code, w.within_code FROM region_within w JOIN mirror_region r \
             ON r.programme_id = w.programme_id AND r.region_code = w.within_code AND r.level = 'city' \
             WHERE w.programme_id = ",
            programme_id.as_str(),
            " AND w.from_at <= ",
            as_of,
            " AND w.until_at > ",
            as_of,
            "",
            reach.over(Columns {
                region: "w.region_code",
                ..Columns::none("w.programme_id", AsOf::At(as_of))
            }),
            " ORDER BY w.region_code LIMIT ",
            REGIONS_MAX
        ]
    )
}
