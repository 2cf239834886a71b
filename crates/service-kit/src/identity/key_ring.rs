//! The keys of an issuer as they are now. What: a key set that is read from a file or from an address, again now and then and when a
//! token names a key that is not in it. Why so: an issuer changes its keys whenever it likes, and signs with a new one at once; and it
//! may be away, in which case the keys that are known go on. Whoever sends tokens with made-up key ids must not make the suite ask
//! the issuer for each: one asks at a time, at most once in [`ASKED_EVERY_MIN`], and the others wait for that answer.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::Uri;
use tokio::{sync::Mutex, time::Instant};
use tokio_rustls::rustls::RootCertStore;

use super::{
    fetch::{Address, FetchError},
    key_set::{InvalidKeySet, KEY_SET_BYTES_MAX, KeySet, VerifyingKey},
};
use crate::shutdown::Shutdown;

/// The least time between two questions for a key id that is not known.
pub const ASKED_EVERY_MIN: Duration = Duration::from_secs(10);
/// How often an address is asked though nothing is missing: so long may a key that the issuer has taken away go on.
pub const ADDRESS_READ_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often a file is looked at.
pub const FILE_READ_EVERY: Duration = Duration::from_secs(5);

/// Where the keys of an issuer stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that holds a JSON Web Key Set.
    File(PathBuf),
    /// An `http://` or `https://` address that answers with one.
    Address {
        /// The address.
        uri: Uri,
        /// A file of the authorities (PEM) that may have signed its certificate; the system's own without it.
        authority: Option<PathBuf>,
    },
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file can't be read.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The address does not answer as it should.
    #[error("{0}: {1}")]
    Address(Uri, FetchError),
    /// What is there is no key set.
    #[error("the key set can't be used: {0}")]
    KeySet(#[from] InvalidKeySet),
    /// An authority's file has no certificate.
    #[error("{0} holds no certificate (PEM)")]
    Authority(PathBuf),
}

/// How often an issuer is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// See [`ASKED_EVERY_MIN`].
    pub(crate) asked_every_min: Duration,
    /// See [`ADDRESS_READ_EVERY`].
    pub(crate) address_read_every: Duration,
    /// See [`FILE_READ_EVERY`].
    pub(crate) file_read_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            asked_every_min: ASKED_EVERY_MIN,
            address_read_every: ADDRESS_READ_EVERY,
            file_read_every: FILE_READ_EVERY,
        }
    }
}

/// The keys of an issuer. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: KeySource,
    address: Option<Address>,
    pace: Pace,
    keys: RwLock<Arc<KeySet>>,
    /// When it was last asked; held while somebody asks.
    asked: Mutex<Option<Instant>>,
}

/// What a key id leads to.
pub(crate) enum Found {
    /// The key.
    Key(Arc<VerifyingKey>),
    /// The issuer has no such key.
    Unknown,
    /// No key of the issuer is known yet, and it is away.
    Away,
}

impl KeyRing {
    /// Reads the keys. A file must be there; an address that does not answer now is asked again later.
    ///
    /// # Errors
    /// When the file can't be read or used, or the address can't be one.
    pub(crate) async fn open(source: KeySource, pace: Pace) -> Result<Self, KeysError> {
        let address = match &source {
            KeySource::File(_) => None,
            KeySource::Address { uri, authority } => {
                if uri.scheme_str() == Some("http") && !is_of_this_machine(uri) {
                    tracing::warn!(%uri, "keys come in plain text: whoever is on the way can put theirs there and be anybody");
                }
                let roots = roots(authority.as_ref())?;
                let address = Address::new(uri.clone(), roots);
                Some(address.map_err(|error| KeysError::Address(uri.clone(), error))?)
            }
        };
        let inner = Inner { source, address, pace, keys: RwLock::default(), asked: Mutex::default() };
        let ring = Self { inner: Arc::new(inner) };
        match ring.read_again().await {
            Err(error) if ring.inner.address.is_some() => {
                tracing::error!(%error, "the issuer of tokens is away: nobody with a token is let in until it answers");
            }
            read => read?,
        }
        Ok(ring)
    }

    /// Reads the keys now and then, until shutdown.
    pub(crate) async fn keep_fresh(self, shutdown: Shutdown) {
        loop {
            let pause = match &self.inner.address {
                None => self.inner.pace.file_read_every,
                Some(_) if self.keys().is_empty() => self.inner.pace.asked_every_min,
                Some(_) => self.inner.pace.address_read_every,
            };
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let mut asked = self.inner.asked.lock().await;
            self.read_or_say().await;
            *asked = Some(Instant::now());
        }
    }

    /// The key that a token names.
    pub(crate) fn known(&self, id: Option<&str>) -> Option<Arc<VerifyingKey>> {
        self.keys().find(id).cloned()
    }

    /// The key that a token names; the issuer is asked once more if it is not known.
    pub(crate) async fn find(&self, id: Option<&str>) -> Found {
        if let Some(key) = self.known(id) {
            return Found::Key(key);
        }
        let mut asked = self.inner.asked.lock().await;
        // Somebody else may have asked meanwhile.
        let may_ask = asked.is_none_or(|asked| asked.elapsed() >= self.inner.pace.asked_every_min);
        if self.known(id).is_none() && may_ask {
            self.read_or_say().await;
            *asked = Some(Instant::now());
        }
        match self.known(id) {
            Some(key) => Found::Key(key),
            None if self.keys().is_empty() => Found::Away,
            None => Found::Unknown,
        }
    }

    fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.inner.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads again; if that fails, says so, and the keys that are known go on.
    async fn read_or_say(&self) {
        if let Err(error) = self.read_again().await {
            tracing::warn!(%error, "the keys of the issuer of tokens can't be read anew; the ones that are known go on");
        }
    }

    async fn read_again(&self) -> Result<(), KeysError> {
        let text = match &self.inner.source {
            KeySource::File(path) => {
                let path = path.clone();
                let reading = tokio::task::spawn_blocking(move || {
                    read_bounded(&path).map_err(|error| KeysError::File(path, error))
                });
                reading.await.unwrap_or_else(|_| Ok(Vec::new()))?
            }
            KeySource::Address { uri, .. } => {
                let Some(address) = &self.inner.address else { return Ok(()) };
                address.fetch().await.map_err(|error| KeysError::Address(uri.clone(), error))?.to_vec()
            }
        };
        let read = KeySet::read(&text)?;
        let mut keys = self.inner.keys.write().unwrap_or_else(PoisonError::into_inner);
        let (before, now) = (keys.ids().join(" "), read.ids().join(" "));
        *keys = Arc::new(read.replacing(&keys));
        if before != now {
            tracing::info!(keys = now, before, "keys of the issuer of tokens");
        }
        Ok(())
    }
}

/// Whether what is asked never leaves this machine.
fn is_of_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A file, or as much of it as shows that it is too large.
fn read_bounded(path: &PathBuf) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let most = u64::try_from(KEY_SET_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(most).read_to_end(&mut text)?;
    Ok(text)
}

/// The authorities that are believed.
fn roots(authority: Option<&PathBuf>) -> Result<RootCertStore, KeysError> {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = RootCertStore::empty();
    match authority {
        Some(file) => {
            let text = read_bounded(file).map_err(|error| KeysError::File(file.clone(), error))?;
            let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
            roots.add_parsable_certificates(certificates);
            if roots.is_empty() {
                return Err(KeysError::Authority(file.clone()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}
