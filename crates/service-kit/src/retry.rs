//! Running a transaction again when the database asks for it, counted: `shipei.transaction.retries` by service.

use std::future::Future;

use shipei_store::Retryable;

use crate::telemetry::metrics;

/// As [`shipei_store::retry()`]; what was run again is counted for `service`.
///
/// # Errors
/// What the last attempt failed with.
pub async fn retry<T, E, F, Attempt>(service: &'static str, mut attempt: F) -> Result<T, E>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, E>>,
    E: Retryable,
{
    let mut attempts = 0;
    let done = shipei_store::retry(|| {
        attempts += 1;
        attempt()
    })
    .await;
    if attempts > 1 {
        metrics::retried(service, attempts - 1);
    }
    done
}
