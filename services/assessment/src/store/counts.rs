//! What trainees add up to, by county, class, school, subject and stage of development, on each day. A row of a county is
//! changed only with the trainees of that county, so that no row is shared by all that write.

use std::collections::BTreeMap;

use shipei_rules::{
    ids::{ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_store::{StoreError, Tx, bulk_insert, select_by_keys};

use crate::domain::{
    contribution::{Counted, CountyTotals, Sums, stage_from_number, stage_number},
    counter::{Count, Counter, Dimension},
    late_weeks::{self, ClassWeek},
};

/// Adds a difference of contributions, by key ascending: first what makes weeks late, since late weeks follow from it.
pub async fn add(tx: &mut Tx, programme_id: &ProgrammeId, difference: &Sums) -> Result<(), StoreError> {
    let late = add_late(tx, programme_id, difference).await?;
    let weeks = late.iter().map(|((counted, count), amount)| (counted, *count, *amount));
    let mut rows: Vec<(&Counted, Count, i64)> = difference.iter().chain(weeks).collect();
    rows.sort_unstable();
    add_rows(tx, programme_id, &rows).await
}

async fn add_rows(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    rows: &[(&Counted, Count, i64)],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO trainee_count (programme_id, county_code, dimension, part, education_stage, counter, detail, day, \
         amount)",
        rows,
        |(counted, count, amount)| (
            programme_id.as_str(),
            text_of(counted.county_code.as_ref()),
            counted.dimension.number(),
            &counted.part,
            stage_number(counted.stage),
            count.counter.number(),
            count.detail,
            count.day,
            *amount
        ),
        " ON CONFLICT (programme_id, dimension, county_code, part, education_stage, counter, detail, day) DO UPDATE SET \
         amount = trainee_count.amount + excluded.amount"
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct LateRow {
    county_code: String,
    part: String,
    detail: i64,
    day: i64,
    amount: i64,
}

/// Adds to the submissions that make weeks late, and gives by how much late weeks become more or fewer. The rows are this transaction's
/// once they are written, so what they hold then is what they held before and what was added.
async fn add_late(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    difference: &Sums,
) -> Result<BTreeMap<(Counted, Count), i64>, StoreError> {
    let submissions: Vec<(Counted, Count, i64)> = difference
        .late()
        .map(|(week, amount)| {
            let of_class = counted(week, Dimension::Class, week.class_id.as_str());
            let count = Count { counter: Counter::LateSubmission, detail: week.monday, day: week.day };
            (of_class, count, amount)
        })
        .collect();
    let rows: Vec<(&Counted, Count, i64)> =
        submissions.iter().map(|(counted, count, amount)| (counted, *count, *amount)).collect();
    add_rows(tx, programme_id, &rows).await?;
    let weeks: Vec<(&ClassWeek, i64)> = difference.late().collect();
    let found: Vec<LateRow> = select_by_keys!(
        tx,
        LateRow,
        [
            "SELECT county_code, part, detail, day, amount FROM trainee_count WHERE programme_id = ",
            programme_id.as_str(),
            " AND dimension = ",
            Dimension::Class.number(),
            " AND education_stage = ",
            stage_number(None),
            " AND counter = ",
            Counter::LateSubmission.number(),
            " AND (county_code, part, detail, day) IN "
        ],
        weeks,
        |(week, _)| (text_of(week.county_code.as_ref()), week.class_id.as_str(), week.monday, week.day)
    )?;
    let found: BTreeMap<(&str, &str, i64, i64), i64> = found
        .iter()
        .map(|row| ((row.county_code.as_str(), row.part.as_str(), row.detail, row.day), row.amount))
        .collect();
    let mut late: BTreeMap<(Counted, Count), i64> = BTreeMap::new();
    for (week, added) in weeks {
        let key = (text_of(week.county_code.as_ref()), week.class_id.as_str(), week.monday, week.day);
        let now = found.get(&key).copied().unwrap_or_default();
        let turn = i64::from(now > 0) - i64::from(now - added > 0);
        for (dimension, part, count) in late_weeks::counts(week) {
            *late.entry((counted(week, dimension, part), count)).or_default() += turn;
        }
    }
    late.retain(|_, amount| *amount != 0);
    Ok(late)
}

/// Whose count a late week is. Classes are of no education stage.
fn counted(week: &ClassWeek, dimension: Dimension, part: &str) -> Counted {
    Counted { county_code: week.county_code, dimension, part: part.to_owned(), stage: None }
}

#[derive(sqlx::FromRow)]
struct SumRow {
    #[sqlx(try_from = "String")]
    county_code: RegionCode,
    education_stage: i64,
    counter: i64,
    detail: i64,
    amount: i64,
}

/// The totals of these counties, of those that have any.
pub async fn county_totals(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_codes: &[RegionCode],
) -> Result<BTreeMap<RegionCode, CountyTotals>, StoreError> {
    let rows = select_by_keys!(
        tx,
        SumRow,
        [
            "SELECT county_code, education_stage, counter, detail, amount FROM trainee_count WHERE programme_id = ",
            programme_id.as_str(),
            " AND dimension = ",
            Dimension::Whole.number(),
            " AND county_code IN "
        ],
        county_codes,
        |county_code| (county_code.as_str())
    )?;
    let mut totals: BTreeMap<RegionCode, CountyTotals> = BTreeMap::new();
    for SumRow { county_code, education_stage, counter, detail, amount } in rows {
        let counter = Counter::from_number(counter)
            .ok_or_else(|| StoreError::corrupt_row("trainee_count", "counter", county_code))?;
        // Nothing that a county is scored by.
        if counter == Counter::LateWeek {
            continue;
        }
        let of_county = totals.entry(county_code).or_default();
        of_county.add(stage_from_number(education_stage), (counter, detail), amount);
    }
    Ok(totals)
}
