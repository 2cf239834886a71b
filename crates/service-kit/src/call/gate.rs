//! What may refuse a call before it reaches a handler: a [`Gate`] says which, and its layer answers. One more reason to
//! refuse calls of any service is one more gate, put around the routes in `serve/server.rs`.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Decides on every call by its head, at once.
pub(crate) trait Gate: Clone {
    /// What the call is answered, if it may not pass.
    fn refusal(&self, request: &Request<Body>) -> Option<Status>;
}

/// Puts a gate before the routes.
#[derive(Debug, Clone)]
pub(crate) struct GateLayer<G>(pub(crate) G);

/// The routes behind a gate.
#[derive(Debug, Clone)]
pub(crate) struct Gated<G, S> {
    gate: G,
    inner: S,
}

impl<G: Gate, S> Layer<S> for GateLayer<G> {
    type Service = Gated<G, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { gate: self.0.clone(), inner }
    }
}

impl<G: Gate, S> Service<Request<Body>> for Gated<G, S>
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
        match self.gate.refusal(&request) {
            Some(status) => Box::pin(async move { Ok(status.into_http()) }),
            None => Box::pin(self.inner.call(request)),
        }
    }
}
