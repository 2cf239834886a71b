//! What the transport finds wrong with a request before any handler sees it, told as every refusal is. Why: tonic answers
//! INTERNAL, without a reason, to whoever sends half a message, so that anybody could raise the rate of errors and wake
//! who watches it. One more thing that the transport finds is one more line of [`reason_of_transport`].

use http::{HeaderMap, Method, Request, header};
use shipei_contracts::common::v1::ErrorReason;
use tonic::{Code, Status, body::Body};

use crate::answer::error::Refusal;

/// What the content type of a gRPC call begins with.
const CONTENT_TYPE: &str = "application/grpc";

/// What a request is answered that is no gRPC call.
pub(crate) fn of_head(request: &Request<Body>) -> Option<Status> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_grpc = content_type.is_some_and(|value| value.starts_with(CONTENT_TYPE));
    if request.method() == Method::POST && is_grpc {
        return None;
    }
    let refusal = Refusal::new(ErrorReason::MalformedRequest);
    Some(refusal.because(format!("a call is a POST whose content type is {CONTENT_TYPE}")).into())
}

/// Says in the suite's words what the transport has found, if these headers or trailers say that.
pub(crate) fn reword(headers: &mut HeaderMap) {
    let code = headers.get(Status::GRPC_STATUS).map(http::HeaderValue::as_bytes);
    if !matches!(code, Some(b"11" | b"13")) || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return;
    }
    let Some(found) = Status::from_header_map(headers) else { return };
    let Some(reason) = reason_of_transport(&found) else { return };
    let told = Status::from(Refusal::new(reason).because(found.message()));
    headers.remove(Status::GRPC_MESSAGE);
    // Only a text that no header can hold fails, and none of ours is.
    let _ = told.add_header(headers);
}

/// The reason of an answer that no part of the suite gave. Every answer of ours has details.
fn reason_of_transport(found: &Status) -> Option<ErrorReason> {
    let message = found.message();
    let about_request =
        ["Missing request message", "Unexpected EOF decoding stream", "failed to decode Protobuf"];
    match found.code() {
        Code::OutOfRange if message.starts_with("Error, decoded message length") => {
            Some(ErrorReason::MessageTooLarge)
        }
        Code::Internal if about_request.iter().any(|text| message.contains(text)) => {
            Some(ErrorReason::MalformedRequest)
        }
        Code::Internal if message.starts_with("protocol error: received message with") => {
            Some(ErrorReason::MalformedRequest)
        }
        _ => None,
    }
}
