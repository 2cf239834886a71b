//! What the environment says besides the settings' own variables: OpenTelemetry's, and names that are nobody's.

use anyhow::{Result, bail};
use shipei_service_kit::telemetry::LOG_VARIABLE;

/// The variable for the file of settings.
pub(crate) const CONFIG_VARIABLE: &str = "SHIPEI_CONFIG";
/// OpenTelemetry's own variable for it, which is heard when nobody says `otlp`.
const OTLP_STANDARD: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// OpenTelemetry's own variable for how the collector is spoken to, and the one way that this program has.
const OTLP_PROTOCOL: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");

/// Variables that begin as ours and are no settings: what is logged, the bench, what the tests are
/// told, and what the commands that call a suite bring.
const OTHER_VARIABLES: [&str; 6] = [
    CONFIG_VARIABLE,
    LOG_VARIABLE,
    "SHIPEI_BENCH_DATABASE",
    "SHIPEI_TEST_",
    "SHIPEI_TOKEN",
    "SHIPEI_TOKEN_FILE",
];
/// What Kubernetes puts into the environment of each container for a Service that is called `shipei` or `shipei-..`.
const OF_KUBERNETES: [&str; 2] = ["_SERVICE_", "_PORT"];

/// The variables among these that look like settings and are none: most often mistyped.
pub(crate) fn unknown_variables(
    names: impl Iterator<Item = String>,
    is_setting: impl Fn(&str) -> bool,
) -> Vec<String> {
    let is_other = |name: &str| {
        let is = |other: &str| name == other || (other.ends_with('_') && name.starts_with(other));
        OTHER_VARIABLES.iter().any(|other| is(other))
    };
    let is_of_kubernetes = |name: &str| OF_KUBERNETES.iter().any(|part| name.contains(part));
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with("SHIPEI_"))
        .filter(|name| !is_setting(name) && !is_other(name) && !is_of_kubernetes(name))
        .collect();
    unknown.sort();
    unknown
}

/// The collector's address by OpenTelemetry's own variables, and the variable that names it.
///
/// # Errors
/// When they ask for a protocol that is not spoken here.
pub(crate) fn standard_collector(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, &'static str)>> {
    let said = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|it| !it.is_empty());
    let Some(address) = said(OTLP_STANDARD) else { return Ok(None) };
    let (protocol_variable, protocol) = OTLP_PROTOCOL;
    if let Some(other) = said(protocol_variable).filter(|said| said != protocol) {
        bail!("environment {protocol_variable}: `{other}` is not spoken here, only `{protocol}` (port 4317)");
    }
    Ok(Some((address, OTLP_STANDARD)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_that_is_no_setting_is_found() {
        let names = [
            "SHIPEI_LISTN",
            "SHIPEI_LISTEN",
            "SHIPEI_LOG",
            "SHIPEI_LOG_FORMAT",
            "SHIPEI_CONFIG",
            "SHIPEI_TEST_KEEP",
            "SHIPEI_SERVICE_HOST",
            "SHIPEI_ENROLLMENT_PORT_7300_TCP",
            "PATH",
            "SHIPEI_DATABSE",
        ];
        let unknown = unknown_variables(names.iter().map(|name| (*name).to_owned()), |name| {
            ["SHIPEI_LISTEN", "SHIPEI_LOG_FORMAT"].contains(&name)
        });
        assert_eq!(unknown, ["SHIPEI_DATABSE", "SHIPEI_LISTN"]);
    }

    #[test]
    fn standard_variable_names_the_collector_and_its_protocol_must_be_grpc() {
        let of = |address: &'static str, protocol: &'static str| {
            standard_collector(move |name| {
                let value = if name == OTLP_STANDARD { address } else { protocol };
                (!value.is_empty()).then(|| value.to_owned())
            })
        };
        assert!(of("", "").unwrap().is_none());
        let given = of("http://c:4317", "grpc").unwrap().unwrap();
        assert_eq!(given, ("http://c:4317".to_owned(), "OTEL_EXPORTER_OTLP_ENDPOINT"));
        let error = of("http://c:4318", "http/protobuf").unwrap_err().to_string();
        assert!(error.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && error.contains("http/protobuf"), "{error}");
    }
}
