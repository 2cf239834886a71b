//! A hint that the log has grown: by this process, or, where somebody carries hints between processes, by another one.
//!
//! The log is the truth and the wake is only a hint: a listener also polls, with jitter, so that a lost hint costs time
//! and nothing else. Who carries hints listens to those of this process only ([`Wake::own_listener`]), and hands in
//! those of others ([`Wake::notify_of_others`]): so none goes round in circles.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::crypto;

/// The side that tells. Clones tell the same listeners.
#[derive(Clone, Debug)]
pub struct Wake {
    /// All notifications.
    all: Arc<watch::Sender<u64>>,
    /// Those of this process.
    own: Arc<watch::Sender<u64>>,
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
        Wake { all: Arc::new(watch::Sender::new(0)), own: Arc::new(watch::Sender::new(0)) }
    }

    /// Wakes every listener, also one that is not waiting now: its next wait returns at once.
    pub fn notify(&self) {
        increment(&self.own);
        increment(&self.all);
    }

    /// Wakes every listener but the own ones: another process has notified.
    pub fn notify_of_others(&self) {
        increment(&self.all);
    }

    /// A listener that sees every notification from now on.
    pub fn listener(&self) -> WakeListener {
        WakeListener { seen: self.all.subscribe(), _open: Arc::clone(&self.all) }
    }

    /// A listener that sees the notifications of this process only.
    pub fn own_listener(&self) -> WakeListener {
        WakeListener { seen: self.own.subscribe(), _open: Arc::clone(&self.own) }
    }
}

fn increment(count: &watch::Sender<u64>) {
    count.send_modify(|count| *count = count.wrapping_add(1));
}

impl WakeListener {
    /// Returns after a notification since the last wait, however long that takes.
    pub async fn notified(&mut self) {
        // The sender lives as long as the listener.
        let _ = self.seen.changed().await;
    }

    /// Returns after a notification since the last wait, or after `poll` (one half to one whole of it) has passed.
    /// Cancelling loses nothing.
    pub async fn wait(&mut self, poll: Duration) -> Woken {
        match tokio::time::timeout(crypto::jitter(poll), self.seen.changed()).await {
            Ok(_) => Woken::Notified,
            Err(_) => Woken::Polled,
        }
    }
}
