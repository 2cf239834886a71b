//! A client of the suite: channels to the services, consistency tokens, and calls that are tried again.
//!
//! What every good client of the suite does is here: it says who it is, brings its token, carries the token of what it wrote to the
//! next call, and repeats a call that found the service away, which is safe because every write has a request id.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{GetHeadRequest, event_feed_client::EventFeedClient},
};
use shipei_service_kit::{
    consistency::{TOKEN_HEADER, Token},
    event_feed::{OTHER_LOGS, SOURCE_HEADER},
    status,
    telemetry::traces,
};
use tonic::{
    Code, Request, Response, Status,
    metadata::MetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::bearer::Bearer;

/// The services, by the name of their log.
pub use shipei_contracts::services::ALL as SERVICES;
use shipei_contracts::services::{ASSESSMENT, ASSESSMENT_DECISIONS};

/// The longest that one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a call that found the service away is tried.
const ATTEMPTS_MAX: u32 = 60;
/// The first wait between two tries; it doubles up to [`BACK_OFF_MAX`].
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const BACK_OFF_MAX: Duration = Duration::from_secs(2);
/// How often a service may be missing where it should be before it isn't there.
const MISDELIVERED_MAX: u32 = 5;
/// The largest message that is read, bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Channels to the services, and what this client has written so far.
#[derive(Debug, Clone)]
pub struct Clients {
    channels: BTreeMap<&'static str, Channel>,
    bearer: Option<Bearer>,
    caller: String,
    written: Arc<Mutex<Token>>,
    attempts: Arc<Mutex<Attempts>>,
}

/// How much patience the calls of a replay needed.
#[derive(Debug, Clone, Default)]
pub struct Attempts {
    /// The most attempts that a call, or a message of a stream, took; 1 when all went well at once.
    pub most: u32,
    /// How often it was tried again, by what it was told.
    pub again: HashMap<Code, u64>,
}

impl Clients {
    /// All services behind one channel.
    pub fn of_channel(channel: &Channel) -> Clients {
        let channels = SERVICES.iter().map(|service| (*service, channel.clone())).collect();
        Clients::over(channels)
    }

    /// From `--server` values: one `ADDRESS` for all, or `SERVICE=ADDRESS` for some.
    ///
    /// `ca_file` names the authority (PEM) that signed the certificate of an `https://` address.
    pub async fn connect(servers: &[String], ca_file: Option<&Path>) -> Result<Clients> {
        let mut addresses: BTreeMap<&'static str, String> = BTreeMap::new();
        for server in servers {
            match server.split_once('=') {
                None => {
                    for service in SERVICES {
                        addresses.entry(service).or_insert_with(|| server.clone());
                    }
                }
                Some((name, address)) => {
                    let Some(service) = SERVICES.iter().find(|service| **service == name) else {
                        bail!(
                            "--server {server}: there is no service `{name}`; there are {}",
                            SERVICES.join(", ")
                        );
                    };
                    addresses.insert(service, address.to_owned());
                }
            }
        }
        // What is decided about scores is served where they are, unless it is said otherwise.
        if let Some(address) = addresses.get(ASSESSMENT).cloned() {
            addresses.entry(ASSESSMENT_DECISIONS).or_insert(address);
        }
        let mut channels = BTreeMap::new();
        for service in SERVICES {
            let address =
                addresses.get(service).with_context(|| format!("--server: no address for {service}"))?;
            channels.insert(service, channel_to(address, ca_file).await?);
        }
        Ok(Clients::over(channels))
    }

    /// Makes sure that each service is where it was said to be, by asking there for its log: who calls it for minutes would
    /// take the wrong address for a service that is away.
    ///
    /// # Errors
    /// When one isn't there.
    pub async fn require_services(&self) -> Result<()> {
        for (service, channel) in &self.channels {
            if !self.is_there(channel, service).await {
                bail!("{service} isn't at the address of --server; give --server SERVICE=ADDRESS for each");
            }
        }
        Ok(())
    }

    /// Whether a service is where a channel leads. A load balancer may hand the question to a wrong instance for a moment, so
    /// it is asked some times.
    async fn is_there(&self, channel: &Channel, service: &'static str) -> bool {
        let mut pause = BACK_OFF_FIRST;
        for _ in 0..MISDELIVERED_MAX {
            let asked = GetHeadRequest { source: service.to_owned() };
            let mut request = Clients::about_log(service, self.request(asked));
            request.set_timeout(CALL_TIMEOUT);
            match EventFeedClient::new(channel.clone()).get_head(request).await {
                Err(status) if status.message() == OTHER_LOGS => {}
                // Whatever else is wrong, the calls themselves will find it, and wait for it.
                _ => return true,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        false
    }

    fn over(channels: BTreeMap<&'static str, Channel>) -> Clients {
        Clients {
            channels,
            bearer: None,
            caller: "training_institution:shipei-cli".to_owned(),
            written: Arc::default(),
            attempts: Arc::default(),
        }
    }

    /// The same, bringing this token with each call.
    #[must_use]
    pub fn bearing(mut self, bearer: Option<Bearer>) -> Clients {
        self.bearer = bearer;
        self
    }

    /// The channel of a service.
    pub fn channel(&self, service: &'static str) -> Channel {
        self.channels[service].clone()
    }

    /// The largest message that this client reads, bytes.
    pub fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    /// A request that says who asks and carries what was written before.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if let Ok(caller) = self.caller.parse() {
            metadata.insert("shipei-caller", caller);
        }
        if let Some(bearer) = &self.bearer {
            bearer.put_into(metadata);
        }
        traces::carry(metadata);
        let token = self.token();
        if !token.is_empty()
            && let Ok(token) = token.parse()
        {
            metadata.insert(TOKEN_HEADER, token);
        }
        request
    }

    /// A request of one answer: with a deadline.
    pub fn unary<T>(&self, message: T) -> Request<T> {
        let mut request = self.request(message);
        request.set_timeout(CALL_TIMEOUT);
        request
    }

    /// As [`call`], and notes how many attempts it took and why.
    pub async fn call<T, F, Fut>(&self, mut attempt: F) -> Result<Response<T>, Status>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let mut attempts = 0;
        call(|| {
            attempts += 1;
            let (number, attempted) = (attempts, attempt());
            async move {
                let answer = attempted.await;
                self.note_attempt(number, answer.as_ref().err());
                answer
            }
        })
        .await
    }

    /// Notes an attempt, and its failure if it will be followed by another.
    pub(crate) fn note_attempt(&self, number: u32, failure: Option<&Status>) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.most = attempts.most.max(number);
        if let Some(status) = failure.filter(|status| is_transient(status)) {
            *attempts.again.entry(status.code()).or_default() += 1;
        }
    }

    /// The attempts of all calls and streams of replays by this client and its clones.
    pub fn attempts(&self) -> Attempts {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token of everything written so far.
    pub fn token(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_empty() { String::new() } else { written.encode() }
    }

    /// The same, about a service's log: every service has one, and a load balancer, which reads no messages, knows by this whose it is.
    pub fn about_log<T>(source: &'static str, mut request: Request<T>) -> Request<T> {
        request.metadata_mut().insert(SOURCE_HEADER, MetadataValue::from_static(source));
        request
    }

    /// Notes the token of an answer.
    pub fn note<T>(&self, response: &Response<T>) {
        if let Some(token) = response.metadata().get(TOKEN_HEADER) {
            self.note_token(token.as_bytes());
        }
    }

    /// Notes a token.
    pub fn note_token(&self, token: &[u8]) {
        if let Ok(token) = Token::decode(token) {
            self.written.lock().unwrap_or_else(PoisonError::into_inner).merge(&token);
        }
    }
}

