//! Cases about what breaks a transaction, a connection, a file or a disk. Behind each of them the same open database reads
//! and writes as if nothing had been. The first ones run on both databases; each database has cases of its own behind them.

use std::time::Duration;

use sqlx::Connection as _;

use crate::{Database, PoolLimits, StoreError, execute, fetch_all, fetch_one};

const ADD_ITEM: &str = "INSERT INTO item (county, code, amount, active) VALUES ('c', $1, 0, TRUE)";

/// Writes one item, finds it, and takes it away again.
///
/// # Errors
/// When the database does not do what a fresh one would.
pub async fn goes_on(database: &Database) -> Result<(), StoreError> {
    let code = crate::crypto::random_name()?;
    let mut tx = database.begin_write().await?;
    execute!(tx, ADD_ITEM, code.as_str())?;
    tx.commit().await?;
    let mut tx = database.begin_read().await?;
    let found = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item WHERE code = $1", code.as_str())?;
    assert_eq!(found, (1,));
    tx.rollback().await?;
    let mut tx = database.begin_write().await?;
    execute!(tx, "DELETE FROM item WHERE code = $1", code.as_str())?;
    tx.commit().await?;
    database.check_writable().await
}

/// A statement that no database can run, in the middle of a write that tries to go on.
pub(super) async fn statement_that_fails_keeps_nothing(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    execute!(tx, ADD_ITEM, "before")?;
    assert!(execute!(tx, "SELECT nothing FROM nowhere").is_err());
    let _ = execute!(tx, ADD_ITEM, "behind");
    assert!(tx.has_failed());
    assert!(tx.commit().await.is_err(), "part of a transaction was kept");
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item")?, (0,));
    tx.rollback().await?;
    goes_on(database).await
}

/// A constraint that is violated is an answer, not a fault: what was undone to the savepoint before it falls alone.
pub(super) async fn refused_row_falls_alone(database: &Database) -> Result<(), StoreError> {
    for _ in 0..3 {
        let mut tx = database.begin_write().await?;
        execute!(tx, ADD_ITEM, "one")?;
        tx.savepoint().await?;
        let Err(error) = execute!(tx, ADD_ITEM, "one") else { panic!("a double was taken") };
        assert!(error.unique_violation().is_some());
        tx.back_to_savepoint().await?;
        assert!(!tx.has_failed());
        // What is undone falls alone.
        execute!(tx, ADD_ITEM, "two")?;
        tx.release_savepoint().await?;
        let items = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item WHERE code IN ('one', 'two')")?;
        assert_eq!(items, (2,));
        tx.rollback().await?;
        goes_on(database).await?;
    }
    Ok(())
}

/// What every fault comes to: the write that met it is unavailable, and so is its commit.
async fn meets(database: &Database, fault: &str, error: StoreError, tx: crate::Tx) -> Result<(), StoreError> {
    assert!(error.is_unavailable() && !error.is_retryable() && !error.is_corrupt(), "{fault}: {error}");
    assert!(tx.has_failed(), "{fault}");
    let Err(error) = tx.commit().await else { panic!("{fault}: what was left of a transaction was kept") };
    assert!(error.is_unavailable(), "{fault}: {error}");
    goes_on(database).await
}

/// A SQLite file that may not grow: what a full disk does, also to transactions of which a part was kept aside.
///
/// # Errors
/// When the file does not recover.
pub async fn full_file_recovers(database: &Database) -> Result<(), StoreError> {
    for savepoint in [false, true] {
        let mut tx = database.begin_write().await?;
        execute!(tx, "PRAGMA max_page_count = 1")?;
        if savepoint {
            tx.savepoint().await?;
        }
        let error = loop {
            let code = crate::crypto::random_name()?;
            if let Err(error) = execute!(tx, ADD_ITEM, code.repeat(100)) {
                break error;
            }
        };
        if savepoint {
            // Whoever tries to save the rest of a group of writes must not succeed.
            assert!(tx.back_to_savepoint().await.is_err());
            let _ = tx.savepoint().await;
            assert!(tx.release_savepoint().await.is_err());
        }
        meets(database, "full", error, tx).await?;
    }
    Ok(())
}

/// A SQLite connection that may only read.
///
/// # Errors
/// When the file does not recover.
pub async fn read_only_file_recovers(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    execute!(tx, "PRAGMA query_only = ON")?;
    let Err(error) = execute!(tx, ADD_ITEM, "forbidden") else { panic!("it was written") };
    meets(database, "read only", error, tx).await
}

