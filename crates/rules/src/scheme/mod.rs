//! The scheme: one programme's assessment rules as data (考核办法), read from TOML and refused when they can't be computed.
//!
//! Another city or another year is another file, never another build, so everything that a rule needs is here: windows
//! as instants, points, requirements. Reading is strict: a key that no rule uses is an error with its line, since a
//! misspelt key would silently change who passes. Figures are not judged: 0 points, a total out of reach or phases in any
//! order are some city's will (`parse/`); what of them is odd is said beside (`oddities.rs`).
//!
//! How to add a key: a field here, its reading with its limits in `parse/`, a line in the model scheme
//! (`data/qinhuangdao-2019.toml`), and an impossible value in `tests/schemes.rs`.

mod error;
mod oddities;
mod parse;
mod reader;
mod retention;
mod shared;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};

pub use crate::vocabulary::{Category, DevelopmentStage, EducationStage, Grade, OfflineItem, Role};
pub use error::SchemeError;
pub use oddities::Oddity;
pub use retention::Retention;

use crate::calendar::{Period, Window, Zone};
use crate::explanation::{Clause, ItemKey};
use crate::ids::ProgrammeId;
use crate::region::RegionCode;

/// The most entries that any list of a scheme may have.
pub const LIST_LENGTH_MAX: usize = 64;
/// The most that any single figure of a scheme may be (points, minutes, counts): ten million, so that no sum and no
/// product of figures overflows, and what is computed of them fits in 32 bits (hundredths of points, seconds).
pub const FIGURE_MAX: i64 = 10_000_000;

/// One programme's assessment rules, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// The programme that the scheme is for.
    pub id: ProgrammeId,
    /// Its title, in Chinese.
    pub title: String,
    /// The region whose counties may enrol.
    pub region: RegionCode,
    /// The time zone of every window.
    pub zone: Zone,
    /// Every window of `[calendar]` by name (Annex 1).
    pub windows: BTreeMap<String, NamedWindow>,
    /// How watched time becomes credited time.
    pub study: Study,
    /// Annex 2.
    pub trainee: TraineeRules,
    /// Annex 3.
    pub tutor: TutorRules,
    /// Annex 4.
    pub counselor: CounselorRules,
    /// Within how many days a summary report is due after assessment (Annex 1, "一周内"); 7 where `[duties]` does not say.
    pub report_days: i64,
    /// `[honours]`.
    pub honours: HonourRules,
    /// `[retention]`: for how long it is kept who people were.
    pub retention: Retention,
}

/// `[honours]`: who may be honoured, and how many; what is absent limits nothing, as in the notice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HonourRules {
    /// The least total of a trainee who is recommended as excellent.
    pub trainee_total: Option<i64>,
    /// How many of a class's active trainees may be, in percent, rounded down, one at least (none with 0).
    pub trainees_percent: Option<i64>,
    /// How many of the programme's tutors may be, in percent, likewise.
    pub tutors_percent: Option<i64>,
}

/// A window of the calendar under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedWindow {
    /// The name in `[calendar]`.
    pub name: String,
    /// Its days, both included.
    pub window: Window,
    /// Its instants in the scheme's zone.
    pub period: Period,
}

/// `[study]`: how watched time becomes credited time (scoring.md, Study time).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    /// The most seconds that one heartbeat can credit.
    pub max_gap_seconds: i64,
    /// Whether a course is credited up to its length and no further.
    pub cap_course_at_duration: bool,
    /// The most seconds that a learner is credited per local calendar day; `None` is no cap.
    pub daily_cap_seconds: Option<i64>,
}

/// `[trainee]`: Annex 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraineeRules {
    /// The total from which a trainee passes.
    pub pass_total: i64,
    /// Whether passing needs the seminar item too.
    pub seminar_required: bool,
    /// The online phases in the scheme's order, whatever that of their windows; the entry at index 0 is `phase_1`.
    pub online: Vec<OnlineEntry>,
    /// The practical assignment.
    pub assignment: AssignmentRules,
    /// The class seminar.
    pub seminar: TraineeSeminarRules,
    /// The offline activity.
    pub offline: TraineeOfflineRules,
}

/// One phase of online study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineEntry {
    /// The name of its window.
    pub window: String,
    /// The window's instants.
    pub period: Period,
    /// The categories of courses that it takes.
    pub categories: Vec<Category>,
    /// The credited seconds that achieve it (`minutes * 60`); with 0, see [`OnlineEntry::given_at`].
    pub required_seconds: i64,
    /// Its points.
    pub points: i64,
    /// Whether it earns nothing unless the entry before it was achieved too; of the first entry it says nothing.
    pub requires_previous: bool,
    /// Its clause.
    pub clause: Clause,
}

