//! What follows from facts: the stored scores, which are also the locks of whom they are about.
//!
//! Why locks: two instances may apply facts about one trainee at once. Each writes its facts, then locks the trainee's
//! row, then reads: so the second one, which waits, sees what the first has written. Locks are always taken in this
//! order: programme, trainees, classes, tutors, counties, counts, each by key. SQLite has one writer and needs none.

use std::collections::BTreeMap;

use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_store::{StoreError, Tx, bulk_insert, execute, fetch_optional, select_by_keys};

use crate::{
    absent::MaybeId,
    facts::{Instant, Submission},
};

/// Locks a programme's scheme: shared by everybody who scores by it, exclusive for who replaces it.
pub async fn lock_programme(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    exclusive: bool,
) -> Result<(), StoreError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    execute!(
        tx,
        "INSERT INTO programme_lock (programme_id) VALUES ($1) ON CONFLICT DO NOTHING",
        programme_id.as_str()
    )?;
    let sql = match exclusive {
        true => "SELECT programme_id FROM programme_lock WHERE programme_id = $1 FOR UPDATE",
        false => "SELECT programme_id FROM programme_lock WHERE programme_id = $1 FOR SHARE",
    };
    let _: Option<(String,)> = fetch_optional!(tx, (String,), sql, programme_id.as_str())?;
    Ok(())
}

/// Locks classes, by id ascending, so that a fact of a class and the class itself can't miss each other.
pub async fn lock_classes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<(), StoreError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    bulk_insert!(
        tx,
        "INSERT INTO class_lock (programme_id, class_id)",
        class_ids,
        |class_id| (programme_id.as_str(), class_id.as_str()),
        " ON CONFLICT (programme_id, class_id) DO NOTHING"
    )?;
    let _: Vec<(String,)> = select_by_keys!(
        tx,
        (String,),
        ["SELECT class_id FROM class_lock WHERE programme_id = ", programme_id.as_str(), " AND class_id IN "],
        class_ids,
        |class_id| (class_id.as_str()),
        " ORDER BY class_id FOR UPDATE"
    )?;
    Ok(())
}

/// A trainee's stored score.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TraineeRow {
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// `assessment.v1.TraineePoints`; `None` before they are registered.
    pub points: Option<Vec<u8>>,
    /// The explained items ([`crate::domain::stored`]); `None` before they are registered.
    pub items: Option<Vec<u8>>,
    /// Their county at the programme's end.
    #[sqlx(try_from = "MaybeId")]
    pub county_code: Option<RegionCode>,
    /// Their class at the programme's end.
    #[sqlx(try_from = "MaybeId")]
    pub class_id: Option<ClassId>,
    /// Whether they have withdrawn by the programme's end.
    pub withdrawn: bool,
    /// What they add to the counts ([`crate::domain::contribution::Contribution::encode`]).
    pub contribution: Vec<u8>,
    /// The time of their latest fact.
    pub latest_fact_at: Option<Instant>,
}

impl TraineeRow {
    /// Of somebody who has not been scored.
    fn empty(person_id: &PersonId) -> Self {
        Self {
            person_id: person_id.clone(),
            points: None,
            items: None,
            county_code: None,
            class_id: None,
            withdrawn: false,
            contribution: Vec::new(),
            latest_fact_at: None,
        }
    }
}

/// Makes empty rows for those of the trainees who have none, by id ascending.
pub async fn make_trainees(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO trainee_score (programme_id, person_id, county_code, class_id, withdrawn, contribution)",
        person_ids,
        |person_id| (programme_id.as_str(), person_id.as_str(), "", "", false, &b""[..]),
        " ON CONFLICT (programme_id, person_id) DO NOTHING"
    )?;
    Ok(())
}

