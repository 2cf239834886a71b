//! How everything ends: softly, then hard. What: one [`Shutdown`] is handed to whatever runs; each task is
//! tracked; `finish` tells them to end, waits a while, then cuts. Why: a stream that is told can send its last
//! message, and a task that hangs can't hold the process. A task of the process itself that panics ends everything too:
//! an instance that says SERVING while it learns nothing more, or has lost its leases, is worse than one that is gone and
//! is started again.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::telemetry::traces;

/// How long running calls and streams have to end by themselves.
pub const SOFT_PERIOD: Duration = Duration::from_secs(5);

/// The signal to end, and the list of what still runs. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

/// Ends everything when a panic drops it.
struct EndsWithPanic(Shutdown);

impl Drop for EndsWithPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("a task of this process has panicked");
        }
    }
}

impl Shutdown {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task of the process that `finish` waits for. It is dropped at its next await once the hard phase begins.
    /// When it panics everything ends: see [`Shutdown::fail`].
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let guard = EndsWithPanic(self.clone());
        self.spawn_for_call(async move {
            let _guard = guard;
            task.await
        })
    }

    /// As [`Shutdown::spawn`], for a task of one call: it is logged and traced as a part of that call, and when it panics
    /// only that call fails. A message that no service can bear must not end them all.
    pub fn spawn_for_call<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let hard = self.hard.clone();
        let task = traces::within_current(task).in_current_span();
        self.tasks.spawn(async move { hard.run_until_cancelled_owned(task).await })
    }

    /// Ends everything, since what this process is for can't go on; [`Shutdown::has_failed`] is true from now on.
    pub fn fail(&self, why: &str) {
        self.failed.store(true, Ordering::SeqCst);
        tracing::error!("{why}: this instance ends");
        self.begin();
    }

    /// True once something has failed that the process can't do without.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Tells everybody to end; returns at once.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Ends everything at once, as a crash would.
    pub fn kill(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// True once ending has begun.
    pub fn has_begun(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Returns when ending has begun.
    pub async fn begun(&self) {
        self.soft.cancelled().await;
    }

    /// Returns when the hard phase has begun.
    pub async fn killed(&self) {
        self.hard.cancelled().await;
    }

    /// The soft signal itself, for code that wants an owned future.
    pub fn token(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// The hard signal itself.
    pub(crate) fn hard_token(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Begins, waits up to [`SOFT_PERIOD`] for the tasks, then cuts them. True when nothing had to be cut.
    pub async fn finish(&self) -> bool {
        self.finish_within(SOFT_PERIOD).await
    }

    /// As [`Shutdown::finish`], with another patience.
    pub async fn finish_within(&self, patience: Duration) -> bool {
        self.begin();
        self.tasks.close();
        let ended = tokio::time::timeout(patience, self.tasks.wait()).await.is_ok();
        self.hard.cancel();
        if !ended {
            tracing::warn!(tasks = self.tasks.len(), "cutting tasks that did not end in time");
            self.tasks.wait().await;
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn soft_task_ends_by_itself() {
        let shutdown = Shutdown::new();
        let own = shutdown.clone();
        let task = shutdown.spawn(async move {
            own.begun().await;
            7
        });
        assert!(shutdown.finish().await);
        assert_eq!(task.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn panic_of_a_task_of_the_process_ends_everything_and_that_of_a_call_does_not() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        let other = shutdown.spawn(async move { other.begun().await });
        assert!(shutdown.spawn_for_call(async { panic!("of a call") }).await.unwrap_err().is_panic());
        assert!(!shutdown.has_begun() && !shutdown.has_failed());
        assert!(shutdown.spawn(async { panic!("of the process") }).await.unwrap_err().is_panic());
        assert!(shutdown.has_begun() && shutdown.has_failed());
        assert_eq!(other.await.unwrap(), Some(()));
        assert!(shutdown.finish().await);
    }

    #[tokio::test]
    async fn hanging_task_is_cut() {
        let shutdown = Shutdown::new();
        let task = shutdown.spawn(std::future::pending::<()>());
        assert!(!shutdown.finish_within(Duration::from_millis(5)).await);
        assert_eq!(task.await.unwrap(), None);
    }
}
