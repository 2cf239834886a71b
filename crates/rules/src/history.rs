//! A value with a past: what it was first, and each change with its instant.
//!
//! Whoever asks for the value says when, so that a fact is answered the same whether it arrives before the change or
//! after it. A rule that needs a dated class, tutor or region takes a [`History`] of it.

use chrono::{DateTime, Utc};

/// Something that changes at known instants, and was there before the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History<T> {
    first: T,
    /// By time; of two at one instant the last counts.
    changes: Vec<(DateTime<Utc>, T)>,
}

impl<T> History<T> {
    /// What there was first, and the changes by time.
    pub fn new(first: T, changes: Vec<(DateTime<Utc>, T)>) -> Self {
        debug_assert!(changes.is_sorted_by_key(|(changed_at, _)| *changed_at), "changes are by time");
        Self { first, changes }
    }

    /// As of an instant: a change counts from its own instant on.
    pub fn at(&self, instant: DateTime<Utc>) -> &T {
        self.last_that(|changed_at| changed_at <= instant)
    }

    /// Just before an instant, for a deadline, which is the first instant that is too late.
    pub fn before(&self, deadline: DateTime<Utc>) -> &T {
        self.last_that(|changed_at| changed_at < deadline)
    }

    /// Before any change.
    pub fn first(&self) -> &T {
        &self.first
    }

    /// Behind all changes.
    pub fn last(&self) -> &T {
        self.changes.last().map_or(&self.first, |(_, value)| value)
    }

    /// The instants of the changes, by time.
    pub fn turns(&self) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        self.changes.iter().map(|(changed_at, _)| *changed_at)
    }

    /// Everything there ever was, by time.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(self.changes.iter().map(|(_, value)| value))
    }

    /// Everything there ever was, by time, each with the instants from and until which it was; none before the first change
    /// and after the last.
    pub fn spans(&self) -> impl Iterator<Item = (Option<DateTime<Utc>>, Option<DateTime<Utc>>, &T)> {
        let starts =
            std::iter::once(None).chain(self.changes.iter().map(|(changed_at, _)| Some(*changed_at)));
        let ends = self.changes.iter().map(|(changed_at, _)| Some(*changed_at)).chain(std::iter::once(None));
        starts.zip(ends).zip(self.all()).map(|((from, until), value)| (from, until, value))
    }

    /// The time of the last change.
    pub fn latest_change(&self) -> Option<DateTime<Utc>> {
        self.changes.last().map(|(changed_at, _)| *changed_at)
    }

    /// The history of what follows from it.
    pub fn map<U>(&self, of: impl Fn(&T) -> U) -> History<U> {
        let changes = self.changes.iter().map(|(changed_at, value)| (*changed_at, of(value))).collect();
        History { first: of(&self.first), changes }
    }

    /// The history of what follows from it and from another one.
    pub fn join<U, V>(&self, other: &History<U>, of: impl Fn(&T, &U) -> V) -> History<V> {
        let mut turns: Vec<_> = self.turns().chain(other.turns()).collect();
        turns.sort_unstable();
        turns.dedup();
        let changes = turns.into_iter().map(|turn| (turn, of(self.at(turn), other.at(turn)))).collect();
        History { first: of(&self.first, &other.first), changes }
    }

    fn last_that(&self, happened: impl Fn(DateTime<Utc>) -> bool) -> &T {
        let found = self.changes.iter().rev().find(|(changed_at, _)| happened(*changed_at));
        found.map_or(&self.first, |(_, value)| value)
    }
}

/// What never changed.
impl<T> From<T> for History<T> {
    fn from(first: T) -> Self {
        Self { first, changes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn what_never_changed_is_the_same_at_any_time() {
        let history = History::from("L1");
        assert_eq!((history.at(at(0)), history.before(at(9)), history.latest_change()), (&"L1", &"L1", None));
    }

    #[test]
    fn change_counts_from_its_instant_on() {
        let history = History::new("L1", vec![(at(10), "L2"), (at(20), "L3"), (at(20), "L4")]);
        for (seconds, as_of, before) in
            [(9, "L1", "L1"), (10, "L2", "L1"), (11, "L2", "L2"), (20, "L4", "L2"), (21, "L4", "L4")]
        {
            assert_eq!(
                (*history.at(at(seconds)), *history.before(at(seconds))),
                (as_of, before),
                "{seconds}"
            );
        }
        assert_eq!(history.map(|class| class.len()).at(at(15)), &2);
        assert_eq!(history.all().copied().collect::<Vec<_>>(), ["L1", "L2", "L3", "L4"]);
        assert_eq!((history.latest_change(), history.last()), (Some(at(20)), &"L4"));
        let spans: Vec<_> = history.spans().collect();
        assert_eq!(spans[0], (None, Some(at(10)), &"L1"));
        assert_eq!(spans[1..3], [(Some(at(10)), Some(at(20)), &"L2"), (Some(at(20)), Some(at(20)), &"L3")]);
        assert_eq!(spans[3], (Some(at(20)), None, &"L4"));
    }

    #[test]
    fn what_follows_from_two_pasts_changes_with_either() {
        let class = History::new("L1", vec![(at(10), "L2"), (at(20), "L3")]);
        let tutor = History::new("U1", vec![(at(5), "U2"), (at(20), "U3")]);
        let both = class.join(&tutor, |class, tutor| format!("{class}{tutor}"));
        let found: Vec<_> = [4, 5, 9, 10, 19, 20, 21].map(|seconds| both.at(at(seconds)).as_str()).into();
        assert_eq!(found, ["L1U1", "L1U2", "L1U2", "L2U2", "L2U2", "L3U3", "L3U3"]);
        assert_eq!(both.turns().collect::<Vec<_>>(), [at(5), at(10), at(20)]);
        let same = class.join(&History::from(()), |class, ()| *class);
        assert_eq!(same, class);
    }
}
