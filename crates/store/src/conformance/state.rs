//! Cases about transactions, retries, cursors, request records and wakes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures::future::join_all;

use super::migrator;
use crate::idempotency::{self, RequestRecord};
use crate::retry::ATTEMPTS_MAX;
use crate::wake::Woken;
use crate::{
    Cursor, Database, Partition, Positions, StoreError, Wake, cursor, execute, fetch_one, fetch_optional,
};

const ADD_ITEM: &str = "INSERT INTO item (county, code, amount, active) VALUES ('c', $1, 0, TRUE)";

pub(super) async fn migrations_run_at_once_apply_once(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    execute!(tx, ADD_ITEM, "kept")?;
    tx.commit().await?;
    let migrator = migrator();
    for result in join_all((0..4).map(|_| database.migrate(&migrator))).await {
        result?;
    }
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item")?, (1,));
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM event_head")?, (65,));
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM log_epoch")?, (1,));
    tx.rollback().await?;
    database.check_writable().await
}

pub(super) async fn read_sees_one_state_and_cannot_write(database: &Database) -> Result<(), StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM item";
    let mut read = database.begin_read().await?;
    assert_eq!(fetch_one!(read, (i64,), COUNT)?, (0,));
    let mut write = database.begin_write().await?;
    execute!(write, ADD_ITEM, "new")?;
    write.commit().await?;
    assert_eq!(fetch_one!(read, (i64,), COUNT)?, (0,));
    assert!(execute!(read, ADD_ITEM, "forbidden").is_err());
    read.rollback().await?;
    let mut read = database.begin_read().await?;
    assert_eq!(fetch_one!(read, (i64,), COUNT)?, (1,));
    read.rollback().await
}

pub(super) async fn dropped_transaction_is_rolled_back(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    execute!(tx, ADD_ITEM, "dropped")?;
    drop(tx);
    let mut tx = database.begin_write().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item")?, (0,));
    execute!(tx, ADD_ITEM, "rolled back")?;
    tx.rollback().await?;
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item")?, (0,));
    tx.rollback().await
}

/// A caller's deadline drops the future of a write at any point.
pub(super) async fn abandoned_writes_leave_the_database_usable(
    database: &Database,
) -> Result<(), StoreError> {
    for number in 0..200_u32 {
        let write = async {
            let mut tx = database.begin_write().await?;
            execute!(tx, ADD_ITEM, format!("{number}"))?;
            execute!(tx, "UPDATE item SET amount = 1")?;
            tx.rollback().await
        };
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(number) * 10), write).await;
    }
    let mut tx = database.begin_write().await?;
    execute!(tx, ADD_ITEM, "after")?;
    tx.commit().await?;
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item")?, (1,));
    tx.rollback().await
}

