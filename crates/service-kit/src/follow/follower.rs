//! One follower: one shard of one log, by one instance. What: waits until this instance holds the shard, then
//! subscribes from the shard's cursor and applies response by response, until the shard is lost or the process ends.
//! Why a follower that loses its shard is simply dropped: what it had not committed was never there, and the
//! compare-and-set on the cursor keeps two holders from applying one event twice.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{Start, SubscribeRequest, SubscribeResponse, event_feed_client::EventFeedClient},
};
use shipei_store::{Cursor, Positions, StoreError, crypto, cursor};
use tokio::{sync::watch, time::Instant};
use tokio_stream::StreamExt as _;
use tonic::{Request, Status, Streaming, metadata::MetadataValue, transport::Channel};

use crate::{
    answer::{
        error::{Error, Result},
        status::{reason_name, reason_of},
    },
    call::consistency::from_proto,
    feed::wire::{MESSAGE_BYTES_MAX, PROGRESS_INTERVAL, SOURCE_HEADER},
    follow::{projector::Projector, retracted},
    shutdown::Shutdown,
    telemetry::{
        metrics,
        traces::{self, Span},
    },
    write::{kit::Kit, origin::Origin, unit::Unit},
};

/// What the span of an opened stream is called.
const SUBSCRIBE: &str = "shipei.event.v1.EventFeed/Subscribe";

/// The events after which a transaction takes no further responses.
const EVENTS_PER_TRANSACTION: usize = 2000;
/// The first pause after a broken stream; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The pause from which on it is said that a log can't be followed: a restart of its service is over before.
const TROUBLE_AFTER: Duration = Duration::from_secs(1);
/// A stream that is silent for longer is broken: the server promises a message each [`PROGRESS_INTERVAL`].
const SILENCE_MAX: Duration = Duration::from_secs(3 * PROGRESS_INTERVAL.as_secs());
/// How long a cursor that only moved over unwanted events waits to be kept, for what may come meanwhile.
const PROGRESS_KEPT_AFTER: Duration = Duration::from_millis(100);

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

/// A part of a log's partitions.
pub(crate) struct Shard {
    /// What the log's cursors are kept under.
    pub(crate) stream: String,
    pub(crate) number: i64,
    /// All when empty.
    pub(crate) partitions: Vec<u32>,
    /// Whether it was said that this log can't be followed; all its shards say it once.
    pub(crate) trouble: Arc<AtomicBool>,
}

pub(crate) struct Follower<P> {
    kit: Kit,
    channel: Channel,
    projector: Arc<P>,
    source: &'static str,
    shard: Shard,
    cursor: Cursor,
    /// Whether the last batch could not be applied.
    has_failed: bool,
}

/// How one stream ended.
enum Ended {
    /// The server closed it, as it does now and then.
    Closed,
    /// Another instance has moved the cursor.
    Overtaken,
    Failed(Failure),
    Refused(Status),
}

/// What went wrong here, and with which event, or those behind it.
struct Failure {
    error: Error,
    first_event: Option<String>,
}

fn reason_is(status: &Status, reason: ErrorReason) -> bool {
    reason_of(status).as_deref() == Some(reason_name(reason))
}

impl<P: Projector> Follower<P> {
    /// Of a shard of the projector's log.
    pub(crate) fn new(kit: &Kit, channel: Channel, projector: Arc<P>, shard: Shard) -> Self {
        Self {
            kit: kit.clone(),
            channel,
            source: projector.source(),
            projector,
            shard,
            cursor: Cursor::default(),
            has_failed: false,
        }
    }

