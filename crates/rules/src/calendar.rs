//! Days, windows and instants: from the calendar of a notice to the half-open periods that facts are tested against.
//!
//! A notice speaks in days, both included; a fact has an instant. The conversion is done once, in the scheme's time
//! zone, when the scheme is read: `[first, last]` becomes `first 00:00 <= t < midnight after last` (scoring.md, Time).
//! Everything else compares instants and knows no zone. There is no second kind of window to add; a rule that needs
//! another edge names another window of the scheme.

use std::fmt;

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// A pair of calendar days, both included, `first` not after `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first day.
    pub first: NaiveDate,
    /// The last day.
    pub last: NaiveDate,
}

impl Window {
    /// A window; `None` when it would run backwards.
    pub fn new(first: NaiveDate, last: NaiveDate) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// How many days it has, at least 1.
    pub fn days(&self) -> i64 {
        (self.last - self.first).num_days() + 1
    }
}

/// Where an instant stands to a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// Before it begins: `WINDOW_NOT_OPEN`.
    Before,
    /// Inside.
    Inside,
    /// At its end or after: `WINDOW_CLOSED`.
    After,
}

/// A half-open span of instants: `from <= t < until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    /// The first instant inside.
    pub from: DateTime<Utc>,
    /// The first instant that is no longer inside.
    pub until: DateTime<Utc>,
    /// Where its days are days; for people, no comparison needs it.
    pub zone: Zone,
}

impl Period {
    /// Whether an instant is inside.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }

    /// Where an instant stands to the period.
    pub fn position(&self, at: DateTime<Utc>) -> Position {
        if at < self.from {
            return Position::Before;
        }
        if at < self.until { Position::Inside } else { Position::After }
    }

    /// Whether the period is over at an instant (`as_of`): nothing dated by then or later can still fall inside.
    pub fn is_over(&self, as_of: DateTime<Utc>) -> bool {
        as_of >= self.until
    }

    /// Its first and its last day, as people name it. Of a period that ends before it begins the last is before the first.
    pub fn days(&self) -> (NaiveDate, NaiveDate) {
        let last = self.until.checked_sub_signed(TimeDelta::microseconds(1)).unwrap_or(self.until);
        (self.zone.day_of(self.from), self.zone.day_of(last))
    }

    /// Its length in whole seconds.
    pub fn seconds(&self) -> i64 {
        (self.until - self.from).num_seconds()
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    /// Reads an IANA name such as `Asia/Shanghai`; `None` when there is no such zone.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// The IANA name.
    pub fn as_str(&self) -> &'static str {
        self.0.name()
    }

    /// The calendar day that an instant falls on in this zone.
    pub fn day_of(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// The calendar day that an instant falls on in this zone, from its beginning to its end.
    pub fn day_around(&self, at: DateTime<Utc>) -> Period {
        let day = self.day_of(at);
        self.period(Window { first: day, last: day })
    }

    /// The first instant of a calendar day in this zone. Where clocks jump over midnight it is the instant of the jump;
    /// where midnight comes twice, the earlier one.
    pub fn start_of(&self, day: NaiveDate) -> DateTime<Utc> {
        match self.0.from_local_datetime(&day.and_time(NaiveTime::MIN)) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.with_timezone(&Utc),
            LocalResult::None => self.first_instant_on_or_after(day),
        }
    }

    /// The instants of a window: from the start of its first day to the start of the day after its last.
    pub fn period(&self, window: Window) -> Period {
        let day_after = window.last.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
        Period { from: self.start_of(window.first), until: self.start_of(day_after), zone: *self }
    }

