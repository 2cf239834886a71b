//! Cases about the event log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::chain::holds;
use super::samples::{event, instant, partition, record};
use crate::event_log::{self, EXAMINED_PER_READ};
use crate::idempotency;
use crate::months::{self, Month};
use crate::tree::{self, Lying};
use crate::{
    Database, LogPosition, NewEvent, Partition, Positions, StoreError, StoredEvent, execute, fetch_all,
};

/// Writers that append at once, and the transactions of each.
const WRITERS: u64 = 16;
const TRANSACTIONS_PER_WRITER: u64 = 40;

fn subjects(events: &[StoredEvent]) -> Vec<&str> {
    events.iter().map(|event| event.subject.as_str()).collect()
}

async fn append(database: &Database, events: &[NewEvent]) -> Result<Vec<LogPosition>, StoreError> {
    let mut tx = database.begin_write().await?;
    let places = event_log::conclude(&mut tx, events, &[], instant(2)).await?;
    tx.commit().await?;
    Ok(places)
}

pub(super) async fn appended_events_come_back(database: &Database) -> Result<(), StoreError> {
    let (one, two) = (partition(9), partition(3));
    let events = [event(one, "a"), event(two, "b"), event(one, "c")];
    assert_eq!(append(database, &[]).await?, []);
    let places = append(database, &events).await?;
    let expected = [(one, 1), (two, 1), (one, 2)];
    assert_eq!(places, expected.map(|(partition, number)| LogPosition { partition, number }));
    let mut tx = database.begin_read().await?;
    let heads = event_log::heads(&mut tx).await?;
    assert_eq!(heads.iter().collect::<Vec<_>>(), [(two, 1), (one, 2)]);
    let batch = event_log::read_after(&mut tx, one, 0, 10, &[], &[]).await?;
    assert_eq!(batch.reached, 2);
    let new = &events[0];
    let stored = StoredEvent {
        position: places[0],
        recorded_at: instant(2),
        kind: new.kind.clone(),
        programme: new.programme.clone(),
        subject: new.subject.clone(),
        version: 1,
        region: new.region.clone(),
        occurred_at: new.occurred_at,
        actor: new.actor.clone(),
        address: String::new(),
        cause: new.cause.clone(),
        trace: new.trace.clone(),
        transaction_size: 1,
        transaction_place: 1,
        data: new.data.clone(),
        fact_id: new.fact_id.clone(),
        link: batch.events[0].link,
    };
    assert_eq!(batch.events[0], stored);
    assert_eq!(event_log::fact(&mut tx, "fact-a").await?, Some(stored));
    assert_eq!(event_log::fact(&mut tx, "fact-x").await?, None);
    assert_eq!(subjects(&batch.events), ["a", "c"]);
    let batch = event_log::read_after(&mut tx, one, 0, 1, &[], &[]).await?;
    assert_eq!((subjects(&batch.events), batch.reached), (vec!["a"], 1));
    for (after, limit) in [(2, 10), (5, 10), (0, 0)] {
        let batch = event_log::read_after(&mut tx, one, after, limit, &[], &[]).await?;
        assert_eq!((batch.events.len(), batch.reached), (0, after));
    }
    tx.rollback().await
}

/// What one command leaves goes in one round trip, and is kept together or not at all.
pub(super) async fn event_and_its_record_are_kept_together(database: &Database) -> Result<(), StoreError> {
    let place = partition(9);
    append(database, &[event(place, "a"), event(place, "b")]).await?;
    let mut tx = database.begin_write().await?;
    let places = event_log::conclude(&mut tx, &[event(place, "a")], &[record("r1")], instant(3)).await?;
    tx.commit().await?;
    assert_eq!(places, [LogPosition { partition: place, number: 3 }]);
    let mut tx = database.begin_write().await?;
    let again = event_log::conclude(&mut tx, &[event(place, "c")], &[record("r1")], instant(4)).await;
    let Err(error) = again else { panic!("one request id has two records") };
    assert_eq!(error.unique_violation(), Some("request_record_pkey"));
    drop(tx);
    let mut tx = database.begin_read().await?;
    let batch = event_log::read_after(&mut tx, place, 0, 10, &[], &[]).await?;
    let last = &batch.events[2];
    assert_eq!((batch.reached, last.version, last.recorded_at), (3, 2, instant(3)));
    assert_eq!(
        last,
        &StoredEvent {
            position: places[0],
            recorded_at: instant(3),
            version: 2,
            link: last.link,
            ..batch.events[0].clone()
        }
    );
    assert_eq!(idempotency::find_all(&mut tx, &["r1"]).await?, [record("r1")]);
    tx.rollback().await
}

