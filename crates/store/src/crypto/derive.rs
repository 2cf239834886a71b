//! Keys that follow from a key.

use aes_gcm::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Length of the installation's key and of each derived key, in bytes.
pub const KEY_BYTES: usize = 32;

/// A key.
pub(crate) type Key = [u8; KEY_BYTES];

pub(super) fn hmac_of(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

/// HMAC-SHA256 over the parts as one.
pub(crate) fn hmac_sha256(key: &Key, parts: &[&[u8]]) -> Key {
    // HMAC takes a key of any length, so there always is one.
    hmac_of(key, parts).map_or([0; KEY_BYTES], |mac| mac.finalize().into_bytes().into())
}

/// The key of page tokens and cursors that follows from an installation's.
pub(super) fn tokens_key(key: &Key) -> Key {
    derived(key, b"shipei tokens 1")
}

/// The key that follows from another one by a label.
pub(crate) fn derived(key: &Key, label: &[u8]) -> Key {
    hmac_sha256(key, &[label])
}
