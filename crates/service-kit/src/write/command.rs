//! A command that waits for its turn: what its handler does and to whom its answer goes, with the types of request and
//! response forgotten, so that commands of all RPCs of a service wait in one line.

use std::{fmt, future::Future, panic::AssertUnwindSafe, pin::Pin};

use futures::FutureExt as _;
use prost::Message;
use shipei_contracts::common::v1::ErrorReason;
use shipei_store::{StoreError, idempotency::RequestRecord};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{
        error::{Error, Refusal, Result},
        size,
    },
    call::{admit::Admitted, consistency::Token},
    telemetry::traces::Course,
    write::{facts::Correcting, kept, origin::Origin, outcome::Outcome, unit::Unit},
};

/// What makes a command repeatable.
#[derive(Debug, Clone)]
pub(super) struct RequestKey {
    pub(super) id: String,
    pub(super) method: String,
    /// Of method and request.
    pub(super) digest: Vec<u8>,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum End {
    /// Carried out now: the response that the command has itself.
    CarriedOut(Token),
    /// Answered before, or refused.
    Settled(Outcome, Token),
    Failed(Error),
}

/// What a command's handler gave, besides the response that the command keeps.
pub(super) struct Done {
    pub(super) unit: Unit,
    /// The response as it is to be recorded ([`kept`]), where it is.
    pub(super) answer: Option<Vec<u8>>,
}

/// A command of some request and response.
pub(super) trait Command: Send + Sync {
    /// Runs the handler; the command keeps the response until its end.
    fn carry_out(&mut self, unit: Unit) -> Pin<Box<dyn Future<Output = Result<Done>> + Send + '_>>;

    /// Sends the answer.
    fn end(self: Box<Self>, end: End);
}

/// A command in line.
pub(super) struct Job {
    pub(super) admitted: Admitted,
    pub(super) origin: Origin,
    pub(super) key: Option<RequestKey>,
    pub(super) command: Box<dyn Command>,
    /// In whose course the handler runs: its log lines say of which call they are.
    pub(super) course: Course,
    /// Cancelled when nobody waits for the answer any more.
    pub(super) gone: CancellationToken,
    /// Its place among what may wait.
    pub(super) _room: OwnedSemaphorePermit,
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Job").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Job {
    pub(super) fn request_id(&self) -> &str {
        self.key.as_ref().map_or("", |key| key.id.as_str())
    }

    /// Runs the handler. A panic is this command's own failure.
    pub(super) async fn carry_out(&mut self, unit: Unit) -> Result<Done> {
        let unit = unit.enter(&self.admitted).await?;
        let carrying = AssertUnwindSafe(self.command.carry_out(unit)).catch_unwind();
        self.course
            .around(carrying)
            .await
            .unwrap_or_else(|_| Err(Error::Internal("a handler panicked".to_owned())))
    }

    /// The record of an outcome, if it is to be found again, with whose data it shows.
    pub(super) fn record(&self, outcome: &Outcome, shows: &str) -> Option<RequestRecord> {
        let key = self.key.as_ref()?;
        Some(RequestRecord {
            request_id: key.id.clone(),
            method: key.method.clone(),
            digest: key.digest.clone(),
            outcome: outcome.encode(),
            shows: shows.to_owned(),
            recorded_at: self.origin.now,
        })
    }

    /// Answers that it failed.
    pub(super) fn fail(self, error: Error) {
        let error = match error {
            Error::Store(error @ StoreError::CommitOutcomeUnknown(_)) if self.key.is_none() => {
                tracing::warn!(%error, "a write that can't be repeated");
                Refusal::new(ErrorReason::OutcomeUnknown).into()
            }
            error => error,
        };
        self.command.end(End::Failed(error));
    }

    /// Is another attempt worth it? Besides what the database calls retryable: a row that somebody has written meanwhile
    /// (this very request, sent twice at once, may be who), since the next attempt finds it, and its record; or a lost
    /// commit, since the next attempt finds the record.
    pub(super) fn is_worth_another(&self, error: &Error) -> bool {
        let Error::Store(error) = error else { return false };
        let written_meanwhile = error.unique_violation().is_some();
        let outcome_unknown = matches!(error, StoreError::CommitOutcomeUnknown(_));
        error.is_retryable() || written_meanwhile || self.key.is_some() && outcome_unknown
    }
}

/// A command with its types.
pub(super) struct Typed<State, Req, Res, Handler> {
    pub(super) state: State,
    pub(super) request: Req,
    pub(super) handler: Handler,
    pub(super) correcting: Option<Correcting>,
    pub(super) is_recorded: bool,
    pub(super) response: Option<Res>,
    pub(super) answer: oneshot::Sender<Result<(Res, Token)>>,
}

impl<State, Req, Res, Handler, Handling> Command for Typed<State, Req, Res, Handler>
where
    State: Clone + Send + Sync,
    Req: Message + Clone,
    Res: Message + Default,
    Handler: Fn(State, Unit, Req) -> Handling + Send + Sync,
    Handling: Future<Output = Result<(Unit, Res)>> + Send + 'static,
{
    fn carry_out(&mut self, unit: Unit) -> Pin<Box<dyn Future<Output = Result<Done>> + Send + '_>> {
        let (state, sent, correcting) = (self.state.clone(), self.request.clone(), self.correcting.clone());
        let Self { handler, request, response, is_recorded, .. } = self;
        Box::pin(async move {
            let unit = match correcting {
                Some(correcting) => correcting.carry_out(unit).await?,
                None => unit,
            };
            let (unit, answered) = handler(state, unit, sent).await?;
            size::check(&answered)?;
            let answer = is_recorded.then(|| kept::pack(&answered.encode_to_vec(), &request.encode_to_vec()));
            *response = Some(answered);
            Ok(Done { unit, answer })
        })
    }

    fn end(mut self: Box<Self>, end: End) {
        let answer = match end {
            End::CarriedOut(token) => match self.response.take() {
                Some(response) => Ok((response, token)),
                None => Err(Error::Internal("a command ended without its response".to_owned())),
            },
            End::Settled(Outcome::Answered(bytes), token) => {
                let answer = kept::unpack(&bytes, &self.request.encode_to_vec());
                match answer.and_then(|answer| Res::decode(answer.as_slice()).ok()) {
                    Some(response) => Ok((response, token)),
                    None => Err(Error::Internal("a recorded answer is unreadable".to_owned())),
                }
            }
            End::Settled(Outcome::Refused(refusal), _) => Err(refusal.into()),
            End::Failed(error) => Err(error),
        };
        // Who has gone needs no answer.
        let _ = self.answer.send(answer);
    }
}
