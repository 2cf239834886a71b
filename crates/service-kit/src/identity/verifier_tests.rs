//! Tokens, good and bad, before a verifier; what keys and issuers do meanwhile.

use std::{
    io::Write as _,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use shipei_store::crypto::{add_key, drop_older_keys};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

use super::*;
use crate::{
    identity::{
        caller::CallerKind,
        key_ring::ADDRESS_READ_EVERY,
        mint::MintingKey,
        service_token::{ServiceTokens, pkcs8_of},
    },
    testing::start,
};

/// A verifier of one issuer, whose key set is a file.
struct Issuer {
    key: MintingKey,
    file: tempfile::NamedTempFile,
    clock: Clock,
    keys: Keys,
    shutdown: Shutdown,
    verifier: Verifier,
}

impl Issuer {
    async fn new() -> Self {
        Self::asked_at(Pace::default()).await
    }

    async fn asked_at(pace: Pace) -> Self {
        let (key, clock) = (MintingKey::make().unwrap(), Clock::manual(start()));
        let keys = Keys::derive(&[7; 32]);
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all(key.key_set().as_bytes()).unwrap();
        let shutdown = Shutdown::new();
        let settings = settings(KeySource::File(file.path().to_owned()));
        let verifier = Verifier::start_at(pace, &settings, &keys, &clock, &shutdown).await.unwrap();
        Self { key, file, clock, keys, shutdown, verifier }
    }

    fn publish(&self, keys: &[&MintingKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public_key()).collect();
        std::fs::write(self.file.path(), json!({ "keys": keys }).to_string()).unwrap();
    }

    async fn fault_of(&self, token: &str) -> String {
        match self.verifier.verify(token.as_bytes()).await {
            Ok(_) => "none".to_owned(),
            Err(Error::Refused(refusal)) => refusal.metadata["fault"].clone(),
            Err(error) => error.to_string(),
        }
    }
}

fn settings(keys: KeySource) -> TokenSettings {
    TokenSettings { issuer: "https://id.example".into(), audience: "shipei".into(), keys }
}

fn claims() -> Value {
    let now = start().timestamp();
    json!({ "iss": "https://id.example", "aud": "shipei", "sub": "K1", "iat": now, "exp": now + 3600,
        "programmes": ["p"], "grants": [{ "role": "county_counselor", "region": "130302" }] })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// A token whose header says what it is told, signed by whatever `sign` does.
fn made(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

#[tokio::test]
async fn good_token_says_who_calls_and_until_when() {
    let issuer = Issuer::new().await;
    let token = issuer.key.sign(&claims()).unwrap();
    let verified = issuer.verifier.verify(token.as_bytes()).await.unwrap();
    assert_eq!(verified.caller.to_string(), "county_counselor:K1@130302");
    let CallerKind::Token(said) = &verified.caller.kind else { panic!("a token") };
    assert_eq!(said.key_id, issuer.key.id());
    assert_eq!(verified.ends_at, said.expires_at + SKEW_MAX);
    assert_eq!(
        issuer.fault_of(&issuer.key.sign(&with("aud", json!(["other", "shipei"]))).unwrap()).await,
        "none"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_found_and_named() {
    let issuer = Issuer::new().await;
    let (key, now) = (&issuer.key, start().timestamp());
    let signed = |claims: Value| key.sign(&claims).unwrap();
    let other = MintingKey::make().unwrap();
    let good = signed(claims());
    let header = json!({ "alg": "EdDSA", "kid": key.id() });
    let with_alg = |alg: &str| json!({ "alg": alg, "kid": key.id() });
    let parts: Vec<&str> = good.split('.').collect();
    let public = URL_SAFE_NO_PAD.decode(key.public_key()["x"].as_str().unwrap()).unwrap();
    // What a library answers that lets the token choose: the public key as a shared secret.
    let by_shared_secret = |message: &[u8]| {
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
        ring::hmac::sign(&secret, message).as_ref().to_vec()
    };
    let foreign = |message: &[u8]| {
        let token = other.sign(&claims()).unwrap();
        let _ = message;
        URL_SAFE_NO_PAD.decode(token.rsplit('.').next().unwrap()).unwrap()
    };
    let jwk_inside = json!({ "alg": "EdDSA", "kid": key.id(), "jwk": other.public_key() });
    let critical = json!({ "alg": "EdDSA", "kid": key.id(), "crit": ["exp"] });
    for (token, fault) in [
        (signed(with("exp", json!(now - 61))), "expiry"),
        (signed(with("nbf", json!(now + 61))), "not_before"),
        (signed(with("iat", json!(now + 61))), "not_before"),
        (signed(with("iss", json!("https://other.example"))), "issuer"),
        (signed(with("iss", Value::Null)), "claims"),
        (signed(with("aud", json!("other"))), "audience"),
        (signed(with("aud", json!([]))), "audience"),
        (signed(with("sub", json!("a b"))), "claims"),
        (signed(with("exp", json!("never"))), "claims"),
        (signed(with("grants", json!([{ "role": "king" }]))), "claims"),
        (other.sign(&claims()).unwrap(), "key"),
        (made(&header, &claims(), foreign), "signature"),
        (made(&jwk_inside, &claims(), foreign), "signature"),
        (made(&with_alg("none"), &claims(), |_| Vec::new()), "algorithm"),
        (made(&with_alg("HS256"), &claims(), by_shared_secret), "algorithm"),
        (made(&with_alg("RS256"), &claims(), |_| vec![0; 256]), "algorithm"),
        (made(&with_alg("ES256"), &claims(), |_| vec![0; 64]), "algorithm"),
        (made(&critical, &claims(), foreign), "form"),
        (made(&json!({ "alg": "EdDSA", "kid": "k".repeat(129) }), &claims(), foreign), "key"),
        (good[..good.len() - 2].to_owned(), "signature"),
        (format!("{}.{}", parts[0], parts[1]), "form"),
        (format!("{good}.{}", parts[2]), "form"),
        ("a.b.c".to_owned(), "form"),
        (String::new(), "form"),
        ("x".repeat(1024 * 1024), "length"),
    ] {
        let shown = token.get(..80).unwrap_or(&token).to_owned();
        assert_eq!(issuer.fault_of(&token).await, fault, "{shown}");
    }
    assert_eq!(issuer.fault_of(&good).await, "none");
}

#[tokio::test]
async fn token_holds_as_long_as_it_says_and_not_longer() {
    let issuer = Issuer::new().await;
    let now = start().timestamp();
    let token = issuer.key.sign(&with("nbf", json!(now + 59))).unwrap();
    assert_eq!(issuer.fault_of(&token).await, "none", "the issuer's clock may be a minute ahead");
    issuer.clock.set(start() + TimeDelta::seconds(3600 + 59));
    assert_eq!(issuer.fault_of(&token).await, "none", "or behind");
    // It is known now; that it has ended counts all the same.
    issuer.clock.advance(TimeDelta::seconds(1));
    assert_eq!(issuer.fault_of(&token).await, "expiry");
}

#[tokio::test]
async fn who_asks_for_a_key_too_soon_after_another_is_told_no() {
    let issuer = Issuer::new().await;
    let new = MintingKey::make().unwrap();
    let token = new.sign(&claims()).unwrap();
    assert_eq!(issuer.fault_of(&token).await, "key");
    issuer.publish(&[&issuer.key, &new]);
    assert_eq!(issuer.fault_of(&token).await, "key");
    issuer.shutdown.finish().await;
}

#[tokio::test]
async fn key_that_is_gone_voids_what_it_signed_and_a_new_one_is_known_at_once() {
    let quick = Duration::from_millis(5);
    let pace = Pace { asked_every_min: Duration::ZERO, address_read_every: quick, file_read_every: quick };
    let issuer = Issuer::asked_at(pace).await;
    let (old, new) = (&issuer.key, MintingKey::make().unwrap());
    let (old_token, new_token) = (old.sign(&claims()).unwrap(), new.sign(&claims()).unwrap());
    let verified = issuer.verifier.verify(old_token.as_bytes()).await.unwrap();
    assert_eq!(issuer.fault_of(&new_token).await, "key");
    // The issuer brings in a second key.
    issuer.publish(&[old, &new]);
    assert_eq!(issuer.fault_of(&new_token).await, "none");
    assert_eq!(issuer.fault_of(&old_token).await, "none");
    // It takes the first away: nobody has to ask.
    issuer.publish(&[&new]);
    verified.key_gone().cancelled().await;
    assert_eq!(issuer.fault_of(&old_token).await, "key");
    assert_eq!(issuer.fault_of(&new_token).await, "none");
    // What is no key set changes nothing.
    std::fs::write(issuer.file.path(), "{").unwrap();
    assert_eq!(issuer.fault_of(&MintingKey::make().unwrap().sign(&claims()).unwrap()).await, "key");
    assert_eq!(issuer.fault_of(&new_token).await, "none");
    issuer.shutdown.finish().await;
}

#[tokio::test]
async fn services_know_each_other_by_the_suites_key_and_by_nothing_else() {
    let issuer = Issuer::new().await;
    let token = ServiceTokens::new("assessment", &issuer.keys, issuer.clock.clone());
    let verified = issuer.verifier.verify(token.current().unwrap().as_bytes()).await.unwrap();
    assert_eq!(verified.caller, Caller::service("assessment"));
    let foreign = Keys::derive(&[8; 32]);
    let of_foreign = ServiceTokens::new("assessment", &foreign, issuer.clock.clone());
    assert_eq!(issuer.fault_of(&of_foreign.current().unwrap()).await, "key");
    // A foreign key under the id of ours.
    let kid = Some(format!("{SERVICE_KEY_PREFIX}{}", issuer.keys.services().0));
    let header = jsonwebtoken::Header { kid, ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA) };
    let claims = json!({ "iss": "shipei-suite", "aud": "shipei-suite", "sub": "enrollment", "exp": start().timestamp() + 60 });
    let key = jsonwebtoken::EncodingKey::from_ed_der(&pkcs8_of(&foreign.services().1));
    let forged = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    assert_eq!(issuer.fault_of(&forged).await, "signature");
    // It is made anew before it ends.
    let first = token.current().unwrap();
    issuer.clock.advance(TimeDelta::minutes(4));
    assert_eq!(token.current().unwrap(), first);
    issuer.clock.advance(TimeDelta::minutes(2));
    assert_ne!(token.current().unwrap(), first);
    // The issuer can't speak for a service: its key is another, and so is the audience.
    let claims = json!({ "iss": "shipei-suite", "aud": "shipei-suite", "sub": "enrollment", "exp": start().timestamp() + 60 });
    assert_eq!(issuer.fault_of(&issuer.key.sign(&claims).unwrap()).await, "issuer");
}

#[tokio::test]
async fn suite_that_gets_another_key_takes_tokens_of_both_until_the_old_one_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let (keys, _) = Keys::load_or_create(&file).unwrap();
    let mut issuer = Issuer::new().await;
    let settings = settings(KeySource::File(issuer.file.path().to_owned()));
    let ring = KeyRing::open(settings.keys.clone(), Pace::default()).await.unwrap();
    issuer.verifier = Verifier::over(&settings, ring, &keys, &issuer.clock);
    let other_process = Keys::load(&file).unwrap().unwrap();
    let tokens = ServiceTokens::new("assessment", &other_process, issuer.clock.clone());
    let old = tokens.current().unwrap();
    assert_eq!(issuer.fault_of(&old).await, "none");
    add_key(&file).unwrap();
    other_process.look().unwrap();
    // It is signed anew at once, and who has not read the file yet reads it then.
    let new = tokens.current().unwrap();
    assert_ne!(new, old);
    assert_eq!((issuer.fault_of(&new).await, issuer.fault_of(&old).await), ("none".into(), "none".into()));
    drop_older_keys(&file, &[]).unwrap();
    keys.look().unwrap();
    // Also one that was verified before.
    assert_eq!((issuer.fault_of(&new).await, issuer.fault_of(&old).await), ("none".into(), "key".into()));
    issuer.shutdown.finish().await;
}

#[tokio::test]
async fn elliptic_curves_and_rsa_verify_too() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let rsa: Value = serde_json::from_str(include_str!("testdata/rsa.json")).unwrap();
    let key_set =
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "ec", "x": x, "y": y }, rsa["key"]] });
    let issuer = Issuer::new().await;
    std::fs::write(issuer.file.path(), key_set.to_string()).unwrap();
    issuer.verifier.inner.keys.find(Some("ec")).await;
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
    let by_curve = |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
    assert_eq!(issuer.fault_of(&made(&header("ES256", "ec"), &claims(), by_curve)).await, "none");
    assert_eq!(issuer.fault_of(&made(&header("EdDSA", "ec"), &claims(), by_curve)).await, "algorithm");
    let by_rsa = rsa["token"].as_str().unwrap();
    assert_eq!(issuer.fault_of(by_rsa).await, "none");
    let (message, _) = by_rsa.rsplit_once('.').unwrap();
    assert_eq!(issuer.fault_of(&format!("{message}.{}", "A".repeat(342))).await, "signature");
}

