//! Writes of several transactions: what a call does that takes a long stream of rows. What: [`Kit::begin_parts`]
//! reads the call, [`Parts::write`] carries one part out in one transaction with its events, [`Parts::answer`] sends
//! the consistency token of all of them. Why not `Kit::write`: a hundred thousand rows in one transaction would hold
//! everybody else up, and a stream has no request id; a caller of such an RPC makes it repeatable by its content.

use std::{future::Future, sync::Arc};

use chrono::{DateTime, Utc};
use prost::Message;
use shipei_store::event_log;
use tonic::{Request, Response};

use crate::{
    answer::error::Result,
    call::{consistency::Token, metadata::Call},
    write::{
        kit::{Kit, append, respond},
        unit::Unit,
    },
};

/// A call that writes in parts.
#[derive(Debug)]
pub struct Parts {
    kit: Kit,
    call: Arc<Call>,
    now: DateTime<Utc>,
    cause: Arc<str>,
    token: Token,
}

impl Kit {
    /// Begins a call that writes in parts, after the caller's token is caught up with. `cause` is what its events
    /// are caused by.
    ///
    /// # Errors
    /// Metadata that can't be, or a token that is not caught up with.
    pub async fn begin_parts<T>(&self, request: &Request<T>, cause: &str) -> Result<Parts> {
        let call = Arc::new(Call::of(request)?);
        self.wait_for_token(&call).await?;
        let token = call.token.clone().unwrap_or_default();
        Ok(Parts { kit: self.clone(), call, now: self.clock().now(), cause: cause.into(), token })
    }
}

impl Parts {
    /// When the call is carried out: the same for all its parts.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Carries one part out, events last. The handler may run several times, each time with a fresh unit; what it
    /// wrote is kept when it gives the unit back, and rolled back otherwise.
    ///
    /// # Errors
    /// What the handler answers, or a database that fails.
    pub async fn write<Out, Handler, Handling>(&mut self, handler: Handler) -> Result<Out>
    where
        Handler: Fn(Unit) -> Handling,
        Handling: Future<Output = Result<(Unit, Out)>>,
    {
        let (kit, call, now, cause) = (&self.kit, &self.call, self.now, &self.cause);
        let actor: Arc<str> = call.caller.to_string().into();
        let (has_written, heads, out) = kit
            .retry(|| async {
                let tx = kit.database().begin_write().await?;
                let unit = Unit::new(tx, now, now, call.clone(), actor.clone(), cause.clone());
                let (unit, out) = handler(unit).await?;
                let (mut tx, events) = unit.into_parts();
                let has_written = !append(&mut tx, &events, now).await?.is_empty();
                // What was there already may have been written by a call whose answer was lost.
                let heads = event_log::heads(&mut tx).await?;
                tx.commit().await?;
                Ok::<_, crate::answer::error::Error>((has_written, heads, out))
            })
            .await?;
        if has_written {
            self.kit.wake().notify();
        }
        self.token.merge(&Token::of(self.kit.source(), &heads));
        Ok(out)
    }

    /// The answer, with the token of everything that was written.
    pub fn answer<Res: Message>(&self, response: Res) -> Response<Res> {
        respond(response, &self.token)
    }
}
