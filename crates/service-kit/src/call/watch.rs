//! What is told of one call when it is over: one log line, one measurement, one span. What: a [`Watch`] begins with the
//! call and ends with the status of its answer, which stands in the headers when nothing was answered before, else in
//! the trailers behind the last message; a caller that goes away ends it as CANCELLED. Why around the body: a stream
//! is over when its last message is, not when it is opened.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use prost_reflect::DescriptorPool;
use shipei_contracts::common::v1::ErrorReason;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use crate::{
    answer::status::{reason_name, reason_of},
    call::{body::Kind, fault},
    telemetry::{CALL_SPAN, metrics, traces::Span},
};

/// The RPCs of a server that are measured and traced, by path: its own. What probes and tools call (health,
/// reflection) is not, and a path that a caller made up makes no new time series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Methods {
    by_path: Arc<HashMap<String, Method>>,
}

#[derive(Debug)]
struct Method {
    /// As spans are called, `package.Service/Method`.
    name: String,
    service: Arc<str>,
    method: Arc<str>,
    kind: Kind,
    /// Whether it has many messages, of either side.
    is_stream: bool,
}

/// One call that is being answered.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: Instant,
    /// What log lines stand in.
    line: tracing::Span,
    span: Span,
    measured: Option<metrics::Call>,
    is_over: bool,
}

/// The messages of an answer, until the last.
struct WatchedBody {
    body: Body,
    watch: Watch,
}

impl Methods {
    /// The RPCs of these gRPC services, by their full names.
    pub(crate) fn of(pool: &DescriptorPool, services: &[&str]) -> Self {
        let mut by_path = HashMap::new();
        for service in services.iter().filter_map(|name| pool.get_service_by_name(name)) {
            let service_name: Arc<str> = service.full_name().into();
            for method in service.methods() {
                let name = format!("{service_name}/{}", method.name());
                let path = format!("/{name}");
                let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
                    (false, _) => Kind::Unary,
                    (true, false) => Kind::Gathered,
                    (true, true) => Kind::Streamed,
                };
                let is_stream = method.is_client_streaming() || method.is_server_streaming();
                let (service, method) = (Arc::clone(&service_name), method.name().into());
                by_path.insert(path, Method { name, service, method, kind, is_stream });
            }
        }
        Self { by_path: Arc::new(by_path) }
    }

    /// Whether a call of a path is a stream, of either side; what is not known (reflection, health) is none.
    pub(crate) fn is_stream(&self, path: &str) -> bool {
        self.by_path.get(path).is_some_and(|method| method.is_stream)
    }

    /// How the messages of a path come; of what is not known (reflection, health) one by one.
    pub(crate) fn kind(&self, path: &str) -> Kind {
        self.by_path.get(path).map_or(Kind::Streamed, |method| method.kind)
    }
}

/// How much of a path is logged, bytes; every RPC of the suite has a shorter one.
const PATH_BYTES_LOGGED_MAX: usize = 128;

impl Watch {
    /// A call of this path has come in.
    pub(crate) fn begin(methods: &Methods, path: &str, headers: &HeaderMap) -> Self {
        // At the level of an error: a line of any level says which call it belongs to. A path may be as long as a caller
        // likes.
        let line =
            tracing::error_span!(CALL_SPAN, method = path.get(..PATH_BYTES_LOGGED_MAX).unwrap_or(path));
        let (mut span, mut measured) = (Span::default(), None);
        if let Some(method) = methods.by_path.get(path) {
            measured = metrics::Call::begin(&method.service, &method.method);
            span = Span::server(&method.name, headers);
            span.set("rpc.system", "grpc");
            span.set("rpc.service", Arc::clone(&method.service));
            span.set("rpc.method", Arc::clone(&method.method));
        }
        Self { begun: Instant::now(), line, span, measured, is_over: false }
    }

    /// When it came in.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// What its log lines stand in.
    pub(crate) fn line(&self) -> tracing::Span {
        self.line.clone()
    }

    /// Its span.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Sees the answer to its end.
    pub(crate) fn answered(mut self, mut response: Response<Body>) -> Response<Body> {
        fault::reword(response.headers_mut());
        if response.headers().contains_key(Status::GRPC_STATUS) {
            self.end_by(response.headers());
            return response;
        }
        response.map(|body| Body::new(WatchedBody { body, watch: self }))
    }

