//! Messages one by one, each way. A stream's end, with its error, is its last message, since browsers see no trailers.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use prost::bytes::Bytes;
use prost_reflect::MessageDescriptor;
use tonic::{Status, body::Body};

use super::{
    codec::Codec,
    failure,
    frames::{COMPRESSED, END_OF_STREAM, Frames, framed},
    gzip,
    route::Call,
    unary,
};
use crate::{
    answer::status::overloaded,
    call::budget::{Budget, Taken},
};

/// The gRPC call that this one means.
pub(super) fn request(
    call: &Call,
    request: Request<Body>,
    budget: Budget,
    bytes_max: usize,
) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    unary::as_grpc(&mut parts);
    let messages = Messages {
        codec: call.codec,
        message: call.input.clone(),
        is_compressed: call.is_compressed,
        bytes_max,
        taken: budget.nothing(),
    };
    Request::from_parts(parts, Body::new(Recoded::new(body, bytes_max, messages)))
}

/// The answer as Connect gives it: always 200, since how it ends is known at its end.
pub(super) fn answer(call: &Call, response: Response<Body>, bytes_max: usize) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let answers = Answers {
        codec: call.codec,
        message: call.output.clone(),
        packs: call.takes_compressed,
        ends: Status::from_header_map(&parts.headers),
    };
    let mut answer = Response::new(Body::new(Recoded::new(body, bytes_max, answers)));
    *answer.status_mut() = StatusCode::OK;
    let headers = answer.headers_mut();
    let content_type = match call.codec {
        Codec::Json => "application/connect+json",
        Codec::Proto => "application/connect+proto",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if call.takes_compressed {
        let name = HeaderName::from_static("connect-content-encoding");
        headers.insert(name, HeaderValue::from_static("gzip"));
    }
    for (name, value) in parts.headers.iter().filter(|(name, _)| failure::is_told(name)) {
        headers.append(name, value.clone());
    }
    answer
}

/// What is made of the messages of a body, and of its end.
trait Recode {
    /// The message that takes this one's place.
    fn message(&mut self, flags: u8, message: Vec<u8>) -> Result<Bytes, Status>;
    /// What stands behind the last message, if anything does.
    fn end(&mut self, ended: Result<HeaderMap, Status>) -> Result<Option<Bytes>, Status>;
}

/// A body whose messages are written otherwise.
struct Recoded<R> {
    body: Body,
    frames: Frames,
    recode: R,
    ready: VecDeque<Bytes>,
    trailers: HeaderMap,
    is_over: bool,
}

impl<R: Recode> Recoded<R> {
    fn new(body: Body, bytes_max: usize, recode: R) -> Self {
        Self {
            body,
            frames: Frames::new(bytes_max),
            recode,
            ready: VecDeque::new(),
            trailers: HeaderMap::new(),
            is_over: false,
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Status> {
        self.frames.push(piece);
        while let Some((flags, message)) = self.frames.next()? {
            let message = self.recode.message(flags, message)?;
            self.ready.push_back(message);
        }
        Ok(())
    }

    fn end(&mut self, ended: Result<HeaderMap, Status>) -> Option<Result<Frame<Bytes>, Status>> {
        self.is_over = true;
        let ended = ended.and_then(|trailers| self.frames.end().map(|()| trailers));
        self.recode.end(ended).transpose().map(|last| last.map(Frame::data))
    }
}

impl<R: Recode + Unpin> HttpBody for Recoded<R> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        loop {
            if let Some(message) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
            let taken = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => this.take(&piece),
                    Err(frame) => {
                        this.trailers.extend(frame.into_trailers().unwrap_or_default());
                        Ok(())
                    }
                },
                Some(Err(status)) => Err(status),
                None => {
                    let trailers = std::mem::take(&mut this.trailers);
                    return Poll::Ready(this.end(Ok(trailers)));
                }
            };
            if let Err(status) = taken {
                return Poll::Ready(this.end(Err(status)));
            }
        }
    }
}

/// What a caller sends, as gRPC.
struct Messages {
    codec: Codec,
    message: MessageDescriptor,
    is_compressed: bool,
    bytes_max: usize,
    taken: Taken,
}

impl Recode for Messages {
    fn message(&mut self, flags: u8, message: Vec<u8>) -> Result<Bytes, Status> {
        // What came before has been read by now.
        self.taken.give_back();
        if !self.taken.grow(message.len()) {
            return Err(overloaded());
        }
        let message = match self.is_compressed && flags & COMPRESSED != 0 {
            true => gzip::unpacked(&message, self.bytes_max)?,
            false => message,
        };
        Ok(framed(0, &self.codec.to_proto(&self.message, message)?))
    }

    fn end(&mut self, ended: Result<HeaderMap, Status>) -> Result<Option<Bytes>, Status> {
        ended.map(|_| None)
    }
}

/// What gRPC answers, as Connect.
struct Answers {
    codec: Codec,
    message: MessageDescriptor,
    packs: bool,
    /// The status of an answer that has no messages.
    ends: Option<Status>,
}

impl Recode for Answers {
    fn message(&mut self, _: u8, message: Vec<u8>) -> Result<Bytes, Status> {
        let message = self.codec.of_proto(&self.message, message)?;
        let packed = if self.packs { gzip::packed(&message) } else { None };
        Ok(match packed {
            Some(packed) => framed(COMPRESSED, &packed),
            None => framed(0, &message),
        })
    }

    fn end(&mut self, ended: Result<HeaderMap, Status>) -> Result<Option<Bytes>, Status> {
        let (status, trailers) = match ended {
            Ok(trailers) => (self.ends.take().or_else(|| Status::from_header_map(&trailers)), trailers),
            Err(status) => (Some(status), HeaderMap::new()),
        };
        let status = status.unwrap_or_else(|| Status::unknown("the answer has no end"));
        Ok(Some(framed(END_OF_STREAM, &failure::end_of_stream(&status, &trailers))))
    }
}