/// An issuer that answers with a key set, as often as it is asked; `asked` counts.
async fn issuer_at_address(key_set: String) -> (http::Uri, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /keys HTTP/1.1\r\n"));
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{key_set}", key_set.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (uri, asked, serving)
}

#[tokio::test]
async fn keys_come_from_an_address_once_for_all_who_wait_and_go_on_when_it_is_away() {
    let (key, clock) = (MintingKey::make().unwrap(), Clock::manual(start()));
    let (uri, asked, serving) = issuer_at_address(key.key_set()).await;
    let settings = settings(KeySource::Address { uri, authority: None });
    let keys = Keys::derive(&[7; 32]);
    let ring = KeyRing::open(settings.keys.clone(), Pace::default()).await.unwrap();
    let verifier = Verifier::over(&settings, ring, &keys, &clock);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let token = key.sign(&claims()).unwrap();
    assert!(verifier.verify(token.as_bytes()).await.is_ok());
    // A flood of made-up key ids asks the issuer once.
    let unknown: Vec<String> =
        (0..50).map(|_| MintingKey::make().unwrap().sign(&claims()).unwrap()).collect();
    let asking = unknown.iter().map(|token| verifier.verify(token.as_bytes()));
    assert!(futures::future::join_all(asking).await.iter().all(Result::is_err));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // It goes away: what it said goes on, for tokens that nobody has seen yet too.
    serving.abort();
    let other = key.sign(&with("sub", json!("K2"))).unwrap();
    assert_eq!(verifier.verify(other.as_bytes()).await.unwrap().caller.subject, "K2");
    assert!(
        ADDRESS_READ_EVERY <= Duration::from_secs(300),
        "a key that was taken away is void within 5 minutes"
    );
}

