//! Bearer tokens. What: [`Verifier`] makes the text of a token into what it says, if its issuer signed it, for this suite, and for
//! now. Why a cache: a signature costs more than all the rest of a small call (EdDSA 21 us, a call 15), and a caller brings the same
//! token with each; what was verified is known by the token's digest until it ends, [`KNOWN_FOR_MAX`] at most, or its key is gone.
//! Only what was verified is kept, so a flood of bad tokens pushes nobody out.
//!
//! A token is never logged, and never repeated in an answer.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Validation, errors::ErrorKind};
use quick_cache::sync::Cache;
use ring::digest::{SHA256, digest};
use serde::de::DeserializeOwned;
use shipei_contracts::common::v1::ErrorReason;
use shipei_store::crypto::Keys;
use tokio_util::sync::CancellationToken;

use super::{
    caller::Caller,
    claims::ClaimsSaid,
    key_ring::{Found, KeyRing, KeySource, KeysError, Pace},
    key_set::{SERVICE_KEY_PREFIX, VerifyingKey},
    service_token::{SERVICE_AUDIENCE, ServiceClaims, verifying_key},
    signatures::use_ring,
};
use crate::{
    answer::error::{Error, Refusal},
    clock::Clock,
    shutdown::Shutdown,
};

/// The longest token that is looked at, bytes: what 64 grants need.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far the issuer's clock and ours may be apart.
pub const SKEW_MAX: TimeDelta = TimeDelta::seconds(60);
/// The longest that a verified token is taken without another look at its key and signature.
pub const KNOWN_FOR_MAX: TimeDelta = TimeDelta::minutes(5);
/// The most tokens that are known at once; some 500 bytes each.
const KNOWN_MAX: usize = 65_536;
/// The most characters of a key id that is looked for.
const KEY_ID_BYTES_MAX: usize = super::key_set::KEY_ID_BYTES_MAX;

/// Whose tokens are taken, and where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// Where the issuer's public keys stand.
    pub keys: KeySource,
}

/// Verifies tokens. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    people: Validation,
    services: Validation,
    keys: KeyRing,
    suite: Keys,
    known: Cache<[u8; 32], Arc<Verified>>,
    clock: Clock,
}

/// Who was known, and until when. Shared by the calls that bring the token, so that each costs a count.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) caller: Caller,
    /// When the token ends, the skew included.
    pub(crate) ends_at: DateTime<Utc>,
    key: Arc<VerifyingKey>,
    /// From when to when it is known without another look.
    known_from: DateTime<Utc>,
    known_until: DateTime<Utc>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its form, header or payload is not that of a token of this suite.
    Form,
    /// It is longer than any that is looked at.
    Length,
    /// Its algorithm is not the one of its key.
    Algorithm,
    /// It names a key that the issuer does not have.
    Key,
    /// The key did not sign it.
    Signature,
    /// Another issuer.
    Issuer,
    /// For somebody else.
    Audience,
    /// A claim that can't be.
    Claims,
    /// Not yet.
    NotYet,
    /// No more.
    Expired,
}

impl Fault {
    /// For programs: in the metadata of the answer, as `fault`.
    fn word(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Length => "length",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claims => "claims",
            Self::NotYet => "not_before",
            Self::Expired => "expiry",
        }
    }

    fn error(self) -> Error {
        let reason = match self {
            Self::Expired => ErrorReason::TokenExpired,
            _ => ErrorReason::TokenInvalid,
        };
        Refusal::new(reason).with("fault", self.word()).into()
    }
}

impl Verified {
    /// Cancelled when the key that signed the token is gone.
    pub(crate) fn key_gone(&self) -> &CancellationToken {
        &self.key.gone
    }
}

