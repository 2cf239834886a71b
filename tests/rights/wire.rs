//! Any RPC of the contracts, called with any message: what a client generated from them does, for all of them at once.

use anyhow::{Context as _, Result};
use shipei_service_kit::prost::bytes::{Buf as _, BufMut as _};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::Channel,
};

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

/// Calls an RPC with one message, by whom a token names, after what `seen` names is known; its first answer, or how it was refused. A unary call is a stream of one message too.
pub(super) async fn call(
    channel: &Channel,
    path: &str,
    (token, seen): (Option<&str>, &MetadataMap),
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
    let mut answers = match client.streaming(request, path.parse()?, Raw).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Ok(Err(status)),
    };
    Ok(match answers.message().await {
        Ok(answer) => Ok(answer.unwrap_or_default()),
        Err(status) => Err(status),
    })
}
