//! A server that has keys, as its callers find it: over gRPC, over JSON, in memory, and on a stream that outlives its token.

use std::{num::NonZeroUsize, time::Duration};

use chrono::TimeDelta;
use prost::Message as _;
use serde_json::{Value, json};
use shipei_contracts::event::v1::{
    Accessed, AuditKind, GetHeadRequest, SubscribeRequest, event_feed_client::EventFeedClient,
};
use shipei_store::{
    Partition, StoredEvent,
    crypto::Keys,
    event_log,
    tree::{self, Lying},
};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::notes::{
    COUNTY, Notes, PROGRAMME, PUT_NOTE, PutNoteResponse, add_notes, call, put, put_in, test_kit,
};
use crate::{
    CallerLimits, Identification, KeySource, ProcessBounds, ServerBuilder, TokenSettings, Verifier,
    answer::status::{reason_of, retry_after},
    identity::{caller::CALLER_HEADER, mint::MintingKey, service_token::ServiceTokens},
    testing::{TestKit, TestServer, start},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// The most streams of one caller here.
const STREAMS_MAX: usize = 8;

/// Notes behind a verifier, over TCP.
struct Guarded {
    key: MintingKey,
    test: TestKit,
    server: TestServer,
    keys: Keys,
    address: String,
    set: NamedTempFile,
}

impl Guarded {
    async fn start() -> Self {
        let (key, test, keys) = (MintingKey::make().unwrap(), test_kit().await, Keys::derive(&[7; 32]));
        // The caller's county, in the tree that rights are read by.
        let mut tx = test.kit.database().begin_write().await.unwrap();
        let lying = [Lying::under(None, ["130300".to_owned()])];
        tree::put(&mut tx, PROGRAMME, COUNTY, &lying).await.unwrap();
        tx.commit().await.unwrap();
        let set = NamedTempFile::new().unwrap();
        std::fs::write(set.path(), key.key_set()).unwrap();
        let settings = TokenSettings {
            issuer: "shipei".into(),
            audience: "shipei".into(),
            keys: KeySource::File(set.path().to_owned()),
        };
        let shutdown = crate::Shutdown::new();
        let verifier = Verifier::start(settings, &keys, &test.clock, &shutdown).await.unwrap();
        let identification = Identification::Verified(verifier, test.clock.clone());
        let notes = Notes::new(&test.kit);
        let callers = CallerLimits { streams: NonZeroUsize::new(STREAMS_MAX), ..CallerLimits::default() };
        let bounds = ProcessBounds { callers, ..ProcessBounds::default() };
        let configure = |builder: ServerBuilder| builder.identification(identification).bounds(bounds);
        let server = TestServer::start(|builder| add_notes(configure(builder), &notes)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.server.serve_tcp(listener).unwrap().to_string();
        Self { key, test, server, keys, address, set }
    }

    fn channel(&self) -> Channel {
        crate::connect_lazily(&format!("http://{}", self.address)).unwrap()
    }

    fn token(&self, seconds: i64) -> String {
        let exp = start().timestamp() + seconds;
        let claims = json!({ "iss": "shipei", "aud": "shipei", "sub": "K1", "exp": exp, "programmes": ["P"],
            "grants": [{ "role": "county_counselor", "region": "130302", "import": true }] });
        self.key.sign(&claims).unwrap()
    }

    async fn put(&self, authorization: &[&str]) -> Result<PutNoteResponse, Status> {
        let mut request = put("", "hello");
        for value in authorization {
            request.metadata_mut().append("authorization", value.parse().unwrap());
        }
        Ok(call::<_, PutNoteResponse>(self.channel(), PUT_NOTE, request).await?.into_inner())
    }

    async fn refusal(&self, authorization: &[&str]) -> (Code, String, bool) {
        let status = self.put(authorization).await.unwrap_err();
        let challenged =
            status.metadata().get("www-authenticate").is_some_and(|value| value == "Bearer realm=\"shipei\"");
        (status.code(), reason_of(&status).unwrap_or_default(), challenged)
    }

    /// One HTTP/1.1 request, as curl sends it: the head and the body of the answer.
    async fn curl(&self, headers: &str) -> (String, Value) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let body = r#"{"text":"hello","county_code":"130302"}"#;
        let request = format!(
            "POST {PUT_NOTE} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap_or_default())
    }
}

#[tokio::test]
async fn nobody_without_a_token_is_let_in_and_who_has_one_is_known() {
    let guarded = Guarded::start().await;
    let told = |reason: &str| (Code::Unauthenticated, reason.to_owned(), true);
    assert_eq!(guarded.refusal(&[]).await, told("TOKEN_MISSING"));
    let bearer = format!("Bearer {}", guarded.token(3600));
    assert_eq!(guarded.refusal(&[&bearer, &bearer]).await, told("TOKEN_INVALID"));
    assert_eq!(guarded.refusal(&["Basic YTpi"]).await, told("TOKEN_INVALID"));
    assert_eq!(guarded.refusal(&[&bearer[..bearer.len() - 9]]).await, told("TOKEN_INVALID"));
    assert_eq!(guarded.refusal(&[&format!("Bearer {}", guarded.token(-61))]).await, told("TOKEN_EXPIRED"));
    // What its metadata claims to be helps nobody.
    let mut request = put("", "hello");
    request.metadata_mut().insert(CALLER_HEADER, "province:P1".parse().unwrap());
    let status = call::<_, PutNoteResponse>(guarded.channel(), PUT_NOTE, request).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("TOKEN_MISSING"));
    guarded.put(&[&bearer]).await.unwrap();
    // Health is for everybody: probes have no token.
    let question = HealthCheckRequest { service: String::new() };
    HealthClient::new(guarded.channel()).check(question).await.unwrap();
    let events = events_of(&guarded).await;
    assert_eq!(events, ["county_counselor:K1@130302"]);
}

/// The actors of all events of the notes.
async fn events_of(guarded: &Guarded) -> Vec<String> {
    let request = SubscribeRequest { source: "notes".into(), ..Default::default() };
    // In memory this process is believed.
    let mut stream =
        EventFeedClient::new(guarded.server.channel()).subscribe(request).await.unwrap().into_inner();
    loop {
        let response = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
        if !response.events.is_empty() {
            return response.events.into_iter().map(|event| event.actor).collect();
        }
    }
}

/// One entry for a flood, in which who was refused, where from and how often; nothing of what was asked for.
#[tokio::test]
async fn refused_calls_are_told_in_the_audit_log_once() {
    let guarded = Guarded::start().await;
    let bearer = format!("Bearer {}", guarded.token(3600));
    for _ in 0..30 {
        let mut request = put_in("130303", "", "hello");
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        request.metadata_mut().insert("x-forwarded-for", "198.51.100.1".parse().unwrap());
        let status = call::<_, PutNoteResponse>(guarded.channel(), PUT_NOTE, request).await.unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("NOT_PERMITTED"));
    }
    guarded.put(&[&bearer]).await.unwrap();
    guarded.refusal(&[]).await;
    guarded.server.shutdown.finish().await;
    let mut tx = guarded.test.kit.database().begin_read().await.unwrap();
    let told = event_log::read_after(&mut tx, Partition::AUDIT, 0, 100, &[], &[]).await.unwrap().events;
    assert_eq!(told.len(), 1, "{told:?}");
    let accessed = Accessed::decode(told[0].data.as_slice()).unwrap();
    assert_eq!(
        (accessed.kind(), accessed.count, accessed.method.as_str()),
        (AuditKind::Denial, 30, PUT_NOTE)
    );
    assert!(accessed.first_time.is_some() && accessed.ids.is_empty());
    let StoredEvent { actor, address, programme, .. } = &told[0];
    // Nobody is trusted here to say that a call comes from elsewhere.
    let expected = ("county_counselor:K1@130302", "127.0.0.1", "P");
    assert_eq!((actor.as_str(), address.as_str(), programme.as_str()), expected);
    // What was let in says where from too.
    let place = Partition::of(COUNTY);
    let noted = event_log::read_after(&mut tx, place, 0, 100, &[], &[]).await.unwrap().events;
    assert_eq!((noted.len(), noted[0].address.as_str()), (1, "127.0.0.1"));
}