pub(super) async fn retry_runs_again_only_what_may_succeed(database: &Database) -> Result<(), StoreError> {
    let lost = || StoreError::from(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
    let mut runs = 0;
    let done = database.retry(|| {
        runs += 1;
        let result = if runs < 3 { Err(lost()) } else { Ok(runs) };
        async move { result }
    });
    assert_eq!(done.await?, 3);
    let mut runs = 0;
    let failed: Result<(), StoreError> = database
        .retry(|| {
            runs += 1;
            async { Err(lost()) }
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(runs, ATTEMPTS_MAX);
    let mut runs = 0;
    let failed: Result<(), StoreError> = database
        .retry(|| {
            runs += 1;
            async { Err(StoreError::corrupt_row("t", "c", 1)) }
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(runs, 1);
    Ok(())
}

pub(super) async fn counter_of_many_writers_loses_nothing(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    execute!(tx, ADD_ITEM, "counter")?;
    tx.commit().await?;
    let mut writers = Vec::new();
    for _ in 0..16 {
        let database = database.clone();
        writers.push(tokio::spawn(async move {
            for _ in 0..5 {
                database
                    .retry(|| async {
                        let mut tx = database.begin_write().await?;
                        let sql = if tx.is_postgres() {
                            "SELECT amount FROM item WHERE code = 'counter' FOR UPDATE"
                        } else {
                            "SELECT amount FROM item WHERE code = 'counter'"
                        };
                        let (amount,) = fetch_one!(tx, (i64,), sql)?;
                        execute!(tx, "UPDATE item SET amount = $1 WHERE code = 'counter'", amount + 1)?;
                        tx.commit().await
                    })
                    .await?;
            }
            Ok::<(), StoreError>(())
        }));
    }
    for writer in join_all(writers).await {
        writer.unwrap_or_else(|error| panic!("{error}"))?;
    }
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT amount FROM item WHERE code = 'counter'")?, (80,));
    tx.rollback().await
}

pub(super) async fn cursor_moves_by_compare_and_set(database: &Database) -> Result<(), StoreError> {
    let mut positions = Positions::new();
    positions.set(Partition::of("a"), 7);
    let mut tx = database.begin_write().await?;
    assert_eq!(cursor::load(&mut tx, "enrollment", 0).await?, Cursor::default());
    assert!(cursor::advance(&mut tx, "enrollment", 0, 0, "one", &positions).await?);
    assert!(!cursor::advance(&mut tx, "enrollment", 0, 0, "again", &positions).await?);
    assert!(!cursor::advance(&mut tx, "enrollment", 0, 2, "too far", &positions).await?);
    positions.set(Partition::of("b"), 1);
    assert!(cursor::advance(&mut tx, "enrollment", 0, 1, "two", &positions).await?);
    assert!(cursor::advance(&mut tx, "enrollment", 1, 0, "other shard", &Positions::new()).await?);
    tx.commit().await?;
    let racers = join_all((0..8).map(|number| {
        let positions = &positions;
        async move {
            database
                .retry(|| async {
                    let mut tx = database.begin_write().await?;
                    let won =
                        cursor::advance(&mut tx, "enrollment", 0, 2, &format!("racer {number}"), positions)
                            .await?;
                    tx.commit().await?;
                    Ok::<bool, StoreError>(won)
                })
                .await
        }
    }));
    let mut winners = 0;
    for racer in racers.await {
        winners += u32::from(racer?);
    }
    assert_eq!(winners, 1);
    let mut tx = database.begin_read().await?;
    let cursor = cursor::load(&mut tx, "enrollment", 0).await?;
    assert_eq!((cursor.version, cursor.positions), (3, positions));
    tx.rollback().await?;
    let mut tx = database.begin_write().await?;
    execute!(tx, "UPDATE consumer_cursor SET positions = $1", b"bad".as_slice())?;
    let Err(error) = cursor::load(&mut tx, "enrollment", 0).await else { panic!("bad positions were taken") };
    assert_eq!(error.to_string(), "corrupt row: table consumer_cursor, column positions, key enrollment/0");
    tx.rollback().await
}

pub(super) async fn request_is_recorded_once(database: &Database) -> Result<(), StoreError> {
    let recorded_at = DateTime::UNIX_EPOCH + TimeDelta::microseconds(1_782_000_000_123_456);
    let record = RequestRecord {
        request_id: "r1".to_owned(),
        method: "shipei.X/Do".to_owned(),
        digest: idempotency::digest("shipei.X/Do", b"request"),
        outcome: b"answer".to_vec(),
        shows: idempotency::shown("p1", "a"),
        recorded_at,
    };
    assert_ne!(record.digest, idempotency::digest("shipei.X/D", b"orequest"));
    let mut tx = database.begin_write().await?;
    assert_eq!(idempotency::find_all(&mut tx, &["r1"]).await?, []);
    idempotency::record_all(&mut tx, std::slice::from_ref(&record)).await?;
    assert_eq!(idempotency::find_all(&mut tx, &["r0", "r1"]).await?, std::slice::from_ref(&record));
    tx.commit().await?;
    let mut tx = database.begin_write().await?;
    let Err(error) = idempotency::record_all(&mut tx, std::slice::from_ref(&record)).await else {
        panic!("recorded twice")
    };
    assert_eq!(error.unique_violation(), Some("request_record_pkey"));
    tx.rollback().await?;
    let mut tx = database.begin_write().await?;
    let later = RequestRecord {
        request_id: "r2".to_owned(),
        shows: String::new(),
        recorded_at: recorded_at + TimeDelta::days(1),
        ..record
    };
    idempotency::record_all(&mut tx, std::slice::from_ref(&later)).await?;
    // Of whom nothing is shown nothing is replaced, and nobody is everybody.
    for (shows, replaced) in [("p1/b", 0), ("", 0), ("p1/a", 1), ("p1/a", 0)] {
        assert_eq!(idempotency::replace_shown(&mut tx, shows, b"gone").await?, replaced, "{shows}");
    }
    let gone = idempotency::find_all(&mut tx, &["r1"]).await?;
    assert_eq!(gone.first().map(|record| (&record.outcome[..], &record.shows[..])), Some((&b"gone"[..], "")));
    assert_eq!(idempotency::forget_before(&mut tx, later.recorded_at, 10).await?, 1);
    assert_eq!(idempotency::find_all(&mut tx, &["r1"]).await?, []);
    assert_eq!(idempotency::find_all(&mut tx, &["r2"]).await?, [later]);
    tx.rollback().await
}

pub(super) async fn wake_between_two_waits_is_not_lost(database: &Database) -> Result<(), StoreError> {
    let never = Duration::from_secs(3600);
    let wake = Wake::new();
    let mut listener = wake.listener();
    assert_eq!(listener.wait(Duration::from_millis(2)).await, Woken::Polled);
    wake.notify();
    wake.clone().notify();
    assert_eq!(listener.wait(never).await, Woken::Notified);
    assert_eq!(listener.wait(Duration::from_millis(2)).await, Woken::Polled);
    // Another process's notifications wake everybody but those who carry this one's to it.
    let mut own = wake.own_listener();
    wake.notify_of_others();
    assert_eq!(listener.wait(never).await, Woken::Notified);
    assert_eq!(own.wait(Duration::from_millis(2)).await, Woken::Polled);
    wake.notify();
    own.notified().await;
    assert_eq!(listener.wait(never).await, Woken::Notified);
    // Committed before the notification, so seen after it.
    let writer = tokio::spawn({
        let (database, wake) = (database.clone(), wake.clone());
        async move {
            let mut tx = database.begin_write().await?;
            execute!(tx, ADD_ITEM, "new")?;
            tx.commit().await?;
            wake.notify();
            Ok::<(), StoreError>(())
        }
    });
    assert_eq!(listener.wait(never).await, Woken::Notified);
    let mut tx = database.begin_read().await?;
    assert!(fetch_optional!(tx, (i64,), "SELECT amount FROM item WHERE code = 'new'")?.is_some());
    tx.rollback().await?;
    writer.await.unwrap_or_else(|error| panic!("{error}"))?;
    drop(wake);
    assert_eq!(listener.wait(Duration::from_millis(2)).await, Woken::Polled);
    Ok(())
}
