//! What a process says of itself as a process: which build it is, its CPU time, memory, threads and file descriptors, and
//! how busy the runtime is. Names and units are OpenTelemetry's (`process.*`); what they have no name for is `shipei.*`.
//! All of it is read when metrics are gathered.

use opentelemetry::{KeyValue, metrics::Meter};
use tokio::runtime::Handle;

/// Tells of this process from now on; `version` and `services` stand on `shipei.build.info`.
pub(super) fn watch(meter: &Meter, version: &str, services: &str) {
    let labels =
        [KeyValue::new("version", version.to_owned()), KeyValue::new("services", services.to_owned())];
    meter
        .u64_observable_gauge("shipei.build.info")
        .with_description("Always 1: which version runs, and which services are in the process")
        .with_callback(move |told| told.observe(1, &labels))
        .build();
    if let Ok(runtime) = Handle::try_current() {
        watch_runtime(meter, &runtime);
    }
    #[cfg(target_os = "linux")]
    linux::watch(meter);
}

fn watch_runtime(meter: &Meter, runtime: &Handle) {
    type Read = fn(&Handle) -> usize;
    let gauges: [(&'static str, &'static str, &'static str, Read); 3] = [
        ("shipei.runtime.workers", "{thread}", "Threads that run tasks", |runtime| {
            runtime.metrics().num_workers()
        }),
        ("shipei.runtime.tasks", "{task}", "Tasks that have not ended", |runtime| {
            runtime.metrics().num_alive_tasks()
        }),
        ("shipei.runtime.queue", "{task}", "Tasks that no thread has begun to run", |runtime| {
            runtime.metrics().global_queue_depth()
        }),
    ];
    for (name, unit, description, read) in gauges {
        let runtime = runtime.clone();
        meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |told| told.observe(u64::try_from(read(&runtime)).unwrap_or(u64::MAX), &[]))
            .build();
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use opentelemetry::{KeyValue, metrics::Meter};
    use procfs::process::{Process, Stat};

    /// From `/proc/self`; what can't be read is not told.
    pub(super) fn watch(meter: &Meter) {
        meter
            .f64_observable_counter("process.cpu.time")
            .with_unit("s")
            .with_description("CPU time of this process")
            .with_callback(|told| {
                let Some(stat) = stat() else { return };
                for (mode, ticks) in [("user", stat.utime), ("system", stat.stime)] {
                    told.observe(seconds(ticks), &[KeyValue::new("cpu.mode", mode)]);
                }
            })
            .build();
        gauge(meter, "process.memory.usage", "By", "Memory of this process that is in use", || {
            Some(stat()?.rss.saturating_mul(procfs::page_size()))
        });
        gauge(meter, "process.memory.virtual", "By", "Memory that this process has reserved", || {
            Some(stat()?.vsize)
        });
        gauge(meter, "process.thread.count", "{thread}", "Threads of this process", || {
            u64::try_from(stat()?.num_threads).ok()
        });
        gauge(
            meter,
            "process.unix.file_descriptor.count",
            "{file_descriptor}",
            "File descriptors that this process has open; every connection is one",
            || u64::try_from(Process::myself().ok()?.fd_count().ok()?).ok(),
        );
    }

    fn stat() -> Option<Stat> {
        Process::myself().ok()?.stat().ok()
    }

    #[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a measurement for people")]
    fn seconds(ticks: u64) -> f64 {
        ticks as f64 / procfs::ticks_per_second() as f64
    }

    fn gauge(
        meter: &Meter,
        name: &'static str,
        unit: &'static str,
        description: &'static str,
        read: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) {
        let tell = move |told: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
            if let Some(value) = read() {
                told.observe(value, &[]);
            }
        };
        let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(description);
        gauge.with_callback(tell).build();
    }
}