impl OnlineEntry {
    /// When an entry that asks for 0 minutes is achieved, by everybody: the law's "first moment inside the window at which
    /// the sum reaches `minutes * 60`" is then the window's first. No study leads to it, so no event tells of it.
    pub fn given_at(&self) -> Option<DateTime<Utc>> {
        (self.required_seconds == 0).then_some(self.period.from)
    }
}

/// The practical assignment of a trainee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRules {
    /// The name of the window in which it is submitted.
    pub window: String,
    /// That window's instants.
    pub period: Period,
    /// The name of the window whose end is `review_until`.
    pub review_window: String,
    /// The first instant at which a review or a return no longer counts: the end of the `review_until` window.
    pub review_until: DateTime<Utc>,
    /// The kinds that may be submitted; with none, nothing may.
    pub kinds: Vec<String>,
    /// The points of each grade.
    pub points: GradePoints,
    /// Its clause.
    pub clause: Clause,
}

impl AssignmentRules {
    /// When a tutor may review or return: from the opening of submission to `review_until`. Empty when reviews end before
    /// submissions begin.
    pub fn review_period(&self) -> Period {
        Period { from: self.period.from, until: self.review_until, zone: self.period.zone }
    }
}

/// The points of each grade; the scheme may order them as it will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GradePoints {
    /// Points of `excellent`.
    pub excellent: i64,
    /// Points of `pass`.
    pub pass: i64,
    /// Points of `fail`.
    pub fail: i64,
}

impl GradePoints {
    /// The most that a grade can give.
    pub fn most(&self) -> i64 {
        self.excellent.max(self.pass).max(self.fail)
    }

    /// The points of a grade.
    pub fn of(&self, grade: Grade) -> i64 {
        match grade {
            Grade::Excellent => self.excellent,
            Grade::Pass => self.pass,
            Grade::Fail => self.fail,
        }
    }
}

/// The class seminar of a trainee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraineeSeminarRules {
    /// The name of its window.
    pub window: String,
    /// When a post counts.
    pub period: Period,
    /// Points of one or more accepted posts.
    pub points: i64,
    /// The fewest characters (字数, [`crate::characters::count`]) of an accepted post.
    pub min_characters: i64,
    /// Its clause.
    pub clause: Clause,
}

/// The offline activity of a trainee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraineeOfflineRules {
    /// The name of its window.
    pub window: String,
    /// When attendances are scored.
    pub period: Period,
    /// The lowest score.
    pub min_score: i64,
    /// The highest score.
    pub max_score: i64,
    /// When a county's scores are flagged as not distinct (有区分度); `None` is never.
    pub distinct: Option<DistinctRule>,
    /// Its clause.
    pub clause: Clause,
}

/// When a county's offline scores are flagged as not distinct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DistinctRule {
    /// The fewest scored participants for the rule to look.
    pub from_participants: i64,
    /// The fewest distinct scores that they must hold.
    pub min_distinct_scores: i64,
}

/// `[tutor]`: Annex 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TutorRules {
    /// The total from which a tutor is qualified.
    pub qualify_total: i64,
    /// Marking.
    pub marking: MarkingRules,
    /// The bulletins of each class, by number ascending.
    pub bulletins: Vec<BulletinRule>,
    /// The class seminar.
    pub seminar: TutorSeminarRules,
}

/// Marking of submissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkingRules {
    /// Points when everything is marked.
    pub points: i64,
    /// The weekly deadline.
    pub late_week: LateWeekRule,
    /// Its clause.
    pub clause: Clause,
}

/// The weekly deadline of marking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateWeekRule {
    /// A day of the first week that counts.
    pub from: NaiveDate,
    /// So many late weeks disqualify from excellence; 0 disqualifies everybody.
    pub disqualify_at: i64,
    /// Seconds after a week's Sunday within which marking is still on time.
    pub grace_seconds: i64,
}

/// One numbered bulletin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulletinRule {
    /// Its number.
    pub number: i64,
    /// The name of its window.
    pub window: String,
    /// When it must be published.
    pub period: Period,
    /// Its points.
    pub points: i64,
    /// Its clause.
    pub clause: Clause,
}

/// The class seminar of a tutor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TutorSeminarRules {
    /// The name of its window.
    pub window: String,
    /// When it is opened, posted to and summarised.
    pub period: Period,
    /// Its points.
    pub points: i64,
    /// Its clause.
    pub clause: Clause,
}

