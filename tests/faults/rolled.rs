//! A rolling restart of everything, as a new version would come: no client with standard retries sees a failure.

use anyhow::{Result, ensure};
use tonic::Code;

use super::{QINHUANGDAO, QINHUANGDAO_OPERATIONS, replay_while};
use crate::cluster::{Cluster, Counts, Network};

/// Nothing runs once only, as operators have it who restart without a break.
const NOTHING_ALONE: Counts = [2, 3, 2, 2, 3];
/// What the standard allows a client to try (gRFC A6, `maxAttempts`).
const ATTEMPTS_MAX: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restart_of_everything_is_seen_by_no_client() -> Result<()> {
    let cluster = Cluster::start(NOTHING_ALONE, Network::Direct).await?;
    let result = roll(&cluster).await;
    cluster.judge("rolling restart", result)
}

/// Restarts one instance after the other, each when the one before is healthy, while a season is replayed.
async fn roll(cluster: &Cluster) -> Result<()> {
    let (_, clients) = replay_while(cluster, QINHUANGDAO, async |progress| {
        let instances = cluster.instances();
        for (number, instance) in (1..).zip(instances) {
            progress.reached(QINHUANGDAO_OPERATIONS * number / (instances.len() as u64 + 2)).await;
            instance.restart().await?;
        }
        ensure!(progress.done() < QINHUANGDAO_OPERATIONS, "the replay was over before the last restart");
        Ok(())
    })
    .await?;
    ensure!(
        cluster.instances().iter().all(|instance| instance.starts() == 2),
        "not everything was restarted"
    );
    let attempts = clients.attempts();
    eprintln!("rolling restart: {attempts:?}");
    ensure!(attempts.most <= ATTEMPTS_MAX, "a client saw a failure: {attempts:?}");
    let others: Vec<&Code> = attempts.again.keys().filter(|code| **code != Code::Unavailable).collect();
    ensure!(others.is_empty(), "the standard's retries are for UNAVAILABLE only: {attempts:?}");
    Ok(())
}
