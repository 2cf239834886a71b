//! Submissions and their marks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_rules::{trainee::MarkKind, vocabulary::Grade};
use shipei_store::{StoreError, Tx, execute, fetch_all, fetch_optional, select_by_keys};

use super::{AfterTime, Recorded};
use crate::domain::{Mark, Submission};

/// What a return has in the column `grade`.
const RETURNED: &str = "";

#[derive(sqlx::FromRow)]
struct SubmissionRow {
    submission_id: String,
    person_id: String,
    class_id: String,
    kind: String,
    title: String,
    text: String,
    submitted_at: DateTime<Utc>,
    superseded_at: Option<DateTime<Utc>>,
}

impl From<SubmissionRow> for Submission {
    fn from(row: SubmissionRow) -> Submission {
        Submission {
            submission_id: row.submission_id,
            person_id: row.person_id,
            class_id: row.class_id,
            kind: row.kind,
            title: row.title,
            text: row.text,
            submitted_at: row.submitted_at,
            superseded_at: row.superseded_at,
        }
    }
}

/// The columns of [`SubmissionRow`].
macro_rules! submission_columns {
    () => {
        "SELECT s.submission_id, s.person_id, s.class_id, s.kind, s.title, s.text, s.submitted_at, s.superseded_at "
    };
}

/// A SELECT of [`SubmissionRow`].
macro_rules! select_submission {
    ($tail:literal) => {
        concat!(submission_columns!(), "FROM submission s ", $tail)
    };
}

/// Locks what is decided about a trainee's work until the transaction ends.
pub(crate) async fn lock_trainee(tx: &mut Tx, programme_id: &str, person_id: &str) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO trainee_work (programme_id, person_id) VALUES ($1, $2) \
         ON CONFLICT (programme_id, person_id) DO UPDATE SET person_id = excluded.person_id",
        programme_id,
        person_id
    )?;
    Ok(())
}

/// One submission.
pub(crate) async fn submission(
    tx: &mut Tx,
    programme_id: &str,
    submission_id: &str,
) -> Result<Option<Submission>, StoreError> {
    let row = fetch_optional!(
        tx,
        SubmissionRow,
        select_submission!("WHERE s.programme_id = $1 AND s.submission_id = $2"),
        programme_id,
        submission_id
    )?;
    Ok(row.map(Submission::from))
}

/// A trainee's newest submission: of those of one instant, the one that none of them replaced.
pub(crate) async fn newest_submission(
    tx: &mut Tx,
    programme_id: &str,
    person_id: &str,
) -> Result<Option<Submission>, StoreError> {
    let row = fetch_optional!(
        tx,
        SubmissionRow,
        select_submission!(
            "WHERE s.programme_id = $1 AND s.person_id = $2 \
             ORDER BY s.submitted_at DESC, CASE WHEN s.superseded_at IS NULL THEN 0 ELSE 1 END LIMIT 1"
        ),
        programme_id,
        person_id
    )?;
    Ok(row.map(Submission::from))
}

/// A trainee's first submission that is newer than this one, which has just arrived; of one instant, any.
pub(crate) async fn following_submission(
    tx: &mut Tx,
    programme_id: &str,
    of: &Submission,
) -> Result<Option<Submission>, StoreError> {
    let row = fetch_optional!(
        tx,
        SubmissionRow,
        select_submission!(
            "WHERE s.programme_id = $1 AND s.person_id = $2 AND s.submitted_at > $3 \
             ORDER BY s.submitted_at, s.submission_id LIMIT 1"
        ),
        programme_id,
        &of.person_id,
        of.submitted_at
    )?;
    Ok(row.map(Submission::from))
}

/// Keeps a new submission; false when its id is taken.
pub(crate) async fn insert_submission(
    tx: &mut Tx,
    programme_id: &str,
    new: &Submission,
    recorded: &Recorded,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO submission (programme_id, submission_id, person_id, class_id, kind, title, text, submitted_at, \
         recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (programme_id, submission_id) DO NOTHING",
        programme_id,
        &new.submission_id,
        &new.person_id,
        &new.class_id,
        &new.kind,
        &new.title,
        &new.text,
        new.submitted_at,
        recorded.at,
        &recorded.actor
    )?;
    Ok(inserted == 1)
}