#[tokio::test]
async fn json_and_grpc_have_the_same_door() {
    let guarded = Guarded::start().await;
    let (head, body) = guarded.curl("").await;
    assert!(
        head.starts_with("HTTP/1.1 401") && head.contains("www-authenticate: Bearer realm=\"shipei\""),
        "{head}"
    );
    assert_eq!(head.matches("www-authenticate").count(), 1, "{head}");
    assert_eq!(body["code"], "unauthenticated", "{body}");
    let good = format!("authorization: Bearer {}\r\n", guarded.token(3600));
    let (head, body) = guarded.curl(&good).await;
    assert!(head.starts_with("HTTP/1.1 200") && body["text"] == "hello", "{head} {body}");
    // Two of them, or one that is larger than all headers may be, are no token, and no harm.
    let (head, _) = guarded.curl(&good.repeat(2)).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let mut stream = TcpStream::connect(&guarded.address).await.unwrap();
    let large = format!(
        "POST {PUT_NOTE} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let _ = stream.write_all(large.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    let huge = format!("Bearer {}", "x".repeat(1 << 20));
    assert!(guarded.put(&[&huge]).await.is_err());
    guarded.put(&[&format!("Bearer {}", guarded.token(3600))]).await.unwrap();
}

#[tokio::test]
async fn stream_ends_with_its_token() {
    let guarded = Guarded::start().await;
    let mut request = Request::new(SubscribeRequest { source: "notes".into(), ..Default::default() });
    // It is good for less than a second yet, its skew included: the clock of the test stands still, the stream's goes on.
    let bearer = format!("Bearer {}", guarded.token(3600)).parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    guarded.test.clock.set(start() + TimeDelta::seconds(3660) - TimeDelta::milliseconds(300));
    let mut stream = EventFeedClient::new(guarded.channel()).subscribe(request).await.unwrap().into_inner();
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    });
    let status = ended.await.unwrap();
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (Code::Unauthenticated, Some("TOKEN_EXPIRED"))
    );
}

