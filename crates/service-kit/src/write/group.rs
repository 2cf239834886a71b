//! Group commit: commands that wait share a transaction, since a commit costs the same for one as for a hundred. Each
//! has a savepoint, so that one which is refused or fails falls alone; their events are appended in one call at the
//! end, their request records in one statement. Nobody waits for company: a command that finds its lane free begins at
//! once, and those that come meanwhile join it. When the transaction itself fails (a deadlock, a serialisation failure,
//! a commit, a connection), each command is tried again alone, as if it had never had company.

use std::{collections::HashSet, time::Duration};

use shipei_store::{
    LogPosition, Positions, StoreError,
    idempotency::{self, RequestRecord},
};
use tokio::time::Instant;

use crate::{
    answer::error::{Error, Result},
    call::consistency::Token,
    telemetry::{Sometimes, metrics},
    write::{
        alone::{Ran, Rests, alone, outcome_of, run},
        command::{Done, End, Job},
        kit::Kit,
        outcome::{Outcome, is_for_good, is_worth_recording},
        road::{Committed, Transaction, token_of},
        unit::Unit,
    },
};

/// The most commands of one transaction.
const COMMANDS_PER_TRANSACTION_MAX: usize = 128;
/// The events after which no more commands join a transaction.
const EVENTS_PER_TRANSACTION: usize = 2_000;
/// How long commands may join a transaction: the first of them waits for the last.
const JOINING_TIME_MAX: Duration = Duration::from_millis(20);

/// Serves a lane until nobody waits in it.
pub(super) async fn serve(kit: Kit, lane: usize) {
    let mut serving = Serving { kit: &kit, lane, ended: false };
    loop {
        let jobs = kit.lines().take(lane, COMMANDS_PER_TRANSACTION_MAX);
        if !jobs.is_empty() {
            carry_out(&kit, lane, jobs).await;
        } else if kit.lines().end(lane) {
            serving.ended = true;
            return;
        }
    }
}

/// A writer that ends in the middle (the process ends) leaves its lane to the next.
struct Serving<'kit> {
    kit: &'kit Kit,
    lane: usize,
    ended: bool,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // Whoever waits there is answered that the service is ending.
            drop(self.kit.lines().take(self.lane, usize::MAX));
            self.kit.lines().end(self.lane);
        }
    }
}

async fn carry_out(kit: &Kit, lane: usize, jobs: Vec<Job>) {
    let begun = Instant::now();
    let mut group = Group::new(kit);
    let mut jobs = jobs;
    while !jobs.is_empty() {
        group.take(jobs).await;
        if group.is_full() || begun.elapsed() >= JOINING_TIME_MAX {
            break;
        }
        jobs = kit.lines().take(lane, COMMANDS_PER_TRANSACTION_MAX - group.members.len());
    }
    for job in group.commit().await {
        alone(kit, job).await;
    }
}

/// A command whose part of the transaction is done.
struct Member {
    job: Job,
    kept: Kept,
}

/// What a transaction holds of a command.
enum Kept {
    /// Its events, from this one up to that one.
    Events(usize, usize),
    /// What it was answered before, or a refusal.
    Outcome(Outcome, Rests),
}

/// The commands of one transaction.
struct Group<'kit> {
    kit: &'kit Kit,
    transaction: Option<Transaction>,
    /// Whether the transaction holds anything that a savepoint must keep, and whether it has one.
    holds_something: bool,
    has_savepoint: bool,
    members: Vec<Member>,
    records: Vec<RequestRecord>,
    request_ids: HashSet<String>,
    /// To be tried again alone.
    alone: Vec<Job>,
    is_broken: bool,
}

impl<'kit> Group<'kit> {
    fn new(kit: &'kit Kit) -> Self {
        Self {
            kit,
            transaction: None,
            holds_something: false,
            has_savepoint: false,
            members: Vec::new(),
            records: Vec::new(),
            request_ids: HashSet::new(),
            alone: Vec::new(),
            is_broken: false,
        }
    }