/// By programme and subject, whatever the partition and the transaction.
pub(super) async fn subject_has_versions_without_a_gap(database: &Database) -> Result<(), StoreError> {
    let (one, two) = (partition(9), partition(3));
    append(database, &[event(one, "a"), event(two, "a"), event(one, "b")]).await?;
    let elsewhere = NewEvent { programme: "p2027".to_owned(), ..event(one, "a") };
    append(database, &[event(one, "b"), elsewhere, event(one, "a")]).await?;
    let mut tx = database.begin_read().await?;
    let batch = event_log::read_after(&mut tx, one, 0, 10, &[], &[]).await?;
    let read: Vec<(&str, &str, i64)> = batch
        .events
        .iter()
        .map(|event| (event.programme.as_str(), event.subject.as_str(), event.version))
        .collect();
    let expected = [("P", "a", 1), ("P", "b", 1), ("P", "b", 2), ("p2027", "a", 1), ("P", "a", 3)];
    assert_eq!(read, expected);
    tx.rollback().await
}

/// Whatever the clocks of those who append say.
pub(super) async fn time_never_goes_back_within_a_partition(database: &Database) -> Result<(), StoreError> {
    let all = [partition(1), partition(2), partition(3)];
    for (micros, partitions) in [(50, &all[..]), (10, &all[..1]), (20, &all[..]), (60, &all[1..])] {
        let events: Vec<NewEvent> = partitions.iter().map(|partition| event(*partition, "a")).collect();
        let mut tx = database.begin_write().await?;
        event_log::conclude(&mut tx, &events, &[], instant(micros)).await?;
        tx.commit().await?;
    }
    let mut tx = database.begin_read().await?;
    for (partition, expected) in [(all[0], vec![50, 50, 50]), (all[1], vec![50, 50, 60])] {
        let batch = event_log::read_after(&mut tx, partition, 0, 10, &[], &[]).await?;
        let recorded: Vec<DateTime<Utc>> = batch.events.iter().map(|event| event.recorded_at).collect();
        assert_eq!(recorded, expected.into_iter().map(instant).collect::<Vec<_>>());
    }
    tx.rollback().await
}

/// Only Postgres has months; SQLite answers that it has none.
pub(super) async fn month_of_the_log_can_be_dropped(database: &Database) -> Result<(), StoreError> {
    let (place, old) = (partition(5), instant(0));
    let new = old + TimeDelta::days(40);
    for at in [old, new] {
        assert_eq!(months::prepare(database, Month::of(at)).await?, database.is_postgres());
        assert!(!months::prepare(database, Month::of(at)).await?);
        let mut tx = database.begin_write().await?;
        event_log::append(&mut tx, &[event(place, "a")], at).await?;
        tx.commit().await?;
    }
    // A month that nobody has made takes its events all the same.
    let mut tx = database.begin_write().await?;
    event_log::append(&mut tx, &[event(place, "a")], new + TimeDelta::days(400)).await?;
    tx.commit().await?;
    assert_eq!(months::drop_month(database, Month::of(old)).await?, database.is_postgres());
    assert!(!months::drop_month(database, Month::of(new + TimeDelta::days(400))).await?);

    let mut tx = database.begin_read().await?;
    let (left, gone) = if database.is_postgres() { (vec![2, 3], 1) } else { (vec![1, 2, 3], 0) };
    assert_eq!(event_log::dropped(&mut tx).await?.get(place), gone);
    if gone > 0 {
        // Who would miss one is told so; who stands at the last one that is gone stands where it stood.
        let missed = event_log::read_after(&mut tx, place, 0, 10, &[], &[]).await;
        assert!(matches!(missed, Err(StoreError::EventsDropped { number: 1, .. })), "{missed:?}");
        let mut at_the_end = Positions::new();
        at_the_end.set(place, gone);
        assert!(event_log::marks_at(&mut tx, &at_the_end).await?.is_some());
    }
    let batch = event_log::read_after(&mut tx, place, gone, 10, &[], &[]).await?;
    assert_eq!(batch.events.iter().map(|event| event.position.number).collect::<Vec<_>>(), left);
    assert_eq!((batch.events[0].version, batch.reached), (left[0], 3));
    let months = months::list(&mut tx).await?;
    assert_eq!(months, if database.is_postgres() { vec![Month::of(new)] } else { Vec::new() });
    tx.rollback().await
}

