//! The event logs of this process, served as streams. What: [`EventFeeds`] implements the contract `EventFeed`
//! over any number of logs. Why so: the log is the truth and a wake only a hint, so a stream reads the heads, then
//! only the partitions that moved, and never holds a transaction while it waits for its consumer; a slow consumer
//! holds nothing but its own task. To serve one more log: [`EventFeeds::add`] its kit.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use futures::Stream;
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{
        GetHeadRequest, GetHeadResponse, SubscribeRequest, SubscribeResponse, event_feed_server::EventFeed,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    answer::{
        error::{Error, Refusal, Result},
        status::overloaded,
    },
    call::{
        budget::Budget,
        consistency::{Token, to_proto},
        metadata::Call,
    },
    feed::{
        filter::Filter,
        heads::{Heads, heads},
        pace::{Pace, Turns},
        subscription::Subscription,
    },
    identity::caller::CallerKind,
    shutdown::Shutdown,
    write::kit::Kit,
};

pub use crate::feed::wire::SOURCE_HEADER;

/// What a call is told whose [`SOURCE_HEADER`] was meant for another process.
pub const OTHER_LOGS: &str = "this instance has other logs; the call was misdelivered";
/// The most responses that wait for one consumer: another is read from the log when this one has been taken.
pub const RESPONSES_BUFFERED_MAX: usize = 1;
/// The most streams of a process, besides those of the suite's own services.
pub const STREAMS_MAX: usize = 2048;

/// A log that is served.
#[derive(Debug, Clone)]
struct Log {
    kit: Kit,
    /// Where it ends, for all its streams.
    heads: Heads,
}

/// Serves the logs of every kit that was added. Clones are the same one.
#[derive(Debug, Clone)]
pub struct EventFeeds {
    logs: Arc<RwLock<BTreeMap<&'static str, Log>>>,
    /// The types of each log's events, where they are known.
    types: Arc<BTreeMap<&'static str, BTreeSet<String>>>,
    shutdown: Shutdown,
    stream_age_max: Option<Duration>,
    /// For what is read and waits to be sent.
    budget: Budget,
    streams: Arc<Semaphore>,
    /// For which of them something is read.
    turns: Turns,
}

impl EventFeeds {
    /// No logs yet. Streams end when `shutdown` begins, and, so that they spread over replicas again, when they
    /// are older than `stream_age_max`.
    pub fn new(shutdown: Shutdown, stream_age_max: Option<Duration>, budget: Budget) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        let turns = Turns::new();
        Self { logs: Arc::default(), types: Arc::default(), shutdown, stream_age_max, budget, streams, turns }
    }

    /// Refuses consumers who ask a log for a type of events that it never has.
    #[must_use]
    pub(crate) fn event_types(mut self, types: BTreeMap<&'static str, BTreeSet<String>>) -> Self {
        self.types = Arc::new(types);
        self
    }

    /// Serves the log of this service too; adding it again changes nothing.
    pub fn add(&self, kit: &Kit) {
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        logs.entry(kit.source()).or_insert_with(|| {
            let heads = Heads::new();
            self.shutdown.spawn(heads.clone().watch(kit.clone(), self.shutdown.clone()));
            Log { kit: kit.clone(), heads }
        });
    }

    /// Is there no log to serve?
    pub fn is_empty(&self) -> bool {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The service whose log a request asks for.
    pub(crate) fn kit<T>(&self, request: &Request<T>, source: &str) -> Result<Kit> {
        Ok(self.log(request, source)?.kit)
    }

    /// A place among the streams. The suite's own services need none: how many they have is known, and consumers could take
    /// theirs.
    fn place(&self, call: &Call) -> std::result::Result<Option<OwnedSemaphorePermit>, Status> {
        let is_own = call.address.is_none() || matches!(call.caller.kind, CallerKind::Service { .. });
        match is_own {
            true => Ok(None),
            false => self.streams.clone().try_acquire_owned().map(Some).map_err(|_| overloaded()),
        }
    }

    /// The log that a request asks for. One whose metadata names the same log was meant for a process that has it.
    fn log<T>(&self, request: &Request<T>, source: &str) -> Result<Log> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = logs.get(source) {
            return Ok(log.clone());
        }
        if request.metadata().get(SOURCE_HEADER).is_some_and(|named| named.as_bytes() == source.as_bytes()) {
            return Err(Error::Unavailable(OTHER_LOGS.into()));
        }
        let known: Vec<&str> = logs.keys().copied().collect();
        let refusal = Refusal::new(ErrorReason::NotFound).field("source").with("sources", known.join(", "));
        let message = format!("this server has no log of that source; it has those of {}", known.join(", "));
        Err(refusal.because(message).into())
    }
}

