//! A command without company: in a transaction of its own, as often as it helps. What comes here has met something in a
//! shared transaction that only trying again can tell from its own fault.

use std::time::Duration;

use chrono::TimeDelta;
use shipei_contracts::common::v1::ErrorReason;
use shipei_store::{
    Positions, Retryable, StoreError, event_log,
    idempotency::{self, RequestRecord},
};

use crate::{
    answer::error::{Error, Refusal, Result},
    call::consistency::Token,
    write::{
        command::{Done, End, Job},
        kit::Kit,
        outcome::{Outcome, is_for_good, is_worth_recording},
        road::Transaction,
        unit::Unit,
    },
};

/// How long a handler may go on whose caller is gone, before its transaction is given up.
const ABANDONED_TIME_MAX: Duration = Duration::from_secs(1);

/// What the token of an answer names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rests {
    OnNothing,
    OnTheWholeLog,
}

/// What became of one handler.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of each call, nearly always a Done, and it goes no further than the next line"
)]
pub(super) enum Ran {
    Done(Done),
    Failed(Error),
    /// It was stopped in the middle, and the transaction with it.
    Stopped,
}

/// The answer that was given to this request before.
pub(super) fn outcome_of(job: &Job, record: &RequestRecord) -> Result<(Outcome, Rests)> {
    if job.key.as_ref().is_none_or(|key| key.digest != record.digest) {
        let refusal = Refusal::new(ErrorReason::RequestIdReused).field("request_id");
        return Ok((Outcome::Refused(refusal), Rests::OnNothing));
    }
    let corrupt = || StoreError::corrupt_row("request_record", "outcome", &record.request_id);
    let outcome = Outcome::decode(&record.outcome).ok_or_else(corrupt)?;
    Ok((outcome, Rests::OnTheWholeLog))
}

/// Runs a handler, as long as somebody waits for it and its time allows.
pub(super) async fn run(kit: &Kit, job: &mut Job, unit: Unit) -> Ran {
    let gone = job.gone.clone();
    let abandoned = async {
        gone.cancelled().await;
        tokio::time::sleep(ABANDONED_TIME_MAX).await;
    };
    tokio::select! {
        biased;
        done = job.carry_out(unit) => match done {
            Ok(done) => Ran::Done(done),
            Err(error) => Ran::Failed(error),
        },
        () = abandoned => Ran::Stopped,
        () = tokio::time::sleep(kit.database().attempt_time_max()) => Ran::Stopped,
    }
}

/// An error that ends one attempt.
struct AttemptFailed {
    error: Error,
    again: bool,
}

impl Retryable for AttemptFailed {
    fn is_retryable(&self) -> bool {
        self.again
    }

    fn no_answer() -> Self {
        Self { error: Error::Store(StoreError::no_answer()), again: false }
    }
}

/// Carries one command out in transactions of its own, as often as it helps.
pub(super) async fn alone(kit: &Kit, job: Job) {
    if job.gone.is_cancelled() {
        return;
    }
    let job = tokio::sync::Mutex::new(job);
    let trying = kit.retry(|| async {
        let mut job = job.lock().await;
        attempt(kit, &mut job).await.map_err(|error| {
            let again = job.is_worth_another(&error) && !job.gone.is_cancelled();
            AttemptFailed { error, again }
        })
    });
    let end = match trying.await {
        Ok(end) => Ok(end),
        Err(AttemptFailed { error: Error::Refused(refusal), .. }) => {
            let job = job.lock().await;
            refuse(kit, &job, refusal).await
        }
        Err(AttemptFailed { error, .. }) => Err(error),
    };
    let job = job.into_inner();
    match end {
        Ok(end) => job.command.end(end),
        Err(error) => job.fail(error),
    }
}

