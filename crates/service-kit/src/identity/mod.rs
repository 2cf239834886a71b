//! Who calls, and how that is known. What: [`caller`] (what every call knows of its caller), [`claims`] (what a token says, as
//! types), and what makes the one of the other. Why a room below `call`: whoever wants to know who calls, admission, limits, rights,
//! events, needs these types and none of the ways in which they came about.
//!
//! A token goes through [`verifier`] (text to claims, and what is known already), `key_ring` (the issuer's keys as they are now: from
//! a file, or by `fetch` from an address), `key_set` (which key verifies what) and `signatures` (by ring). `service_token` is how
//! services of a suite know each other, [`mint`] how tokens for development and tests are made.

pub mod caller;
pub mod claims;
pub(crate) mod fetch;
mod key_ring;
mod key_set;
pub mod mint;
pub mod role;
pub(crate) mod service_token;
mod signatures;
pub mod verifier;

pub use key_ring::{ADDRESS_READ_EVERY, ASKED_EVERY_MIN, FILE_READ_EVERY, KeySource, KeysError};
pub use key_set::InvalidKeySet;
