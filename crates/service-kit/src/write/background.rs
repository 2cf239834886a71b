//! A service's own work that no call asks for (e.g. scoring everything anew after a new scheme): one transaction with
//! its events, as [`Kit::write`] has it, without a request. More kinds of such work need nothing here.

use std::{future::Future, sync::Arc};

use crate::{
    answer::error::Result,
    call::{access::Caller, metadata::Call},
    telemetry::traces::Span,
    write::{
        kit::{Kit, append},
        unit::Unit,
    },
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
        let caller = Caller::service(self.source());
        let actor: Arc<str> = caller.to_string().into();
        let span = Span::internal(cause);
        let call = Arc::new(Call { caller, trace: span.traceparent(), ..Call::default() });
        let working = self.retry(|| async {
            let tx = self.database().begin_write().await?;
            let now = self.clock().now();
            let unit = Unit::new(tx, now, now, Arc::clone(&call), Arc::clone(&actor), cause.into());
            let (unit, done) = work(unit).await?;
            let (mut tx, events) = unit.into_parts();
            append(&mut tx, &events, now).await?;
            tx.commit().await?;
            Ok::<_, crate::answer::error::Error>((done, !events.is_empty()))
        });
        let (done, emitted) = span.around(working).await.inspect_err(|_| span.fail(cause))?;
        if emitted {
            self.wake().notify();
        }
        Ok(done)
    }
}
