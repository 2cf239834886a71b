//! The end of a long answer with the token that it was asked for with. What: the body of an answer that gives no further message once
//! the token has expired or its key is gone, and says so. Why: a subscription lives for days; who was let in yesterday
//! is let in no more today. A single answer is never cut: the call was right when it came.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

use super::{at_once::CallPlace, identify::Ending};

/// The frames of an answer of one message: it, and its trailers.
const FRAMES_OF_ONE: usize = 2;

/// The answer's messages, until the token ends.
struct EndingBody {
    body: Body,
    ending: Ending,
    /// Made when the answer has to be waited for the first time: most answers are complete before.
    comes: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    frames: usize,
    /// The call's place among its caller's, until the last message is sent.
    _place: Option<CallPlace>,
    is_over: bool,
}

/// Ends this answer when the token ends.
pub(crate) fn bounded(response: Response<Body>, ending: Ending, place: Option<CallPlace>) -> Response<Body> {
    if response.headers().contains_key(Status::GRPC_STATUS) {
        return response;
    }
    response.map(|body| {
        Body::new(EndingBody { body, ending, comes: None, frames: 0, _place: place, is_over: false })
    })
}

impl EndingBody {
    /// The last frame: why there are no more.
    fn end(&mut self) -> Frame<<Body as HttpBody>::Data> {
        self.is_over = true;
        // What made the messages ends with it.
        self.body = Body::empty();
        let mut trailers = HeaderMap::new();
        // Only a text that no header can hold fails, and none of ours is.
        let _ = Status::from(self.ending.error()).add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl HttpBody for EndingBody {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if this.frames >= FRAMES_OF_ONE && this.ending.has_come() {
            return Poll::Ready(Some(Ok(this.end())));
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.frames += 1;
            return Poll::Ready(frame);
        }
        let ending = &this.ending;
        let comes = this.comes.get_or_insert_with(|| Box::pin(ending.clone().comes()));
        match comes.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Ok(this.end()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_over { SizeHint::with_exact(0) } else { self.body.size_hint() }
    }
}
