//! Lists of all learners, for files: by learner, each a portion.

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, taught_by};
use shipei_rules::ids::ProgrammeId;
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_list, stands};

use super::{course::counts, progress::of_progress};

/// What stands between two ids; no id can hold it.
const BETWEEN: char = '\n';

/// The last row of the portion before, by its two ids; both are empty at first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AfterPair<'a>(&'a str, &'a str);

impl<'a> AfterPair<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let (first, second) = text.split_once(BETWEEN).unwrap_or_default();
        Self(first, second)
    }

    pub(crate) fn text(first: &str, second: &str) -> String {
        format!("{first}{BETWEEN}{second}")
    }
}

/// What somebody has credited of a course.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ProgressRow {
    pub(crate) person_id: String,
    pub(crate) course_id: String,
    pub(crate) credited_micros: i64,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    pub(crate) length_seconds: i64,
}

/// A session, as far as a list says it.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SessionRow {
    pub(crate) person_id: String,
    pub(crate) session_id: String,
    pub(crate) course_id: String,
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) last_at: DateTime<Utc>,
    pub(crate) credited_micros: i64,
    pub(crate) voided: bool,
}

/// Selections by learner and course as they stand, each of the class and county in which they stood then.
pub(crate) async fn selections(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    after: AfterPair<'_>,
    limit: i64,
) -> Result<Vec<(String, String, DateTime<Utc>)>, StoreError> {
    let columns = Columns {
        programme: "s.programme_id",
        region: placed!("county_code", "s.programme_id", "s.person_id", "s.selected_at"),
        class: placed!("class_id", "s.programme_id", "s.person_id", "s.selected_at"),
        person: "s.person_id",
        subject: taught_by!("s.programme_id", "s.person_id"),
        as_of: AsOf::Row("s.selected_at"),
    };
    fetch_list!(
        tx,
        (String, String, DateTime<Utc>),
        [
            "SELECT s.person_id, s.course_id, s.selected_at FROM selection s WHERE s.programme_id = ",
            programme_id.as_str(),
            " AND (s.person_id, s.course_id) > (",
            after.0,
            ", ",
            after.1,
            concat!(") AND", counts!()),
            reach.over(columns),
            " ORDER BY s.person_id, s.course_id LIMIT ",
            limit
        ]
    )
}

/// Progress by learner and course, each where the learner stands now.
pub(crate) async fn progress(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    after: AfterPair<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ProgressRow>, StoreError> {
    fetch_list!(
        tx,
        ProgressRow,
        [
            "SELECT p.person_id, p.course_id, p.credited_micros, p.completed_at, c.length_seconds FROM course_progress p \
             JOIN course c ON c.programme_id = p.programme_id AND c.course_id = p.course_id WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND (p.person_id, p.course_id) > (",
            after.0,
            ", ",
            after.1,
            ")",
            reach.over(of_progress(now)),
            " ORDER BY p.person_id, p.course_id LIMIT ",
            limit
        ]
    )
}

/// Sessions by learner and id, each of the class and county in which they stood then.
pub(crate) async fn sessions(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    after: AfterPair<'_>,
    limit: i64,
) -> Result<Vec<SessionRow>, StoreError> {
    let columns = Columns {
        programme: "s.programme_id",
        region: placed!("county_code", "s.programme_id", "s.person_id", "s.opened_at"),
        class: placed!("class_id", "s.programme_id", "s.person_id", "s.opened_at"),
        person: "s.person_id",
        subject: taught_by!("s.programme_id", "s.person_id"),
        as_of: AsOf::Row("s.opened_at"),
    };
    fetch_list!(
        tx,
        SessionRow,
        [
            "SELECT s.person_id, s.session_id, s.course_id, s.opened_at, s.last_at, s.credited_micros, s.voided FROM session s \
             WHERE s.programme_id = ",
            programme_id.as_str(),
            " AND (s.person_id, s.session_id) > (",
            after.0,
            ", ",
            after.1,
            ")",
            reach.over(columns),
            " ORDER BY s.person_id, s.session_id LIMIT ",
            limit
        ]
    )
}
