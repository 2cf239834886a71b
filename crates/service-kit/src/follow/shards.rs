//! Which shards of the logs that a service follows belong to this instance. What: one task for each service of this
//! process renews its leases and takes its share (`shipei_store::lease`), and tells the followers
//! (`write/share.rs` is where they hear it). Why leases: any number of instances, each of which may be killed
//! at any moment, share the work and take over from each other within seconds, without being told of each other.

use std::{collections::BTreeSet, time::Duration};

use shipei_store::{
    crypto,
    lease::{self, Term},
};
use tokio::{sync::watch, time::Instant};

use crate::{
    follow::applied::refresh_applied,
    shutdown::Shutdown,
    telemetry::{Sometimes, metrics},
    write::kit::Kit,
};

/// How long a lease counts that is not renewed: the time after which a killed instance's shards are taken over.
pub const LEASE_TERM: Duration = Duration::from_secs(4);
/// How often leases are renewed; the store puts jitter on it.
const RENEW_INTERVAL: Duration = Duration::from_secs(1);
/// How long the database may take for it.
const RENEW_TIME_MAX: Duration = Duration::from_secs(3);
/// How long giving everything back may take at the end.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(1);

/// The shards that this instance holds, from now on; the first call begins to take leases.
pub(crate) fn share(kit: &Kit, shards: u16, shutdown: &Shutdown) -> watch::Receiver<BTreeSet<i64>> {
    kit.share().held_or_begin(|| {
        shutdown.spawn(refresh_applied(kit.clone(), shutdown.clone()));
        let held = watch::Sender::new(BTreeSet::new());
        if kit.database().is_postgres() {
            shutdown.spawn(hold(kit.clone(), i64::from(shards), held.clone(), shutdown.clone()));
        } else {
            held.send_replace((0..i64::from(shards)).collect());
        }
        held
    })
}

/// Takes and renews leases until shutdown, then gives them back.
async fn hold(kit: Kit, shards: i64, held: watch::Sender<BTreeSet<i64>>, shutdown: Shutdown) {
    let (database, instance) = (kit.database(), kit.instance());
    let process = instance.process();
    let mut prepared = false;
    let mut renewed_at = Instant::now();
    while !shutdown.has_begun() {
        let renewing = async {
            if !prepared {
                lease::prepare(database, shards).await?;
                prepared = true;
            }
            lease::tick(database, process, shards, Term(LEASE_TERM)).await
        };
        let begun = Instant::now();
        match tokio::time::timeout(RENEW_TIME_MAX, renewing).await {
            Ok(Ok(holding)) => {
                renewed_at = begun;
                let shards = holding.map(|holding| holding.shards).unwrap_or_default();
                metrics::leases_held(
                    kit.source(),
                    instance.name(),
                    u64::try_from(shards.len()).unwrap_or_default(),
                );
                held.send_if_modified(|before| change(kit.source(), before, shards));
            }
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::warn!(of = kit.source(), %error, "leases can't be renewed");
                } else {
                    tracing::warn!(of = kit.source(), "leases can't be renewed: the database is silent");
                }
                if renewed_at.elapsed() > LEASE_TERM {
                    // Others, who reach the database, have them by now.
                    metrics::leases_held(kit.source(), instance.name(), 0);
                    held.send_if_modified(|before| change(kit.source(), before, BTreeSet::new()));
                }
            }
        }
        tokio::select! {
            () = shutdown.begun() => {}
            () = tokio::time::sleep(crypto::jitter(RENEW_INTERVAL)) => {}
        }
    }
    let left = tokio::time::timeout(LEAVE_TIME_MAX, lease::leave(database, process)).await;
    if !matches!(left, Ok(Ok(()))) {
        tracing::warn!(of = kit.source(), "leases were not given back, they will expire");
    }
    // Told with the last metrics, so that nobody counts them twice while another instance has them.
    metrics::leases_held(kit.source(), instance.name(), 0);
}

fn change(service: &str, before: &mut BTreeSet<i64>, now: BTreeSet<i64>) -> bool {
    if *before == now {
        return false;
    }
    if !now.is_subset(before) {
        Sometimes::TookOverLease.happened();
    }
    tracing::info!(of = service, before = before.len(), now = now.len(), "the share of the work has changed");
    *before = now;
    true
}