    /// It ends with the status that stands in these headers or trailers.
    fn end_by(&mut self, headers: &HeaderMap) {
        if headers.get(Status::GRPC_STATUS).is_some_and(|code| code == "0") {
            return self.end(Code::Ok, "");
        }
        let status = Status::from_header_map(headers).unwrap_or_else(|| Status::unknown(""));
        self.end(status.code(), &reason_of(&status).unwrap_or_default());
    }

    fn end(&mut self, code: Code, reason: &str) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let duration = self.begun.elapsed();
        if let Some(measured) = &self.measured {
            measured.end(code, reason, duration);
        }
        self.span.set("rpc.grpc.status_code", i64::from(i32::from(code)));
        if !reason.is_empty() {
            self.span.set("shipei.reason", reason.to_owned());
        }
        if is_fault(code) && !is_orderly_end(reason) {
            self.span.fail(if reason.is_empty() { code.description() } else { reason });
        }
        self.within(|| log(code, reason, duration));
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        self.line.in_scope(|| self.span.in_scope(work))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Code::Cancelled, "");
    }
}

impl HttpBody for WatchedBody {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self { body, watch } = self.get_mut();
        let mut frame = ready!(watch.within(|| Pin::new(body).poll_frame(context)));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            fault::reword(trailers);
        }
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    watch.end_by(trailers);
                }
            }
            Some(Err(status)) => watch.end(status.code(), &reason_of(status).unwrap_or_default()),
            None => watch.end(Code::Unknown, ""),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Is it the service's own failure, and no answer to what the caller did?
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

/// Did a stream end as it does now and then, with nothing wrong?
fn is_orderly_end(reason: &str) -> bool {
    reason == reason_name(ErrorReason::StreamEnded)
}

/// One line for each call that failed; calls that went well are for debugging. Never what the messages held.
fn log(code: Code, reason: &str, duration: Duration) {
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match code {
        Code::Ok => tracing::debug!(duration_ms, "answered"),
        _ if is_orderly_end(reason) => tracing::debug!(duration_ms, "the stream was ended"),
        Code::Cancelled => tracing::debug!(duration_ms, "the caller went away"),
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::error!(?code, reason, duration_ms, "failed");
        }
        Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(?code, reason, duration_ms, "failed"),
        _ => tracing::info!(?code, reason, duration_ms, "refused"),
    }
}

#[cfg(test)]
mod tests {
    use shipei_contracts::event::v1::event_feed_server::SERVICE_NAME;

    use super::*;
    use crate::descriptors;

    #[test]
    fn own_methods_are_known_by_path_and_others_are_not() {
        let methods = Methods::of(descriptors::pool(), &[SERVICE_NAME]);
        let known = &methods.by_path["/shipei.event.v1.EventFeed/Subscribe"];
        assert_eq!(known.name, "shipei.event.v1.EventFeed/Subscribe");
        assert_eq!((&*known.service, &*known.method), ("shipei.event.v1.EventFeed", "Subscribe"));
        for path in ["/grpc.health.v1.Health/Check", "/shipei.event.v1.EventFeed/Made", ""] {
            assert!(!methods.by_path.contains_key(path), "{path}");
        }
    }

    #[test]
    fn answer_with_its_status_in_the_headers_is_over_at_once() {
        let watch = Watch::begin(&Methods::default(), "/a.B/C", &HeaderMap::new());
        let response = watch.answered(Status::not_found("").into_http());
        assert_eq!(response.headers()["grpc-status"], "5");
    }

    #[tokio::test]
    async fn answer_is_over_with_its_trailers() {
        let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, "13".parse().unwrap())]);
        let body = Body::new(Once(Some(trailers)));
        let watch = Watch::begin(&Methods::default(), "/a.B/C", &HeaderMap::new());
        let mut watched = WatchedBody { body, watch };
        assert!(!watched.watch.is_over);
        let frame = std::future::poll_fn(|context| Pin::new(&mut watched).poll_frame(context)).await;
        assert!(frame.unwrap().unwrap().is_trailers());
        assert!(watched.watch.is_over);
    }

    /// A body of nothing but trailers.
    struct Once(Option<HeaderMap>);

    impl HttpBody for Once {
        type Data = <Body as HttpBody>::Data;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
            Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
        }
    }
}
