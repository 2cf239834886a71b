//! What a process tells of itself: log lines always, traces and metrics when there is an OpenTelemetry collector.
//!
//! [`begin`] is called once, before anything else runs. Without a collector nothing is made: no provider, no thread, no
//! connection, and every function of [`metrics`] and [`traces`] is one look at an empty cell. With one, spans and
//! measurements are gathered in memory and sent by two threads of the SDK; a collector that is away costs what it
//! would have got, and never a call. Spans are OpenTelemetry's own (not `tracing`'s), so that what is logged and what
//! is traced don't depend on each other.
//!
//! To measure one more thing of every service, see [`metrics`]; a service's own number is a [`metrics::Counter`] there.

mod error;
mod export;
mod logs;
pub mod metrics;
mod process;
mod sampling;
mod sometimes;
pub mod traces;

use std::time::Duration;

pub use error::{LOG_VARIABLE, TelemetryError};
pub(crate) use logs::CALL_SPAN;
pub use logs::{LOG_DEFAULT, LOG_DEFAULT_QUIET, LogFormat, check_variable};
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
pub use sometimes::{SOMETIMES_TARGET, Sometimes};

use export::Providers;

/// How long the end of a process may be held up by what is not sent yet.
pub const SHUTDOWN_MAX: Duration = Duration::from_secs(3);
/// What all services of the suite are called together, and one process of all of them.
const SUITE: &str = "shipei";

/// Who tells, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// The services that run in it.
    pub services: &'a [&'a str],
    /// What it is called among the instances of a service: letters, digits, `-`, `_` and `.`.
    pub instance: &'a str,
    /// The version of the program.
    pub version: &'a str,
    /// The URL of an OpenTelemetry collector (OTLP over gRPC), if there is one.
    pub collector: Option<&'a str>,
}

impl Process<'_> {
    /// The service that it is about: the only one, or the suite.
    fn service(&self) -> String {
        match self.services {
            [only] => (*only).to_owned(),
            _ => SUITE.to_owned(),
        }
    }

    fn resource(&self) -> Resource {
        let own = [
            KeyValue::new("service.namespace", SUITE),
            KeyValue::new("service.name", self.service()),
            KeyValue::new("service.instance.id", self.instance.to_owned()),
            KeyValue::new("service.version", self.version.to_owned()),
        ];
        // With what OTEL_RESOURCE_ATTRIBUTES says (a cluster's name, for instance).
        Resource::builder().with_attributes(own).build()
    }
}

/// What runs to tell of a process; end it with [`Telemetry::shutdown`].
#[derive(Debug)]
#[must_use = "what is not sent yet is lost without shutdown"]
pub struct Telemetry {
    providers: Option<Providers>,
}

impl Telemetry {
    /// Sends what is not sent yet and ends; gives up after [`SHUTDOWN_MAX`].
    pub async fn shutdown(self) {
        let Some(providers) = self.providers else { return };
        if !providers.shutdown(SHUTDOWN_MAX).await {
            tracing::warn!("the OpenTelemetry collector did not take the last traces and metrics");
        }
    }
}

/// Begins logging for the whole process, of a command without a collector; `default` is what is logged when
/// `SHIPEI_LOG` says nothing.
///
/// # Errors
/// When `SHIPEI_LOG` can't be understood, or when it was begun before.
pub fn init(format: LogFormat, default: &str) -> Result<(), TelemetryError> {
    logs::init(format, default, String::new())
}

/// Begins logging of a server, and traces and metrics if it has a collector. Call it inside of the runtime that will
/// run the server: the collector's connection lives there.
///
/// # Errors
/// As [`init`]; and when the collector's address or its authority (`OTEL_EXPORTER_OTLP_CERTIFICATE`) can't be. That
/// nobody answers there is no error.
pub fn begin(format: LogFormat, default: &str, process: &Process<'_>) -> Result<Telemetry, TelemetryError> {
    logs::init(format, default, logs::process_fields(&process.service(), process.instance))?;
    let Some(collector) = process.collector else { return Ok(Telemetry { providers: None }) };
    let providers = export::start(collector, process.resource())?;
    traces::install(&providers.traces);
    metrics::install(&providers.metrics, process);
    Ok(Telemetry { providers: Some(providers) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process<'a>(services: &'a [&'a str]) -> Process<'a> {
        Process { services, instance: "a-1", version: "0.1.0", collector: None }
    }

    #[test]
    fn resource_names_the_service_or_the_suite() {
        for (services, name) in [(vec!["one"], "one"), (vec!["one", "two"], "shipei")] {
            let resource = process(&services).resource();
            let value = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
            assert_eq!(value("service.name").as_deref(), Some(name));
            assert_eq!(value("service.namespace").as_deref(), Some("shipei"));
            assert_eq!(value("service.instance.id").as_deref(), Some("a-1"));
            assert_eq!(value("service.version").as_deref(), Some("0.1.0"));
        }
    }

    #[tokio::test]
    async fn shutdown_without_a_collector_is_nothing() {
        Telemetry { providers: None }.shutdown().await;
    }
}