    fn is_full(&self) -> bool {
        let events = self.transaction.as_ref().map_or(0, Transaction::events_count);
        self.is_broken
            || self.members.len() >= COMMANDS_PER_TRANSACTION_MAX
            || events >= EVENTS_PER_TRANSACTION
    }

    /// Carries these out, one after the other.
    async fn take(&mut self, jobs: Vec<Job>) {
        let mut jobs: Vec<Job> = jobs.into_iter().filter(|job| !job.gone.is_cancelled()).collect();
        let ids: Vec<&str> = jobs.iter().map(Job::request_id).filter(|id| !id.is_empty()).collect();
        let recorded = match self.find_recorded(&ids).await {
            Ok(recorded) => recorded,
            Err(error) => {
                tracing::debug!(%error, "a transaction could not be begun");
                self.alone.append(&mut jobs);
                return self.break_up();
            }
        };
        for job in jobs {
            if self.is_broken {
                self.alone.push(job);
                continue;
            }
            let record = recorded.iter().find(|record| record.request_id == job.request_id());
            match record {
                Some(record) => self.answer_recorded(job, record),
                // The other one of that id is in this transaction: it is found when that is committed.
                None if !job.request_id().is_empty()
                    && !self.request_ids.insert(job.request_id().to_owned()) =>
                {
                    self.alone.push(job);
                }
                None => self.run(job).await,
            }
        }
    }

    /// What is recorded under these request ids; begins the transaction.
    async fn find_recorded(&mut self, ids: &[&str]) -> Result<Vec<RequestRecord>> {
        let transaction = match &mut self.transaction {
            Some(transaction) => transaction,
            empty => empty.insert(Transaction::begin(self.kit).await?),
        };
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(idempotency::find_all(&mut *transaction.lend()?, ids).await?)
    }

    fn answer_recorded(&mut self, job: Job, record: &RequestRecord) {
        match outcome_of(&job, record) {
            // It is judged anew, with time for it.
            Ok((outcome, _)) if !is_for_good(&outcome) => self.alone.push(job),
            Ok((outcome, rests)) => {
                Sometimes::AnsweredFromRecord.happened();
                if rests == Rests::OnTheWholeLog
                    && let Some(transaction) = &mut self.transaction
                {
                    transaction.rests_on_the_whole_log();
                }
                self.members.push(Member { job, kept: Kept::Outcome(outcome, rests) });
            }
            Err(error) => job.fail(error),
        }
    }

    async fn run(&mut self, mut job: Job) {
        let ran = match self.unit(&job).await {
            Ok(unit) => run(self.kit, &mut job, unit).await,
            Err(error) => Ran::Failed(error),
        };
        let taken = match ran {
            Ran::Stopped => {
                self.alone.push(job);
                return self.break_up();
            }
            Ran::Failed(error) => Err(error),
            Ran::Done(done) => self.keep(&job, done),
        };
        match taken {
            Ok(kept) => {
                self.holds_something = true;
                self.members.push(Member { job, kept });
            }
            Err(error) => self.fall(job, error).await,
        }
    }

    /// A unit of work behind a savepoint, unless there is nothing that it could spoil.
    async fn unit(&mut self, job: &Job) -> Result<Unit> {
        let transaction = match &mut self.transaction {
            Some(transaction) => transaction,
            empty => empty.insert(Transaction::begin(self.kit).await?),
        };
        if self.holds_something {
            let mut tx = transaction.lend()?;
            match std::mem::replace(&mut self.has_savepoint, true) {
                false => tx.savepoint().await?,
                true => tx.move_savepoint().await?,
            }
        }
        transaction.unit(&job.admitted, job.origin.clone())
    }

    fn keep(&mut self, job: &Job, done: Done) -> Result<Kept> {
        let Some(transaction) = &mut self.transaction else {
            return Err(Error::Internal("a command was carried out without a transaction".to_owned()));
        };
        let shows = done.unit.shown().to_owned();
        let before = transaction.take(done.unit)?;
        let after = transaction.events_count();
        if before == after {
            // It has found it written already, maybe by a call whose answer was lost.
            transaction.rests_on_the_whole_log();
        }
        let answer = done.answer.map(Outcome::Answered);
        self.records.extend(answer.and_then(|outcome| job.record(&outcome, &shows)));
        Ok(Kept::Events(before, after))
    }

