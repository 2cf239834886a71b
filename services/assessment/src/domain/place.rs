//! Where a trainee stood as of a time (domain.md: who changes class or county keeps what they earned; from then on they
//! count in the new one).
//!
//! **Decided**: enrolment itself is not dated. A roster is imported when the paper arrives, often after the fact, so a
//! trainee stands in their first place from the beginning of time, and only transfers are dated.

use crate::facts::{Instant, PlaceChange};

/// A county and a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The county's code.
    pub county_code: String,
    /// The class; empty for none.
    pub class_id: String,
}

/// All places of one trainee.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceHistory {
    first: Place,
    changes: Vec<(Instant, Place)>,
}

impl PlaceHistory {
    /// From the place that enrollment names now, which counts alone while no transfer is known, and the transfers in any
    /// order. Of two at one instant, the one further in the log is the later.
    pub fn new(named_now: Place, mut changes: Vec<PlaceChange>) -> Self {
        changes.sort_by_key(|change| (change.changed_at, change.event_number, change.event_partition));
        let first = match changes.first() {
            Some(change) => {
                Place { county_code: change.old_county_code.clone(), class_id: change.old_class_id.clone() }
            }
            None => named_now,
        };
        let mut places = Vec::with_capacity(changes.len());
        for change in changes {
            let place = Place { county_code: change.new_county_code, class_id: change.new_class_id };
            places.push((change.changed_at, place));
        }
        Self { first, changes: places }
    }

    /// The place as of an instant: a transfer counts from its own instant on.
    pub fn at(&self, instant: Instant) -> &Place {
        self.last(|changed_at| changed_at <= instant)
    }

    /// The place just before an instant, for a deadline, which is the first instant that is too late.
    pub fn before(&self, deadline: Instant) -> &Place {
        self.last(|changed_at| changed_at < deadline)
    }

    /// The time of the last transfer.
    pub fn latest_change(&self) -> Option<Instant> {
        self.changes.last().map(|(changed_at, _)| *changed_at)
    }

    fn last(&self, happened: impl Fn(Instant) -> bool) -> &Place {
        let found = self.changes.iter().rev().find(|(changed_at, _)| happened(*changed_at));
        found.map_or(&self.first, |(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_timestamp(seconds, 0).unwrap()
    }

    fn change(seconds: i64, number: i64, old: &str, new: &str) -> PlaceChange {
        PlaceChange {
            person_id: "T1".into(),
            event_partition: 1,
            event_number: number,
            changed_at: at(seconds),
            old_county_code: "130302".into(),
            old_class_id: old.into(),
            new_county_code: "130303".into(),
            new_class_id: new.into(),
        }
    }

    #[test]
    fn place_without_transfers_is_what_enrollment_names() {
        let place = Place { county_code: "130302".into(), class_id: "C1".into() };
        let history = PlaceHistory::new(place.clone(), Vec::new());
        assert_eq!(
            (history.at(at(0)), history.before(at(9)), history.latest_change()),
            (&place, &place, None)
        );
    }

    #[test]
    fn transfer_counts_from_its_instant_in_whatever_order_it_came() {
        let changes = vec![change(20, 2, "C2", "C3"), change(10, 1, "C1", "C2")];
        let mut reversed = changes.clone();
        reversed.reverse();
        for changes in [changes, reversed] {
            let history = PlaceHistory::new(Place::default(), changes);
            let classes = |seconds| {
                (history.at(at(seconds)).class_id.clone(), history.before(at(seconds)).class_id.clone())
            };
            assert_eq!(classes(9), ("C1".into(), "C1".into()));
            assert_eq!(classes(10), ("C2".into(), "C1".into()));
            assert_eq!(classes(20), ("C3".into(), "C2".into()));
            assert_eq!(classes(21), ("C3".into(), "C3".into()));
        }
    }
}