/// Another program that holds the lock of a SQLite file longer than one waits.
///
/// # Errors
/// When the file does not recover.
pub async fn lock_of_another_program_passes(url: &str) -> Result<(), StoreError> {
    let limits = PoolLimits { lock_timeout: Duration::from_millis(50), ..PoolLimits::default() };
    let database = Database::open(url, limits).await?;
    database.migrate(&super::migrator()).await?;
    let path = Database::sqlite_path(url).unwrap_or_default();
    let mut other = sqlx::SqliteConnection::connect(path).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let Err(error) = database.begin_write().await else { panic!("two write at once") };
    assert!(error.is_retryable(), "{error}");
    // At once it may be told that the writer is at work.
    while database.check_writable().await.is_ok() {
        tokio::task::yield_now().await;
    }
    // It may be read all the time, and written once it is let go.
    let mut tx = database.begin_read().await?;
    assert_eq!(fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item")?, (0,));
    tx.rollback().await?;
    sqlx::query("ROLLBACK").execute(&mut other).await?;
    goes_on(&database).await?;
    other.close().await?;
    database.close().await;
    Ok(())
}

/// Pages of a SQLite file that hold something else than they should: what they held is lost, and known to be.
///
/// # Errors
/// When the rest of the file can't be used.
pub async fn damaged_page_is_told_from_a_defect(url: &str) -> Result<(), StoreError> {
    let path = Database::sqlite_path(url).unwrap_or_default();
    let database = Database::open(url, PoolLimits::default()).await?;
    database.migrate(&super::migrator()).await?;
    let mut tx = database.begin_write().await?;
    for number in 0..2000 {
        let (code, note) = (format!("{number:05}"), "n".repeat(200));
        execute!(
            tx,
            "INSERT INTO item (county, code, amount, note, active) VALUES ('c', $1, $2, $3, FALSE)",
            code,
            number,
            note
        )?;
    }
    // Its own pages lie behind all of the items'.
    execute!(tx, "INSERT INTO log_epoch (id, epoch) VALUES (2, $1)", "e".repeat(100_000))?;
    tx.commit().await?;
    database.close().await;
    let bytes = std::fs::read(path).map_err(sqlx::Error::Io)?;
    let damaged: Vec<u8> = bytes
        .chunks(4096)
        .flat_map(|page| match memory_of(page, b"nnnnnnnn") {
            true => vec![0xee; page.len()],
            false => page.to_vec(),
        })
        .collect();
    std::fs::write(path, damaged).map_err(sqlx::Error::Io)?;

    let database = Database::open(url, PoolLimits::default()).await?;
    for _ in 0..3 {
        let mut tx = database.begin_read().await?;
        let Err(error) = fetch_all!(tx, (String,), "SELECT note FROM item WHERE note IS NOT NULL LIMIT 5000")
        else {
            panic!("damaged pages were read")
        };
        assert!(error.is_corrupt() && !error.is_retryable() && !error.is_unavailable(), "{error}");
        drop(tx);
        let mut tx = database.begin_write().await?;
        execute!(tx, "UPDATE event_head SET position = position + 1 WHERE partition = 1")?;
        tx.commit().await?;
        database.check_writable().await?;
    }
    database.close().await;
    Ok(())
}

fn memory_of(page: &[u8], text: &[u8]) -> bool {
    page.windows(text.len()).any(|window| window == text)
}

/// What a Postgres says when its disk is full or fails, when its files are damaged, and when a session is ended.
///
/// # Errors
/// When the database does not recover.
pub async fn faults_of_postgres_recover(database: &Database) -> Result<(), StoreError> {
    for (code, unavailable, corrupt, again) in [
        ("53100", true, false, false),
        ("53200", true, false, false),
        ("58030", true, false, false),
        ("25006", true, false, false),
        ("XX001", false, true, false),
        ("XX002", false, true, false),
        ("57P01", true, false, true),
        ("40001", true, false, true),
    ] {
        let mut tx = database.begin_write().await?;
        execute!(tx, ADD_ITEM, "lost")?;
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'fault' USING ERRCODE = '{code}'; END $$");
        let Err(error) = execute!(tx, sqlx::AssertSqlSafe(raise)) else { panic!("{code} was not raised") };
        let told = (error.is_unavailable(), error.is_corrupt(), error.is_retryable());
        assert_eq!(told, (unavailable, corrupt, again), "{code}");
        drop(tx);
        goes_on(database).await?;
    }
    let mut tx = database.begin_write().await?;
    execute!(tx, ADD_ITEM, "lost")?;
    let Err(error) = execute!(tx, "SELECT pg_terminate_backend(pg_backend_pid())") else {
        panic!("it lives")
    };
    assert!(error.is_retryable(), "{error}");
    assert!(tx.commit().await.is_err());
    goes_on(database).await
}

/// A lock that another session of Postgres holds longer than one waits.
///
/// # Errors
/// When the database does not recover.
pub async fn lock_of_another_session_passes(url: &str) -> Result<(), StoreError> {
    let limits = PoolLimits { lock_timeout: Duration::from_millis(50), ..PoolLimits::default() };
    let database = Database::open(url, limits).await?;
    database.migrate(&super::migrator()).await?;
    let mut other = database.begin_write().await?;
    execute!(other, "LOCK TABLE item IN ACCESS EXCLUSIVE MODE")?;
    let mut tx = database.begin_write().await?;
    let Err(error) = execute!(tx, ADD_ITEM, "waits") else { panic!("the lock holds nobody") };
    assert!(error.is_retryable(), "{error}");
    drop(tx);
    other.rollback().await?;
    goes_on(&database).await
}
