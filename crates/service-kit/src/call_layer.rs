//! What surrounds every call: who calls and until when, the deadline, the end of the process, and one log line.
//! Why the deadline is here: tonic's own timeout answers CANCELLED, and clients must see DEADLINE_EXCEEDED, so this
//! layer is a little quicker. Enforcing the access policies will belong here, before `inner.call`.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::{
    access::Caller,
    call::{Arrival, TIMEOUT_HEADER, parse_timeout},
    error::Error,
    shutdown::Shutdown,
    status::{deadline_exceeded, reason_of},
};

/// How much earlier than tonic's timeout a call is answered: a tenth of the patience, between these.
const HEAD_START_MIN: Duration = Duration::from_millis(2);
const HEAD_START_MAX: Duration = Duration::from_millis(20);

/// Puts [`CallService`] around the routes.
#[derive(Debug, Clone)]
pub(crate) struct CallLayer {
    shutdown: Shutdown,
}

/// The routes, with what surrounds every call.
#[derive(Debug, Clone)]
pub(crate) struct CallService<S> {
    inner: S,
    shutdown: Shutdown,
}

impl CallLayer {
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self { shutdown }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallService { inner, shutdown: self.shutdown.clone() }
    }
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let begun = Instant::now();
        let method = request.uri().path().to_owned();
        let caller = match Caller::of(request.headers()) {
            Ok(caller) => caller,
            Err(error) => return Box::pin(async move { Ok(answer(error.into())) }),
        };
        let patience = patience(request.headers());
        let deadline = patience.and_then(|patience| begun.checked_add(patience));
        let answer_by =
            patience.and_then(|patience| begun.checked_add(patience.saturating_sub(head_start(patience))));
        let span = tracing::info_span!("call", method = %method);
        request.extensions_mut().insert(Arrival { method, caller, deadline });

        // The clone is not ready; the one that was asked is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let shutdown = self.shutdown.clone();
        let work = async move {
            let response = tokio::select! {
                response = inner.call(request) => response?,
                () = until(answer_by) => answer(deadline_exceeded()),
                () = shutdown.killed() => answer(Error::Unavailable("the server has ended".into()).into()),
            };
            log(&response, begun.elapsed());
            Ok(response)
        };
        Box::pin(work.instrument(span))
    }
}

fn patience(headers: &HeaderMap) -> Option<Duration> {
    headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok()).and_then(parse_timeout)
}

fn head_start(patience: Duration) -> Duration {
    (patience / 10).clamp(HEAD_START_MIN, HEAD_START_MAX)
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn answer(status: Status) -> Response<Body> {
    status.into_http()
}

/// One line for each call that failed; calls that went well are for debugging. Never what the messages held.
fn log(response: &Response<Body>, duration: Duration) {
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // A failure before the first message comes without a body: its status is in the headers.
    let failed = response.headers().get(Status::GRPC_STATUS).is_some_and(|code| code != "0");
    if !failed {
        tracing::debug!(duration_ms, "answered");
        return;
    }
    let status = Status::from_header_map(response.headers()).unwrap_or_else(|| Status::unknown(""));
    let reason = reason_of(&status).unwrap_or_default();
    match status.code() {
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::error!(code = ?status.code(), reason, duration_ms, "failed");
        }
        Code::Unavailable | Code::DeadlineExceeded => {
            tracing::warn!(code = ?status.code(), reason, duration_ms, "failed");
        }
        code => tracing::info!(?code, reason, duration_ms, "refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_start_leaves_most_of_the_patience() {
        for millis in [10, 50, 1000, 60_000] {
            let patience = Duration::from_millis(millis);
            let start = head_start(patience);
            assert!(start >= HEAD_START_MIN && start <= HEAD_START_MAX && start * 2 < patience);
        }
    }
}
