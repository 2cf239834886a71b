//! A disk that fails in the middle of a write (IOERR), made by the operating system's own bound on the size of files: it
//! holds for the whole process, so this stands alone in its program.

use std::process::Command;

use shipei_store::testing::TestDatabase;
use shipei_store::{conformance, execute};
use tokio::signal::unix::{SignalKind, signal};

/// What the system sends to a process that writes beyond the bound, and what would end this one.
const SIGXFSZ: i32 = 25;

fn bound_files_to(bytes: &str) {
    let pid = std::process::id().to_string();
    let bound = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(bound.expect("prlimit runs").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_a_failing_disk_is_mended() {
    let _ignored = signal(SignalKind::from_raw(SIGXFSZ)).unwrap();
    let file = TestDatabase::sqlite();
    let database = file.open().await.unwrap();
    database.migrate(&conformance::migrator()).await.unwrap();
    for _ in 0..3 {
        bound_files_to("1000000");
        let mut refused = 0;
        for number in 0..1000 {
            let write = async {
                let mut tx = database.begin_write().await?;
                execute!(
                    tx,
                    "INSERT INTO item (county, code, amount, active, body) VALUES ('c', $1, 0, FALSE, $2)
                     ON CONFLICT (county, code) DO UPDATE SET body = excluded.body",
                    format!("{number}"),
                    vec![7_u8; 100_000]
                )?;
                tx.commit().await
            };
            if let Err(error) = write.await {
                assert!(error.is_unavailable(), "{error}");
                refused += 1;
            }
            if refused == 5 {
                break;
            }
        }
        assert_eq!(refused, 5, "the disk did not fail");
        // It can be read all the time.
        let mut tx = database.begin_read().await.unwrap();
        shipei_store::fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM item").unwrap();
        drop(tx);
        bound_files_to("unlimited");
        conformance::goes_on(&database).await.unwrap();
    }
    let mut tx = database.begin_read().await.unwrap();
    let (sound,) = shipei_store::fetch_one!(tx, (String,), "PRAGMA integrity_check").unwrap();
    assert_eq!(sound, "ok");
}
