//! Calls for a service of the suite that this process does not have. Why not tonic's UNIMPLEMENTED: a load balancer
//! hands them over while it remembers an address that has just become another instance's, which happens whenever
//! containers come and go. Such a call was carried out nowhere, so it is answered UNAVAILABLE and standard clients try
//! again. A method that no service of the suite has stays UNIMPLEMENTED.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use prost_reflect::DescriptorPool;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::error::Error;

/// The gRPC services that other processes have.
#[derive(Debug, Clone)]
pub(crate) struct Elsewhere {
    names: Arc<BTreeSet<String>>,
}

/// The routes, without calls that are for other processes.
#[derive(Debug, Clone)]
pub(crate) struct Here<S> {
    inner: S,
    elsewhere: Elsewhere,
}

impl Elsewhere {
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

impl<S> Layer<S> for Elsewhere {
    type Service = Here<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Here { inner, elsewhere: self.clone() }
    }
}

impl<S> Service<Request<Body>> for Here<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if self.elsewhere.has(request.uri().path()) {
            let error =
                Error::Unavailable("this instance has another service; the call was misdelivered".into());
            return Box::pin(async move { Ok(Status::from(error).into_http()) });
        }
        Box::pin(self.inner.call(request))
    }
}