#[tokio::test]
async fn issuer_that_was_never_there_is_unavailable_and_no_fault_of_the_caller() {
    let key = MintingKey::make().unwrap();
    let (uri, _, serving) = issuer_at_address(String::new()).await;
    serving.abort();
    let settings = settings(KeySource::Address { uri, authority: None });
    let (clock, shutdown) = (Clock::manual(start()), Shutdown::new());
    let verifier = Verifier::start(settings, &Keys::derive(&[7; 32]), &clock, &shutdown).await.unwrap();
    let answer = verifier.verify(key.sign(&claims()).unwrap().as_bytes()).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    shutdown.finish().await;
}

/// What a claim or a field of the header may be taken for.
const NAMES: [&str; 14] = [
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "programmes",
    "grants",
    "alg",
    "kid",
    "typ",
    "crit",
    "jwk",
    "x5u",
];
/// What may stand in it.
const VALUES: [&str; 13] = [
    "null",
    "true",
    "0",
    "-1",
    "1e308",
    "99999999999999999999",
    "[]",
    "[{}]",
    "{}",
    r#"[{"role":"trainee","x":1}]"#,
    r#""none""#,
    r#""HS256""#,
    r#"["exp"]"#,
];

/// Whatever comes in is answered, and nothing that nobody signed is let in.
#[test]
fn bytes_of_any_kind_are_no_token() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let issuer = runtime.block_on(Issuer::new());
    let (runtime, issuer) = (AssertUnwindSafe(&runtime), AssertUnwindSafe(&issuer));
    bolero::check!().with_type::<(Vec<u8>, u8)>().for_each(|(bytes, dots): &(Vec<u8>, u8)| {
        let mut token = URL_SAFE_NO_PAD.encode(bytes);
        for dot in 0..usize::from(dots % 4) {
            token.insert((dot * 31) % (token.len() + 1), '.');
        }
        for text in [token.as_bytes(), bytes] {
            assert!(runtime.block_on(issuer.verifier.verify(text)).is_err());
        }
    });
}