    /// Follows whenever this instance holds the shard, until shutdown.
    pub(crate) async fn run(mut self, mut held: watch::Receiver<BTreeSet<i64>>, shutdown: &Shutdown) {
        let shard = self.shard.number;
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                _ = held.wait_for(|held| held.contains(&shard)) => {}
            }
            tokio::select! {
                () = shutdown.begun() => return,
                _ = held.wait_for(|held| !held.contains(&shard)) => {}
                () = self.keep_following() => {}
            }
        }
    }

    /// Opens the stream again and again; never returns.
    async fn keep_following(&mut self) {
        let mut pause = PAUSE_FIRST;
        loop {
            let mut progressed = false;
            let ended = self.follow_once(&mut progressed).await;
            if progressed {
                pause = PAUSE_FIRST;
            }
            self.tell(ended, pause).await;
            tokio::time::sleep(crypto::jitter(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Says how a stream ended, as loudly as it deserves.
    async fn tell(&self, ended: Ended, pause: Duration) {
        let (consumer, source, shard) = (self.kit.source(), self.source, self.shard.number);
        match ended {
            Ended::Closed => {
                tracing::debug!(consumer, source, shard, "the stream was closed, opening it again")
            }
            Ended::Overtaken => tracing::debug!(consumer, source, shard, "another instance moved the cursor"),
            Ended::Failed(error) => {
                let first_event = error.first_event.as_deref().unwrap_or_default();
                let error = &error.error;
                tracing::error!(consumer, source, shard, first_event, %error, "events could not be applied");
            }
            Ended::Refused(status) if reason_is(&status, ErrorReason::EpochChanged) => {
                // A person must decide; this goes on asking, so that nothing has to be started again then.
                tracing::error!(
                    consumer,
                    source,
                    shard,
                    reason = reason_name(ErrorReason::EpochChanged),
                    "the log of {source} was restored or replaced: what {consumer} learned from it may be wrong, and it \
                     learns nothing more until it is stopped, `shipei relearn {consumer}` has cleared that, and it is \
                     started again"
                );
            }
            Ended::Refused(status) if reason_is(&status, ErrorReason::CursorCompacted) => {
                tracing::error!(
                    consumer,
                    source,
                    shard,
                    reason = reason_name(ErrorReason::CursorCompacted),
                    "the log of {source} does not keep any more what {consumer} has not learned yet: it learns nothing more, since \
                     what it would come to would be wrong; restore a back-up of {consumer} that had learned it"
                );
            }
            Ended::Refused(status)
                if reason_is(&status, ErrorReason::InvalidCursor)
                    || reason_is(&status, ErrorReason::CursorFilterMismatch) =>
            {
                tracing::warn!(
                    consumer,
                    source,
                    shard,
                    "the cursor is of another key or other types of events: starting from the first event"
                );
                if let Err(error) = self.forget_cursor().await {
                    tracing::warn!(consumer, source, shard, %error, "the cursor could not be forgotten");
                }
            }
            // Streams end now and then, so that load spreads; one that can't be opened again is another matter.
            Ended::Refused(status) => {
                let (code, error) = (status.code(), status.message());
                if pause >= TROUBLE_AFTER && !self.shard.trouble.swap(true, Ordering::Relaxed) {
                    tracing::warn!(consumer, source, ?code, error, "the log can't be followed; trying again");
                } else {
                    tracing::debug!(
                        consumer,
                        source,
                        shard,
                        ?code,
                        error,
                        "the stream broke, opening it again"
                    );
                }
            }
        }
    }

    async fn follow_once(&mut self, progressed: &mut bool) -> Ended {
        if let Err(error) = self.load_cursor().await {
            return Ended::Failed(Failure { error, first_event: None });
        }
        let mut responses = match self.subscribe().await {
            Ok(responses) => responses,
            Err(status) => return Ended::Refused(status),
        };
        if self.shard.trouble.swap(false, Ordering::Relaxed) {
            tracing::info!(consumer = self.kit.source(), source = self.source, "the log is followed again");
        }
        // Only now: what the source does not take may be of another filter, and then less is known than it says.
        self.kit.applied().publish(self.source, &self.cursor.positions);
        // Progress over unwanted events that is not kept yet, and when it will be.
        let mut unkept: Option<(Instant, SubscribeResponse)> = None;
        loop {
            let wait_until = match &unkept {
                Some((keep_at, _)) => *keep_at,
                None => Instant::now() + SILENCE_MAX,
            };
            let next = tokio::time::timeout_at(wait_until, responses.next()).await;
            let (batch, ended) = match (next, unkept.take()) {
                (Ok(Some(Ok(response))), progress) => {
                    // After a failure what comes is applied in small pieces: it may have been too much at once.
                    let (batch, ended) = match self.has_failed {
                        true => (response, None),
                        false => take_ready(response, &mut responses),
                    };
                    self.publish(&batch);
                    if batch.events.is_empty() && ended.is_none() && self.is_news(&batch) {
                        let keep_at = match progress {
                            Some((keep_at, _)) => keep_at,
                            None => Instant::now() + PROGRESS_KEPT_AFTER,
                        };
                        if Instant::now() < keep_at {
                            unkept = Some((keep_at, batch));
                            continue;
                        }
                    }
                    (batch, ended)
                }
                (Err(_), Some((_, progress))) => (progress, None),
                (Ok(Some(Err(status))), _) => return Ended::Refused(status),
                (Ok(None), _) => return Ended::Closed,
                (Err(_), None) => return Ended::Refused(Status::unavailable("the stream is silent")),
            };
            if !batch.events.is_empty() || self.is_news(&batch) {
                let applied = self.apply(&batch).await;
                self.has_failed = !matches!(applied, Ok(true));
                match applied {
                    Ok(true) => {}
                    Ok(false) => return Ended::Overtaken,
                    Err(error) => {
                        let first_event = batch.events.first().map(|event| event.id.clone());
                        return Ended::Failed(Failure { error, first_event });
                    }
                }
            }
            *progressed = true;
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    /// Does it say more than the kept cursor, to instances that can only read that?
    fn is_news(&self, batch: &SubscribeResponse) -> bool {
        self.kit.database().is_postgres()
            && !self.cursor.positions.covers(&from_proto(self.source, &batch.positions))
    }

    /// What has no events is known as soon as it is heard; the rest when it is applied.
    fn publish(&self, batch: &SubscribeResponse) {
        if batch.events.is_empty() {
            self.kit.applied().publish(self.source, &from_proto(self.source, &batch.positions));
        }
    }

    async fn load_cursor(&mut self) -> Result<()> {
        let kit = self.kit.clone();
        let (stream, shard) = (self.shard.stream.as_str(), self.shard.number);
        let loading = kit.retry(|| async {
            let mut tx = kit.database().begin_read().await?;
            let cursor = cursor::load(&mut tx, stream, shard).await?;
            tx.rollback().await?;
            Ok::<_, Error>(cursor)
        });
        self.cursor = loading.await?;
        Ok(())
    }

    /// The kept cursor is of no use: nothing counts as applied until it is applied again.
    async fn forget_cursor(&self) -> Result<()> {
        let admitted = self.kit.admit_itself(String::new());
        let nothing = Positions::new();
        let forgetting = self.kit.retry(|| {
            let origin = Origin::of(&admitted, self.source);
            self.kit.transact(&admitted, origin, |mut unit| async {
                self.move_cursor(&mut unit, "", &nothing).await?;
                Ok((unit, ()))
            })
        });
        forgetting.await.map(|_| ())
    }

    /// False when another instance has moved it.
    async fn move_cursor(&self, unit: &mut Unit, token: &str, positions: &Positions) -> Result<bool> {
        let (shard, version) = (&self.shard, self.cursor.version);
        Ok(cursor::advance(&mut unit.tx, &shard.stream, shard.number, version, token, positions).await?)
    }

    async fn subscribe(&self) -> std::result::Result<Streaming<SubscribeResponse>, Status> {
        let mut client =
            EventFeedClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let cursor = self.cursor.token.clone();
        let mut request = Request::new(SubscribeRequest {
            source: self.source.to_owned(),
            cursor,
            types: retracted::with_retractions(self.projector.types()),
            partitions: self.shard.partitions.clone(),
            // What is learned from a part of a log would be wrong.
            start: if self.cursor.token.is_empty() { Start::First } else { Start::Unspecified }.into(),
            ..SubscribeRequest::default()
        });
        self.kit.introduce(request.metadata_mut())?;
        request.metadata_mut().insert(SOURCE_HEADER, MetadataValue::from_static(self.source));
        let span = Span::client(SUBSCRIBE);
        span.in_scope(|| traces::carry(request.metadata_mut()));
        // A load balancer may keep a call waiting for an instance that has frozen.
        let subscribing = tokio::time::timeout(SILENCE_MAX, client.subscribe(request));
        let silent = |_| Err(Status::unavailable("nobody answers"));
        let subscribed = span.around(async { subscribing.await.unwrap_or_else(silent) }).await;
        Ok(subscribed.inspect_err(|status| span.fail(status.code().description()))?.into_inner())
    }

    /// Applies one response; false when another instance has moved the cursor.
    async fn apply(&mut self, response: &SubscribeResponse) -> Result<bool> {
        let positions = from_proto(self.source, &response.positions);
        let (consumer, count) = (self.kit.source(), response.events.len());
        let traceparents = response.events.iter().map(|event| event.trace_parent.as_str());
        let span = Span::consumer(consumer, self.source, count, traceparents);
        let begun = Instant::now();
        // Before the time of the attempt begins.
        let turn = self.kit.share().turn().await;
        let applying = self.kit.retry(|| self.apply_once(response, &positions));
        match span.around(applying).await.inspect_err(|_| span.fail("not applied")) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(Error::Store(error @ StoreError::CommitOutcomeUnknown(_))) => {
                // The cursor says which it was.
                tracing::warn!(source = self.source, %error, "it is not known whether events were applied");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        drop(turn);
        metrics::batch_size("events applied", count);
        metrics::applied(consumer, self.source, begun.elapsed());
        self.kit.applied().publish(self.source, &positions);
        self.cursor.version += 1;
        self.cursor.token.clone_from(&response.cursor);
        self.cursor.positions = positions;
        Ok(true)
    }

    /// One transaction: the cursor, what the events mean, and the events that follow from them. False when the
    /// cursor was moved by another, and nothing was written.
    async fn apply_once(&self, response: &SubscribeResponse, positions: &Positions) -> Result<bool> {
        // What follows from the events is a part of the batch's trace.
        let admitted = self.kit.admit_itself(traces::traceparent());
        let origin = Origin::of(&admitted, self.source);
        let committed = self.kit.transact(&admitted, origin, |mut unit| async {
            // First, so that two holders of one cursor meet here and not among the facts.
            let moved = self.move_cursor(&mut unit, &response.cursor, positions).await?;
            if moved && !response.events.is_empty() {
                let events = retracted::learn(&mut unit, self.source, &response.events).await?;
                self.projector.apply(&mut unit, &events).await?;
            }
            Ok((unit, moved))
        });
        Ok(committed.await?.value)
    }
}