/// What a command wrote that fell is gone, and what the others wrote stays.
pub(super) async fn savepoint_keeps_what_was_before_it(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    let write = "INSERT INTO request_record (request_id, method, digest, outcome, recorded_at) VALUES ($1, 'm', $2, $2, $3)";
    execute!(tx, write, "first", b"x".as_slice(), instant(1))?;
    tx.savepoint().await?;
    execute!(tx, write, "second", b"x".as_slice(), instant(1))?;
    assert!(execute!(tx, write, "first", b"x".as_slice(), instant(1)).is_err());
    tx.back_to_savepoint().await?;
    execute!(tx, write, "third", b"x".as_slice(), instant(1))?;
    tx.move_savepoint().await?;
    execute!(tx, write, "fourth", b"x".as_slice(), instant(1))?;
    tx.back_to_savepoint().await?;
    tx.commit().await?;
    let mut tx = database.begin_read().await?;
    let sql = "SELECT request_id FROM request_record ORDER BY request_id";
    let kept = fetch_all!(tx, (String,), sql)?;
    assert_eq!(kept, [("first".to_owned(),), ("third".to_owned(),)]);
    tx.rollback().await
}

pub(super) async fn rolled_back_numbers_are_given_again(database: &Database) -> Result<(), StoreError> {
    let place = partition(0);
    append(database, &[event(place, "a")]).await?;
    let mut tx = database.begin_write().await?;
    let lost = event_log::append(&mut tx, &[event(place, "lost"), event(place, "lost")], instant(2)).await?;
    assert_eq!(lost[1].number, 3);
    tx.rollback().await?;
    assert_eq!(append(database, &[event(place, "b")]).await?[0].number, 2);
    let mut tx = database.begin_read().await?;
    let batch = event_log::read_after(&mut tx, place, 0, 10, &[], &[]).await?;
    assert_eq!(subjects(&batch.events), ["a", "b"]);
    tx.rollback().await
}

