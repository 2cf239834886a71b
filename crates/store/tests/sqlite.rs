//! The conformance suite on SQLite.

#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on panics")]

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use shipei_store::testing::TestDatabase;
use shipei_store::{Database, PoolLimits, StoreError, conformance, execute, fetch_all};

mod sqlite {
    use super::{Database, TestDatabase};

    async fn open() -> (TestDatabase, Database) {
        let file = TestDatabase::sqlite();
        let database = file.open().await.unwrap();
        (file, database)
    }

    shipei_store::conformance_tests!(open);
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
async fn faults_of_a_file_pass() {
    let file = TestDatabase::sqlite();
    let database = file.open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    for _ in 0..3 {
        conformance::full_file_recovers(&database).await.unwrap();
        conformance::read_only_file_recovers(&database).await.unwrap();
    }
}

#[tokio::test]
async fn writer_that_rests_gives_its_cache_back_once_and_goes_on() {
    let file = TestDatabase::sqlite();
    let database = file.open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    for _ in 0..2 {
        database.begin_write().await.unwrap().commit().await.unwrap();
        assert!(!database.give_back_at_rest().await.unwrap(), "somebody has just written");
        // A connection is back in its pool a moment after it was given back.
        while !database.give_back_at_rest().await.unwrap() {
            tokio::task::yield_now().await;
        }
        // Health asks, and is no writer.
        database.check_writable().await.unwrap();
        assert!(!database.give_back_at_rest().await.unwrap(), "there is nothing to give back any more");
    }
    // Nor does it take the writer from who is at work.
    let at_work = database.begin_write().await.unwrap();
    for _ in 0..2 {
        assert!(!database.give_back_at_rest().await.unwrap());
    }
    at_work.commit().await.unwrap();
}

#[tokio::test]
async fn lock_of_another_program_passes() {
    conformance::lock_of_another_program_passes(TestDatabase::sqlite().url()).await.unwrap();
}

#[tokio::test]
async fn damaged_page_is_told_from_a_defect() {
    conformance::damaged_page_is_told_from_a_defect(TestDatabase::sqlite().url()).await.unwrap();
}

/// The permissions of a file.
fn mode(path: &Path) -> u32 {
    path.metadata().expect("the file is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_private_whatever_the_folder_was() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("made/a.sqlite");
    for made_before in [false, true] {
        let url = format!("sqlite:{}", path.display());
        if made_before {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        let database = Database::open(&url, PoolLimits::default()).await.unwrap();
        database.migrate(&conformance::migrator()).await.unwrap();
        for suffix in ["", "-wal", "-shm", ".open"] {
            assert_eq!(mode(&beside(&path, suffix)), 0o600, "{suffix}");
        }
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        database.close().await;
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test]
async fn log_that_is_gone_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sqlite");
    let url = format!("sqlite:{}", path.display());
    let open = || Database::open(&url, PoolLimits::default());
    let database = open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    conformance::goes_on(&database).await.unwrap();
    // As it is when the process is killed now; the copy without its log is what must not be served.
    let copy = folder.path().join("b.sqlite");
    for suffix in ["", "-wal", ".open"] {
        std::fs::copy(beside(&path, suffix), beside(&copy, suffix)).unwrap();
    }
    database.close().await;
    let copied = format!("sqlite:{}", copy.display());
    let open_copy = || Database::open(&copied, PoolLimits::default());
    let log = std::fs::read(beside(&copy, "-wal")).unwrap();
    std::fs::remove_file(beside(&copy, "-wal")).unwrap();
    for _ in 0..2 {
        let error = open_copy().await.unwrap_err();
        assert!(matches!(error, StoreError::LogMissing { .. }) && !error.is_unavailable(), "{error}");
    }
    // The operator has found it.
    std::fs::write(beside(&copy, "-wal"), &log).unwrap();
    let database = open_copy().await.unwrap();
    conformance::goes_on(&database).await.unwrap();
    // Dropped and not closed is no fault, and neither is a close that was cut short behind its log.
    drop(database);
    open_copy().await.unwrap().close().await;
    std::fs::write(beside(&copy, ".open"), "closing\n").unwrap();
    open_copy().await.unwrap().close().await;
    // The operator gives up what is lost.
    std::fs::write(beside(&copy, ".open"), "open: what was written last is in the -wal file\n").unwrap();
    assert!(open_copy().await.is_err());
    std::fs::remove_file(beside(&copy, ".open")).unwrap();
    open_copy().await.unwrap();
}

#[tokio::test]
async fn file_whose_readers_are_all_at_work_answers() {
    let file = TestDatabase::sqlite();
    let database = file.open().await.unwrap();
    database.check_writable().await.unwrap();
    let mut at_work = Vec::new();
    for _ in 0..database.limits().connections.min(4) {
        at_work.push(database.begin_read().await.unwrap());
    }
    database.check_writable().await.unwrap();
}

#[test]
fn file_has_one_claim_at_a_time_on_the_file_itself() {
    let (one, other) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    let claim = Database::claim(one.url()).unwrap();
    assert!(claim.is_some());
    assert!(Database::claim(one.url()).unwrap().is_none());
    assert!(Database::claim(other.url()).unwrap().is_some());
    // As another process has it, which a file beside it would tell nothing.
    let path = Database::sqlite_path(one.url()).unwrap();
    let locked =
        |path| matches!(File::open(path).unwrap().try_lock(), Err(std::fs::TryLockError::WouldBlock));
    assert!(locked(path));
    assert_eq!(std::fs::read_dir(Path::new(path).parent().unwrap()).unwrap().count(), 1);
    drop(claim);
    assert!(!locked(path));
    assert!(Database::claim(one.url()).unwrap().is_some());
    assert!(Database::claim("postgres://h/d").unwrap().is_some());
    assert!(Database::claim("sqlite:/proc/nowhere/at/all.sqlite").is_err());
}

/// The bytes of a database's file and of its log.
fn files_of(database: &TestDatabase) -> Vec<u8> {
    let file = database.url().strip_prefix("sqlite:").unwrap();
    let beside = |suffix: &str| std::fs::read(format!("{file}{suffix}")).unwrap_or_default();
    [beside(""), beside("-wal")].concat()
}

#[tokio::test]
async fn what_is_erased_is_in_neither_file_nor_log() {
    let file = TestDatabase::sqlite();
    let database = file.open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    // Longer than a page, so that pages become free by it, and short.
    let secrets = ["欧阳慕隐".repeat(2_000), "欧阳慕隐".to_owned()];
    let holds = |bytes: &[u8]| bytes.windows(12).any(|window| window == "欧阳慕隐".as_bytes());
    for secret in &secrets {
        let mut tx = database.begin_write().await.unwrap();
        execute!(tx, "UPDATE log_epoch SET epoch = $1 WHERE id = 1", secret.as_str()).unwrap();
        tx.commit().await.unwrap();
        assert!(database.forget_erased().await.unwrap(), "nothing was erased");
        assert!(holds(&files_of(&file)));
        let mut reader = database.begin_read().await.unwrap();
        fetch_all!(reader, (i64,), "SELECT id FROM log_epoch LIMIT 10").unwrap();
        let mut tx = database.begin_write().await.unwrap();
        execute!(tx, "UPDATE log_epoch SET epoch = '' WHERE id = 1").unwrap();
        tx.erases();
        tx.commit().await.unwrap();
        assert!(!database.forget_erased().await.unwrap(), "somebody reads an older state");
        assert!(holds(&files_of(&file)));
        reader.rollback().await.unwrap();
        assert!(database.forget_erased().await.unwrap());
        assert!(!holds(&files_of(&file)));
    }
}
