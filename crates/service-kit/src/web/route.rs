//! What a request is: gRPC, gRPC-Web, or a call of the Connect protocol, and then of which RPC, in which codec.

use std::{collections::HashMap, sync::Arc};

use base64::{
    Engine as _,
    prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use prost_reflect::{DescriptorPool, MessageDescriptor, prost_types::method_options::IdempotencyLevel};
use tonic::body::Body;

use super::codec::Codec;

/// The RPCs that can be called, by path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    by_path: Arc<HashMap<String, Route>>,
}

/// What is known of one RPC.
#[derive(Debug, Clone)]
struct Route {
    input: MessageDescriptor,
    output: MessageDescriptor,
    streams: bool,
    changes_nothing: bool,
}

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// gRPC, gRPC-Web, and over HTTP/2 whatever can't be told, which gRPC refuses in its own way.
    Grpc,
    /// Connect, one message each way, POST.
    Unary(Codec),
    /// Connect, by GET.
    Get,
    /// Connect, messages behind prefixes.
    Stream(Codec),
    /// None that is spoken here.
    None,
}

/// How the messages of a call come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Unary,
    Stream,
}

/// A call of the Connect protocol.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) shape: Shape,
    pub(super) codec: Codec,
    pub(super) input: MessageDescriptor,
    pub(super) output: MessageDescriptor,
    /// The message of a GET, which has no body.
    pub(super) message: Option<Vec<u8>>,
    /// What the message or messages are compressed with, as Connect names it.
    pub(super) is_compressed: bool,
    /// Whether the caller takes its answer compressed.
    pub(super) takes_compressed: bool,
}

/// The content types that are spoken, for whoever sends another.
const SPOKEN: &str = "application/json, application/proto, application/connect+json, application/connect+proto, \
                      application/grpc, application/grpc-web";
/// What somebody reads who opens an address of the suite in a browser.
const WHAT_IS_HERE: &str = "师培 shipei\n\n\
    这里没有网页。请用 POST /包.服务/方法 调用，内容为 JSON，例如：\n\
    There are no pages here. Call POST /package.Service/Method with JSON, for example:\n\n\
    curl --json '{}' http://HOST:PORT/shipei.enrollment.v1.ProgrammeService/ListProgrammes\n";
/// The only compression beside none.
const GZIP: &str = "gzip";
const IDENTITY: &str = "identity";
/// The longest query of a GET.
const QUERY_BYTES_MAX: usize = 16 * 1024;

impl Routes {
    /// The RPCs of these gRPC services too.
    pub(crate) fn add(&mut self, pool: &DescriptorPool, services: &[&str]) {
        let by_path = Arc::make_mut(&mut self.by_path);
        for service in services.iter().filter_map(|name| pool.get_service_by_name(name)) {
            for method in service.methods() {
                let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
                let route = Route {
                    input: method.input(),
                    output: method.output(),
                    streams: method.is_client_streaming() || method.is_server_streaming(),
                    changes_nothing: options.idempotency_level() == IdempotencyLevel::NoSideEffects,
                };
                by_path.insert(format!("/{}/{}", service.full_name(), method.name()), route);
            }
        }
    }
}

/// The protocol of this request.
pub(super) fn protocol_of<B>(request: &Request<B>) -> Protocol {
    let content_type = header_text(request.headers(), &header::CONTENT_TYPE);
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if content_type.starts_with("application/grpc") {
        return Protocol::Grpc;
    }
    let named = content_type.strip_prefix("application/").unwrap_or_default();
    if request.method() == Method::POST {
        if let Some(codec) = Codec::named(named) {
            return Protocol::Unary(codec);
        }
        if let Some(codec) = named.strip_prefix("connect+").and_then(Codec::named) {
            return Protocol::Stream(codec);
        }
    }
    match *request.method() {
        Method::GET => Protocol::Get,
        _ if request.version() == Version::HTTP_2 => Protocol::Grpc,
        _ => Protocol::None,
    }
}

