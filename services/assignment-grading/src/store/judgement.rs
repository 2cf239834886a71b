//! Whether marks count: what they are judged by, and what came of it.

use chrono::{DateTime, Utc};
use shipei_rules::ids::{PersonId, ProgrammeId, SubmissionId};
use shipei_store::{StoreError, Tx, execute, fetch_all, select_by_keys, sqlx};

/// A mark, as far as it is judged.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct GivenMark {
    #[sqlx(try_from = "String")]
    pub(crate) submission_id: SubmissionId,
    pub(crate) number: i64,
    #[sqlx(try_from = "String")]
    pub(crate) tutor_id: PersonId,
    pub(crate) marked_at: DateTime<Utc>,
    pub(crate) counts: bool,
    /// How often that has changed.
    pub(crate) judged: i64,
}

/// All marks of a trainee's work, whether they stand or not.
pub(crate) async fn given_marks(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Vec<GivenMark>, StoreError> {
    fetch_all!(
        tx,
        GivenMark,
        "SELECT m.submission_id, m.number, m.tutor_id, m.marked_at, m.counts, m.judged FROM submission s \
         JOIN mark m ON m.programme_id = s.programme_id AND m.submission_id = s.submission_id \
         WHERE s.programme_id = $1 AND s.person_id = $2 ORDER BY m.submission_id, m.number",
        programme_id.as_str(),
        person_id.as_str()
    )
}

/// Keeps whether a mark counts.
pub(crate) async fn save_judgement(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    mark: &GivenMark,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE mark SET counts = $4, judged = $5 WHERE programme_id = $1 AND submission_id = $2 AND number = $3",
        programme_id.as_str(),
        mark.submission_id.as_str(),
        mark.number,
        mark.counts,
        mark.judged
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// Whose work these tutors marked from a moment on.
pub(crate) async fn people_marked_by(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_ids: &[&PersonId],
    since: DateTime<Utc>,
) -> Result<Vec<PersonId>, StoreError> {
    let rows = select_by_keys!(
        tx,
        PersonRow,
        [
            "SELECT DISTINCT s.person_id FROM mark m JOIN submission s ON s.programme_id = m.programme_id \
             AND s.submission_id = m.submission_id WHERE m.marked_at >= ",
            since,
            " AND m.programme_id = ",
            programme_id.as_str(),
            " AND m.tutor_id IN "
        ],
        tutor_ids,
        |tutor_id| (tutor_id.as_str())
    )?;
    Ok(rows.into_iter().map(|row| row.person_id).collect())
}
