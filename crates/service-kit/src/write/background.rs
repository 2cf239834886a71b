//! A service's own work that no call asks for (e.g. scoring everything anew after a new scheme): one transaction with
//! its events, as [`Kit::write`] has it, without a request. More kinds of such work need nothing here.

use std::future::Future;

use crate::{
    answer::error::Result,
    telemetry::traces::Span,
    write::{kit::Kit, origin::Origin, unit::Unit},
};

impl Kit {
    /// Carries out one piece of the service's own work, in the service's name; `cause` stands in events that
    /// [`Unit::emit`] makes. The work may run several times, each time with a fresh unit.
    ///
    /// # Errors
    /// What the work answers, and what the database does. An unknown outcome of the commit is an error too.
    pub async fn write_by_itself<T, Work, Working>(&self, cause: &str, work: Work) -> Result<T>
    where
        Work: Fn(Unit) -> Working,
        Working: Future<Output = Result<(Unit, T)>>,
    {
        let span = Span::internal(cause);
        let (trace, work) = (span.traceparent(), &work);
        let working = self.retry(|| async {
            let admitted = self.admit_itself(trace.clone());
            self.transact(&admitted, Origin::of(&admitted, cause), work).await
        });
        let committed = span.around(working).await.inspect_err(|_| span.fail(cause))?;
        Ok(committed.value)
    }
}
