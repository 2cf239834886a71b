//! A consumer of the suite's event logs. What: [`Feed`] gives the responses of one log's stream, one behind the other, over
//! connections that break and instances that go; [`guarantees`] looks whether what came is what the contract promises;
//! [`cloud_event`] writes an event as CloudEvents' JSON. Why a consumer of our own: `shipei watch`, `shipei relay` and the tests of
//! faults follow logs as other systems do, by the public contract alone.

pub mod cloud_event;
pub mod guarantees;

use std::time::Duration;

use shipei_contracts::event::v1::{
    GetHeadRequest, GetHeadResponse, SubscribeRequest, SubscribeResponse, event_feed_client::EventFeedClient,
};
use shipei_service_kit::status;
use tonic::{Status, Streaming};

use crate::client::{Clients, is_transient};

/// The first wait before a stream is opened again; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest wait before a stream is opened again.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a stream may be silent: a server says at least each ten seconds that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(35);

/// What of a log is followed; empty parts are all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only events of these types (full message names).
    pub types: Vec<String>,
    /// Only of these regions, with what lies in them.
    pub region_codes: Vec<String>,
    /// Only of these programmes.
    pub programme_ids: Vec<String>,
    /// Only of these partitions, 0 to 63.
    pub partitions: Vec<u32>,
}

impl Wanted {
    /// Whether some events of the partitions are left out, so that numbers have gaps.
    pub fn is_filtered(&self) -> bool {
        !(self.types.is_empty() && self.region_codes.is_empty() && self.programme_ids.is_empty())
    }

    /// The request that begins such a stream at the first event that is kept.
    pub fn request(&self, source: &str) -> SubscribeRequest {
        SubscribeRequest {
            source: source.to_owned(),
            types: self.types.clone(),
            region_codes: self.region_codes.clone(),
            programme_ids: self.programme_ids.clone(),
            partitions: self.partitions.clone(),
            ..Default::default()
        }
    }
}

/// The stream of one log, for as long as anybody asks for more.
#[derive(Debug)]
pub struct Feed {
    clients: Clients,
    source: &'static str,
    /// What is asked for when the stream is opened again: the last cursor, once there is one.
    next: SubscribeRequest,
    stream: Option<Streaming<SubscribeResponse>>,
    resumed: bool,
}

impl Feed {
    /// A stream that is opened when the first response is asked for.
    pub fn new(clients: &Clients, source: &'static str, request: SubscribeRequest) -> Self {
        Self { clients: clients.clone(), source, next: request, stream: None, resumed: false }
    }

    /// The next response, however often the stream has to be opened again for it.
    ///
    /// # Errors
    /// What waiting doesn't mend: a refused cursor or filter, a missing right.
    pub async fn next(&mut self) -> Result<SubscribeResponse, Status> {
        let mut pause = PAUSE_FIRST;
        loop {
            let failure = match self.attempt().await {
                Ok(response) => {
                    self.next.cursor.clone_from(&response.cursor);
                    self.next.start = 0;
                    self.next.start_time = None;
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            self.interrupt();
            if !is_transient(&failure) {
                return Err(failure);
            }
            match pause < PAUSE_MAX {
                true => {
                    tracing::debug!(source = self.source, code = ?failure.code(), "the stream is opened again")
                }
                // Whoever waits for events is to know that none can come.
                false => tracing::warn!(
                    source = self.source,
                    fault = failure.message(),
                    "the log can't be followed now; trying again"
                ),
            }
            tokio::time::sleep(status::retry_after(&failure).unwrap_or(pause).min(PAUSE_MAX)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Leaves the stream: the next response comes of another one, behind the last cursor.
    pub fn interrupt(&mut self) {
        self.stream = None;
        self.resumed = !self.next.cursor.is_empty();
    }

    /// Whether the last response was the first of a stream that went on with a cursor. Tells it once.
    pub fn has_resumed(&mut self) -> bool {
        std::mem::take(&mut self.resumed)
    }

    /// The cursor of the last response; empty before the first, unless it began with one.
    pub fn cursor(&self) -> &str {
        &self.next.cursor
    }

    async fn attempt(&mut self) -> Result<SubscribeResponse, Status> {
        let late = |_| Status::unavailable("the server is silent");
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let request = Clients::about_log(self.source, self.clients.request(self.next.clone()));
                let mut client = EventFeedClient::new(self.clients.channel(self.source))
                    .max_decoding_message_size(self.clients.message_bytes_max());
                let opening = tokio::time::timeout(SILENCE_MAX, client.subscribe(request));
                none.insert(opening.await.map_err(late)??.into_inner())
            }
        };
        let response = tokio::time::timeout(SILENCE_MAX, stream.message()).await.map_err(late)??;
        response.ok_or_else(|| Status::unavailable("the stream has ended without a word"))
    }
}

/// Where a log ends now, and whether more comes of what is written.
///
/// # Errors
/// When the service refuses, or does not answer for long.
pub async fn head(clients: &Clients, source: &'static str) -> Result<GetHeadResponse, Status> {
    let answer = clients.call(|| {
        let asked = GetHeadRequest { source: source.to_owned() };
        let request = Clients::about_log(source, clients.unary(asked));
        let mut client = EventFeedClient::new(clients.channel(source));
        async move { client.get_head(request).await }
    });
    Ok(answer.await?.into_inner())
}

/// The same by partition, of those that hold events.
///
/// # Errors
/// As [`head`].
pub async fn ends(clients: &Clients, source: &'static str) -> Result<Vec<(u32, i64)>, Status> {
    let positions = head(clients, source).await?.positions;
    Ok(positions.into_iter().map(|position| (position.partition, position.number)).collect())
}
