//! One consumer's stream over one log. What: reads what lies between the consumer's positions and the heads, by
//! partition, filtered, and seals where it stands into a cursor. Why the listener is made before the first read:
//! an append between reading and waiting must not be slept over. Why a cursor has marks: a log that was restored from a
//! back-up and written on has other events at the places that its readers remember, and must not pass for the same log.

use std::time::Duration;

use prost::Message;
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{Event, Start, SubscribeRequest, SubscribeResponse},
};
use shipei_store::{LogPosition, Marks, Partition, Positions, StoreError, Tx, event_log, event_log::Wanted};
use tokio::{sync::mpsc, time::Instant};
use tonic::Status;

use crate::{
    answer::{
        convert::to_timestamp,
        error::{Error, Refusal, Result},
        status::deadline_exceeded,
    },
    call::{
        admit::Admitted,
        consistency::to_proto,
        metadata::until,
        reach::{AsOf, Columns, Reach},
    },
    feed::{
        filter::Filter,
        heads::{self, Heads},
        pace::{Pace, TURN_TIME_MAX},
        wire::PROGRESS_INTERVAL,
    },
    shutdown::Shutdown,
    telemetry::Sometimes,
    write::{event::to_event, kit::Kit},
};

/// The most events of one response.
pub const EVENTS_PER_RESPONSE_MAX: usize = 500;
/// The most reads of one transaction, each of some thousand numbers of a partition.
const READS_PER_TRANSACTION_MAX: usize = 64;
/// What an event takes in memory besides its data, roughly, bytes: the message and its short texts.
const EVENT_OVERHEAD_BYTES: usize = 700;
/// What an event belongs to.
pub(super) const OF_EVENTS: Columns = Columns {
    programme: "event.programme",
    region: "event.region",
    class: "",
    person: "",
    subject: "",
    as_of: AsOf::Row("event.occurred_at"),
};
/// What a cursor says inside its seal.
#[derive(Clone, PartialEq, Message)]
struct CursorBody {
    #[prost(string, tag = "1")]
    epoch: String,
    #[prost(bytes = "vec", tag = "2")]
    positions: Vec<u8>,
    /// The digest of the marks at the positions.
    #[prost(bytes = "vec", tag = "3")]
    marks: Vec<u8>,
}

/// A running stream.
#[derive(Debug)]
pub(crate) struct Subscription {
    admitted: Admitted,
    log: Kit,
    heads: Heads,
    filter: Filter,
    /// How far the consumer may see.
    reach: Reach,
    epoch: String,
    positions: Positions,
    /// Of the events at the positions.
    marks: Marks,
    /// What the consumer was told last.
    told: Positions,
    told_at: Instant,
    responses: mpsc::Sender<std::result::Result<SubscribeResponse, Status>>,
    pace: Pace,
}

/// The consumer is gone.
struct Gone;

impl Subscription {
    /// Opens the cursor.
    pub(crate) async fn begin(
        admitted: Admitted,
        log: Kit,
        heads: Heads,
        filter: Filter,
        request: &SubscribeRequest,
        responses: mpsc::Sender<std::result::Result<SubscribeResponse, Status>>,
        pace: Pace,
    ) -> Result<Self> {
        let opening = log.retry(|| open_cursor(&log, &admitted, &filter, request));
        let (reach, (epoch, positions, marks)) = opening.await?;
        let told = positions.clone();
        Ok(Self {
            admitted,
            log,
            heads,
            filter,
            reach,
            epoch,
            positions,
            marks,
            told,
            told_at: Instant::now(),
            responses,
            pace,
        })
    }

    /// Streams until the consumer goes, the server ends, the deadline passes, or the stream is old.
    pub(crate) async fn run(mut self, shutdown: &Shutdown, age_max: Option<Duration>) {
        let (responses, deadline) = (self.responses.clone(), self.admitted.call().deadline);
        let oldest = age_max.and_then(|age| Instant::now().checked_add(age));
        let last_word = tokio::select! {
            () = responses.closed() => None,
            // Not OK: who takes the end of an endless stream for all that there is would never come back.
            () = shutdown.begun() => Some(ended("this instance is going")),
            () = until(oldest) => Some(ended("this stream is old")),
            () = until(deadline) => Some(deadline_exceeded()),
            error = self.stream() => error.map(Status::from),
        };
        if let Some(status) = last_word {
            // The consumer may be slow or gone; the last word must not hold the task.
            if let Err(error) = responses.try_send(Err(status)) {
                tracing::debug!(%error, "a stream ended without its last word");
            }
        }
    }

