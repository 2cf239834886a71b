//! Faults done to a cluster, with the season's scores as the judge: whatever dies, stalls or starts again, the four
//! files are the same byte for byte.
//!
//! A test replays a season through the load balancer and meanwhile does harm at moments that the replay's own progress
//! marks, chosen from a seed; a failure names the seed, and `SHIPEI_TEST_SEED` takes it again. To add a fault: a
//! function in the module of its kind that hands its harm to [`replay_while`].

mod database;
mod deployments;
mod durable;
mod encrypted;
mod killed;
mod linear;
mod network;
mod restored;
mod rolled;
mod tokens;

use std::{future::Future, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use shipei::progress::Progress;
use shipei_client::{client::Clients, replay::Report};
use shipei_service_kit::telemetry::Sometimes;

use crate::{
    cluster::Cluster,
    harness::{replay_folder_and_compare_watched, season_folder},
};

/// The season of load: 165,371 heartbeats and 1,829 other calls.
const QINHUANGDAO: &str = "qinhuangdao-2019";
/// Its heartbeats and other calls.
const QINHUANGDAO_OPERATIONS: u64 = 167_200;

/// How long a replay may stand still, faults included. How long all of it takes is the machine's affair: a slow one that
/// builds and tests at the same time needs several times what an idle one does.
const STANDS_STILL_MAX: Duration = Duration::from_secs(100);

/// How long harm may go on after the replay.
const HARM_ENDS_MAX: Duration = Duration::from_secs(40);

/// The seed of this run.
fn seed() -> u64 {
    let given = std::env::var("SHIPEI_TEST_SEED").ok();
    given.map_or_else(|| fastrand::u64(..), |text| text.parse().expect("SHIPEI_TEST_SEED is a number"))
}

/// Replays a season through the balancer while `harm` goes on, and compares its four files. Harm must end
/// too, and harm that fails, fails.
async fn replay_while<Harm, Harming>(cluster: &Cluster, season: &str, harm: Harm) -> Result<(Report, Clients)>
where
    Harm: FnOnce(Progress) -> Harming,
    Harming: Future<Output = Result<()>>,
{
    let clients = cluster.clients().await?;
    let progress = Progress::hidden();
    let folder = season_folder(season);
    let (expected, out) = (folder.join("expected"), cluster.out("scores"));
    let report = {
        let replay = replay_folder_and_compare_watched(&clients, &folder, &expected, &out, &progress);
        let harm = harm(progress.clone());
        tokio::pin!(replay, harm);
        let both = async {
            tokio::select! {
                report = &mut replay => {
                    // Harm that was not done to the end shows nothing.
                    let harmed = tokio::time::timeout(HARM_ENDS_MAX, harm).await;
                    harmed.context("the replay was over long before the harm")??;
                    report
                }
                harmed = &mut harm => {
                    harmed?;
                    replay.await
                }
            }
        };
        tokio::select! {
            report = both => report?,
            () = stands_still(&progress) => bail!(
                "nothing was done for {} s after {} operations",
                STANDS_STILL_MAX.as_secs(),
                progress.done()
            ),
        }
    };
    let operations = report.extent.heartbeats + report.extent.calls;
    ensure!(progress.done() == operations, "{} of {operations} operations were answered", progress.done());
    Ok((report, clients))
}

/// Returns when nothing more was done for as long as a replay may stand still.
async fn stands_still(progress: &Progress) {
    while tokio::time::timeout(STANDS_STILL_MAX, progress.reached(progress.done() + 1)).await.is_ok() {}
}

/// What no fault brings about is not known to be survived.
#[test]
fn everything_that_happens_sometimes_is_brought_about_by_a_fault() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("faults");
    let faults: String = std::fs::read_dir(folder)
        .expect("the folder of faults")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a file of faults"))
        .collect();
    for thing in Sometimes::ALL {
        assert!(faults.contains(&format!("Sometimes::{thing:?}")), "no fault asks for {thing:?}");
    }
}
