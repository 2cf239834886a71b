//! What was put right of courses, or changed, and what follows from it in their rows.

use chrono::{DateTime, Utc};
use shipei_rules::ids::{CourseId, ProgrammeId};
use shipei_rules::vocabulary::{Category, EducationStage};
use shipei_store::{StoreError, Tx, execute, fetch_one};

use crate::domain::course::Course;
use crate::domain::course_change::CourseChange;

/// The most changes of one course.
pub(crate) const CHANGES_MAX: i64 = 100;

/// An education stage of a column; empty for both. `None` for what is no word of it.
pub(super) fn stage_of(word: &str) -> Option<Option<EducationStage>> {
    if word.is_empty() {
        return Some(None);
    }
    EducationStage::parse(word).map(Some)
}

/// A row of `course_change`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ChangeRow {
    #[sqlx(try_from = "String")]
    pub(super) course_id: CourseId,
    number: i64,
    since_at: Option<DateTime<Utc>>,
    title: Option<String>,
    category: Option<String>,
    main_line: Option<bool>,
    length_seconds: Option<i64>,
    subject: Option<String>,
    education_stage: Option<String>,
    retired: Option<bool>,
    pub(crate) reason: String,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) fact_id: String,
}

impl ChangeRow {
    /// The change that the row holds.
    pub(crate) fn change(&self) -> Result<CourseChange, StoreError> {
        let corrupt = |column| StoreError::corrupt_row("course_change", column, &self.course_id);
        let category = self.category.as_ref();
        let category = category.map(|word| Category::parse(word).ok_or_else(|| corrupt("category")));
        let stage = self.education_stage.as_ref();
        let stage = stage.map(|word| stage_of(word).ok_or_else(|| corrupt("education_stage")));
        Ok(CourseChange {
            since: self.since_at,
            number: self.number,
            title: self.title.clone(),
            category: category.transpose()?,
            main_line: self.main_line,
            length_seconds: self.length_seconds,
            subject: self.subject.clone(),
            education_stage: stage.transpose()?,
            retired: self.retired,
        })
    }
}

/// The number of the next change of a course, whatever became of those before.
pub(crate) async fn next_change_number(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    course_id: &CourseId,
) -> Result<i64, StoreError> {
    let (last,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COALESCE(MAX(number), 0) FROM course_change WHERE programme_id = $1 AND course_id = $2",
        programme_id.as_str(),
        course_id.as_str()
    )?;
    Ok(last.saturating_add(1))
}

/// Keeps a change of a course: why, when it was recorded and by whom, and its fact.
pub(crate) async fn insert_change(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    course_id: &CourseId,
    change: &CourseChange,
    (reason, recorded_at, actor, fact_id): (&str, DateTime<Utc>, &str, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO course_change (programme_id, course_id, number, since_at, title, category, main_line, \
         length_seconds, subject, education_stage, retired, reason, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        programme_id.as_str(),
        course_id.as_str(),
        change.number,
        change.since,
        change.title.as_deref(),
        change.category.map(Category::as_str),
        change.main_line,
        change.length_seconds,
        change.subject.as_deref(),
        change.education_stage.map(|stage| stage.map_or("", EducationStage::as_str)),
        change.retired,
        reason,
        recorded_at,
        actor,
        fact_id
    )?;
    Ok(())
}

/// Puts into a course's row what stands of it, in a version of the catalogue.
pub(crate) async fn put_course(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    course: &Course,
    catalogue_version: i64,
) -> Result<(), StoreError> {
    let terms = course.terms.last();
    execute!(
        tx,
        "UPDATE course SET catalogue_version = $3, title = $4, category = $5, main_line = $6, length_seconds = $7, \
         subject = $8, education_stage = $9, retired_at = $10 WHERE programme_id = $1 AND course_id = $2",
        programme_id.as_str(),
        course.id.as_str(),
        catalogue_version,
        course.title.as_str(),
        terms.category.as_str(),
        terms.main_line,
        terms.length_seconds,
        terms.subject.as_str(),
        terms.education_stage.map_or("", EducationStage::as_str),
        course.retired_at()
    )?;
    Ok(())
}
