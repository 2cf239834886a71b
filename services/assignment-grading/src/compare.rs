//! Works compared with each other, a few at a time, in the background: no call waits for it, and what it finds changes no score. A killed
//! instance goes on where it stopped. Works are looked at while others write, and what was found is kept in one short transaction, if no other
//! instance has kept anything meanwhile.

use std::{sync::Arc, time::Duration};

use shipei_rules::ids::SubmissionId;
use shipei_service_kit::{Error, Kit, Result, Shutdown, Unit};
use shipei_store::{Tx, crypto::jitter};
use tokio::time::Instant;

use crate::domain::similarity::{BANDS, Compared, PERCENT_MIN};
use crate::store::similarity::{self as store, Work};

/// The most works that one transaction compares.
const WORKS_PER_STEP: i64 = 20;
/// And the most bytes of their texts, but of one work at least: a transaction is to be short, and so is what is kept in memory.
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

/// A work, and what was found of it.
#[derive(Debug)]
struct Found {
    work: Work,
    /// By which it is found; of a text that is too short nothing is kept.
    bands: Option<[i64; BANDS]>,
    /// With how many hundredths in common it is like which other works.
    alike: Vec<(i64, SubmissionId)>,
}

/// What is compared now, and as of which turn.
#[derive(Debug)]
struct Step {
    turn: i64,
    found: Vec<Found>,
}

/// Looks at the next works. Nothing is locked meanwhile: it takes the longer part of a step, and others write.
async fn look(tx: &mut Tx) -> Result<Step> {
    let turn = store::turn(tx).await?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    // Those of this step stand in no table yet.
    let mut earlier: Vec<(Work, [i64; BANDS], Arc<Compared>)> = Vec::new();
    for work in store::next_works(tx, WORKS_PER_STEP).await? {
        if bytes >= BYTES_PER_STEP {
            break;
        }
        bytes += work.text.len();
        let text = work.text.clone();
        let (own, bands) = apart(move || {
            let own = Compared::new(&text);
            let bands = own.bands();
            (own, bands)
        })
        .await?;
        if !own.is_enough() {
            found.push(Found { work, bands: None, alike: Vec::new() });
            continue;
        }
        let own = Arc::new(own);
        let mut alike = alike_of_before(tx, &work, (&own, &bands)).await?;
        let is_near = |(other, others, _): &&(Work, [i64; BANDS], Arc<Compared>)| {
            other.programme_id == work.programme_id
                && other.person_id != work.person_id
                && others.iter().any(|band| bands.contains(band))
        };
        let near: Vec<_> = earlier
            .iter()
            .filter(is_near)
            .map(|(other, _, compared)| (other.submission_id.clone(), Arc::clone(compared)))
            .collect();
        let measured = Arc::clone(&own);
        alike.extend(
            apart(move || {
                let percents = near.into_iter().map(|(id, other)| (measured.percent(&other), id));
                percents.filter(|(percent, _)| *percent >= PERCENT_MIN).collect::<Vec<_>>()
            })
            .await?,
        );
        earlier.push((work.clone(), bands, own));
        found.push(Found { work, bands: Some(bands), alike });
    }
    Ok(Step { turn, found })
}

/// The works of earlier steps that a work is like, of those that share a band with it.
async fn alike_of_before(
    tx: &mut Tx,
    work: &Work,
    (own, bands): (&Arc<Compared>, &[i64; BANDS]),
) -> Result<Vec<(i64, SubmissionId)>> {
    let ids = store::candidates(tx, work, bands, CANDIDATES_PER_BAND).await?;
    let mut alike = Vec::new();
    for ids in ids.chunks(CANDIDATES_PER_READ) {
        let mut others = store::works_by_id(tx, &work.programme_id, ids).await?;
        others.retain(|other| other.person_id != work.person_id);
        let own = Arc::clone(own);
        let found = apart(move || {
            let measured = others
                .into_iter()
                .map(|other| (own.percent(&Compared::new(&other.text)), other.submission_id));
            measured.filter(|(percent, _)| *percent >= PERCENT_MIN).collect::<Vec<_>>()
        });
        alike.extend(found.await?);
    }
    Ok(alike)
}

/// Keeps what was found; false when another instance has compared meanwhile, whose works these were not compared with.
async fn keep(unit: &mut Unit, step: &Step) -> Result<bool> {
    if !store::take_turn(&mut unit.tx, step.turn).await? {
        return Ok(false);
    }
    for Found { work, bands, alike } in &step.found {
        if let Some(bands) = bands {
            store::insert_bands(&mut unit.tx, work, bands).await?;
        }
        for (percent, other_id) in alike {
            let both = (&work.submission_id, other_id);
            store::insert_similar(&mut unit.tx, &work.programme_id, both, *percent).await?;
        }
    }
    // Last, since their rows are held from here on.
    for Found { work, .. } in &step.found {
        store::note_compared(&mut unit.tx, work).await?;
    }
    Ok(true)
}

/// Long texts are read on a thread of their own.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

/// Compares whatever waits for it; returns when nothing is left, or another instance is at it.
async fn finish(kit: &Kit) -> Result<()> {
    loop {
        let begun = Instant::now();
        let looking = kit.retry(|| async {
            let mut tx = kit.database().begin_read().await?;
            let step = look(&mut tx).await?;
            tx.rollback().await?;
            Ok::<_, Error>(step)
        });
        let step = Arc::new(looking.await?);
        // Nothing is written to find that there is nothing to do, which is so nearly always.
        if step.found.is_empty() {
            return Ok(());
        }
        let keeping = kit.write_by_itself("works compared", |mut unit| {
            let step = Arc::clone(&step);
            async move {
                let is_kept = keep(&mut unit, &step).await?;
                Ok((unit, is_kept))
            }
        });
        if !keeping.await? {
            return Ok(());
        }
        tokio::time::sleep((begun.elapsed() * PAUSE_FACTOR).min(PAUSE_MAX)).await;
    }
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
