//! A gRPC status as the Connect protocol says it: JSON with the code's word, the message, and the details, each as protobuf and,
//! for who reads it with their own eyes, as JSON.

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Map, Value, json};
use tonic::{Code, Status, body::Body};

use super::codec;
use crate::answer::status::retry_after;

/// What errors carry.
static DETAILS: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).unwrap_or_default());

/// What the name of a detail's type stands behind.
const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// The answer of a unary call that failed.
pub(super) fn unary_answer(status: &Status) -> Response<Body> {
    let mut answer = Response::new(Body::new(error(status).to_string()));
    *answer.status_mut() = http_status(status.code());
    let headers = answer.headers_mut();
    // An error is JSON, whatever the messages are.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = retry_after(status) {
        let seconds = wait.as_millis().div_ceil(1_000).to_string();
        headers.extend(HeaderValue::from_str(&seconds).ok().map(|seconds| (header::RETRY_AFTER, seconds)));
    }
    answer
}

/// The last message of a stream: how it ended, and what stood in its trailers.
pub(super) fn end_of_stream(status: &Status, metadata: &HeaderMap) -> Vec<u8> {
    let mut end = Map::new();
    if status.code() != Code::Ok {
        end.insert("error".into(), error(status));
    }
    let mut told: Map<String, Value> = Map::new();
    for (name, value) in metadata.iter().filter(|(name, _)| is_told(name)) {
        let Ok(value) = value.to_str() else { continue };
        let values = told.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    if !told.is_empty() {
        end.insert("metadata".into(), told.into());
    }
    Value::Object(end).to_string().into_bytes()
}

/// Is a header of a gRPC answer the caller's, and not the protocol's?
pub(super) fn is_told(name: &header::HeaderName) -> bool {
    let protocols = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TE, header::TRAILER];
    !protocols.contains(name) && !name.as_str().starts_with("grpc-")
}

fn error(status: &Status) -> Value {
    let mut error = Map::new();
    error.insert("code".into(), word(status.code()).into());
    if !status.message().is_empty() {
        error.insert("message".into(), status.message().into());
    }
    let told = tonic_types::pb::Status::decode(status.details()).unwrap_or_default();
    let details: Vec<Value> = told
        .details
        .iter()
        .map(|detail| {
            let name = detail.type_url.strip_prefix(TYPE_URL_PREFIX).unwrap_or(&detail.type_url);
            let mut said = json!({ "type": name, "value": BASE64_STANDARD_NO_PAD.encode(&detail.value) });
            if let Some(readable) = readable(name, &detail.value) {
                said["debug"] = readable;
            }
            said
        })
        .collect();
    if !details.is_empty() {
        error.insert("details".into(), details.into());
    }
    error.into()
}

fn readable(name: &str, bytes: &[u8]) -> Option<Value> {
    let read = DynamicMessage::decode(DETAILS.get_message_by_name(name)?, bytes).ok()?;
    serde_json::from_slice(&codec::json(&read).ok()?).ok()
}

fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "canceled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // The client closed the request: no registered code, and the one that Connect names.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
