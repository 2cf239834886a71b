//! HTTP, as little of it as is needed: the key set of an issuer by one GET, a checkpoint of the logs by one POST, with bounds on time
//! and size, over the hyper and rustls that gRPC brings. Why no client of more: no redirects are followed, no proxy is asked and
//! nothing is kept, since keys are to come from exactly the address that the operator has written.

use std::{sync::Arc, time::Duration};

use http::{Request, StatusCode, Uri, header, uri::Scheme};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};

use super::key_set::KEY_SET_BYTES_MAX;

/// How long the whole of it may take.
pub(super) const FETCH_TIME_MAX: Duration = Duration::from_secs(5);

/// Why there is no answer that could be a key set.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not `http://` or `https://` with a host.
    #[error("the address is no http:// or https:// one")]
    Address,
    /// Nobody answers in time.
    #[error("no answer within {} s", FETCH_TIME_MAX.as_secs())]
    TooLate,
    /// The connection can't be made or breaks.
    #[error("{0}")]
    Connection(#[from] std::io::Error),
    /// The other side speaks no HTTP, or too much.
    #[error("{0}")]
    Http(String),
    /// An answer that is no success.
    #[error("the answer is {0}")]
    Status(StatusCode),
}

/// Whom to ask, and whom a certificate there may be signed by.
#[derive(Clone)]
pub(crate) struct Address {
    uri: Uri,
    roots: Arc<ClientConfig>,
}

impl Address {
    /// `roots` are the authorities that are believed for https.
    pub(crate) fn new(uri: Uri, roots: RootCertStore) -> Result<Self, FetchError> {
        let known = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        if !known || uri.host().is_none() {
            return Err(FetchError::Address);
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { uri, roots: Arc::new(config) })
    }

    /// As [`Address::new`], believing the system's authorities.
    ///
    /// # Errors
    /// An address that is none.
    pub(crate) fn believing_the_system(uri: Uri) -> Result<Self, FetchError> {
        let mut roots = RootCertStore::empty();
        if uri.scheme() == Some(&Scheme::HTTPS) {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Self::new(uri, roots)
    }

    /// Fetches it once.
    pub(super) async fn fetch(&self) -> Result<Bytes, FetchError> {
        let request = Request::get(self.path())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Full::default());
        self.send(request).await
    }

    /// Gives it a text of JSON; what it answers does not matter, if it takes it.
    ///
    /// # Errors
    /// What goes wrong, or an answer that is no success.
    pub(crate) async fn post(&self, json: String) -> Result<(), FetchError> {
        let request = Request::post(self.path())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(Bytes::from(json)));
        self.send(request).await.map(drop)
    }

    fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    async fn send(&self, request: http::Result<Request<Full<Bytes>>>) -> Result<Bytes, FetchError> {
        let mut request = request.map_err(|_| FetchError::Address)?;
        let authority = self.uri.authority().map_or("", http::uri::Authority::as_str);
        let authority = header::HeaderValue::from_str(authority).map_err(|_| FetchError::Address)?;
        request.headers_mut().insert(header::HOST, authority);
        request.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        tokio::time::timeout(FETCH_TIME_MAX, self.send_at_leisure(request))
            .await
            .map_err(|_| FetchError::TooLate)?
    }

    async fn send_at_leisure(&self, request: Request<Full<Bytes>>) -> Result<Bytes, FetchError> {
        let host = self.uri.host().ok_or(FetchError::Address)?;
        let encrypted = self.uri.scheme() == Some(&Scheme::HTTPS);
        let port = self.uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        // An IPv6 address stands in brackets in a URI and without them elsewhere.
        let plain = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((plain, port)).await?;
        if !encrypted {
            return ask(stream, request).await;
        }
        let name = ServerName::try_from(plain.to_owned()).map_err(|_| FetchError::Address)?;
        let stream = TlsConnector::from(Arc::clone(&self.roots)).connect(name, stream).await?;
        ask(stream, request).await
    }
}

/// Sends a request over a connection of its own.
async fn ask<Io>(stream: Io, request: Request<Full<Bytes>>) -> Result<Bytes, FetchError>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| FetchError::Http(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(FetchError::Status(answer.status()));
        }
        // One byte more than may be, so that too much is told from as much as may be.
        let body = Limited::new(answer.into_body(), KEY_SET_BYTES_MAX + 1).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| FetchError::Http(error.to_string()))
    };
    // The connection has to be driven while it is asked; its own end is no news.
    let driving = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = asking => answer,
        () = driving => Err(FetchError::Http("the connection has ended".to_owned())),
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Address({})", self.uri)
    }
}
