//! One digest over all scores of a programme as of its end: same facts, same digest, in whatever order they came.
//!
//! SHA-256 over lines of text: trainees, then tutors, then counties with active trainees, each by id; a line holds id,
//! items with points and reasons, and totals. Withdrawn trainees have no score and no line. It is taken from the stored
//! scores, page by page, so that it proves what followers were told, not only what could be computed.

use std::{fmt::Write, time::Duration};

use prost::Message;
use sha2::{Digest, Sha256};
use shipei_contracts::assessment::v1::{
    CountyScore, GetScoreDigestRequest, GetScoreDigestResponse, ItemPoints, TraineePoints, TutorPoints,
};
use shipei_rules::ids::ProgrammeId;
use shipei_service_kit::{Error, ReadUnit, Result, to_int32};
use shipei_store::{StoreError, crypto};
use tokio::time::Instant;

use super::{Reading, counties};
use crate::{
    Assessment,
    assemble::counties::Judged,
    convert,
    store::{
        counties as stored_counties,
        lists::{self, PointsRow},
        rescore,
    },
};

/// How many scores are read at once.
const SCORES_PER_STEP: i64 = 1_000;
/// The longest that a digest waits for scores that are being made.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How often it looks whether they are.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How many counties are judged at once.
const COUNTIES_PER_STEP: i64 = 100;

impl Assessment {
    pub(crate) async fn get_score_digest(
        self,
        mut unit: ReadUnit,
        request: GetScoreDigestRequest,
    ) -> Result<(ReadUnit, GetScoreDigestResponse)> {
        let programme_id = convert::programme(&request.programme_id)?;
        let mut reading = Reading::begin(&mut unit, &self.schemes, &programme_id, None).await?;
        reading.at.as_of = reading.scheme.final_as_of();
        self.wait_until_scored(&mut unit, &reading.programme_id).await?;
        let mut hash = Sha256::new();
        let trainees = add_trainees(&mut unit, &reading, &mut hash).await?;
        let tutors = add_tutors(&mut unit, &reading, &mut hash).await?;
        let counties = add_counties(&mut unit, &reading, &mut hash).await?;
        let digest = crypto::hex(&hash.finalize());
        Ok((
            unit,
            GetScoreDigestResponse {
                digest,
                trainees: to_int32(trainees),
                tutors: to_int32(tutors),
                counties: to_int32(counties),
            },
        ))
    }
}

impl Assessment {
    /// Waits until the stored scores are those of the facts: everybody who was due, or whom another scheme judges, is scored.
    async fn wait_until_scored(&self, unit: &mut ReadUnit, programme_id: &ProgrammeId) -> Result<()> {
        let until = Instant::now() + WAIT_MAX;
        while rescore::is_behind(&mut unit.tx, programme_id).await? {
            if Instant::now() >= until {
                return Err(Error::Unavailable("the programme is being scored anew".to_owned()));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
            // What is written meanwhile is seen by another transaction only.
            let next = self.kit.database().begin_read().await?;
            std::mem::replace(&mut unit.tx, next).rollback().await?;
        }
        Ok(())
    }
}

async fn add_trainees(unit: &mut ReadUnit, reading: &Reading, hash: &mut Sha256) -> Result<i64> {
    let mut count = 0;
    let mut after = String::new();
    loop {
        let (tx, programme_id) = (&mut unit.tx, &reading.programme_id);
        let page = lists::trainee_points(tx, &unit.reach, programme_id, &after, SCORES_PER_STEP).await?;
        let Some(last) = page.last() else { return Ok(count) };
        last.person_id.as_str().clone_into(&mut after);
        for PointsRow { person_id, points } in &page {
            let points = TraineePoints::decode(points.as_slice())
                .map_err(|_| StoreError::corrupt_row("trainee_score", "points", person_id))?;
            let mut line = format!("trainee\t{person_id}");
            add_items(&mut line, &points.items);
            let _ = writeln!(line, "\t{}\t{}", points.total, points.passed);
            hash.update(line);
            count += 1;
        }
    }
}

async fn add_tutors(unit: &mut ReadUnit, reading: &Reading, hash: &mut Sha256) -> Result<i64> {
    let mut count = 0;
    let mut after = String::new();
    loop {
        let (tx, programme_id) = (&mut unit.tx, &reading.programme_id);
        let page = lists::tutor_points(tx, &unit.reach, programme_id, &after, SCORES_PER_STEP).await?;
        let Some(last) = page.last() else { return Ok(count) };
        last.person_id.as_str().clone_into(&mut after);
        for PointsRow { person_id, points } in &page {
            let points = TutorPoints::decode(points.as_slice())
                .map_err(|_| StoreError::corrupt_row("tutor_score", "points", person_id))?;
            let mut line = format!("tutor\t{person_id}");
            add_items(&mut line, &points.items);
            let TutorPoints { total, qualified, late_weeks, eligible, excellent, .. } = points;
            let _ = writeln!(line, "\t{total}\t{qualified}\t{late_weeks}\t{eligible}\t{excellent}");
            hash.update(line);
            count += 1;
        }
    }
}

async fn add_counties(unit: &mut ReadUnit, reading: &Reading, hash: &mut Sha256) -> Result<i64> {
    let everywhere = (None, None, reading.at.as_of);
    let mut count = 0;
    let mut after = String::new();
    loop {
        let (tx, programme_id) = (&mut unit.tx, &reading.programme_id);
        let page =
            stored_counties::counties(tx, &unit.reach, programme_id, everywhere, &after, COUNTIES_PER_STEP)
                .await?;
        let Some(last) = page.last() else { return Ok(count) };
        last.as_str().clone_into(&mut after);
        let scored = counties::scores(unit, reading, &page, Judged::AtTheEnd).await?;
        for score in scored.iter().filter(|score| score.applicable) {
            hash.update(county_line(score));
            count += 1;
        }
    }
}

fn add_items(line: &mut String, items: &[ItemPoints]) {
    for item in items {
        let _ = write!(line, "\t{}:{}:{}", item.name, item.hundredths, item.reason);
    }
}

fn county_line(score: &CountyScore) -> String {
    let mut line = format!("county\t{}\t{}", score.county_code, score.active_trainees);
    for item in &score.items {
        let _ = write!(line, "\t{}:{}:{}", item.name, item.hundredths, item.reason);
    }
    let _ = writeln!(
        line,
        "\t{}\t{}\t{}\t{}",
        score.registration_login_hundredths,
        score.offline_hundredths,
        score.total_hundredths,
        score.scores_not_distinct
    );
    line
}
