//! What trainees add up to, by county, class, school, subject and stage of development, on each day. A row of a county is
//! changed only with the trainees of that county, so that no row is shared by all that write.

use std::collections::BTreeMap;

use shipei_store::{StoreError, Tx, bulk_insert, select_by_keys};

use crate::domain::{
    contribution::{CountyTotals, Sums, stage_from_number, stage_number},
    counter::{Counter, Dimension},
};

/// Adds a difference of contributions, by key ascending.
pub async fn add(tx: &mut Tx, programme_id: &str, difference: &Sums) -> Result<(), StoreError> {
    let rows: Vec<_> = difference.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO trainee_count (programme_id, county_code, dimension, part, education_stage, counter, detail, day, \
         amount)",
        rows,
        |(counted, count, amount)| (
            programme_id,
            &counted.county_code,
            counted.dimension.number(),
            &counted.part,
            stage_number(counted.stage),
            count.counter.number(),
            count.detail,
            count.day,
            *amount
        ),
        " ON CONFLICT (programme_id, county_code, dimension, part, education_stage, counter, detail, day) DO UPDATE SET \
         amount = trainee_count.amount + excluded.amount"
    )?;
    Ok(())
}

/// The totals of these counties, of those that have any.
pub async fn county_totals(
    tx: &mut Tx,
    programme_id: &str,
    county_codes: &[&str],
) -> Result<BTreeMap<String, CountyTotals>, StoreError> {
    let rows: Vec<(String, i64, i64, i64, i64)> = select_by_keys!(
        tx,
        (String, i64, i64, i64, i64),
        [
            "SELECT county_code, education_stage, counter, detail, CAST(SUM(amount) AS BIGINT) FROM trainee_count \
             WHERE programme_id = ",
            programme_id,
            " AND dimension = ",
            Dimension::County.number(),
            " AND county_code IN "
        ],
        county_codes,
        |county_code| (*county_code),
        " GROUP BY county_code, education_stage, counter, detail"
    )?;
    let mut totals: BTreeMap<String, CountyTotals> = BTreeMap::new();
    for (county_code, stage, counter, detail, amount) in rows {
        let counter = Counter::from_number(counter)
            .ok_or_else(|| StoreError::corrupt_row("trainee_count", "counter", &county_code))?;
        totals.entry(county_code).or_default().add(stage_from_number(stage), (counter, detail), amount);
    }
    Ok(totals)
}
