//! Honours: the excellent trainees whom tutors recommend (推荐优秀参训教师) and the excellent tutors whom experts choose (遴选优秀辅导教师).
//!
//! The notice names who recommends and who chooses, and for tutors the conditions (Annex 3); how many there may be, and from which
//! total on a trainee may be recommended, a scheme says (`[honours]`), or nothing limits it. A recommendation that does not meet
//! them is kept, and it is said why it does not count. To add a condition: its figure in the scheme, its reason, its line here.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::explanation::ReasonCode;
use crate::ids::PersonId;
use crate::scheme::HonourRules;

/// Somebody who was recommended or chosen, as of the programme's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub person_id: PersonId,
    /// The total, in whole points.
    pub total: i64,
    /// When they were first recommended or chosen.
    pub at: DateTime<Utc>,
}

/// Why a trainee who was recommended does not count, beside the quota; empty when they may.
pub fn trainee_reasons(rules: &HonourRules, total: i64, passed: bool, withdrawn: bool) -> Vec<ReasonCode> {
    let mut reasons = Vec::new();
    if withdrawn {
        reasons.push(ReasonCode::HasLeft);
        return reasons;
    }
    if !passed {
        reasons.push(ReasonCode::NotPassed);
    }
    if rules.trainee_total.is_some_and(|least| total < least) {
        reasons.push(ReasonCode::TotalBelowHonour);
    }
    reasons
}

/// How many there may be of so many people: the percentage, rounded down, but one at least; `None` where nothing limits it.
pub fn quota(percent: Option<i64>, people: i64) -> Option<i64> {
    percent.map(|percent| (people * percent / 100).max(i64::from(percent > 0)))
}

/// Who of those who meet the conditions is within a quota: higher totals first, of one total who was recommended or chosen earlier, then
/// by id. So one more recommendation can push somebody out, and the order in which they are told changes nothing.
pub fn within(quota: Option<i64>, mut candidates: Vec<Candidate>) -> BTreeSet<PersonId> {
    candidates.sort_by(|one, other| {
        (other.total, one.at, &one.person_id).cmp(&(one.total, other.at, &other.person_id))
    });
    let number = quota.map_or(usize::MAX, |quota| usize::try_from(quota).unwrap_or_default());
    candidates.into_iter().take(number).map(|candidate| candidate.person_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(person: &str, total: i64, day: u32) -> Candidate {
        let at = format!("2019-12-{day:02}T10:00:00Z").parse().unwrap();
        Candidate { person_id: PersonId::parse(person).unwrap(), total, at }
    }

    fn ids(people: &BTreeSet<PersonId>) -> Vec<&str> {
        people.iter().map(PersonId::as_str).collect()
    }

    #[test]
    fn quota_is_a_share_rounded_down_and_one_at_least() {
        for (percent, people, expected) in [
            (None, 40, None),
            (Some(10), 40, Some(4)),
            (Some(10), 49, Some(4)),
            (Some(10), 9, Some(1)),
            (Some(10), 0, Some(1)),
            (Some(0), 40, Some(0)),
            (Some(100), 40, Some(40)),
        ] {
            assert_eq!(quota(percent, people), expected, "{percent:?} of {people}");
        }
    }

    #[test]
    fn higher_totals_come_first_then_who_was_earlier_then_the_id() {
        let all = [
            candidate("T1", 90, 22),
            candidate("T2", 100, 23),
            candidate("T3", 90, 21),
            candidate("T4", 90, 21),
        ];
        for (quota, expected) in [
            (Some(0), &[][..]),
            (Some(1), &["T2"]),
            (Some(2), &["T2", "T3"]),
            (Some(3), &["T2", "T3", "T4"]),
            (Some(9), &["T1", "T2", "T3", "T4"]),
            (None, &["T1", "T2", "T3", "T4"]),
        ] {
            assert_eq!(ids(&within(quota, all.to_vec())), expected, "{quota:?}");
            let reversed = all.iter().rev().cloned().collect();
            assert_eq!(ids(&within(quota, reversed)), expected, "{quota:?} told in another order");
        }
    }

    #[test]
    fn trainee_counts_who_passed_with_the_total_and_is_still_there() {
        use ReasonCode::{HasLeft, NotPassed, TotalBelowHonour};
        let rules = HonourRules { trainee_total: Some(90), ..HonourRules::default() };
        for (total, passed, withdrawn, expected) in [
            (90, true, false, &[][..]),
            (89, true, false, &[TotalBelowHonour]),
            (90, false, false, &[NotPassed]),
            (10, false, false, &[NotPassed, TotalBelowHonour]),
            (90, true, true, &[HasLeft]),
        ] {
            assert_eq!(trainee_reasons(&rules, total, passed, withdrawn), expected);
        }
        assert_eq!(trainee_reasons(&HonourRules::default(), 80, true, false), []);
    }
}
