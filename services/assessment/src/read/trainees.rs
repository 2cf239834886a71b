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
    convert,
    domain::trainee::TraineeRecord,
    store::lists::{self, TraineesAsked},
};

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
        let asked = TraineesAsked { region_code, class_id, as_of: reading.at.as_of };
        let (tx, after) = (&mut unit.tx, page.after(0));
        let ids = lists::trainees(tx, &unit.reach, programme_id, asked, after, page.limit()).await?;
        let (ids, next_page_token) = page.cut(ids, |person_id| vec![person_id.clone()]);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let found = trainees::load(tx, programme_id, &reading.scheme, &ids).await?;
        let scores = found.values().map(|trainee| score(&reading, trainee)).collect();
        Ok((unit, ListTraineeScoresResponse { scores, next_page_token }))
    }
}

fn score(reading: &Reading, trainee: &TraineeRecord) -> TraineeScore {
    let score = shipei_rules::trainee::score(&reading.scheme, &trainee.facts, reading.at.as_of);
    convert::trainee_score(trainee, &score, reading.at)
}
