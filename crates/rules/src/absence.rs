//! When a trainee was away: each withdrawal (调离, 退休, 产假) until the return after it, if there is one. While they are away they
//! have no score and are in no rate, and nothing is owed about them; what they did before and what they do after counts.

use chrono::{DateTime, Utc};

/// Everything that somebody was away for, by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absences(Vec<Absence>);

/// From a withdrawal on, until a return, or for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// The withdrawal.
    pub from: DateTime<Utc>,
    /// The return; `None` for good.
    pub until: Option<DateTime<Utc>>,
}

impl Absences {
    /// From withdrawals and returns in any order. A withdrawal of who is away, and a return of who is there, mean nothing; of a return
    /// and a withdrawal at one instant the return is the first.
    pub fn of(
        withdrawals: impl IntoIterator<Item = DateTime<Utc>>,
        returns: impl IntoIterator<Item = DateTime<Utc>>,
    ) -> Self {
        let mut turns: Vec<(DateTime<Utc>, bool)> = withdrawals.into_iter().map(|at| (at, true)).collect();
        turns.extend(returns.into_iter().map(|at| (at, false)));
        turns.sort_unstable();
        let mut absences: Vec<Absence> = Vec::new();
        for (at, leaves) in turns {
            match (leaves, absences.last_mut().filter(|last| last.until.is_none())) {
                (true, None) => absences.push(Absence { from: at, until: None }),
                (false, Some(last)) if last.from < at => last.until = Some(at),
                _ => {}
            }
        }
        Self(absences)
    }

    /// Whether they are away at an instant: from that of the withdrawal on, up to that of the return.
    pub fn at(&self, instant: DateTime<Utc>) -> bool {
        self.0.iter().any(|away| away.from <= instant && away.until.is_none_or(|until| until > instant))
    }

    /// Whether they are away just before an instant, for a deadline, which is the first instant that is too late.
    pub fn before(&self, deadline: DateTime<Utc>) -> bool {
        self.0.iter().any(|away| away.from < deadline && away.until.is_none_or(|until| until >= deadline))
    }

    /// Whether they leave or come back at just this instant.
    pub fn turns_at(&self, instant: DateTime<Utc>) -> bool {
        self.0.iter().any(|away| away.from == instant || away.until == Some(instant))
    }

    /// When they last left or came back.
    pub fn latest_change(&self) -> Option<DateTime<Utc>> {
        self.0.last().map(|away| away.until.unwrap_or(away.from))
    }

    /// Each of them, by time.
    pub fn all(&self) -> &[Absence] {
        &self.0
    }
}

/// Of who leaves then for good.
impl From<DateTime<Utc>> for Absences {
    fn from(withdrawn_at: DateTime<Utc>) -> Self {
        Self(vec![Absence { from: withdrawn_at, until: None }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn of(withdrawals: &[i64], returns: &[i64]) -> Vec<(i64, Option<i64>)> {
        let times = |times: &[i64]| times.iter().rev().map(|seconds| at(*seconds)).collect::<Vec<_>>();
        let absences = Absences::of(times(withdrawals), times(returns));
        let seconds = |away: &Absence| (away.from.timestamp(), away.until.map(|until| until.timestamp()));
        absences.all().iter().map(seconds).collect()
    }

    #[test]
    fn absence_is_from_a_withdrawal_to_the_return_after_it() {
        for (withdrawals, returns, expected) in [
            (&[][..], &[][..], vec![]),
            (&[10], &[], vec![(10, None)]),
            (&[10, 20], &[], vec![(10, None)]),
            (&[10], &[20], vec![(10, Some(20))]),
            (&[10], &[20, 30], vec![(10, Some(20))]),
            (&[10, 40], &[20], vec![(10, Some(20)), (40, None)]),
            (&[10, 15, 40], &[20, 50], vec![(10, Some(20)), (40, Some(50))]),
            (&[], &[20], vec![]),
            (&[10], &[10], vec![(10, None)]),
            (&[10, 20], &[20], vec![(10, Some(20)), (20, None)]),
        ] {
            assert_eq!(of(withdrawals, returns), expected, "{withdrawals:?} {returns:?}");
        }
    }

    #[test]
    fn who_is_away_is_so_from_leaving_up_to_coming_back() {
        let absences = Absences::of([at(10), at(30)], [at(20)]);
        for (seconds, is_away, was_away, turns) in [
            (9, false, false, false),
            (10, true, false, true),
            (11, true, true, false),
            (20, false, true, true),
            (21, false, false, false),
            (30, true, false, true),
            (99, true, true, false),
        ] {
            let instant = at(seconds);
            let found = (absences.at(instant), absences.before(instant), absences.turns_at(instant));
            assert_eq!(found, (is_away, was_away, turns), "{seconds}");
        }
        assert_eq!(absences.latest_change(), Some(at(30)));
        assert_eq!(Absences::of([at(10)], [at(20)]).latest_change(), Some(at(20)));
        assert_eq!(Absences::default().latest_change(), None);
    }
}
