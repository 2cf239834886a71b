//! How large an answer may be.

use prost::Message;
use shipei_contracts::common::v1::ErrorReason;

use super::error::{Refusal, Result};

/// The largest message, bytes, either way.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Refuses an answer that the transport would not send, before anything is kept that its caller would not hear of.
///
/// # Errors
/// TOO_MANY.
pub fn check<Res: Message>(response: &Res) -> Result<()> {
    let bytes = response.encoded_len();
    if bytes <= MESSAGE_BYTES_MAX {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorReason::TooMany).with("bytes", bytes.to_string());
    Err(refusal.with("bytes_max", MESSAGE_BYTES_MAX.to_string()).into())
}
