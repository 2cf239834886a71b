//! Late weeks of classes (Annex 3, marking), as statistics count them: a week of a class is late while at least one submission makes it
//! late. How many do is kept with the other counters; a class's late weeks change only when that becomes or leaves 0, so a fact costs the
//! same in a large class as in a small one, and the order of facts decides nothing.
//!
//! **Decided**: it is the class's week, whoever had the class then, and it counts in the county where the trainee whose work waited stood
//! just before the week's deadline.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use prost::Message;
use shipei_mirror::Place;
use shipei_rules::{
    ids::{ClassId, text_of},
    marking::MarkingWeek,
    region::RegionCode,
    scheme::Scheme,
};

use crate::{
    domain::{
        counter::{Count, Counter, Dimension, UNDATED},
        trainee::TraineeRecord,
    },
    facts::Instant,
};

/// A week of a class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassWeek {
    /// The county in which it counts; `None` for a trainee without one.
    pub county_code: Option<RegionCode>,
    /// The class.
    pub class_id: ClassId,
    /// Its Monday, in days since 1970-01-01.
    pub monday: i64,
    /// The local day on which it became late, likewise.
    pub day: i64,
}

/// [`ClassWeek`] in the trainee's row, with how many submissions make it late.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StoredWeek {
    #[prost(string, tag = "1")]
    county_code: String,
    #[prost(string, tag = "2")]
    class_id: String,
    #[prost(int64, tag = "3")]
    monday: i64,
    #[prost(int64, tag = "4")]
    day: i64,
    #[prost(int64, tag = "5")]
    submissions: i64,
}

impl StoredWeek {
    /// For the trainee's row.
    pub fn new(week: &ClassWeek, submissions: i64) -> Self {
        let ClassWeek { county_code, class_id, monday, day } = week;
        let county_code = text_of(county_code.as_ref()).to_owned();
        Self { county_code, class_id: class_id.to_string(), monday: *monday, day: *day, submissions }
    }

    /// From the trainee's row; `None` for what can't be.
    pub fn read(self) -> Option<(ClassWeek, i64)> {
        let county_code = RegionCode::parse_optional(&self.county_code).ok()?;
        let class_id = ClassId::parse(&self.class_id).ok()?;
        let week = ClassWeek { county_code, class_id, monday: self.monday, day: self.day };
        Some((week, self.submissions))
    }
}

/// The weeks that a trainee's work makes late as of a time, with how much of it does. Work that nobody's class has is no class's.
pub fn of_trainee(scheme: &Scheme, trainee: &TraineeRecord, as_of: Instant) -> BTreeMap<ClassWeek, i64> {
    let mut weeks = BTreeMap::new();
    for (week, place) in trainee.answering(as_of).into_iter().filter_map(|answering| answering.late) {
        if let Some(week) = class_week(scheme, week, place) {
            *weeks.entry(week).or_default() += 1;
        }
    }
    weeks
}

fn class_week(scheme: &Scheme, week: MarkingWeek, place: &Place) -> Option<ClassWeek> {
    let since = |day: NaiveDate| day.signed_duration_since(NaiveDate::default()).num_days();
    Some(ClassWeek {
        county_code: place.county_code,
        class_id: place.class_id.clone()?,
        monday: since(week.monday),
        day: since(scheme.zone.day_of(week.deadline)),
    })
}

/// The first moment that is too late for a mark of what was handed in in the week of a Monday, by the scheme of now.
pub fn deadline(scheme: &Scheme, monday: i64) -> Option<DateTime<Utc>> {
    let monday = NaiveDate::default().checked_add_signed(TimeDelta::try_days(monday)?)?;
    let end = scheme.zone.start_of(monday.checked_add_days(Days::new(7))?);
    Some(end + TimeDelta::seconds(scheme.tutor.marking.late_week.grace_seconds))
}

/// How often a week is counted, for a class, a county and a county on all days together.
pub fn counts(week: &ClassWeek) -> [(Dimension, &str, Count); 3] {
    let count = |day| Count { counter: Counter::LateWeek, detail: week.monday, day };
    [
        (Dimension::County, "", count(week.day)),
        (Dimension::Class, week.class_id.as_str(), count(week.day)),
        (Dimension::Whole, "", count(UNDATED)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn week_of_a_monday_ends_with_its_sunday_and_the_grace() {
        let mut scheme =
            Scheme::parse(include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml")).unwrap();
        let monday: NaiveDate = "2019-11-04".parse().unwrap();
        let monday = monday.signed_duration_since(NaiveDate::default()).num_days();
        scheme.tutor.marking.late_week.grace_seconds = 3_600;
        let expected: DateTime<Utc> = "2019-11-11T01:00:00+08:00".parse().unwrap();
        assert_eq!(deadline(&scheme, monday), Some(expected));
        assert_eq!(deadline(&scheme, i64::MAX), None);
    }

    #[test]
    fn week_survives_the_row() {
        let class_id = ClassId::parse("L1").unwrap();
        let week = ClassWeek { county_code: None, class_id, monday: 18_204, day: 18_211 };
        assert_eq!(StoredWeek::new(&week, 2).read(), Some((week, 2)));
        assert_eq!(StoredWeek::default().read(), None, "a week of no class");
    }
}