/// The call that a request is, or what it is answered.
pub(super) fn connect_call<B>(
    routes: &Routes,
    protocol: Protocol,
    request: &Request<B>,
) -> Result<Call, Box<Response<Body>>> {
    let (shape, codec) = match protocol {
        Protocol::Unary(codec) => (Shape::Unary, codec),
        Protocol::Stream(codec) => (Shape::Stream, codec),
        Protocol::Get => return get_call(routes, request),
        Protocol::Grpc | Protocol::None => return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "")),
    };
    let route = routes.by_path.get(request.uri().path());
    let route = route.ok_or_else(|| plain(StatusCode::NOT_FOUND, WHAT_IS_HERE))?;
    if route.streams != (shape == Shape::Stream) {
        return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, ""));
    }
    let (content, accept) = match shape {
        Shape::Unary => (header::CONTENT_ENCODING, header::ACCEPT_ENCODING),
        Shape::Stream => (
            header::HeaderName::from_static("connect-content-encoding"),
            header::HeaderName::from_static("connect-accept-encoding"),
        ),
    };
    let is_compressed = match header_text(request.headers(), &content) {
        "" | IDENTITY => false,
        GZIP => true,
        _ => return Err(unknown_compression()),
    };
    Ok(Call {
        shape,
        codec,
        input: route.input.clone(),
        output: route.output.clone(),
        message: None,
        is_compressed,
        takes_compressed: takes_gzip(header_text(request.headers(), &accept)),
    })
}

/// A read by GET, as caches like it: everything stands in the query.
fn get_call<B>(routes: &Routes, request: &Request<B>) -> Result<Call, Box<Response<Body>>> {
    let not_here = || plain(StatusCode::NOT_FOUND, WHAT_IS_HERE);
    let route = routes.by_path.get(request.uri().path()).ok_or_else(not_here)?;
    if route.streams || !route.changes_nothing {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Err(refused);
    }
    let query = request.uri().query().unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return Err(plain(StatusCode::URI_TOO_LONG, ""));
    }
    let asked: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    let asked_for = |key: &str| asked.get(key).map(AsRef::as_ref).unwrap_or_default();
    let bad = |text: &str| plain(StatusCode::BAD_REQUEST, text);
    let codec = Codec::named(asked_for("encoding")).ok_or_else(|| bad("encoding=json or encoding=proto"))?;
    let message = asked.get("message").ok_or_else(|| bad("message=... is missing"))?;
    let message = match asked_for("base64") {
        "1" => decode_base64(message).ok_or_else(|| bad("the message is no URL-safe base64"))?,
        _ => message.as_bytes().to_vec(),
    };
    let is_compressed = match asked_for("compression") {
        "" | IDENTITY => false,
        GZIP => true,
        _ => return Err(unknown_compression()),
    };
    Ok(Call {
        shape: Shape::Unary,
        codec,
        input: route.input.clone(),
        output: route.output.clone(),
        message: Some(message),
        is_compressed,
        takes_compressed: takes_gzip(header_text(request.headers(), &header::ACCEPT_ENCODING)),
    })
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let padded = text.ends_with('=');
    let engine = if padded { BASE64_URL_SAFE } else { BASE64_URL_SAFE_NO_PAD };
    engine.decode(text.as_bytes()).ok()
}

fn header_text<'headers>(headers: &'headers HeaderMap, name: &header::HeaderName) -> &'headers str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether a list of encodings holds gzip, and not with a weight of nothing.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some(GZIP) && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
    })
}

fn unknown_compression() -> Box<Response<Body>> {
    let status = tonic::Status::unimplemented("the compressions here are gzip and identity");
    let mut answer = super::failure::unary_answer(&status);
    answer.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(GZIP));
    Box::new(answer)
}

/// An answer of HTTP alone.
fn plain(status: StatusCode, text: &str) -> Box<Response<Body>> {
    let mut answer = Response::new(Body::new(text.to_owned()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        headers.insert(header::HeaderName::from_static("accept-post"), HeaderValue::from_static(SPOKEN));
    }
    Box::new(answer)
}
