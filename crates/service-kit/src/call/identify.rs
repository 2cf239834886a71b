//! Who calls, asked at the door. What: [`Identification`] says how a server knows its callers, and finds out for each call by its
//! head: the token in `authorization`, else the certificate of the connection, else nobody. Why here, behind `web`: a gRPC-Web or
//! Connect call is a gRPC call by then, so no protocol has a door of its own. What comes in memory comes from this process and
//! is believed.

use std::sync::Arc;

use http::{HeaderMap, Request, header};
use shipei_contracts::{
    common::v1::{ErrorReason, Role},
    services,
};
use tokio::time::Instant;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use crate::{
    answer::error::{Error, Refusal, Result},
    clock::Clock,
    identity::{
        caller::{Caller, CallerKind},
        verifier::{Verified, Verifier},
    },
};

/// What a token stands behind in `authorization`; its case does not matter (RFC 7235).
const SCHEME: &str = "bearer";

/// What precedes in a certificate, as a DNS name, the name of a service of the suite: `assessment.shipei.internal`. Nobody can have such
/// a name in the public DNS (`.internal` is kept for private networks), so an authority that signs it means this.
pub const SERVICE_DOMAIN: &str = ".shipei.internal";

/// The certificates of a connection's client, its own first; the listener has verified them.
pub(crate) type Certificates = Arc<Vec<CertificateDer<'static>>>;

/// How a server knows who calls.
#[derive(Debug, Clone, Default)]
pub enum Identification {
    /// It doesn't: the caller is who the metadata `shipei-caller` says, and may do everything.
    #[default]
    Open,
    /// By tokens, and by the certificates of services. `shipei-caller` is not looked at.
    Verified(Verifier, Clock),
    /// What is called in memory is called by this process: by its services, who say which, or by a command's own client.
    InProcess,
}

/// Who calls, and until when that is so.
#[derive(Debug, Clone)]
pub(crate) struct Identified {
    pub(crate) caller: Caller,
    pub(crate) ending: Option<Ending>,
}

/// When a token is one no more.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// When it expires; none when that is further away than a process lives.
    at: Option<Instant>,
    token: Arc<Verified>,
}

impl Identification {
    /// How the same server knows who calls it in memory.
    #[must_use]
    pub(crate) fn in_memory(&self) -> Self {
        match self {
            Self::Open => Self::Open,
            Self::Verified(..) | Self::InProcess => Self::InProcess,
        }
    }

    /// Who makes this call.
    ///
    /// # Errors
    /// TOKEN_INVALID, TOKEN_EXPIRED, UNAVAILABLE while the issuer's keys are not known; INVALID_FIELD for an open server's `shipei-caller`.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        certificates: Option<Certificates>,
    ) -> Result<Identified> {
        match self {
            Self::Open => Ok(Identified { caller: Caller::said_in(headers)?, ending: None }),
            Self::InProcess => Ok(Identified { caller: of_this_process(headers)?, ending: None }),
            Self::Verified(verifier, clock) => match token_in(headers)? {
                Some(token) => {
                    let token = verifier.verify(token).await?;
                    let left = (token.ends_at - clock.now()).to_std().unwrap_or_default();
                    let caller = token.caller.clone();
                    let ending = Ending { at: Instant::now().checked_add(left), token };
                    Ok(Identified { caller, ending: Some(ending) })
                }
                None => {
                    let service = certificates.and_then(|certificates| service_of(&certificates));
                    Ok(Identified {
                        caller: service.map_or_else(Caller::anonymous, Caller::service),
                        ending: None,
                    })
                }
            },
        }
    }
}

/// The certificates of a call's connection, if its client has any.
pub(crate) fn certificates_of<T>(request: &Request<T>) -> Option<Certificates> {
    request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>().and_then(TlsConnectInfo::peer_certs)
}

/// The service of the suite that a verified certificate names.
fn service_of(certificates: &[CertificateDer<'static>]) -> Option<&'static str> {
    let own = webpki::EndEntityCert::try_from(certificates.first()?).ok()?;
    let named = |name: &str| {
        let service = name.strip_suffix(SERVICE_DOMAIN)?;
        services::ALL.into_iter().find(|known| *known == service)
    };
    own.valid_dns_names().find_map(named)
}

/// A service of this process, or one of its commands.
fn of_this_process(headers: &HeaderMap) -> Result<Caller> {
    let said = Caller::said_in(headers)?;
    match said.kind {
        CallerKind::Open { role: Role::Service, .. } => Ok(Caller::service(&said.subject)),
        _ => Ok(said),
    }
}

/// The token of a call, if it has one.
fn token_in(headers: &HeaderMap) -> Result<Option<&[u8]>> {
    let mut said = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = said.next() else { return Ok(None) };
    let refused = |fault: &str| Error::from(Refusal::new(ErrorReason::TokenInvalid).with("fault", fault));
    if said.next().is_some() {
        return Err(refused("several"));
    }
    let value = value.as_bytes();
    let (scheme, token) = value.split_at_checked(SCHEME.len()).unwrap_or((value, b""));
    match token.strip_prefix(b" ") {
        Some(token) if scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) => Ok(Some(token.trim_ascii())),
        _ => Err(refused("scheme")),
    }
}

impl Ending {
    /// Whether it is now.
    pub(crate) fn has_come(&self) -> bool {
        self.token.key_gone().is_cancelled() || self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// Returns when it comes.
    pub(crate) async fn comes(self) {
        tokio::select! {
            () = crate::call::metadata::until(self.at) => {}
            () = self.token.key_gone().cancelled() => {}
        }
    }

    /// What whoever is cut off by it is told.
    pub(crate) fn error(&self) -> Error {
        match self.token.key_gone().is_cancelled() {
            true => Refusal::new(ErrorReason::TokenInvalid).with("fault", "key").into(),
            false => Refusal::new(ErrorReason::TokenExpired).with("fault", "expiry").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn token_stands_behind_bearer_and_there_is_one() {
        assert_eq!(token_in(&headers(&[])).unwrap(), None);
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
            assert_eq!(token_in(&headers(&[good])).unwrap(), Some(&b"a.b.c"[..]), "{good}");
        }
        for bad in
            [&["Bearer"][..], &["Basic a"], &["a.b.c"], &["Bearera.b.c"], &[""], &["Bearer a", "Bearer a"]]
        {
            let Err(Error::Refused(refusal)) = token_in(&headers(bad)) else { panic!("{bad:?}") };
            assert_eq!(refusal.reason, ErrorReason::TokenInvalid);
        }
    }

    #[test]
    fn services_of_this_process_are_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("shipei-caller", "service:enrollment".parse().unwrap());
        assert_eq!(of_this_process(&headers).unwrap(), Caller::service("enrollment"));
        assert_eq!(of_this_process(&HeaderMap::new()).unwrap(), Caller::default());
    }
}
