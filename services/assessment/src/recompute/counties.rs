//! The stored scores of counties, from counts that are kept, never from their trainees.

use prost::Message;
use shipei_contracts::assessment::v1::{CountyPoints, CountyScoreChanged};
use shipei_rules::region::RegionCode;
use shipei_service_kit::{Result, Unit};
use shipei_store::StoreError;

use super::Work;
use crate::{
    assemble::counties,
    domain::{contribution::Sums, points},
    facts::Touched,
    store::{
        counts,
        scores::{self, CountyRow},
    },
};

/// Adds what changed to the counts, and scores the touched counties once.
pub(super) async fn run(
    unit: &mut Unit,
    work: &Work<'_>,
    touched: &Touched,
    difference: &Sums,
) -> Result<()> {
    let county_codes: Vec<RegionCode> = touched.counties.keys().copied().collect();
    let stored = scores::lock_counties(&mut unit.tx, work.programme_id, &county_codes).await?;
    counts::add(&mut unit.tx, work.programme_id, difference).await?;
    let totals = counts::county_totals(&mut unit.tx, work.programme_id, &county_codes).await?;
    let end = work.scheme.final_as_of();
    let records =
        counties::judge(&mut unit.tx, work.programme_id, &work.windows, &county_codes, &totals, end).await?;
    let mut rows = Vec::new();
    for (county_code, touch) in &touched.counties {
        let (Some(record), Some(old)) = (records.get(county_code), stored.get(county_code)) else { continue };
        let points = points::of_county(&record.score, record.facts.active);
        // A county that never had a trainee has no score to change.
        let has_score = record.score.applicable || old.points.is_some();
        let row = CountyRow {
            county_code: *county_code,
            points: has_score.then(|| points.encode_to_vec()),
            latest_fact_at: old.latest_fact_at.max(touch.latest_fact_at),
        };
        if row == *old {
            continue;
        }
        if row.points != old.points {
            let message = CountyScoreChanged {
                programme_id: work.programme_id.to_string(),
                county_code: county_code.to_string(),
                old: before(old)?,
                new: Some(points),
            };
            let code = county_code.as_str();
            unit.emit_caused(code, code, &touch.cause.id, touch.cause.at, &message);
        }
        rows.push(row);
    }
    scores::save_counties(&mut unit.tx, work.programme_id, &rows).await?;
    Ok(())
}

fn before(old: &CountyRow) -> Result<Option<CountyPoints>> {
    let Some(bytes) = &old.points else { return Ok(None) };
    let points = CountyPoints::decode(bytes.as_slice())
        .map_err(|_| StoreError::corrupt_row("county_score", "points", old.county_code))?;
    Ok(Some(points))
}
