//! Where the log of this process ends, for all its streams at once. What: one task for each log asks the database after
//! a wake or a while, and tells every stream; a stream reads only what lies between its own place and the end. Why so:
//! a hundred idle streams (the shards of every instance of every follower) would else be a hundred questions a second
//! to the same row. It asks nothing while there is no stream.

use std::{sync::Arc, time::Duration};

use shipei_store::{Positions, event_log};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{answer::error::Result, feed::wire::POLL_INTERVAL, shutdown::Shutdown, write::kit::Kit};

/// How long the database may not answer before streams end: a pool that is full for a moment is no reason to make all of
/// them begin again.
const FAILING_MAX: Duration = Duration::from_secs(20);

/// The end of a log as it was last seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) positions: Positions,
    /// How often the database did not answer for [`FAILING_MAX`]; a stream that sees this grow ends, so that its consumer
    /// hears of it.
    pub(crate) failures: u64,
}

/// The watch over a log's end. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    seen: Arc<watch::Sender<Seen>>,
    /// Somebody began to look.
    wanted: Arc<Notify>,
}

impl Heads {
    pub(crate) fn new() -> Self {
        Self { seen: Arc::new(watch::Sender::new(Seen::default())), wanted: Arc::default() }
    }

    /// Sees every change from now on. What is in it at first may be old.
    pub(crate) fn listener(&self) -> watch::Receiver<Seen> {
        let listener = self.seen.subscribe();
        self.wanted.notify_one();
        listener
    }

    /// Asks until shutdown.
    pub(crate) async fn watch(self, log: Kit, shutdown: Shutdown) {
        let mut wakes = log.wake().listener();
        let mut answered_at = Instant::now();
        loop {
            if self.seen.receiver_count() == 0 {
                tokio::select! {
                    () = shutdown.begun() => return,
                    () = self.wanted.notified() => {}
                }
                answered_at = Instant::now();
            }
            let heads = log.retry(|| heads(&log)).await;
            match heads {
                Ok(positions) => {
                    answered_at = Instant::now();
                    self.seen.send_if_modified(|seen| {
                        let changed = positions != seen.positions;
                        seen.positions = positions;
                        changed
                    });
                }
                Err(error) => {
                    tracing::warn!(source = log.source(), %error, "the end of the log can't be read");
                    if answered_at.elapsed() > FAILING_MAX {
                        answered_at = Instant::now();
                        self.seen.send_modify(|seen| seen.failures += 1);
                    }
                }
            }
            tokio::select! {
                () = shutdown.begun() => return,
                _ = wakes.wait(POLL_INTERVAL) => {}
            }
        }
    }
}

/// Asks the database where the log ends.
pub(crate) async fn heads(log: &Kit) -> Result<Positions> {
    let mut tx = log.database().begin_read_of_log().await?;
    let heads = event_log::heads(&mut tx).await?;
    tx.rollback().await?;
    Ok(heads)
}
