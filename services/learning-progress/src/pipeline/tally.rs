//! How many heartbeats were credited, and how many not, and why: one metric, `shipei.heartbeats`, counted for a whole
//! transaction at a time, once it is on disk.
//!
//! `outcome` is `opened` (the first of a session, which can't be worth anything yet), `credited`, `uncredited` (kept,
//! and worth nothing) or `refused`; `reason` says why, for the last two.

use std::collections::BTreeMap;

use shipei_rules::study_time::HeartbeatOutcome;
use shipei_service_kit::{status::reason_name, telemetry::metrics::Counter};

use super::{Answer, BeatAnswer};

static HEARTBEATS: Counter =
    Counter::new("shipei.heartbeats", "{heartbeat}", "Heartbeats, by what became of them and why");

/// The numbers of what is yet to happen, at 0: what never happened is no missing metric.
pub(super) fn begin() {
    for outcome in ["opened", "credited"] {
        HEARTBEATS.add(0, &[("outcome", outcome)]);
    }
}

/// Counts what became of the beats of one transaction.
pub(super) fn count(answers: &[Answer]) {
    if !HEARTBEATS.is_on() {
        return;
    }
    for ((outcome, reason), beats) in tally(answers) {
        if reason.is_empty() {
            HEARTBEATS.add(beats, &[("outcome", outcome)]);
        } else {
            HEARTBEATS.add(beats, &[("outcome", outcome), ("reason", reason)]);
        }
    }
}

/// The beats by outcome and reason.
fn tally(answers: &[Answer]) -> BTreeMap<(&'static str, &'static str), u64> {
    let mut counts = BTreeMap::new();
    for beat in answers.iter().flat_map(|answer| &answer.sessions).flatten() {
        *counts.entry(outcome_of(beat)).or_default() += 1;
    }
    counts
}

/// Outcome and reason of one beat; of several reasons the first.
fn outcome_of(beat: &BeatAnswer) -> (&'static str, &'static str) {
    match beat {
        Err(reason) => ("refused", reason_name(*reason)),
        Ok(worth) if worth.outcome == HeartbeatOutcome::Opened => ("opened", ""),
        Ok(worth) => match worth.uncredited.first() {
            Some((reason, _)) if worth.credited_micros == 0 => ("uncredited", reason.as_str()),
            _ => ("credited", ""),
        },
    }
}

#[cfg(test)]
mod tests {
    use shipei_contracts::common::v1::ErrorReason;
    use shipei_rules::study_time::UncreditedReason;

    use super::*;
    use crate::domain::study::Worth;

    #[test]
    fn beats_are_tallied_by_outcome_and_reason() {
        let worth = |outcome, credited_seconds, uncredited: &[(UncreditedReason, i64)]| {
            let credited_micros = credited_seconds * 1_000_000;
            Ok(Worth { outcome, credited_micros, credited_seconds, uncredited: uncredited.to_vec() })
        };
        let credited = HeartbeatOutcome::Credited;
        let beats = vec![
            worth(HeartbeatOutcome::Opened, 0, &[]),
            worth(credited, 30, &[]),
            worth(credited, 30, &[(UncreditedReason::Gap, 10)]),
            worth(credited, 0, &[(UncreditedReason::Gap, 10), (UncreditedReason::Overlap, 1)]),
            worth(HeartbeatOutcome::Duplicate, 0, &[(UncreditedReason::Duplicate, 0)]),
            Err(ErrorReason::Withdrawn),
            Err(ErrorReason::Withdrawn),
        ];
        let answer = Answer { sessions: vec![beats], ..Answer::default() };
        let expected = [
            (("credited", ""), 2),
            (("opened", ""), 1),
            (("refused", "WITHDRAWN"), 2),
            (("uncredited", "DUPLICATE"), 1),
            (("uncredited", "GAP"), 1),
        ];
        assert_eq!(tally(&[answer]).into_iter().collect::<Vec<_>>(), expected);
    }
}
