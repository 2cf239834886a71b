//! A hint, within one process, that the log has grown.
//!
//! The log is the truth and the wake is only a hint: a listener also polls, with jitter, so that a lost hint (or
//! another process's write) costs time and nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::crypto;

/// The side that tells. Clones tell the same listeners.
#[derive(Clone, Debug)]
pub struct Wake {
    count: Arc<watch::Sender<u64>>,
}

/// The side that waits.
#[derive(Debug)]
pub struct WakeListener {
    seen: watch::Receiver<u64>,
    /// Keeps the channel open when every [`Wake`] is gone.
    _open: Arc<watch::Sender<u64>>,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody notified since the last wait.
    Notified,
    /// The poll interval passed.
    Polled,
}

impl Default for Wake {
    fn default() -> Wake {
        Wake::new()
    }
}

impl Wake {
    /// A wake without listeners.
    pub fn new() -> Wake {
        Wake { count: Arc::new(watch::Sender::new(0)) }
    }

    /// Wakes every listener, also one that is not waiting now: its next wait returns at once.
    pub fn notify(&self) {
        self.count.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A listener that sees every notification from now on.
    pub fn listener(&self) -> WakeListener {
        WakeListener { seen: self.count.subscribe(), _open: Arc::clone(&self.count) }
    }
}

impl WakeListener {
    /// Returns after a notification since the last wait, or after `poll` (one half to one whole of it) has passed.
    /// Cancelling loses nothing.
    pub async fn wait(&mut self, poll: Duration) -> Woken {
        match tokio::time::timeout(crypto::jitter(poll), self.seen.changed()).await {
            Ok(_) => Woken::Notified,
            Err(_) => Woken::Polled,
        }
    }
}