pub(super) async fn filtered_read_moves_past_unwanted_events(database: &Database) -> Result<(), StoreError> {
    let place = partition(1);
    let count = EXAMINED_PER_READ + 100;
    let mut events: Vec<NewEvent> = (1..=count).map(|number| event(place, &number.to_string())).collect();
    events[4].kind = "shipei.test.v1.Other".to_owned();
    events[6].kind = "shipei.test.v1.Other".to_owned();
    events[6].region = "130402".to_owned();
    events[8].region = "130629".to_owned();
    events[9].region = "130629".to_owned();
    events[9].occurred_at = instant(9);
    let last = events.len() - 1;
    events[last].region = String::new();
    events[last].kind = "shipei.test.v1.Other".to_owned();
    append(database, &events).await?;
    let mut tx = database.begin_write().await?;
    let under = |from, above: &str| Lying::under(from, [above.to_owned()]);
    tree::put(&mut tx, "P", "130302", &[under(None, "130300")]).await?;
    tree::put(&mut tx, "P", "130402", &[under(None, "130400")]).await?;
    tree::put(&mut tx, "P", "130629", &[under(None, "133100"), under(Some(instant(9)), "130600")]).await?;
    tx.commit().await?;
    let others = ["shipei.test.v1.Other".to_owned(), "shipei.test.v1.Nothing".to_owned()];
    let mut tx = database.begin_read().await?;
    let batch = event_log::read_after(&mut tx, place, 0, 10, &others, &[]).await?;
    assert_eq!((subjects(&batch.events), batch.reached), (vec!["5", "7"], EXAMINED_PER_READ));
    let batch = event_log::read_after(&mut tx, place, batch.reached, 10, &others, &[]).await?;
    assert_eq!((subjects(&batch.events), batch.reached), (vec![count.to_string().as_str()], count));
    let batch = event_log::read_after(&mut tx, place, 0, 2, &others, &[]).await?;
    assert_eq!((subjects(&batch.events), batch.reached), (vec!["5", "7"], 7));
    let regions = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<String>>();
    let batch = event_log::read_after(&mut tx, place, 0, 10, &[], &regions(&["130400"])).await?;
    assert_eq!(subjects(&batch.events), ["7"]);
    let batch =
        event_log::read_after(&mut tx, place, 0, 10, &others, &regions(&["130302", "130400"])).await?;
    assert_eq!(subjects(&batch.events), ["5", "7"]);
    // By the tree and by the time of each event, never by digits.
    for (code, expected) in
        [("133100", vec!["9"]), ("130600", vec!["10"]), ("130629", vec!["9", "10"]), ("1306", vec![])]
    {
        let batch = event_log::read_after(&mut tx, place, 0, 10, &[], &regions(&[code])).await?;
        assert_eq!(subjects(&batch.events), expected, "{code}");
    }
    tx.rollback().await
}

pub(super) async fn append_to_all_partitions_is_one_batch(database: &Database) -> Result<(), StoreError> {
    let mut events = Vec::new();
    for round in 0..3 {
        for place in Partition::all().rev() {
            events.push(event(place, &round.to_string()));
        }
    }
    for batch in 0..2 {
        let places = append(database, &events).await?;
        for (number, place) in places.iter().enumerate() {
            assert_eq!(place.number, batch * 3 + number as i64 / 64 + 1);
        }
    }
    let mut tx = database.begin_read().await?;
    let heads = event_log::heads(&mut tx).await?;
    assert!(Partition::all().all(|place| heads.get(place) == 6));
    tx.rollback().await
}

/// 16 writers append to few partitions in transactions of different lengths, and some of them roll back; a reader that
/// only ever asks for "everything after" must see every committed event once, in order, without a gap.
pub(super) async fn concurrent_appends_miss_nothing(database: &Database) -> Result<(), StoreError> {
    let running = Arc::new(AtomicUsize::new(WRITERS as usize));
    let reader = tokio::spawn(read_to_the_end(database.clone(), Arc::clone(&running)));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (database, running) = (database.clone(), Arc::clone(&running));
        writers.push(tokio::spawn(async move {
            let written = write_some(&database, writer).await;
            running.fetch_sub(1, Ordering::SeqCst);
            written
        }));
    }
    let mut committed = BTreeSet::new();
    for writer in join_all(writers).await {
        for (place, subject) in writer.unwrap_or_else(|error| panic!("{error}"))? {
            assert!(committed.insert((place, subject)), "{place:?} was given twice");
        }
    }
    let seen = reader.await.unwrap_or_else(|error| panic!("{error}"))?;
    assert!(committed.len() > 1000, "{} events", committed.len());
    assert_eq!(seen.len(), committed.len());
    assert!(seen == committed, "the reader saw other events than were committed");
    assert_eq!(holds(database).await?, i64::try_from(seen.len()).unwrap_or_default());
    Ok(())
}