#[tokio::test]
async fn stream_ends_when_its_key_is_gone() {
    let guarded = Guarded::start().await;
    let mut request = Request::new(SubscribeRequest { source: "notes".into(), ..Default::default() });
    let bearer = format!("Bearer {}", guarded.token(3600)).parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut stream = EventFeedClient::new(guarded.channel()).subscribe(request).await.unwrap().into_inner();
    std::fs::write(guarded.set.path(), MintingKey::make().unwrap().key_set()).unwrap();
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    });
    let status = ended.await.unwrap();
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (Code::Unauthenticated, Some("TOKEN_INVALID"))
    );
}

#[tokio::test]
async fn streams_that_nobody_reads_are_bounded_for_each_caller_and_others_are_served() {
    let guarded = Guarded::start().await;
    let subscribe = async |channel: Channel| {
        let mut request = Request::new(SubscribeRequest { source: "notes".into(), ..Default::default() });
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {}", guarded.token(3600)).parse().unwrap());
        EventFeedClient::new(channel).subscribe(request).await
    };
    let mut kept = Vec::new();
    for _ in 0..STREAMS_MAX {
        kept.push(subscribe(guarded.channel()).await.unwrap());
    }
    // Another connection of the same caller is no way around it.
    let status = subscribe(guarded.channel()).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("TOO_MANY_AT_ONCE"));
    assert!(retry_after(&status).is_some());
    // Its calls are bounded by themselves, and services by nothing.
    guarded.put(&[&format!("Bearer {}", guarded.token(3600))]).await.unwrap();
    let own = ServiceTokens::new("assessment", &guarded.keys, guarded.test.clock.clone());
    let mut request = Request::new(SubscribeRequest { source: "notes".into(), ..Default::default() });
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {}", own.current().unwrap()).parse().unwrap());
    EventFeedClient::new(guarded.channel()).subscribe(request).await.unwrap();
    // One that is ended makes room.
    kept.pop();
    let again = tokio::time::timeout(PATIENCE, async {
        loop {
            match subscribe(guarded.channel()).await {
                Ok(stream) => return stream,
                Err(status) => assert_eq!(reason_of(&status).as_deref(), Some("TOO_MANY_AT_ONCE")),
            }
        }
    });
    again.await.unwrap();
}

#[tokio::test]
async fn service_is_known_by_the_suites_key() {
    let guarded = Guarded::start().await;
    let own = ServiceTokens::new("assessment", &guarded.keys, guarded.test.clock.clone());
    let foreign = ServiceTokens::new("assessment", &Keys::derive(&[8; 32]), guarded.test.clock.clone());
    let head = async |token: String| {
        let mut request = Request::new(GetHeadRequest { source: "notes".into() });
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        EventFeedClient::new(guarded.channel()).get_head(request).await
    };
    head(own.current().unwrap()).await.unwrap();
    let status = head(foreign.current().unwrap()).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("TOKEN_INVALID"));
}
