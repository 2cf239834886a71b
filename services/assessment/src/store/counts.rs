//! What trainees add up to, by county, class, school, subject and stage of development, on each day. A row of a county is
//! changed only with the trainees of that county, so that no row is shared by all that write.

use std::collections::BTreeMap;

use shipei_rules::{
    ids::{ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_store::{StoreError, Tx, bulk_insert, select_by_keys};

use crate::domain::{
    contribution::{CountyTotals, Sums, stage_from_number, stage_number},
    counter::{Counter, Dimension},
};

/// Adds a difference of contributions, by key ascending.
pub async fn add(tx: &mut Tx, programme_id: &ProgrammeId, difference: &Sums) -> Result<(), StoreError> {
    let rows: Vec<_> = difference.iter().collect();
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
        let of_county = totals.entry(county_code).or_default();
        of_county.add(stage_from_number(education_stage), (counter, detail), amount);
    }
    Ok(totals)
}
