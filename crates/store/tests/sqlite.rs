//! The conformance suite on SQLite.

use std::sync::Mutex;

use shipei_store::testing::TestDatabase;
use shipei_store::{StoreError, conformance, execute};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_conforms() {
    let files = Mutex::new(Vec::new());
    conformance::run_all(async || {
        let file = TestDatabase::sqlite();
        let database = file.open().await.unwrap();
        files.lock().unwrap().push(file);
        database
    })
    .await;
}

#[tokio::test]
async fn processes_open_and_migrate_one_file_at_once() {
    // Again and again: who opens a fresh file at the very same moment meets others in it only now and then.
    for _ in 0..20 {
        let file = TestDatabase::sqlite();
        let migrator = conformance::migrator();
        let databases = futures::future::join_all((0..4).map(|_| file.open())).await;
        let migrated = databases.iter().map(|database| database.as_ref().unwrap().migrate(&migrator));
        for result in futures::future::join_all(migrated).await {
            result.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_begin_leaves_the_connection_clean() {
    let directory = TestDatabase::sqlite();
    let database = directory.open().await.unwrap();
    conformance::abandoned_begin(&database).await.unwrap();
}

#[tokio::test]
async fn full_disk_is_unavailable_and_not_a_defect() {
    let file = TestDatabase::sqlite();
    let database = file.open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    let mut tx = database.begin_write().await.unwrap();
    execute!(tx, "PRAGMA max_page_count = 1").unwrap();
    let error: StoreError = loop {
        let code = shipei_store::crypto::random_name().unwrap();
        let added = execute!(
            tx,
            "INSERT INTO item (county, code, amount, active) VALUES ('c', $1, 0, TRUE)",
            code.repeat(100)
        );
        if let Err(error) = added {
            break error;
        }
    };
    assert!(error.is_unavailable() && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn file_whose_readers_are_all_at_work_answers() {
    let file = TestDatabase::sqlite();
    let database = file.open().await.unwrap();
    database.ping().await.unwrap();
    let mut at_work = Vec::new();
    for _ in 0..database.limits().connections.min(4) {
        at_work.push(database.begin_read().await.unwrap());
    }
    database.ping().await.unwrap();
}
