//! The messages of a request, as they come in: they take from the [`Budget`] when their length is declared, and have a time
//! in which they must be complete. Why here: tonic keeps room for a message as soon as its length is known, and waits for
//! its last byte as long as the caller likes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::{Status, body::Body};

use crate::{
    answer::status::{deadline_exceeded, overloaded, too_large},
    call::budget::{Budget, Taken},
};

/// How long things may take to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// A request of one message from its head to its end, and a message of a stream from its first byte to its last.
    pub(crate) message: Duration,
    /// A request of many messages that has one answer, to its end: a roster.
    pub(crate) gathered: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { message: Duration::from_secs(60), gathered: Duration::from_secs(600) }
    }
}

/// What precedes a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// A message is held twice while it is decoded: as it came, and as what was made of it.
const COPIES: usize = 2;
/// How much larger than it came a compressed message is taken to be.
const COMPRESSED_FACTOR: usize = 8;

/// How the messages of a method come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// One.
    #[default]
    Unary,
    /// Many that are put together before the one answer.
    Gathered,
    /// Many that are answered one by one.
    Streamed,
}

/// What a call holds of the budget: its body, and the call itself, which has what the body held, let go of it last.
#[derive(Debug, Clone)]
pub(crate) struct Held(Arc<Mutex<Taken>>);

impl Held {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self(Arc::new(Mutex::new(budget.nothing())))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body within bounds.
pub(crate) struct BoundedBody {
    body: Body,
    kind: Kind,
    bytes_max: usize,
    times: Times,
    taken: Held,
    /// Of the prefix that is being read.
    prefix: [u8; PREFIX_BYTES],
    prefix_length: usize,
    /// What is missing of the message that is being read.
    missing: usize,
    /// What the message before it takes beside what is kept of it.
    passing: usize,
    /// Until when what is being read must be complete.
    limit: Option<Pin<Box<Sleep>>>,
}

impl BoundedBody {
    pub(crate) fn new(body: Body, kind: Kind, bytes_max: usize, times: Times, taken: Held) -> Self {
        let limit = match kind {
            Kind::Unary => Some(times.message),
            Kind::Gathered => Some(times.gathered),
            Kind::Streamed => None,
        };
        let limit = limit.map(|limit| Box::pin(tokio::time::sleep(limit)));
        let prefix = [0; PREFIX_BYTES];
        Self { body, kind, bytes_max, times, taken, prefix, prefix_length: 0, missing: 0, passing: 0, limit }
    }

    /// Reads what a frame holds of prefixes and messages.
    fn follow(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            if self.missing > 0 {
                let read = self.missing.min(data.len());
                self.missing -= read;
                data = &data[read..];
                if self.missing == 0 {
                    self.end_message();
                }
                continue;
            }
            if self.prefix_length == 0 && self.kind == Kind::Streamed {
                // The one before has been taken by now.
                self.taken.taken().give_back();
                self.limit = Some(Box::pin(tokio::time::sleep(self.times.message)));
            }
            let read = (PREFIX_BYTES - self.prefix_length).min(data.len());
            self.prefix[self.prefix_length..self.prefix_length + read].copy_from_slice(&data[..read]);
            self.prefix_length += read;
            data = &data[read..];
            if self.prefix_length == PREFIX_BYTES {
                self.prefix_length = 0;
                self.declared()?;
            }
        }
        Ok(())
    }

    fn end_message(&mut self) {
        if self.kind == Kind::Streamed {
            self.limit = None;
        }
    }

    /// The length of a message is known.
    fn declared(&mut self) -> Result<(), Status> {
        let [compressed, length @ ..] = self.prefix;
        let length = u32::from_be_bytes(length) as usize;
        if length > self.bytes_max {
            return Err(too_large(length, self.bytes_max));
        }
        self.missing = length;
        let passing = std::mem::take(&mut self.passing);
        if length == 0 {
            self.end_message();
        }
        let most = self.bytes_max.saturating_mul(COPIES);
        let factor = if compressed == 0 { COPIES } else { COMPRESSED_FACTOR };
        let wanted = length.saturating_mul(factor).min(most);
        if self.kind == Kind::Gathered && compressed == 0 {
            self.passing = wanted.saturating_sub(length);
        }
        let mut taken = self.taken.taken();
        taken.shrink(passing);
        match taken.grow(wanted) {
            true => Ok(()),
            false => Err(overloaded()),
        }
    }
}

