//! One consumer's stream over one log. What: waits for the log's end to move, reads what lies before it (`Reader`), and tells
//! it. Why the listener is made before the first read: an append between reading and waiting must not be slept over.

use std::time::Duration;

use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{Event, SubscribeResponse},
};
use shipei_store::{Positions, StoreError};
use tokio::{sync::mpsc, time::Instant};
use tonic::Status;

use crate::{
    answer::{
        convert::to_timestamp,
        error::{Error, Refusal, Result},
        status::deadline_exceeded,
    },
    call::{admit::Admitted, metadata::until},
    feed::{
        heads::{self, Heads},
        pace::{Pace, TURN_TIME_MAX},
        reader::Reader,
        wire::PROGRESS_INTERVAL,
    },
    shutdown::Shutdown,
    telemetry::Sometimes,
};

/// A running stream.
#[derive(Debug)]
pub(crate) struct Subscription {
    admitted: Admitted,
    heads: Heads,
    reader: Reader,
    /// What the consumer was told last.
    told: Positions,
    told_at: Instant,
    responses: mpsc::Sender<std::result::Result<SubscribeResponse, Status>>,
    pace: Pace,
}

/// The consumer is gone.
struct Gone;

impl Subscription {
    /// Goes on from where the reader stands.
    pub(crate) fn of(
        admitted: Admitted,
        heads: Heads,
        reader: Reader,
        responses: mpsc::Sender<std::result::Result<SubscribeResponse, Status>>,
        pace: Pace,
    ) -> Self {
        let told = reader.positions().clone();
        Self { admitted, heads, reader, told, told_at: Instant::now(), responses, pace }
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
        let log = self.reader.log.clone();
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
            if !caught_up_once || self.told != *self.reader.positions() {
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
            if self.reader.is_beyond(&heads) {
                // What is told may be a little older than what this stream has read itself.
                match log.retry(|| heads::heads(&log)).await {
                    Ok(own) => heads = own,
                    Err(error) => return Some(error),
                }
            }
        }
    }

    /// Sends everything up to these heads.
    async fn catch_up(&mut self, heads: &Positions) -> Result<std::result::Result<(), Gone>> {
        let mut behind = self.reader.behind(heads)?;
        let mut verified = false;
        while !behind.is_empty() {
            // Nothing is read before the consumer has taken what was read before.
            if self.responses.capacity() == 0 {
                Sometimes::PagedInsteadOfBuffered.happened();
            }
            let Ok(room) = self.responses.reserve().await else { return Ok(Err(Gone)) };
            drop(room);
            let (turns, time_max) = (self.pace.turns(), self.reader.log.database().attempt_time_max());
            let reading = async {
                self.pace.taken();
                let reading = self.reader.read(&mut behind, heads, self.pace.room(), !verified);
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

    async fn tell(&mut self, events: Vec<Event>) -> std::result::Result<(), Gone> {
        let response = SubscribeResponse {
            events,
            cursor: self.reader.cursor(),
            positions: self.reader.positions_told(),
            sent_time: Some(to_timestamp(self.reader.log.clock().now())),
        };
        self.responses.send(Ok(response)).await.map_err(|_| Gone)?;
        self.told = self.reader.positions().clone();
        self.told_at = Instant::now();
        Ok(())
    }
}

/// The end of a stream that goes on elsewhere.
fn ended(why: &str) -> Status {
    let refusal = Refusal::new(ErrorReason::StreamEnded);
    Error::from(refusal.because(format!("{why}: go on with the last cursor"))).into()
}
