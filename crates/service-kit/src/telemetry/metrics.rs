//! What is counted and measured of every service, and how a service adds a number of its own ([`Counter`]). The names
//! are a contract with `deploy/observability` (alarms, dashboards) and stand in `docs/operations.md`.
//!
//! Instruments are made once. Each function is one look at an empty cell when there is no collector. What has a present
//! value (lag, leases, connections) is kept here and told when metrics are gathered, so that what an instance no longer
//! has is no longer told: a gauge of OpenTelemetry would repeat its last value for ever.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use opentelemetry::{
    KeyValue, StringValue,
    metrics::{self, AsyncInstrument, Histogram, Meter, MeterProvider as _, UpDownCounter},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use shipei_store::Database;
use tonic::Code;

use super::{Process, process};
use crate::clock;

/// The name of what measures.
const SCOPE: &str = "shipei";
/// The upper bounds of durations, ms: from a read in memory to the longest deadlines.
const DURATION_BOUNDS: [f64; 15] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0,
    60_000.0,
];
/// The upper bounds of batches, from one to the largest message.
const SIZE_BOUNDS: [f64; 14] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0];

static MEASURES: OnceLock<Measures> = OnceLock::new();

/// From now on things are measured.
pub(super) fn install(provider: &SdkMeterProvider, of: &Process<'_>) {
    let meter = provider.meter(SCOPE);
    process::watch(&meter, of.version, &of.services.join(","));
    // Logging can begin only once in a process, so this is the first time.
    let _ = MEASURES.set(Measures::new(meter));
}

/// Is anything measured? What it costs to find out what to tell can be saved otherwise.
pub fn is_on() -> bool {
    MEASURES.get().is_some()
}

/// How many events of one partition of `source` are not yet applied by `consumer`. Say [`lag_forgotten`] when this
/// instance no longer follows the partition.
pub fn lag(consumer: &'static str, source: &'static str, partition: u32, events: u64) {
    if let Some(measures) = MEASURES.get() {
        locked(&measures.present.lags).insert((consumer, source, partition), events);
    }
}

/// This instance no longer follows the partition for `consumer`: its lag is another one's to tell.
pub fn lag_forgotten(consumer: &'static str, source: &'static str, partition: u32) {
    if let Some(measures) = MEASURES.get() {
        locked(&measures.present.lags).remove(&(consumer, source, partition));
    }
}

/// How many leases of `service` this instance holds.
pub fn leases_held(service: &'static str, instance: &str, count: u64) {
    if let Some(measures) = MEASURES.get() {
        locked(&measures.present.leases).insert((service, instance.to_owned()), count);
    }
}

/// How many things were done in one transaction; `what` is one of a few fixed names, e.g. `events applied`.
pub fn batch_size(what: &'static str, n: usize) {
    if let Some(measures) = MEASURES.get() {
        measures.batch_size.record(u64::try_from(n).unwrap_or(u64::MAX), &[KeyValue::new("what", what)]);
    }
}

/// So many times Redis did not do what it was asked; `what` is one of a few fixed names, e.g. `telling a wake`.
pub fn redis_failed(what: &'static str, times: u64) {
    if let Some(measures) = MEASURES.get() {
        measures.redis_failures.add(times, &[KeyValue::new("what", what)]);
    }
}

/// A transaction of `service` was run again, `times` times, because the database asked for it.
pub(crate) fn retried(service: &'static str, times: u64) {
    if let Some(measures) = MEASURES.get() {
        measures.retries.add(times, &[KeyValue::new("service", service)]);
    }
}

/// A batch of events of `source` was applied by `consumer` within this time.
pub(crate) fn applied(consumer: &'static str, source: &'static str, duration: Duration) {
    if let Some(measures) = MEASURES.get() {
        let labels = [KeyValue::new("consumer", consumer), KeyValue::new("source", source)];
        measures.apply_duration.record(milliseconds(duration), &labels);
    }
}

