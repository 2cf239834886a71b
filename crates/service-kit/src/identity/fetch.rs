//! The key set of an issuer over HTTP. What: one GET with bounds on time and size, over the hyper and rustls that gRPC brings. Why no
//! client of more: no redirects are followed, no proxy is asked and nothing is kept, since keys are to come from exactly the
//! address that the operator has written.

use std::{sync::Arc, time::Duration};

use http::{Request, StatusCode, Uri, header, uri::Scheme};
use http_body_util::{BodyExt as _, Empty, Limited};
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

/// Where a key set is fetched, and whom a certificate there may be signed by.
#[derive(Clone)]
pub(super) struct Address {
    uri: Uri,
    roots: Arc<ClientConfig>,
}

impl Address {
    /// `roots` are the authorities that are believed for https.
    pub(super) fn new(uri: Uri, roots: RootCertStore) -> Result<Self, FetchError> {
        let known = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        if !known || uri.host().is_none() {
            return Err(FetchError::Address);
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { uri, roots: Arc::new(config) })
    }

    /// Fetches it once.
    pub(super) async fn fetch(&self) -> Result<Bytes, FetchError> {
        tokio::time::timeout(FETCH_TIME_MAX, self.fetch_at_leisure())
            .await
            .map_err(|_| FetchError::TooLate)?
    }

    async fn fetch_at_leisure(&self) -> Result<Bytes, FetchError> {
        let host = self.uri.host().ok_or(FetchError::Address)?;
        let encrypted = self.uri.scheme() == Some(&Scheme::HTTPS);
        let port = self.uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        // An IPv6 address stands in brackets in a URI and without them elsewhere.
        let plain = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((plain, port)).await?;
        if !encrypted {
            return self.ask(stream).await;
        }
        let name = ServerName::try_from(plain.to_owned()).map_err(|_| FetchError::Address)?;
        let stream = TlsConnector::from(Arc::clone(&self.roots)).connect(name, stream).await?;
        self.ask(stream).await
    }

    async fn ask<Io>(&self, stream: Io) -> Result<Bytes, FetchError>
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let failed = |error: hyper::Error| FetchError::Http(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let authority = self.uri.authority().map_or("", http::uri::Authority::as_str);
        let path = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let request = Request::get(path)
            .header(header::HOST, authority)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Address)?;
        let asking = async {
            let answer = sender.send_request(request).await.map_err(failed)?;
            if answer.status() != StatusCode::OK {
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
}

impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Address({})", self.uri)
    }
}
