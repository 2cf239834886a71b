//! What assessment learns from the logs, as rows: one struct for each table of `migrations/0100_facts.sql`, for writing
//! and for reading, and [`Batch`], which gathers what one batch of events says.
//!
//! Facts commute. A fact is either immutable under its own key (a mark by its number), so that the same again changes
//! nothing, or a first time, of which the least counts. [`Batch`] merges in memory as the tables merge on disk, because
//! Postgres touches a row only once in one statement, and in key order, so that two instances never wait for each
//! other in a circle. To keep one more fact: a table, a struct here, its `save` and `load` in `store/facts.rs`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_rules::{
    ids::{ActivityId, ClassId, PersonId, SeminarId, SessionId, SubmissionId},
    places::PlaceKind,
    region::RegionCode,
};

use crate::absent::MaybeId;

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

/// What stands of an entry of the scheme's online list: achieved, taken back, or how much was studied of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseAchieved {
    /// The trainee.
    pub person_id: PersonId,
    /// Which entry, from 0.
    pub phase_index: i64,
    /// Whether it is said of all study of a person with several ids, by the one that is kept; else of this id's own.
    pub united: bool,
    /// When; `None` when it was taken back, or is not achieved yet.
    pub achieved_at: Option<Instant>,
    /// How much was studied of it by when, in seconds; `None` when that was not told with it.
    pub studied: Option<(i64, Instant)>,
    /// By which session; `None` when it was taken back, or time that was granted achieved it.
    pub session_id: Option<SessionId>,
    /// Of all that is said of it the highest counts.
    pub version: i64,
}

/// A practical assignment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Submission {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub submission_id: SubmissionId,
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// Its number among the trainee's submissions and marks.
    pub number: i64,
    /// The fact's id.
    pub fact_id: String,
    /// Whether it was not retracted.
    pub stands: bool,
    /// Derived: whose mark is still owed at the programme's end.
    #[sqlx(try_from = "MaybeId")]
    pub owed_class_id: Option<ClassId>,
    /// Derived: in which class it made its week late.
    #[sqlx(try_from = "MaybeId")]
    pub late_class_id: Option<ClassId>,
}

/// A review or a return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of which submission.
    pub submission_id: SubmissionId,
    /// Its number among the trainee's submissions and marks.
    pub mark_number: i64,
    /// The trainee.
    pub person_id: PersonId,
    /// The class whose tutor made it.
    pub class_id: ClassId,
    /// The tutor.
    pub tutor_id: PersonId,
    /// The grade's word; empty for a return.
    pub grade: String,
    /// When.
    pub marked_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// A seminar of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seminar {
    /// The class.
    pub class_id: ClassId,
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
    pub seminar_id: SeminarId,
    /// Its number within the seminar.
    pub post_number: i64,
    /// The trainee.
    pub person_id: PersonId,
    /// When.
    pub posted_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// A trainee at an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendance {
    /// The trainee.
    pub person_id: PersonId,
    /// The activity.
    pub activity_id: ActivityId,
    /// The activity's county.
    pub county_code: RegionCode,
    /// The activity's education stage.
    pub education_stage: String,
    /// When it was recorded.
    pub attended_at: Instant,
}

/// A score for an attendance.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OfflineScore {
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// The activity.
    #[sqlx(try_from = "String")]
    pub activity_id: ActivityId,
    /// Its number for this attendance.
    pub score_number: i64,
    /// The score.
    pub score: i64,
    /// When.
    pub scored_at: Instant,
    /// The fact's id.
    pub fact_id: String,
}

/// What was decided about an item of a trainee's score.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Decision {
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Its number among the trainee's.
    pub number: i64,
    /// The item's word.
    pub item: String,
    /// What it counts as, in whole points.
    pub points: i64,
    /// The kind's word.
    pub kind: String,
    /// When.
    pub decided_at: Instant,
    /// From when on the computed value counts again.
    pub expires_at: Option<Instant>,
    /// Who decided, as `role:subject@region`.
    pub decided_by: String,
    /// The fact's id.
    pub fact_id: String,
}

/// What a county did for an education stage; the key of `county_fact` beside the programme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountyFactKey {
    /// The county.
    pub county_code: RegionCode,
    /// The education stage's word.
    pub education_stage: String,
    /// `plan`, `activity` or `results`.
    pub kind: &'static str,
    /// The activity's id, the results' number, empty for a plan.
    pub reference: String,
    /// The fact's id.
    pub fact_id: String,
}

