//! Trainees' scores.

use shipei_contracts::assessment::v1::{
    GetTraineeScoreRequest, GetTraineeScoreResponse, ListTraineeScoresRequest, ListTraineeScoresResponse,
    TraineeScore,
};
use shipei_service_kit::{Page, ReadUnit, Result};

use super::{Reading, not_found, time_text};
use crate::{
    Assessment,
    assemble::trainees,
    convert::{self, Filter},
    domain::trainee::TraineeRecord,
    store::lists::{self, RegionRange},
};

/// The fewest people that are looked at at once while a page is filled.
const CANDIDATES_MIN: i64 = 200;

impl Filter {
    /// Whether they counted there as of the time of the list.
    fn holds(&self, reading: &Reading, trainee: &TraineeRecord) -> bool {
        let place = trainee.places.at(reading.at.as_of);
        if self.class_id.as_ref().is_some_and(|class_id| class_id.as_str() != place.class_id) {
            return false;
        }
        let Some(region) = &self.region_code else { return true };
        let range = RegionRange::of(region.as_str());
        range.from <= place.county_code && place.county_code < range.until
    }

    async fn candidates(
        &self,
        unit: &mut ReadUnit,
        programme_id: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<String>> {
        let tx = &mut unit.tx;
        let found = match (&self.class_id, &self.region_code) {
            (Some(class_id), _) => {
                lists::trainees_of_class(tx, programme_id, class_id.as_str(), after, limit).await
            }
            (None, Some(region)) => {
                let range = RegionRange::of(region.as_str());
                lists::trainees_of_region(tx, programme_id, &range, after, limit).await
            }
            (None, None) => lists::all_trainees(tx, programme_id, after, limit).await,
        };
        Ok(found?)
    }
}

impl Assessment {
    pub(crate) async fn get_trainee_score(
        self,
        mut unit: ReadUnit,
        request: GetTraineeScoreRequest,
    ) -> Result<(ReadUnit, GetTraineeScoreResponse)> {
        let (programme_id, person_id, as_of) =
            convert::person(&request.programme_id, &request.person_id, request.as_of)?;
        let reading = Reading::begin(&mut unit, &self.schemes, programme_id.as_str(), as_of).await?;
        let found =
            trainees::load(&mut unit.tx, &reading.programme_id, &reading.scheme, &[person_id.as_str()])
                .await?;
        let Some(trainee) = found.get(person_id.as_str()) else { return Err(not_found("person_id")) };
        if trainee.withdrawn_by(reading.at.as_of) {
            return Ok((unit, GetTraineeScoreResponse { score: None, withdrawn: true }));
        }
        Ok((unit, GetTraineeScoreResponse { score: Some(score(&reading, trainee)), withdrawn: false }))
    }

    pub(crate) async fn list_trainee_scores(
        self,
        mut unit: ReadUnit,
        request: ListTraineeScoresRequest,
    ) -> Result<(ReadUnit, ListTraineeScoresResponse)> {
        let (region_code, class_id) = (&request.region_code, &request.class_id);
        let filter = convert::filter(&request.programme_id, region_code, class_id, request.as_of)?;
        let programme_id = filter.programme_id.as_str();
        let binding = [programme_id, region_code, class_id, &time_text(filter.as_of)];
        let page: Page =
            self.kit.page::<ListTraineeScoresRequest>(&binding, request.page_size, &request.page_token)?;
        let reading = Reading::begin(&mut unit, &self.schemes, programme_id, filter.as_of).await?;
        let scores = fill(&mut unit, &reading, &filter, &page).await?;
        let (scores, next_page_token) = page.cut(scores, |score| vec![score.person_id.clone()]);
        Ok((unit, ListTraineeScoresResponse { scores, next_page_token }))
    }
}

/// The scores of a page and one more, if there is one: candidates are everybody who was ever there.
async fn fill(
    unit: &mut ReadUnit,
    reading: &Reading,
    filter: &Filter,
    page: &Page,
) -> Result<Vec<TraineeScore>> {
    let step = page.limit().max(CANDIDATES_MIN);
    let wanted = usize::try_from(page.limit()).unwrap_or_default();
    let mut after = page.after(0).to_owned();
    let mut scores = Vec::new();
    loop {
        let candidates = filter.candidates(unit, &reading.programme_id, &after, step).await?;
        let Some(last) = candidates.last() else { return Ok(scores) };
        after.clone_from(last);
        let person_ids: Vec<&str> = candidates.iter().map(String::as_str).collect();
        for trainee in
            trainees::load(&mut unit.tx, &reading.programme_id, &reading.scheme, &person_ids).await?.values()
        {
            if trainee.withdrawn_by(reading.at.as_of) || !filter.holds(reading, trainee) {
                continue;
            }
            scores.push(score(reading, trainee));
            if scores.len() >= wanted {
                return Ok(scores);
            }
        }
    }
}

fn score(reading: &Reading, trainee: &TraineeRecord) -> TraineeScore {
    let score = shipei_rules::trainee::score(&reading.scheme, &trainee.facts, reading.at.as_of);
    convert::trainee_score(trainee, &score, reading.at)
}
