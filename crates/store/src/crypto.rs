//! Keys, and the only source of random bytes.
//!
//! An installation has a key of 32 bytes in a file (`crypto/keys`); the keys for each of its purposes are derived from it by
//! HMAC-SHA256 with a label, so that no two purposes share one. To add a purpose, add a label and a type of its own; never
//! change a label. It seals nothing that is kept but small keys: each database has a secret of its own, and what is to be
//! destroyed by itself has a key of its own ([`crate::data_key`]), all of them wrapped ([`KeyWrap`]). So the installation's key
//! can be changed at any time, and no sealed value and no digest with it.

mod cipher;
mod derive;
mod key_file;
mod keys;
mod private;
mod random;
mod wrap;

pub use cipher::{CannotOpen, Cipher, LookupKey, UnknownCipher, Vault};
pub use derive::KEY_BYTES;
pub(crate) use derive::derived;
pub use key_file::{KEY_FILE_READ_EVERY, KEYS_MAX, add_key, drop_older_keys};
pub use keys::{Keys, TokenKey};
pub(crate) use private::make_private_empty;
pub use private::{make_private_folder, readable_by_others};
pub use random::{hex, jitter, random_bytes, random_name};
pub use wrap::{KeyWrap, WrappedKey};
