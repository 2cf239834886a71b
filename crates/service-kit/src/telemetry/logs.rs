//! Log lines: to stderr, for people or as JSON, filtered by `SHIPEI_LOG` (the syntax of `RUST_LOG`). Stdout belongs to
//! what a command prints. A log line never holds the contents of a message.
//!
//! A line for people is tracing-subscriber's own. A JSON line is its JSON with what a reader of many processes' logs
//! needs put behind: `service` and `instance` of the process, `method` of the call, `trace_id` and `span_id` of the span
//! in whose course it was written. To add a field to every line, add it in `JsonLines`.

use std::{fmt, io::IsTerminal as _};

use opentelemetry::trace::SpanContext;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    filter::LevelFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter, SubscriberBuilder,
        format::{DefaultFields, Format, Json, JsonFields, Writer},
    },
    registry::LookupSpan,
};

use super::{
    error::{LOG_VARIABLE, TelemetryError},
    traces,
};

/// What a server logs when it says nothing.
pub const LOG_DEFAULT: &str = "info,h2=warn,hyper=warn,sqlx=warn,tower=warn";
/// What a command for people logs when it says nothing: its own words are on the terminal already.
pub const LOG_DEFAULT_QUIET: &str = "error";
/// The `tracing` span of a call; its field `method` stands in each line.
pub(crate) const CALL_SPAN: &str = "call";

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

/// Begins logging; `process` is what stands in each JSON line.
pub(super) fn init(format: LogFormat, default: &str, process: String) -> Result<(), TelemetryError> {
    let text = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let filter = filter(&text, default)?;
    let begun = match format {
        LogFormat::Human => {
            let lines = lines_to(std::io::stderr).with_target(false).with_ansi(has_colours());
            lines.with_env_filter(filter).try_init()
        }
        LogFormat::Json => json_lines(std::io::stderr, process).with_env_filter(filter).try_init(),
    };
    begun.map_err(|error| TelemetryError::Again(error.to_string()))
}

/// Whether `SHIPEI_LOG` can be understood.
///
/// # Errors
/// When it can't.
pub fn check_variable() -> Result<(), TelemetryError> {
    filter(&std::env::var(LOG_VARIABLE).unwrap_or_default(), LOG_DEFAULT).map(drop)
}

/// Colours are for a terminal, and for who has not said that they want none (<https://no-color.org>).
fn has_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Lines of either format. One that can't be written is lost: tracing-subscriber would tell of it by `eprintln!`, which
/// panics where standard error is what can't be written, in whichever task wrote the line.
fn lines_to<W>(writer: W) -> SubscriberBuilder<DefaultFields, Format, LevelFilter, W>
where
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    tracing_subscriber::fmt().with_writer(writer).log_internal_errors(false)
}

/// JSON lines; `process` is what stands in each.
fn json_lines<W>(writer: W, process: String) -> SubscriberBuilder<JsonFields, JsonLines, LevelFilter, W>
where
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    let lines = lines_to(writer).json().flatten_event(true).with_current_span(false).with_span_list(false);
    lines.map_event_format(|json| JsonLines { json, process })
}

/// What stands in each JSON line of a process. Both are plain names.
pub(super) fn process_fields(service: &str, instance: &str) -> String {
    format!(",\"service\":{service:?},\"instance\":{instance:?}")
}

fn filter(text: &str, default: &str) -> Result<EnvFilter, TelemetryError> {
    let text = if text.trim().is_empty() { default } else { text };
    // The transport warns of each connection that it cuts, which anybody can have it do a thousand times a second.
    let text = format!("h2=error,{text}");
    EnvFilter::try_new(text).map_err(|error| TelemetryError::Filter(error.to_string()))
}

/// JSON lines, with what all of them carry.
struct JsonLines {
    json: Format<Json>,
    process: String,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.json.format_event(context, Writer::new(&mut line), event)?;
        let Some(open) = line.trim_end().strip_suffix('}') else { return writer.write_str(&line) };
        write!(writer, "{open}{}", self.process)?;
        let mut scope = context.event_scope().into_iter().flatten();
        if let Some(call) = scope.find(|span| span.name() == CALL_SPAN)
            && let Some(fields) = call.extensions().get::<FormattedFields<N>>()
            && let Some(fields) = fields.strip_prefix('{').and_then(|fields| fields.strip_suffix('}'))
        {
            write!(writer, ",{fields}")?;
        }
        if let Some(span) = traces::current() {
            write_ids(&mut writer, &span)?;
        }
        writeln!(writer, "}}")
    }
}

fn write_ids(writer: &mut Writer<'_>, span: &SpanContext) -> fmt::Result {
    write!(writer, ",\"trace_id\":\"{}\",\"span_id\":\"{}\"", span.trace_id(), span.span_id())
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use opentelemetry::{
        Context,
        trace::{SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let process = process_fields("one", "a-1");
        let subscriber = json_lines(move || sink.clone(), process).finish();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn filter_takes_levels_and_refuses_nonsense() {
        assert!(filter("", LOG_DEFAULT).is_ok());
        assert!(filter("debug,sqlx=trace", LOG_DEFAULT).is_ok());
        let error = filter("shipei=loud", LOG_DEFAULT).unwrap_err();
        assert!(error.to_string().starts_with("SHIPEI_LOG: "));
    }

    #[test]
    fn json_line_of_a_call_carries_method_process_and_ids() {
        let trace = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap();
        let span = SpanId::from_hex("b7ad6b7169203331").unwrap();
        let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE);
        let line = logged(|| {
            let call = tracing::error_span!(CALL_SPAN, method = "/a.B/C\"");
            let _current = Context::new().with_remote_span_context(span).attach();
            call.in_scope(|| tracing::warn!(code = 3, "refused"));
        });
        let tail = ",\"service\":\"one\",\"instance\":\"a-1\",\"method\":\"/a.B/C\\\"\",\
                    \"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\"}\n";
        assert!(line.ends_with(tail), "{line}");
        assert!(line.contains("\"level\":\"WARN\",\"message\":\"refused\",\"code\":3,"), "{line}");
    }

    #[test]
    fn json_line_without_call_and_span_has_neither() {
        let line = logged(|| tracing::info!("begun"));
        assert!(line.ends_with(",\"service\":\"one\",\"instance\":\"a-1\"}\n"), "{line}");
        assert!(!line.contains("trace_id") && !line.contains("method"), "{line}");
    }
}
