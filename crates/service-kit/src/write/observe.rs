//! A read that goes on: [`Kit::observe`] answers a read, and answers it again whenever what it says has become something else.
//! Why it is read anew, and not told by events: what it shows are sums and lists, each from one snapshot and within what the
//! caller may see as of then, and whoever looks at them misses nothing by seeing only the last of several changes.
//!
//! What bounds it: a snapshot is taken at most each [`OBSERVE_INTERVAL`] and given back before the answer is sent, a consumer that
//! is slow has one answer waiting and one that takes nothing ends ([`TAKEN_WITHIN`]), and a service has at most
//! [`OBSERVERS_MAX`](crate::kit::OBSERVERS_MAX) in a process. To make a read go on: its own RPC with
//! an answer of the same kind, given to this.

use std::{future::Future, time::Duration};

use futures::StreamExt as _;
use prost::Message;
use shipei_contracts::{GivesPages, NamesThings, common::v1::ErrorReason};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    answer::{
        error::{Error, Refusal, Result},
        status::{deadline_exceeded, overloaded},
    },
    call::metadata::until,
    shutdown::Shutdown,
    write::{export::Chunks, kit::Kit, unit::ReadUnit},
};

/// The least time between two answers.
pub const OBSERVE_INTERVAL: Duration = Duration::from_secs(1);
/// How long nobody may say that something was written until it is looked for anyway.
pub const OBSERVE_POLL: Duration = Duration::from_secs(4);
/// How long a consumer may take nothing: then its place is another one's.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// How long there may be no answer: then an empty one says that nothing has changed, so that idle and dead differ.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

impl Kit {
    /// Answers a read now, and again whenever its answer has changed. An answer that is empty says that nothing has.
    ///
    /// # Errors
    /// What the handler answers at first, and OVERLOADED when there are as many of these as there may be. The stream ends with
    /// what the handler answers later, at the call's deadline, and STREAM_ENDED when the instance goes or nothing is taken.
    pub async fn observe<State, Req, Res, Handler, Handling>(
        &self,
        shutdown: &Shutdown,
        state: &State,
        request: Request<Req>,
        handler: Handler,
    ) -> std::result::Result<Response<Chunks<Res>>, Status>
    where
        State: Clone + Send + Sync + 'static,
        Req: Clone + NamesThings + Send + Sync + 'static,
        Res: Message + GivesPages + Clone + PartialEq + Default + 'static,
        Handler: Fn(State, ReadUnit, Req) -> Handling + Send + Sync + 'static,
        Handling: Future<Output = Result<(ReadUnit, Res)>> + Send,
    {
        let admitted = self.admit(&request).await?;
        let request = request.into_inner();
        // What is refused is the call's answer, and who may not see it never hears how many look.
        let first = self.retry(|| self.answer_once(&admitted, state, &request, &handler)).await?;
        let place = self.observers().try_acquire_owned().map_err(|_| overloaded())?;
        let (sender, receiver) = mpsc::channel(1);
        let (kit, state, ends) = (self.clone(), state.clone(), shutdown.clone());
        shutdown.spawn_for_call(async move {
            let deadline = admitted.call().deadline;
            let answer = || kit.retry(|| kit.answer_once(&admitted, &state, &request, &handler));
            let last_word = tokio::select! {
                () = sender.closed() => None,
                () = ends.begun() => Some(ended("this instance is going").into()),
                () = until(deadline) => Some(deadline_exceeded()),
                error = observing(&kit, first, answer, &sender) => error.map(Status::from),
            };
            drop(place);
            if let Some(status) = last_word {
                // The consumer may be slow or gone; the last word must not hold the task for long.
                let _ = timeout(OBSERVE_INTERVAL, sender.send(Err(status))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

/// Sends what is answered until something fails; None when the consumer is gone.
async fn observing<Res, Answering>(
    kit: &Kit,
    first: Res,
    answer: impl Fn() -> Answering,
    sender: &mpsc::Sender<std::result::Result<Res, Status>>,
) -> Option<Error>
where
    Res: Clone + PartialEq + Default,
    Answering: Future<Output = Result<Res>>,
{
    let mut wakes = kit.wake().listener();
    let mut known = first.clone();
    let mut message = first;
    loop {
        match timeout(TAKEN_WITHIN, sender.send(Ok(message))).await {
            Ok(sent) => sent.ok()?,
            Err(_) => return Some(ended("nothing was taken for a minute")),
        }
        let told_at = Instant::now();
        message = loop {
            sleep(OBSERVE_INTERVAL).await;
            wakes.wait(OBSERVE_POLL).await;
            let now = match answer().await {
                Ok(now) => now,
                Err(error) => return Some(error),
            };
            if now != known {
                known = now.clone();
                break now;
            }
            if told_at.elapsed() >= SIGN_OF_LIFE {
                break Res::default();
            }
        };
    }
}

/// Not OK: who takes the end of an endless stream for all that there is would never come back.
fn ended(why: &str) -> Error {
    Refusal::new(ErrorReason::StreamEnded).because(format!("{why}: ask again")).into()
}