/// Calls until the answer is the service's own: a service that is away or late is asked again, with back-off.
pub async fn call<T, F, Fut>(mut attempt: F) -> Result<Response<T>, Status>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Response<T>, Status>>,
{
    let mut wait = BACK_OFF_FIRST;
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(status) if is_transient(&status) => {
                tokio::time::sleep(status::retry_after(&status).unwrap_or(wait).min(BACK_OFF_MAX)).await;
                wait = (wait * 2).min(BACK_OFF_MAX);
            }
            answered => return answered,
        }
    }
    attempt().await
}

/// Whether the same call may pass later.
pub fn is_transient(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted => true,
        // RATE_LIMITED says when a call will pass; other limits don't pass by waiting.
        Code::ResourceExhausted => status::retry_after(status).is_some(),
        // What a connection that broke in the middle of a call looks like; and a write without a request id of which
        // nobody knows whether it was kept, since all that this client sends so can be repeated by its content.
        Code::Unknown | Code::Cancelled => {
            let unknown = status::reason_name(ErrorReason::OutcomeUnknown);
            status::reason_of(status).is_none_or(|reason| reason == unknown)
        }
        // What it looks like when a load balancer stood between (it resets the stream): no answer of a service, but an
        // error of the transport, which is its source.
        Code::Internal => status::reason_of(status).is_none() && status.source().is_some(),
        _ => false,
    }
}

/// A status in words for a person: reason, message, and the fields that are wrong.
pub fn explain(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    let details = status.get_error_details();
    let mut text = match status::reason_of(status) {
        Some(reason) => format!("{reason}: {}", status.message()),
        None => format!("{:?}: {}", status.code(), status.message()),
    };
    if let Some(bad_request) = details.bad_request() {
        for violation in &bad_request.field_violations {
            match violation.description == status.message() {
                true => text.push_str(&format!(" ({})", violation.field)),
                false => text.push_str(&format!("; {}: {}", violation.field, violation.description)),
            }
        }
    }
    text
}

async fn channel_to(address: &str, ca_file: Option<&Path>) -> Result<Channel> {
    let endpoint = endpoint_of(address, ca_file).with_context(|| format!("--server {address}"))?;
    endpoint
        .tcp_nodelay(true)
        .connect()
        .await
        .with_context(|| format!("--server {address}: nobody answers there; is `shipei serve` running?"))
}

/// How to connect to an address that an operator gave; `ca_file` names the authority (PEM) that signed the certificate
/// of an `https://` one.
pub fn endpoint_of(address: &str, ca_file: Option<&Path>) -> Result<Endpoint> {
    let url = with_scheme(address);
    if url.starts_with("https://") && ca_file.is_none() {
        bail!("{address}: say with --ca-file which authority signed its certificate");
    }
    let endpoint = Endpoint::from_shared(url)
        .with_context(|| format!("{address} is not an address; write e.g. 127.0.0.1:7300"))?;
    let Some(file) = ca_file else { return Ok(endpoint) };
    let pem = std::fs::read(file).with_context(|| format!("--ca-file: cannot read {}", file.display()))?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    endpoint.tls_config(tls).with_context(|| format!("--ca-file {}", file.display()))
}

/// `host:port` as a URL.
pub fn with_scheme(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_broke_is_tried_again_and_what_a_service_said_is_not() {
        let mut reset = Status::internal("h2 protocol error: error reading a body from connection");
        reset.set_source(Arc::new(std::io::Error::other("stream error received: unspecific protocol error")));
        assert!(is_transient(&reset));
        assert!(is_transient(&Status::unavailable("no instance of the service answers")));
        assert!(!is_transient(&Status::internal("internal error")));
        assert!(!is_transient(&Status::invalid_argument("no")));
    }
}