/// Tells the connections of this service's database, as long as the process runs.
pub(crate) fn watch_pool(service: &'static str, database: &Database) {
    if let Some(measures) = MEASURES.get() {
        locked(&measures.present.pools).insert(service, database.clone());
        // From the beginning, at 0: what never happened is no missing metric.
        measures.retries.add(0, &[KeyValue::new("service", service)]);
    }
}

/// Tells what is kept free on the disk of this service's database.
pub(crate) fn watch_disk(service: &'static str, reserve: u64) {
    if let Some(measures) = MEASURES.get() {
        locked(&measures.present.disk_reserves).insert(service, reserve);
    }
}

/// A call that was measured from its beginning.
#[derive(Debug)]
pub(crate) struct Call {
    service: StringValue,
    method: StringValue,
}

impl Call {
    /// A call of this RPC has begun. None when nothing is measured.
    pub(crate) fn begin(service: &Arc<str>, method: &Arc<str>) -> Option<Self> {
        let measures = MEASURES.get()?;
        let call = Self { service: Arc::clone(service).into(), method: Arc::clone(method).into() };
        measures.calls_in_flight.add(1, &call.labels());
        Some(call)
    }

    /// It is over; `reason` is empty when nothing was refused.
    pub(crate) fn end(&self, code: Code, reason: &str, duration: Duration) {
        let Some(measures) = MEASURES.get() else { return };
        let [service, method] = self.labels();
        measures.calls_in_flight.add(-1, &[service.clone(), method.clone()]);
        let code = KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(code)));
        let duration = milliseconds(duration);
        if reason.is_empty() {
            measures.call_duration.record(duration, &[service, method, code]);
        } else {
            let reason = KeyValue::new("shipei.reason", reason.to_owned());
            measures.call_duration.record(duration, &[service, method, code, reason]);
        }
    }

    fn labels(&self) -> [KeyValue; 2] {
        [KeyValue::new("rpc.service", self.service.clone()), KeyValue::new("rpc.method", self.method.clone())]
    }
}

/// A number of one service, that only grows: `static SEEN: Counter = Counter::new(NAME, UNIT, MEANING)`.
pub struct Counter {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    instrument: OnceLock<metrics::Counter<u64>>,
}

impl Counter {
    /// A counter by its full name (`shipei.` and words with underscores), unit and meaning.
    pub const fn new(name: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self { name, unit, description, instrument: OnceLock::new() }
    }

    /// Is anybody told? What it costs to find out what to add can be saved otherwise.
    pub fn is_on(&self) -> bool {
        MEASURES.get().is_some()
    }

