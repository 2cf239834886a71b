//! Postgres and Redis that stop: services wait for the one and do without the other.

use anyhow::{Result, ensure};
use shipei_service_kit::telemetry::Sometimes;
use shipei_store::testing::Stop;

use super::{QINHUANGDAO, QINHUANGDAO_OPERATIONS, replay_while};
use crate::cluster::{Cluster, Network, THREE};

#[tokio::test(flavor = "multi_thread")]
async fn postgres_stopped_and_started_gives_the_same_scores() -> Result<()> {
    let cluster = Cluster::start(THREE, Network::Direct).await?;
    let result = replay_while(&cluster, QINHUANGDAO, async |progress| {
        for (tenths, how) in
            [(1, Some(Stop::Fast)), (3, Some(Stop::Immediate)), (5, None), (7, Some(Stop::Fast)), (9, None)]
        {
            progress.reached(QINHUANGDAO_OPERATIONS * tenths / 10).await;
            match how {
                Some(how) => cluster.stop_postgres(how),
                None => tokio::task::block_in_place(|| cluster.postgres().kill()),
            }
            let done = progress.done();
            cluster.start_postgres();
            ensure!(done < QINHUANGDAO_OPERATIONS, "the replay was over before Postgres was stopped");
        }
        Ok(())
    })
    .await;
    let result = result.and_then(|replayed| {
        cluster.must_have_happened(&[
            Sometimes::RetriedTransaction,
            Sometimes::TriedEachAlone,
            Sometimes::ThrewConnectionAway,
        ])?;
        Ok(replayed)
    });
    let (_, clients) = cluster.judge("Postgres stopped", result)?;
    eprintln!("Postgres stopped 5 times: {:?}", clients.attempts());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_for_good_gives_the_same_scores() -> Result<()> {
    let cluster = Cluster::start(THREE, Network::Direct).await?;
    let result = replay_while(&cluster, QINHUANGDAO, async |progress| {
        progress.reached(QINHUANGDAO_OPERATIONS / 3).await;
        cluster.kill_redis().await;
        ensure!(progress.done() < QINHUANGDAO_OPERATIONS, "the replay was over before Redis was killed");
        Ok(())
    })
    .await;
    let (_, clients) = cluster.judge("Redis killed", result)?;
    let attempts = clients.attempts();
    eprintln!("Redis killed: {attempts:?}");
    ensure!(attempts.most <= 1, "calls failed that have no need of Redis: {attempts:?}");
    Ok(())
}