#[tonic::async_trait]
impl EventFeed for EventFeeds {
    type SubscribeStream =
        Pin<Box<dyn Stream<Item = std::result::Result<SubscribeResponse, Status>> + Send + 'static>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> std::result::Result<Response<Self::SubscribeStream>, Status> {
        let log = self.log(&request, &request.get_ref().source)?;
        let admitted = log.kit.admit(&request).await?;
        let request = request.into_inner();
        let filter = Filter::of(&request, self.types.get(log.kit.source()))?.of_caller(admitted.asker());
        let stream = self.place(admitted.call())?;
        let (sender, receiver) = mpsc::channel(RESPONSES_BUFFERED_MAX);
        let pace = Pace::new(&self.turns, &self.budget);
        let subscription =
            Subscription::begin(admitted, log.kit, log.heads, filter, &request, sender, pace).await?;
        let shutdown = self.shutdown.clone();
        let age_max = self.stream_age_max;
        self.shutdown.spawn_for_call(async move {
            subscription.run(&shutdown, age_max).await;
            drop(stream);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_head(
        &self,
        request: Request<GetHeadRequest>,
    ) -> std::result::Result<Response<GetHeadResponse>, Status> {
        let Log { kit: log, .. } = self.log(&request, &request.get_ref().source)?;
        log.admit(&request).await?;
        // What is settled before the end is looked at stands before that end.
        let settling = log.retry(|| is_settling(&log)).await?;
        let heads = log.retry(|| heads(&log)).await?;
        Ok(Response::new(GetHeadResponse {
            consistency_token: Token::of(log.source(), &heads).encode(),
            positions: to_proto(log.source(), &heads),
            settling,
        }))
    }
}

/// Whether events will come of what is written, without anybody's call.
async fn is_settling(log: &Kit) -> Result<bool> {
    let Some(facts) = log.facts() else { return Ok(false) };
    let mut tx = log.database().begin_read().await?;
    let is_settled = facts.is_settled(&mut tx).await?;
    tx.rollback().await?;
    Ok(!is_settled)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::identity::caller::Caller;

    #[tokio::test]
    async fn only_streams_of_others_take_places() {
        let feeds = EventFeeds::new(Shutdown::new(), None, Budget::new(1 << 20));
        let from = |caller, address| {
            let (method, trace) = (String::new(), String::new());
            Call { method, caller, address, token: None, deadline: None, trace }
        };
        let elsewhere = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let other = from(Caller::default(), elsewhere);
        let taken: Vec<_> = (0..STREAMS_MAX).map(|_| feeds.place(&other).unwrap()).collect();
        assert!(taken.iter().all(Option::is_some));
        assert_eq!(feeds.place(&other).unwrap_err().code(), tonic::Code::ResourceExhausted);
        for own in [from(Caller::service("assessment"), elsewhere), from(Caller::default(), None)] {
            assert!(feeds.place(&own).unwrap().is_none(), "{own:?}");
        }
        drop(taken);
        assert!(feeds.place(&other).unwrap().is_some());
    }
}
