//! The conformance suite on SQLite.

use std::sync::Mutex;

use shipei_store::conformance;
use shipei_store::testing::TestDatabase;

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
