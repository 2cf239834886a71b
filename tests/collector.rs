//! An OpenTelemetry collector in the test's own process: it takes OTLP over gRPC on loopback and keeps what it got, for
//! tests to wait for. Dropped, it is gone at once, with its connections.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
    resource::v1::Resource,
    trace::v1::Span,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A span, and the labels of the process that it is of.
#[derive(Debug, Clone)]
pub(crate) struct SeenSpan {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) span: Span,
}

/// What was measured last under one name and labels.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) unit: String,
    pub(crate) kind: &'static str,
    /// The value; of a histogram, how many there were.
    pub(crate) value: f64,
}

/// Everything that came.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) spans: Vec<SeenSpan>,
    /// By `name{label=value,..} of SERVICE/INSTANCE`.
    pub(crate) points: BTreeMap<String, Point>,
}

/// A collector that runs.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    sink: Sink,
    runtime: Option<Runtime>,
}

#[derive(Debug, Clone)]
struct Sink {
    seen: Arc<Mutex<Seen>>,
    came: Arc<watch::Sender<u64>>,
}

impl Collector {
    /// Begins to take.
    pub(crate) fn start() -> Result<Self> {
        // A runtime of its own: when that ends, every connection ends.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sink = Sink { seen: Arc::default(), came: Arc::new(watch::Sender::new(0)) };
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (traces, metrics) = (sink.clone(), sink.clone());
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(traces))
                .add_service(MetricsServiceServer::new(metrics))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .expect("a collector that runs");
        });
        Ok(Self { address, sink, runtime: Some(runtime) })
    }

    /// The first thing that `find` finds, when it has come.
    pub(crate) async fn wait_for<T>(&self, what: &str, find: impl Fn(&Seen) -> Option<T>) -> Result<T> {
        let mut came = self.sink.came.subscribe();
        let found = async {
            loop {
                came.borrow_and_update();
                let found = find(&self.sink.seen.lock().unwrap_or_else(PoisonError::into_inner));
                if let Some(found) = found {
                    return found;
                }
                came.changed().await.expect("the collector runs");
            }
        };
        let Ok(found) = tokio::time::timeout(PATIENCE, found).await else {
            bail!("{what} did not come; what came:\n{}", self.describe());
        };
        Ok(found)
    }

    /// The span that `is_it` knows.
    pub(crate) async fn span(&self, what: &str, is_it: impl Fn(&SeenSpan) -> bool) -> Result<SeenSpan> {
        self.wait_for(what, |seen| seen.spans.iter().find(|span| is_it(span)).cloned()).await
    }

    /// The point of this name and these labels (in the order of their names), whose value is at least `least`.
    pub(crate) async fn point(&self, service: &str, series: &str, least: f64) -> Result<Point> {
        let prefix = format!("{series} of {service}/");
        let found = |seen: &Seen| {
            let of_series = seen.points.iter().find(|(name, _)| name.starts_with(&prefix));
            of_series.filter(|(_, point)| point.value >= least).map(|(_, point)| point.clone())
        };
        self.wait_for(&prefix, found).await
    }

    fn describe(&self) -> String {
        let seen = self.sink.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for seen in &seen.spans {
            let _ = writeln!(text, "{} of {}", seen.span.name, seen.resource["service.name"]);
        }
        for (series, point) in &seen.points {
            let _ = writeln!(text, "{series} {}", point.value);
        }
        text
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Sink {
    fn keep(&self, work: impl FnOnce(&mut Seen)) {
        work(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        self.came.send_modify(|count| *count += 1);
    }
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.keep(|seen| {
            for batch in request.into_inner().resource_spans {
                let resource = resource_labels(batch.resource.as_ref());
                for span in batch.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    seen.spans.push(SeenSpan { resource: resource.clone(), span });
                }
            }
        });
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.keep(|seen| {
            for batch in request.into_inner().resource_metrics {
                let resource = resource_labels(batch.resource.as_ref());
                let of = format!("{}/{}", resource["service.name"], resource["service.instance.id"]);
                for metric in batch.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                    for (labels, kind, value) in points(&metric) {
                        let labels: Vec<String> =
                            labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                        let series = format!("{}{{{}}} of {of}", metric.name, labels.join(","));
                        seen.points.insert(series, Point { unit: metric.unit.clone(), kind, value });
                    }
                }
            }
        });
        Ok(Response::new(Default::default()))
    }
}

fn points(metric: &Metric) -> Vec<(BTreeMap<String, String>, &'static str, f64)> {
    let number = |value: &Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsDouble(value)) => *value,
        Some(number_data_point::Value::AsInt(value)) => *value as f64,
        None => f64::NAN,
    };
    let numbers = |points: &[opentelemetry_proto::tonic::metrics::v1::NumberDataPoint], kind| {
        points.iter().map(|point| (labels(&point.attributes), kind, number(&point.value))).collect()
    };
    match &metric.data {
        Some(Data::Gauge(gauge)) => numbers(&gauge.data_points, "gauge"),
        Some(Data::Sum(sum)) if sum.is_monotonic => numbers(&sum.data_points, "counter"),
        Some(Data::Sum(sum)) => numbers(&sum.data_points, "up-down counter"),
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter();
            points.map(|point| (labels(&point.attributes), "histogram", point.count as f64)).collect()
        }
        _ => Vec::new(),
    }
}

fn resource_labels(resource: Option<&Resource>) -> BTreeMap<String, String> {
    labels(resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default())
}

/// Labels or attributes as texts.
pub(crate) fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}
