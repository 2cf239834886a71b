//! Why a process can't tell of itself.

/// The variable that says what is logged.
pub const LOG_VARIABLE: &str = "SHIPEI_LOG";

/// Why a process can't tell of itself.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The variable holds what can't be understood.
    #[error("{LOG_VARIABLE}: {0}")]
    Filter(String),
    /// It was begun before in this process.
    #[error("logging has begun already: {0}")]
    Again(String),
    /// The collector's address or its authority can't be.
    #[error("the OpenTelemetry collector: {0}")]
    Collector(String),
}
