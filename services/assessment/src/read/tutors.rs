//! Tutors' scores.

use shipei_store::list::Listed;
use std::collections::BTreeMap;

use shipei_contracts::assessment::v1::{
    GetTutorScoreRequest, GetTutorScoreResponse, ListTutorScoresRequest, ListTutorScoresResponse, TutorScore,
};
use shipei_rules::{ids::PersonId, vocabulary::Role};
use shipei_service_kit::{Listing, ReadUnit, Result, set_aside};

use super::{Reading, merged_or_not_found, met_broken_row, time_text};
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
        let Some(tutor) = found.get(&person_id) else {
            return Err(merged_or_not_found(tx, &programme_id, Role::ClassTutor, &person_id).await?);
        };
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
        let found_ids: Vec<&PersonId> = tutor_ids.iter().collect();
        let marking = Marking::AsOf(reading.at.as_of);
        let (tx, windows) = (&mut unit.tx, &reading.windows);
        let mut unreadable = Vec::new();
        let mut read = tutors::load(tx, programme_id, windows, &found_ids, marking).await;
        if met_broken_row(&read) {
            let mut readable = BTreeMap::new();
            for tutor_id in found_ids {
                let alone = tutors::load(tx, programme_id, windows, &[tutor_id], marking).await;
                readable.extend(set_aside(alone, &mut unreadable)?.into_iter().flatten());
            }
            read = Ok(readable);
        }
        let found = read?;
        let rows = tutor_ids.into_iter().map(|tutor_id| Listed::of(vec![tutor_id.to_string()], tutor_id));
        let Listing { entries: scores, next_page_token, mut broken } = page
            .list_some(rows.collect(), |tutor_id| {
                Ok(found.get(&tutor_id).map(|tutor| score(&reading, &tutor_id, tutor)))
            })?;
        broken.extend(unreadable);
        Ok((unit, ListTutorScoresResponse { scores, next_page_token, broken }))
    }
}

fn score(reading: &Reading, tutor_id: &PersonId, tutor: &TutorRecord) -> TutorScore {
    let score = tutor.score(&reading.scheme, reading.at.as_of);
    convert::tutor_score(tutor_id, tutor, &score, reading.at)
}