/// Any header and any claims, signed by the issuer itself: read or refused, never more.
#[test]
fn header_and_claims_of_any_kind_are_read_or_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let issuer = runtime.block_on(Issuer::new());
    let pem = issuer.key.to_pem();
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let pair = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der()).unwrap();
    let (runtime, issuer) = (AssertUnwindSafe(&runtime), AssertUnwindSafe(&issuer));
    let pair = AssertUnwindSafe(&pair);
    bolero::check!().with_type::<(u8, u8, String)>().for_each(|(name, value, text): &(u8, u8, String)| {
        let name = match NAMES.get(usize::from(*name) % (NAMES.len() + 1)) {
            Some(name) => (*name).to_owned(),
            None => text.clone(),
        };
        let value = match VALUES.get(usize::from(*value) % (VALUES.len() * 2)) {
            Some(value) => serde_json::from_str(value).unwrap(),
            None => Value::from(text.clone()),
        };
        let mut header = json!({ "alg": "EdDSA" });
        let mut said = claims();
        header[&name] = value.clone();
        said[&name] = value;
        let token = made(&header, &said, |message| pair.sign(message).as_ref().to_vec());
        if let Ok(verified) = runtime.block_on(issuer.verifier.verify(token.as_bytes())) {
            let claims = verified.caller.claims().cloned().unwrap();
            assert!(shipei_text::fault_of_id(&claims.subject, 64).is_none());
            assert!(Caller::of_token(claims).to_string().len() < 200);
        }
    });
}
