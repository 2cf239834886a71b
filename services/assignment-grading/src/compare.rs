//! Works compared with each other, a few at a time, in the background: no call waits for it, and what it finds changes no score. A killed
//! instance goes on where it stopped; of several instances one has the turn.

use std::{sync::Arc, time::Duration};

use shipei_service_kit::{Error, Kit, Result, Shutdown, Unit};
use shipei_store::crypto::jitter;
use tokio::time::Instant;

use crate::domain::similarity::{Compared, PERCENT_MIN};
use crate::store::similarity as store;

/// The most works that one transaction compares.
const WORKS_PER_STEP: i64 = 20;
/// And the most bytes of their texts, but of one work at least: a transaction is to be short.
const BYTES_PER_STEP: usize = 100_000;
/// With how many works of each band a work is compared: of a text that thousands have copied some are enough.
const CANDIDATES_PER_BAND: i64 = 10;
/// So many of those are read at a time: each may be of 200,000 characters.
const CANDIDATES_PER_READ: usize = 8;
/// How often it is looked for works. Nothing wakes us: it may wait, and whoever writes is not to wait for it.
const POLL: Duration = Duration::from_secs(1);
/// A pause behind each transaction, of so many times what that took: those who hand in work now come first.
const PAUSE_FACTOR: u32 = 2;
/// But no longer than this.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Compares the next works; false when none was left, or another instance is at it.
async fn step(unit: &mut Unit) -> Result<bool> {
    if !store::take_turn(&mut unit.tx).await? {
        return Ok(false);
    }
    let works = store::next_works(&mut unit.tx, WORKS_PER_STEP).await?;
    let mut bytes = 0;
    for work in &works {
        compare(unit, work).await?;
        store::note_compared(&mut unit.tx, work).await?;
        bytes += work.text.len();
        if bytes >= BYTES_PER_STEP {
            break;
        }
    }
    Ok(!works.is_empty())
}

/// Compares a work with those that share a band with it.
async fn compare(unit: &mut Unit, work: &store::Work) -> Result<()> {
    let text = work.text.clone();
    let (own, bands) = apart(move || {
        let own = Compared::new(&text);
        let bands = own.bands();
        (own, bands)
    })
    .await?;
    if !own.is_enough() {
        return Ok(());
    }
    let ids = store::candidates(&mut unit.tx, work, &bands, CANDIDATES_PER_BAND).await?;
    store::insert_bands(&mut unit.tx, work, &bands).await?;
    let own = Arc::new(own);
    for ids in ids.chunks(CANDIDATES_PER_READ) {
        let mut others = store::works_by_id(&mut unit.tx, &work.programme_id, ids).await?;
        others.retain(|other| other.person_id != work.person_id);
        let own = Arc::clone(&own);
        let found = apart(move || {
            let measured = others
                .into_iter()
                .map(|other| (own.percent(&Compared::new(&other.text)), other.submission_id));
            measured.filter(|(percent, _)| *percent >= PERCENT_MIN).collect::<Vec<_>>()
        })
        .await?;
        for (percent, other_id) in found {
            let both = (&work.submission_id, &other_id);
            store::insert_similar(&mut unit.tx, &work.programme_id, both, percent).await?;
        }
    }
    Ok(())
}

/// Long texts are read on a thread of their own.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

/// Compares whatever waits for it; returns when nothing is left.
async fn finish(kit: &Kit) -> Result<()> {
    // Nothing is written to find that there is nothing to do, which is so nearly always.
    let looking = kit.retry(|| async {
        let mut tx = kit.database().begin_read().await?;
        let waiting = store::next_works(&mut tx, 1).await?;
        tx.rollback().await?;
        Ok::<_, Error>(!waiting.is_empty())
    });
    let mut is_more = looking.await?;
    while is_more {
        let begun = Instant::now();
        let comparing = kit.write_by_itself("works compared", |mut unit| async move {
            let is_more = step(&mut unit).await?;
            Ok((unit, is_more))
        });
        is_more = comparing.await?;
        tokio::time::sleep((begun.elapsed() * PAUSE_FACTOR).min(PAUSE_MAX)).await;
    }
    Ok(())
}

/// Does so until shutdown.
pub(crate) async fn run(kit: Kit, shutdown: Shutdown) {
    while !shutdown.has_begun() {
        tokio::select! {
            () = shutdown.begun() => return,
            finished = finish(&kit) => {
                if let Err(error) = finished {
                    tracing::error!(%error, "works could not be compared, it will be tried again");
                }
            }
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(jitter(POLL)) => {}
        }
    }
}
