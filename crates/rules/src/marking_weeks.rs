//! The weeks of marking: Monday to Sunday in the scheme's zone, each with its deadline (Annex 3, 每周日).
//!
//! A week is late when a submission made in it still waited at the deadline: the end of its Sunday plus the grace. This
//! is apart from the tutor's score because the tutor's list of what is due by Sunday needs it too. There is no other
//! rhythm to add; a scheme changes the first week, the grace and the number that disqualifies.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};

use crate::scheme::Scheme;

/// One week of marking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkingWeek {
    /// 0 for the week that holds `late_week.from`, then counting up.
    pub index: i64,
    /// Its Monday.
    pub monday: NaiveDate,
    /// Its Sunday.
    pub sunday: NaiveDate,
    /// The first instant that is too late: the end of the Sunday, plus the grace.
    pub deadline: DateTime<Utc>,
}

/// The week that an instant falls in; `None` before the week that holds `late_week.from`.
pub fn week_of(scheme: &Scheme, at: DateTime<Utc>) -> Option<MarkingWeek> {
    let rule = &scheme.tutor.marking.late_week;
    let first_monday = monday_of(rule.from);
    let monday = monday_of(scheme.zone.day_of(at));
    if monday < first_monday {
        return None;
    }
    let sunday = monday + Days::new(6);
    let deadline = scheme.zone.start_of(monday + Days::new(7)) + TimeDelta::seconds(rule.grace_seconds);
    Some(MarkingWeek { index: (monday - first_monday).num_days() / 7, monday, sunday, deadline })
}

/// The week that a submission makes late, if it does: at its week's deadline, which has come at `as_of`, it was not
/// `settled_at` (reviewed, returned, superseded, or its trainee withdrawn; the earliest of them).
pub fn late_week(
    scheme: &Scheme,
    submitted_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
    as_of: DateTime<Utc>,
) -> Option<MarkingWeek> {
    let week = week_of(scheme, submitted_at)?;
    if as_of < week.deadline {
        return None;
    }
    if settled_at.is_some_and(|settled_at| settled_at < week.deadline) {
        return None;
    }
    Some(week)
}

/// Whether a submission makes its week late; see [`late_week`].
pub fn is_late(
    scheme: &Scheme,
    submitted_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
    as_of: DateTime<Utc>,
) -> bool {
    late_week(scheme, submitted_at, settled_at, as_of).is_some()
}

fn monday_of(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.weekday().num_days_from_monday()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme() -> Scheme {
        Scheme::parse(include_str!("../data/qinhuangdao-2019.toml")).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn week_that_holds_the_first_day_is_the_first_from_its_monday_on() {
        let scheme = scheme();
        assert_eq!(week_of(&scheme, at("2019-10-27T23:59:59+08:00")), None);
        let first = week_of(&scheme, at("2019-10-28T00:00:00+08:00")).unwrap();
        assert_eq!((first.index, first.deadline), (0, at("2019-11-04T00:00:00+08:00")));
        assert_eq!(week_of(&scheme, at("2019-11-03T23:59:59+08:00")).unwrap(), first);
        assert_eq!(week_of(&scheme, at("2019-11-04T00:00:00+08:00")).unwrap().index, 1);
    }

    #[test]
    fn submission_marked_by_the_second_before_the_deadline_is_on_time() {
        let scheme = scheme();
        let submitted = at("2019-11-03T23:59:59+08:00");
        let deadline = at("2019-11-04T00:00:00+08:00");
        let later = at("2019-12-31T00:00:00+08:00");
        assert!(!is_late(&scheme, submitted, Some(at("2019-11-03T23:59:59+08:00")), later));
        assert!(is_late(&scheme, submitted, Some(deadline), later));
        assert!(is_late(&scheme, submitted, None, deadline));
        assert!(!is_late(&scheme, submitted, None, at("2019-11-03T23:59:59+08:00")));
    }
}
