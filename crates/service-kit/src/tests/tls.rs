//! Listeners that speak TLS: certificates that are renewed while they listen, clients with and without one, and services that
//! are known by theirs.

use std::{path::PathBuf, process::Command, time::Duration};

use shipei_contracts::event::v1::{GetHeadRequest, event_feed_client::EventFeedClient};
use shipei_store::crypto::Keys;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{Code, Status, transport::Channel};

use super::notes::{Notes, PUT_NOTE, PutNoteResponse, add_notes, call, put, test_kit};
use crate::{
    Identification, KeySource, ListenerFiles, ListenerTls, PeerFiles, PeerTls, Shutdown, TokenSettings,
    Verifier,
    answer::status::reason_of,
    identity::mint::MintingKey,
    testing::{TestKit, TestServer},
};

/// How often the files are looked at here.
const QUICK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority of the test's own, and what it signs.
struct Authority {
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        authority.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key"]);
        authority.openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "ca.key",
            "-days",
            "2",
            "-subj",
            "/CN=test",
            "-out",
            "ca.crt",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) {
        let output =
            Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A certificate for these names, under this name of a file.
    fn sign(&self, file: &str, names: &str) -> (PathBuf, PathBuf) {
        let (key, request, certificate) =
            (format!("{file}.key"), format!("{file}.csr"), format!("{file}.crt"));
        self.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key]);
        self.openssl(&["req", "-new", "-key", &key, "-subj", &format!("/CN={file}"), "-out", &request]);
        let extensions = format!("subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n");
        std::fs::write(self.file("ext"), extensions).unwrap();
        let fresh = self.file("fresh");
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "ext",
            "-out",
            fresh.to_str().unwrap(),
        ]);
        std::fs::rename(fresh, self.file(&certificate)).unwrap();
        (self.file(&certificate), self.file(&key))
    }
}

/// Notes over TLS.
struct Encrypted {
    authority: Authority,
    _test: TestKit,
    address: String,
    shutdown: Shutdown,
    _server: TestServer,
}

impl Encrypted {
    /// `asks` for clients' certificates, or `requires` them.
    async fn start(asks: bool, requires: bool, verified: bool) -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.sign("server", "DNS:localhost");
        let (test, shutdown) = (test_kit().await, Shutdown::new());
        let identification =
            if verified { identification(&test, &authority, &shutdown).await } else { Identification::Open };
        let notes = Notes::new(&test.kit);
        let server =
            TestServer::start(|builder| add_notes(builder.identification(identification), &notes)).await;
        let client_authority = asks.then(|| authority.file("ca.crt"));
        let files = ListenerFiles { certificate, key, client_authority, client_required: requires };
        let tls = ListenerTls::start_at(QUICK, files, &shutdown).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.server.serve_tls(listener, &tls).unwrap().port();
        Self {
            authority,
            _test: test,
            address: format!("https://localhost:{port}"),
            shutdown,
            _server: server,
        }
    }

    fn channel(&self, identity: Option<(PathBuf, PathBuf)>) -> Channel {
        let files = PeerFiles { authority: Some(self.authority.file("ca.crt")), identity };
        PeerTls::start(files, &self.shutdown).unwrap().connect_lazily(&self.address).unwrap()
    }

    async fn put(&self, channel: Channel) -> Result<PutNoteResponse, Status> {
        Ok(call::<_, PutNoteResponse>(channel, PUT_NOTE, put("", "hello")).await?.into_inner())
    }

    /// The name that the listener shows to somebody new.
    async fn shown(&self) -> String {
        let address = self.address.trim_start_matches("https://").to_owned();
        let authority = self.authority.file("ca.crt");
        let shown = tokio::task::spawn_blocking(move || {
            let script = "openssl s_client -connect \"$0\" -CAfile \"$1\" </dev/null 2>/dev/null | openssl x509 -noout -subject";
            let asked = Command::new("sh").args(["-c", script, &address]).arg(authority).output().unwrap();
            String::from_utf8_lossy(&asked.stdout).trim().to_owned()
        });
        shown.await.unwrap()
    }
}

