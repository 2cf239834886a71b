//! The code of a certificate: its fields and their Ed25519 signature in one text, short enough for the QR code on the paper. It is all
//! that a verification needs beside the published key, and all that the paper proves.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::certificate::{Certificate, FORM, FieldError};

/// The first byte of a code: its form.
const FORM_1: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const PUBLIC_KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// The most characters of a code.
pub const CODE_LENGTH_MAX: usize = 12_000;

/// Why a code proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// The text is no code.
    #[error("this is not the code of a certificate")]
    Malformed,
    /// It was signed with another key than is known here.
    #[error("the certificate was signed with another key")]
    OtherKey,
    /// What it says was not signed.
    #[error("the signature does not hold: what the code says is not what was signed")]
    Signature,
}

/// What signs certificates.
pub struct SigningKey(Ed25519KeyPair);

/// What verifies them; may be known to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

impl SigningKey {
    /// The key that follows from a secret; `None` if there can't be one, which does not happen.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The key to publish.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The code of a certificate.
    ///
    /// # Errors
    /// [`FieldError::TooLong`].
    pub fn code(&self, certificate: &Certificate) -> Result<String, FieldError> {
        let fields = certificate.to_bytes()?;
        let key = self.public();
        let signature = self.0.sign(&signed(&key, &fields));
        let bytes = [&[FORM_1][..], &key.id(), &fields, signature.as_ref()].concat();
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The signature of anything else, under what it is: two kinds of things can't be taken for each other.
    pub fn sign(&self, what: &str, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(&of_kind(what, bytes)).as_ref().to_vec()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningKey({})", self.public())
    }
}

impl PublicKey {
    /// What a code says of its key: the first bytes of its SHA-256.
    pub fn id(&self) -> [u8; KEY_ID_BYTES] {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }

    /// What a code says, once its signature has been found to hold.
    ///
    /// # Errors
    /// [`CodeError`], as it is found.
    pub fn verify(&self, code: &str) -> Result<Certificate, CodeError> {
        if code.len() > CODE_LENGTH_MAX {
            return Err(CodeError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(code.trim()).map_err(|_| CodeError::Malformed)?;
        let (form, rest) = bytes.split_first().ok_or(CodeError::Malformed)?;
        let (key_id, rest) = rest.split_at_checked(KEY_ID_BYTES).ok_or(CodeError::Malformed)?;
        if *form != FORM_1 {
            return Err(CodeError::Malformed);
        }
        if key_id != self.id() {
            return Err(CodeError::OtherKey);
        }
        let at = rest.len().checked_sub(SIGNATURE_BYTES).ok_or(CodeError::Malformed)?;
        let (fields, signature) = rest.split_at(at);
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(&signed(self, fields), signature).map_err(|_| CodeError::Signature)?;
        Certificate::from_bytes(fields).map_err(|_| CodeError::Malformed)
    }

    /// Whether a signature of [`SigningKey::sign`] holds.
    pub fn holds(&self, what: &str, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&of_kind(what, bytes), signature).is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| NotAKey)?;
        bytes.try_into().map(Self).map_err(|_| NotAKey)
    }
}

/// A text that is no published key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a published key is 32 bytes in base64url, 43 characters")]
pub struct NotAKey;

fn signed(key: &PublicKey, fields: &[u8]) -> Vec<u8> {
    [FORM, &[FORM_1], &key.id(), fields].concat()
}

fn of_kind(what: &str, bytes: &[u8]) -> Vec<u8> {
    [b"shipei ", what.as_bytes(), &[0], bytes].concat()
}
