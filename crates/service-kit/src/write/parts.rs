//! Writes of several transactions: what a call does that takes a long stream of rows. What: [`Kit::begin_parts`]
//! admits the call, [`Parts::write`] carries one part out in one transaction with its events, [`Parts::answer`] sends
//! the consistency token of all of them. Why not `Kit::write`: a hundred thousand rows in one transaction would hold
//! everybody else up, and a stream has no request id; a caller of such an RPC makes it repeatable by its content.

use std::future::Future;

use chrono::{DateTime, Utc};
use prost::Message;
use shipei_contracts::NamesThings;
use tonic::{Request, Response};

use crate::{
    answer::error::Result,
    call::{
        admit::{Admitted, AdmittedStream},
        consistency::Token,
        reach::Reach,
    },
    write::{
        kit::{Kit, respond},
        origin::Origin,
        unit::Unit,
    },
};

/// A call that is to write in parts, before its first message.
#[derive(Debug)]
pub struct Opening {
    kit: Kit,
    stream: AdmittedStream,
}

/// A call that writes in parts.
#[derive(Debug)]
pub struct Parts {
    kit: Kit,
    admitted: Admitted,
    origin: Origin,
    token: Token,
}

impl Kit {
    /// Begins a call that writes in parts, after the caller's token is caught up with.
    ///
    /// # Errors
    /// Metadata that can't be, NOT_PERMITTED, or a token that is not caught up with.
    pub async fn begin_parts<T>(&self, request: &Request<T>) -> Result<Opening> {
        Ok(Opening { kit: self.clone(), stream: self.admit_stream(request).await? })
    }
}

impl Opening {
    /// Admits the call by its first message, which says what it is about. `cause` is what its events are caused by.
    ///
    /// # Errors
    /// NOT_PERMITTED.
    pub fn admit<T: NamesThings>(self, message: &T, cause: &str) -> Result<Parts> {
        let Self { kit, stream } = self;
        let admitted = stream.admit(message)?.without_look_ups()?;
        let (origin, token) = (Origin::of(&admitted, cause), admitted.token());
        Ok(Parts { kit, admitted, origin, token })
    }
}

impl Parts {
    /// When the call is carried out: the same for all its parts.
    pub fn now(&self) -> DateTime<Utc> {
        self.origin.now
    }

    /// How far the caller may see: rows are judged one by one.
    pub fn reach(&self) -> &Reach {
        self.admitted.reach()
    }

    /// The call as it was admitted.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
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
        let (kit, admitted, origin, handler) = (&self.kit, &self.admitted, &self.origin, &handler);
        let committed = kit
            .retry(|| {
                kit.transact(admitted, origin.clone(), |mut unit| {
                    // What was there already may have been written by a call whose answer was lost.
                    unit.rests_on_the_whole_log();
                    handler(unit)
                })
            })
            .await?;
        self.token.merge(&committed.token(self.kit.source()));
        Ok(committed.value)
    }

    /// The answer, with the token of everything that was written.
    pub fn answer<Res: Message>(&self, response: Res) -> Response<Res> {
        respond(response, &self.token)
    }
}