/// By tokens of an issuer that nobody has a token of.
async fn identification(test: &TestKit, authority: &Authority, shutdown: &Shutdown) -> Identification {
    let set = authority.file("issuer.jwks");
    std::fs::write(&set, MintingKey::make().unwrap().key_set()).unwrap();
    let settings = TokenSettings { issuer: "i".into(), audience: "a".into(), keys: KeySource::File(set) };
    let verifier = Verifier::start(settings, &Keys::derive(&[7; 32]), &test.clock, shutdown).await.unwrap();
    Identification::Verified(verifier, test.clock.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificate_is_shown_and_a_bad_one_is_not() {
    let encrypted = Encrypted::start(false, false, false).await;
    let before = encrypted.channel(None);
    encrypted.put(before.clone()).await.unwrap();
    assert!(encrypted.shown().await.contains("CN = server"));
    // A new certificate under the old name; its key comes a moment later, and until then the old two go on.
    let (new_certificate, new_key) = encrypted.authority.sign("renewed", "DNS:localhost");
    std::fs::rename(new_certificate, encrypted.authority.file("server.crt")).unwrap();
    encrypted.put(encrypted.channel(None)).await.unwrap();
    std::fs::rename(new_key, encrypted.authority.file("server.key")).unwrap();
    let seen = async { while !encrypted.shown().await.contains("CN = renewed") {} };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    encrypted.put(encrypted.channel(None)).await.unwrap();
    std::fs::write(encrypted.authority.file("server.crt"), "no certificate").unwrap();
    encrypted.put(encrypted.channel(None)).await.unwrap();
    assert!(encrypted.shown().await.contains("CN = renewed"));
    // Who was connected stays so.
    encrypted.put(before).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_certificate_of_the_authority_opens_a_door_that_asks_for_one() {
    let encrypted = Encrypted::start(true, true, false).await;
    assert!(encrypted.put(encrypted.channel(None)).await.is_err());
    let own = encrypted.authority.sign("client", "DNS:client");
    encrypted.put(encrypted.channel(Some(own))).await.unwrap();
    // Plain text is no way in either.
    let plain = encrypted.address.replace("https://", "http://");
    assert!(encrypted.put(crate::connect_lazily(&plain).unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_certificate_is_refused() {
    let encrypted = Encrypted::start(true, false, false).await;
    let other = Authority::new();
    let foreign = other.sign("client", "DNS:client");
    assert!(encrypted.put(encrypted.channel(Some(foreign))).await.is_err());
    encrypted.put(encrypted.channel(None)).await.unwrap();
    // Nor does a client take a server of an authority that it doesn't know.
    let files = PeerFiles { authority: Some(other.file("ca.crt")), identity: None };
    let channel =
        PeerTls::start(files, &encrypted.shutdown).unwrap().connect_lazily(&encrypted.address).unwrap();
    assert_eq!(encrypted.put(channel).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_is_known_by_its_certificate_and_nobody_else_is() {
    let encrypted = Encrypted::start(true, false, true).await;
    let head = async |identity: Option<(PathBuf, PathBuf)>| {
        let request = GetHeadRequest { source: "notes".into() };
        EventFeedClient::new(encrypted.channel(identity)).get_head(request).await
    };
    let missing = |status: Status| {
        (status.code(), reason_of(&status).unwrap_or_default())
            == (Code::Unauthenticated, "TOKEN_MISSING".to_owned())
    };
    assert!(missing(head(None).await.unwrap_err()));
    for names in ["DNS:client", "DNS:nobody.shipei.internal", "DNS:assessment.shipei.internal.example"] {
        let own = encrypted.authority.sign("client", names);
        assert!(missing(head(Some(own)).await.unwrap_err()), "{names}");
    }
    let service = encrypted.authority.sign("service", "DNS:localhost,DNS:assessment.shipei.internal");
    head(Some(service)).await.unwrap();
}
