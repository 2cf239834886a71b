//! Logs: to stderr, for people or as JSON lines, filtered by `SHIPEI_LOG` (the syntax of `RUST_LOG`). Stdout
//! belongs to what a command prints. A log line never holds the contents of a message.

use tracing_subscriber::{EnvFilter, fmt};

/// The variable that says what is logged.
pub const LOG_VARIABLE: &str = "SHIPEI_LOG";
/// What is logged when it says nothing.
pub const LOG_DEFAULT: &str = "info,h2=warn,hyper=warn,sqlx=warn,tower=warn";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For a person at a terminal.
    #[default]
    Human,
    /// One JSON object on each line, for a collector.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The variable holds what can't be understood.
    #[error("{LOG_VARIABLE}: {0}")]
    Filter(String),
    /// It was begun before in this process.
    #[error("logging has begun already: {0}")]
    Again(String),
}

/// Begins logging for the whole process.
///
/// # Errors
/// When `SHIPEI_LOG` can't be understood, or when it was begun before.
pub fn init(format: LogFormat) -> Result<(), TelemetryError> {
    let text = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let filter = filter(&text)?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match format {
        LogFormat::Human => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| TelemetryError::Again(error.to_string()))
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let text = if text.trim().is_empty() { LOG_DEFAULT } else { text };
    EnvFilter::try_new(text).map_err(|error| TelemetryError::Filter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_takes_levels_and_refuses_nonsense() {
        assert!(filter("").is_ok());
        assert!(filter("debug,sqlx=trace").is_ok());
        let error = filter("shipei=loud").unwrap_err();
        assert!(error.to_string().starts_with("SHIPEI_LOG: "));
    }
}