    /// Streams until something fails; None when the consumer is gone.
    async fn stream(&mut self) -> Option<Error> {
        let mut listener = self.heads.listener();
        let failures = listener.borrow_and_update().failures;
        let log = self.log.clone();
        let mut heads = match log.retry(|| heads::heads(&log)).await {
            Ok(heads) => heads,
            Err(error) => return Some(error),
        };
        let mut caught_up_once = false;
        loop {
            match self.catch_up(&heads).await {
                Ok(Ok(())) => {}
                Ok(Err(Gone)) => return None,
                Err(error) => return Some(error),
            }
            if !caught_up_once || self.told != self.positions {
                self.tell(Vec::new()).await.ok()?;
                caught_up_once = true;
            }
            while tokio::time::timeout_at(self.told_at + PROGRESS_INTERVAL, listener.changed()).await.is_err()
            {
                self.tell(Vec::new()).await.ok()?;
            }
            {
                let seen = listener.borrow_and_update();
                if seen.failures != failures {
                    return Some(Error::Unavailable("the log's database does not answer".to_owned()));
                }
                heads.clone_from(&seen.positions);
            }
            if self.is_beyond(&heads) {
                // What is told may be a little older than what this stream has read itself.
                match log.retry(|| heads::heads(&log)).await {
                    Ok(own) => heads = own,
                    Err(error) => return Some(error),
                }
            }
        }
    }

    /// Has this stream read more than the log holds?
    fn is_beyond(&self, heads: &Positions) -> bool {
        self.filter.partitions.iter().any(|partition| heads.get(*partition) < self.positions.get(*partition))
    }

    /// Sends everything up to these heads.
    async fn catch_up(&mut self, heads: &Positions) -> Result<std::result::Result<(), Gone>> {
        if self.is_beyond(heads) {
            // The log has become shorter under a running stream.
            return Err(epoch_changed());
        }
        let mut behind = self.filter.partitions.clone();
        behind.retain(|partition| heads.get(*partition) > self.positions.get(*partition));
        let mut verified = false;
        while !behind.is_empty() {
            // Nothing is read before the consumer has taken what was read before.
            if self.responses.capacity() == 0 {
                Sometimes::PagedInsteadOfBuffered.happened();
            }
            let Ok(room) = self.responses.reserve().await else { return Ok(Err(Gone)) };
            drop(room);
            let (turns, time_max) = (self.pace.turns(), self.log.database().attempt_time_max());
            let reading = async {
                self.pace.taken();
                let reading = self.read_in_one_transaction(&mut behind, heads, !verified);
                tokio::time::timeout(time_max, reading).await
            };
            let (read, turn) = turns.read(reading).await;
            let Ok(events) = read else { return Err(Error::Store(StoreError::no_answer())) };
            let events = events?;
            verified = true;
            // No transaction is open while a slow consumer is waited for. Much that is not wanted is read over in several
            // of them, and the consumer is told now and then that this one is alive.
            let is_silent = self.told_at.elapsed() >= PROGRESS_INTERVAL;
            if (!events.is_empty() || is_silent) && self.tell(events).await.is_err() {
                return Ok(Err(Gone));
            }
            // What was read is made into bytes when it is taken, which is work too.
            if let Some(_turn) = turn {
                let _ = tokio::time::timeout(TURN_TIME_MAX, self.responses.reserve()).await;
            }
        }
        self.pace.rest();
        Ok(Ok(()))
    }

    async fn read_in_one_transaction(
        &mut self,
        behind: &mut Vec<Partition>,
        heads: &Positions,
        verify: bool,
    ) -> Result<Vec<Event>> {
        let mut tx = self.log.database().begin_read_of_log().await?;
        if verify {
            self.verify_marks(&mut tx, behind).await?;
        }
        let events = self.read_some(&mut tx, behind, heads).await?;
        tx.rollback().await?;
        Ok(events)
    }

    /// Are the events that this stream stands on still those that it has read? Another database may have taken over that
    /// lacked them, and have numbered others like them since.
    async fn verify_marks(&self, tx: &mut Tx, behind: &[Partition]) -> Result<()> {
        let mut read = Positions::new();
        for partition in behind {
            read.set(*partition, self.positions.get(*partition));
        }
        let marks = event_log::marks_at(tx, &read).await?;
        let is_same = |marks: &Marks| {
            read.iter().all(|(partition, _)| marks.get(partition) == self.marks.get(partition))
        };
        match marks {
            Some(marks) if is_same(&marks) => Ok(()),
            _ => Err(epoch_changed()),
        }
    }