async fn write_some(database: &Database, writer: u64) -> Result<Vec<(LogPosition, String)>, StoreError> {
    let mut written = Vec::new();
    for round in 0..TRANSACTIONS_PER_WRITER {
        let mut events = Vec::new();
        for number in 0..1 + (writer + round) % 6 {
            // Ascending for some writers, descending for others: append must bring the heads into one order.
            let step = if writer.is_multiple_of(2) { number } else { 5 - number };
            let place = partition(((round + step * 7) % 9) as i64);
            events.push(event(place, &format!("{writer}/{round}/{number}")));
        }
        let rolls_back = (writer * 7 + round).is_multiple_of(4);
        let places = database
            .retry(|| async {
                let mut tx = database.begin_write().await?;
                execute!(
                    tx,
                    "INSERT INTO item (county, code, amount, active) VALUES ('c', $1, 0, TRUE)",
                    format!("{writer}/{round}")
                )?;
                let record = record(&format!("{writer}/{round}"));
                let places = event_log::conclude(&mut tx, &events, &[record], instant(2)).await?;
                for _ in 0..(writer * round) % 5 {
                    tokio::task::yield_now().await;
                }
                if rolls_back {
                    drop(tx);
                    return Ok::<Vec<LogPosition>, StoreError>(Vec::new());
                }
                tx.commit().await?;
                Ok(places)
            })
            .await?;
        written.extend(places.into_iter().zip(events.into_iter().map(|event| event.subject)));
    }
    Ok(written)
}

async fn read_to_the_end(
    database: Database,
    running: Arc<AtomicUsize>,
) -> Result<BTreeSet<(LogPosition, String)>, StoreError> {
    let mut seen = BTreeSet::new();
    let mut reached = Positions::new();
    loop {
        let is_last = running.load(Ordering::SeqCst) == 0;
        let mut tx = database.begin_read().await?;
        let heads = event_log::heads(&mut tx).await?;
        assert!(heads.covers(&reached), "a head went back");
        for place in heads.ahead_of(&reached) {
            let batch =
                event_log::read_after(&mut tx, place, reached.get(place), usize::MAX, &[], &[]).await?;
            for event in batch.events {
                assert_eq!(event.position.number, reached.get(place) + 1, "a gap in {place:?}");
                reached.set(place, event.position.number);
                seen.insert((event.position, event.subject));
            }
            assert_eq!(batch.reached, reached.get(place));
        }
        tx.rollback().await?;
        if is_last {
            return Ok(seen);
        }
    }
}

pub(super) async fn mark_tells_events_of_one_place_apart(database: &Database) -> Result<(), StoreError> {
    let place = Partition::of("130302");
    let mut tx = database.begin_write().await?;
    event_log::append(&mut tx, &[event(place, "lost")], instant(1)).await?;
    let lost = event_log::read_after(&mut tx, place, 0, 10, &[], &[]).await?;
    tx.rollback().await?;
    let mut tx = database.begin_write().await?;
    event_log::append(&mut tx, &[event(place, "kept")], instant(1)).await?;
    let kept = event_log::read_after(&mut tx, place, 0, 10, &[], &[]).await?;
    assert_eq!((lost.reached, kept.reached), (1, 1));
    assert_ne!(lost.mark, kept.mark);
    // What was filtered out marks its place too.
    let filtered = event_log::read_after(&mut tx, place, 0, 10, &["test.Other".to_owned()], &[]).await?;
    assert_eq!((filtered.events.len(), filtered.mark), (0, kept.mark));
    let at_place = |number| LogPosition { partition: place, number };
    assert_eq!(event_log::mark_at(&mut tx, at_place(1)).await?, Some(kept.mark));
    assert_eq!(event_log::mark_at(&mut tx, at_place(2)).await?, None);
    tx.rollback().await
}

pub(super) async fn epoch_stays(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_read().await?;
    let epoch = event_log::epoch(&mut tx).await?;
    tx.rollback().await?;
    assert_eq!(epoch.len(), 32);
    database.migrate(&super::migrator()).await?;
    let mut tx = database.begin_read().await?;
    assert_eq!(event_log::epoch(&mut tx).await?, epoch);
    tx.rollback().await
}
