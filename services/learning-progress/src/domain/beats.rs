//! The heartbeats that a session took and what each was credited, in few bytes: a session has hundreds, and a row for each
//! is what this service does not keep.
//!
//! Why they are kept: a session that arrives late may let a phase be achieved earlier than was told, at a heartbeat
//! of another session; and a heartbeat that was taken is a duplicate when it is sent again, whatever has been learned
//! since. Equal heartbeats in a row (same distance, same credit) are one run; one of a player that is not punctual takes
//! four bytes.

use chrono::{DateTime, TimeDelta, Utc};
use shipei_rules::intervals::{Span, push_number, take_number};

/// The most runs of one session. A player that beats every 30 s, never punctually, fills it in a week.
pub(crate) const RUNS_MAX: usize = 20_000;

/// The heartbeats after a session's first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BeatLog {
    runs: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    count: u64,
    /// From the heartbeat before to this one, microseconds.
    step: u64,
    credit: RunCredit,
}

/// What each heartbeat of a run was credited.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RunCredit {
    /// All of the time since the one before.
    Whole,
    /// Some parts: how long before the heartbeat each begins, and how long it is.
    Parts(Vec<(u64, u64)>),
}

impl RunCredit {
    fn of(step: u64, at: i64, spans: &[Span]) -> Self {
        let parts: Vec<_> = spans.iter().map(|span| (at.abs_diff(span.from), micros(*span))).collect();
        if parts == [(step, step)] { Self::Whole } else { Self::Parts(parts) }
    }
}

impl BeatLog {
    /// Whether no further heartbeat has room.
    pub(crate) fn is_full(&self) -> bool {
        self.runs.len() >= RUNS_MAX
    }

    /// Adds a heartbeat at `at`, after the one at `previous`, and what it was credited.
    pub(crate) fn push(&mut self, previous: DateTime<Utc>, at: DateTime<Utc>, spans: &[Span]) {
        let step = micros(Span::new(previous, at));
        let credit = RunCredit::of(step, at.timestamp_micros(), spans);
        match self.runs.last_mut() {
            Some(last) if last.step == step && last.credit == credit => last.count += 1,
            _ => self.runs.push(Run { count: 1, step, credit }),
        }
    }

    /// The heartbeats of a session that was opened then: when each was, and what it was credited.
    pub(crate) fn beats(
        &self,
        opened_at: DateTime<Utc>,
    ) -> impl Iterator<Item = (DateTime<Utc>, Vec<Span>)> + '_ {
        let mut at = opened_at;
        let each = self.runs.iter().flat_map(|run| (0..run.count).map(move |_| run));
        each.map(move |run| {
            at += TimeDelta::microseconds(signed(run.step));
            let end = at.timestamp_micros();
            let span = |back: u64, length: u64| {
                let from = end - signed(back);
                Span { from, until: from + signed(length) }
            };
            let spans = match &run.credit {
                RunCredit::Whole => vec![span(run.step, run.step)],
                RunCredit::Parts(parts) => parts.iter().map(|(back, length)| span(*back, *length)).collect(),
            };
            (at, spans)
        })
    }

    /// Whether a session that was opened then took a heartbeat at `at`.
    pub(crate) fn has(&self, opened_at: DateTime<Utc>, at: DateTime<Utc>) -> bool {
        let Ok(mut left) = u64::try_from((at - opened_at).num_microseconds().unwrap_or(-1)) else {
            return false;
        };
        for run in &self.runs {
            let whole = run.step.saturating_mul(run.count);
            if left <= whole {
                return left == 0 || left.is_multiple_of(run.step);
            }
            left -= whole;
        }
        left == 0
    }

    /// The log in few bytes. A run begins with its step and two marks in one number: is it more than one heartbeat, and is
    /// its credit other than whole?
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.runs.len() * 5);
        for run in &self.runs {
            let (repeats, in_parts) = (run.count > 1, run.credit != RunCredit::Whole);
            push_number(&mut bytes, run.step << 2 | u64::from(in_parts) << 1 | u64::from(repeats));
            if repeats {
                push_number(&mut bytes, run.count);
            }
            if let RunCredit::Parts(parts) = &run.credit {
                push_number(&mut bytes, parts.len() as u64);
                for (back, length) in parts {
                    push_number(&mut bytes, *back);
                    push_number(&mut bytes, *length);
                }
            }
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` when it did not write that.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut runs = Vec::new();
        while !bytes.is_empty() {
            let head = take_number(&mut bytes)?;
            let (step, in_parts, repeats) = (head >> 2, head & 2 != 0, head & 1 != 0);
            let count = if repeats { take_number(&mut bytes)? } else { 1 };
            let credit = if in_parts {
                let mut parts = Vec::new();
                for _ in 0..take_number(&mut bytes)? {
                    parts.push((take_number(&mut bytes)?, take_number(&mut bytes)?));
                }
                RunCredit::Parts(parts)
            } else {
                RunCredit::Whole
            };
            runs.push(Run { count, step, credit });
        }
        Some(Self { runs })
    }
}

fn micros(span: Span) -> u64 {
    span.micros().unsigned_abs()
}

/// A length of time; none reaches half of what the number can hold.
fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opened_at() -> DateTime<Utc> {
        "2019-09-16T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn punctual_player_takes_a_few_bytes_and_another_four_a_beat() {
        for (jitter, bytes_max) in [(0, 7), (1, 180 * 5)] {
            let (mut log, mut previous) = (BeatLog::default(), opened_at());
            for beat in 0..180 {
                let at = previous + TimeDelta::microseconds(30_000_000 + jitter * (beat * 7_919 % 1_000));
                log.push(previous, at, &[Span::new(previous, at)]);
                previous = at;
            }
            let bytes = log.to_bytes();
            assert!(bytes.len() <= bytes_max, "{} bytes", bytes.len());
            assert_eq!(BeatLog::from_bytes(&bytes), Some(log));
            assert_eq!(BeatLog::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
    }

    proptest! {
        #[test]
        fn log_gives_back_what_was_put_in(
            beats in prop::collection::vec((0_i64..6, prop::collection::vec((0_i64..9, 1_i64..9), 0..3)), 0..60),
        ) {
            let (mut log, mut at) = (BeatLog::default(), opened_at());
            let mut expected = Vec::new();
            for (step, parts) in beats {
                let previous = at;
                at += TimeDelta::microseconds(step);
                let end = at.timestamp_micros();
                let part = |(back, length)| Span { from: end - back, until: end - back + length };
                let spans: Vec<Span> = parts.into_iter().map(part).collect();
                log.push(previous, at, &spans);
                expected.push((at, spans));
            }
            let log = BeatLog::from_bytes(&log.to_bytes()).unwrap();
            prop_assert_eq!(log.beats(opened_at()).collect::<Vec<_>>(), expected.clone());
            for offset in -2..60 {
                let asked = opened_at() + TimeDelta::microseconds(offset);
                let taken = asked == opened_at() || expected.iter().any(|(at, _)| *at == asked);
                prop_assert_eq!(log.has(opened_at(), asked), taken, "{}", offset);
            }
        }
    }
}