    /// Midnight does not exist that day: the jump is found by halving the seconds around it. No zone is further than a
    /// day from UTC, and none jumps twice within the three days searched.
    fn first_instant_on_or_after(&self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN).and_utc();
        let mut before = -36 * 3600_i64;
        let mut reached = 36 * 3600_i64;
        while reached - before > 1 {
            let middle = i64::midpoint(before, reached);
            if self.day_of(midnight + TimeDelta::seconds(middle)) >= day {
                reached = middle;
            } else {
                before = middle;
            }
        }
        midnight + TimeDelta::seconds(reached)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn window_in_shanghai_covers_both_days_to_the_second() {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let period = zone.period(Window::new(day("2019-09-15"), day("2019-10-30")).unwrap());
        assert_eq!(period.position(at("2019-09-14T23:59:59+08:00")), Position::Before);
        assert_eq!(period.position(at("2019-09-15T00:00:00+08:00")), Position::Inside);
        assert_eq!(period.position(at("2019-10-30T23:59:59.999+08:00")), Position::Inside);
        assert_eq!(period.position(at("2019-10-31T00:00:00+08:00")), Position::After);
        assert!(period.is_over(period.until) && !period.is_over(at("2019-10-30T23:59:59+08:00")));
        assert_eq!(period.seconds(), 46 * 86_400);
    }

    #[test]
    fn instant_after_the_jump_of_a_clock_is_found_to_the_second() {
        // A day of which the first half hour does not exist, and one that a zone leaves out altogether.
        for (name, date, start) in [
            ("Asia/Beirut", "2021-03-28", "2021-03-27T22:00:00Z"),
            ("America/Asuncion", "2019-10-06", "2019-10-06T04:00:00Z"),
            ("Pacific/Kwajalein", "1993-08-21", "1993-08-21T12:00:00Z"),
        ] {
            let zone = Zone::parse(name).unwrap();
            let found = zone.start_of(day(date));
            assert_eq!(found, at(start), "{name}");
            assert!(zone.day_of(found - TimeDelta::seconds(1)) < day(date), "{name}");
            assert!(zone.day_of(found) >= day(date), "{name}");
        }
    }

    #[test]
    fn period_holds_its_first_instant_and_not_its_last() {
        let (from, until) = (at("2019-09-15T00:00:00Z"), at("2019-09-16T00:00:00Z"));
        let period = Period { from, until, zone: Zone::parse("Asia/Shanghai").unwrap() };
        let micros = TimeDelta::microseconds(1);
        for (instant, position) in [
            (from - micros, Position::Before),
            (from, Position::Inside),
            (until - micros, Position::Inside),
            (until, Position::After),
        ] {
            assert_eq!(period.position(instant), position);
            assert_eq!(period.contains(instant), position == Position::Inside);
            assert_eq!(period.is_over(instant), position == Position::After);
        }
        assert_eq!((period.seconds(), Zone::parse("UTC").unwrap().to_string()), (86_400, "UTC".to_owned()));
    }

    #[test]
    fn window_has_as_many_days_as_it_names() {
        for (first, last, days) in [
            ("2019-09-15", "2019-10-30", 46),
            ("2019-02-28", "2019-03-01", 2),
            ("2020-02-28", "2020-03-01", 3),
        ] {
            assert_eq!(Window::new(day(first), day(last)).unwrap().days(), days, "{first}");
        }
    }

    #[test]
    fn window_backwards_is_refused() {
        assert_eq!(Window::new(day("2019-09-15"), day("2019-09-14")), None);
        assert_eq!(Window::new(day("2019-09-15"), day("2019-09-15")).unwrap().days(), 1);
    }

    #[test]
    fn day_without_midnight_starts_at_the_jump() {
        for (name, date, start) in [
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
            ("America/Havana", "2019-11-03", "2019-11-03T04:00:00Z"),
            ("Asia/Shanghai", "1986-05-04", "1986-05-03T16:00:00Z"),
        ] {
            let zone = Zone::parse(name).unwrap();
            assert_eq!(zone.start_of(day(date)), at(start), "{name}");
            assert!(zone.day_of(at(start)) >= day(date));
        }
    }

    #[test]
    fn zone_that_does_not_exist_is_refused() {
        assert_eq!(Zone::parse("Asia/Qinhuangdao"), None);
        assert_eq!(Zone::parse("Asia/Shanghai").unwrap().to_string(), "Asia/Shanghai");
    }
}
