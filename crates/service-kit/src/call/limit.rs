//! Refuses the calls of a caller who calls too often (`soft_state/rate_limit.rs`), before they reach a handler. Why
//! inside of `layer.rs`: there the caller is known, and what is refused here is logged and measured like any
//! answer. Services of the suite, health and reflection are not limited. A stream counts as one call.

use std::{collections::BTreeSet, sync::Arc};

use http::Request;
use shipei_contracts::common::v1::Role;
use tonic::{Status, body::Body};

use crate::{
    answer::status::rate_limited,
    call::{gate::Gate, metadata::Arrival},
    identity::caller::CallerKind,
    soft_state::rate_limit::RateLimiter,
};

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
        let (service, caller) = Self::who_calls_what(request)?;
        self.services.get(service)?;
        limiter.admit(service, &caller).err().map(rate_limited)
    }
}

impl Limit {
    /// The gRPC service and the caller, if their calls are counted: by name, else by address.
    fn who_calls_what(request: &Request<Body>) -> Option<(&str, String)> {
        let (service, _) = request.uri().path().strip_prefix('/')?.split_once('/')?;
        let Arrival { caller, address, .. } = &**request.extensions().get::<Arc<Arrival>>()?;
        match &caller.kind {
            CallerKind::Service { .. } | CallerKind::Open { role: Role::Service, .. } => None,
            CallerKind::Anonymous | CallerKind::Open { role: Role::Unspecified, .. } => {
                Some((service, address.map(|address| address.to_string()).unwrap_or_default()))
            }
            CallerKind::Token(_) => Some((service, format!("token:{}", caller.subject))),
            CallerKind::Open { .. } => Some((service, caller.to_string())),
        }
    }
}
