//! gzip, the one compression of Connect here; gRPC's own is tonic's.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use shipei_contracts::common::v1::ErrorReason;
use tonic::Status;

use crate::answer::{error::Refusal, status::too_large};

/// Below this size compressing costs more than it saves, bytes.
const WORTH_COMPRESSING: usize = 1_024;

/// A message as it was before it was compressed: at most so many bytes are made of it.
pub(super) fn unpacked(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, Status> {
    let mut message = Vec::new();
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = GzDecoder::new(bytes).take(most).read_to_end(&mut message);
    if read.is_err() {
        return Err(Refusal::new(ErrorReason::MalformedRequest).because("this is no gzip").into());
    }
    match message.len() > bytes_max {
        true => Err(too_large(message.len(), bytes_max)),
        false => Ok(message),
    }
}

/// A message compressed, if that is worth it.
pub(super) fn packed(message: &[u8]) -> Option<Vec<u8>> {
    if message.len() < WORTH_COMPRESSING {
        return None;
    }
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(message).ok()?;
    writer.finish().ok()
}
