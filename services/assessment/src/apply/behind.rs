//! Whether scores wait: an event that is learned long after it was recorded, or together with many others, belongs to a log
//! that is being caught up with, and more about the same people is likely to follow. Then facts are written alone, and
//! `recompute/rescore.rs` scores everybody once when nothing of the kind has come for a moment.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use shipei_contracts::event::v1::Event;
use shipei_service_kit::convert::from_timestamp;
use tokio::{
    sync::watch,
    time::{Instant as Elapsed, timeout, timeout_at},
};

use crate::facts::Instant;

/// An event that is learned so long after it was recorded is of old.
const OLD_FROM: TimeDelta = TimeDelta::seconds(5);
/// So many events at once are caught up with, however new they are.
const MANY: usize = 250;
/// Without a batch that is behind for so long, the logs have been caught up with.
const QUIET: Duration = Duration::from_millis(25);
/// However much comes, scores are put off no longer.
const PUT_OFF_MAX: Duration = Duration::from_secs(60);

/// The batches of this process that are behind; clones count together.
#[derive(Debug, Clone)]
pub struct Behind {
    under_way: Arc<watch::Sender<u64>>,
}

/// A batch that is behind, while it is being applied.
#[derive(Debug)]
pub(super) struct PutOff<'behind>(&'behind Behind);

impl Default for Behind {
    fn default() -> Self {
        Self { under_way: Arc::new(watch::Sender::new(0)) }
    }
}

impl Behind {
    /// Begins a batch that was read at `now` and by which so many people stand elsewhere; `None` for one that is not behind.
    pub(super) fn begin(&self, now: Instant, events: &[Event], resettled: usize) -> Option<PutOff<'_>> {
        let recorded = events.last().and_then(|event| event.recorded_time.as_ref());
        let recorded_at = recorded.and_then(|time| from_timestamp(time).ok());
        let is_old = recorded_at.is_some_and(|recorded_at| now - recorded_at > OLD_FROM);
        if !is_old && events.len() + resettled < MANY {
            return None;
        }
        self.under_way.send_modify(|batches| *batches += 1);
        Some(PutOff(self))
    }

    /// Tells of every batch that begins or ends from now on.
    pub fn heard(&self) -> Heard {
        Heard(self.under_way.subscribe())
    }
}

impl Drop for PutOff<'_> {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|batches| *batches -= 1);
    }
}

/// Hears of batches that are behind.
#[derive(Debug)]
pub struct Heard(watch::Receiver<u64>);

impl Heard {
    /// Returns when a batch that was behind has begun or ended since this was last asked.
    pub async fn any(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns when none has come for a moment, or when they have come for long enough.
    pub async fn quiet(&mut self) {
        let until = Elapsed::now() + PUT_OFF_MAX;
        loop {
            let is_under_way = *self.0.borrow_and_update() > 0;
            let next = self.0.changed();
            let waited = match is_under_way {
                true => timeout_at(until, next).await,
                false => timeout(QUIET, next).await,
            };
            if waited.is_err() || Elapsed::now() >= until {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use prost_types::Timestamp;

    use super::*;

    fn events(count: usize, recorded: i64) -> Vec<Event> {
        let recorded_time = Some(Timestamp { seconds: recorded, nanos: 0 });
        vec![Event { recorded_time, ..Event::default() }; count]
    }

    #[tokio::test]
    async fn old_and_large_batches_are_behind_until_none_comes() {
        let behind = Behind::default();
        let now = DateTime::from_timestamp(100, 0).unwrap();
        assert!(behind.begin(now, &events(MANY - 1, 95), 0).is_none());
        assert!(behind.begin(now, &events(1, 94), 0).is_some());
        let mut heard = behind.heard();
        assert!(behind.begin(now, &events(1, 100), MANY).is_some(), "a county was merged");
        heard.any().await;
        let large = behind.begin(now, &events(MANY, 100), 0);
        assert!(large.is_some());
        heard.any().await;
        assert!(timeout(QUIET * 4, heard.quiet()).await.is_err(), "one is being applied");
        drop(large);
        let began = Elapsed::now();
        heard.quiet().await;
        assert!(began.elapsed() >= QUIET, "a moment without any");
    }
}
