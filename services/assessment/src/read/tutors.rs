//! Tutors' scores.

use shipei_contracts::assessment::v1::{
    GetTutorScoreRequest, GetTutorScoreResponse, ListTutorScoresRequest, ListTutorScoresResponse, TutorScore,
};
use shipei_rules::ids::PersonId;
use shipei_service_kit::{ReadUnit, Result};

use super::{Reading, not_found, time_text};
use crate::{
    Assessment,
    assemble::tutors::{self, Marking, TutorRecord},
    convert,
    store::lists,
};

impl Assessment {
    pub(crate) async fn get_tutor_score(
        self,
        mut unit: ReadUnit,
        request: GetTutorScoreRequest,
    ) -> Result<(ReadUnit, GetTutorScoreResponse)> {
        let (programme_id, person_id, as_of) =
            convert::person(&request.programme_id, &request.person_id, request.as_of)?;
        let reading = Reading::begin(&mut unit, &self.schemes, &programme_id, as_of).await?;
        let marking = Marking::AsOf(reading.at.as_of);
        let tx = &mut unit.tx;
        let found = tutors::load(tx, &programme_id, &reading.windows, &[&person_id], marking).await?;
        let Some(tutor) = found.get(&person_id) else { return Err(not_found("person_id")) };
        Ok((unit, GetTutorScoreResponse { score: Some(score(&reading, &person_id, tutor)) }))
    }

    pub(crate) async fn list_tutor_scores(
        self,
        mut unit: ReadUnit,
        request: ListTutorScoresRequest,
    ) -> Result<(ReadUnit, ListTutorScoresResponse)> {
        let filter = convert::filter(&request.programme_id, &request.region_code, "", request.as_of)?;
        let binding = [filter.programme_id.as_str(), &request.region_code, &time_text(filter.as_of)];
        let page =
            self.kit.page::<ListTutorScoresRequest>(&binding, request.page_size, &request.page_token)?;
        let programme_id = &filter.programme_id;
        let reading = Reading::begin(&mut unit, &self.schemes, programme_id, filter.as_of).await?;
        let asked = (filter.region_code, reading.at.as_of);
        let (after, limit) = (page.after(0), page.limit());
        let tutor_ids = lists::tutors(&mut unit.tx, &unit.reach, programme_id, asked, after, limit).await?;
        let (tutor_ids, next_page_token) = page.cut(tutor_ids, |tutor_id| vec![tutor_id.to_string()]);
        let tutor_ids: Vec<&PersonId> = tutor_ids.iter().collect();
        let marking = Marking::AsOf(reading.at.as_of);
        let found = tutors::load(&mut unit.tx, programme_id, &reading.windows, &tutor_ids, marking).await?;
        let scores = found.iter().map(|(tutor_id, tutor)| score(&reading, tutor_id, tutor)).collect();
        Ok((unit, ListTutorScoresResponse { scores, next_page_token }))
    }
}

fn score(reading: &Reading, tutor_id: &PersonId, tutor: &TutorRecord) -> TutorScore {
    let score = tutor.score(&reading.scheme, reading.at.as_of);
    convert::tutor_score(tutor_id, tutor, &score, reading.at)
}