async fn attempt(kit: &Kit, job: &mut Job) -> Result<End> {
    let mut transaction = Transaction::begin(kit).await?;
    let refused = match find_earlier(kit, job, &transaction).await? {
        Some(Earlier::ForGood(end)) => return Ok(end),
        Some(Earlier::Refused(refusal)) => Some(refusal),
        None => None,
    };
    let is_anew = refused.is_some();
    if let Some(refusal) = refused
        && job.origin.occurred_at < job.origin.now
    {
        if !passes_the_instant_before(kit, job, transaction).await? {
            return Ok(End::Settled(refusal, Token::default()));
        }
        transaction = Transaction::begin(kit).await?;
    }
    let unit = transaction.unit(&job.admitted, job.origin.clone())?;
    let done = match run(kit, job, unit).await {
        Ran::Done(done) => done,
        Ran::Failed(error) => {
            transaction.roll_back().await;
            return Err(error);
        }
        Ran::Stopped => return Err(StoreError::no_answer().into()),
    };
    let shows = done.unit.shown().to_owned();
    let before = transaction.take(done.unit)?;
    if before == transaction.events_count() {
        transaction.rests_on_the_whole_log();
    }
    let record = done.answer.map(Outcome::Answered).and_then(|outcome| job.record(&outcome, &shows));
    if is_anew {
        idempotency::forget(&mut *transaction.lend()?, job.request_id()).await?;
    }
    let committed = transaction.commit(record.as_slice()).await?;
    Ok(End::CarriedOut(committed.token(kit.source())))
}

/// What was answered to a request before.
enum Earlier {
    ForGood(End),
    /// A refusal that a later write can turn.
    Refused(Outcome),
}

/// Would it pass, had it happened the instant before? What turned a refusal since then happened before it, so the refusal
/// was a matter of lag or of arrival. Of two facts of one instant the one told first came first: there the refusal stands,
/// and the same facts told again are answered the same.
async fn passes_the_instant_before(kit: &Kit, job: &mut Job, mut transaction: Transaction) -> Result<bool> {
    let before = job.origin.occurred_at - TimeDelta::microseconds(1);
    let unit = transaction.unit(&job.admitted, job.origin.clone().occurred_at(before))?;
    let passes = match run(kit, job, unit).await {
        Ran::Done(_) => Ok(true),
        Ran::Failed(Error::Refused(_)) => Ok(false),
        Ran::Failed(error) => Err(error),
        Ran::Stopped => Err(StoreError::no_answer().into()),
    };
    transaction.roll_back().await;
    passes
}

/// The answer that was given to this request before, if it was.
async fn find_earlier(kit: &Kit, job: &Job, transaction: &Transaction) -> Result<Option<Earlier>> {
    if job.key.is_none() {
        return Ok(None);
    }
    let mut tx = transaction.lend()?;
    let found = idempotency::find_all(&mut tx, &[job.request_id()]).await?;
    let Some(record) = found.first() else { return Ok(None) };
    let (outcome, rests) = outcome_of(job, record)?;
    if !is_for_good(&outcome) {
        return Ok(Some(Earlier::Refused(outcome)));
    }
    let whole_log = match rests {
        Rests::OnNothing => Positions::new(),
        Rests::OnTheWholeLog => event_log::heads(&mut tx).await?,
    };
    Ok(Some(Earlier::ForGood(End::Settled(outcome, Token::of(kit.source(), &whole_log)))))
}

/// Keeps a refusal under the request id, so that the same request gets the same answer; or finds that the
/// request has been answered meanwhile, and gives that answer.
async fn refuse(kit: &Kit, job: &Job, refusal: Refusal) -> Result<End> {
    let outcome = Outcome::Refused(refusal);
    let record = job.record(&outcome, "").filter(|_| is_worth_recording(&outcome));
    let Some(record) = record else { return Ok(End::Settled(outcome, Token::default())) };
    let recorded = kit.retry(|| async {
        let keeping = async {
            let transaction = Transaction::begin(kit).await?;
            match find_earlier(kit, job, &transaction).await? {
                Some(Earlier::ForGood(end)) => return Ok(Some(end)),
                Some(Earlier::Refused(_)) => return Ok(None),
                None => {}
            }
            transaction.commit(std::slice::from_ref(&record)).await?;
            Ok(None)
        };
        keeping.await.map_err(|error| AttemptFailed { again: job.is_worth_another(&error), error })
    });
    let settled = recorded.await.map_err(|failed| failed.error)?;
    Ok(settled.unwrap_or(End::Settled(outcome, Token::default())))
}
