//! Trainees' scores: from what is kept of them where that holds as of the time that is asked for, else from their facts.

use std::collections::BTreeMap;

use shipei_contracts::{
    assessment::v1::{
        GetTraineeScoreRequest, GetTraineeScoreResponse, ListTraineeScoresRequest, ListTraineeScoresResponse,
        TraineeScore,
    },
    common::v1::BrokenRow,
};
use shipei_rules::{ids::PersonId, trainee::restated, vocabulary::Role};
use shipei_service_kit::{Error, Listing, Page, ReadUnit, Result, set_aside};
use shipei_store::{StoreError, list::Listed};

use super::{Reading, merged_or_not_found, met_broken_row, time_text};
use crate::{
    Assessment,
    assemble::trainees,
    convert::{self, Wording},
    domain::{stored, trainee::TraineeRecord},
    store::{
        decisions::{self, Span},
        lists::{self, TraineeThere, TraineesAsked},
        rescore,
        scores::{self, KeptRow},
    },
};

impl Assessment {
    pub(crate) async fn get_trainee_score(
        self,
        mut unit: ReadUnit,
        request: GetTraineeScoreRequest,
    ) -> Result<(ReadUnit, GetTraineeScoreResponse)> {
        let (programme_id, person_id, as_of) =
            convert::person(&request.programme_id, &request.person_id, request.as_of)?;
        let reading = Reading::begin(&mut unit, &self.schemes, &programme_id, as_of).await?;
        let (tx, programme_id, as_of) = (&mut unit.tx, &programme_id, reading.at.as_of);
        let withdrawn = GetTraineeScoreResponse { score: None, withdrawn: true };
        if reading.nothing_given_after()
            && !decisions::is_unsettled(tx, programme_id, Some(&person_id), reading.span()).await?
            && let Some(kept) = scores::kept(tx, programme_id, &person_id).await?
            && (as_of == reading.end() || kept.latest_fact_at.is_none_or(|latest| latest <= reading.until()))
        {
            if kept.withdrawn {
                return Ok((unit, withdrawn));
            }
            let score = kept_score(&reading, kept, &mut Wording::default())?;
            return Ok((unit, GetTraineeScoreResponse { score: Some(score), withdrawn: false }));
        }
        let mut found = trainees::load(tx, programme_id, &reading.windows, &[&person_id]).await?;
        let Some(trainee) = found.remove(&person_id) else {
            return Err(merged_or_not_found(tx, programme_id, Role::Trainee, &person_id).await?);
        };
        if trainee.withdrawn_by(as_of) {
            return Ok((unit, withdrawn));
        }
        let place = trainee.places.at(as_of);
        let there = TraineeThere {
            person_id: trainee.person_id.clone(),
            county_code: place.county_code,
            class_id: place.class_id.clone(),
        };
        let score = shipei_rules::trainee::score(&trainee.scheme, &trainee.facts, as_of);
        let score = convert::trainee_score(there, &score, reading.at, &mut Wording::default());
        Ok((unit, GetTraineeScoreResponse { score: Some(score), withdrawn: false }))
    }

