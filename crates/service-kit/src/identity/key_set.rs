//! The public keys of an issuer. What: a JSON Web Key Set (RFC 7517) made into keys of which each knows the one algorithm that it may
//! verify. Why pinned here: a token that may choose how it is verified chooses `none`, or takes the public key for a shared secret
//! (RFC 8725, 2.1). A key that can't be used (another curve, for encryption) is passed over, as issuers have such beside; a set that
//! holds a private key, or two keys of one id, is refused.

use std::{collections::BTreeMap, sync::Arc};

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

/// The largest key set that is read, bytes.
pub(super) const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// The most keys of a set.
pub(super) const KEYS_MAX: usize = 64;
/// The longest id of a key, bytes.
pub(super) const KEY_ID_BYTES_MAX: usize = 128;
/// How the ids begin of keys that the services of a suite sign with: no key of an issuer may have such an id.
pub(super) const SERVICE_KEY_PREFIX: &str = "shipei-suite.";
/// The least bytes of an RSA modulus: 2048 bits.
const RSA_BYTES_MIN: usize = 256;
/// The bytes of an Ed25519 key, and of a P-256 point that is written whole.
const ED25519_BYTES: usize = 32;
const P256_BYTES: usize = 65;
/// The members of a key that only its owner may have.
const PRIVATE_MEMBERS: [&str; 2] = ["d", "k"];

/// Why a key set can't be used; it holds nothing of the keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// Not a JSON object with `keys`.
    #[error("it is no JSON Web Key Set: {0}")]
    Malformed(String),
    /// More than is looked at.
    #[error("it is larger than {KEY_SET_BYTES_MAX} bytes or has more than {KEYS_MAX} keys")]
    TooLarge,
    /// What nobody but the issuer may have.
    #[error(
        "key {0} of it is a private or shared key: a key set is public, and whoever read this one can sign tokens"
    )]
    Private(usize),
    /// Two keys that a token can't tell apart.
    #[error("two keys of it have one id")]
    SameId,
    /// No key that a token could be verified with.
    #[error("it has no key for EdDSA (Ed25519), ES256 (P-256) or RS256 (2048 bits or more)")]
    NoKey,
}

/// One key, and what it verifies.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
    /// Cancelled when the issuer has it no more: what it signed is void.
    pub(crate) gone: CancellationToken,
}

/// The keys of an issuer by their ids.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    by_id: BTreeMap<String, Arc<VerifyingKey>>,
}

impl KeySet {
    /// Reads a JSON Web Key Set.
    pub(crate) fn read(text: &[u8]) -> Result<Self, InvalidKeySet> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(InvalidKeySet::TooLarge);
        }
        let set: Value = serde_json::from_slice(text).map_err(|error| {
            InvalidKeySet::Malformed(format!("line {} column {}", error.line(), error.column()))
        })?;
        let Some(keys) = set.get("keys").and_then(Value::as_array) else {
            return Err(InvalidKeySet::Malformed("there is no array `keys`".to_owned()));
        };
        if keys.len() > KEYS_MAX {
            return Err(InvalidKeySet::TooLarge);
        }
        let mut by_id = BTreeMap::new();
        for (number, key) in keys.iter().enumerate() {
            let Some(members) = key.as_object() else { continue };
            if PRIVATE_MEMBERS.iter().any(|member| members.contains_key(*member)) {
                return Err(InvalidKeySet::Private(number));
            }
            match usable(members) {
                Ok(key) => {
                    if by_id.insert(key.id.clone(), Arc::new(key)).is_some() {
                        return Err(InvalidKeySet::SameId);
                    }
                }
                Err(why) => tracing::debug!(number, why, "a key of the issuer is passed over"),
            }
        }
        if by_id.is_empty() { Err(InvalidKeySet::NoKey) } else { Ok(Self { by_id }) }
    }

    /// The key of an id; without one the only key, where there is but one.
    pub(crate) fn find(&self, id: Option<&str>) -> Option<&Arc<VerifyingKey>> {
        match id {
            Some(id) => self.by_id.get(id),
            None if self.by_id.len() == 1 => self.by_id.values().next(),
            None => None,
        }
    }

    /// The ids, for people.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.by_id.keys().map(String::as_str).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// This set in the place of an earlier one: keys that stay are the same ones, so that what they signed stays known; those that
    /// are gone say so.
    pub(crate) fn replacing(mut self, earlier: &Self) -> Self {
        for (id, old) in &earlier.by_id {
            match self.by_id.get_mut(id) {
                Some(new) if new.is(old) => *new = Arc::clone(old),
                _ => old.gone.cancel(),
            }
        }
        self
    }
}

impl VerifyingKey {
    pub(crate) fn new(id: &str, algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { id: id.to_owned(), algorithm, key, gone: CancellationToken::new() }
    }

