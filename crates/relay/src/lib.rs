//! Takes the suite's event logs into engines that run elsewhere, each event once. What goes through: [`Relay::step`] follows one log by
//! the public contract ([`shipei_client::feed`]) and gives what came to a [`Destination`], which keeps each partition under its own
//! numbers. Why nothing comes twice, whatever is killed: the destination itself says which number it has last, and what it has
//! is not written again. The cursor is kept there too, behind the events that it stands for; when the destination has lost
//! events that its cursor stands for, the log is read from its beginning again. To add an engine: implement [`Destination`] in a file of
//! its own.

mod ndjson;
mod redis_streams;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use shipei_client::{
    client::{Clients, explain},
    feed::{Feed, Wanted, cloud_event},
};
use shipei_contracts::event::v1::Event;
use shipei_service_kit::descriptors;
use tonic::Status;

pub use ndjson::Ndjson;
pub use redis_streams::RedisStreams;

/// What a destination keeps beside the events of a log, to go on from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// The cursor of the last response that was written whole.
    pub cursor: String,
    /// The number of the last event of each partition that was written by then.
    pub written: BTreeMap<u32, i64>,
}

/// An event, ready to be written.
#[derive(Debug, Clone)]
pub struct Record {
    /// The partition of the log.
    pub partition: u32,
    /// The number within the partition.
    pub number: i64,
    /// The day on which it was recorded, UTC, e.g. `2019-10-25`.
    pub day: String,
    /// The event's type.
    pub kind: String,
    /// The event's subject.
    pub subject: String,
    /// CloudEvents' JSON, in one line.
    pub json: String,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The events and the bookmark are kept.
    Kept,
    /// The destination's bookmark is not the one that this relay left there: another relay wrote, or something was lost. Nothing was
    /// written; its state has to be asked for again.
    Moved,
}

/// An engine that keeps what it is given in the order of each partition.
pub trait Destination: Send {
    /// What it keeps of a log: the bookmark, and the number of the last event of each partition.
    fn state(&mut self, source: &str) -> impl Future<Output = Result<(Bookmark, BTreeMap<u32, i64>)>> + Send;

    /// Keeps these events, in this order by partition, and then the bookmark, if the bookmark is still the one `before`. When it returns,
    /// they are as safe as the engine makes them; when it fails, some of them may be kept, each partition up to some number.
    fn write(
        &mut self,
        source: &str,
        records: &[Record],
        before: &Bookmark,
        bookmark: &Bookmark,
    ) -> impl Future<Output = Result<Written>> + Send;
}

/// Why a relay can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The suite refuses, and will refuse again: a missing right, a filter that can't be, a log that began anew.
    #[error("{log}: the log can't be followed: {refusal}", log = .source_name, refusal = explain(.status))]
    Refused {
        /// The log.
        source_name: &'static str,
        /// What the suite said.
        status: Box<Status>,
    },
    /// An event that this program can't write: it is older than the suite.
    #[error(transparent)]
    Unwritable(#[from] cloud_event::Unwritable),
    /// The destination does not keep it now; it may later.
    #[error("{0:#}")]
    Destination(anyhow::Error),
}

/// How a relay of one log stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events written by this process.
    pub written: u64,
    /// Events that came and were there already.
    pub skipped: u64,
}

/// One log on its way to one destination.
#[derive(Debug)]
pub struct Relay<D> {
    clients: Clients,
    source: &'static str,
    wanted: Wanted,
    destination: D,
    /// The stream, where the destination's state is known.
    feed: Option<Feed>,
    bookmark: Bookmark,
    /// The number of the last event of each partition that the destination has.
    has: BTreeMap<u32, i64>,
    /// The position up to which everything of a partition was taken over or passed over, as the stream told it.
    reached: BTreeMap<u32, i64>,
    progress: Progress,
}

impl<D: Destination> Relay<D> {
    /// Of one log; nothing is asked yet.
    pub fn new(clients: &Clients, source: &'static str, wanted: &Wanted, destination: D) -> Self {
        Self {
            clients: clients.clone(),
            source,
            wanted: wanted.clone(),
            destination,
            feed: None,
            bookmark: Bookmark::default(),
            has: BTreeMap::new(),
            reached: BTreeMap::new(),
            progress: Progress::default(),
        }
    }

    /// Asks the destination how far it has come, and begins there.
    async fn begin(&mut self) -> Result<Feed> {
        let source = self.source;
        (self.bookmark, self.has) = self.destination.state(source).await?;
        let mut request = self.wanted.request(source);
        match self.bookmark.written.iter().find(|(partition, number)| self.has(**partition) < **number) {
            None => request.cursor.clone_from(&self.bookmark.cursor),
            Some((partition, number)) => {
                let last = self.has(*partition);
                tracing::warn!(
                    source,
                    partition,
                    last,
                    number,
                    "the destination has lost events; the log is read again from its beginning"
                );
            }
        }
        Ok(Feed::new(&self.clients, source, request))
    }

    /// Takes over the next response of the stream, which may hold nothing new. Behind an error of the destination the next step asks
    /// for its state again.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn step(&mut self) -> Result<Progress, RelayError> {
        let source = self.source;
        let mut feed = match self.feed.take() {
            Some(feed) => feed,
            None => self.begin().await.map_err(RelayError::Destination)?,
        };
        let response = feed
            .next()
            .await
            .map_err(|status| RelayError::Refused { source_name: source, status: Box::new(status) })?;
        let mut has = self.has.clone();
        let mut records = Vec::with_capacity(response.events.len());
        for event in &response.events {
            let last = has.entry(event.partition).or_default();
            if event.number <= *last {
                self.progress.skipped += 1;
                continue;
            }
            *last = event.number;
            records.push(record(event)?);
        }
        let positions =
            response.positions.iter().map(|position| (position.partition, position.number)).collect();
        let bookmark = Bookmark { cursor: response.cursor, written: has.clone() };
        let written = self.destination.write(source, &records, &self.bookmark, &bookmark).await;
        match written.map_err(RelayError::Destination)? {
            Written::Kept => {
                self.progress.written += records.len() as u64;
                (self.feed, self.bookmark, self.has) = (Some(feed), bookmark, has);
                self.reached = positions;
            }
            Written::Moved => {
                tracing::warn!(
                    source,
                    "the destination is not as this relay left it; asking for its state again"
                );
            }
        }
        Ok(self.progress)
    }

    fn has(&self, partition: u32) -> i64 {
        self.has.get(&partition).copied().unwrap_or_default()
    }

    /// The number up to which everything of a partition is at the destination, or not wanted there.
    pub fn reached(&self, partition: u32) -> i64 {
        self.reached.get(&partition).copied().unwrap_or_default()
    }
}

fn record(event: &Event) -> Result<Record, cloud_event::Unwritable> {
    let json = cloud_event::to_json(descriptors::pool(), event)?;
    // Each event says when it was recorded.
    let day = json["recordedtime"].as_str().and_then(|time| time.get(..10)).unwrap_or("undated");
    Ok(Record {
        partition: event.partition,
        number: event.number,
        day: day.to_owned(),
        kind: event.r#type.clone(),
        subject: event.subject.clone(),
        json: json.to_string(),
    })
}
