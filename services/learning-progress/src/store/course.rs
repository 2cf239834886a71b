//! The catalogue and the selections.

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

use crate::domain::course::Course;

/// A row of `course`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct CourseRow {
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    pub(crate) catalogue_version: i64,
    title: String,
    category: String,
    main_line: bool,
    minutes: i64,
    subject: String,
    education_stage: String,
}

impl CourseRow {
    /// The course that the row holds.
    pub(crate) fn into_course(self) -> Result<Course, StoreError> {
        let corrupt = |column| StoreError::corrupt_row("course", column, &self.course_id);
        let education_stage = match self.education_stage.as_str() {
            "" => None,
            word => Some(EducationStage::parse(word).ok_or_else(|| corrupt("education_stage"))?),
        };
        Ok(Course {
            category: Category::parse(&self.category).ok_or_else(|| corrupt("category"))?,
            id: self.course_id,
            main_line: self.main_line,
            minutes: self.minutes,
            education_stage,
            title: self.title,
            subject: self.subject,
        })
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

/// The courses that joined after a version; bounded by `COURSES_MAX`.
pub(crate) async fn courses_since(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    version: i64,
) -> Result<Vec<CourseRow>, StoreError> {
    fetch_all!(
        tx,
        CourseRow,
        "SELECT course_id, catalogue_version, title, category, main_line, minutes, subject, education_stage \
         FROM course WHERE programme_id = $1 AND catalogue_version > $2",
        programme_id.as_str(),
        version
    )
}

/// One course.
pub(crate) async fn course(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    course_id: &CourseId,
) -> Result<Option<Course>, StoreError> {
    let row = fetch_optional!(
        tx,
        CourseRow,
        "SELECT course_id, catalogue_version, title, category, main_line, minutes, subject, education_stage \
         FROM course WHERE programme_id = $1 AND course_id = $2",
        programme_id.as_str(),
        course_id.as_str()
    )?;
    row.map(CourseRow::into_course).transpose()
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
            "SELECT c.course_id, c.catalogue_version, c.title, c.category, c.main_line, c.minutes, c.subject, \
             c.education_stage FROM course c WHERE c.programme_id = ",
            programme_id.as_str(),
            " AND c.course_id > ",
            after,
            "",
            Equal("c.category", category),
            " AND (c.subject = '' OR c.subject = ",
            subject,
            " OR ",
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
    let rows = [course];
    let inserted = bulk_insert!(
        tx,
        "INSERT INTO course (programme_id, course_id, catalogue_version, title, category, main_line, minutes, \
         subject, education_stage, recorded_at, actor)",
        rows,
        |course| (
            programme_id.as_str(),
            course.id.as_str(),
            catalogue_version,
            course.title.as_str(),
            course.category.as_str(),
            course.main_line,
            course.minutes,
            course.subject.as_str(),
            course.education_stage.map_or("", EducationStage::as_str),
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
