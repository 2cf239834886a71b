//! Which traces are kept. A call follows its caller's decision; one without a caller's trace is kept by the share below,
//! or as the standard variables `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say. A consumer of events has no
//! parent but links: its span is kept when one of the calls that it links to is, or else a way through the event log
//! would break at the first log.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{Config, Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// The standard variable; what it can say is the SDK's.
const SAMPLER_VARIABLE: &str = "OTEL_TRACES_SAMPLER";
/// The share of traces that begin here and are kept, when nobody says otherwise: a province's 10,000 calls a second are
/// 100 spans then. Faults and durations of all calls are in the metrics.
const SHARE_DEFAULT: f64 = 0.01;

/// The sampler of a process.
pub(super) fn sampler() -> LinkBased {
    let inner = match std::env::var_os(SAMPLER_VARIABLE) {
        // The SDK reads the variables there.
        Some(_) => Config::default().sampler,
        None => Box::new(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(SHARE_DEFAULT)))),
    };
    LinkBased { inner }
}

/// Keeps what links to something kept; leaves the rest to another sampler.
#[derive(Debug, Clone)]
pub(super) struct LinkBased {
    inner: Box<dyn ShouldSample>,
}

impl ShouldSample for LinkBased {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        if !has_parent && links.iter().any(|link| link.span_context.is_sampled()) {
            return SamplingResult {
                decision: SamplingDecision::RecordAndSample,
                attributes: Vec::new(),
                trace_state: TraceState::NONE,
            };
        }
        self.inner.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    fn span(flags: TraceFlags) -> SpanContext {
        let (trace, id) = (TraceId::from_bytes([7; 16]), SpanId::from_bytes([7; 8]));
        SpanContext::new(trace, id, flags, true, TraceState::NONE)
    }

    fn decide(inner: Sampler, parent: Option<TraceFlags>, link: Option<TraceFlags>) -> SamplingDecision {
        let parent = parent.map(|flags| Context::new().with_remote_span_context(span(flags)));
        let links: Vec<Link> = link.map(|flags| Link::new(span(flags), Vec::new(), 0)).into_iter().collect();
        let sampler = LinkBased { inner: Box::new(inner) };
        let trace = TraceId::from_bytes([9; 16]);
        sampler.should_sample(parent.as_ref(), trace, "x", &SpanKind::Consumer, &[], &links).decision
    }

    #[test]
    fn consumer_is_kept_when_a_producer_is() {
        let by_parent = || Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        let (kept, dropped) = (Some(TraceFlags::SAMPLED), Some(TraceFlags::NOT_SAMPLED));
        assert_eq!(decide(by_parent(), None, kept), SamplingDecision::RecordAndSample);
        assert_eq!(decide(by_parent(), None, dropped), SamplingDecision::Drop);
        assert_eq!(decide(by_parent(), None, None), SamplingDecision::Drop);
        assert_eq!(decide(Sampler::AlwaysOn, None, dropped), SamplingDecision::RecordAndSample);
    }

    #[test]
    fn parent_decides_where_there_is_one() {
        let by_parent = || Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        let (kept, dropped) = (Some(TraceFlags::SAMPLED), Some(TraceFlags::NOT_SAMPLED));
        assert_eq!(decide(by_parent(), kept, None), SamplingDecision::RecordAndSample);
        assert_eq!(decide(by_parent(), dropped, kept), SamplingDecision::Drop);
    }

    #[test]
    fn share_by_default_is_one_in_a_hundred() {
        const TRACES: u64 = 10_000;
        let sampler = Sampler::TraceIdRatioBased(SHARE_DEFAULT);
        let kept = (0..TRACES).filter(|number| {
            let trace = TraceId::from_bytes(u128::from(number * (u64::MAX / TRACES)).to_be_bytes());
            let decided = sampler.should_sample(None, trace, "x", &SpanKind::Server, &[], &[]);
            decided.decision == SamplingDecision::RecordAndSample
        });
        let kept = kept.count();
        assert!((95..=105).contains(&kept), "{kept}");
    }
}
