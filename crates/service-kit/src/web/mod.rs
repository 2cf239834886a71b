//! Other ways to call the same RPCs: the Connect protocol with JSON or protobuf, whose simplest call is `curl --json`, and
//! gRPC-Web for browsers, over HTTP/1.1 and HTTP/2. What: [`WebService`] stands before everything else and turns such a call
//! into the gRPC call that it means, and the answer back. Why before everything: admission, access, limits, budget and log lines
//! are those of gRPC, and there is no second way to forget them. gRPC-Web is tonic-web's; Connect is here, since
//! the `connectrpc` crate brings message types of its own, and the contracts are prost's.
//!
//! A call goes through [`route`] (what it is), [`unary`] or [`stream`] (its bodies), [`codec`] (JSON and back), `gzip` and
//! [`failure`] (a gRPC status as Connect says it). `cors` says which pages may call.

mod codec;
pub(crate) mod cors;
mod failure;
mod frames;
mod gzip;
mod route;
mod stream;
mod unary;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

pub(crate) use self::route::Routes;
use self::route::{Protocol, Shape};
use crate::call::budget::Budget;

/// Puts [`WebService`] around what serves gRPC.
#[derive(Debug, Clone)]
pub(crate) struct WebLayer {
    routes: Routes,
    budget: Budget,
    message_bytes_max: usize,
}

/// gRPC, with the other protocols before it.
#[derive(Debug, Clone)]
pub(crate) struct WebService<S> {
    inner: S,
    layer: WebLayer,
}

impl WebLayer {
    /// Takes messages of at most so many bytes, within the budget.
    pub(crate) fn new(routes: Routes, budget: Budget, message_bytes_max: usize) -> Self {
        Self { routes, budget, message_bytes_max }
    }
}

impl<S> Layer<S> for WebLayer {
    type Service = WebService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WebService { inner, layer: self.clone() }
    }
}

impl<S, E> Service<Request<Body>> for WebService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = E> + Clone + Send + 'static,
    S::Future: Send,
    E: Send + 'static,
{
    type Response = Response<Body>;
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let protocol = match route::protocol_of(&request) {
            // Nearly every call: nothing is done to it.
            Protocol::Grpc => return Box::pin(self.inner.call(request)),
            protocol => protocol,
        };
        let call = match route::connect_call(&self.layer.routes, protocol, &request) {
            Ok(call) => call,
            Err(answer) => return Box::pin(async move { Ok(*answer) }),
        };
        let (budget, bytes_max) = (self.layer.budget.clone(), self.layer.message_bytes_max);
        // The clone is not ready; the one that was asked is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            match call.shape {
                Shape::Unary => {
                    let request = unary::request(&call, request, budget, bytes_max);
                    let response = inner.call(request).await?;
                    Ok(unary::answer(&call, response, bytes_max).await)
                }
                Shape::Stream => {
                    let request = stream::request(&call, request, budget, bytes_max);
                    let response = inner.call(request).await?;
                    Ok(stream::answer(&call, response, bytes_max))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
