//! Everybody's study read anew after a course changed: page by page, each page one transaction with a marker of how far it has come, so
//! that a killed instance goes on where it stopped. Until the marker is gone what is said of phases and courses may be behind
//! (`settling` of EventFeed.GetHead).
//!
//! Why in the background: a province has a million learners, whose study no call can wait for.

use std::time::Duration;

use shipei_mirror::Programmes;
use shipei_rules::ids::ProgrammeId;
use shipei_rules::vocabulary::Role;
use shipei_service_kit::{Error, Kit, Result, Shutdown, Unit};

use crate::catalogue::Catalogues;
use crate::store::anew as store;
use crate::united;
use crate::whole::Study;

/// How many learners one transaction reads.
const LEARNERS_PER_PAGE: i64 = 100;
/// The most programmes that are looked at in one round.
const PROGRAMMES_PER_ROUND: i64 = 100;
/// How often it is looked for work when nothing wakes us.
const POLL: Duration = Duration::from_secs(2);

/// Reads one page anew; false when nothing is left, or another instance is at it.
async fn step(
    unit: &mut Unit,
    programmes: &Programmes,
    catalogues: &Catalogues,
    programme_id: &ProgrammeId,
) -> Result<bool> {
    let Some(after) = store::take(&mut unit.tx, programme_id).await? else { return Ok(false) };
    let learners = store::learners(&mut unit.tx, programme_id, &after, LEARNERS_PER_PAGE).await?;
    for person_id in &learners {
        // Who was removed meanwhile is nobody, of whom nothing is scored.
        let member = shipei_mirror::member(&mut unit.tx, programme_id, Role::Trainee, person_id).await?;
        let Some(member) = member else { continue };
        let mut study = Study::load(&mut unit.tx, programmes, catalogues, programme_id, member).await?;
        study.read_anew(unit).await?;
    }
    match learners
        .last()
        .filter(|_| i64::try_from(learners.len()).is_ok_and(|read| read == LEARNERS_PER_PAGE))
    {
        Some(last) => {
            store::move_on(&mut unit.tx, programme_id, last).await?;
            Ok(true)
        }
        None => {
            store::end(&mut unit.tx, programme_id).await?;
            Ok(false)
        }
    }
}

/// Reads anew whatever waits for it; returns when nothing is left.
async fn finish(kit: &Kit, programmes: &Programmes, catalogues: &Catalogues) -> Result<()> {
    let looking = kit.retry(|| async {
        let mut tx = kit.database().begin_read().await?;
        let waiting = store::programmes(&mut tx, PROGRAMMES_PER_ROUND).await?;
        tx.rollback().await?;
        Ok::<_, Error>(waiting)
    });
    for programme_id in looking.await? {
        loop {
            let more = kit
                .write_by_itself("study read anew", |mut unit| {
                    let programme_id = programme_id.clone();
                    async move {
                        let more = step(&mut unit, programmes, catalogues, &programme_id).await?;
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

/// Reads anew everybody after a course changed, and whoever has several ids after anything of them did.
async fn finish_all(kit: &Kit, programmes: &Programmes, catalogues: &Catalogues) -> Result<()> {
    finish(kit, programmes, catalogues).await?;
    united::finish(kit, programmes, catalogues).await
}

/// Does so until shutdown.
pub(crate) async fn run(kit: Kit, programmes: Programmes, catalogues: Catalogues, shutdown: Shutdown) {
    let mut listener = kit.wake().listener();
    while !shutdown.has_begun() {
        tokio::select! {
            () = shutdown.begun() => return,
            finished = finish_all(&kit, &programmes, &catalogues) => {
                if let Err(error) = finished {
                    tracing::error!(%error, "study could not be read anew, it will be tried again");
                }
            }
        }
        tokio::select! {
            () = shutdown.begun() => return,
            _ = listener.wait(POLL) => {}
        }
    }
}
