//! Persons with several ids whose phases are to be read anew, by the id that is kept.
//!
//! Whoever changes anything of the study of one of the ids says so in its transaction; who reads anew holds the learners first and
//! takes the row away behind that (`crate::united`), so that whatever came meanwhile is read or said again.

use shipei_mirror::Member;
use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_store::{StoreError, Tx, execute, fetch_all};

/// Says that a person is to be read anew, if they have several ids.
pub(crate) async fn is_due(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    member: &Member,
) -> Result<(), StoreError> {
    if member.counts_for.is_none() && member.merged.is_empty() {
        return Ok(());
    }
    let kept_id = member.counts_for.as_ref().unwrap_or(&member.person_id);
    kept_is_due(tx, programme_id, kept_id).await
}

/// Says that the person of an id that is kept is to be read anew. A row that is being taken away is waited for.
pub(crate) async fn kept_is_due(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kept_id: &PersonId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO united_due (programme_id, person_id, times) VALUES ($1, $2, 1) \
         ON CONFLICT (programme_id, person_id) DO UPDATE SET times = united_due.times + 1",
        programme_id.as_str(),
        kept_id.as_str()
    )?;
    Ok(())
}

/// Says so of every person of a programme with several ids.
pub(crate) async fn all_are_due(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO united_due (programme_id, person_id, times) \
         SELECT DISTINCT programme_id, kept_id, 1 FROM mirror_merge WHERE programme_id = $1 AND as_role = 'trainee' ORDER BY kept_id \
         ON CONFLICT (programme_id, person_id) DO UPDATE SET times = united_due.times + 1",
        programme_id.as_str()
    )?;
    Ok(())
}

/// Somebody who is to be read anew.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Due {
    #[sqlx(try_from = "String")]
    pub(crate) programme_id: ProgrammeId,
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
}

/// Who is to be read anew, at most `limit`.
pub(crate) async fn due(tx: &mut Tx, limit: i64) -> Result<Vec<Due>, StoreError> {
    fetch_all!(
        tx,
        Due,
        "SELECT programme_id, person_id FROM united_due ORDER BY programme_id, person_id LIMIT $1",
        limit
    )
}

/// Takes the row away; false when another instance was faster.
pub(crate) async fn take(tx: &mut Tx, due: &Due) -> Result<bool, StoreError> {
    let taken = execute!(
        tx,
        "DELETE FROM united_due WHERE programme_id = $1 AND person_id = $2",
        due.programme_id.as_str(),
        due.person_id.as_str()
    )?;
    Ok(taken > 0)
}
