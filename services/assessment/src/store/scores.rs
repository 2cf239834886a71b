//! What follows from facts: the stored scores, which are also the locks of whom they are about.
//!
//! Why locks: two instances may apply facts about one trainee at once. Each writes its facts, then locks the trainee's
//! row, then reads: so the second one, which waits, sees what the first has written. Locks are always taken in this
//! order: programme, trainees, classes, tutors, counties, counts, each by key. SQLite has one writer and needs none.

use std::collections::BTreeMap;

use shipei_store::{StoreError, Tx, bulk_insert, execute, fetch_all, fetch_optional, select_by_keys};

use crate::facts::{Cause, Instant, Submission};

/// Locks a programme's scheme: shared by everybody who scores by it, exclusive for who replaces it.
pub async fn lock_programme(tx: &mut Tx, programme_id: &str, exclusive: bool) -> Result<(), StoreError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    execute!(
        tx,
        "INSERT INTO programme_lock (programme_id) VALUES ($1) ON CONFLICT DO NOTHING",
        programme_id
    )?;
    let sql = match exclusive {
        true => "SELECT programme_id FROM programme_lock WHERE programme_id = $1 FOR UPDATE",
        false => "SELECT programme_id FROM programme_lock WHERE programme_id = $1 FOR SHARE",
    };
    let _: Option<(String,)> = fetch_optional!(tx, (String,), sql, programme_id)?;
    Ok(())
}

/// Locks classes, by id ascending, so that a fact of a class and the class itself can't miss each other.
pub async fn lock_classes(tx: &mut Tx, programme_id: &str, class_ids: &[&str]) -> Result<(), StoreError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    bulk_insert!(
        tx,
        "INSERT INTO class_lock (programme_id, class_id)",
        class_ids,
        |class_id| (programme_id, *class_id),
        " ON CONFLICT (programme_id, class_id) DO NOTHING"
    )?;
    let _: Vec<(String,)> = select_by_keys!(
        tx,
        (String,),
        ["SELECT class_id FROM class_lock WHERE programme_id = ", programme_id, " AND class_id IN "],
        class_ids,
        |class_id| (*class_id),
        " ORDER BY class_id FOR UPDATE"
    )?;
    Ok(())
}

/// A trainee's stored score.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct TraineeRow {
    /// Who.
    pub person_id: String,
    /// `assessment.v1.TraineePoints`; `None` before they are registered.
    pub points: Option<Vec<u8>>,
    /// The explained items ([`crate::domain::stored`]); `None` before they are registered.
    pub items: Option<Vec<u8>>,
    /// Their county at the programme's end.
    pub county_code: String,
    /// Their class at the programme's end.
    pub class_id: String,
    /// Whether they have withdrawn by the programme's end.
    pub withdrawn: bool,
    /// What they add to the counts ([`crate::domain::contribution::Contribution::encode`]).
    pub contribution: Vec<u8>,
    /// The time of their latest fact.
    pub latest_fact_at: Option<Instant>,
}

/// Makes empty rows for those of the trainees who have none, by id ascending.
pub async fn make_trainees(tx: &mut Tx, programme_id: &str, person_ids: &[&str]) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO trainee_score (programme_id, person_id, county_code, class_id, withdrawn, contribution)",
        person_ids,
        |person_id| (programme_id, *person_id, "", "", false, &b""[..]),
        " ON CONFLICT (programme_id, person_id) DO NOTHING"
    )?;
    Ok(())
}

/// Locks trainees, by id ascending, and gives their stored scores; an empty one for who has none yet.
pub async fn lock_trainees(
    tx: &mut Tx,
    programme_id: &str,
    person_ids: &[&str],
) -> Result<BTreeMap<String, TraineeRow>, StoreError> {
    if tx.is_postgres() {
        // A row that is not there can't be locked.
        make_trainees(tx, programme_id, person_ids).await?;
    }
    let mut trainees: BTreeMap<String, TraineeRow> = BTreeMap::new();
    for person_id in person_ids {
        let nothing = TraineeRow { person_id: (*person_id).to_owned(), ..TraineeRow::default() };
        trainees.insert((*person_id).to_owned(), nothing);
    }
    let suffix = if tx.is_postgres() { " ORDER BY person_id FOR UPDATE" } else { "" };
    let rows = select_by_keys!(
        tx,
        TraineeRow,
        [
            "SELECT person_id, points, items, county_code, class_id, withdrawn, contribution, latest_fact_at FROM trainee_score \
             WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (*person_id),
        suffix
    )?;
    trainees.extend(rows.into_iter().map(|row: TraineeRow| (row.person_id.clone(), row)));
    Ok(trainees)
}

/// Writes trainees' scores.
pub async fn save_trainees(tx: &mut Tx, programme_id: &str, rows: &[TraineeRow]) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO trainee_score (programme_id, person_id, points, items, county_code, class_id, withdrawn, \
         contribution, latest_fact_at)",
        rows,
        |row| (
            programme_id,
            &row.person_id,
            row.points.as_deref(),
            row.items.as_deref(),
            &row.county_code,
            &row.class_id,
            row.withdrawn,
            row.contribution.as_slice(),
            row.latest_fact_at
        ),
        " ON CONFLICT (programme_id, person_id) DO UPDATE SET points = excluded.points, \
         items = excluded.items, county_code = excluded.county_code, class_id = excluded.class_id, \
         withdrawn = excluded.withdrawn, contribution = excluded.contribution, \
         latest_fact_at = excluded.latest_fact_at"
    )?;
    Ok(())
}

