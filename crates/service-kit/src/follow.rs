//! Learning from another service's log. What: a [`Projector`] says which events it wants and writes what they mean
//! here; [`follow`] subscribes, applies each response in ONE transaction together with the cursor's move, and
//! tells waiting calls how far this service has come. Why the cursor moves by compare-and-set in that transaction:
//! two instances that follow the same log can't both apply, and a killed one loses nothing. To learn from one more
//! log: one more projector.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use prost::{Message, Name};
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{Event, SubscribeRequest, SubscribeResponse, event_feed_client::EventFeedClient},
};
use shipei_store::{Cursor, Positions, StoreError, crypto, cursor};
use tokio::{task::JoinHandle, time::Instant};
use tokio_stream::StreamExt as _;
use tonic::{Request, Status, Streaming, metadata::MetadataValue, transport::Channel};

use crate::{
    access::{CALLER_HEADER, Caller},
    call::Call,
    consistency::from_proto,
    error::{Error, Result},
    event_feed::SOURCE_HEADER,
    kit::{Kit, append},
    retry::retry,
    server::MESSAGE_BYTES_MAX,
    shutdown::Shutdown,
    status::{reason_name, reason_of},
    subscription::PROGRESS_INTERVAL,
    telemetry::{metrics, traces, traces::Span},
    unit::Unit,
};

/// The shard of a follower that follows a whole log.
pub const WHOLE_LOG: i64 = 0;
/// What the span of an opened stream is called.
const SUBSCRIBE: &str = "shipei.event.v1.EventFeed/Subscribe";
/// The events after which a transaction takes no further responses.
const EVENTS_PER_TRANSACTION: usize = 2000;
/// The first pause after a broken stream; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A stream that is silent for longer is broken: the server promises a message each [`PROGRESS_INTERVAL`].
const SILENCE_MAX: Duration = Duration::from_secs(3 * PROGRESS_INTERVAL.as_secs());

/// What a service makes of another one's events.
#[tonic::async_trait]
pub trait Projector: Send + Sync + 'static {
    /// The service whose log it is, e.g. `enrollment`.
    fn source(&self) -> &'static str;

    /// The event types that it wants (full message names); empty for all. After this list has changed, the log is
    /// applied again from its first event.
    fn types(&self) -> Vec<String>;

    /// Writes what the events mean, into the unit's transaction; may emit events of its own. May be rolled back
    /// and run again, and may see events again after [`Projector::types`] or the keys have changed: write upserts.
    ///
    /// # Errors
    /// Anything that goes wrong; it is logged and tried again, since an event can't be skipped.
    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()>;
}

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// The process ends.
    Shutdown,
    /// The log was restored or replaced: what was learned from it may be wrong, and a person must decide.
    EpochChanged,
}

/// Follows a whole log until shutdown. Register before serving: calls wait for this log from the moment that this
/// function returns.
pub fn follow<P: Projector>(
    kit: &Kit,
    channel: Channel,
    projector: P,
    shutdown: &Shutdown,
) -> JoinHandle<Option<Followed>> {
    follow_shard(kit, channel, projector, shutdown, WHOLE_LOG, Vec::new())
}

/// Follows some partitions of a log (all when empty) under a cursor of their own, named by `shard`.
pub fn follow_shard<P: Projector>(
    kit: &Kit,
    channel: Channel,
    projector: P,
    shutdown: &Shutdown,
    shard: i64,
    partitions: Vec<u32>,
) -> JoinHandle<Option<Followed>> {
    kit.applied().register(projector.source());
    let follower = Follower {
        kit: kit.clone(),
        channel,
        source: projector.source(),
        projector: Arc::new(projector),
        shard,
        partitions,
        cursor: Cursor::default(),
        start_over: false,
    };
    let own = shutdown.clone();
    shutdown.spawn(async move { follower.run(&own).await })
}

