//! The hot path: heartbeats from any number of streams and calls, through a few writers, into few transactions.
//!
//! A message waits in its lane; the lane's writer takes whatever waits, up to [`BEATS_PER_TRANSACTION_MAX`], into ONE
//! transaction (group commit), so that a thousand players who send one beat each share a commit. SQLite has one writer,
//! so it has one lane; Postgres has some, and a stream or learner stays in its lane, which keeps the order and mostly
//! keeps two writers off the same learner (row locks see to the rest, also between processes). A message is never
//! split: all of it is on disk, or none. What waits is bounded, and who sends more is made to wait. After a message that
//! failed no later one of its [`Line`] is carried out.
//!
//! `batch` is one transaction's work: load by keys, compute in memory, write in bulk. `working_set` is what it has in memory.

mod batch;
mod load;
mod save;
mod tally;
mod working_set;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::Programmes;
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId, SessionId};
use shipei_service_kit::{
    Admitted, Error, Kit, Origin, Result, Shutdown, Token, soft_state::presence::Presence, telemetry::metrics,
};
use shipei_store::{Partition, Retryable, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::catalogue::Catalogues;
use crate::domain::study::{Beat, Worth};

/// The most beats in one message.
pub(crate) const BEATS_PER_MESSAGE_MAX: usize = 20_000;
/// The most beats in one transaction, unless one message has more.
pub(crate) const BEATS_PER_TRANSACTION_MAX: usize = 20_000;
/// The most beats that wait in one process, in all lanes.
const BEATS_WAITING_MAX: usize = 200_000;
/// The most messages that wait in one lane.
const MESSAGES_WAITING_MAX: usize = 4_096;
/// Writers of one process on Postgres.
const LANES_POSTGRES: usize = 4;
/// Writers of one process on SQLite, which lets one transaction write at a time.
const LANES_SQLITE: usize = 1;

/// The heartbeats of one session, as they came.
#[derive(Debug)]
pub(crate) struct SessionBeats {
    /// Whose; `None` when an id can't be one.
    pub(crate) keys: Option<SessionKeys>,
    /// In the order given.
    pub(crate) beats: Vec<Beat>,
}

/// Who watches what.
#[derive(Debug)]
pub(crate) struct SessionKeys {
    pub(crate) person: PersonId,
    pub(crate) course: CourseId,
    pub(crate) session: SessionId,
}

/// Who sends heartbeats: a call that was admitted, and what their events come from.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) admitted: Admitted,
    pub(crate) origin: Origin,
}

impl Sender {
    /// The caller of the RPC whose request has this name.
    pub(crate) fn of(admitted: &Admitted, cause: &str) -> Self {
        Self { admitted: admitted.clone(), origin: Origin::of(admitted, cause) }
    }
}

/// Heartbeats that belong together: all of them are kept, or none.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) programme: ProgrammeId,
    pub(crate) sessions: Vec<SessionBeats>,
    pub(crate) sender: Sender,
}

impl Message {
    fn beats(&self) -> usize {
        self.sessions.iter().map(|session| session.beats.len()).sum()
    }
}

/// What became of one beat.
pub(crate) type BeatAnswer = std::result::Result<Worth, ErrorReason>;

/// What became of one message, when it is on disk.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// For each session, for each beat.
    pub(crate) sessions: Vec<Vec<BeatAnswer>>,
    /// The events that it led to.
    pub(crate) token: Token,
}

/// An answer to come.
pub(crate) type Pending = oneshot::Receiver<Result<Answer>>;

/// The messages of one stream: they are carried out in their order, and after one that failed none. Were a later one
/// taken, the heartbeats of the failed one would come after it when they are sent again, and a session passes over what
/// comes before its last: seconds would be lost that the learner was told to send again.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    lane: usize,
    broken: Arc<AtomicBool>,
}

impl Line {
    /// A line in a lane: any number; the same number is the same lane.
    pub(crate) fn new(lane: usize) -> Line {
        Line { lane, broken: Arc::default() }
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }
}

/// A message in a lane.
struct Job {
    message: Message,
    line: Line,
    beats: usize,
    answer: oneshot::Sender<Result<Answer>>,
    _room: OwnedSemaphorePermit,
}

impl Job {
    /// Answers; a failure ends the line. Who no longer waits for the answer needs none.
    fn answer(self, answer: Result<Answer>) {
        if answer.is_err() {
            self.line.broken.store(true, Ordering::Release);
        }
        let _ = self.answer.send(answer);
    }
}

/// The way into the lanes. Clones lead to the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    lanes: Arc<[mpsc::Sender<Job>]>,
    room: Arc<Semaphore>,
}

/// What the writers share.
#[derive(Debug, Clone)]
struct Writer {
    kit: Kit,
    programmes: Programmes,
    catalogues: Catalogues,
    presence: Presence,
}