    pub(crate) async fn list_trainee_scores(
        self,
        mut unit: ReadUnit,
        request: ListTraineeScoresRequest,
    ) -> Result<(ReadUnit, ListTraineeScoresResponse)> {
        let (region_code, class_id) = (&request.region_code, &request.class_id);
        let filter = convert::filter(&request.programme_id, region_code, class_id, request.as_of)?;
        let programme_id = &filter.programme_id;
        let time = if request.final_scores { "final".to_owned() } else { time_text(filter.as_of) };
        let binding = [programme_id.as_str(), region_code, class_id, &time];
        let page: Page =
            self.kit.page::<ListTraineeScoresRequest>(&binding, request.page_size, &request.page_token)?;
        let mut reading = Reading::begin(&mut unit, &self.schemes, programme_id, filter.as_of).await?;
        if request.final_scores {
            reading.at.as_of = reading.end();
        }
        let asked = TraineesAsked {
            region_code: filter.region_code,
            class_id: filter.class_id.as_ref(),
            as_of: reading.at.as_of,
        };
        // Stored scores are those of the end with everything that was decided.
        let holds = request.final_scores || kept_scores_hold(&mut unit, &reading).await?;
        if request.final_scores && rescore::is_behind(&mut unit.tx, programme_id).await? {
            return Err(Error::Unavailable("the programme is being scored anew".to_owned()));
        }
        let (tx, after) = (&mut unit.tx, page.after(0));
        if holds {
            let rows =
                lists::kept_trainees(tx, &unit.reach, programme_id, asked, after, page.limit()).await?;
            let mut wording = Wording::default();
            let Listing { entries: scores, next_page_token, broken } =
                page.list(rows, |row| kept_score(&reading, row, &mut wording))?;
            return Ok((unit, ListTraineeScoresResponse { scores, next_page_token, broken }));
        }
        let rows = lists::trainees(tx, &unit.reach, programme_id, asked, after, page.limit()).await?;
        let mut unreadable = Vec::new();
        let found = facts_of(&mut unit, &reading, &rows, &mut unreadable).await?;
        let mut wording = Wording::default();
        let Listing { entries: scores, next_page_token, mut broken } = page.list_some(rows, |row| {
            let Some(trainee) = found.get(&row.person_id) else { return Ok(None) };
            let score = shipei_rules::trainee::score(&trainee.scheme, &trainee.facts, reading.at.as_of);
            Ok(Some(convert::trainee_score(row, &score, reading.at, &mut wording)))
        })?;
        broken.extend(unreadable);
        Ok((unit, ListTraineeScoresResponse { scores, next_page_token, broken }))
    }
}

impl Reading {
    /// As of when stored scores are.
    fn end(&self) -> crate::facts::Instant {
        self.scheme.final_as_of()
    }

    /// Between when and when decisions must count alike for what is stored to hold.
    fn span(&self) -> Span {
        Span { end: self.end(), as_of: self.at.as_of }
    }

    /// What is stored holds as of the time that is asked for when nothing happened after this.
    fn until(&self) -> crate::facts::Instant {
        self.at.as_of.min(self.end())
    }

    /// Whether only facts could have changed a score since the time that is asked for.
    fn nothing_given_after(&self) -> bool {
        self.scheme.nothing_given_after(self.until())
    }
}

/// Whether everybody's stored score holds as of the time that is asked for: none is behind the facts, none of the facts
/// happened after it, and what was decided counts alike.
async fn kept_scores_hold(unit: &mut ReadUnit, reading: &Reading) -> Result<bool> {
    let (tx, programme_id) = (&mut unit.tx, &reading.programme_id);
    if !reading.nothing_given_after()
        || rescore::is_behind(tx, programme_id).await?
        || decisions::is_unsettled(tx, programme_id, None, reading.span()).await?
    {
        return Ok(false);
    }
    let is_the_end = reading.at.as_of == reading.end();
    Ok(is_the_end || !scores::is_anything_after(tx, programme_id, reading.until()).await?)
}

/// A score from what is kept of it.
fn kept_score(reading: &Reading, row: KeptRow, wording: &mut Wording) -> Result<TraineeScore> {
    let KeptRow { person_id, county_code, class_id, items, .. } = row;
    let items = stored::decode(&reading.scheme, &items)
        .ok_or_else(|| StoreError::corrupt_row("trainee_score", "items", &person_id))?;
    let score = restated(&reading.scheme, items, reading.at.as_of);
    let there = TraineeThere { person_id, county_code, class_id };
    Ok(convert::trainee_score(there, &score, reading.at, wording))
}

/// The trainees of a page with their facts.
async fn facts_of(
    unit: &mut ReadUnit,
    reading: &Reading,
    rows: &[Listed<TraineeThere>],
    broken: &mut Vec<BrokenRow>,
) -> Result<BTreeMap<PersonId, TraineeRecord>> {
    let (tx, programme_id, windows) = (&mut unit.tx, &reading.programme_id, &reading.windows);
    let ids: Vec<PersonId> =
        rows.iter().filter_map(Listed::readable).map(|row| row.person_id.clone()).collect();
    let ids: Vec<&PersonId> = ids.iter().collect();
    let mut read = trainees::load(tx, programme_id, windows, &ids).await;
    if met_broken_row(&read) {
        let mut readable = BTreeMap::new();
        for id in ids {
            let alone = trainees::load(tx, programme_id, windows, &[id]).await;
            readable.extend(set_aside(alone, broken)?.into_iter().flatten());
        }
        read = Ok(readable);
    }
    read
}
