//! Which files are spoken TLS with, to clients and to peers.

use std::path::PathBuf;

use anyhow::{Result, bail};
use shipei_service_kit::{ListenerFiles, PeerFiles};

use super::values::{one, path, switch};
use crate::{settings::Givens, suite::TlsFiles};

/// What the settings say of it.
pub(super) fn read(givens: &Givens) -> Result<TlsFiles> {
    let file = |key: &str| one(givens, key, None, |text| path(text).map(Some));
    let (certificate, key): (Option<PathBuf>, Option<PathBuf>) = (file("tls_certificate")?, file("tls_key")?);
    let client_authority = file("tls_client_ca_file")?;
    let client_required = one(givens, "tls_client_required", false, switch)?;
    let authority = file("peers_ca_file")?;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => bail!("`tls_certificate` is given, but no `tls_key`"),
        (None, Some(_)) => bail!("`tls_key` is given, but no `tls_certificate`"),
    };
    if identity.is_none() && client_authority.is_some() {
        bail!(
            "`tls_client_ca_file` is given, but no `tls_certificate`: without TLS nobody has a certificate"
        );
    }
    if client_required && client_authority.is_none() {
        bail!("`tls_client_required` is given, but no `tls_client_ca_file`");
    }
    let listener = identity.clone().map(|(certificate, key)| ListenerFiles {
        certificate,
        key,
        client_authority,
        client_required,
    });
    Ok(TlsFiles { listener, peers: PeerFiles { authority, identity } })
}
