//! Spans: one for each call that is answered, each batch of events that is applied, each stream that is opened, each
//! piece of a service's own work. What: `Span` is one that may be off; it is handed along as a value, and a future
//! that runs `Span::around` has it as the current one, which log lines and outgoing calls read. Why no `tracing`
//! spans: whether a span is recorded must not hang on what is logged.
//!
//! A trace goes on through the event log: what a call emits carries the traceparent of its own span, and the span of
//! the batch that applies it links there. To trace one more thing, add a constructor here.

use std::{collections::HashSet, future::Future, sync::OnceLock};

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{
        FutureExt as _, Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _,
        Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use tonic::metadata::{MetadataKey, MetadataMap};
use tracing::Instrument as _;

/// The metadata that carries the W3C trace context.
pub const TRACE_HEADER: &str = "traceparent";

/// The most producers that the span of one batch links to; a batch of more names the first of them.
pub const LINKS_MAX: usize = 64;
/// The name of what makes the spans.
const SCOPE: &str = "shipei";

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// From now on spans are made.
pub(super) fn install(provider: &SdkTracerProvider) {
    // Logging can begin only once in a process, so this is the first time.
    let _ = TRACER.set(provider.tracer(SCOPE));
}

/// The span in whose course this is run; none when tracing is off.
pub fn current() -> Option<SpanContext> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.clone())
    })
}

/// The W3C traceparent of the current span; empty without one.
pub fn traceparent() -> String {
    current().map(|span| to_traceparent(&span)).unwrap_or_default()
}

/// Puts the current span, if there is one, into the metadata of a call that goes out.
pub fn carry(metadata: &mut MetadataMap) {
    if TRACER.get().is_some() {
        TraceContextPropagator::new().inject(&mut Outgoing(metadata));
    }
}

/// What a task that is spawned now runs, in the span that is current now.
pub(crate) fn within_current<F: Future>(work: F) -> impl Future<Output = F::Output> {
    // A task's work may be large, and is handed through several futures.
    let (course, work) = (Course::current(), Box::pin(work));
    async move { course.around(work).await }
}

/// In whose course something is done, carried to another task that does it.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// What log lines stand in.
    line: tracing::Span,
    context: Option<Context>,
}

impl Course {
    /// That of who asks.
    pub(crate) fn current() -> Self {
        let context = TRACER.get().map(|_| Context::current()).filter(|context| context.has_active_span());
        Self { line: tracing::Span::current(), context }
    }

    /// Runs a future in it.
    pub(crate) async fn around<F: Future>(&self, work: F) -> F::Output {
        let work = work.instrument(self.line.clone());
        match &self.context {
            Some(context) => work.with_context(context.clone()).await,
            None => work.await,
        }
    }
}

/// A span that ends when it is dropped; nothing when tracing is off.
#[derive(Debug, Default)]
pub(crate) struct Span {
    context: Option<Context>,
}

impl Span {
    /// The span of a call that is answered here; the child of the one that the caller names.
    pub(crate) fn server(name: &str, headers: &HeaderMap) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::default() };
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(headers));
        Self::start(tracer, SpanBuilder::from_name(name.to_owned()).with_kind(SpanKind::Server), &parent)
    }

    /// The span of a call that goes out; the child of the current one.
    pub(crate) fn client(name: &'static str) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::default() };
        Self::start(tracer, SpanBuilder::from_name(name).with_kind(SpanKind::Client), &Context::current())
    }

    /// The span of a service's own work.
    pub(crate) fn internal(name: &str) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::default() };
        Self::start(tracer, SpanBuilder::from_name(name.to_owned()), &Context::current())
    }

    /// The span of a batch of `count` events of `source` that `consumer` applies; it links to the spans that their
    /// traceparents name, each once, up to [`LINKS_MAX`]. It has no parent, since the events have many.
    pub(crate) fn consumer<'a>(
        consumer: &'static str,
        source: &'static str,
        count: usize,
        traceparents: impl Iterator<Item = &'a str>,
    ) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::default() };
        let builder = SpanBuilder::from_name(format!("process {source}"))
            .with_kind(SpanKind::Consumer)
            .with_links(links_to(traceparents));
        let span = Self::start(tracer, builder, &Context::new());
        span.set("messaging.system", SCOPE);
        span.set("messaging.operation.type", "process");
        span.set("messaging.destination.name", source);
        span.set("messaging.consumer.group.name", consumer);
        span.set("messaging.batch.message_count", i64::try_from(count).unwrap_or(i64::MAX));
        span
    }

    fn start(tracer: &SdkTracer, builder: SpanBuilder, parent: &Context) -> Self {
        let span = tracer.build_with_context(builder, parent);
        // Spans that begin while the process ends are none.
        let is_valid = span.span_context().is_valid();
        Self { context: is_valid.then(|| Context::new().with_span(span)) }
    }

    /// Its W3C traceparent; empty when it is off.
    pub(crate) fn traceparent(&self) -> String {
        let span = self.context.as_ref().map(|context| to_traceparent(context.span().span_context()));
        span.unwrap_or_default()
    }

    /// Says something of it; nothing private.
    pub(crate) fn set(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(context) = &self.context
            && context.span().is_recording()
        {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// What it stands for failed, by no fault of a caller.
    pub(crate) fn fail(&self, reason: &str) {
        if let Some(context) = &self.context {
            context.span().set_status(Status::error(reason.to_owned()));
        }
    }

    /// Runs a future with it as the current span.
    pub(crate) async fn around<F: Future>(&self, work: F) -> F::Output {
        match &self.context {
            Some(context) => work.with_context(context.clone()).await,
            None => work.await,
        }
    }

    /// Runs a closure with it as the current span.
    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let _current = self.context.clone().map(Context::attach);
        work()
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // Not left to the context: tasks that were spawned meanwhile may hold it longer.
        if let Some(context) = &self.context {
            context.span().end();
        }
    }
}

