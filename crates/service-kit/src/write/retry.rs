//! Running a transaction again when the database asks for it, counted: `shipei.transaction.retries` by service.

use std::future::Future;

use shipei_store::Retryable;

use crate::{
    telemetry::{Sometimes, metrics},
    write::kit::Kit,
};

impl Kit {
    /// As [`shipei_store::Database::retry`], on this service's database; what was run again is counted.
    ///
    /// # Errors
    /// What the last attempt failed with, or that it was not answered in time.
    pub async fn retry<T, E, F, Attempt>(&self, mut attempt: F) -> Result<T, E>
    where
        F: FnMut() -> Attempt,
        Attempt: Future<Output = Result<T, E>>,
        E: Retryable,
    {
        let mut attempts = 0;
        let done = self
            .database()
            .retry(|| {
                attempts += 1;
                attempt()
            })
            .await;
        if attempts > 1 {
            Sometimes::RetriedTransaction.happened();
            metrics::retried(self.source(), attempts - 1);
        }
        done
    }
}
