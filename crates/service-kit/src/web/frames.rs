//! Bodies that are cut into messages, each behind a byte of flags and its length: gRPC's and Connect's streams alike.

use prost::bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use shipei_contracts::common::v1::ErrorReason;
use tonic::Status;

use crate::answer::{error::Refusal, status::too_large};

/// What precedes a message.
const PREFIX_BYTES: usize = 5;
/// The flag of a compressed message.
pub(super) const COMPRESSED: u8 = 1;
/// Connect's flag of the message that ends a stream.
pub(super) const END_OF_STREAM: u8 = 2;

/// A message behind its prefix.
pub(super) fn framed(flags: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(flags);
    // No message is as large as that: both sides have bounds.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// Puts messages together from the pieces in which they come.
#[derive(Debug)]
pub(super) struct Frames {
    bytes: BytesMut,
    bytes_max: usize,
}

impl Frames {
    /// Messages of at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: BytesMut::new(), bytes_max }
    }

    /// One more piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The next message that is complete, with its flags.
    pub(super) fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, Status> {
        let Some((prefix, _)) = self.bytes.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let [flags, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if length > self.bytes_max {
            return Err(too_large(length, self.bytes_max));
        }
        if self.bytes.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.bytes.advance(PREFIX_BYTES);
        Ok(Some((flags, self.bytes.split_to(length).to_vec())))
    }

    /// A body has ended: nothing of a message may be left.
    pub(super) fn end(&self) -> Result<(), Status> {
        match self.bytes.is_empty() {
            true => Ok(()),
            false => {
                let because = "the body ends in the middle of a message";
                Err(Refusal::new(ErrorReason::MalformedRequest).because(because).into())
            }
        }
    }
}