/// Locks trainees, by id ascending, and gives their stored scores; an empty one for who has none yet.
pub async fn lock_trainees(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<PersonId, TraineeRow>, StoreError> {
    if tx.is_postgres() {
        // A row that is not there can't be locked.
        make_trainees(tx, programme_id, person_ids).await?;
    }
    let mut trainees: BTreeMap<PersonId, TraineeRow> = BTreeMap::new();
    for person_id in person_ids {
        trainees.insert((*person_id).clone(), TraineeRow::empty(person_id));
    }
    let suffix = if tx.is_postgres() { " ORDER BY person_id FOR UPDATE" } else { "" };
    let rows = select_by_keys!(
        tx,
        TraineeRow,
        [
            "SELECT person_id, points, items, county_code, class_id, withdrawn, contribution, latest_fact_at FROM trainee_score \
             WHERE programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str()),
        suffix
    )?;
    trainees.extend(rows.into_iter().map(|row: TraineeRow| (row.person_id.clone(), row)));
    Ok(trainees)
}

/// Writes trainees' scores.
pub async fn save_trainees(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    rows: &[TraineeRow],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO trainee_score (programme_id, person_id, points, items, county_code, class_id, withdrawn, \
         contribution, latest_fact_at)",
        rows,
        |row| (
            programme_id.as_str(),
            row.person_id.as_str(),
            row.points.as_deref(),
            row.items.as_deref(),
            text_of(row.county_code.as_ref()),
            text_of(row.class_id.as_ref()),
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
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Their county at the programme's end.
    #[sqlx(try_from = "MaybeId")]
    pub county_code: Option<RegionCode>,
    /// Their class at the programme's end.
    #[sqlx(try_from = "MaybeId")]
    pub class_id: Option<ClassId>,
    /// The explained items as of then ([`crate::domain::stored`]).
    pub items: Vec<u8>,
    /// Whether they have withdrawn by then.
    pub withdrawn: bool,
    /// The time of their latest fact.
    pub latest_fact_at: Option<Instant>,
}

/// What is kept of a trainee's score, if that is not behind the facts.
pub async fn kept(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Option<KeptRow>, StoreError> {
    fetch_optional!(
        tx,
        KeptRow,
        "SELECT person_id, county_code, class_id, items, withdrawn, latest_fact_at FROM trainee_score s \
         WHERE programme_id = $1 AND person_id = $2 AND items IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM due d WHERE d.programme_id = s.programme_id AND d.kind = 0 AND d.id = s.person_id) \
         AND NOT EXISTS (SELECT 1 FROM rescore r WHERE r.programme_id = s.programme_id)",
        programme_id.as_str(),
        person_id.as_str()
    )
}

/// Whether anything that a trainee's score rests on happened after a time, among facts whose scores are stored.
pub async fn is_anything_after(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    at: Instant,
) -> Result<bool, StoreError> {
    let row: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT programme_id FROM county_score WHERE programme_id = $1 AND latest_fact_at > $2 \
         UNION ALL SELECT programme_id FROM trainee_score WHERE programme_id = $1 AND county_code = '' \
         AND latest_fact_at > $2 LIMIT 1",
        programme_id.as_str(),
        at
    )?;
    Ok(row.is_some())
}

/// Writes what classes answer for about these submissions at the programme's end.
pub async fn save_marking(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    rows: &[Submission],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO submission (programme_id, submission_id, person_id, submitted_at, number, fact_id, \
         owed_class_id, late_class_id)",
        rows,
        |row| (
            programme_id.as_str(),
            row.submission_id.as_str(),
            row.person_id.as_str(),
            row.submitted_at,
            row.number,
            &row.fact_id,
            row.owed_class_id.as_ref().map(ClassId::as_str),
            row.late_class_id.as_ref().map(ClassId::as_str)
        ),
        " ON CONFLICT (programme_id, submission_id) DO UPDATE SET owed_class_id = excluded.owed_class_id, \
         late_class_id = excluded.late_class_id"
    )?;
    Ok(())
}

/// A submission about which a class owes a mark, or is late.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OwedRow {
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Which class owes the mark.
    #[sqlx(try_from = "MaybeId")]
    pub owed_class_id: Option<ClassId>,
    /// In which class it made its week late.
    #[sqlx(try_from = "MaybeId")]
    pub late_class_id: Option<ClassId>,
}

/// What classes owe about submissions of these people, or are late with.
pub async fn owed_about(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<Vec<OwedRow>, StoreError> {
    select_by_keys!(
        tx,
        OwedRow,
        [
            "SELECT person_id, owed_class_id, late_class_id FROM submission \
             WHERE (owed_class_id IS NOT NULL OR late_class_id IS NOT NULL) AND programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )
}

/// Leaves nothing owed about a trainee's submissions.
pub async fn clear_marking(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE submission SET owed_class_id = NULL, late_class_id = NULL WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str()
    )?;
    Ok(())
}

/// A tutor's stored score.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TutorRow {
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Their county.
    #[sqlx(try_from = "MaybeId")]
    pub county_code: Option<RegionCode>,
    /// `assessment.v1.TutorPoints`; `None` before they are registered.
    pub points: Option<Vec<u8>>,
}

/// Locks tutors, by id ascending, and gives their stored scores; who has none yet gets an empty one.
pub async fn lock_tutors(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<PersonId, TutorRow>, StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO tutor_score (programme_id, person_id, county_code)",
        person_ids,
        |person_id| (programme_id.as_str(), person_id.as_str(), ""),
        " ON CONFLICT (programme_id, person_id) DO NOTHING"
    )?;
    let suffix = if tx.is_postgres() { " ORDER BY person_id FOR UPDATE" } else { "" };
    let rows = select_by_keys!(
        tx,
        TutorRow,
        [
            "SELECT person_id, county_code, points FROM tutor_score WHERE programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str()),
        suffix
    )?;
    Ok(rows.into_iter().map(|row| (row.person_id.clone(), row)).collect())
}

/// Writes tutors' scores.
pub async fn save_tutors(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    rows: &[TutorRow],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO tutor_score (programme_id, person_id, county_code, points)",
        rows,
        |row| (
            programme_id.as_str(),
            row.person_id.as_str(),
            text_of(row.county_code.as_ref()),
            row.points.as_deref()
        ),
        " ON CONFLICT (programme_id, person_id) DO UPDATE SET county_code = excluded.county_code, \
         points = excluded.points"
    )?;
    Ok(())
}

/// A county's stored score.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CountyRow {
    /// The county.
    #[sqlx(try_from = "String")]
    pub county_code: RegionCode,
    /// `assessment.v1.CountyPoints`; `None` before it has active trainees.
    pub points: Option<Vec<u8>>,
    /// The latest time of any fact that ever counted in it.
    pub latest_fact_at: Option<Instant>,
}

