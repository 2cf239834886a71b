//! Runs a whole write again when the database asks for it.
//!
//! A transaction is never continued after an error; the closure begins a new one each time. Attempts are bounded,
//! and the pause between them doubles and carries jitter, so that writers that met do not meet again.

use std::future::Future;
use std::time::Duration;

use crate::StoreError;
use crate::crypto;

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
}

impl Retryable for StoreError {
    fn is_retryable(&self) -> bool {
        StoreError::is_retryable(self)
    }
}

/// Runs `attempt` until it succeeds, fails with an error that is not retryable, or has been run [`ATTEMPTS_MAX`] times.
/// The closure must begin its own transaction, and have no effect outside of it.
pub async fn retry<T, E, F, Attempt>(mut attempt: F) -> Result<T, E>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, E>>,
    E: Retryable,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(error) if error.is_retryable() => {}
            done => return done,
        }
        tokio::time::sleep(crypto::jitter(pause)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    attempt().await
}
