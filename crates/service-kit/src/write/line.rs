//! Where commands wait for a transaction: some lanes, each with one writer at a time. SQLite, which has one writer, has
//! one lane; on Postgres several transactions are under way at once, and commands about one thing stay in one lane, so
//! that two transactions seldom wait for each other's rows.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use shipei_store::{Database, Partition};
use tokio::sync::Semaphore;

use crate::write::command::Job;

/// Transactions that are under way at once on Postgres, for commands.
const LANES_POSTGRES: usize = 4;
/// The most commands that wait in one process for one service; more wait for their place in line.
const COMMANDS_WAITING_MAX: usize = 8_192;

/// The lanes of one service. Clones are the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    lanes: Arc<[Mutex<Lane>]>,
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Job>,
    /// Whether there is a writer that will look again.
    is_served: bool,
}

impl Lines {
    /// Nobody waits.
    pub(crate) fn new(database: &Database) -> Self {
        let spare = usize::try_from(database.limits().connections / 2).unwrap_or(usize::MAX);
        let lanes = if database.is_postgres() { spare.clamp(1, LANES_POSTGRES) } else { 1 };
        Self {
            lanes: (0..lanes).map(|_| Mutex::default()).collect(),
            room: Arc::new(Semaphore::new(COMMANDS_WAITING_MAX)),
        }
    }

    /// A place for each command that waits.
    pub(super) fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.room)
    }

    /// The lane of commands about one thing.
    pub(super) fn lane_of(&self, thing: &str) -> usize {
        Partition::of(thing).index() % self.lanes.len()
    }

    /// Puts a command in line; true when the lane has no writer, and who asks must begin one.
    pub(super) fn put(&self, lane: usize, job: Job) -> bool {
        let mut lane = self.lock(lane);
        lane.waiting.push_back(job);
        !std::mem::replace(&mut lane.is_served, true)
    }

    /// Takes up to so many who wait.
    pub(super) fn take(&self, lane: usize, most: usize) -> Vec<Job> {
        let mut lane = self.lock(lane);
        let count = most.min(lane.waiting.len());
        lane.waiting.drain(..count).collect()
    }

    /// Says that a writer ends; false when somebody waits, so that it must go on.
    pub(super) fn end(&self, lane: usize) -> bool {
        let mut lane = self.lock(lane);
        lane.is_served = !lane.waiting.is_empty();
        !lane.is_served
    }

    fn lock(&self, lane: usize) -> MutexGuard<'_, Lane> {
        self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