/// Says of a submission that another one replaced it at `at`.
pub(crate) async fn supersede(
    tx: &mut Tx,
    programme_id: &str,
    submission_id: &str,
    by: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE submission SET superseded_at = $3, superseded_by = $4 WHERE programme_id = $1 AND submission_id = $2",
        programme_id,
        submission_id,
        at,
        by
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct MarkRow {
    submission_id: String,
    number: i64,
    grade: String,
    comment: String,
    tutor_id: String,
    marked_at: DateTime<Utc>,
}

/// The marks of these submissions, by number; a submission without marks is not in the map.
pub(crate) async fn marks(
    tx: &mut Tx,
    programme_id: &str,
    submission_ids: &[&str],
) -> Result<BTreeMap<String, Vec<Mark>>, StoreError> {
    let rows = select_by_keys!(
        tx,
        MarkRow,
        [
            "SELECT submission_id, number, grade, comment, tutor_id, marked_at FROM mark WHERE programme_id = ",
            programme_id,
            " AND submission_id IN "
        ],
        submission_ids,
        |submission_id| (*submission_id),
        " ORDER BY submission_id, number"
    )?;
    let mut marks: BTreeMap<String, Vec<Mark>> = BTreeMap::new();
    for row in rows {
        let kind = match row.grade.as_str() {
            RETURNED => MarkKind::Returned,
            word => MarkKind::Graded(
                Grade::parse(word)
                    .ok_or_else(|| StoreError::corrupt_row("mark", "grade", &row.submission_id))?,
            ),
        };
        marks.entry(row.submission_id).or_default().push(Mark {
            number: row.number,
            kind,
            comment: row.comment,
            tutor_id: row.tutor_id,
            marked_at: row.marked_at,
        });
    }
    Ok(marks)
}

/// The marks of one submission, by number.
pub(crate) async fn marks_of(
    tx: &mut Tx,
    programme_id: &str,
    submission_id: &str,
) -> Result<Vec<Mark>, StoreError> {
    Ok(marks(tx, programme_id, &[submission_id]).await?.remove(submission_id).unwrap_or_default())
}

/// Keeps a new mark, and when the submission was first marked.
pub(crate) async fn insert_mark(
    tx: &mut Tx,
    programme_id: &str,
    submission_id: &str,
    mark: &Mark,
    recorded: &Recorded,
) -> Result<(), StoreError> {
    let grade = match mark.kind {
        MarkKind::Returned => RETURNED,
        MarkKind::Graded(grade) => grade.as_str(),
    };
    execute!(
        tx,
        "INSERT INTO mark (programme_id, submission_id, number, grade, comment, tutor_id, marked_at, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        programme_id,
        submission_id,
        mark.number,
        grade,
        &mark.comment,
        &mark.tutor_id,
        mark.marked_at,
        recorded.at,
        &recorded.actor
    )?;
    execute!(
        tx,
        "UPDATE submission SET first_mark_at = $3 WHERE programme_id = $1 AND submission_id = $2 \
         AND (first_mark_at IS NULL OR first_mark_at > $3)",
        programme_id,
        submission_id,
        mark.marked_at
    )?;
    Ok(())
}

/// Submissions by time, of a class, a trainee, both or all: an empty id stands for all.
pub(crate) async fn list_submissions(
    tx: &mut Tx,
    programme_id: &str,
    (class_id, person_id): (&str, &str),
    after: &AfterTime<'_>,
    limit: i64,
) -> Result<Vec<Submission>, StoreError> {
    // One text for each question, so that each finds its index.
    let sql = match (class_id.is_empty(), person_id.is_empty()) {
        (_, false) => select_submission!(
            "WHERE s.programme_id = $1 AND ($2 = '' OR s.class_id = $2) AND s.person_id = $3 \
             AND (s.submitted_at, s.submission_id) > ($4, $5) ORDER BY s.submitted_at, s.submission_id LIMIT $6"
        ),
        (false, true) => select_submission!(
            "WHERE s.programme_id = $1 AND s.class_id = $2 AND $3 = '' \
             AND (s.submitted_at, s.submission_id) > ($4, $5) ORDER BY s.submitted_at, s.submission_id LIMIT $6"
        ),
        (true, true) => select_submission!(
            "WHERE s.programme_id = $1 AND $2 = '' AND $3 = '' \
             AND (s.submitted_at, s.submission_id) > ($4, $5) ORDER BY s.submitted_at, s.submission_id LIMIT $6"
        ),
    };
    let rows =
        fetch_all!(tx, SubmissionRow, sql, programme_id, class_id, person_id, after.at, after.id, limit)?;
    Ok(rows.into_iter().map(Submission::from).collect())
}

/// A FROM: submissions of whoever ever stood in a class of the tutor $2. CROSS JOIN makes SQLite begin with the people,
/// who are few, and not with the submissions by time (60,000 of them: 0.9 ms against 27).
macro_rules! from_submissions_of_the_tutors_people {
    () => {
        "FROM (SELECT person_id FROM mirror_member WHERE programme_id = $1 AND class_id IN \
             (SELECT class_id FROM mirror_class WHERE programme_id = $1 AND tutor_id = $2) \
         UNION SELECT person_id FROM mirror_transfer WHERE programme_id = $1 AND class_id IN \
             (SELECT class_id FROM mirror_class WHERE programme_id = $1 AND tutor_id = $2)) p \
         CROSS JOIN submission s "
    };
}

/// What a tutor owed a mark at `as_of`, oldest first: submissions of the trainees who stood in the tutor's classes at
/// `owing_as_of`.
pub(crate) async fn list_marking(
    tx: &mut Tx,
    programme_id: &str,
    tutor_id: &str,
    (as_of, owing_as_of): (DateTime<Utc>, DateTime<Utc>),
    after: &AfterTime<'_>,
    limit: i64,
) -> Result<Vec<Submission>, StoreError> {
    let rows = fetch_all!(
        tx,
        SubmissionRow,
        concat!(
            submission_columns!(),
            from_submissions_of_the_tutors_people!(),
            "JOIN mirror_member m ON m.programme_id = s.programme_id AND m.person_id = s.person_id \
             JOIN mirror_class c ON c.programme_id = s.programme_id AND c.class_id = COALESCE(( \
                 SELECT class_id FROM mirror_transfer t WHERE t.programme_id = s.programme_id \
                 AND t.person_id = s.person_id AND t.transferred_at <= $4 \
                 ORDER BY transferred_at DESC, event_number DESC, event_partition DESC LIMIT 1), m.class_id) \
             WHERE s.programme_id = $1 AND s.person_id = p.person_id AND c.tutor_id = $2 AND s.submitted_at <= $3 \
             AND (s.first_mark_at IS NULL OR s.first_mark_at > $3) \
             AND (s.superseded_at IS NULL OR s.superseded_at > $3) \
             AND (m.withdrawn_at IS NULL OR m.withdrawn_at > $3) \
             AND (s.submitted_at, s.submission_id) > ($5, $6) \
             ORDER BY s.submitted_at, s.submission_id LIMIT $7"
        ),
        programme_id,
        tutor_id,
        as_of,
        owing_as_of,
        after.at,
        after.id,
        limit
    )?;
    Ok(rows.into_iter().map(Submission::from).collect())
}

/// What a submission says about its marking week.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct LateFact {
    pub(crate) submission_id: String,
    pub(crate) person_id: String,
    pub(crate) submitted_at: DateTime<Utc>,
    pub(crate) first_mark_at: Option<DateTime<Utc>>,
    pub(crate) superseded_at: Option<DateTime<Utc>>,
}

/// The submissions of the trainees who ever stood in the tutor's classes, for counting late weeks; by time.
pub(crate) async fn late_facts(
    tx: &mut Tx,
    programme_id: &str,
    tutor_id: &str,
    as_of: DateTime<Utc>,
    after: &AfterTime<'_>,
    limit: i64,
) -> Result<Vec<LateFact>, StoreError> {
    fetch_all!(
        tx,
        LateFact,
        concat!(
            "SELECT s.submission_id, s.person_id, s.submitted_at, s.first_mark_at, s.superseded_at ",
            from_submissions_of_the_tutors_people!(),
            "WHERE s.programme_id = $1 AND s.person_id = p.person_id AND s.submitted_at <= $3 \
             AND (s.submitted_at, s.submission_id) > ($4, $5) ORDER BY s.submitted_at, s.submission_id LIMIT $6"
        ),
        programme_id,
        tutor_id,
        as_of,
        after.at,
        after.id,
        limit
    )
}
