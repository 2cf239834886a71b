//! What assessment learns from the logs, as rows: one struct for each table of `migrations/0100_facts.sql`, for writing
//! and for reading, and [`Batch`], which gathers what one batch of events says.
//!
//! Facts commute. A fact is either immutable under its own key (a mark by its number), so that the same again changes
//! nothing, or a first time, of which the least counts. [`Batch`] merges in memory as the tables merge on disk, because
//! Postgres touches a row only once in one statement, and in key order, so that two instances never wait for each
//! other in a circle. To keep one more fact: a table, a struct here, its `save` and `load` in `store/facts.rs`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

/// An instant of a fact, a rule or a score.
pub type Instant = DateTime<Utc>;

/// The event that led to a change of a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `source/id` of the event.
    pub id: String,
    /// When it happened.
    pub at: Instant,
}

/// An entry of the scheme's online list, achieved or taken back.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PhaseAchieved {
    /// The trainee.
    pub person_id: String,
    /// Which entry, from 0.
    pub phase_index: i64,
    /// When; `None` when it was taken back.
    pub achieved_at: Option<Instant>,
    /// By which session.
    pub session_id: String,
    /// Of all that is said of it the highest counts.
    pub version: i64,
}

/// A practical assignment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Submission {
    /// Its id.
    pub submission_id: String,
    /// The trainee.
    pub person_id: String,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// Its number among the trainee's submissions and marks.
    pub number: i64,
    /// The fact's id.
    pub fact_id: String,
    /// Whether it was not retracted.
    pub stands: bool,
    /// Derived: whose mark is still owed at the programme's end.
    pub owed_class_id: Option<String>,
    /// Derived: in which class it made its week late.
    pub late_class_id: Option<String>,
}

/// A review or a return.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Mark {
    /// Of which submission.
    pub submission_id: String,
    /// Its number among the trainee's submissions and marks.
    pub mark_number: i64,
    /// The trainee.
    pub person_id: String,
    /// The class whose tutor made it.
    pub class_id: String,
    /// The tutor.
    pub tutor_id: String,
    /// The grade's word; empty for a return.
    pub grade: String,
    /// When.
    pub marked_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// A seminar of a class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seminar {
    /// The class.
    pub class_id: String,
    /// When it was opened.
    pub opened_at: Option<Instant>,
    /// The fact of its opening; empty until that has arrived.
    pub fact_id: String,
}

/// A published summary of a seminar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// When.
    pub summarised_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// An accepted post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The seminar.
    pub seminar_id: String,
    /// Its number within the seminar.
    pub post_number: i64,
    /// The trainee.
    pub person_id: String,
    /// When.
    pub posted_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// A trainee at an activity.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Attendance {
    /// The trainee.
    pub person_id: String,
    /// The activity.
    pub activity_id: String,
    /// The activity's county.
    pub county_code: String,
    /// The activity's education stage.
    pub education_stage: String,
    /// When it was recorded.
    pub attended_at: Instant,
}

/// A score for an attendance.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OfflineScore {
    /// The trainee.
    pub person_id: String,
    /// The activity.
    pub activity_id: String,
    /// Its number for this attendance.
    pub score_number: i64,
    /// The score.
    pub score: i64,
    /// When.
    pub scored_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// What a county did for an education stage; the key of `county_fact` beside the programme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountyFactKey {
    /// The county.
    pub county_code: String,
    /// The education stage's word.
    pub education_stage: String,
    /// `plan`, `activity` or `results`.
    pub kind: &'static str,
    /// The activity's id, the results' number, empty for a plan.
    pub reference: String,
    /// The fact's id.
    pub fact_id: String,
}

/// What one batch of events says of one programme, and whose scores it may change.
#[derive(Debug, Default)]
pub struct Batch {
    /// Every county and class that a trainee stood in: person, county, class.
    pub places: BTreeSet<(String, String, String)>,
    /// Achieved phases by person and index.
    pub phases: BTreeMap<(String, i64), PhaseAchieved>,
    /// Submissions by id.
    pub submissions: BTreeMap<String, Submission>,
    /// Marks by submission and number.
    pub marks: BTreeMap<(String, i64), Mark>,
    /// Seminars by id.
    pub seminars: BTreeMap<String, Seminar>,
    /// Summaries by seminar and number.
    pub summaries: BTreeMap<(String, i64), Summary>,
    /// Posts by seminar and number.
    pub posts: BTreeMap<(String, i64), Post>,
    /// Bulletins by class, number and fact.
    pub bulletins: BTreeMap<(String, i64, String), Instant>,
    /// Choices by tutor, expert and fact.
    pub choices: BTreeMap<(String, String, String), Instant>,
    /// What counties did.
    pub county_facts: BTreeMap<CountyFactKey, Instant>,
    /// Attendances by person, activity and fact.
    pub attendances: BTreeMap<(String, String, String), Attendance>,
    /// Offline scores by person, activity and number.
    pub offline_scores: BTreeMap<(String, String, i64), OfflineScore>,
    /// Whose scores may change.
    pub touched: Touched,
    /// Classes that have other windows: everybody in them is scored anew.
    pub classes_extended: BTreeMap<String, Cause>,
    /// The event that brought another scheme, or other windows of many.
    pub scheme: Option<Cause>,
    /// The event that changed the tree of regions.
    pub tree: Option<Cause>,
    /// Whether windows change, so that nobody may score by the old ones meanwhile.
    pub changes_windows: bool,
}

/// Whose scores a batch may change, each with the last event that led to it.
#[derive(Debug, Default, Clone)]
pub struct Touched {
    /// Trainees by id.
    pub trainees: BTreeMap<String, Cause>,
    /// Classes, for their tutors.
    pub classes: BTreeMap<String, Cause>,
    /// Tutors by id.
    pub tutors: BTreeMap<String, Cause>,
    /// Counties by code, with the latest time of a fact about the county itself.
    pub counties: BTreeMap<String, CountyTouch>,
}

/// Why a county's score may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountyTouch {
    /// The last event that led to it.
    pub cause: Cause,
    /// The latest time of the facts behind it.
    pub latest_fact_at: Option<Instant>,
}

impl Touched {
    /// A trainee; nobody for an empty id.
    pub fn trainee(&mut self, person_id: &str, cause: &Cause) {
        touch(&mut self.trainees, person_id, cause);
    }

    /// The tutor of a class.
    pub fn class(&mut self, class_id: &str, cause: &Cause) {
        touch(&mut self.classes, class_id, cause);
    }

    /// A tutor.
    pub fn tutor(&mut self, person_id: &str, cause: &Cause) {
        touch(&mut self.tutors, person_id, cause);
    }

    /// A county, by a fact of that time.
    pub fn county(&mut self, county_code: &str, cause: &Cause, latest_fact_at: Option<Instant>) {
        if county_code.is_empty() {
            return;
        }
        let touch = CountyTouch { cause: cause.clone(), latest_fact_at };
        let kept = self.counties.entry(county_code.to_owned()).or_insert_with(|| touch.clone());
        kept.latest_fact_at = kept.latest_fact_at.max(latest_fact_at);
        kept.cause = touch.cause;
    }

    /// Whether nobody's score can change.
    pub fn is_empty(&self) -> bool {
        self.trainees.is_empty()
            && self.classes.is_empty()
            && self.tutors.is_empty()
            && self.counties.is_empty()
    }
}

fn touch(touched: &mut BTreeMap<String, Cause>, id: &str, cause: &Cause) {
    if !id.is_empty() {
        touched.insert(id.to_owned(), cause.clone());
    }
}
