//! Everything that services say to Postgres and Redis encrypted, and certificates checked.

use anyhow::{Result, ensure};

use super::replay_while;
use crate::cluster::{Cluster, Network};

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_give_the_same_scores() -> Result<()> {
    let cluster = Cluster::start([1, 2, 1, 1, 2], Network::Encrypted).await?;
    let result = replay_while(&cluster, "edges", async |_| Ok(())).await;
    cluster.judge("encrypted", result)?;
    let sql =
        "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
               WHERE application_name = 'shipei'";
    let counts = cluster.postgres_program("psql", &["--dbname=shipei", "-At", "-F=", "-c", sql])?;
    let (encrypted, all) = counts.trim().split_once('=').unwrap_or_default();
    ensure!(encrypted == all && all != "0", "{encrypted} of {all} connections to Postgres are encrypted");
    // Redis has no port without TLS: who subscribed came through it.
    let channels = cluster.redis_says(&["PUBSUB", "CHANNELS"])?;
    for service in shipei_client::client::SERVICES {
        ensure!(channels.contains(&format!(":wake:{service}")), "no wakes of {service}: {channels}");
    }
    Ok(())
}
