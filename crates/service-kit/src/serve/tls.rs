//! TLS of listeners and towards peers. What: certificates, keys and authorities from files, which are looked at while the process
//! runs: a connection that is made after they have changed has the new ones. Why by looking, and not by being told: certificates are
//! renewed by others (cert-manager, certbot, a script), and a signal that nobody sends lets them expire. New files that
//! can't be used change nothing but the log.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};
use tonic::transport::{Channel, Endpoint, Uri};

use super::{
    connection::{CONNECT_TIMEOUT, configure},
    connections::HANDSHAKE_TIME_MAX,
};
use crate::shutdown::Shutdown;

/// How often the files are looked at.
pub const FILES_READ_EVERY: Duration = Duration::from_secs(5);
/// What is spoken over TLS, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The largest of these files that is read, bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The files of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerFiles {
    /// Its certificate, with those between it and the authority (PEM).
    pub certificate: PathBuf,
    /// The certificate's private key (PEM).
    pub key: PathBuf,
    /// The authority of clients' certificates; without it nobody is asked for one.
    pub client_authority: Option<PathBuf>,
    /// Whether a client without a certificate is sent away.
    pub client_required: bool,
}

/// The files with which peers are spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerFiles {
    /// The authority of their certificates; the system's own without it.
    pub authority: Option<PathBuf>,
    /// Our certificate and its key, by which they know us.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why TLS can't be spoken with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One can't be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, io::Error),
    /// One holds nothing of what it should.
    #[error("{0} holds no {1} (PEM)")]
    Empty(PathBuf, &'static str),
    /// They don't fit together, or are of a kind that is not spoken.
    #[error("{0}: {1}")]
    Unfit(PathBuf, rustls::Error),
    /// An authority that can't be one.
    #[error("{0}: {1}")]
    Authority(PathBuf, String),
}

/// What follows from files, as they were last good. Clones share it.
#[derive(Debug)]
pub(crate) struct Kept<F, T> {
    inner: Arc<Inner<F, T>>,
}

#[derive(Debug)]
struct Inner<F, T> {
    files: F,
    read: RwLock<(Vec<Vec<u8>>, Arc<T>)>,
}

impl<F, T> Clone for Kept<F, T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

/// Files from which something is made.
pub(crate) trait Files: Send + Sync + 'static {
    /// What is made.
    type Made: Send + Sync + 'static;
    /// Which they are.
    fn paths(&self) -> Vec<&Path>;
    /// Makes it, of the texts of the files in their order.
    fn make(&self, texts: &[Vec<u8>]) -> Result<Self::Made, TlsError>;
}

impl<F: Files> Kept<F, F::Made> {
    pub(crate) fn open(files: F) -> Result<Self, TlsError> {
        let texts = texts_of(&files.paths())?;
        let made = Arc::new(files.make(&texts)?);
        Ok(Self { inner: Arc::new(Inner { files, read: RwLock::new((texts, made)) }) })
    }

    pub(crate) fn current(&self) -> Arc<F::Made> {
        Arc::clone(&self.inner.read.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Looks at the files now and then, until shutdown.
    pub(crate) async fn keep_fresh(self, every: Duration, shutdown: Shutdown) {
        let mut complained = None;
        while !shutdown.has_begun() {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(every) => {}
            }
            let looking = self.clone();
            let looked = tokio::task::spawn_blocking(move || looking.look()).await;
            match looked {
                Ok(Ok(true)) => {
                    complained = None;
                    tracing::info!("certificates are read anew");
                }
                Ok(Ok(false)) | Err(_) => {}
                // Once for each fault, not every five seconds.
                Ok(Err(error)) => {
                    let said = error.to_string();
                    if complained.as_ref() != Some(&said) {
                        tracing::error!(%error, "new certificates can't be used; the old ones go on");
                        complained = Some(said);
                    }
                }
            }
        }
    }

    /// True when they have changed, and what follows from them with them.
    fn look(&self) -> Result<bool, TlsError> {
        let texts = texts_of(&self.inner.files.paths())?;
        if texts == self.inner.read.read().unwrap_or_else(PoisonError::into_inner).0 {
            return Ok(false);
        }
        let made = Arc::new(self.inner.files.make(&texts)?);
        *self.inner.read.write().unwrap_or_else(PoisonError::into_inner) = (texts, made);
        Ok(true)
    }
}

fn texts_of(paths: &[&Path]) -> Result<Vec<Vec<u8>>, TlsError> {
    use std::io::Read as _;
    let read = |path: &&Path| {
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text))
            .map_err(|error| TlsError::File(path.to_path_buf(), error))?;
        Ok(text)
    };
    paths.iter().map(read).collect()
}

impl Files for ListenerFiles {
    type Made = ServerConfig;

    fn paths(&self) -> Vec<&Path> {
        let mut paths = vec![self.certificate.as_path(), self.key.as_path()];
        paths.extend(self.client_authority.as_deref());
        paths
    }