/// The message in an event, if the event is of that type.
///
/// # Errors
/// [`Error::Internal`] when the event says it is and can't be read.
pub fn decode<M: Message + Name + Default>(event: &Event) -> Result<Option<M>> {
    if !is_of_type::<M>(&event.r#type) {
        return Ok(None);
    }
    let data = event.data.as_ref().map_or(&[][..], |data| data.value.as_slice());
    match M::decode(data) {
        Ok(message) => Ok(Some(message)),
        Err(error) => Err(Error::Internal(format!("event {} of {}: {error}", event.id, event.source))),
    }
}

fn is_of_type<M: Name>(name: &str) -> bool {
    let prefix = name.strip_suffix(M::NAME).and_then(|rest| rest.strip_suffix('.'));
    prefix == Some(M::PACKAGE)
}

/// Takes what has arrived meanwhile into one batch: a commit costs the same for one event as for a thousand. Also
/// says if the stream has ended behind it.
fn take_ready(
    first: SubscribeResponse,
    responses: &mut Streaming<SubscribeResponse>,
) -> (SubscribeResponse, Option<Ended>) {
    let mut batch = first;
    while batch.events.len() < EVENTS_PER_TRANSACTION {
        match responses.next().now_or_never() {
            None => break,
            Some(None) => return (batch, Some(Ended::Closed)),
            Some(Some(Err(status))) => return (batch, Some(Ended::Refused(status))),
            Some(Some(Ok(mut later))) => {
                batch.events.append(&mut later.events);
                batch.cursor = later.cursor;
                batch.positions = later.positions;
            }
        }
    }
    (batch, None)
}

struct Follower<P> {
    kit: Kit,
    channel: Channel,
    projector: Arc<P>,
    source: &'static str,
    shard: i64,
    partitions: Vec<u32>,
    cursor: Cursor,
    /// The kept cursor is of no use; begin at the first event.
    start_over: bool,
}

/// How one stream ended.
enum Ended {
    /// The server closed it, as it does now and then.
    Closed,
    /// Another instance has moved the cursor.
    Overtaken,
    Failed(Error),
    Refused(Status),
}

