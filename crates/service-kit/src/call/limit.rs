//! Refuses the calls of a caller who calls too often (`soft_state/rate_limit.rs`), before they reach a handler. Why
//! inside of `layer.rs`: there the caller is known, and what is refused here is logged and measured like any
//! answer. Services of the suite, health and reflection are not limited. A stream counts as one call.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use http::Request;
use shipei_contracts::common::v1::Role;
use tonic::{
    Status,
    body::Body,
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};

use crate::{
    answer::status::rate_limited,
    call::{gate::Gate, metadata::Arrival},
    identity::caller::CallerKind,
    soft_state::rate_limit::RateLimiter,
};

/// The header in which a proxy says for whom it calls; each appends an address.
const FORWARDED_HEADER: &str = "x-forwarded-for";

/// Refuses those who call too often; without a limiter nobody.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    limiter: Option<RateLimiter>,
    /// The gRPC services whose calls are counted; what else a caller may ask for has no place in memory.
    services: Arc<BTreeSet<String>>,
}

impl Limit {
    /// Counts the calls of these gRPC services.
    pub(crate) fn new(limiter: Option<RateLimiter>, services: &[&str]) -> Self {
        let services = services.iter().map(|name| (*name).to_owned()).collect();
        Self { limiter, services: Arc::new(services) }
    }
}

impl Gate for Limit {
    fn refusal(&self, request: &Request<Body>) -> Option<Status> {
        let limiter = self.limiter.as_ref()?;
        let (service, caller) = who_calls_what(request)?;
        self.services.get(service)?;
        limiter.admit(service, &caller).err().map(rate_limited)
    }
}

/// The gRPC service and the caller, if their calls are counted: by name, else by address.
fn who_calls_what(request: &Request<Body>) -> Option<(&str, String)> {
    let (service, _) = request.uri().path().strip_prefix('/')?.split_once('/')?;
    let caller = &request.extensions().get::<Arrival>()?.caller;
    match &caller.kind {
        CallerKind::Service { .. } | CallerKind::Open { role: Role::Service, .. } => None,
        CallerKind::Anonymous | CallerKind::Open { role: Role::Unspecified, .. } => {
            Some((service, address_of(request)))
        }
        CallerKind::Token(_) => Some((service, format!("token:{}", caller.subject))),
        CallerKind::Open { .. } => Some((service, caller.to_string())),
    }
}

/// Where a call comes from: as the last proxy before us says, else the other end of the connection; empty in memory. A
/// caller that reaches us without a proxy may say what it likes, as it may name whom it likes.
fn address_of(request: &Request<Body>) -> String {
    let forwarded = request.headers().get(FORWARDED_HEADER).and_then(|value| value.to_str().ok());
    if let Some(last) = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse::<IpAddr>().ok()) {
        return last.to_string();
    }
    let extensions = request.extensions();
    let plain = extensions.get::<TcpConnectInfo>();
    let connection =
        plain.or_else(|| extensions.get::<TlsConnectInfo<TcpConnectInfo>>().map(TlsConnectInfo::get_ref));
    connection
        .and_then(TcpConnectInfo::remote_addr)
        .map_or_else(String::new, |address| address.ip().to_string())
}