    fn make(&self, texts: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
        let text = |number: usize| texts.get(number).map_or(&[][..], Vec::as_slice);
        let certificates = certificates(&self.certificate, text(0))?;
        let key = private_key(&self.key, text(1))?;
        let builder = ServerConfig::builder();
        let builder = match &self.client_authority {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots(file, text(2))?));
                let verifier = if self.client_required { verifier } else { verifier.allow_unauthenticated() };
                let verifier =
                    verifier.build().map_err(|error| TlsError::Authority(file.clone(), error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let unfit = |error| TlsError::Unfit(self.certificate.clone(), error);
        let mut config = builder.with_single_cert(certificates, key).map_err(unfit)?;
        config.alpn_protocols = PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }
}

impl Files for PeerFiles {
    type Made = ClientConfig;

    fn paths(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = self.authority.as_deref().into_iter().collect();
        if let Some((certificate, key)) = &self.identity {
            paths.extend([certificate.as_path(), key.as_path()]);
        }
        paths
    }

    fn make(&self, texts: &[Vec<u8>]) -> Result<ClientConfig, TlsError> {
        let mut texts = texts.iter();
        let roots = match &self.authority {
            Some(file) => roots(file, texts.next().map_or(&[], Vec::as_slice))?,
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            }
        };
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate, texts.next().map_or(&[], Vec::as_slice))?;
                let private = private_key(key, texts.next().map_or(&[], Vec::as_slice))?;
                let unfit = |error| TlsError::Unfit(certificate.clone(), error);
                builder.with_client_auth_cert(chain, private).map_err(unfit)?
            }
        };
        config.alpn_protocols = vec![PROTOCOLS[0].to_vec()];
        Ok(config)
    }
}

fn certificates(file: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Vec<_> = CertificateDer::pem_slice_iter(text).filter_map(Result::ok).collect();
    if read.is_empty() { Err(TlsError::Empty(file.to_owned(), "certificate")) } else { Ok(read) }
}

fn private_key(file: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|_| TlsError::Empty(file.to_owned(), "private key"))
}

fn roots(file: &Path, text: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(file, text)?);
    if roots.is_empty() { Err(TlsError::Empty(file.to_owned(), "authority")) } else { Ok(roots) }
}

/// What a listener speaks TLS with. Clones share it.
#[derive(Debug, Clone)]
pub struct ListenerTls(Kept<ListenerFiles, ServerConfig>);

impl ListenerTls {
    /// Reads the files, and goes on to until shutdown.
    ///
    /// # Errors
    /// When they can't be used.
    pub fn start(files: ListenerFiles, shutdown: &Shutdown) -> Result<Self, TlsError> {
        Self::start_at(FILES_READ_EVERY, files, shutdown)
    }

    pub(crate) fn start_at(
        every: Duration,
        files: ListenerFiles,
        shutdown: &Shutdown,
    ) -> Result<Self, TlsError> {
        let kept = Kept::open(files)?;
        shutdown.spawn(kept.clone().keep_fresh(every, shutdown.clone()));
        Ok(Self(kept))
    }

    /// Speaks it on a connection; None when the client can't, or takes too long.
    pub(crate) async fn accept<Io>(&self, io: Io) -> Option<TlsStream<Io>>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(self.0.current()).accept(io);
        match tokio::time::timeout(HANDSHAKE_TIME_MAX, accepting).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client and this listener have no TLS in common");
                None
            }
            Err(_) => None,
        }
    }
}

/// What peers are spoken TLS to with. Clones share it.
#[derive(Debug, Clone)]
pub struct PeerTls(Kept<PeerFiles, ClientConfig>);

impl PeerTls {
    /// Reads the files, and goes on to until shutdown.
    ///
    /// # Errors
    /// When they can't be used.
    pub fn start(files: PeerFiles, shutdown: &Shutdown) -> Result<Self, TlsError> {
        let kept = Kept::open(files)?;
        shutdown.spawn(kept.clone().keep_fresh(FILES_READ_EVERY, shutdown.clone()));
        Ok(Self(kept))
    }

    /// A channel to a server at an `https://` address. It connects when first used, and again when broken, each time with the
    /// files as they are then.
    ///
    /// # Errors
    /// When the address is no URI.
    pub fn connect_lazily(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        let kept = self.0.clone();
        let connector = tower::service_fn(move |uri: Uri| {
            let config = kept.current();
            async move {
                let host = uri.host().unwrap_or_default();
                let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(plain.clone()).map_err(io::Error::other)?;
                let connecting = async {
                    let stream = TcpStream::connect((plain, uri.port_u16().unwrap_or(443))).await?;
                    stream.set_nodelay(true)?;
                    TlsConnector::from(config).connect(name, stream).await
                };
                let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
                Ok::<_, io::Error>(TokioIo::new(connected.map_err(|_| io::ErrorKind::TimedOut)??))
            }
        });
        // The transport would speak TLS by itself to an `https` one; the messages say `https` all the same.
        let origin = Endpoint::from_shared(address.to_owned())?.uri().clone();
        let plain = address.replacen("https://", "http://", 1);
        Ok(configure(Endpoint::from_shared(plain)?.origin(origin)).connect_with_connector_lazy(connector))
    }
}
