//! What is counted of trainees, of whom, and on which day. The numbers stand in tables and never change their meaning.

use chrono::{DateTime, NaiveDate, Utc};
use shipei_rules::scheme::{Scheme, Task};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its number in tables.
            pub const fn number(self) -> i64 {
                match self { $(Self::$variant => $number,)+ }
            }

            /// Reads a number of a table.
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

numbered! {
    /// What is counted. All but the last four count trainees. [`Counter::Attended`] and [`Counter::AttendanceScored`] count
    /// attendances, in the county and education stage of the activity; what is late is of no education stage.
    Counter {
        /// Not withdrawn. Enrolment is not dated.
        Active = 1,
        /// Has logged in, on the day of the first log-in.
        LoggedIn = 2,
        /// Did so inside its window.
        LoggedInOnTime = 3,
        /// Earned a phase of online study; the detail is its index from 0.
        PhaseEarned = 4,
        /// Submitted an assignment inside the window, on the day of the first one.
        Submitted = 5,
        /// Has a grade; the detail is the grade's number in the contract.
        Graded = 6,
        /// Earned the seminar.
        SeminarEarned = 7,
        /// Passed, on the first day on which everything that it takes was there.
        Passed = 8,
        /// Holds that total, which is the detail; not dated.
        Total = 9,
        /// Holds that offline score, which is the detail.
        OfflineScore = 10,
        /// Attended an activity inside the window.
        Attended = 11,
        /// Was scored for such an attendance, on the day of the first score.
        AttendanceScored = 12,
        /// Submissions that make a week of a class late; the detail is its Monday, the day that on which it became late. Only by class: it says
        /// what [`Counter::LateWeek`] follows from (domain/late_weeks.rs).
        LateSubmission = 13,
        /// Late weeks of classes, by class and county; detail and day are the same.
        LateWeek = 14,
    }
}

impl Counter {
    /// What counts those who did a task of the county's score on time: counter and detail.
    pub fn of_task(task: Task) -> (Self, i64) {
        match task {
            Task::Login => (Self::LoggedInOnTime, 0),
            Task::Phase(index) => (Self::PhaseEarned, i64::try_from(index).unwrap_or(i64::MAX)),
            Task::Assignment => (Self::Submitted, 0),
            Task::Seminar => (Self::SeminarEarned, 0),
        }
    }
}

numbered! {
    /// By what trainees of a county are told apart. Each counts once in each, so that any one of them sums up to the county.
    Dimension {
        /// By nothing: the county as a whole.
        County = 0,
        /// By class.
        Class = 1,
        /// By school.
        School = 2,
        /// By subject.
        Subject = 3,
        /// By stage of development.
        DevelopmentStage = 4,
        /// By nothing, and all days together: what a province's page and a county's score sum up.
        Whole = 5,
    }
}

/// The day of what is not dated.
pub const UNDATED: i64 = 0;

/// One counter on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count {
    /// What is counted.
    pub counter: Counter,
    /// What the counter says of it; 0 where it says nothing.
    pub detail: i64,
    /// The local day, in days since 1970-01-01; [`UNDATED`] for what has none.
    pub day: i64,
}

impl Count {
    /// Of something that is not dated.
    pub fn undated(counter: Counter, detail: i64) -> Self {
        Self { counter, detail, day: UNDATED }
    }

    /// Of something that happened.
    pub fn on(scheme: &Scheme, at: DateTime<Utc>, (counter, detail): (Counter, i64)) -> Self {
        let since = scheme.zone.day_of(at).signed_duration_since(NaiveDate::default());
        Self { counter, detail, day: since.num_days() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for counter in Counter::ALL {
            assert_eq!(Counter::from_number(counter.number()), Some(*counter));
        }
        for dimension in Dimension::ALL {
            assert_eq!(Dimension::from_number(dimension.number()), Some(*dimension));
        }
        assert_eq!((Counter::from_number(0), Dimension::from_number(9)), (None, None));
    }

    #[test]
    fn day_is_the_local_one() {
        let scheme =
            Scheme::parse(include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml")).unwrap();
        let day = |at: &str| Count::on(&scheme, at.parse().unwrap(), (Counter::LoggedIn, 0)).day;
        assert_eq!(day("2019-09-11T00:00:00+08:00"), 18_150);
        assert_eq!(day("2019-09-10T23:59:59+08:00"), 18_149);
    }
}
