//! What wraps the keys that a database keeps. The key file does ([`super::Keys`]); a key management service can.

use std::fmt;

use super::{cipher::CannotOpen, derive::KEY_BYTES};
use crate::StoreError;

/// A key of 32 bytes, encrypted by a key that is not in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Which key wrapped it; it says nothing of that key.
    pub key_id: String,
    /// The key, wrapped.
    pub bytes: Vec<u8>,
}

/// Wraps the keys that databases keep by keys of the installation that they don't. It is asked for each person who is enrolled or
/// shown, in the middle of other work: what must ask over a network, as a key management service, gets a key from there when it
/// begins, keeps it in memory, and wraps by that.
pub trait KeyWrap: fmt::Debug + Send + Sync {
    /// The id of the key by which it wraps now.
    fn current(&self) -> String;

    /// Whether it can unwrap what the key of this id wrapped.
    fn knows(&self, key_id: &str) -> bool;

    /// Wraps a key by the current one. `context` says whose key it is, as in [`super::Vault::seal`].
    ///
    /// # Errors
    /// When it can't.
    fn wrap(&self, context: &[u8], key: &[u8; KEY_BYTES]) -> Result<WrappedKey, StoreError>;

    /// Unwraps what [`KeyWrap::wrap`] gave for the same context, now or by an older key.
    ///
    /// # Errors
    /// When no key that it has wrapped this.
    fn unwrap(&self, context: &[u8], wrapped: &WrappedKey) -> Result<[u8; KEY_BYTES], CannotOpen>;
}
