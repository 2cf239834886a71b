//! The raw limit: what the same machine, disk and kind of database do for plain statements in the same run.
//!
//! To add a limit: its statement in `store.rs`, its loop here, and its place beside the hot path in `paths.rs`.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use shipei_store::Database;

use super::{
    drive::{alone, at_once},
    report::Rate,
    shape::{self, Shape},
    store,
};

/// People of one transaction of the raw import.
const PEOPLE_PER_TRANSACTION: u64 = 1_000;
/// The most bare syncs that are timed.
const SYNCS_MAX: u64 = 200;
/// What each of them appends, bytes: a page of SQLite.
const SYNC_BYTES: usize = 4_096;

/// Heartbeats that bulk upserts could carry: a transaction for each message, one after the other.
pub(crate) async fn bulk_study(database: &Database, shape: Shape, time: Duration) -> Result<Rate> {
    let began = Instant::now();
    let mut beats = 0;
    for number in shape.messages() {
        if began.elapsed() >= time {
            break;
        }
        let rows: Vec<store::Study> = shape
            .learners_of(number)
            .map(|learner| {
                let (session, course, last_seq) = shape.place(learner, shape.first_beat(number));
                store::Study { person: shape::person(learner), course, session, last_seq }
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
        async move { store::insert_one(&database, number.cast_signed(), &shape::person(number)).await }
    })
    .await
}

/// The same one after the other, by their median.
pub(crate) async fn lone_rows(
    database: &Database,
    numbers: std::ops::Range<u64>,
    time: Duration,
) -> Result<Rate> {
    alone(numbers, time, async |number| {
        store::insert_one(database, number.cast_signed(), &shape::person(number)).await
    })
    .await
}

/// People inserted in bulk, a transaction for each thousand.
pub(crate) async fn people(database: &Database, count: u64) -> Result<Rate> {
    store::create_people(database).await?;
    let began = Instant::now();
    let mut first = 0;
    while first < count {
        let end = (first + PEOPLE_PER_TRANSACTION).min(count);
        let people: Vec<String> = (first..end).map(shape::person).collect();
        store::insert_people(database, &people).await?;
        first = end;
    }
    Ok(Rate { count, took: began.elapsed() })
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
