//! Whose study is to be read anew, since a course changed: a programme, and up to which learner that is done.

use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_store::{StoreError, Tx, execute, fetch_all, fetch_one, fetch_optional};

/// All learners of the programme are to be read anew, from the first on.
pub(crate) async fn begin(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO reading_anew (programme_id, done_until) VALUES ($1, '') \
         ON CONFLICT (programme_id) DO UPDATE SET done_until = ''",
        programme_id.as_str()
    )?;
    Ok(())
}

/// As [`begin`], if anybody of the programme has studied: a catalogue that is filled before that costs nothing.
pub(crate) async fn begin_if_studied(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO reading_anew (programme_id, done_until) SELECT l.programme_id, '' FROM learner l \
         WHERE l.programme_id = $1 LIMIT 1 ON CONFLICT (programme_id) DO UPDATE SET done_until = ''",
        programme_id.as_str()
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct ProgrammeRow {
    #[sqlx(try_from = "String")]
    programme_id: ProgrammeId,
}

/// The programmes that are being read anew, at most `limit`.
pub(crate) async fn programmes(tx: &mut Tx, limit: i64) -> Result<Vec<ProgrammeId>, StoreError> {
    let rows = fetch_all!(
        tx,
        ProgrammeRow,
        "SELECT programme_id FROM reading_anew ORDER BY programme_id LIMIT $1",
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.programme_id).collect())
}

/// Whether none is, and nobody with several ids waits for it.
pub(crate) async fn is_done(tx: &mut Tx) -> Result<bool, StoreError> {
    let (count,) = fetch_one!(
        tx,
        (i64,),
        "SELECT (SELECT COUNT(*) FROM reading_anew) + (SELECT COUNT(*) FROM united_due) AS count"
    )?;
    Ok(count == 0)
}

/// Up to whom it is done, held until the transaction ends. `None` when nothing is left, or another instance is at it.
pub(crate) async fn take(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Option<String>, StoreError> {
    let sql = if tx.is_postgres() {
        "SELECT done_until FROM reading_anew WHERE programme_id = $1 FOR UPDATE SKIP LOCKED"
    } else {
        "SELECT done_until FROM reading_anew WHERE programme_id = $1"
    };
    let row: Option<(String,)> = fetch_optional!(tx, (String,), sql, programme_id.as_str())?;
    Ok(row.map(|(done_until,)| done_until))
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// The next learners, by id.
pub(crate) async fn learners(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    after: &str,
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let rows = fetch_all!(
        tx,
        PersonRow,
        "SELECT person_id FROM learner WHERE person_id > $2 AND programme_id = $1 ORDER BY person_id LIMIT $3",
        programme_id.as_str(),
        after,
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.person_id).collect())
}

/// It is done up to this learner.
pub(crate) async fn move_on(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    done_until: &PersonId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE reading_anew SET done_until = $2 WHERE programme_id = $1",
        programme_id.as_str(),
        done_until.as_str()
    )?;
    Ok(())
}

/// It is done.
pub(crate) async fn end(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM reading_anew WHERE programme_id = $1", programme_id.as_str())?;
    Ok(())
}