/// Locks counties, by code ascending, and gives their stored scores; one that has none yet gets an empty one.
pub async fn lock_counties(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_codes: &[RegionCode],
) -> Result<BTreeMap<RegionCode, CountyRow>, StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO county_score (programme_id, county_code)",
        county_codes,
        |county_code| (programme_id.as_str(), county_code.as_str()),
        " ON CONFLICT (programme_id, county_code) DO NOTHING"
    )?;
    let suffix = if tx.is_postgres() { " ORDER BY county_code FOR UPDATE" } else { "" };
    let rows = select_by_keys!(
        tx,
        CountyRow,
        [
            "SELECT county_code, points, latest_fact_at FROM county_score WHERE programme_id = ",
            programme_id.as_str(),
            " AND county_code IN "
        ],
        county_codes,
        |county_code| (county_code.as_str()),
        suffix
    )?;
    Ok(rows.into_iter().map(|row| (row.county_code, row)).collect())
}

/// The stored rows of counties, without a lock.
pub async fn counties(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_codes: &[RegionCode],
) -> Result<Vec<CountyRow>, StoreError> {
    select_by_keys!(
        tx,
        CountyRow,
        [
            "SELECT county_code, points, latest_fact_at FROM county_score WHERE programme_id = ",
            programme_id.as_str(),
            " AND county_code IN "
        ],
        county_codes,
        |county_code| (county_code.as_str())
    )
}

/// Writes counties' scores.
pub async fn save_counties(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    rows: &[CountyRow],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO county_score (programme_id, county_code, points, latest_fact_at)",
        rows,
        |row| (programme_id.as_str(), row.county_code.as_str(), row.points.as_deref(), row.latest_fact_at),
        " ON CONFLICT (programme_id, county_code) DO UPDATE SET points = excluded.points, \
         latest_fact_at = excluded.latest_fact_at"
    )?;
    Ok(())
}