    /// Undoes what one command wrote, and nothing else.
    async fn fall(&mut self, job: Job, error: Error) {
        if self.holds_something {
            let undone = match &self.transaction {
                Some(transaction) => match transaction.lend() {
                    Ok(mut tx) => tx.back_to_savepoint().await,
                    Err(_) => Err(StoreError::no_answer()),
                },
                None => Ok(()),
            };
            if undone.is_err() {
                self.alone.push(job);
                return self.break_up();
            }
        } else if let Some(transaction) = self.transaction.take() {
            transaction.roll_back().await;
        }
        match error {
            Error::Refused(refusal) => {
                let outcome = Outcome::Refused(refusal);
                if is_worth_recording(&outcome) {
                    self.records.extend(job.record(&outcome, ""));
                }
                self.members.push(Member { job, kept: Kept::Outcome(outcome, Rests::OnNothing) });
            }
            error if job.is_worth_another(&error) => {
                tracing::debug!(%error, "a command met another transaction: it is tried alone");
                metrics::retried(self.kit.source(), 1);
                self.alone.push(job);
            }
            error => job.fail(error),
        }
    }

    /// The transaction is of no use any more.
    fn break_up(&mut self) {
        Sometimes::TriedEachAlone.happened();
        self.is_broken = true;
        self.transaction = None;
        metrics::retried(self.kit.source(), self.members.len() as u64);
        self.alone.extend(self.members.drain(..).map(|member| member.job));
    }

    /// Commits and answers; gives those who are to be tried alone.
    async fn commit(mut self) -> Vec<Job> {
        if self.is_broken {
            return self.alone;
        }
        match self.try_commit().await {
            Ok(Committed { positions, heads, .. }) => {
                metrics::batch_size("commands", self.members.len());
                let whole_log = heads.unwrap_or_default();
                for Member { job, kept } in self.members {
                    job.command.end(end_of(self.kit.source(), kept, &positions, &whole_log));
                }
            }
            Err(error) => {
                let is_unknown = matches!(error, Error::Store(StoreError::CommitOutcomeUnknown(_)));
                Sometimes::TriedEachAlone.happened();
                tracing::debug!(%error, commands = self.members.len(), "a transaction failed: each is tried alone");
                metrics::retried(self.kit.source(), self.members.len() as u64);
                for Member { job, .. } in self.members {
                    match is_unknown && job.key.is_none() {
                        true => job.fail(StoreError::no_answer().into()),
                        false => self.alone.push(job),
                    }
                }
            }
        }
        self.alone
    }

    async fn try_commit(&mut self) -> Result<Committed<()>> {
        if self.transaction.is_none() && self.records.is_empty() {
            return Ok(Committed { value: (), positions: Vec::new(), heads: None });
        }
        let transaction = match self.transaction.take() {
            Some(transaction) => transaction,
            None => Transaction::begin(self.kit).await?,
        };
        let committing = transaction.commit(&self.records);
        let committing = tokio::time::timeout(self.kit.database().attempt_time_max(), committing);
        committing.await.unwrap_or_else(|_| Err(StoreError::no_answer().into()))
    }
}

fn end_of(source: &str, kept: Kept, positions: &[LogPosition], whole_log: &Positions) -> End {
    match kept {
        Kept::Events(from, to) if from == to => End::CarriedOut(Token::of(source, whole_log)),
        Kept::Events(from, to) => {
            End::CarriedOut(token_of(source, positions.get(from..to).unwrap_or_default(), None))
        }
        Kept::Outcome(outcome, Rests::OnTheWholeLog) => End::Settled(outcome, Token::of(source, whole_log)),
        Kept::Outcome(outcome, Rests::OnNothing) => End::Settled(outcome, Token::default()),
    }
}
