//! What surrounds every call: who calls and until when, the deadline, the end of the process, and what is told of it
//! (`watch.rs`). Who calls is found out before anything of the call is read: nothing is kept for whom nobody knows.
//! Why the deadline is here: tonic's own timeout answers CANCELLED, and clients must see DEADLINE_EXCEEDED, so this
//! layer is a little quicker.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use shipei_contracts::common::v1::ErrorReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::{
    answer::{
        error::{Error, Refusal},
        status::{deadline_exceeded, overloaded},
        words::{Language, said_in},
    },
    call::{
        access::Policies,
        at_once::{CallPlace, CallerLimits, UnderWay},
        body::{BoundedBody, Held, Kind, Times},
        budget::Budget,
        denials::{Denials, is_denial},
        ending, fault,
        identify::{Ending, Identification, Identified, certificates_of},
        metadata::{Arrival, TIMEOUT_HEADER, parse_timeout, until},
        proxies::TrustedProxies,
        watch::{Methods, Watch},
    },
    identity::caller::CallerKind,
    shutdown::Shutdown,
};

/// How much earlier than tonic's timeout a call is answered: a tenth of the patience, between these.
const HEAD_START_MIN: Duration = Duration::from_millis(2);
const HEAD_START_MAX: Duration = Duration::from_millis(20);

/// The most requests of many messages and one answer that a process gathers at once: rosters.
const GATHERED_CALLS_MAX: usize = 4;

/// What all calls of a process share.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) budget: Budget,
    pub(crate) message_bytes_max: usize,
    gathered: Arc<Semaphore>,
    under_way: UnderWay,
}

impl Bounds {
    pub(crate) fn new(budget: Budget, message_bytes_max: usize, callers: CallerLimits) -> Self {
        let gathered = Arc::new(Semaphore::new(GATHERED_CALLS_MAX));
        Self { budget, message_bytes_max, gathered, under_way: UnderWay::new(callers) }
    }

    /// The place of a call among those that are gathered, if it is one; None when there is none left.
    fn gathering(&self, kind: Kind) -> Option<Option<OwnedSemaphorePermit>> {
        match kind {
            Kind::Gathered => Some(Some(self.gathered.clone().try_acquire_owned().ok()?)),
            Kind::Unary | Kind::Streamed => Some(None),
        }
    }
}

/// Puts [`CallService`] around the routes.
#[derive(Debug, Clone)]
pub(crate) struct CallLayer {
    methods: Methods,
    bounds: Bounds,
    policies: Policies,
    identification: Identification,
    proxies: TrustedProxies,
    denials: Denials,
    shutdown: Shutdown,
}

/// The routes, with what surrounds every call.
#[derive(Debug, Clone)]
pub(crate) struct CallService<S> {
    inner: S,
    methods: Methods,
    bounds: Bounds,
    policies: Policies,
    identification: Identification,
    proxies: TrustedProxies,
    denials: Denials,
    shutdown: Shutdown,
}

impl CallLayer {
    pub(crate) fn new(
        methods: Methods,
        policies: Policies,
        bounds: Bounds,
        identification: Identification,
        proxies: TrustedProxies,
        denials: Denials,
        shutdown: Shutdown,
    ) -> Self {
        Self { methods, bounds, policies, identification, proxies, denials, shutdown }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { methods, bounds, policies, identification, proxies, denials, shutdown } = self.clone();
        CallService { inner, methods, bounds, policies, identification, proxies, denials, shutdown }
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

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().to_owned();
        let watch = Watch::begin(&self.methods, &method, request.headers());
        let begun = watch.begun();
        let (kind, is_stream) = (self.methods.kind(&method), self.methods.is_stream(&method));
        if let Some(status) = fault::of_head(&request) {
            return Box::pin(async move { Ok(watch.answered(answer(status))) });
        }
        let patience = patience(request.headers());
        let deadline = patience.and_then(|patience| begun.checked_add(patience));
        let answer_by =
            patience.and_then(|patience| begun.checked_add(patience.saturating_sub(head_start(patience))));
        let line = watch.line();
        let language = Language::of(request.headers());
        let trace = watch.span().traceparent();
        let policy = self.policies.of(&method).cloned();
        let address = self.proxies.address_of(&request);

        // The clone is not ready; the one that was asked is.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let shutdown = self.shutdown.clone();
        let (identification, bounds) = (self.identification.clone(), self.bounds.clone());
        let denials = self.denials.clone();
        let work = async move {
            let answering = async {
                let certificates = certificates_of(&request);
                let identifying = identification.identify(request.headers(), certificates);
                let Identified { caller, ending } = match identifying.await {
                    Ok(identified) => identified,
                    Err(error) => return Ok(answer(error.into())),
                };
                let is_for_some = policy.as_ref().is_some_and(|policy| !policy.everybody);
                if is_for_some && caller.kind == CallerKind::Anonymous {
                    return Ok(answer(Refusal::new(ErrorReason::TokenMissing).into()));
                }
                let place = match bounds.under_way.enter(&caller, is_stream) {
                    Ok(place) => place,
                    Err(status) => return Ok(answer(*status)),
                };
                let held = ending.map(|ending| (ending, place));
                let arrival = Arc::new(Arrival { method, caller, address, deadline, trace, policy });
                let response = carry_out(inner, request, Arc::clone(&arrival), kind, &bounds, held).await;
                if let Ok(response) = &response
                    && is_denial(response.headers())
                {
                    denials.note(&arrival);
                }
                response
            };
            let answering = async {
                tokio::select! {
                    response = said_in(language, answering) => response,
                    () = until(answer_by) => Ok(answer(deadline_exceeded())),
                    () = shutdown.killed() => Ok(answer(Error::Unavailable("the server has ended".into()).into())),
                }
            };
            let response = watch.span().around(answering).await?;
            Ok(watch.answered(response))
        };
        Box::pin(work.instrument(line))
    }
}

/// Hands a call to the routes, within what a process may hold and as long as its token holds.
async fn carry_out<S>(
    mut inner: S,
    mut request: Request<Body>,
    arrival: Arc<Arrival>,
    kind: Kind,
    bounds: &Bounds,
    token: Option<(Ending, Option<CallPlace>)>,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let Some(gathering) = bounds.gathering(kind) else { return Ok(answer(overloaded())) };
    request.extensions_mut().insert(arrival);
    let held = Held::new(&bounds.budget);
    let bytes_max = bounds.message_bytes_max;
    let mut request = request
        .map(|body| Body::new(BoundedBody::new(body, kind, bytes_max, Times::default(), held.clone())));
    request.extensions_mut().insert(bounds.budget.clone());
    let calling = inner.call(request);
    let Some((ending, place)) = token else {
        let response = calling.await;
        drop((held, gathering));
        return response;
    };
    // A stream that the caller sends may go on for long before it is answered.
    let response = match kind {
        Kind::Gathered => {
            let ends = ending.clone();
            tokio::select! {
                response = calling => response?,
                () = ending.clone().comes() => answer(ends.error().into()),
            }
        }
        Kind::Unary | Kind::Streamed => calling.await?,
    };
    drop((held, gathering));
    Ok(ending::bounded(response, ending, place))
}

fn patience(headers: &HeaderMap) -> Option<Duration> {
    headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok()).and_then(parse_timeout)
}

fn head_start(patience: Duration) -> Duration {
    (patience / 10).clamp(HEAD_START_MIN, HEAD_START_MAX)
}

fn answer(status: Status) -> Response<Body> {
    status.into_http()
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
