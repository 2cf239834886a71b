//! Which pages of other origins may call. Nobody's, unless the setting `cors_origins` names them: a page that somebody opens
//! must not call a suite in their network by itself.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// How long a browser may keep what it was told.
const KEPT: Duration = Duration::from_secs(2 * 3600);
/// What a page reads of an answer beside its body.
const EXPOSED: [&str; 6] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "shipei-consistency-token",
    "trailer-shipei-consistency-token",
    "retry-after",
];

/// An origin that isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin: it looks like https://county.example or http://localhost:5173, without a path")]
pub struct InvalidOrigin(pub String);

/// The origins whose pages may call; checked.
#[derive(Debug, Clone, Default)]
pub struct CorsOrigins(Vec<HeaderValue>);

impl CorsOrigins {
    /// These origins: scheme, host, and port where it is not the scheme's own.
    ///
    /// # Errors
    /// One that is none.
    pub fn new(origins: &[String]) -> Result<Self, InvalidOrigin> {
        let checked = origins.iter().map(|origin| {
            let (_, host) = origin
                .strip_prefix("https")
                .or_else(|| origin.strip_prefix("http"))
                .and_then(|rest| rest.split_once("://"))
                .filter(|(scheme_rest, _)| scheme_rest.is_empty())
                .ok_or_else(|| InvalidOrigin(origin.clone()))?;
            let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', '*']);
            let value = HeaderValue::from_str(origin).ok().filter(|_| is_host && origin.is_ascii());
            value.ok_or_else(|| InvalidOrigin(origin.clone()))
        });
        Ok(Self(checked.collect::<Result<_, _>>()?))
    }

    /// What answers the questions of browsers; nothing when no page may call.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let exposed = EXPOSED.map(HeaderName::from_static);
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.clone()))
            .allow_methods([Method::GET, Method::POST])
            // A page says itself what it sends; every header of a call is read with care, whoever sends it.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list(exposed))
            .max_age(KEPT);
        Some(layer)
    }
}