/// `[counselor]`: Annex 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounselorRules {
    /// Registration and login.
    pub registration_login: RegistrationLoginRules,
    /// Offline activity.
    pub offline: CounselorOfflineRules,
}

/// Registration and login of a county.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationLoginRules {
    /// Points of the part.
    pub points: i64,
    /// The tasks whose shares are averaged.
    pub tasks: Vec<Task>,
    /// Its clause.
    pub clause: Clause,
}

/// Offline activity of a county.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounselorOfflineRules {
    /// Points of the part.
    pub points: i64,
    /// The name of its window.
    pub window: String,
    /// When activities, attendances, scores and results count.
    pub period: Period,
    /// The items, of equal weight.
    pub items: Vec<OfflineItem>,
    /// The education stages that share each item.
    pub stages: Vec<EducationStage>,
    /// Its clause.
    pub clause: Clause,
}

/// A task that a county's trainees do on time or not (Annex 4, registration and login).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// First login inside the login window.
    Login,
    /// The item of the online entry at this index (from 0) is earned.
    Phase(usize),
    /// A submission inside the assignment window.
    Assignment,
    /// The seminar item is earned.
    Seminar,
}

impl From<Task> for ItemKey {
    fn from(task: Task) -> Self {
        match task {
            Task::Login => Self::Login,
            Task::Phase(index) => Self::Phase(index),
            Task::Assignment => Self::Assignment,
            Task::Seminar => Self::Seminar,
        }
    }
}

impl Task {
    /// Reads `login`, `assignment`, `seminar` or `phase_N` (N from 1); `None` for any other word. Whether the scheme has
    /// so many phases is the scheme's matter.
    pub fn parse(word: &str) -> Option<Self> {
        match word.parse().ok()? {
            ItemKey::Login => Some(Self::Login),
            ItemKey::Phase(index) => Some(Self::Phase(index)),
            ItemKey::Assignment => Some(Self::Assignment),
            ItemKey::Seminar => Some(Self::Seminar),
            _ => None,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        ItemKey::from(*self).fmt(formatter)
    }
}

impl Scheme {
    /// Reads and checks a scheme. The error names the line, the key and the cause of the first fault.
    pub fn parse(toml_text: &str) -> Result<Self, SchemeError> {
        parse::scheme(toml_text)
    }

    /// The instants of a window of `[calendar]`; `None` when there is no window of that name.
    pub fn period(&self, window_name: &str) -> Option<Period> {
        self.windows.get(window_name).map(|window| window.period)
    }

    /// When counties report their rosters (window `reporting`).
    pub fn reporting(&self) -> Period {
        self.required_period("reporting")
    }

    /// When a first login is on time (window `login`).
    pub fn login(&self) -> Period {
        self.required_period("login")
    }

    /// When scores are made final (window `assessment`).
    pub fn assessment(&self) -> Period {
        self.required_period("assessment")
    }

    /// When an offline plan counts: from the first day of reporting to the end of the counselor's offline window. Empty
    /// when that window ends before reporting begins.
    pub fn plan_period(&self) -> Period {
        Period { from: self.reporting().from, until: self.counselor.offline.period.until, zone: self.zone }
    }

    /// The `as_of` of final scores: the end of the summary window, at which every window of a score is over.
    pub fn final_as_of(&self) -> DateTime<Utc> {
        self.required_period("summary").until
    }

    /// The first local day on which the years have passed for which it is kept who somebody in a role was: so many years behind the
    /// programme's end ([`Scheme::final_as_of`]).
    pub fn erasable_from(&self, role: Role) -> NaiveDate {
        self.retention.passed_from(role, self.zone.day_of(self.final_as_of()))
    }

    /// Whether every online entry that is given without study ([`OnlineEntry::given_at`]) is given by then: after that only
    /// facts change what anybody has earned.
    pub fn nothing_given_after(&self, at: DateTime<Utc>) -> bool {
        self.trainee.online.iter().filter_map(OnlineEntry::given_at).all(|given_at| given_at <= at)
    }

    /// The indices of the online entries that take a category and whose window holds an instant.
    pub fn phases_open(&self, category: Category, at: DateTime<Utc>) -> Vec<usize> {
        let mut open = Vec::new();
        for (index, entry) in self.trainee.online.iter().enumerate() {
            if entry.categories.contains(&category) && entry.period.contains(at) {
                open.push(index);
            }
        }
        open
    }

    fn required_period(&self, name: &str) -> Period {
        self.period(name).expect("parse refuses a calendar without this window")
    }
}
