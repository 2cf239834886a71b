//! Calls for a service of the suite that this process does not have. Why not tonic's UNIMPLEMENTED: a load balancer
//! hands them over while it remembers an address that has just become another instance's, which happens whenever
//! containers come and go. Such a call was carried out nowhere, so it is answered UNAVAILABLE and standard clients try
//! again. A method that no service of the suite has stays UNIMPLEMENTED.

use std::{collections::BTreeSet, sync::Arc};

use http::Request;
use prost_reflect::DescriptorPool;
use tonic::{Status, body::Body};

use crate::{answer::error::Error, call::gate::Gate};

/// The gRPC services that other processes have.
#[derive(Debug, Clone)]
pub(crate) struct MisdeliveredCalls {
    names: Arc<BTreeSet<String>>,
}

impl MisdeliveredCalls {
    /// Every service of the contracts but those that are here.
    pub(crate) fn of(pool: &DescriptorPool, here: &[&str]) -> Self {
        let names = pool.services().map(|service| service.full_name().to_owned());
        Self { names: Arc::new(names.filter(|name| !here.contains(&name.as_str())).collect()) }
    }

    /// Is this path (`/package.Service/Method`) another process's?
    fn has(&self, path: &str) -> bool {
        path.trim_start_matches('/').split('/').next().is_some_and(|service| self.names.contains(service))
    }
}

impl Gate for MisdeliveredCalls {
    fn refusal(&self, request: &Request<Body>) -> Option<Status> {
        let misdelivered = "this instance has another service; the call was misdelivered";
        self.has(request.uri().path()).then(|| Error::Unavailable(misdelivered.into()).into())
    }
}
