//! Tokens for development and tests. What: a [`MintingKey`] (Ed25519) signs whatever claims it is given, and says its public half as
//! the key set that a server reads. Why in the suite: who tries it out has no identity provider; in production one has, and this
//! key's set is not among the server's settings.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use shipei_store::{StoreError, crypto::random_bytes};
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

use super::{service_token::pkcs8_of, signatures::use_ring};

/// Who the tokens of such keys are from, unless another issuer is said.
pub const ISSUER_DEFAULT: &str = "shipei";
/// For whom tokens are, unless another audience is said.
pub const AUDIENCE_DEFAULT: &str = "shipei";

/// What can't be done with a key.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Not a private Ed25519 key.
    #[error("it holds no private key for Ed25519 (PKCS#8 in PEM)")]
    NoKey,
    /// No randomness for a new one.
    #[error(transparent)]
    Random(#[from] StoreError),
    /// The token can't be signed.
    #[error("the token can't be signed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// A key that signs tokens.
pub struct MintingKey {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
    id: String,
}

impl MintingKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn make() -> Result<Self, MintError> {
        Self::of_pkcs8(pkcs8_of(&random_bytes()?))
    }

    /// The key of a PEM text.
    ///
    /// # Errors
    /// When it holds none.
    pub fn from_pem(text: &[u8]) -> Result<Self, MintError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| MintError::NoKey)?;
        Self::of_pkcs8(der.secret_pkcs8_der().to_vec())
    }

    fn of_pkcs8(pkcs8: Vec<u8>) -> Result<Self, MintError> {
        use_ring();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).map_err(|_| MintError::NoKey)?;
        let public = pair.public_key().as_ref().to_vec();
        // RFC 7638: the same key has the same id, whoever says it.
        let thumbprint =
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(&public));
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, thumbprint.as_bytes()));
        Ok(Self { pkcs8, public, id })
    }

    /// The private half, as PEM. Whoever has it can sign tokens.
    pub fn to_pem(&self) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&self.pkcs8))
    }

    /// The public half, as a key set with this one key.
    pub fn key_set(&self) -> String {
        let set = json!({ "keys": [self.public_key()] });
        format!("{set:#}\n")
    }

    /// The public half, as a key of a set.
    pub fn public_key(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(&self.public);
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs claims.
    ///
    /// # Errors
    /// When that can't be, which can't be.
    pub fn sign(&self, claims: &Value) -> Result<String, MintError> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        Ok(jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8))?)
    }
}

impl std::fmt::Debug for MintingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MintingKey({})", self.id)
    }
}
