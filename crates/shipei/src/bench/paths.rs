//! The hot paths, each beside its raw limit. The two take turns; no two rounds share learners or numbers.

use std::ops::Range;

use anyhow::Result;
use shipei_client::replay::watcher::Watcher as _;

use super::{
    Bench, ROUNDS, UNMEASURED,
    load::Load,
    raw,
    report::{Measurement, Rate, Round},
    shape::{self, Shape},
};

/// Learners of one message of heartbeats.
const LEARNERS_PER_MESSAGE: u64 = 500;
/// Beats of each learner in one message.
pub(super) const BEATS_EACH: u64 = 10;
/// Acknowledged writes under way at once.
pub(super) const WRITES_AT_ONCE: u64 = 64;
/// Single heartbeats under way at once.
const BEATS_AT_ONCE: u64 = 256;
/// The most calls of one round; and where the numbers of each round of a raw measurement begin.
const SINGLES_MAX: u64 = 300_000;
/// The most rows or scores that are read in one round.
const READ_MAX: u64 = 10_000_000;
/// The raw measurements of single rows, each with numbers of its own.
const RAW_LOGINS: u64 = 0;
const RAW_LONE_LOGINS: u64 = 1;
const RAW_SUBMISSIONS: u64 = 2;
const RAW_SCORES: u64 = 3;
const RAW_BEATS: u64 = 4;

/// The numbers of this round among all numbers of a raw measurement.
fn numbers(of: u64, round: u64) -> Range<u64> {
    let first = (of * ROUNDS + round) * SINGLES_MAX;
    first..first + SINGLES_MAX
}

/// This round's part of so many learners.
fn part(of: Range<u64>, round: u64) -> Range<u64> {
    let each = (of.end - of.start) / ROUNDS;
    let first = of.start + round * each;
    first..if round + 1 == ROUNDS { of.end } else { first + each }
}

impl Bench {
    /// Suite and raw limit in turn.
    async fn alternate(
        &self,
        what: Measurement,
        raw: impl AsyncFn(u64) -> Result<Rate>,
        suite: impl AsyncFn(u64) -> Result<Rate>,
    ) -> Result<Measurement> {
        self.progress.stage(&what.what);
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let raw = raw(round).await?;
            rounds.push(Round { raw, rate: suite(round).await? });
        }
        Ok(Measurement { rounds, ..what })
    }

    pub(super) async fn streamed(&self, load: &Load) -> Result<Measurement> {
        load.wait_for_learning().await?;
        let learners = self.sizes.learners;
        let shape = |round| Shape {
            first_learner: 0,
            learners,
            per_message: LEARNERS_PER_MESSAGE.min(learners),
            beats_each: BEATS_EACH,
            first_message: round * shape::MESSAGES_MAX,
        };
        let per_message = shape(0).per_message;
        let what = Measurement::of(
            "stream_heartbeats",
            format!("StreamHeartbeats, {per_message} learners x {BEATS_EACH} beats a message"),
            "beats",
            "session and learner rows upserted in bulk, a transaction a message",
        );
        self.alternate(
            what,
            async |round| raw::bulk_study(&self.raw, shape(round), self.sizes.time).await,
            async |round| load.stream(shape(round), self.sizes.time).await,
        )
        .await
    }

    /// Log-ins, many at once and alone. Everybody has logged in afterwards: who never did may not study.
    pub(super) async fn logins(&self, load: &Load) -> Result<Vec<Measurement>> {
        let (learners, time) = (self.sizes.learners, self.sizes.time);
        let lone = learners - learners / 5..learners;
        let what = Measurement::of(
            "record_login",
            format!("RecordLogin, {WRITES_AT_ONCE} calls at once"),
            "calls",
            &format!("one-row transactions, {WRITES_AT_ONCE} at once"),
        );
        let at_once = self.alternate(
            what,
            async |round| self.raw_rows(RAW_LOGINS, round, WRITES_AT_ONCE).await,
            async |round| {
                let learners = part(0..lone.start, round);
                let rate = load.logins(learners.clone(), WRITES_AT_ONCE, time).await?;
                load.logins(learners.start + rate.count..learners.end, WRITES_AT_ONCE, UNMEASURED).await?;
                Ok(rate)
            },
        );
        let at_once = at_once.await?;
        let what = Measurement::of(
            "record_login_alone",
            "RecordLogin, one after the other, by its median".to_owned(),
            "calls",
            "one-row transactions likewise",
        );
        let alone = self.alternate(
            what,
            async |round| raw::lone_rows(&self.raw, numbers(RAW_LONE_LOGINS, round), time).await,
            async |round| load.lone_logins(part(lone.clone(), round), time).await,
        );
        let alone = alone.await?;
        // Who was not reached in time; who was is found by the request id.
        load.logins(lone, WRITES_AT_ONCE, UNMEASURED).await?;
        Ok(vec![at_once, alone])
    }

    pub(super) async fn submissions(&self, load: &Load) -> Result<Measurement> {
        let what = Measurement::of(
            "submit_assignment",
            format!("SubmitAssignment, {WRITES_AT_ONCE} calls at once"),
            "calls",
            &format!("one-row transactions, {WRITES_AT_ONCE} at once"),
        );
        self.alternate(
            what,
            async |round| self.raw_rows(RAW_SUBMISSIONS, round, WRITES_AT_ONCE).await,
            async |round| {
                load.submissions(part(0..self.sizes.learners, round), WRITES_AT_ONCE, self.sizes.time).await
            },
        )
        .await
    }

    pub(super) async fn attendee_scores(&self, load: &Load) -> Result<Measurement> {
        load.activities(self.sizes.learners).await?;
        let what = Measurement::of(
            "score_attendee",
            format!("ScoreAttendee, {WRITES_AT_ONCE} calls at once"),
            "calls",
            &format!("one-row transactions, {WRITES_AT_ONCE} at once"),
        );
        self.alternate(
            what,
            async |round| self.raw_rows(RAW_SCORES, round, WRITES_AT_ONCE).await,
            async |round| {
                let learners = part(0..self.sizes.learners, round);
                load.attendee_scores(learners, WRITES_AT_ONCE, self.sizes.time).await
            },
        )
        .await
    }

    pub(super) async fn single_beats(&self, load: &Load) -> Result<Measurement> {
        let (learners, time) = (self.sizes.learners, self.sizes.time);
        let what = Measurement::of(
            "record_heartbeat",
            format!("RecordHeartbeat, {BEATS_AT_ONCE} calls at once"),
            "beats",
            &format!("one-row transactions, {BEATS_AT_ONCE} at once"),
        );
        self.alternate(
            what,
            async |round| self.raw_rows(RAW_BEATS, round, BEATS_AT_ONCE).await,
            async |round| load.single_beats(learners, numbers(0, round), BEATS_AT_ONCE, time).await,
        )
        .await
    }

    pub(super) async fn scores(&self, load: &Load) -> Result<Measurement> {
        let what = Measurement::of(
            "list_trainee_scores",
            "ListTraineeScores, pages of 1,000".to_owned(),
            "scores",
            "rows selected in pages of as many",
        );
        self.alternate(
            what,
            async |_| raw::pages(&self.raw, READ_MAX, self.sizes.time).await,
            async |_| load.scores(READ_MAX, self.sizes.time).await,
        )
        .await
    }

    async fn raw_rows(&self, of: u64, round: u64, workers: u64) -> Result<Rate> {
        raw::single_rows(&self.raw, numbers(of, round), workers, self.sizes.time).await
    }
}
