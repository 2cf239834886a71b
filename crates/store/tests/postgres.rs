//! The conformance suite on Postgres.

#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on panics")]

use shipei_store::testing::{TestDatabase, TestPostgres};
use shipei_store::{Database, PoolLimits, StoreError, conformance};

mod postgres {
    use super::{Database, TestDatabase};

    async fn open() -> (TestDatabase, Database) {
        let schema = TestDatabase::postgres();
        let database = schema.open().await.unwrap();
        (schema, database)
    }

    shipei_store::conformance_tests!(open);
}

mod postgres_with_many_connections {
    use super::{Database, PoolLimits, TestDatabase};

    async fn open() -> (TestDatabase, Database) {
        let schema = TestDatabase::postgres();
        let limits = PoolLimits { connections: 24, ..PoolLimits::default() };
        let database = Database::open(schema.url(), limits).await.unwrap();
        (schema, database)
    }

    shipei_store::conformance_tests!(open);
}

#[tokio::test]
async fn schemas_of_one_database_are_apart() {
    let (first, second) = (TestDatabase::postgres(), TestDatabase::postgres());
    for database in [first.open().await.unwrap(), second.open().await.unwrap()] {
        database.migrate(&conformance::migrator()).await.unwrap();
        let mut tx = database.begin_write().await.unwrap();
        let added = shipei_store::execute!(
            tx,
            "INSERT INTO item (county, code, amount, active) VALUES ('c', 'only', 0, TRUE)"
        );
        assert_eq!(added.unwrap(), 1);
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn instances_that_start_together_take_turns() {
    let schema = TestDatabase::postgres();
    let migrator = conformance::migrator();
    let databases = futures::future::join_all((0..6).map(|_| schema.open())).await;
    let migrated = databases.iter().map(|database| database.as_ref().unwrap().migrate(&migrator));
    for result in futures::future::join_all(migrated).await {
        result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_begin_leaves_the_connection_clean() {
    let limits = PoolLimits { connections: 1, ..PoolLimits::default() };
    let database = Database::open(TestDatabase::postgres().url(), limits).await.unwrap();
    conformance::abandoned_begin(&database).await.unwrap();
}

#[tokio::test]
async fn dropped_server_is_gone() {
    let server = TestPostgres::start(&[("fsync", "off")]);
    let url = server.url("one");
    Database::open(&url, PoolLimits::default()).await.unwrap().check_writable().await.unwrap();
    drop(server);
    let error = Database::open(&url, PoolLimits::default()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn statement_that_takes_too_long_is_unavailable_and_not_tried_again() {
    let limits =
        PoolLimits { statement_timeout: std::time::Duration::from_millis(50), ..PoolLimits::default() };
    let database = Database::open(TestDatabase::postgres().url(), limits).await.unwrap();
    let mut tx = database.begin_write().await.unwrap();
    let error = shipei_store::execute!(tx, "SELECT pg_sleep(30)").unwrap_err();
    assert!(error.is_unavailable() && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn standby_is_unavailable_and_not_a_defect() {
    let test = TestDatabase::postgres();
    let database = test.open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    // A transaction that only reads says what a standby says to a write.
    let mut tx = database.begin_read().await.unwrap();
    let error = shipei_store::execute!(tx, "UPDATE event_head SET position = 0").unwrap_err();
    assert!(error.is_unavailable() && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn database_whose_connections_are_all_at_work_answers() {
    let limits = PoolLimits {
        connections: 4,
        acquire_timeout: std::time::Duration::from_millis(500),
        ..PoolLimits::default()
    };
    let database = Database::open(TestDatabase::postgres().url(), limits).await.unwrap();
    let mut at_work = Vec::new();
    let error = loop {
        match database.begin_write().await {
            Ok(tx) => at_work.push(tx),
            Err(error) => break error,
        }
    };
    assert!(error.is_unavailable() && at_work.len() == 3, "{error}");
    database.check_writable().await.unwrap();
}

#[tokio::test]
async fn who_goes_away_leaves_the_line_for_a_connection() {
    let limits = PoolLimits { connections: 1, ..PoolLimits::default() };
    let database = Database::open(TestDatabase::postgres().url(), limits).await.unwrap();
    let at_work = database.begin_write().await.unwrap();
    let patience = std::time::Duration::from_millis(50);
    for _ in 0..20 {
        assert!(tokio::time::timeout(patience / 10, database.begin_write()).await.is_err());
    }
    drop(at_work);
    let begun = tokio::time::timeout(std::time::Duration::from_secs(5), database.begin_write()).await;
    begun.unwrap().unwrap();
}

#[tokio::test]
async fn certificate_that_nobody_known_has_signed_is_about_tls() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["own.crt", "own.key"].map(|name| folder.path().join(name));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout"]);
    let made = openssl.arg(&key).arg("-out").arg(&certificate).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = TestPostgres::start_with_tls(port, &certificate, &key);
    let open = async |sslmode: &str| {
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode={sslmode}");
        Database::open(&url, PoolLimits::default()).await
    };
    open("require").await.unwrap();
    let error = open("verify-full").await.unwrap_err();
    assert!(error.is_about_tls() && error.to_string().contains("certificate"), "{error}");
    drop(server);
}

#[tokio::test]
async fn faults_of_a_server_pass() {
    let test = TestDatabase::postgres();
    let database = test.open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    conformance::faults_of_postgres_recover(&database).await.unwrap();
    conformance::lock_of_another_session_passes(TestDatabase::postgres().url()).await.unwrap();
    // One that has been told to read only answers, and is not what a service can write to.
    let url = format!("{}&options[default_transaction_read_only]=on", test.url());
    let reading = Database::open(&url, PoolLimits::default()).await.unwrap();
    let error = reading.check_writable().await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly) && error.is_unavailable(), "{error}");
    database.check_writable().await.unwrap();
}
