//! A network between the services and Postgres that delays, splits, cuts and swallows.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{QINHUANGDAO, QINHUANGDAO_OPERATIONS, replay_while};
use crate::cluster::{Cluster, Network, THREE, proxy::Fault, until};

/// The longest that a fault may take to have hit enough connections.
const HIT_MAX: Duration = Duration::from_secs(30);
/// How many connections must have been hit.
const HITS: u64 = 12;
/// How late bytes are.
const LATE: Duration = Duration::from_millis(3);

#[tokio::test(flavor = "multi_thread")]
async fn connections_delayed_halved_and_cut_give_the_same_scores() -> Result<()> {
    let cluster = Cluster::start(THREE, Network::Proxied).await?;
    let proxy = cluster.proxy();
    let result = replay_while(&cluster, QINHUANGDAO, async |progress| {
        let tenth = |number: u64| progress.reached(QINHUANGDAO_OPERATIONS * number / 10);
        tenth(1).await;
        proxy.set(Fault::Delay(LATE), Fault::Delay(LATE));
        tenth(2).await;
        proxy.set(Fault::Halve(LATE), Fault::Halve(LATE));
        tenth(3).await;
        proxy.set(Fault::None, Fault::None);
        for number in 3..7 {
            tenth(number).await;
            proxy.cut_all();
        }
        for (to_database, to_service) in [(Fault::CutInHalf, Fault::None), (Fault::None, Fault::CutInHalf)] {
            let hits = proxy.cut() + HITS;
            proxy.set(to_database, to_service);
            until("connections cut in half", HIT_MAX, async || proxy.cut() >= hits).await?;
            proxy.set(Fault::None, Fault::None);
            progress.reached(progress.done() + 1).await;
        }
        ensure!(progress.done() < QINHUANGDAO_OPERATIONS, "the replay was over before the last fault");
        Ok(())
    })
    .await;
    let (_, clients) = cluster.judge("connections delayed, halved, cut", result)?;
    eprintln!("connections delayed, halved, cut: {:?}", clients.attempts());
    Ok(())
}

/// Bytes that vanish on a connection that stays open are seen by nobody but who waits for an answer, so this needs the
/// services' own limits of time.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_swallow_everything_give_the_same_scores() -> Result<()> {
    let cluster = Cluster::start(THREE, Network::Proxied).await?;
    let proxy = cluster.proxy();
    let result = replay_while(&cluster, QINHUANGDAO, async |progress| {
        for (tenths, to_database, to_service) in
            [(2, Fault::Swallow, Fault::None), (6, Fault::None, Fault::Swallow)]
        {
            progress.reached(QINHUANGDAO_OPERATIONS * tenths / 10).await;
            let hits = proxy.lost() + HITS;
            proxy.set(to_database, to_service);
            until("connections swallowed", HIT_MAX, async || proxy.lost() >= hits).await?;
            // From now on new connections are good; the old ones have lost bytes and are silent for ever.
            proxy.set(Fault::None, Fault::None);
            progress.reached(progress.done() + 1).await;
        }
        ensure!(progress.done() < QINHUANGDAO_OPERATIONS, "the replay was over before the last fault");
        Ok(())
    })
    .await;
    let (_, clients) = cluster.judge("connections swallowed", result)?;
    eprintln!("connections swallowed: {:?}", clients.attempts());
    Ok(())
}
