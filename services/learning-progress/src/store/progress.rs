//! What learners read: progress by course and phase, and sessions. Phases are read by `study::phases`.

use chrono::{DateTime, Utc};
use shipei_store::{StoreError, Tx, fetch_all};

use super::session::SessionRow;
use super::study::{CourseProgressRow, PhaseCourseRow};

/// The most courses of one learner that are listed.
pub(crate) const COURSES_LISTED_MAX: i64 = 1_000;

/// Somebody's courses, by id; at most [`COURSES_LISTED_MAX`].
pub(crate) async fn courses(
    tx: &mut Tx,
    programme_id: &str,
    person_id: &str,
) -> Result<Vec<CourseProgressRow>, StoreError> {
    fetch_all!(
        tx,
        CourseProgressRow,
        "SELECT person_id, course_id, credited_micros FROM course_progress \
         WHERE programme_id = $1 AND person_id = $2 ORDER BY course_id LIMIT $3",
        programme_id,
        person_id,
        COURSES_LISTED_MAX
    )
}

/// What somebody's main-line courses hold by phase; bounded by courses and phases.
pub(crate) async fn phase_courses(
    tx: &mut Tx,
    programme_id: &str,
    person_id: &str,
) -> Result<Vec<PhaseCourseRow>, StoreError> {
    fetch_all!(
        tx,
        PhaseCourseRow,
        "SELECT person_id, course_id, phase_index, micros FROM phase_course_progress \
         WHERE programme_id = $1 AND person_id = $2",
        programme_id,
        person_id
    )
}

/// A page of somebody's sessions by opening time, then id; of one course only, unless it is empty.
pub(crate) async fn sessions(
    tx: &mut Tx,
    programme_id: &str,
    person_id: &str,
    course_id: &str,
    (after_time, after_id): (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<SessionRow>, StoreError> {
    fetch_all!(
        tx,
        SessionRow,
        "SELECT session_id, person_id, course_id, opened_at, last_at, last_seq, credited_micros, beats, \
         overlap_micros, overlap_beats, gap_micros, gap_beats, course_full_micros, course_full_beats, \
         daily_cap_micros, daily_cap_beats, outside_window_micros, outside_window_beats, duplicate_beats \
         FROM session WHERE programme_id = $1 AND person_id = $2 AND (opened_at, session_id) > ($3, $4) \
         AND ($5 = '' OR course_id = $5) ORDER BY opened_at, session_id LIMIT $6",
        programme_id,
        person_id,
        after_time,
        after_id,
        course_id,
        limit
    )
}
