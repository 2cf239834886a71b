//! Instances that die (SIGKILL) at any moment.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};
use shipei::progress::Progress;
use shipei_service_kit::telemetry::Sometimes;

use super::{QINHUANGDAO, QINHUANGDAO_OPERATIONS, replay_while, seed};
use crate::cluster::{Cluster, Network, THREE};

/// The most operations between two kills.
const GAP_MAX: u64 = 400;
/// The fewest kills that must have happened while lines were sent.
const KILLS_MIN: u32 = 15;
/// Kills of assessment's instances while it catches up and scores are read.
const KILLS_AFTER: u32 = 6;

/// Kills an instance whenever some more operations are done, and starts it again at once.
async fn kill_over_and_over(
    cluster: &Cluster,
    progress: Progress,
    mut random: fastrand::Rng,
    kills: &AtomicU32,
) -> Result<()> {
    while progress.done() < QINHUANGDAO_OPERATIONS {
        let next = (progress.done() + random.u64(1..GAP_MAX)).min(QINHUANGDAO_OPERATIONS);
        progress.reached(next).await;
        let instances = cluster.instances();
        let instance = &instances[random.usize(..instances.len())];
        instance.kill9().await;
        instance.start().await?;
        kills.fetch_add(1, Ordering::Relaxed);
    }
    let assessment: Vec<_> =
        cluster.instances().iter().filter(|instance| instance.service == "assessment").collect();
    for _ in 0..KILLS_AFTER {
        let instance = assessment[random.usize(..assessment.len())];
        instance.kill9().await;
        instance.start().await?;
        instance.until_healthy().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_killed_over_and_over_give_the_same_scores() -> Result<()> {
    let seed = seed();
    let cluster = Cluster::start(THREE, Network::Direct).await?;
    let kills = AtomicU32::new(0);
    let replayed = replay_while(&cluster, QINHUANGDAO, |progress| {
        kill_over_and_over(&cluster, progress, fastrand::Rng::with_seed(seed), &kills)
    })
    .await;
    let kills = kills.into_inner();
    let result = replayed.and_then(|(_, clients)| {
        ensure!(kills >= KILLS_MIN, "only {kills} kills happened while lines were sent");
        cluster.must_have_happened(&[Sometimes::TookOverLease, Sometimes::PagedInsteadOfBuffered])?;
        eprintln!("seed {seed}: {kills} kills, {:?}", clients.attempts());
        Ok(())
    });
    cluster.judge(&format!("seed {seed}, {kills} kills"), result)
}
