//! The raw limit: what the same machine, disk and kind of database do for plain statements in the same run.
//!
//! Also the two drivers that both sides share, so that they are bounded and timed alike. To add a limit: its
//! statement in `store.rs`, its loop here, and its place beside the hot path in `mod.rs`.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use shipei_store::Database;
use tokio::task::JoinSet;

use super::{load, report::Rate, store};

/// The most bare syncs that are timed.
const SYNCS_MAX: u64 = 200;
/// What each of them appends, bytes: a page of SQLite.
const SYNC_BYTES: usize = 4_096;

/// Runs `act` for these numbers, all of them or until the time is over, so many at once.
pub(crate) async fn at_once<F, Fut>(
    numbers: std::ops::Range<u64>,
    workers: u64,
    time: Duration,
    act: F,
) -> Result<Rate>
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicU64::new(numbers.start));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (next, act, end) = (Arc::clone(&next), act.clone(), numbers.end);
        tasks.spawn(async move {
            let mut done = 0;
            while began.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    break;
                }
                act(number).await?;
                done += 1;
            }
            Ok::<u64, anyhow::Error>(done)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done.context("a worker of the bench died")??;
    }
    Ok(Rate { count, took: began.elapsed() })
}

/// Heartbeats that bulk upserts could carry: a transaction for each message, one after the other.
pub(crate) async fn bulk_study(database: &Database, shape: load::Shape, time: Duration) -> Result<Rate> {
    let began = Instant::now();
    let mut beats = 0;
    for number in 0..load::MESSAGES_MAX {
        if began.elapsed() >= time {
            break;
        }
        let rows: Vec<store::Study> = shape
            .learners_of(number)
            .map(|learner| {
                let (session, course, last_seq) = shape.place(learner, shape.first_beat(number));
                store::Study { person: load::person(learner), course, session, last_seq }
            })
            .collect();
        beats += rows.len() as u64 * shape.beats_each;
        store::upsert_study(database, &rows).await?;
    }
    Ok(Rate { count: beats, took: began.elapsed() })
}

/// Transactions of one row each, so many at once; no two measurements share numbers.
pub(crate) async fn single_rows(
    database: &Database,
    numbers: std::ops::Range<u64>,
    workers: u64,
    time: Duration,
) -> Result<Rate> {
    let database = database.clone();
    at_once(numbers, workers, time, move |number| {
        let database = database.clone();
        async move { store::insert_one(&database, number.cast_signed(), &load::person(number)).await }
    })
    .await
}

/// Rows read in pages, over and over.
pub(crate) async fn pages(database: &Database, rows_max: u64, time: Duration) -> Result<Rate> {
    let began = Instant::now();
    let mut count = 0;
    let mut after = String::new();
    while began.elapsed() < time && count < rows_max {
        let (rows, last) = store::read_learners(database, &after).await?;
        ensure!(rows > 0 || !after.is_empty(), "the raw table is empty");
        count += rows;
        after = last;
    }
    Ok(Rate { count, took: began.elapsed() })
}

/// Appends and syncs in a folder without any database.
pub(crate) async fn syncs(folder: &Path, time: Duration) -> Result<Rate> {
    let path = folder.join("bench.sync");
    tokio::task::spawn_blocking(move || {
        let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let page = [0_u8; SYNC_BYTES];
        let began = Instant::now();
        let mut count = 0;
        while count < SYNCS_MAX && began.elapsed() < time {
            file.write_all(&page)?;
            file.sync_data()?;
            count += 1;
        }
        Ok(Rate { count, took: began.elapsed() })
    })
    .await?
}