impl<P: Projector> Follower<P> {
    async fn run(mut self, shutdown: &Shutdown) -> Followed {
        let mut pause = PAUSE_FIRST;
        loop {
            let mut progressed = false;
            let ended = tokio::select! {
                () = shutdown.begun() => return Followed::Shutdown,
                ended = self.follow_once(&mut progressed) => ended,
            };
            if progressed {
                pause = PAUSE_FIRST;
            }
            let source = self.source;
            match ended {
                Ended::Closed => tracing::debug!(source, "the stream was closed, opening it again"),
                Ended::Overtaken => tracing::debug!(source, "another instance moved the cursor"),
                Ended::Failed(error) => tracing::error!(source, %error, "events could not be applied"),
                Ended::Refused(status) => {
                    let reason = reason_of(&status).unwrap_or_default();
                    if reason == reason_name(ErrorReason::EpochChanged) {
                        tracing::error!(
                            source,
                            "the log was restored or replaced: what was learned from it may be wrong. Following \
                             has stopped; clear this service's facts and cursor of that source, and start again"
                        );
                        return Followed::EpochChanged;
                    }
                    if reason == reason_name(ErrorReason::InvalidCursor) && !self.start_over {
                        tracing::warn!(
                            source,
                            "the cursor is of another filter or key: starting from the first event"
                        );
                        self.start_over = true;
                        continue;
                    }
                    tracing::warn!(source, code = ?status.code(), reason, "the stream broke");
                }
            }
            tokio::select! {
                () = shutdown.begun() => return Followed::Shutdown,
                () = tokio::time::sleep(crypto::jitter(pause)) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn follow_once(&mut self, progressed: &mut bool) -> Ended {
        if let Err(error) = self.load_cursor().await {
            return Ended::Failed(error);
        }
        let mut responses = match self.subscribe().await {
            Ok(responses) => responses,
            Err(status) => return Ended::Refused(status),
        };
        loop {
            let first = match tokio::time::timeout(SILENCE_MAX, responses.next()).await {
                Ok(Some(Ok(response))) => response,
                Ok(Some(Err(status))) => return Ended::Refused(status),
                Ok(None) => return Ended::Closed,
                Err(_) => return Ended::Refused(Status::unavailable("the stream is silent")),
            };
            let (batch, ended) = take_ready(first, &mut responses);
            let positions = from_proto(self.source, &batch.positions);
            if !batch.events.is_empty() {
                match self.apply(&batch, &positions).await {
                    Ok(true) => {}
                    Ok(false) => return Ended::Overtaken,
                    Err(error) => return Ended::Failed(error),
                }
            }
            *progressed = true;
            self.kit.applied().publish(self.source, &positions);
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    async fn load_cursor(&mut self) -> Result<()> {
        let mut tx = self.kit.database().begin_read().await?;
        self.cursor = cursor::load(&mut tx, self.source, self.shard).await?;
        tx.rollback().await?;
        self.kit.applied().publish(self.source, &self.cursor.positions);
        Ok(())
    }

    async fn subscribe(&self) -> std::result::Result<Streaming<SubscribeResponse>, Status> {
        let mut client =
            EventFeedClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let cursor = if self.start_over { String::new() } else { self.cursor.token.clone() };
        let mut request = Request::new(SubscribeRequest {
            source: self.source.to_owned(),
            cursor,
            types: self.projector.types(),
            region_codes: Vec::new(),
            partitions: self.partitions.clone(),
        });
        if let Ok(caller) = MetadataValue::try_from(Caller::service(self.kit.source()).to_string()) {
            request.metadata_mut().insert(CALLER_HEADER, caller);
        }
        request.metadata_mut().insert(SOURCE_HEADER, MetadataValue::from_static(self.source));
        let span = Span::client(SUBSCRIBE);
        span.in_scope(|| traces::carry(request.metadata_mut()));
        let subscribed = span.around(client.subscribe(request)).await;
        Ok(subscribed.inspect_err(|status| span.fail(status.code().description()))?.into_inner())
    }

    /// Applies one response; false when another instance has moved the cursor.
    async fn apply(&mut self, response: &SubscribeResponse, positions: &Positions) -> Result<bool> {
        let (consumer, count) = (self.kit.source(), response.events.len());
        let traceparents = response.events.iter().map(|event| event.trace_parent.as_str());
        let span = Span::consumer(consumer, self.source, count, traceparents);
        let begun = Instant::now();
        let applying = retry(consumer, || self.apply_once(response, positions));
        let emitted = match span.around(applying).await.inspect_err(|_| span.fail("not applied")) {
            Ok(Some(emitted)) => emitted,
            Ok(None) => return Ok(false),
            // The cursor says which it was.
            Err(Error::Store(StoreError::CommitOutcomeUnknown(_))) => return Ok(false),
            Err(error) => return Err(error),
        };
        metrics::batch_size("events applied", count);
        metrics::applied(consumer, self.source, begun.elapsed());
        if emitted {
            self.kit.wake().notify();
        }
        self.start_over = false;
        self.cursor.version += 1;
        Ok(true)
    }

    /// One transaction: the cursor, what the events mean, and the events that follow from them. None when the
    /// cursor was moved by another; else whether events were emitted.
    async fn apply_once(&self, response: &SubscribeResponse, positions: &Positions) -> Result<Option<bool>> {
        let mut tx = self.kit.database().begin_write().await?;
        let version = self.cursor.version;
        // First, so that two holders of one cursor meet here and not among the facts.
        let moved =
            cursor::advance(&mut tx, self.source, self.shard, version, &response.cursor, positions).await?;
        if !moved {
            tx.rollback().await?;
            return Ok(None);
        }
        let now = self.kit.clock().now();
        let caller = Caller::service(self.kit.source());
        let actor = caller.to_string().into();
        // What follows from the events is a part of the batch's trace.
        let call = Arc::new(Call { caller, trace: traces::traceparent(), ..Call::default() });
        let mut unit = Unit::new(tx, now, now, call, actor, self.source.into());
        self.projector.apply(&mut unit, &response.events).await?;
        let (mut tx, events) = unit.into_parts();
        append(&mut tx, &events, now).await?;
        tx.commit().await?;
        Ok(Some(!events.is_empty()))
    }
}
