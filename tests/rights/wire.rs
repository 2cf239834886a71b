//! Any RPC of the contracts, called with any message through any door: what a client generated from them does, for all of
//! them at once.

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use http_body_util::{BodyExt as _, Full};
use prost_reflect::{DynamicMessage, MethodDescriptor};
use prost_types::Any;
use serde_json::Value;
use shipei_service_kit::prost::{
    Message as _,
    bytes::{Buf as _, BufMut as _, Bytes},
};
use tonic::{
    Code, Request, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::Channel,
};
use tower::{Service as _, ServiceExt as _};

/// Messages as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

/// A way to call: the same rights must stand behind each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Door {
    Grpc,
    /// As browsers do: messages and trailers in one body.
    GrpcWeb,
    /// The Connect protocol with JSON, unary or streamed as the RPC is.
    Json,
}

/// Who calls, and what of other services' logs must be known for it.
pub(super) type Caller<'caller> = (Option<&'caller str>, &'caller MetadataMap);

/// Calls an RPC with one message; its first answer as protobuf, or how it was refused.
pub(super) async fn call(
    channel: &Channel,
    door: Door,
    method: &MethodDescriptor,
    caller: Caller<'_>,
    message: Vec<u8>,
) -> Result<Result<Vec<u8>, Status>> {
    match door {
        Door::Grpc => grpc(channel, method, caller, message).await,
        Door::GrpcWeb => grpc_web(channel, method, caller, &message).await,
        Door::Json => json(channel, method, caller, message).await,
    }
}

fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A unary call is a stream of one message too.
async fn grpc(
    channel: &Channel,
    method: &MethodDescriptor,
    (token, seen): Caller<'_>,
    message: Vec<u8>,
) -> Result<Result<Vec<u8>, Status>> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.context("the server answers")?;
    let mut request = Request::new(tokio_stream::once(message));
    // What was written must be known wherever it is asked for.
    *request.metadata_mut() = seen.clone();
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    }
    let mut answers = match client.streaming(request, path_of(method).parse()?, Raw).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Ok(Err(status)),
    };
    Ok(match answers.message().await {
        Ok(answer) => Ok(answer.unwrap_or_default()),
        Err(status) => Err(status),
    })
}

async fn grpc_web(
    channel: &Channel,
    method: &MethodDescriptor,
    caller: Caller<'_>,
    message: &[u8],
) -> Result<Result<Vec<u8>, Status>> {
    let answer = post(channel, method, caller, "application/grpc-web+proto", framed(message)).await?;
    let refused = Status::from_header_map(answer.headers()).filter(|status| status.code() != Code::Ok);
    if let Some(status) = refused {
        return Ok(Err(status));
    }
    let mut body = Framed::new(answer.into_body());
    match body.next().await? {
        Some((TRAILERS, trailers)) => ended(&trailers),
        Some((_, message)) => Ok(Ok(message)),
        None => bail!("{}: an answer of gRPC-Web without an end", path_of(method)),
    }
}

/// What the trailers in a body say.
fn ended(trailers: &[u8]) -> Result<Result<Vec<u8>, Status>> {
    let mut headers = http::HeaderMap::new();
    for line in std::str::from_utf8(trailers)?.lines() {
        let (name, value) = line.split_once(':').context("a trailer")?;
        headers.insert(http::HeaderName::from_bytes(name.as_bytes())?, value.trim().parse()?);
    }
    let status = Status::from_header_map(&headers).context("a status in the trailers")?;
    Ok(if status.code() == Code::Ok { Ok(Vec::new()) } else { Err(status) })
}