    fn is(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
            && match (self.key.kind(), other.key.kind()) {
                (DecodingKeyKind::SecretOrDer(one), DecodingKeyKind::SecretOrDer(other)) => one == other,
                (
                    DecodingKeyKind::RsaModulusExponent { n, e },
                    DecodingKeyKind::RsaModulusExponent { n: other_n, e: other_e },
                ) => n == other_n && e == other_e,
                _ => false,
            }
    }
}

/// The key of a set, with its one algorithm; or why it verifies nothing here.
fn usable(members: &Map<String, Value>) -> Result<VerifyingKey, &'static str> {
    let jwk: Jwk = serde_json::from_value(Value::Object(members.clone())).map_err(|_| "malformed")?;
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return Err("it is not for signatures");
    }
    let (algorithm, said) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return Err("its kind is not taken"),
    };
    // RFC 9864 calls EdDSA over this curve by the curve's name, which the library does not know.
    let by_curve =
        members.get("alg").and_then(Value::as_str) == Some("Ed25519") && algorithm == Algorithm::EdDSA;
    if jwk.common.key_algorithm.is_some_and(|named| named != said) && !by_curve {
        return Err("it is for another algorithm");
    }
    let id = jwk.common.key_id.clone().unwrap_or_default();
    if id.len() > KEY_ID_BYTES_MAX || id.chars().any(char::is_control) || id.starts_with(SERVICE_KEY_PREFIX) {
        return Err("its id can't be");
    }
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| "malformed")?;
    let has_its_length = match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) if algorithm == Algorithm::EdDSA => bytes.len() == ED25519_BYTES,
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len() == P256_BYTES,
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= RSA_BYTES_MIN,
    };
    if has_its_length { Ok(VerifyingKey::new(&id, algorithm, key)) } else { Err("its length can't be") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"b","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    fn read(keys: &str) -> Result<KeySet, InvalidKeySet> {
        KeySet::read(format!(r#"{{"keys":[{keys}]}}"#).as_bytes())
    }

    #[test]
    fn each_key_has_the_one_algorithm_of_its_kind() {
        let keys = read(&format!("{ED},{EC}")).unwrap();
        assert_eq!(keys.find(Some("a")).unwrap().algorithm, Algorithm::EdDSA);
        assert_eq!(keys.find(Some("b")).unwrap().algorithm, Algorithm::ES256);
        assert!(keys.find(Some("c")).is_none() && keys.find(None).is_none());
        assert!(read(ED).unwrap().find(None).is_some(), "the only one needs no id");
        assert!(read(&ED.replace(r#""kid""#, r#""alg":"Ed25519","kid""#)).is_ok());
    }

    #[test]
    fn what_verifies_nothing_is_passed_over() {
        let other_use = EC.replace("\"sig\"", "\"enc\"");
        let other_algorithm = EC.replace("ES256", "ES384");
        let short = ED.replace("11qYAYKx", "");
        let unknown = r#"{"kty":"AKP","kid":"q","alg":"ML-DSA-44"}"#;
        let small = r#"{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}"#;
        let reserved = ED.replace("\"a\"", &format!("\"{SERVICE_KEY_PREFIX}1\""));
        for key in [&other_use, &other_algorithm, &short, unknown, small, &reserved, "7", "{}"] {
            assert_eq!(read(key).unwrap_err(), InvalidKeySet::NoKey, "{key}");
            assert_eq!(read(&format!("{key},{ED}")).unwrap().ids(), ["a"], "{key}");
        }
    }

    #[test]
    fn set_that_can_not_be_is_refused() {
        for (keys, error) in [
            (format!("{ED},{ED}"), InvalidKeySet::SameId),
            (ED.replace("\"x\"", "\"d\":\"AA\",\"x\""), InvalidKeySet::Private(0)),
            (r#"{"kty":"oct","kid":"s","k":"AAAA"}"#.to_owned(), InvalidKeySet::Private(0)),
            (vec!["{}"; KEYS_MAX + 1].join(","), InvalidKeySet::TooLarge),
            (" ".repeat(KEY_SET_BYTES_MAX), InvalidKeySet::TooLarge),
        ] {
            assert_eq!(read(&keys).unwrap_err(), error);
        }
        for text in ["", "[]", "{\"keys\":{}}"] {
            assert!(matches!(KeySet::read(text.as_bytes()), Err(InvalidKeySet::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn keys_that_stay_are_the_same_and_those_that_go_say_so() {
        let first = read(&format!("{ED},{EC}")).unwrap();
        let (a, b) = (first.find(Some("a")).unwrap().clone(), first.find(Some("b")).unwrap().clone());
        let second = read(ED).unwrap().replacing(&first);
        assert!(Arc::ptr_eq(&a, second.find(Some("a")).unwrap()) && !a.gone.is_cancelled());
        assert!(b.gone.is_cancelled());
        // The id again, but another key.
        let other = EC.replace("\"b\"", "\"a\"");
        let third = read(&other).unwrap().replacing(&second);
        assert!(a.gone.is_cancelled() && !third.find(Some("a")).unwrap().gone.is_cancelled());
    }
}