impl HttpBody for BoundedBody {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let this = self.get_mut();
        if let Some(limit) = &mut this.limit
            && limit.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(deadline_exceeded())));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = this.follow(data)
        {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use prost::bytes::Bytes;
    use tonic::Code;

    use super::*;
    use crate::answer::status::{reason_of, retry_after};

    const MIB: usize = 1024 * 1024;

    /// A body of these frames that then says nothing more.
    struct Frames(VecDeque<Bytes>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match self.0.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame)))),
                None => Poll::Pending,
            }
        }
    }

    fn body(kind: Kind, budget: &Budget, frames: &[&[u8]]) -> BoundedBody {
        body_in(kind, budget, frames, Times::default())
    }

    fn body_in(kind: Kind, budget: &Budget, frames: &[&[u8]], times: Times) -> BoundedBody {
        let frames = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
        BoundedBody::new(Body::new(Frames(frames)), kind, 8 * MIB, times, Held::new(budget))
    }

    async fn next(body: &mut BoundedBody) -> Result<(), Status> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.expect("a body that goes on").map(|_| ())
    }

    fn prefix(length: usize) -> Vec<u8> {
        let mut prefix = vec![0];
        prefix.extend(u32::try_from(length).unwrap().to_be_bytes());
        prefix
    }

    #[tokio::test]
    async fn declared_length_is_taken_before_a_byte_of_it_comes() {
        let budget = Budget::new(128 * MIB);
        let large = prefix(8 * MIB);
        let mut bodies = Vec::new();
        loop {
            // A prefix may come in pieces.
            let mut one = body(Kind::Unary, &budget, &[&large[..2], &large[2..]]);
            next(&mut one).await.unwrap();
            match next(&mut one).await {
                Ok(()) => bodies.push(one),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted);
                    assert_eq!(reason_of(&status).as_deref(), Some("OVERLOADED"));
                    assert!(retry_after(&status).is_some());
                    break;
                }
            }
        }
        assert_eq!(bodies.len(), 7);
        // Ordinary calls go on.
        next(&mut body(Kind::Unary, &budget, &[&prefix(1000)])).await.unwrap();
        drop(bodies);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn stream_holds_one_message_and_what_is_gathered_all() {
        // Two copies of the message that is being decoded, one of what was gathered before it.
        for (kind, held) in [(Kind::Streamed, 2), (Kind::Gathered, 4)] {
            let budget = Budget::default();
            let message = [prefix(1), vec![7]].concat();
            let mut one = body(kind, &budget, &[&message, &message, &message]);
            for _ in 0..3 {
                next(&mut one).await.unwrap();
            }
            assert_eq!(budget.used(), held);
        }
    }

    #[tokio::test]
    async fn too_large_is_told_with_its_reason() {
        let status =
            next(&mut body(Kind::Unary, &Budget::default(), &[&prefix(8 * MIB + 1)])).await.unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("MESSAGE_TOO_LARGE"));
    }

    #[tokio::test]
    async fn message_that_does_not_end_is_ended() {
        let times = Times { message: Duration::from_millis(20), gathered: Duration::from_millis(40) };
        for (kind, frames) in [
            (Kind::Unary, &[][..]),
            (Kind::Unary, &[&[0, 0, 0, 0, 1, 7][..]]),
            (Kind::Gathered, &[&[0, 0, 0, 0, 1, 7][..]]),
            (Kind::Streamed, &[&[0, 0, 0][..]]),
        ] {
            let mut one = body_in(kind, &Budget::default(), frames, times);
            let ended = async { while next(&mut one).await.is_ok() {} };
            tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
        }
        // A stream that has nothing to say may be silent.
        let mut silent = body_in(Kind::Streamed, &Budget::default(), &[&[0, 0, 0, 0, 1, 7]], times);
        next(&mut silent).await.unwrap();
        assert!(tokio::time::timeout(times.gathered * 4, next(&mut silent)).await.is_err());
    }
}