/// What is kept of a trainee's score for answers.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeptRow {
    /// Who.
    pub person_id: String,
    /// Their county at the programme's end.
    pub county_code: String,
    /// Their class at the programme's end.
    pub class_id: String,
    /// The explained items as of then ([`crate::domain::stored`]).
    pub items: Vec<u8>,
    /// Whether they have withdrawn by then.
    pub withdrawn: bool,
    /// The time of their latest fact.
    pub latest_fact_at: Option<Instant>,
}

/// What is kept of a trainee's score, if that is not behind the facts.
pub async fn kept(tx: &mut Tx, programme_id: &str, person_id: &str) -> Result<Option<KeptRow>, StoreError> {
    fetch_optional!(
        tx,
        KeptRow,
        "SELECT person_id, county_code, class_id, items, withdrawn, latest_fact_at FROM trainee_score s \
         WHERE programme_id = $1 AND person_id = $2 AND items IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM due d WHERE d.programme_id = s.programme_id AND d.kind = 0 AND d.id = s.person_id) \
         AND NOT EXISTS (SELECT 1 FROM rescore r WHERE r.programme_id = s.programme_id)",
        programme_id,
        person_id
    )
}

/// Whether anything that a trainee's score rests on happened after a time, among facts whose scores are stored.
pub async fn is_anything_after(tx: &mut Tx, programme_id: &str, at: Instant) -> Result<bool, StoreError> {
    let row: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT programme_id FROM county_score WHERE programme_id = $1 AND latest_fact_at > $2 \
         UNION ALL SELECT programme_id FROM trainee_score WHERE programme_id = $1 AND county_code = '' \
         AND latest_fact_at > $2 LIMIT 1",
        programme_id,
        at
    )?;
    Ok(row.is_some())
}

/// Writes what classes answer for about these submissions at the programme's end.
pub async fn save_marking(tx: &mut Tx, programme_id: &str, rows: &[Submission]) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO submission (programme_id, submission_id, person_id, submitted_at, number, fact_id, \
         owed_class_id, late_class_id)",
        rows,
        |row| (
            programme_id,
            &row.submission_id,
            &row.person_id,
            row.submitted_at,
            row.number,
            &row.fact_id,
            row.owed_class_id.as_deref(),
            row.late_class_id.as_deref()
        ),
        " ON CONFLICT (programme_id, submission_id) DO UPDATE SET owed_class_id = excluded.owed_class_id, \
         late_class_id = excluded.late_class_id"
    )?;
    Ok(())
}

/// A tutor's stored score.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TutorRow {
    /// Who.
    pub person_id: String,
    /// Their county.
    pub county_code: String,
    /// `assessment.v1.TutorPoints`; `None` before they are registered.
    pub points: Option<Vec<u8>>,
}

/// Locks tutors, by id ascending, and gives their stored scores; who has none yet gets an empty one.
pub async fn lock_tutors(
    tx: &mut Tx,
    programme_id: &str,
    person_ids: &[&str],
) -> Result<BTreeMap<String, TutorRow>, StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO tutor_score (programme_id, person_id, county_code)",
        person_ids,
        |person_id| (programme_id, *person_id, ""),
        " ON CONFLICT (programme_id, person_id) DO NOTHING"
    )?;
    let suffix = if tx.is_postgres() { " ORDER BY person_id FOR UPDATE" } else { "" };
    let rows = select_by_keys!(
        tx,
        TutorRow,
        [
            "SELECT person_id, county_code, points FROM tutor_score WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (*person_id),
        suffix
    )?;
    Ok(rows.into_iter().map(|row| (row.person_id.clone(), row)).collect())
}

/// Writes tutors' scores.
pub async fn save_tutors(tx: &mut Tx, programme_id: &str, rows: &[TutorRow]) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO tutor_score (programme_id, person_id, county_code, points)",
        rows,
        |row| (programme_id, &row.person_id, &row.county_code, row.points.as_deref()),
        " ON CONFLICT (programme_id, person_id) DO UPDATE SET county_code = excluded.county_code, \
         points = excluded.points"
    )?;
    Ok(())
}