    /// Reads up to one response from the partitions that are behind, and takes those off that are not any more.
    async fn read_some(
        &mut self,
        tx: &mut Tx,
        behind: &mut Vec<Partition>,
        heads: &Positions,
    ) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut bytes = 0_usize;
        let mut reads = 0;
        'partitions: while let Some(partition) = behind.last().copied() {
            let most = (self.pace.bytes() / EVENT_OVERHEAD_BYTES).min(EVENTS_PER_RESPONSE_MAX);
            let room = most.saturating_sub(events.len());
            if room == 0 || reads == READS_PER_TRANSACTION_MAX {
                break;
            }
            reads += 1;
            let after = self.positions.get(partition);
            let Filter { types, regions, programmes, .. } = &self.filter;
            let wanted = Wanted { types, regions, programmes };
            let reached = self.reach.over(OF_EVENTS);
            let batch = event_log::read_wanted(tx, (partition, after), room, wanted, &reached).await?;
            if batch.reached <= after {
                // The head said that there is more: the log has become shorter meanwhile.
                return Err(epoch_changed());
            }
            for stored in batch.events {
                bytes = bytes.saturating_add(stored.data.len() + EVENT_OVERHEAD_BYTES);
                if bytes > self.pace.bytes() && !events.is_empty() {
                    // Everything before this event was taken or filtered out.
                    let before = LogPosition { partition, number: stored.position.number - 1 };
                    if before.number > after {
                        let mark = event_log::mark_at(tx, before).await?;
                        self.move_to(before, mark.unwrap_or_default());
                    }
                    break 'partitions;
                }
                events.push(to_event(self.log.source(), stored));
            }
            self.move_to(LogPosition { partition, number: batch.reached }, batch.mark);
            if batch.reached >= heads.get(partition) {
                behind.pop();
            }
        }
        Ok(events)
    }

    fn move_to(&mut self, place: LogPosition, mark: u64) {
        self.positions.raise(place.partition, place.number);
        self.marks.set(place.partition, mark);
    }

    async fn tell(&mut self, events: Vec<Event>) -> std::result::Result<(), Gone> {
        let body = CursorBody {
            epoch: self.epoch.clone(),
            positions: self.positions.to_bytes(),
            marks: self.marks.digest(),
        };
        let body = body.encode_to_vec();
        let response = SubscribeResponse {
            events,
            cursor: self.log.cursor_tokens().seal(&self.filter.binding, &body),
            positions: to_proto(self.log.source(), &self.positions),
            sent_time: Some(to_timestamp(self.log.clock().now())),
        };
        self.responses.send(Ok(response)).await.map_err(|_| Gone)?;
        self.told = self.positions.clone();
        self.told_at = Instant::now();
        Ok(())
    }
}

/// The log is not the one that the cursor is of.
fn epoch_changed() -> Error {
    Sometimes::RefusedEpoch.happened();
    Refusal::new(ErrorReason::EpochChanged).field("cursor").into()
}

/// The end of a stream that goes on elsewhere.
fn ended(why: &str) -> Status {
    let refusal = Refusal::new(ErrorReason::StreamEnded);
    Error::from(refusal.because(format!("{why}: go on with the last cursor"))).into()
}

/// The log's epoch, and the place that the cursor, or the start, stands for.
async fn open_cursor(
    log: &Kit,
    admitted: &Admitted,
    filter: &Filter,
    request: &SubscribeRequest,
) -> Result<(Reach, Place)> {
    let mut tx = log.database().begin_read_of_log().await?;
    let reach = admitted.enter(&mut tx).await?;
    Ok((reach, open_place(log, tx, filter, request).await?))
}

/// A log's epoch, the positions of a stream, and the marks there.
type Place = (String, Positions, Marks);

async fn open_place(log: &Kit, mut tx: Tx, filter: &Filter, request: &SubscribeRequest) -> Result<Place> {
    let cursor = request.cursor.as_str();
    filter.check_regions(&mut tx, &request.region_codes).await?;
    let epoch = event_log::epoch(&mut tx).await?;
    if cursor.is_empty() && filter.start != Start::Now {
        return Ok((epoch, Positions::new(), Marks::default()));
    }
    if cursor.is_empty() {
        let heads = event_log::heads(&mut tx).await?;
        let mut end = Positions::new();
        for partition in filter.partitions.iter().filter(|partition| heads.get(**partition) > 0) {
            end.set(*partition, heads.get(*partition));
        }
        let marks = event_log::marks_at(&mut tx, &end).await?;
        tx.rollback().await?;
        let vanished = || Error::Unavailable("the end of the log changed while it was read".to_owned());
        return Ok((epoch, end, marks.ok_or_else(vanished)?));
    }
    let invalid = || Error::from(Refusal::new(ErrorReason::InvalidCursor).field("cursor"));
    let bytes = log.cursor_tokens().open(&filter.binding, cursor).map_err(|_| invalid())?;
    let body = CursorBody::decode(bytes.as_slice()).map_err(|_| invalid())?;
    let positions = Positions::from_bytes(&body.positions).map_err(|_| invalid())?;
    let marks = event_log::marks_at(&mut tx, &positions).await?;
    tx.rollback().await?;
    match marks {
        // A cursor of a version that had no marks is taken as it is; the next one has them.
        Some(marks) if body.epoch == epoch && (body.marks.is_empty() || body.marks == marks.digest()) => {
            Ok((epoch, positions, marks))
        }
        _ => Err(epoch_changed()),
    }
}
