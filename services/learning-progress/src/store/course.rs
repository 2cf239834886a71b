//! The catalogue and the selections.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, taught_by};
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId};
use shipei_rules::vocabulary::{Category, EducationStage};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, bulk_insert, execute, fetch_all, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed},
    stands,
};

use super::course_change::{ChangeRow, stage_of};
use crate::domain::course::{Course, Terms};
use crate::domain::course_change::CourseChange;

/// A row of `course`: it as it stands.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct CourseRow {
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    catalogue_version: i64,
    title: String,
    category: String,
    main_line: bool,
    length_seconds: i64,
    subject: String,
    education_stage: String,
    pub(crate) retired_at: Option<DateTime<Utc>>,
}

impl CourseRow {
    /// The course that the row holds, as if it had always been what it is.
    pub(crate) fn as_it_stands(&self) -> Result<Course, StoreError> {
        let corrupt = |column| StoreError::corrupt_row("course", column, &self.course_id);
        let terms = Terms {
            category: Category::parse(&self.category).ok_or_else(|| corrupt("category"))?,
            main_line: self.main_line,
            length_seconds: self.length_seconds,
            subject: self.subject.clone(),
            education_stage: stage_of(&self.education_stage).ok_or_else(|| corrupt("education_stage"))?,
            retired: self.retired_at.is_some(),
        };
        Ok(Course { id: self.course_id.clone(), title: self.title.clone(), terms: terms.into() })
    }
}

/// A row of `selection`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct SelectionRow {
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    pub(crate) selected_at: DateTime<Utc>,
    pub(crate) fact_id: String,
}

/// The version of a programme's catalogue; 0 while it has no course.
pub(crate) async fn catalogue_version(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<i64, StoreError> {
    let row: Option<(i64,)> = fetch_optional!(
        tx,
        (i64,),
        "SELECT version FROM catalogue WHERE programme_id = $1",
        programme_id.as_str()
    )?;
    Ok(row.map_or(0, |(version,)| version))
}

/// Takes the next version of the catalogue, and holds it until the transaction ends.
pub(crate) async fn next_catalogue_version(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
) -> Result<i64, StoreError> {
    let (version,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO catalogue (programme_id, version) VALUES ($1, 1) \
         ON CONFLICT (programme_id) DO UPDATE SET version = catalogue.version + 1 RETURNING version",
        programme_id.as_str()
    )?;
    Ok(version)
}

/// Lets nobody change the catalogue before this transaction ends. SQLite has one writer anyway.
pub(crate) async fn hold_catalogue(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        let key = catalogue_lock(programme_id);
        execute!(tx, "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))", key.as_str())?;
    }
    Ok(())
}

/// Waits until nobody holds the catalogue, and lets nobody do so before this transaction ends.
pub(crate) async fn take_catalogue(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        let key = catalogue_lock(programme_id);
        execute!(tx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key.as_str())?;
    }
    Ok(())
}

fn catalogue_lock(programme_id: &ProgrammeId) -> String {
    format!("learning-progress catalogue {programme_id}")
}

