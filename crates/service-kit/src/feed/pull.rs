//! The event log in single calls, for who can't hold a stream: the same events, cursors and promises.

use std::time::Duration;

use shipei_contracts::event::v1::{PullEventsRequest, PullEventsResponse, SubscribeRequest};
use shipei_store::StoreError;
use tokio::time::Instant;

use crate::{
    answer::{
        convert::Fields,
        error::{Error, Result},
    },
    call::admit::Admitted,
    feed::{
        heads::{self, Heads},
        pace::Turns,
        reader::{EVENTS_PER_RESPONSE_MAX, Reader, Room},
    },
    shutdown::Shutdown,
};

/// The longest that a call waits for something to happen.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// What of a call's deadline is left for its answer.
const ANSWER_TIME: Duration = Duration::from_millis(200);
/// The bytes of one answer, about.
const BYTES_MAX: usize = 512 * 1024;

/// How much a call wants, and how long it waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    events_max: usize,
    wait: Duration,
}

impl Patience {
    /// Reads and checks what a request says of it.
    pub(crate) fn of(request: &PullEventsRequest) -> Result<Self> {
        let mut fields = Fields::new();
        let most = i64::try_from(EVENTS_PER_RESPONSE_MAX).unwrap_or(i64::MAX);
        let events = fields.integer("max_events", i64::from(request.max_events), 0..=most);
        let wait = match request.wait.map(Duration::try_from) {
            None => Some(Duration::ZERO),
            Some(Ok(wait)) if wait <= WAIT_MAX => Some(wait),
            Some(_) => fields.fault("wait", "must be from 0 to 30 s"),
        };
        let (events, wait) = fields.all((events, wait))?;
        let events_max = usize::try_from(events).ok().filter(|events| *events > 0);
        Ok(Self { events_max: events_max.unwrap_or(EVENTS_PER_RESPONSE_MAX), wait })
    }
}

/// What of a request a stream would be asked for.
pub(crate) fn as_stream(request: PullEventsRequest) -> SubscribeRequest {
    let PullEventsRequest { source, cursor, types, region_codes, partitions, start, programme_ids, .. } =
        request;
    let start_time = request.start_time;
    SubscribeRequest { source, cursor, types, region_codes, partitions, start, programme_ids, start_time }
}

/// Answers with what is there, or with what comes while it waits.
pub(crate) async fn pull(
    admitted: &Admitted,
    mut reader: Reader,
    heads: &Heads,
    turns: &Turns,
    patience: Patience,
    shutdown: &Shutdown,
) -> Result<PullEventsResponse> {
    let mut until = Instant::now() + patience.wait;
    if let Some(deadline) = admitted.call().deadline {
        until = until.min(deadline.checked_sub(ANSWER_TIME).unwrap_or(deadline));
    }
    let room = Room { events: patience.events_max, bytes: BYTES_MAX };
    let log = reader.log.clone();
    // Made before the first read: what is written between reading and waiting must not be slept over.
    let mut moved = heads.listener();
    let mut verified = false;
    loop {
        moved.borrow_and_update();
        let ends = log.retry(|| heads::heads(&log)).await?;
        let mut behind = reader.behind(&ends)?;
        while !behind.is_empty() {
            let reading = reader.read(&mut behind, &ends, room, !verified);
            let reading = tokio::time::timeout(log.database().attempt_time_max(), reading);
            let (read, _turn) = turns.read(reading).await;
            let events = read.map_err(|_| Error::Store(StoreError::no_answer()))??;
            verified = true;
            // Much that nobody wants may lie before the next event: the cursor says how far this has come.
            if !events.is_empty() || Instant::now() >= until {
                return Ok(answer(&reader, events, behind.is_empty()));
            }
        }
        tokio::select! {
            () = shutdown.begun() => return Ok(answer(&reader, Vec::new(), true)),
            () = tokio::time::sleep_until(until) => return Ok(answer(&reader, Vec::new(), true)),
            _ = moved.changed() => {}
        }
    }
}

fn answer(
    reader: &Reader,
    events: Vec<shipei_contracts::event::v1::Event>,
    caught_up: bool,
) -> PullEventsResponse {
    PullEventsResponse { events, cursor: reader.cursor(), positions: reader.positions_told(), caught_up }
}