/// What shows that a duty was done; the key of `duty_fact` beside the programme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DutyFactKey {
    /// One of [`crate::store::duties`]'s.
    pub kind: &'static str,
    /// Whose it is; empty for a region's and the institution's.
    pub person_id: String,
    /// Which region's it is; empty for a person's and the institution's.
    pub region_code: String,
    /// What it is about, as the kind has it.
    pub reference: String,
    /// The log that tells it.
    pub source: String,
    /// The fact's id; empty for what can't be retracted.
    pub fact_id: String,
}

/// What one batch of events says of one programme, and whose scores it may change.
#[derive(Debug, Default)]
pub struct Batch {
    /// Every county and class that a trainee stood in: person, county, class.
    pub places: BTreeSet<(PersonId, Option<RegionCode>, Option<ClassId>)>,
    /// Achieved phases by person, index, and whether of all study of several ids.
    pub phases: BTreeMap<(PersonId, i64, bool), PhaseAchieved>,
    /// Submissions by id.
    pub submissions: BTreeMap<SubmissionId, Submission>,
    /// Marks by submission and number.
    pub marks: BTreeMap<(SubmissionId, i64), Mark>,
    /// Whether marks count, by submission and number: the version of the word, and what it says.
    pub mark_judgements: BTreeMap<(SubmissionId, i64), (i64, bool)>,
    /// Seminars by id.
    pub seminars: BTreeMap<SeminarId, Seminar>,
    /// Summaries by seminar and number.
    pub summaries: BTreeMap<(SeminarId, i64), Summary>,
    /// Posts by seminar and number.
    pub posts: BTreeMap<(SeminarId, i64), Post>,
    /// Bulletins by class, number and fact.
    pub bulletins: BTreeMap<(ClassId, i64, String), Instant>,
    /// Choices by tutor, expert and fact.
    pub choices: BTreeMap<(PersonId, PersonId, String), Instant>,
    /// What counties did.
    pub county_facts: BTreeMap<CountyFactKey, Instant>,
    /// Attendances by person, activity and fact.
    pub attendances: BTreeMap<(PersonId, ActivityId, String), Attendance>,
    /// Offline scores by person, activity and number.
    pub offline_scores: BTreeMap<(PersonId, ActivityId, i64), OfflineScore>,
    /// What shows that duties were done.
    pub duty_facts: BTreeMap<DutyFactKey, Instant>,
    /// Decisions by person and number.
    pub decisions: BTreeMap<(PersonId, i64), Decision>,
    /// Whose scores may change.
    pub touched: Touched,
    /// Classes that have other windows: everybody in them is scored anew.
    pub classes_extended: BTreeMap<ClassId, Cause>,
    /// Trainees who were removed, or are there again: what they posted counts for their classes no more, or again.
    pub removed: BTreeMap<PersonId, Cause>,
    /// Regions, schools and classes that were merged or closed, or are there again, by kind and code.
    pub endings: BTreeMap<(PlaceKind, String), Cause>,
    /// Who stood in them, or had come to stand in them with others: they may stand elsewhere at any time.
    pub resettled: BTreeMap<PersonId, Cause>,
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
    pub trainees: BTreeMap<PersonId, Cause>,
    /// Those of them who are there by now, or no more, or stand elsewhere for some time: what they posted counts for the class in which they
    /// stood then.
    pub authors: BTreeMap<PersonId, Cause>,
    /// Classes, for their tutors.
    pub classes: BTreeMap<ClassId, Cause>,
    /// Tutors by id.
    pub tutors: BTreeMap<PersonId, Cause>,
    /// Counties by code, with the latest time of a fact about the county itself.
    pub counties: BTreeMap<RegionCode, CountyTouch>,
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
    /// A trainee, with the classes to which they posted.
    pub fn author(&mut self, person_id: &PersonId, cause: &Cause) {
        self.trainee(person_id, cause);
        self.authors.insert(person_id.clone(), cause.clone());
    }

    /// A trainee.
    pub fn trainee(&mut self, person_id: &PersonId, cause: &Cause) {
        self.trainees.insert(person_id.clone(), cause.clone());
    }

    /// The tutor of a class.
    pub fn class(&mut self, class_id: &ClassId, cause: &Cause) {
        self.classes.insert(class_id.clone(), cause.clone());
    }

    /// A tutor.
    pub fn tutor(&mut self, person_id: &PersonId, cause: &Cause) {
        self.tutors.insert(person_id.clone(), cause.clone());
    }

    /// A county, by a fact of that time.
    pub fn county(&mut self, county_code: RegionCode, cause: &Cause, latest_fact_at: Option<Instant>) {
        let touch = CountyTouch { cause: cause.clone(), latest_fact_at };
        let kept = self.counties.entry(county_code).or_insert_with(|| touch.clone());
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
