//! One message each way. The request's body is read when gRPC asks for it, so that its limits of time and size hold for it too;
//! what is read takes from the budget.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use prost::bytes::Bytes;
use prost_reflect::MessageDescriptor;
use tonic::{Code, Status, body::Body};

use super::{
    codec::Codec,
    failure,
    frames::{Frames, framed},
    gzip,
    route::Call,
};
use crate::{
    answer::status::{overloaded, too_large},
    call::budget::{Budget, Taken},
};

/// Connect's time for a call, milliseconds; gRPC's is [`GRPC_TIMEOUT`].
const CONNECT_TIMEOUT: &str = "connect-timeout-ms";
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The most digits that both have.
const TIMEOUT_DIGITS_MAX: usize = 8;
/// Headers that say how a Connect body is written, and mean nothing to gRPC, or something else.
const OF_CONNECT: [&str; 7] = [
    CONNECT_TIMEOUT,
    "connect-protocol-version",
    "connect-content-encoding",
    "connect-accept-encoding",
    "content-length",
    "content-encoding",
    "accept-encoding",
];

/// The gRPC call that this one means.
pub(super) fn request(
    call: &Call,
    request: Request<Body>,
    budget: Budget,
    bytes_max: usize,
) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    as_grpc(&mut parts);
    let body = match &call.message {
        Some(message) => Body::new(http_body_util::Full::from(message.clone())),
        None => body,
    };
    let body = OneMessage {
        body,
        codec: call.codec,
        input: call.input.clone(),
        is_compressed: call.is_compressed,
        bytes_max,
        taken: budget.nothing(),
        read: Vec::new(),
        is_over: false,
    };
    Request::from_parts(parts, Body::new(body))
}

/// Makes the head of a Connect request that of a gRPC one.
pub(super) fn as_grpc(parts: &mut http::request::Parts) {
    let timeout = parts.headers.get(CONNECT_TIMEOUT).and_then(|value| value.to_str().ok()).filter(|millis| {
        millis.len() <= TIMEOUT_DIGITS_MAX && millis.bytes().all(|digit| digit.is_ascii_digit())
    });
    let timeout = timeout.and_then(|millis| HeaderValue::from_str(&format!("{millis}m")).ok());
    for name in OF_CONNECT {
        parts.headers.remove(name);
    }
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(timeout) = timeout {
        parts.headers.insert(HeaderName::from_static(GRPC_TIMEOUT), timeout);
    }
    parts.method = http::Method::POST;
    parts.version = Version::HTTP_2;
}

/// A body of one message, given on as gRPC frames it.
struct OneMessage {
    body: Body,
    codec: Codec,
    input: MessageDescriptor,
    is_compressed: bool,
    bytes_max: usize,
    taken: Taken,
    read: Vec<u8>,
    is_over: bool,
}

impl OneMessage {
    fn take(&mut self, piece: &[u8]) -> Result<(), Status> {
        let length = self.read.len() + piece.len();
        if length > self.bytes_max {
            return Err(too_large(length, self.bytes_max));
        }
        if !self.taken.grow(piece.len()) {
            return Err(overloaded());
        }
        self.read.extend_from_slice(piece);
        Ok(())
    }

    fn message(&mut self) -> Result<Bytes, Status> {
        let mut bytes = std::mem::take(&mut self.read);
        if self.is_compressed {
            bytes = gzip::unpacked(&bytes, self.bytes_max)?;
        }
        let message = self.codec.to_proto(&self.input, bytes)?;
        self.taken.give_back();
        Ok(framed(0, &message))
    }
}

impl HttpBody for OneMessage {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        while !this.is_over {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.data_ref()
                        && let Err(status) = this.take(piece)
                    {
                        this.is_over = true;
                        return Poll::Ready(Some(Err(status)));
                    }
                }
                Some(Err(status)) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    this.is_over = true;
                    return Poll::Ready(Some(this.message().map(Frame::data)));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// The answer as Connect gives it.
pub(super) async fn answer(call: &Call, response: Response<Body>, bytes_max: usize) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let (message, trailers, status) = match gathered(&parts.headers, body, bytes_max).await {
        Ok(gathered) => gathered,
        Err(status) => (Vec::new(), HeaderMap::new(), status),
    };
    let message = match status.code() {
        Code::Ok => call.codec.of_proto(&call.output, message),
        _ => Err(status),
    };
    let mut answer = match message {
        Ok(message) => answered(call, message),
        Err(status) => failure::unary_answer(&status),
    };
    let headers = answer.headers_mut();
    for (name, value) in parts.headers.iter().filter(|(name, _)| failure::is_told(name)) {
        headers.append(name, value.clone());
    }
    for (name, value) in trailers.iter().filter(|(name, _)| failure::is_told(name)) {
        if let Ok(name) = HeaderName::from_bytes(format!("trailer-{name}").as_bytes()) {
            headers.append(name, value.clone());
        }
    }
    answer
}

fn answered(call: &Call, message: Vec<u8>) -> Response<Body> {
    let packed = if call.takes_compressed { gzip::packed(&message) } else { None };
    let is_packed = packed.is_some();
    let mut answer = Response::new(Body::new(http_body_util::Full::from(packed.unwrap_or(message))));
    let content_type = match call.codec {
        Codec::Json => "application/json",
        Codec::Proto => "application/proto",
    };
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if is_packed {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// The one message of a gRPC answer, its trailers, and its status.
async fn gathered(
    headers: &HeaderMap,
    mut body: Body,
    bytes_max: usize,
) -> Result<(Vec<u8>, HeaderMap, Status), Status> {
    if let Some(status) = Status::from_header_map(headers) {
        return Ok((Vec::new(), HeaderMap::new(), status));
    }
    let (mut frames, mut message, mut trailers) = (Frames::new(bytes_max), Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await.transpose()? {
        match frame.into_data() {
            Ok(piece) => frames.push(&piece),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
        if let Some((_, whole)) = frames.next()? {
            message = whole;
        }
    }
    let status =
        Status::from_header_map(&trailers).unwrap_or_else(|| Status::unknown("the answer has no end"));
    Ok((message, trailers, status))
}
