//! What a batch of heartbeats reads and writes of learners, their days, courses and phases (sessions are in `session`):
//! always by lists of keys, never row by row.
//!
//! Whoever changes a learner's study holds the learner's row: it is locked first, in the order of the keys, so that two
//! processes can't wait for each other. A learner or a session that is not stored yet is INSERTed without ON CONFLICT:
//! if another process was faster the statement fails with a unique violation, and the batch is done again.

use chrono::{DateTime, NaiveDate, Utc};
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId};
use shipei_rules::intervals::Intervals;
use shipei_rules::study_time::DayStudy;
use shipei_store::{StoreError, Tx, bulk_insert, execute, fetch_all, select_by_keys, stands};

use crate::domain::refusals::Refusals;
use crate::domain::study::{Inside, Learner, LearnerCourse};

/// A row of `learner`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct LearnerRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    refusals: Vec<u8>,
}

impl LearnerRow {
    /// The beats that came too early.
    pub(crate) fn refusals(&self) -> Result<Refusals, StoreError> {
        let corrupt = || StoreError::corrupt_row("learner", "refusals", &self.person_id);
        Refusals::from_bytes(&self.refusals).ok_or_else(corrupt)
    }
}

/// A row of `study_day`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct DayRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    day: i64,
    micros: i64,
    credited: Vec<u8>,
}

impl DayRow {
    /// The day.
    pub(crate) fn day(&self) -> Result<NaiveDate, StoreError> {
        let day = i32::try_from(self.day).ok().and_then(NaiveDate::from_epoch_days);
        day.ok_or_else(|| StoreError::corrupt_row("study_day", "day", &self.person_id))
    }

    /// Fills that day with what the row holds.
    pub(crate) fn fill(&self, day: &mut DayStudy) -> Result<(), StoreError> {
        let corrupt = || StoreError::corrupt_row("study_day", "credited", &self.person_id);
        let origin = day.period.from.timestamp_micros();
        day.credited = Intervals::from_bytes(&self.credited, origin).ok_or_else(corrupt)?;
        day.micros = self.micros;
        Ok(())
    }
}

/// A row of `course_progress`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct CourseProgressRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    pub(crate) credited_micros: i64,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    version: i64,
}

impl CourseProgressRow {
    /// Fills a learner's course with what the row holds.
    pub(crate) fn fill(&self, course: &mut LearnerCourse) {
        course.study.credited_micros = self.credited_micros;
        course.completed_at = self.completed_at;
        course.version = self.version;
    }
}

/// A row of `phase_course_progress`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct PhaseCourseRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    pub(crate) phase_index: i64,
    pub(crate) micros: i64,
    pub(crate) complete: bool,
}

impl PhaseCourseRow {
    /// Which phase.
    pub(crate) fn place(&self) -> Result<usize, StoreError> {
        let corrupt = |_| StoreError::corrupt_row("phase_course_progress", "phase_index", &self.person_id);
        usize::try_from(self.phase_index).map_err(corrupt)
    }

    /// What it holds.
    pub(crate) fn inside(&self) -> Inside {
        Inside { micros: self.micros, complete: self.complete }
    }
}

/// Who selected what, when.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SelectedRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    pub(crate) selected_at: DateTime<Utc>,
}

