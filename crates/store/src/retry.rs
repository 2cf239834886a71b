//! Runs a whole write again when the database asks for it, and stops waiting for a database that has gone silent.
//!
//! A transaction is never continued after an error; the closure begins a new one each time. Attempts are bounded,
//! and the pause between them doubles and carries jitter, so that writers that met do not meet again. An attempt is
//! bounded in time too: a connection whose other end vanished without a word (a machine that lost its power, a firewall
//! that forgot it) would else be waited for until the operating system gives up, a quarter of an hour later.

use std::future::Future;
use std::time::Duration;

use crate::crypto;
use crate::{Database, StoreError};

/// The most times that a write is run.
pub const ATTEMPTS_MAX: u32 = 6;

/// The pause before the second attempt; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// An error that knows whether running the whole transaction again may help.
pub trait Retryable {
    /// See [`StoreError::is_retryable`].
    fn is_retryable(&self) -> bool;

    /// The error of an attempt that was not answered in time. Its outcome is unknown, so it is not tried again here.
    fn no_answer() -> Self;
}

impl Retryable for StoreError {
    fn is_retryable(&self) -> bool {
        StoreError::is_retryable(self)
    }

    fn no_answer() -> StoreError {
        StoreError::no_answer()
    }
}

impl Database {
    /// Runs `attempt` until it succeeds, fails with an error that is not retryable, is not answered within
    /// [`Database::attempt_time_max`], or has been run [`ATTEMPTS_MAX`] times. The closure must begin its own transaction
    /// on this database, and have no effect outside of it.
    pub async fn retry<T, E, F, Attempt>(&self, mut attempt: F) -> Result<T, E>
    where
        F: FnMut() -> Attempt,
        Attempt: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        let time_max = self.attempt_time_max();
        let mut pause = FIRST_PAUSE;
        for tried in 1..=ATTEMPTS_MAX {
            let Ok(outcome) = tokio::time::timeout(time_max, attempt()).await else {
                return Err(E::no_answer());
            };
            match outcome {
                Err(error) if error.is_retryable() && tried < ATTEMPTS_MAX => {}
                done => return done,
            }
            tokio::time::sleep(crypto::jitter(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(E::no_answer())
    }
}
