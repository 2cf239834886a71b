//! What learners read: progress by course and phase, and sessions. Phases are read by `study::phases`.

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, taught_by};
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId, text_of};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, fetch_list, fetch_page,
    list::{Equal, Listed},
};

use super::session::SessionRow;
use super::study::{CourseProgressRow, PhaseCourseRow};

/// The most courses of one learner that are listed.
pub(crate) const COURSES_LISTED_MAX: i64 = 1_000;

/// What progress (`p`) belongs to: it has no time of its own, and is where its learner stands now.
pub(super) fn of_progress(now: DateTime<Utc>) -> Columns {
    Columns {
        programme: "p.programme_id",
        region: placed!("county_code", "p.programme_id", "p.person_id", "'9999-12-31T00:00:00+00:00'"),
        class: placed!("class_id", "p.programme_id", "p.person_id", "'9999-12-31T00:00:00+00:00'"),
        person: "p.person_id",
        subject: taught_by!("p.programme_id", "p.person_id"),
        as_of: AsOf::At(now),
    }
}

/// Somebody's courses, by id, as they stand; at most [`COURSES_LISTED_MAX`].
pub(crate) async fn courses(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    now: DateTime<Utc>,
) -> Result<Vec<CourseProgressRow>, StoreError> {
    fetch_list!(
        tx,
        CourseProgressRow,
        [
            "SELECT p.person_id, p.course_id, p.credited_micros, p.completed_at, p.version FROM course_progress p \
             WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND p.person_id = ",
            person_id.as_str(),
            "",
            reach.over(of_progress(now)),
            " ORDER BY p.course_id LIMIT ",
            COURSES_LISTED_MAX
        ]
    )
}

/// What somebody's main-line courses hold by phase, as they stand; bounded by courses and phases.
pub(crate) async fn phase_courses(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    now: DateTime<Utc>,
) -> Result<Vec<PhaseCourseRow>, StoreError> {
    fetch_list!(
        tx,
        PhaseCourseRow,
        [
            "SELECT p.person_id, p.course_id, p.phase_index, p.micros, p.complete FROM phase_course_progress p \
             WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND p.person_id = ",
            person_id.as_str(),
            "",
            reach.over(of_progress(now))
        ]
    )
}

/// A page of somebody's sessions by opening time, then id, each of the class and county in which they stood then; of one
/// course only, if one is given.
pub(crate) async fn sessions(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (person_id, course_id): (&PersonId, Option<&CourseId>),
    (after_time, after_id): (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Listed<SessionRow>>, StoreError> {
    let columns = Columns {
        programme: "s.programme_id",
        region: placed!("county_code", "s.programme_id", "s.person_id", "s.opened_at"),
        class: placed!("class_id", "s.programme_id", "s.person_id", "s.opened_at"),
        person: "s.person_id",
        subject: taught_by!("s.programme_id", "s.person_id"),
        as_of: AsOf::Row("s.opened_at"),
    };
    fetch_page!(
        tx,
        SessionRow,
        "session" by ["opened_at", "session_id"],
        [
            "SELECT session_id, person_id, course_id, opened_at, last_at, last_seq, credited_micros, beats, \
             overlap_micros, overlap_beats, gap_micros, gap_beats, course_full_micros, course_full_beats, \
             daily_cap_micros, daily_cap_beats, outside_window_micros, outside_window_beats, duplicate_beats, voided, \
             voided_micros, voided_beats FROM session s WHERE s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id = ",
            person_id.as_str(),
            " AND (s.opened_at, s.session_id) > (",
            after_time,
            ", ",
            after_id,
            ")",
            Equal("s.course_id", text_of(course_id)),
            "",
            reach.over(columns),
            " ORDER BY s.opened_at, s.session_id LIMIT ",
            limit
        ]
    )
}
