//! This instance's share in the logs that its service follows: which shards it holds, and turns to write what was
//! learned. Why in the kit: all followers of one service have one share, and a bound on how many of them write at once
//! leaves connections for calls. Who takes and renews the shards is `follow/shards.rs`.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use shipei_store::Database;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// This instance's share. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    held: OnceLock<watch::Sender<BTreeSet<i64>>>,
    turns: Semaphore,
}

impl Share {
    /// Nothing is shared yet.
    pub(crate) fn new(database: &Database) -> Self {
        let turns = usize::try_from(database.limits().connections / 2).unwrap_or(usize::MAX).max(1);
        Self { inner: Arc::new(Inner { held: OnceLock::new(), turns: Semaphore::new(turns) }) }
    }

    /// The shards that this instance holds, from now on; the first call lets `begin` say who tells of them.
    pub(crate) fn held_or_begin(
        &self,
        begin: impl FnOnce() -> watch::Sender<BTreeSet<i64>>,
    ) -> watch::Receiver<BTreeSet<i64>> {
        self.inner.held.get_or_init(begin).subscribe()
    }

    /// Waits for a turn to write what was learned. None when turns have ended, which they never do.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.inner.turns.acquire().await.ok()
    }
}
