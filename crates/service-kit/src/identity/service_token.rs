//! How services of a suite know each other where no certificate says it. What: each signs tokens of a few minutes with a key that
//! follows from the suite's secret file, which all its processes have, and which nobody else has. Why of the same form as
//! people's: they take the same way through the verifier, its cache and its tests. They are for the suite only: another audience,
//! and a key id that no issuer's key set may have.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use shipei_store::crypto::{KEY_BYTES, Keys};

use super::{
    key_set::{SERVICE_KEY_PREFIX, VerifyingKey},
    signatures::use_ring,
};
use crate::{
    answer::error::{Error, Result},
    clock::Clock,
};

/// For whom their tokens are, and from whom.
pub(crate) const SERVICE_AUDIENCE: &str = "shipei-suite";
/// How long such a token holds, and how long before its end another is made.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);
const RENEWED_BEFORE: TimeDelta = TimeDelta::minutes(5);
/// What precedes the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410).
pub(crate) const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What a service says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServiceClaims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    pub(crate) exp: i64,
}

/// Makes the tokens of one service. Clones share them.
#[derive(Clone)]
pub(crate) struct ServiceTokens {
    name: &'static str,
    clock: Clock,
    keys: Keys,
    last: Arc<Mutex<Option<Signed>>>,
}

/// A token, when it ends, and the key that signed it.
struct Signed {
    ends: DateTime<Utc>,
    key_id: String,
    token: String,
}

/// The PKCS#8 form of an Ed25519 key.
pub(crate) fn pkcs8_of(seed: &[u8; KEY_BYTES]) -> Vec<u8> {
    [&PKCS8_PREFIX[..], seed].concat()
}

/// What verifies the tokens of a suite's services whose header has this key id; none when the suite has no such key.
///
/// # Errors
/// [`Error::Internal`] when the key can't be made, which can't be.
pub(crate) fn verifying_key(keys: &Keys, key_id: &str) -> Result<Option<VerifyingKey>> {
    let Some(seed) = key_id.strip_prefix(SERVICE_KEY_PREFIX).and_then(|id| keys.services_of(id)) else {
        return Ok(None);
    };
    use_ring();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
        .map_err(|_| Error::Internal("the key of the suite's services can't be made".into()))?;
    let key = DecodingKey::from_ed_der(pair.public_key().as_ref());
    Ok(Some(VerifyingKey::new(key_id, Algorithm::EdDSA, key)))
}

/// A token by which whoever has the suite's key file says that it is a part of the suite.
///
/// # Errors
/// [`Error::Internal`] when it can't be signed, which can't be.
pub fn service_token(name: &'static str, keys: &Keys, clock: Clock) -> Result<String> {
    ServiceTokens::new(name, keys, clock).current()
}

impl ServiceTokens {
    /// Those of the service `name`.
    pub(crate) fn new(name: &'static str, keys: &Keys, clock: Clock) -> Self {
        use_ring();
        Self { name, clock, keys: keys.clone(), last: Arc::default() }
    }

    /// One that holds for some minutes yet, by the suite's current key.
    ///
    /// # Errors
    /// [`Error::Internal`] when it can't be signed, which can't be.
    pub(crate) fn current(&self) -> Result<String> {
        let now = self.clock.now();
        let (key_id, seed) = self.keys.services();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = &*last
            && signed.key_id == key_id
            && now < signed.ends - RENEWED_BEFORE
            && now > signed.ends - LIFETIME - RENEWED_BEFORE
        {
            return Ok(signed.token.clone());
        }
        let ends = now + LIFETIME;
        let claims = ServiceClaims {
            iss: SERVICE_AUDIENCE.to_owned(),
            aud: SERVICE_AUDIENCE.to_owned(),
            sub: self.name.to_owned(),
            exp: ends.timestamp(),
        };
        let kid = format!("{SERVICE_KEY_PREFIX}{key_id}");
        let header = Header { kid: Some(kid), ..Header::new(Algorithm::EdDSA) };
        let key = EncodingKey::from_ed_der(&pkcs8_of(&seed));
        let token = jsonwebtoken::encode(&header, &claims, &key)
            .map_err(|error| Error::Internal(format!("a service's token can't be signed: {error}")))?;
        *last = Some(Signed { ends, key_id, token: token.clone() });
        Ok(token)
    }
}

impl std::fmt::Debug for ServiceTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServiceTokens").field("name", &self.name).finish_non_exhaustive()
    }
}
