//! Which shards of the logs that a service follows belong to this instance. What: one task for each service of this
//! process renews its leases and takes its share (`shipei_store::lease`), and tells the followers; a bound on how many
//! of them write at once leaves connections for calls. Why leases: any number of instances, each of which may be killed
//! at any moment, share the work and take over from each other within seconds, without being told of each other.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use shipei_store::{
    Database, crypto,
    lease::{self, Term},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::Instant,
};

use crate::{follow::refresh_applied, kit::Kit, shutdown::Shutdown, telemetry::metrics};

/// How long a lease counts that is not renewed: the time after which a killed instance's shards are taken over.
pub const LEASE_TERM: Duration = Duration::from_secs(4);
/// How often leases are renewed; the store puts jitter on it.
const RENEW_INTERVAL: Duration = Duration::from_secs(1);
/// How long the database may take for it.
const RENEW_TIME_MAX: Duration = Duration::from_secs(3);
/// How long giving everything back may take at the end.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(1);

/// This instance's share in the work of its service. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Shards {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    held: OnceLock<watch::Sender<BTreeSet<i64>>>,
    turns: Semaphore,
}

impl Shards {
    /// Nothing is shared yet.
    pub(crate) fn new(database: &Database) -> Self {
        let turns = usize::try_from(database.limits().connections / 2).unwrap_or(usize::MAX).max(1);
        Self { inner: Arc::new(Inner { held: OnceLock::new(), turns: Semaphore::new(turns) }) }
    }

    /// The shards that this instance holds, from now on; the first call begins to take leases.
    pub(crate) fn share(
        &self,
        kit: &Kit,
        shards: u16,
        shutdown: &Shutdown,
    ) -> watch::Receiver<BTreeSet<i64>> {
        let begin = || {
            shutdown.spawn(refresh_applied(kit.clone(), shutdown.clone()));
            let held = watch::Sender::new(BTreeSet::new());
            if kit.database().is_postgres() {
                shutdown.spawn(hold(kit.clone(), i64::from(shards), held.clone(), shutdown.clone()));
            } else {
                held.send_replace((0..i64::from(shards)).collect());
            }
            held
        };
        self.inner.held.get_or_init(begin).subscribe()
    }

    /// Waits for a turn to write what was learned. None when turns have ended, which they never do.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.inner.turns.acquire().await.ok()
    }
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
                    tracing::warn!(service = kit.source(), %error, "leases can't be renewed");
                } else {
                    tracing::warn!(service = kit.source(), "leases can't be renewed: the database is silent");
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
        tracing::warn!(service = kit.source(), "leases were not given back, they will expire");
    }
    // Told with the last metrics, so that nobody counts them twice while another instance has them.
    metrics::leases_held(kit.source(), instance.name(), 0);
}

fn change(service: &str, before: &mut BTreeSet<i64>, now: BTreeSet<i64>) -> bool {
    if *before == now {
        return false;
    }
    tracing::info!(service, before = before.len(), now = now.len(), "the share of the work has changed");
    *before = now;
    true
}
