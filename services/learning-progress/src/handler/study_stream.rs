//! `StreamHeartbeats`: a task reads the stream and puts message after message into the stream's line; the answers come
//! back in the same order, each when its message is on disk. A few messages of a stream may be on their way at once, so
//! that reading, computing and committing overlap. What ends a stream is an error of a whole message: its status is
//! the last answer.

use std::pin::Pin;
use std::sync::atomic::Ordering;

use futures::Stream;
use shipei_contracts::learning::v1::{StreamHeartbeatsRequest, StreamHeartbeatsResponse};
use shipei_service_kit::{AdmittedStream, Error, Result, Token};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::StudyHandler;
use crate::convert;
use crate::pipeline::{Answer, Line, Pending, Sender};

/// The most messages of one stream that are on their way at once.
const MESSAGES_ON_THEIR_WAY_MAX: usize = 8;

/// The answers of one stream.
pub(super) type Answers =
    Pin<Box<dyn Stream<Item = std::result::Result<StreamHeartbeatsResponse, Status>> + Send>>;

/// A message that is on its way: its number and its answer to come; or why there is none.
type OnItsWay = std::result::Result<(i64, Pending), Status>;

impl StudyHandler {
    /// Begins to read a stream, and gives its answers.
    pub(super) async fn open_stream(
        &self,
        request: Request<Streaming<StreamHeartbeatsRequest>>,
    ) -> Result<Response<Answers>> {
        let admitted = self.kit.admit_stream(&request).await?;
        let line = Line::new(self.streams.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = mpsc::channel(MESSAGES_ON_THEIR_WAY_MAX);
        let reader = self.clone();
        self.shutdown.spawn_for_call(async move {
            reader.read_stream(line, admitted, request.into_inner(), sender).await
        });
        let mut response = Response::new(answers(receiver));
        // Its messages are small, and many.
        response.disable_compression();
        Ok(response)
    }

    /// Reads until the stream ends, a message can't be, nobody wants the answers, or the service ends.
    async fn read_stream(
        self,
        line: Line,
        admitted: AdmittedStream,
        mut messages: Streaming<StreamHeartbeatsRequest>,
        on_their_way: mpsc::Sender<OnItsWay>,
    ) {
        loop {
            let message = tokio::select! {
                message = messages.message() => message,
                () = self.shutdown.begun() => Err(Error::Unavailable("the service is ending".to_owned()).into()),
                () = on_their_way.closed() => return,
            };
            let put: OnItsWay = match message {
                Ok(None) => return,
                Ok(Some(message)) => self.put(&line, &admitted, message).await.map_err(Status::from),
                Err(status) => Err(status),
            };
            let ends = put.is_err();
            if on_their_way.send(put).await.is_err() || ends {
                return;
            }
        }
    }

    /// Puts one message into the lane, after what its token names is known here.
    async fn put(
        &self,
        line: &Line,
        stream: &AdmittedStream,
        message: StreamHeartbeatsRequest,
    ) -> Result<(i64, Pending)> {
        let admitted = stream.admit(&message)?.without_look_ups()?;
        let sender = Sender::of(&admitted, "shipei.learning.v1.StreamHeartbeatsRequest");
        if !message.consistency_token.is_empty() {
            let token = Token::decode(message.consistency_token.as_bytes())?;
            self.kit.applied().wait_for(&token, admitted.call().deadline).await?;
        }
        let number = message.batch_number;
        let message = convert::stream_message(&message, &sender, self.kit.clock().now())?;
        Ok((number, self.pipeline.submit(line, message).await?))
    }
}

/// The answers in order; an error is the last.
fn answers(receiver: mpsc::Receiver<OnItsWay>) -> Answers {
    Box::pin(futures::stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        let on_its_way = receiver.recv().await?;
        match arrived(on_its_way).await {
            Ok(response) => Some((Ok(response), Some(receiver))),
            Err(status) => Some((Err(status), None)),
        }
    }))
}

async fn arrived(on_its_way: OnItsWay) -> std::result::Result<StreamHeartbeatsResponse, Status> {
    let (batch_number, pending) = on_its_way?;
    let answer =
        pending.await.unwrap_or_else(|_| Err(Error::Unavailable("the service is ending".to_owned())));
    let Answer { sessions, token } = answer?;
    let sessions = sessions.iter().map(|answers| convert::session_result(answers)).collect();
    let consistency_token = if token.is_empty() { String::new() } else { token.encode() };
    Ok(StreamHeartbeatsResponse { batch_number, sessions, consistency_token })
}
