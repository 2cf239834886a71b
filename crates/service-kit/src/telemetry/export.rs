//! The way to the collector: OTLP over gRPC, one connection for traces and one for metrics, made when first used and
//! again when broken. Intervals, queues, timeouts and headers follow the standard variables of OpenTelemetry
//! (`OTEL_BSP_*`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_EXPORTER_OTLP_HEADERS`); only the
//! address is ours. That the collector is away is said once, and once more when it is back.

use std::{
    env, fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics, exporter::PushMetricExporter,
    },
    trace::{SdkTracerProvider, SpanData},
};
use tokio::sync::oneshot;
use tonic::transport::{Certificate, ClientTlsConfig};

use super::{error::TelemetryError, sampling};

/// How often metrics are sent when `OTEL_METRIC_EXPORT_INTERVAL` says nothing: as often as Prometheus asks the collector.
const METRICS_INTERVAL: Duration = Duration::from_secs(10);
const METRICS_INTERVAL_VARIABLE: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// The standard variable for a file (PEM) with the authority of a collector's certificate.
const AUTHORITY_VARIABLE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// What gathers and sends.
#[derive(Debug)]
pub(super) struct Providers {
    pub(super) traces: SdkTracerProvider,
    pub(super) metrics: SdkMeterProvider,
}

/// Begins to gather and send.
///
/// # Errors
/// An address or an authority that can't be.
pub(super) fn start(collector: &str, resource: Resource) -> Result<Providers, TelemetryError> {
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Collector(error.to_string());
    let mut spans = SpanExporter::builder().with_tonic().with_endpoint(collector);
    let mut metrics = MetricExporter::builder().with_tonic().with_endpoint(collector);
    if collector.starts_with("https://") {
        let tls = tls()?;
        spans = spans.with_tls_config(tls.clone());
        metrics = metrics.with_tls_config(tls);
    }
    let spans = Reporting::new("traces", spans.build().map_err(|error| failed(&error))?);
    let metrics = Reporting::new("metrics", metrics.build().map_err(|error| failed(&error))?);

    let mut reader = PeriodicReader::builder(metrics);
    if env::var_os(METRICS_INTERVAL_VARIABLE).is_none() {
        reader = reader.with_interval(METRICS_INTERVAL);
    }
    Ok(Providers {
        traces: SdkTracerProvider::builder()
            .with_sampler(sampling::sampler())
            .with_resource(resource.clone())
            .with_batch_exporter(spans)
            .build(),
        metrics: SdkMeterProvider::builder().with_resource(resource).with_reader(reader.build()).build(),
    })
}

/// The authorities that a collector's certificate may come from: the system's, or the one that is named.
fn tls() -> Result<ClientTlsConfig, TelemetryError> {
    let tls = ClientTlsConfig::new();
    let Some(file) = env::var_os(AUTHORITY_VARIABLE).filter(|file| !file.is_empty()) else {
        return Ok(tls.with_native_roots());
    };
    let pem = fs::read(&file)
        .map_err(|error| TelemetryError::Collector(format!("{AUTHORITY_VARIABLE}: {error}")))?;
    Ok(tls.ca_certificate(Certificate::from_pem(pem)))
}

impl Providers {
    /// Sends what is left; false when that took longer than `patience` or failed.
    pub(super) async fn shutdown(self, patience: Duration) -> bool {
        let Self { traces, metrics } = self;
        let traces = aside(move || traces.shutdown_with_timeout(patience));
        let metrics = aside(move || metrics.shutdown_with_timeout(patience));
        let both = async { (traces.await, metrics.await) };
        let ended = tokio::time::timeout(patience, both).await;
        matches!(ended, Ok((Ok(Ok(())), Ok(Ok(())))))
    }
}

/// Runs what blocks on a thread of its own: one that hangs holds neither the runtime nor the end of the process.
fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        // Nobody waits any longer for what came too late.
        let _ = sender.send(work());
    });
    receiver
}

/// An exporter that says when the collector goes and when it comes back.
#[derive(Debug)]
struct Reporting<E> {
    what: &'static str,
    exporter: E,
    failing: AtomicBool,
}

impl<E> Reporting<E> {
    fn new(what: &'static str, exporter: E) -> Self {
        Self { what, exporter, failing: AtomicBool::new(false) }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => {
                tracing::warn!(what = self.what, %error, "the OpenTelemetry collector takes nothing: it is dropped");
            }
            Ok(()) if was_failing => {
                tracing::info!(what = self.what, "the OpenTelemetry collector is back");
            }
            _ => {}
        }
        result
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.report(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reporting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.report(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn shutdown_before_a_silent_collector_is_bounded() {
        // It takes connections and never answers.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let providers = start(&address, Resource::builder_empty().build()).unwrap();
        opentelemetry::metrics::MeterProvider::meter(&providers.metrics, "test")
            .u64_counter("n")
            .build()
            .add(1, &[]);
        let begun = Instant::now();
        assert!(!providers.shutdown(Duration::from_millis(200)).await);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn address_that_cannot_be_is_an_error() {
        let error = start("http://", Resource::builder_empty().build()).unwrap_err();
        assert!(matches!(error, TelemetryError::Collector(_)), "{error}");
        assert!(start("https://localhost:4317", Resource::builder_empty().build()).is_ok());
    }
}