impl Verifier {
    /// Reads the keys of the issuer, and goes on to until shutdown. `keys` are the suite's own.
    ///
    /// # Errors
    /// When there are no keys; an address that does not answer is only said, and asked again.
    pub async fn start(
        settings: TokenSettings,
        keys: &Keys,
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> Result<Self, KeysError> {
        Self::start_at(Pace::default(), &settings, keys, clock, shutdown).await
    }

    async fn start_at(
        pace: Pace,
        settings: &TokenSettings,
        keys: &Keys,
        clock: &Clock,
        shutdown: &Shutdown,
    ) -> Result<Self, KeysError> {
        let ring = KeyRing::open(settings.keys.clone(), pace).await?;
        shutdown.spawn(ring.clone().keep_fresh(shutdown.clone()));
        Ok(Self::over(settings, ring, keys, clock))
    }

    fn over(settings: &TokenSettings, ring: KeyRing, keys: &Keys, clock: &Clock) -> Self {
        use_ring();
        let inner = Inner {
            people: validation(&settings.issuer, &settings.audience),
            services: validation(SERVICE_AUDIENCE, SERVICE_AUDIENCE),
            keys: ring,
            suite: keys.clone(),
            known: Cache::new(KNOWN_MAX),
            clock: clock.clone(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Who brought this token.
    ///
    /// # Errors
    /// TOKEN_INVALID, TOKEN_EXPIRED, or UNAVAILABLE while no key of the issuer is known.
    pub(crate) async fn verify(&self, token: &[u8]) -> Result<Arc<Verified>, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Fault::Length.error());
        }
        let now = self.inner.clock.now();
        let digest = digest_of(token);
        if let Some(known) = self.inner.known.get(&digest) {
            let is_of_its_time = now >= known.known_from && now < known.known_until;
            if is_of_its_time && !known.key_gone().is_cancelled() && self.still_has(&known.key) {
                return Ok(known);
            }
            self.inner.known.remove(&digest);
        }
        let key_id = key_id_of(token).map_err(Fault::error)?;
        let of_suite = key_id.as_deref().filter(|id| id.starts_with(SERVICE_KEY_PREFIX));
        let verified = if let Some(key_id) = of_suite {
            let key = verifying_key(&self.inner.suite, key_id)?.ok_or_else(|| Fault::Key.error())?;
            self.verify_service(token, &Arc::new(key), now)
        } else {
            let key = match self.inner.keys.find(key_id.as_deref()).await {
                Found::Key(key) => key,
                Found::Unknown => return Err(Fault::Key.error()),
                Found::Away => return Err(Error::Unavailable("the issuer of tokens does not answer".into())),
            };
            self.verify_person(token, &key, now)
        };
        let verified = Arc::new(verified.map_err(Fault::error)?);
        self.inner.known.insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// Whether a key of the suite is still in its file; those of an issuer say themselves when they are gone.
    fn still_has(&self, key: &VerifyingKey) -> bool {
        key.id.strip_prefix(SERVICE_KEY_PREFIX).is_none_or(|id| self.inner.suite.services_of(id).is_some())
    }

    fn verify_person(
        &self,
        token: &[u8],
        key: &Arc<VerifyingKey>,
        now: DateTime<Utc>,
    ) -> Result<Verified, Fault> {
        let said: ClaimsSaid = decode(token, key, &self.inner.people)?;
        let mut claims = said.read().map_err(|error| {
            tracing::debug!(%error, "a token of the issuer says what can't be");
            Fault::Claims
        })?;
        key.id.clone_into(&mut claims.key_id);
        let (from, until) = (claims.not_before, claims.expires_at);
        verified(Caller::of_token(Arc::new(claims)), key, (from, until), now)
    }

    fn verify_service(
        &self,
        token: &[u8],
        key: &Arc<VerifyingKey>,
        now: DateTime<Utc>,
    ) -> Result<Verified, Fault> {
        let said: ServiceClaims = decode(token, key, &self.inner.services)?;
        let until = DateTime::from_timestamp(said.exp, 0).ok_or(Fault::Claims)?;
        verified(Caller::service(&said.sub), key, (DateTime::<Utc>::MIN_UTC, until), now)
    }
}

/// What of a token's times holds now.
fn verified(
    caller: Caller,
    key: &Arc<VerifyingKey>,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<Verified, Fault> {
    let ends_at = until.checked_add_signed(SKEW_MAX).unwrap_or(until);
    if now >= ends_at {
        return Err(Fault::Expired);
    }
    if from.checked_sub_signed(SKEW_MAX).unwrap_or(from) > now {
        return Err(Fault::NotYet);
    }
    let known_until = ends_at.min(now + KNOWN_FOR_MAX);
    Ok(Verified { caller, ends_at, key: Arc::clone(key), known_from: now, known_until })
}

/// What must be as the settings say. Times are compared with the suite's own clock, not with the library's.
fn validation(issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::default();
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    // Of each key its own; see `decode`.
    validation.algorithms = Vec::new();
    validation
}

fn decode<T: DeserializeOwned>(token: &[u8], key: &VerifyingKey, rules: &Validation) -> Result<T, Fault> {
    let mut rules = rules.clone();
    rules.algorithms = vec![key.algorithm];
    jsonwebtoken::decode::<T>(token, &key.key, &rules).map(|data| data.claims).map_err(|error| {
        match error.kind() {
            ErrorKind::InvalidSignature => Fault::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Fault::Algorithm,
            ErrorKind::InvalidIssuer => Fault::Issuer,
            ErrorKind::InvalidAudience => Fault::Audience,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => {
                Fault::Claims
            }
            _ => Fault::Form,
        }
    })
}

/// The key that a token names, which nothing has vouched for yet.
fn key_id_of(token: &[u8]) -> Result<Option<String>, Fault> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
        // An algorithm that the library has no name for, `none` among them, is one that no key has.
        ErrorKind::Json(_) => Fault::Algorithm,
        _ => Fault::Form,
    })?;
    match header.kid {
        Some(id) if id.len() > KEY_ID_BYTES_MAX => Err(Fault::Key),
        id => Ok(id),
    }
}

fn digest_of(token: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token).as_ref());
    bytes
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