/// A county's stored score.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CountyRow {
    /// The county.
    pub county_code: String,
    /// `assessment.v1.CountyPoints`; `None` before it has active trainees.
    pub points: Option<Vec<u8>>,
    /// The latest time of any fact that ever counted in it.
    pub latest_fact_at: Option<Instant>,
}

/// Locks counties, by code ascending, and gives their stored scores; one that has none yet gets an empty one.
pub async fn lock_counties(
    tx: &mut Tx,
    programme_id: &str,
    county_codes: &[&str],
) -> Result<BTreeMap<String, CountyRow>, StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO county_score (programme_id, county_code)",
        county_codes,
        |county_code| (programme_id, *county_code),
        " ON CONFLICT (programme_id, county_code) DO NOTHING"
    )?;
    let suffix = if tx.is_postgres() { " ORDER BY county_code FOR UPDATE" } else { "" };
    let rows = select_by_keys!(
        tx,
        CountyRow,
        [
            "SELECT county_code, points, latest_fact_at FROM county_score WHERE programme_id = ",
            programme_id,
            " AND county_code IN "
        ],
        county_codes,
        |county_code| (*county_code),
        suffix
    )?;
    Ok(rows.into_iter().map(|row| (row.county_code.clone(), row)).collect())
}

/// The stored rows of counties, without a lock.
pub async fn counties(
    tx: &mut Tx,
    programme_id: &str,
    county_codes: &[&str],
) -> Result<Vec<CountyRow>, StoreError> {
    select_by_keys!(
        tx,
        CountyRow,
        [
            "SELECT county_code, points, latest_fact_at FROM county_score WHERE programme_id = ",
            programme_id,
            " AND county_code IN "
        ],
        county_codes,
        |county_code| (*county_code)
    )
}

/// Writes counties' scores.
pub async fn save_counties(tx: &mut Tx, programme_id: &str, rows: &[CountyRow]) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO county_score (programme_id, county_code, points, latest_fact_at)",
        rows,
        |row| (programme_id, &row.county_code, row.points.as_deref(), row.latest_fact_at),
        " ON CONFLICT (programme_id, county_code) DO UPDATE SET points = excluded.points, \
         latest_fact_at = excluded.latest_fact_at"
    )?;
    Ok(())
}

/// How far a programme has been scored anew.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RescoreRow {
    /// `trainees`, `tutors` or `counties`.
    pub stage: String,
    /// The last id of the stage that is done.
    pub done_until: String,
    /// The event that brought the scheme.
    pub cause: String,
    /// When it happened.
    pub caused_at: Instant,
}

/// Begins scoring everything of a programme anew.
pub async fn begin_rescore(
    tx: &mut Tx,
    programme_id: &str,
    stage: &str,
    cause: &Cause,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO rescore (programme_id, stage, done_until, cause, caused_at) VALUES ($1, $2, '', $3, $4) \
         ON CONFLICT (programme_id) DO UPDATE SET stage = excluded.stage, done_until = '', cause = excluded.cause, \
         caused_at = excluded.caused_at",
        programme_id,
        stage,
        &cause.id,
        cause.at
    )?;
    Ok(())
}

/// Where scoring anew stands, locked; `None` when it is done.
pub async fn lock_rescore(tx: &mut Tx, programme_id: &str) -> Result<Option<RescoreRow>, StoreError> {
    let sql = match tx.is_postgres() {
        true => "SELECT stage, done_until, cause, caused_at FROM rescore WHERE programme_id = $1 FOR UPDATE",
        false => "SELECT stage, done_until, cause, caused_at FROM rescore WHERE programme_id = $1",
    };
    fetch_optional!(tx, RescoreRow, sql, programme_id)
}

/// Remembers how far scoring anew has come.
pub async fn move_rescore(
    tx: &mut Tx,
    programme_id: &str,
    stage: &str,
    done_until: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE rescore SET stage = $2, done_until = $3 WHERE programme_id = $1",
        programme_id,
        stage,
        done_until
    )?;
    Ok(())
}

/// Everything is scored by the new scheme.
pub async fn end_rescore(tx: &mut Tx, programme_id: &str) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM rescore WHERE programme_id = $1", programme_id)?;
    Ok(())
}

/// Whether stored scores of a programme are behind the facts: it is being scored anew, or somebody is due.
pub async fn is_behind(tx: &mut Tx, programme_id: &str) -> Result<bool, StoreError> {
    let row: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT programme_id FROM rescore WHERE programme_id = $1 \
             UNION ALL SELECT programme_id FROM due WHERE programme_id = $1 LIMIT 1",
        programme_id
    )?;
    Ok(row.is_some())
}

/// The programmes that are being scored anew, at most `limit`.
pub async fn rescoring(tx: &mut Tx, limit: i64) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> =
        fetch_all!(tx, (String,), "SELECT programme_id FROM rescore ORDER BY programme_id LIMIT $1", limit)?;
    Ok(rows.into_iter().map(|(programme_id,)| programme_id).collect())
}