/// Locks the learners of these ids (sorted, distinct) and gives those that are stored.
pub(crate) async fn lock_learners(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<Vec<LearnerRow>, StoreError> {
    let in_order = if tx.is_postgres() { " ORDER BY person_id FOR UPDATE" } else { "" };
    select_by_keys!(
        tx,
        LearnerRow,
        [
            "SELECT person_id, refusals FROM learner WHERE programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str()),
        in_order
    )
}

/// These learners' days, by (person, days since 1970-01-01).
pub(crate) async fn days(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    keys: &[(&PersonId, i64)],
) -> Result<Vec<DayRow>, StoreError> {
    select_by_keys!(
        tx,
        DayRow,
        [
            "SELECT person_id, day, micros, credited FROM study_day WHERE programme_id = ",
            programme_id.as_str(),
            " AND (person_id, day) IN "
        ],
        keys,
        |(person_id, day)| (person_id.as_str(), *day)
    )
}

/// These learners' courses, by (person, course).
pub(crate) async fn course_progress(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    keys: &[(&PersonId, &CourseId)],
) -> Result<Vec<CourseProgressRow>, StoreError> {
    select_by_keys!(
        tx,
        CourseProgressRow,
        [
            "SELECT person_id, course_id, credited_micros, completed_at, version FROM course_progress \
             WHERE programme_id = ",
            programme_id.as_str(),
            " AND (person_id, course_id) IN "
        ],
        keys,
        |(person_id, course_id)| (person_id.as_str(), course_id.as_str())
    )
}

/// All courses of a learner.
pub(crate) async fn all_course_progress(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Vec<CourseProgressRow>, StoreError> {
    fetch_all!(
        tx,
        CourseProgressRow,
        "SELECT person_id, course_id, credited_micros, completed_at, version FROM course_progress \
         WHERE programme_id = $1 AND person_id = $2 ORDER BY course_id",
        programme_id.as_str(),
        person_id.as_str()
    )
}

/// What main-line courses hold by phase, by (person, course).
pub(crate) async fn phase_courses(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    keys: &[(&PersonId, &CourseId)],
) -> Result<Vec<PhaseCourseRow>, StoreError> {
    select_by_keys!(
        tx,
        PhaseCourseRow,
        [
            "SELECT person_id, course_id, phase_index, micros, complete FROM phase_course_progress \
             WHERE programme_id = ",
            programme_id.as_str(),
            " AND (person_id, course_id) IN "
        ],
        keys,
        |(person_id, course_id)| (person_id.as_str(), course_id.as_str())
    )
}

/// What all courses of a learner hold by phase.
pub(crate) async fn all_phase_courses(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Vec<PhaseCourseRow>, StoreError> {
    fetch_all!(
        tx,
        PhaseCourseRow,
        "SELECT person_id, course_id, phase_index, micros, complete FROM phase_course_progress \
         WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str()
    )
}

/// Which of these were selected, by (person, course), as of the first selection that stands.
pub(crate) async fn selected(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    keys: &[(&PersonId, &CourseId)],
) -> Result<Vec<SelectedRow>, StoreError> {
    select_by_keys!(
        tx,
        SelectedRow,
        [
            concat!(
                "SELECT s.person_id, s.course_id, MIN(s.selected_at) AS selected_at FROM selection s WHERE",
                stands!("s"),
                "AND s.programme_id = "
            ),
            programme_id.as_str(),
            " AND (s.person_id, s.course_id) IN "
        ],
        keys,
        |(person_id, course_id)| (person_id.as_str(), course_id.as_str()),
        " GROUP BY s.person_id, s.course_id"
    )
}

/// Makes a row for who has none, to be locked.
pub(crate) async fn begin_learner(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO learner (programme_id, person_id, refusals) VALUES ($1, $2, $3) \
         ON CONFLICT (programme_id, person_id) DO NOTHING",
        programme_id.as_str(),
        person_id.as_str(),
        Learner::default().refusals.to_bytes()
    )?;
    Ok(())
}

/// Keeps learners: new ones are inserted, stored ones updated.
pub(crate) async fn save_learners(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    learners: &[(&PersonId, &Learner)],
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO learner (programme_id, person_id, refusals)";
    const UPDATE: &str = " ON CONFLICT (programme_id, person_id) DO UPDATE SET refusals = excluded.refusals";
    let (stored, new): (Vec<_>, Vec<_>) = learners.iter().copied().partition(|(_, learner)| learner.stored);
    for (rows, suffix) in [(new, ""), (stored, UPDATE)] {
        bulk_insert!(
            tx,
            INSERT,
            rows,
            |(person_id, learner)| (programme_id.as_str(), person_id.as_str(), learner.refusals.to_bytes()),
            suffix
        )?;
    }
    Ok(())
}

/// Keeps days, by (person, day).
pub(crate) async fn save_days(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    days: &[(&PersonId, &DayStudy)],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO study_day (programme_id, person_id, day, micros, credited)",
        days,
        |(person_id, day)| (
            programme_id.as_str(),
            person_id.as_str(),
            i64::from(day.day.to_epoch_days()),
            day.micros,
            day.credited.to_bytes(day.period.from.timestamp_micros())
        ),
        " ON CONFLICT (programme_id, person_id, day) DO UPDATE SET \
         micros = excluded.micros, credited = excluded.credited"
    )?;
    Ok(())
}

/// Keeps the sums and completions of courses, by (person, course).
pub(crate) async fn save_course_progress(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    courses: &[(&PersonId, &CourseId, &LearnerCourse)],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO course_progress (programme_id, person_id, course_id, credited_micros, completed_at, version)",
        courses,
        |(person_id, course_id, course)| (
            programme_id.as_str(),
            person_id.as_str(),
            course_id.as_str(),
            course.study.credited_micros,
            course.completed_at,
            course.version
        ),
        " ON CONFLICT (programme_id, person_id, course_id) DO UPDATE SET \
         credited_micros = excluded.credited_micros, completed_at = excluded.completed_at, version = excluded.version"
    )?;
    Ok(())
}

/// Keeps what main-line courses hold by phase, by (person, course, index).
pub(crate) async fn save_phase_courses(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    courses: &[(&PersonId, &CourseId, usize, Inside)],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO phase_course_progress (programme_id, person_id, course_id, phase_index, micros, complete)",
        courses,
        |(person_id, course_id, index, inside)| (
            programme_id.as_str(),
            person_id.as_str(),
            course_id.as_str(),
            i64::try_from(*index).unwrap_or(i64::MAX),
            inside.micros,
            inside.complete
        ),
        " ON CONFLICT (programme_id, person_id, course_id, phase_index) DO UPDATE SET micros = excluded.micros, \
         complete = excluded.complete"
    )?;
    Ok(())
}