    /// Adds `n` under these labels (name and value; few values, nothing private).
    pub fn add(&self, n: u64, labels: &[(&'static str, &'static str)]) {
        let Some(measures) = MEASURES.get() else { return };
        let make = || measures.counter(self.name, self.unit, self.description);
        let labels: Vec<KeyValue> = labels.iter().map(|(name, value)| KeyValue::new(*name, *value)).collect();
        self.instrument.get_or_init(make).add(n, &labels);
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Counter").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The instruments, and what they are told from.
#[derive(Debug)]
struct Measures {
    meter: Meter,
    call_duration: Histogram<f64>,
    calls_in_flight: UpDownCounter<i64>,
    batch_size: Histogram<u64>,
    apply_duration: Histogram<f64>,
    retries: metrics::Counter<u64>,
    redis_failures: metrics::Counter<u64>,
    present: Arc<Present>,
}

/// What has a present value.
#[derive(Debug, Default)]
struct Present {
    /// Events by consumer, source and partition.
    lags: Mutex<BTreeMap<(&'static str, &'static str, u32), u64>>,
    /// Leases by service and instance.
    leases: Mutex<BTreeMap<(&'static str, String), u64>>,
    /// Databases by service.
    pools: Mutex<BTreeMap<&'static str, Database>>,
    /// Bytes that are kept free by service.
    disk_reserves: Mutex<BTreeMap<&'static str, u64>>,
}

impl Measures {
    fn new(meter: Meter) -> Self {
        let duration = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("ms").with_description(description);
            histogram.with_boundaries(DURATION_BOUNDS.to_vec()).build()
        };
        let counter = |name, unit, description| count(&meter, name, unit, description);
        let present = Arc::new(Present::default());
        present.watched_by(&meter);
        Self {
            call_duration: duration("rpc.server.duration", "How long calls took; streams from first to last"),
            calls_in_flight: meter
                .i64_up_down_counter("shipei.calls.in_flight")
                .with_unit("{call}")
                .with_description("Calls that are being answered, and streams that are open")
                .build(),
            batch_size: meter
                .u64_histogram("shipei.batch.size")
                .with_description("How many things shared one transaction")
                .with_boundaries(SIZE_BOUNDS.to_vec())
                .build(),
            apply_duration: duration(
                "shipei.event_log.apply.duration",
                "How long applying a batch of events took",
            ),
            retries: counter("shipei.transaction.retries", "{attempt}", "Transactions that were run again"),
            redis_failures: counter(
                "shipei.redis.failures",
                "{failure}",
                "What Redis was asked and did not do",
            ),
            present,
            meter,
        }
    }

    fn counter(
        &self,
        name: &'static str,
        unit: &'static str,
        description: &'static str,
    ) -> metrics::Counter<u64> {
        count(&self.meter, name, unit, description)
    }
}

impl Present {
    fn watched_by(self: &Arc<Self>, meter: &Meter) {
        let present = Arc::clone(self);
        meter
            .u64_observable_gauge("shipei.event_log.lag")
            .with_unit("{event}")
            .with_description("Events that a consumer has yet to apply, by partition")
            .with_callback(move |told| present.tell_lags(told))
            .build();
        let present = Arc::clone(self);
        meter
            .u64_observable_gauge("shipei.lease.held")
            .with_unit("{lease}")
            .with_description("Leases that an instance holds")
            .with_callback(move |told| present.tell_leases(told))
            .build();
        let present = Arc::clone(self);
        meter
            .u64_observable_gauge("shipei.pool.connections")
            .with_unit("{connection}")
            .with_description("Database connections: used, idle, and those that may still be opened")
            .with_callback(move |told| present.tell_pools(told))
            .build();
        let present = Arc::clone(self);
        meter
            .u64_observable_gauge("shipei.disk.free")
            .with_unit("By")
            .with_description("What may still be written to the disk of a database, where that can be told")
            .with_callback(move |told| present.tell_disks(told))
            .build();
        let present = Arc::clone(self);
        meter
            .u64_observable_gauge("shipei.disk.reserve")
            .with_unit("By")
            .with_description("Calls that write are refused when less is free")
            .with_callback(move |told| {
                for (service, bytes) in locked(&present.disk_reserves).iter() {
                    told.observe(*bytes, &[KeyValue::new("service", *service)]);
                }
            })
            .build();
        meter
            .f64_observable_gauge("shipei.clock.step")
            .with_unit("s")
            .with_description(
                "How far the wall clock has jumped away from the steady one, ahead or back (below 0)",
            )
            .with_callback(|told| told.observe(clock::step_seconds(), &[]))
            .build();
    }

    fn tell_lags(&self, told: &dyn AsyncInstrument<u64>) {
        for ((consumer, source, partition), events) in locked(&self.lags).iter() {
            let labels = [
                KeyValue::new("consumer", *consumer),
                KeyValue::new("source", *source),
                KeyValue::new("partition", i64::from(*partition)),
            ];
            told.observe(*events, &labels);
        }
    }

    fn tell_leases(&self, told: &dyn AsyncInstrument<u64>) {
        for ((service, instance), count) in locked(&self.leases).iter() {
            let labels = [KeyValue::new("service", *service), KeyValue::new("instance", instance.clone())];
            told.observe(*count, &labels);
        }
    }

    fn tell_disks(&self, told: &dyn AsyncInstrument<u64>) {
        for (service, database) in locked(&self.pools).iter() {
            if let Some(free) = database.free_bytes() {
                told.observe(free, &[KeyValue::new("service", *service)]);
            }
        }
    }

    fn tell_pools(&self, told: &dyn AsyncInstrument<u64>) {
        for (service, database) in locked(&self.pools).iter() {
            let connections = database.connections();
            for (state, number) in
                [("used", connections.used), ("idle", connections.idle), ("unopened", connections.unopened)]
            {
                let labels = [KeyValue::new("service", *service), KeyValue::new("state", state)];
                told.observe(u64::from(number), &labels);
            }
        }
    }
}

fn count(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
) -> metrics::Counter<u64> {
    meter.u64_counter(name).with_unit(unit).with_description(description).build()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::float_arithmetic, reason = "a measurement for people, no figure of the suite")]
fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry_sdk::{
        error::OTelSdkResult,
        metrics::{
            PeriodicReader, Temporality,
            data::{AggregatedMetrics, MetricData, ResourceMetrics},
            exporter::PushMetricExporter,
        },
    };

