//! One call, as the machinery sees it: method, caller, token, deadline, trace. Handlers get it inside a `Unit`.
//! The method comes from `layer.rs`, everything else from the metadata, so a call is complete on every
//! transport and in a unit test without any.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::{
    answer::error::Result,
    call::{
        access::Policy,
        consistency::{TOKEN_HEADER, Token},
    },
    identity::caller::Caller,
    telemetry::traces::TRACE_HEADER,
};

/// The metadata that carries the caller's patience.
pub const TIMEOUT_HEADER: &str = "grpc-timeout";
/// The length of a version 00 traceparent, bytes.
const TRACE_BYTES: usize = 55;
/// The most digits of a grpc-timeout.
const TIMEOUT_DIGITS_MAX: usize = 8;

/// What is known of a call besides its request.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The path of the RPC, e.g. `/shipei.event.v1.EventFeed/Subscribe`; empty without a server.
    pub method: String,
    /// Who calls.
    pub caller: Caller,
    /// Where from, as far as proxies are believed; none in memory.
    pub address: Option<IpAddr>,
    /// The writes that the answer must know of.
    pub token: Option<Token>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The W3C traceparent of its own span; the caller's when tracing is off; empty without either.
    pub trace: String,
}

/// What the server's layer found out before the handler: an extension of the request, in an `Arc`.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) method: String,
    pub(crate) caller: Caller,
    pub(crate) address: Option<IpAddr>,
    pub(crate) deadline: Option<Instant>,
    /// The traceparent of the call's own span; empty when tracing is off.
    pub(crate) trace: String,
    /// Who may call it; none where the server has no such RPC.
    pub(crate) policy: Option<Arc<Policy>>,
}

/// Waits for a moment; without one, for ever.
pub(crate) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Call {
    /// Reads the call from a request.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when the metadata names a caller or a token that can't be.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self> {
        let metadata = request.metadata();
        let token = match metadata.get(TOKEN_HEADER) {
            Some(value) => Some(Token::decode(value.as_encoded_bytes())?),
            None => None,
        };
        if let Some(arrival) = request.extensions().get::<Arc<Arrival>>() {
            let Arrival { method, caller, address, deadline, trace, .. } = Arrival::clone(arrival);
            let trace = if trace.is_empty() { trace_of(metadata) } else { trace };
            return Ok(Self { method, caller, address, token, deadline, trace });
        }
        let caller = Caller::said_in(metadata.as_ref())?;
        let patience = metadata.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok());
        let deadline = patience.and_then(parse_timeout).and_then(|wait| Instant::now().checked_add(wait));
        let (method, address) = (String::new(), None);
        Ok(Self { method, caller, address, token, deadline, trace: trace_of(metadata) })
    }
}

/// Reads a grpc-timeout: up to eight digits and a unit.
pub(crate) fn parse_timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS_MAX || !digits.bytes().all(|d| d.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(amount.saturating_mul(3600))),
        'M' => Some(Duration::from_secs(amount.saturating_mul(60))),
        'S' => Some(Duration::from_secs(amount)),
        'm' => Some(Duration::from_millis(amount)),
        'u' => Some(Duration::from_micros(amount)),
        'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

fn trace_of(metadata: &MetadataMap) -> String {
    let value = metadata.get(TRACE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let hexadecimal = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if value.len() != TRACE_BYTES || !value.bytes().all(hexadecimal) {
        return String::new();
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::error::Error;

    #[test]
    fn call_is_read_from_metadata() {
        let mut request = tonic::Request::new(());
        let metadata = request.metadata_mut();
        metadata.insert("shipei-caller", "trainee:T1@130302".parse().unwrap());
        metadata.insert("grpc-timeout", "250m".parse().unwrap());
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        metadata.insert("traceparent", trace.parse().unwrap());
        let call = Call::of(&request).unwrap();
        assert_eq!(call.caller.subject, "T1");
        assert_eq!(call.trace, trace);
        assert!(call.deadline.is_some());
        assert!(call.token.is_none());
    }

    #[test]
    fn bad_metadata_is_named() {
        for header in ["shipei-caller", "shipei-consistency-token"] {
            let mut request = tonic::Request::new(());
            request.metadata_mut().insert(header, "!".parse().unwrap());
            let Err(Error::Invalid(violations)) = Call::of(&request) else { panic!("must be invalid") };
            assert_eq!(violations[0].field, header);
        }
    }

    #[test]
    fn timeouts_are_read_by_unit() {
        assert_eq!(parse_timeout("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_timeout("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse_timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout("7m"), Some(Duration::from_millis(7)));
        assert_eq!(parse_timeout("9u"), Some(Duration::from_micros(9)));
        for text in ["", "S", "5", "123456789S", "-1S", "5秒"] {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
    }
}
