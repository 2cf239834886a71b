//! How much is read for one consumer at a time, and for how many at once. Why it grows: a consumer that reads is served in large pieces, which is
//! cheap; of one that never reads, or slowly, nothing more is kept than a small one. What is beyond the smallest piece takes
//! from the process's [`Budget`] until the piece behind it has been taken; who gets nothing goes on in small pieces. Why
//! consumers take turns: two thousand that read the past at once would keep every thread busy, and calls would wait for all of
//! them.

use std::{collections::VecDeque, num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    call::budget::{Budget, Taken},
    feed::reader::{EVENTS_PER_RESPONSE_MAX, Room},
};

/// The bytes of a consumer's first response, and of all its responses while the budget is spent. Some of them wait for each
/// consumer that doesn't read: thousands of consumers must have room for them.
const BYTES_FIRST: usize = 4 * 1024;
/// The most bytes of one response, unless one event alone has more.
const BYTES_MAX: usize = 512 * 1024;
/// Behind so many later responses, one has been sent.
const HELD: usize = 2;

/// How long a turn is kept by who waits in it, for the database or for a consumer to take what was read: who is slower lets
/// others go on meanwhile.
pub(crate) const TURN_TIME_MAX: Duration = Duration::from_millis(20);

/// The turns of all consumers of a process, first come first served.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// As many at once as there are processors, and two at least.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(processors.max(2))))
    }

    /// Waits for a turn and reads in it; gives the turn back with what was read, if it lasts. A read that takes long waits for
    /// the database and not for this process: it goes on without its turn, else a connection that is silent for ever would
    /// stop the streams of all logs for as long as anybody waits for it.
    pub(crate) async fn read<T>(
        &self,
        reading: impl Future<Output = T>,
    ) -> (T, Option<OwnedSemaphorePermit>) {
        // Nobody closes it.
        let turn = self.0.clone().acquire_owned().await.ok();
        tokio::pin!(reading);
        match tokio::time::timeout(TURN_TIME_MAX, &mut reading).await {
            Ok(read) => (read, turn),
            Err(_) => {
                drop(turn);
                (reading.await, None)
            }
        }
    }
}

/// The pace of one consumer.
#[derive(Debug)]
pub(crate) struct Pace {
    turns: Turns,
    budget: Budget,
    bytes: usize,
    held: VecDeque<Taken>,
}

impl Pace {
    pub(crate) fn new(turns: &Turns, budget: &Budget) -> Self {
        Self { turns: turns.clone(), budget: budget.clone(), bytes: BYTES_FIRST, held: VecDeque::new() }
    }

    /// The turns in which responses are read, made and taken.
    pub(crate) fn turns(&self) -> Turns {
        self.turns.clone()
    }

    /// How much the next response may have.
    pub(crate) fn room(&self) -> Room {
        Room { events: EVENTS_PER_RESPONSE_MAX, bytes: self.bytes }
    }

    /// The last response was taken: the next may be twice as large, if there is room for it.
    pub(crate) fn taken(&mut self) {
        if self.held.len() == HELD {
            self.held.pop_front();
        }
        let wanted = (self.bytes * 2).min(BYTES_MAX);
        match self.budget.take(wanted) {
            Some(taken) => {
                self.bytes = wanted;
                self.held.push_back(taken);
            }
            None => self.bytes = (self.bytes / 2).max(BYTES_FIRST),
        }
    }

    /// There is nothing more to read now.
    pub(crate) fn rest(&mut self) {
        self.held.clear();
        self.bytes = BYTES_FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_that_are_never_answered_hold_up_nobody_else() {
        let turns = Turns::new();
        let places = turns.0.available_permits();
        for _ in 0..places * 3 {
            let turns = turns.clone();
            tokio::spawn(async move { turns.read(std::future::pending::<()>()).await });
        }
        // However long it takes: without this it takes for ever.
        let (read, turn) = turns.read(async { "read" }).await;
        assert_eq!((read, turn.is_some()), ("read", true));
    }

    #[test]
    fn consumer_that_reads_gets_large_pieces_and_others_small_ones() {
        let budget = Budget::new(4 * BYTES_MAX);
        let turns = Turns::new();
        let mut reads = Pace::new(&turns, &budget);
        for _ in 0..20 {
            reads.taken();
        }
        assert_eq!((reads.room().bytes, budget.used()), (BYTES_MAX, 2 * BYTES_MAX));
        let mut others: Vec<Pace> = (0..1000).map(|_| Pace::new(&turns, &budget)).collect();
        for other in &mut others {
            other.taken();
            other.taken();
        }
        assert!(budget.used() <= 4 * BYTES_MAX);
        assert_eq!(others[999].room().bytes, BYTES_FIRST);
        others.clear();
        reads.rest();
        assert_eq!((reads.room().bytes, budget.used()), (BYTES_FIRST, 0));
    }
}