/// How many courses there are.
pub(crate) async fn count(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<i64, StoreError> {
    let (count,) =
        fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM course WHERE programme_id = $1", programme_id.as_str())?;
    Ok(count)
}

/// The courses that joined or changed after a version, each with the version in which it did; bounded by `COURSES_MAX`.
pub(crate) async fn courses_since(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    version: i64,
) -> Result<Vec<(i64, Course)>, StoreError> {
    let rows = fetch_all!(
        tx,
        CourseRow,
        "SELECT course_id, catalogue_version, title, category, main_line, length_seconds, subject, \
         education_stage, retired_at FROM course WHERE programme_id = $1 AND catalogue_version > $2",
        programme_id.as_str(),
        version
    )?;
    let changes = fetch_all!(
        tx,
        ChangeRow,
        concat!(
            "SELECT c.course_id, c.number, c.since_at, c.title, c.category, c.main_line, c.length_seconds, \
             c.subject, c.education_stage, c.retired, c.reason, c.recorded_at, c.fact_id FROM course_change c \
             JOIN course o ON o.programme_id = c.programme_id AND o.course_id = c.course_id \
             WHERE c.programme_id = $1 AND o.catalogue_version > $2 AND",
            stands!("c")
        ),
        programme_id.as_str(),
        version
    )?;
    let mut changes_of: HashMap<&CourseId, Vec<CourseChange>> = HashMap::new();
    for row in &changes {
        changes_of.entry(&row.course_id).or_default().push(row.change()?);
    }
    let mut courses = Vec::with_capacity(rows.len());
    for row in &rows {
        let course = match changes_of.remove(&row.course_id) {
            Some(changes) => folded(&row.course_id, changes)?,
            None => row.as_it_stands()?,
        };
        courses.push((row.catalogue_version, course));
    }
    Ok(courses)
}

/// A course by its changes that stand, the first of which is as it was created.
fn folded(course_id: &CourseId, changes: Vec<CourseChange>) -> Result<Course, StoreError> {
    let corrupt = || StoreError::corrupt_row("course_change", "number", course_id);
    Course::of(course_id, changes).ok_or_else(corrupt)
}

/// One course, and its changes that stand, by number; that with the number 0 is as it was created. None when nothing changed.
pub(crate) async fn course(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    course_id: &CourseId,
) -> Result<Option<(Course, Vec<ChangeRow>)>, StoreError> {
    let row = fetch_optional!(
        tx,
        CourseRow,
        "SELECT course_id, catalogue_version, title, category, main_line, length_seconds, subject, \
         education_stage, retired_at FROM course WHERE programme_id = $1 AND course_id = $2",
        programme_id.as_str(),
        course_id.as_str()
    )?;
    let Some(row) = row else { return Ok(None) };
    let changes = fetch_all!(
        tx,
        ChangeRow,
        concat!(
            "SELECT c.course_id, c.number, c.since_at, c.title, c.category, c.main_line, c.length_seconds, \
             c.subject, c.education_stage, c.retired, c.reason, c.recorded_at, c.fact_id FROM course_change c \
             WHERE c.programme_id = $1 AND c.course_id = $2 AND",
            stands!("c"),
            "ORDER BY c.number"
        ),
        programme_id.as_str(),
        course_id.as_str()
    )?;
    if changes.is_empty() {
        return Ok(Some((row.as_it_stands()?, changes)));
    }
    let read = changes.iter().map(ChangeRow::change).collect::<Result<Vec<_>, _>>()?;
    Ok(Some((folded(course_id, read)?, changes)))
}

/// A page of courses by id; `category` and `subject` empty for all. A course is of its whole programme.
pub(crate) async fn courses(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (category, subject): (&str, &str),
    (after, limit): (&str, i64),
) -> Result<Vec<Listed<CourseRow>>, StoreError> {
    let columns = Columns::none("c.programme_id", AsOf::At(DateTime::UNIX_EPOCH));
    fetch_page!(
        tx,
        CourseRow,
        "course" by ["course_id"],
        [
            "SELECT c.course_id, c.catalogue_version, c.title, c.category, c.main_line, c.length_seconds, c.subject, \
             c.education_stage, c.retired_at FROM course c WHERE c.programme_id = ",
            programme_id.as_str(),
            " AND c.course_id > ",
            after,
            "",
            Equal("c.category", category),
            // Of several subjects one is enough.
            " AND (c.subject = '' OR REPLACE('、' || c.subject || '、', '、' || ",
            subject,
            " || '、', '') <> '、' || c.subject || '、' OR ",
            subject,
            " = '')",
            reach.over(columns),
            " ORDER BY c.course_id LIMIT ",
            limit
        ]
    )
}

/// Keeps a course; false when there is one of that id.
pub(crate) async fn insert_course(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    catalogue_version: i64,
    course: &Course,
    recorded_at: DateTime<Utc>,
    actor: &str,
) -> Result<bool, StoreError> {
    let rows = [(course, course.terms.first())];
    let inserted = bulk_insert!(
        tx,
        "INSERT INTO course (programme_id, course_id, catalogue_version, title, category, main_line, \
         length_seconds, subject, education_stage, recorded_at, actor)",
        rows,
        |(course, terms)| (
            programme_id.as_str(),
            course.id.as_str(),
            catalogue_version,
            course.title.as_str(),
            terms.category.as_str(),
            terms.main_line,
            terms.length_seconds,
            terms.subject.as_str(),
            terms.education_stage.map_or("", EducationStage::as_str),
            recorded_at,
            actor
        ),
        " ON CONFLICT (programme_id, course_id) DO NOTHING"
    )?;
    Ok(inserted == 1)
}

/// Keeps a selection; the first one of a course that stands counts.
pub(crate) async fn select(
    tx: &mut Tx,
    (programme_id, person_id): (&ProgrammeId, &PersonId),
    selection: &SelectionRow,
    recorded_at: DateTime<Utc>,
    actor: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO selection (programme_id, person_id, course_id, selected_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        programme_id.as_str(),
        person_id.as_str(),
        selection.course_id.as_str(),
        selection.selected_at,
        recorded_at,
        actor,
        &selection.fact_id
    )?;
    Ok(())
}

/// The selection of a course that counts.
pub(crate) async fn selection(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    course_id: &CourseId,
) -> Result<Option<SelectionRow>, StoreError> {
    fetch_optional!(
        tx,
        SelectionRow,
        concat!(
            "SELECT s.course_id, s.selected_at, s.fact_id FROM selection s \
             WHERE s.programme_id = $1 AND s.person_id = $2 AND s.course_id = $3 AND",
            stands!("s"),
            "ORDER BY s.selected_at, s.fact_id LIMIT 1"
        ),
        programme_id.as_str(),
        person_id.as_str(),
        course_id.as_str()
    )
}

/// A condition: of the selections of a course, `s` is the first one that stands.
macro_rules! counts {
    () => {
        concat!(
            stands!("s"),
            "AND NOT EXISTS (SELECT 1 FROM selection e WHERE e.programme_id = s.programme_id \
             AND e.person_id = s.person_id AND e.course_id = s.course_id \
             AND (e.selected_at, e.fact_id) < (s.selected_at, s.fact_id) AND",
            stands!("e"),
            ") "
        )
    };
}
pub(super) use counts;

/// A page of somebody's selections, by course, each of the class and county in which they stood then.
pub(crate) async fn selections(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    (after, limit): (&str, i64),
) -> Result<Vec<Listed<SelectionRow>>, StoreError> {
    let columns = Columns {
        programme: "s.programme_id",
        region: placed!("county_code", "s.programme_id", "s.person_id", "s.selected_at"),
        class: placed!("class_id", "s.programme_id", "s.person_id", "s.selected_at"),
        person: "s.person_id",
        subject: taught_by!("s.programme_id", "s.person_id"),
        as_of: AsOf::Row("s.selected_at"),
    };
    fetch_page!(
        tx,
        SelectionRow,
        "selection" by ["course_id"],
        [
            concat!(
                "SELECT s.course_id, s.selected_at, s.fact_id FROM selection s WHERE",
                counts!(),
                "AND s.programme_id = "
            ),
            programme_id.as_str(),
            " AND s.person_id = ",
            person_id.as_str(),
            " AND s.course_id > ",
            after,
            "",
            reach.over(columns),
            " ORDER BY s.course_id LIMIT ",
            limit
        ]
    )
}