    use super::*;

    /// The points of gauges, as text.
    #[derive(Debug, Clone, Default)]
    struct Gauges(Arc<Mutex<Vec<String>>>);

    impl PushMetricExporter for Gauges {
        async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
            let mut seen = Vec::new();
            for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
                let AggregatedMetrics::U64(MetricData::Gauge(gauge)) = metric.data() else { continue };
                for point in gauge.data_points() {
                    let labels = point.attributes().map(|label| format!("{}={}", label.key, label.value));
                    let mut labels: Vec<String> = labels.collect();
                    labels.sort();
                    seen.push(format!("{}{{{}}} {}", metric.name(), labels.join(","), point.value()));
                }
            }
            seen.sort();
            *locked(&self.0) = seen;
            Ok(())
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    #[test]
    fn what_an_instance_no_longer_has_is_no_longer_told() {
        let gauges = Gauges::default();
        let reader = PeriodicReader::builder(gauges.clone()).with_interval(Duration::from_secs(3600)).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let measures = Measures::new(provider.meter("test"));
        let present = &measures.present;
        locked(&present.lags).insert(("reader", "log", 7), 12);
        locked(&present.lags).insert(("reader", "log", 8), 0);
        locked(&present.leases).insert(("reader", "a-1".to_owned()), 2);
        provider.force_flush().unwrap();
        assert_eq!(
            *locked(&gauges.0),
            [
                "shipei.event_log.lag{consumer=reader,partition=7,source=log} 12",
                "shipei.event_log.lag{consumer=reader,partition=8,source=log} 0",
                "shipei.lease.held{instance=a-1,service=reader} 2",
            ]
        );
        locked(&present.lags).remove(&("reader", "log", 7));
        locked(&present.leases).insert(("reader", "a-1".to_owned()), 1);
        provider.force_flush().unwrap();
        assert_eq!(
            *locked(&gauges.0),
            [
                "shipei.event_log.lag{consumer=reader,partition=8,source=log} 0",
                "shipei.lease.held{instance=a-1,service=reader} 1",
            ]
        );
    }

    #[test]
    fn without_a_collector_nothing_is_kept() {
        static COUNTER: Counter = Counter::new("test", "{thing}", "a thing");
        COUNTER.add(1, &[("a", "b")]);
        assert!(!COUNTER.is_on() && COUNTER.instrument.get().is_none());
        assert!(Call::begin(&"a.B".into(), &"C".into()).is_none());
        lag("reader", "log", 1, 1);
        lag_forgotten("reader", "log", 1);
        leases_held("reader", "a-1", 1);
        batch_size("things", 1);
        redis_failed("wake", 1);
    }
}