fn to_traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
}

/// Links to the spans that are kept somewhere, each once. One that is not kept leads nowhere.
fn links_to<'a>(traceparents: impl Iterator<Item = &'a str>) -> Vec<Link> {
    let mut seen = HashSet::new();
    let mut links = Vec::new();
    for traceparent in traceparents {
        if links.len() == LINKS_MAX {
            break;
        }
        // By far the most are not kept, and are passed over by a look at their last bit.
        if !may_be_kept(traceparent) || !seen.insert(traceparent) {
            continue;
        }
        let context =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Named(traceparent));
        let span = context.span().span_context().clone();
        if span.is_sampled() {
            links.push(Link::new(span, Vec::new(), 0));
        }
    }
    links
}

/// Is the bit set that says "kept", the last of the flags? The rest is not looked at.
fn may_be_kept(traceparent: &str) -> bool {
    let last = traceparent.chars().next_back().and_then(|digit| digit.to_digit(16));
    last.is_some_and(|digit| digit & 1 == 1)
}

/// The headers of a call that comes in.
struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The metadata of a call that goes out.
struct Outgoing<'a>(&'a mut MetadataMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A trace without a state has none, not an empty one.
        if !value.is_empty()
            && let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), value.parse())
        {
            self.0.insert(key, value);
        }
    }
}

/// A traceparent by itself.
struct Named<'a>(&'a str);

impl Extractor for Named<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACE_HEADER).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACE_HEADER]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traceparent_of(number: usize, flags: &str) -> String {
        format!("00-{number:032x}-{number:016x}-{flags}")
    }

    #[test]
    fn links_are_to_each_kept_span_once_and_bounded() {
        let texts = [
            traceparent_of(1, "01"),
            traceparent_of(1, "01"),
            traceparent_of(2, "00"),
            String::new(),
            "nonsense".to_owned(),
            traceparent_of(3, "01"),
        ];
        let links = links_to(texts.iter().map(String::as_str));
        let linked: Vec<String> = links.iter().map(|link| to_traceparent(&link.span_context)).collect();
        assert_eq!(linked, [traceparent_of(1, "01"), traceparent_of(3, "01")]);

        let texts: Vec<String> = (1..=LINKS_MAX + 9).map(|number| traceparent_of(number, "01")).collect();
        assert_eq!(links_to(texts.iter().map(String::as_str)).len(), LINKS_MAX);
    }

    #[tokio::test]
    async fn without_a_collector_there_are_no_spans() {
        let span = Span::server("a.B/C", &HeaderMap::new());
        assert!(span.context.is_none() && span.traceparent().is_empty());
        assert_eq!(span.around(async { traceparent() }).await, "");
        let mut metadata = MetadataMap::new();
        span.in_scope(|| carry(&mut metadata));
        assert!(metadata.is_empty());
        assert!(
            Span::consumer("a", "b", 1, std::iter::once(traceparent_of(1, "01").as_str())).context.is_none()
        );
    }

    #[test]
    fn traceparent_goes_out_as_it_came_in() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", traceparent_of(5, "01").parse().unwrap());
        headers.insert("tracestate", "vendor=1".parse().unwrap());
        let context =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(&headers));
        let mut metadata = MetadataMap::new();
        TraceContextPropagator::new().inject_context(&context, &mut Outgoing(&mut metadata));
        assert_eq!(metadata.get("traceparent").unwrap(), traceparent_of(5, "01").as_str());
        assert_eq!(metadata.get("tracestate").unwrap(), "vendor=1");
    }
}
