//! Logs: to stderr, for people or as JSON lines, filtered by `SHIPEI_LOG` (the syntax of `RUST_LOG`). Stdout
//! belongs to what a command prints. A log line never holds the contents of a message.

use tracing_subscriber::{EnvFilter, fmt};

/// The variable that says what is logged.
pub const LOG_VARIABLE: &str = "SHIPEI_LOG";
/// What a server logs when it says nothing.
pub const LOG_DEFAULT: &str = "info,h2=warn,hyper=warn,sqlx=warn,tower=warn";
/// What a command for people logs when it says nothing: its own words are on the terminal already.
pub const LOG_DEFAULT_QUIET: &str = "error";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For a person at a terminal.
    #[default]
    Human,
    /// One JSON object on each line, for a collector.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("write human or json".to_owned()),
        }
    }
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

/// Begins logging for the whole process; `default` is what is logged when `SHIPEI_LOG` says nothing.
///
/// # Errors
/// When `SHIPEI_LOG` can't be understood, or when it was begun before.
pub fn init(format: LogFormat, default: &str) -> Result<(), TelemetryError> {
    let text = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let filter = filter(&text, default)?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match format {
        LogFormat::Human => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| TelemetryError::Again(error.to_string()))
}

fn filter(text: &str, default: &str) -> Result<EnvFilter, TelemetryError> {
    let text = if text.trim().is_empty() { default } else { text };
    EnvFilter::try_new(text).map_err(|error| TelemetryError::Filter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_takes_levels_and_refuses_nonsense() {
        assert!(filter("", LOG_DEFAULT).is_ok());
        assert!(filter("debug,sqlx=trace", LOG_DEFAULT).is_ok());
        let error = filter("shipei=loud", LOG_DEFAULT).unwrap_err();
        assert!(error.to_string().starts_with("SHIPEI_LOG: "));
    }
}
