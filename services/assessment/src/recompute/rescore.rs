//! Scoring a whole programme anew after its scheme came or changed, and everybody who is due after logs were caught up with:
//! page by page, each page one transaction with a marker of how far it has come (who was due is not any more), so that a
//! killed instance goes on where it stopped and several may help.
//!
//! Until the marker is gone and nobody is due, stored scores are behind; readers that rest on them look for that (scores and
//! counts are then taken from facts, and the digest waits).

use std::time::Duration;

use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::{Error, Kit, Result, Shutdown, Unit};

use crate::{
    apply::Behind,
    facts::{Cause, Touched},
    recompute,
    store::{counties as stored_counties, due, lists, rescore as markers, scores},
};

/// How many trainees, tutors or counties one page scores.
pub const RESCORE_PAGE: i64 = 500;
/// The most programmes that are looked at in one round.
const PROGRAMMES_PER_ROUND: i64 = 100;
/// How often the marker is looked for when nothing wakes us.
const POLL: Duration = Duration::from_secs(2);

const STAGES: [&str; 3] = ["trainees", "tutors", "counties"];

/// Begins: everything of the programme will be scored by the scheme that is in force now.
pub async fn begin(unit: &mut Unit, programme_id: &ProgrammeId, cause: &Cause) -> Result<()> {
    Ok(markers::begin(&mut unit.tx, programme_id, STAGES[0], cause).await?)
}

/// Scores one page; a page that is not full goes on with the next stage, so a small programme is done at once. False
/// when nothing is left.
pub async fn step(unit: &mut Unit, schemes: &Programmes, programme_id: &ProgrammeId) -> Result<bool> {
    scores::lock_programme(&mut unit.tx, programme_id, false).await?;
    let Some(marker) = markers::lock(&mut unit.tx, programme_id).await? else { return Ok(false) };
    let cause = Cause { id: marker.cause, at: marker.caused_at };
    let first = STAGES.iter().position(|stage| *stage == marker.stage).unwrap_or_default();
    let mut after = marker.done_until;
    for stage in &STAGES[first..] {
        let (touched, last, full) = page(unit, programme_id, stage, &after, &cause).await?;
        recompute::run(unit, schemes, programme_id, touched).await?;
        if full {
            markers::move_on(&mut unit.tx, programme_id, stage, &last).await?;
            return Ok(true);
        }
        after.clear();
    }
    markers::end(&mut unit.tx, programme_id).await?;
    Ok(false)
}

/// The next page of a stage: whom to score, the last id, and whether there may be more.
async fn page(
    unit: &mut Unit,
    programme_id: &ProgrammeId,
    stage: &str,
    after: &str,
    cause: &Cause,
) -> Result<(Touched, String, bool)> {
    let everywhere = (None, None, cause.at);
    let (tx, reach) = (&mut unit.tx, &unit.reach);
    let mut touched = Touched::default();
    let (found, last) = match stage {
        "trainees" => {
            let people = lists::all_trainees(tx, reach, programme_id, after, RESCORE_PAGE).await?;
            people.iter().for_each(|person_id| touched.trainee(person_id, cause));
            (people.len(), people.last().map(PersonId::to_string))
        }
        "tutors" => {
            let people = lists::all_tutors(tx, reach, programme_id, after, RESCORE_PAGE).await?;
            people.iter().for_each(|person_id| touched.tutor(person_id, cause));
            (people.len(), people.last().map(PersonId::to_string))
        }
        _ => {
            let codes =
                stored_counties::counties(tx, reach, programme_id, everywhere, after, RESCORE_PAGE).await?;
            codes.iter().for_each(|county_code| touched.county(*county_code, cause, None));
            (codes.len(), codes.last().map(RegionCode::to_string))
        }
    };
    let full = i64::try_from(found).unwrap_or(i64::MAX) >= RESCORE_PAGE;
    Ok((touched, last.unwrap_or_default(), full))
}

/// Scores everybody who is due; returns when nobody is left.
///
/// # Errors
/// What the database does.
pub async fn finish_due(kit: &Kit, schemes: &Programmes) -> Result<()> {
    let looking = kit.retry(|| async {
        let mut tx = kit.database().begin_read().await?;
        let programmes = due::programmes(&mut tx, PROGRAMMES_PER_ROUND).await?;
        tx.rollback().await?;
        Ok::<_, Error>(programmes)
    });
    for programme_id in looking.await? {
        loop {
            let more = kit
                .write_by_itself("due", |mut unit| {
                    let programme_id = programme_id.clone();
                    async move {
                        let more = recompute::run_due(&mut unit, schemes, &programme_id).await?;
                        Ok((unit, more))
                    }
                })
                .await?;
            if !more {
                break;
            }
        }
    }
    Ok(())
}

/// Scores everything that waits for it; returns when nothing is left.
///
/// # Errors
/// What the database does.
pub async fn finish(kit: &Kit, schemes: &Programmes) -> Result<()> {
    let looking = kit.retry(|| async {
        let mut tx = kit.database().begin_read().await?;
        let programmes = markers::programmes(&mut tx, PROGRAMMES_PER_ROUND).await?;
        tx.rollback().await?;
        Ok::<_, Error>(programmes)
    });
    for programme_id in looking.await? {
        loop {
            let more = kit
                .write_by_itself("rescore", |mut unit| {
                    let programme_id = programme_id.clone();
                    async move {
                        let more = step(&mut unit, schemes, &programme_id).await?;
                        Ok((unit, more))
                    }
                })
                .await?;
            if !more {
                break;
            }
        }
    }
    Ok(())
}

/// Does both until shutdown, whenever nothing more is being caught up with.
pub async fn run(kit: Kit, schemes: Programmes, behind: Behind, shutdown: Shutdown) {
    let mut listener = kit.wake().listener();
    let mut heard = behind.heard();
    while !shutdown.has_begun() {
        let scoring = async {
            heard.quiet().await;
            finish(&kit, &schemes).await?;
            finish_due(&kit, &schemes).await
        };
        tokio::select! {
            () = shutdown.begun() => return,
            finished = scoring => {
                if let Err(error) = finished {
                    tracing::error!(%error, "scoring anew failed, it will be tried again");
                }
            }
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = heard.any() => {}
            _ = listener.wait(POLL) => {}
        }
    }
}
