//! Counties' scores.

use shipei_store::list::Listed;
use std::collections::BTreeMap;

use shipei_contracts::assessment::v1::{
    CountyScore, GetCountyScoreRequest, GetCountyScoreResponse, ListCountyScoresRequest,
    ListCountyScoresResponse,
};
use shipei_rules::region::RegionCode;
use shipei_service_kit::{Listing, ReadUnit, Result, set_aside};

use super::{Reading, met_broken_row, not_found, time_text};
use crate::{
    Assessment,
    assemble::counties::{self, Judged},
    convert,
    store::counties as stored_counties,
};

/// The most counselors of one county that are named.
const COUNSELORS_MAX: i64 = 1_000;

impl Assessment {
    pub(crate) async fn get_county_score(
        self,
        mut unit: ReadUnit,
        request: GetCountyScoreRequest,
    ) -> Result<(ReadUnit, GetCountyScoreResponse)> {
        let (programme_id, county_code, as_of) =
            convert::county(&request.programme_id, &request.county_code, request.as_of)?;
        let reading = Reading::begin(&mut unit, &self.schemes, &programme_id, as_of).await?;
        let (tx, own) = (&mut unit.tx, (Some(county_code), None, reading.at.as_of));
        let known = stored_counties::counties(tx, &unit.reach, &programme_id, own, "", 1).await?;
        if known.is_empty() {
            return Err(not_found("county_code"));
        }
        let mut scores = scores(&mut unit, &reading, &known, Judged::AsOf(reading.at.as_of)).await?;
        Ok((unit, GetCountyScoreResponse { score: scores.pop() }))
    }

    pub(crate) async fn list_county_scores(
        self,
        mut unit: ReadUnit,
        request: ListCountyScoresRequest,
    ) -> Result<(ReadUnit, ListCountyScoresResponse)> {
        let filter = convert::filter(&request.programme_id, &request.region_code, "", request.as_of)?;
        let binding = [filter.programme_id.as_str(), &request.region_code, &time_text(filter.as_of)];
        let page =
            self.kit.page::<ListCountyScoresRequest>(&binding, request.page_size, &request.page_token)?;
        let programme_id = &filter.programme_id;
        let reading = Reading::begin(&mut unit, &self.schemes, programme_id, filter.as_of).await?;
        let asked = (None, filter.region_code, reading.at.as_of);
        let (after, limit) = (page.after(0), page.limit());
        let codes =
            stored_counties::counties(&mut unit.tx, &unit.reach, programme_id, asked, after, limit).await?;
        let mut unreadable = Vec::new();
        let judged = Judged::AsOf(reading.at.as_of);
        let mut read = scores(&mut unit, &reading, &codes, judged).await;
        if met_broken_row(&read) {
            let mut readable = Vec::new();
            for code in codes.iter().copied() {
                let alone = scores(&mut unit, &reading, &[code], judged).await;
                readable.extend(set_aside(alone, &mut unreadable)?.into_iter().flatten());
            }
            read = Ok(readable);
        }
        let mut found: BTreeMap<String, CountyScore> =
            read?.into_iter().map(|score| (score.county_code.clone(), score)).collect();
        let rows = codes.into_iter().map(|code| Listed::of(vec![code.to_string()], code)).collect();
        let Listing { entries: scores, next_page_token, mut broken } =
            page.list_some(rows, |code| Ok(found.remove(code.as_str())))?;
        broken.extend(unreadable);
        Ok((unit, ListCountyScoresResponse { scores, next_page_token, broken }))
    }
}

/// The scores of counties, by code, each with its counselors.
pub(super) async fn scores(
    unit: &mut ReadUnit,
    reading: &Reading,
    codes: &[RegionCode],
    judged: Judged,
) -> Result<Vec<CountyScore>> {
    let as_of = reading.at.as_of;
    let tx = &mut unit.tx;
    let found = counties::judge_as_of(tx, &reading.programme_id, &reading.windows, codes, judged).await?;
    let mut scores = Vec::with_capacity(found.len());
    for (county_code, county) in &found {
        let (programme_id, of) = (&reading.programme_id, (*county_code, as_of));
        let counselors =
            stored_counties::counselors_of(tx, &unit.reach, programme_id, of, COUNSELORS_MAX).await?;
        scores.push(convert::county_score(&reading.scheme, *county_code, counselors, county, reading.at));
    }
    Ok(scores)
}