impl Pipeline {
    /// Starts the writers. They end with `shutdown`, after what waits then is answered.
    pub(crate) fn start(
        kit: &Kit,
        programmes: &Programmes,
        catalogues: &Catalogues,
        presence: &Presence,
        shutdown: &Shutdown,
    ) -> Pipeline {
        let lanes_count = if kit.database().is_postgres() { LANES_POSTGRES } else { LANES_SQLITE };
        tally::begin();
        let mut lanes = Vec::new();
        for _ in 0..lanes_count {
            let (sender, receiver) = mpsc::channel(MESSAGES_WAITING_MAX);
            let writer = Writer {
                kit: kit.clone(),
                programmes: programmes.clone(),
                catalogues: catalogues.clone(),
                presence: presence.clone(),
            };
            shutdown.spawn(run_lane(writer, receiver, shutdown.clone()));
            lanes.push(sender);
        }
        Pipeline { lanes: lanes.into(), room: Arc::new(Semaphore::new(BEATS_WAITING_MAX)) }
    }

    /// The lane of somebody's single beats.
    pub(crate) fn lane_of(&self, person: &PersonId) -> usize {
        Partition::of(person.as_str()).index()
    }

    /// Puts a message into its line, after those that were put there before; waits while there is no room. The answer
    /// comes when it is on disk.
    pub(crate) async fn submit(&self, line: &Line, message: Message) -> Result<Pending> {
        let ended = || Error::Unavailable("the service is ending".to_owned());
        let beats = message.beats();
        let room = u32::try_from(beats.clamp(1, BEATS_WAITING_MAX)).unwrap_or(1);
        let room = Arc::clone(&self.room).acquire_many_owned(room).await.map_err(|_| ended())?;
        let (answer, pending) = oneshot::channel();
        let lane = self.lanes.get(line.lane % self.lanes.len()).ok_or_else(ended)?;
        let job = Job { message, line: line.clone(), beats, answer, _room: room };
        lane.send(job).await.map_err(|_| ended())?;
        Ok(pending)
    }
}

/// The writer of one lane.
async fn run_lane(writer: Writer, mut jobs: mpsc::Receiver<Job>, shutdown: Shutdown) {
    let mut held: Option<Job> = None;
    loop {
        let first = match held.take() {
            Some(job) => job,
            None => {
                let next = tokio::select! {
                    biased;
                    job = jobs.recv() => job,
                    () = shutdown.begun(), if !jobs.is_closed() => {
                        jobs.close();
                        continue;
                    }
                };
                let Some(job) = next else { return };
                job
            }
        };
        let mut beats = first.beats;
        let mut group = vec![first];
        while beats < BEATS_PER_TRANSACTION_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            if beats + job.beats > BEATS_PER_TRANSACTION_MAX {
                held = Some(job);
                break;
            }
            beats += job.beats;
            group.push(job);
        }
        writer.carry_out(group).await;
    }
}

/// An attempt that failed. A unique violation means that another process began the same learner or session at the same
/// moment: the next attempt finds it.
struct AttemptFailed(Error);

impl Retryable for AttemptFailed {
    fn is_retryable(&self) -> bool {
        let Error::Store(error) = &self.0 else { return false };
        error.is_retryable() || error.unique_violation().is_some()
    }

    fn no_answer() -> Self {
        Self(Error::Store(StoreError::no_answer()))
    }
}

impl From<StoreError> for AttemptFailed {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl Writer {
    /// Answers every job of the group, from one transaction. When that fails for a reason that lies in what it holds (a
    /// corrupt row), each job is done again alone, so that one can't fail the others.
    async fn carry_out(&self, group: Vec<Job>) {
        let (broken, mut group): (Vec<Job>, Vec<Job>) =
            group.into_iter().partition(|job| job.line.is_broken());
        for job in broken {
            job.answer(Err(earlier_failed()));
        }
        if group.is_empty() {
            return;
        }
        let messages: Vec<&Message> = group.iter().map(|job| &job.message).collect();
        let done = self.kit.retry(|| self.attempt(&messages)).await;
        match done {
            Ok(answers) => {
                metrics::batch_size("heartbeats", group.iter().map(|job| job.beats).sum());
                tally::count(&answers);
                for (job, answer) in group.into_iter().zip(answers) {
                    job.answer(Ok(answer));
                }
            }
            Err(AttemptFailed(error)) if group.len() == 1 => {
                if let Some(job) = group.pop() {
                    job.answer(Err(error));
                }
            }
            Err(AttemptFailed(Error::Store(error))) if error.is_unavailable() => {
                tracing::warn!(%error, messages = group.len(), "heartbeats could not be written");
                for job in group {
                    job.answer(Err(Error::Unavailable("the database can't be reached".to_owned())));
                }
            }
            Err(AttemptFailed(error)) => {
                tracing::warn!(%error, messages = group.len(), "a group of messages failed: each is done alone");
                for job in group {
                    let answer = self.carry_out_alone(&job).await;
                    job.answer(answer);
                }
            }
        }
    }

    async fn carry_out_alone(&self, job: &Job) -> Result<Answer> {
        if job.line.is_broken() {
            return Err(earlier_failed());
        }
        let alone = [&job.message];
        let done = self.kit.retry(|| self.attempt(&alone)).await;
        if let Ok(answers) = &done {
            metrics::batch_size("heartbeats", job.beats);
            tally::count(answers);
        }
        done.map_err(|failed| failed.0).map(|mut answers| answers.pop().unwrap_or_default())
    }
}

fn earlier_failed() -> Error {
    Error::Unavailable("an earlier message of the stream failed".to_owned())
}