async fn json(
    channel: &Channel,
    method: &MethodDescriptor,
    caller: Caller<'_>,
    message: Vec<u8>,
) -> Result<Result<Vec<u8>, Status>> {
    let message = DynamicMessage::decode(method.input(), message.as_slice())?;
    let message = serde_json::to_vec(&message)?;
    if !method.is_client_streaming() && !method.is_server_streaming() {
        let answer = post(channel, method, caller, "application/json", message).await?;
        let is_answer = answer.status().is_success();
        let body = answer.into_body().collect().await?.to_bytes();
        return if is_answer { Ok(Ok(of_json(method, &body)?)) } else { Ok(Err(status_of(&body)?)) };
    }
    let answer = post(channel, method, caller, "application/connect+json", framed(&message)).await?;
    ensure!(answer.status().is_success(), "{}: {}", path_of(method), answer.status());
    let mut body = Framed::new(answer.into_body());
    match body.next().await? {
        Some((END_OF_STREAM, end)) => {
            let end: Value = serde_json::from_slice(&end)?;
            let error = end.get("error").map(|error| status_of(error.to_string().as_bytes())).transpose()?;
            Ok(error.map_or(Ok(Vec::new()), Err))
        }
        Some((_, message)) => Ok(Ok(of_json(method, &message)?)),
        None => bail!("{}: a stream of Connect without an end", path_of(method)),
    }
}

fn of_json(method: &MethodDescriptor, body: &[u8]) -> Result<Vec<u8>> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Ok(DynamicMessage::deserialize(method.output(), &mut reader)?.encode_to_vec())
}

/// The gRPC status that an error of the Connect protocol stands for.
fn status_of(body: &[u8]) -> Result<Status> {
    let error: Value = serde_json::from_slice(body)?;
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let word = text(&error, "code");
    // The words are those of gRPC's codes, in small letters; the one that English spells two ways is never told here.
    let code = (0..=16).map(Code::from_i32).find(|code| snake_case(&format!("{code:?}")) == word);
    let details = error["details"].as_array().into_iter().flatten().map(|detail| {
        let value = BASE64_STANDARD_NO_PAD.decode(text(detail, "value"))?;
        Ok(Any { type_url: format!("type.googleapis.com/{}", text(detail, "type")), value })
    });
    let told = tonic_types::pb::Status {
        code: code.context(word)? as i32,
        message: text(&error, "message"),
        details: details.collect::<Result<_>>()?,
    };
    let details = told.encode_to_vec();
    Ok(Status::with_details(Code::from_i32(told.code), told.message, details.into()))
}

fn snake_case(words: &str) -> String {
    let mut snake = String::new();
    for letter in words.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

async fn post(
    channel: &Channel,
    method: &MethodDescriptor,
    (token, seen): Caller<'_>,
    content_type: &str,
    body: Vec<u8>,
) -> Result<http::Response<Body>> {
    let mut request = http::Request::post(path_of(method)).body(Body::new(Full::new(Bytes::from(body))))?;
    *request.headers_mut() = seen.clone().into_headers();
    request.headers_mut().insert(http::header::CONTENT_TYPE, content_type.parse()?);
    if let Some(token) = token {
        request.headers_mut().insert(http::header::AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    channel.clone().ready().await?.call(request).await.context("the server answers")
}

/// The flag of gRPC-Web's trailers in a body.
const TRAILERS: u8 = 0x80;
/// Connect's flag of the message that ends a stream.
const END_OF_STREAM: u8 = 2;

/// A message behind a byte of flags and its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.put_u32(message.len() as u32);
    frame.extend_from_slice(message);
    frame
}

/// A body read message by message: a stream that goes on is not read to its end.
struct Framed {
    body: Body,
    bytes: Vec<u8>,
}

impl Framed {
    fn new(body: Body) -> Self {
        Self { body, bytes: Vec::new() }
    }

    async fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some((&[flags, ref length @ ..], rest)) = self.bytes.split_first_chunk::<5>() {
                let length = u32::from_be_bytes(*length) as usize;
                if let Some(message) = rest.get(..length) {
                    let message = message.to_vec();
                    self.bytes.drain(..5 + length);
                    return Ok(Some((flags, message)));
                }
            }
            match self.body.frame().await.transpose()? {
                Some(frame) => self.bytes.extend(frame.into_data().unwrap_or_default()),
                None => return Ok(None),
            }
        }
    }
}
