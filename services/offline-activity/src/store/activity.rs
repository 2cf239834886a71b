//! Activities, who attended them, and the scores of those who did.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, taught_by};
use shipei_rules::{
    ids::{ActivityId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, bulk_insert, execute, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed, Unless},
    select_by_keys, stands,
};

use super::{Recorded, stage_of, things::OF_ACTIVITY};
use crate::domain::{Activity, Attendance};

/// What an attendance (`a`) belongs to: the county of its activity, and the trainee's class at its time.
const OF_ATTENDANCE: Columns = Columns {
    programme: "a.programme_id",
    region: "(SELECT o.county_code FROM activity o WHERE o.programme_id = a.programme_id \
             AND o.activity_id = a.activity_id)",
    class: placed!("class_id", "a.programme_id", "a.person_id", "a.attended_at"),
    person: "a.person_id",
    subject: taught_by!("a.programme_id", "a.person_id"),
    as_of: AsOf::Row("a.attended_at"),
};

#[derive(sqlx::FromRow)]
struct ActivityRow {
    #[sqlx(try_from = "String")]
    activity_id: ActivityId,
    #[sqlx(try_from = "String")]
    county_code: RegionCode,
    education_stage: String,
    theme: String,
    #[sqlx(try_from = "String")]
    counselor_id: PersonId,
    held_at: DateTime<Utc>,
    fact_id: String,
    stands: bool,
}

impl TryFrom<ActivityRow> for Activity {
    type Error = StoreError;

    fn try_from(row: ActivityRow) -> Result<Activity, StoreError> {
        Ok(Activity {
            stage: stage_of(&row.education_stage, "activity", &row.activity_id)?,
            activity_id: row.activity_id,
            county_code: row.county_code,
            theme: row.theme,
            counselor_id: row.counselor_id,
            held_at: row.held_at,
            fact_id: row.fact_id,
            stands: row.stands,
        })
    }
}

/// A SELECT of [`ActivityRow`].
macro_rules! select_activity {
    ($tail:literal) => {
        concat!(
            "SELECT a.activity_id, a.county_code, a.education_stage, a.theme, a.counselor_id, a.held_at, a.fact_id,",
            stands!("a"),
            "AS stands FROM activity a WHERE ",
            $tail
        )
    };
}

/// One activity.
pub(crate) async fn activity(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
) -> Result<Option<Activity>, StoreError> {
    let sql = select_activity!("a.programme_id = $1 AND a.activity_id = $2");
    fetch_optional!(tx, ActivityRow, sql, programme_id.as_str(), activity_id.as_str())?
        .map(Activity::try_from)
        .transpose()
}

/// One activity, locked until the transaction ends.
pub(crate) async fn lock_activity(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
) -> Result<Option<Activity>, StoreError> {
    if !tx.is_postgres() {
        return activity(tx, programme_id, activity_id).await;
    }
    let sql = select_activity!("a.programme_id = $1 AND a.activity_id = $2 FOR UPDATE");
    fetch_optional!(tx, ActivityRow, sql, programme_id.as_str(), activity_id.as_str())?
        .map(Activity::try_from)
        .transpose()
}

/// Keeps a new activity; false when its id is taken.
pub(crate) async fn insert_activity(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: &Activity,
    recorded: &Recorded,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO activity (programme_id, activity_id, county_code, education_stage, theme, counselor_id, held_at, \
         attended_count, recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10) \
         ON CONFLICT (programme_id, activity_id) DO NOTHING",
        programme_id.as_str(),
        new.activity_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str(),
        &new.theme,
        new.counselor_id.as_str(),
        new.held_at,
        recorded.at,
        &recorded.actor,
        &new.fact_id
    )?;
    Ok(inserted == 1)
}

/// Activities by time after a place (time, id), each reached by where its county lay when it was held; of a county and a
/// stage, where an empty text stands for all.
pub(crate) async fn list_activities(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (county_code, stage, with_retracted): (Option<RegionCode>, &str, bool),
    (after_at, after_id): (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Listed<Activity>>, StoreError> {
    let rows = fetch_page!(
        tx,
        ActivityRow,
        "activity" by ["held_at", "activity_id"],
        [
            select_activity!("a.programme_id = "),
            programme_id.as_str(),
            " AND (a.held_at, a.activity_id) > (",
            after_at,
            ", ",
            after_id,
            ")",
            Equal("a.county_code", text_of(county_code.as_ref())),
            "",
            Equal("a.education_stage", stage),
            "",
            Unless(with_retracted, stands!("a")),
            "",
            reach.over(OF_ACTIVITY),
            " ORDER BY a.held_at, a.activity_id LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.and_then(Activity::try_from)).collect())
}

#[derive(sqlx::FromRow)]
struct AttendedRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// Those of the people who are recorded at an activity.
pub(crate) async fn attendances_recorded(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
    person_ids: &[PersonId],
) -> Result<BTreeSet<PersonId>, StoreError> {
    let rows = select_by_keys!(
        tx,
        AttendedRow,
        [
            "SELECT a.person_id FROM attendance a WHERE a.attended_at IS NOT NULL AND a.programme_id = ",
            programme_id.as_str(),
            " AND a.activity_id = ",
            activity_id.as_str(),
            "",
            reach.over(OF_ATTENDANCE),
            " AND a.person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    Ok(rows.into_iter().map(|row| row.person_id).collect())
}

/// That somebody attended, as it was recorded.
#[derive(Debug, Clone)]
pub(crate) struct AttendanceFact {
    pub(crate) person_id: PersonId,
    pub(crate) fact_id: String,
    /// Whether it was not retracted before it came.
    pub(crate) stands: bool,
}

/// Keeps that these people attended an activity that is locked; how many attend now.
pub(crate) async fn keep_attendances(
    tx: &mut Tx,
    (programme_id, activity_id): (&ProgrammeId, &ActivityId),
    facts: &[AttendanceFact],
    (counselor_id, at): (&PersonId, DateTime<Utc>),
    recorded: &Recorded,
) -> Result<i64, StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO attendance_record (programme_id, activity_id, person_id, fact_id, counselor_id, attended_at, \
         recorded_at, actor)",
        facts,
        |fact| (
            programme_id.as_str(),
            activity_id.as_str(),
            fact.person_id.as_str(),
            fact.fact_id.as_str(),
            counselor_id.as_str(),
            at,
            recorded.at,
            recorded.actor.as_str()
        )
    )?;
    // Who was recorded as of later was there earlier: a score between the two is of somebody who attended.
    bulk_insert!(
        tx,
        "INSERT INTO attendance (programme_id, activity_id, person_id, attended_at, fact_id, score_fact_id, score_count)",
        facts,
        |fact| (
            programme_id.as_str(),
            activity_id.as_str(),
            fact.person_id.as_str(),
            fact.stands.then_some(at),
            if fact.stands { fact.fact_id.as_str() } else { "" },
            "",
            0_i64
        ),
        " ON CONFLICT (programme_id, activity_id, person_id) DO UPDATE SET attended_at = excluded.attended_at, \
         fact_id = excluded.fact_id WHERE excluded.attended_at IS NOT NULL \
         AND (attendance.attended_at IS NULL OR excluded.attended_at < attendance.attended_at)"
    )?;
    // Scores that had fallen with an earlier record may rest on this one.
    let scored = select_by_keys!(
        tx,
        AttendedRow,
        [
            "SELECT a.person_id FROM attendance a WHERE a.score_count > 0 AND a.programme_id = ",
            programme_id.as_str(),
            " AND a.activity_id = ",
            activity_id.as_str(),
            " AND a.person_id IN "
        ],
        facts,
        |fact| (fact.person_id.as_str())
    )?;
    for AttendedRow { person_id } in scored {
        fold_scores(tx, programme_id, activity_id, &person_id).await?;
    }
    count_attended(tx, programme_id, activity_id).await
}

async fn count_attended(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
) -> Result<i64, StoreError> {
    let (attended,) = fetch_one!(
        tx,
        (i64,),
        "UPDATE activity SET attended_count = (SELECT COUNT(*) FROM attendance a WHERE a.programme_id = $1 \
         AND a.activity_id = $2 AND a.attended_at IS NOT NULL) WHERE programme_id = $1 AND activity_id = $2 \
         RETURNING attended_count",
        programme_id.as_str(),
        activity_id.as_str()
    )?;
    Ok(attended)
}

/// The earliest record of somebody's attendance that stands.
const FIRST_RECORD: &str = concat!(
    "SELECT x.attended_at, x.fact_id FROM attendance_record x \
     WHERE x.programme_id = $1 AND x.activity_id = $2 AND x.person_id = $3 AND",
    stands!("x"),
    "ORDER BY x.attended_at, x.recorded_at, x.fact_id LIMIT 1"
);

/// Keeps what the records of somebody's attendance that stand come to, and the score that counts.
pub(crate) async fn fold_attendance(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
    person_id: &PersonId,
) -> Result<(), StoreError> {
    lock_activity(tx, programme_id, activity_id).await?;
    let first = fetch_optional!(
        tx,
        (DateTime<Utc>, String),
        FIRST_RECORD,
        programme_id.as_str(),
        activity_id.as_str(),
        person_id.as_str()
    )?;
    let (attended_at, fact_id) = first.unzip();
    execute!(
        tx,
        "UPDATE attendance SET attended_at = $4, fact_id = $5 \
         WHERE programme_id = $1 AND activity_id = $2 AND person_id = $3",
        programme_id.as_str(),
        activity_id.as_str(),
        person_id.as_str(),
        attended_at,
        fact_id.unwrap_or_default()
    )?;
    count_attended(tx, programme_id, activity_id).await?;
    fold_scores(tx, programme_id, activity_id, person_id).await
}

/// The latest score that stands and was given to who attended.
const LAST_SCORE: &str = concat!(
    "SELECT x.score, x.scored_at, x.fact_id FROM attendance_score x JOIN attendance a ON a.programme_id = x.programme_id \
     AND a.activity_id = x.activity_id AND a.person_id = x.person_id AND a.attended_at <= x.scored_at \
     WHERE x.programme_id = $1 AND x.activity_id = $2 AND x.person_id = $3 AND",
    stands!("x"),
    "ORDER BY x.scored_at DESC, x.number DESC LIMIT 1"
);

/// Keeps the score that counts, of those that stand.
pub(crate) async fn fold_scores(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
    person_id: &PersonId,
) -> Result<(), StoreError> {
    let last = fetch_optional!(
        tx,
        (i64, DateTime<Utc>, String),
        LAST_SCORE,
        programme_id.as_str(),
        activity_id.as_str(),
        person_id.as_str()
    )?;
    let (score, scored_at, fact_id) = match last {
        Some((score, scored_at, fact_id)) => (Some(score), Some(scored_at), fact_id),
        None => (None, None, String::new()),
    };
    execute!(
        tx,
        "UPDATE attendance SET score = $4, scored_at = $5, score_fact_id = $6 \
         WHERE programme_id = $1 AND activity_id = $2 AND person_id = $3",
        programme_id.as_str(),
        activity_id.as_str(),
        person_id.as_str(),
        score,
        scored_at,
        fact_id
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AttendanceRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    attended_at: Option<DateTime<Utc>>,
    fact_id: String,
    score: Option<i64>,
    scored_at: Option<DateTime<Utc>>,
    score_fact_id: String,
    score_count: i64,
}

impl From<AttendanceRow> for Attendance {
    fn from(row: AttendanceRow) -> Attendance {
        Attendance {
            person_id: row.person_id,
            attended_at: row.attended_at,
            fact_id: row.fact_id,
            score: row.score.zip(row.scored_at),
            score_fact_id: row.score_fact_id,
            score_count: row.score_count,
        }
    }
}

/// Somebody's attendance of an activity, locked until the transaction ends.
pub(crate) async fn lock_attendance(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
    person_id: &PersonId,
) -> Result<Option<Attendance>, StoreError> {
    const ON_SQLITE: &str = "SELECT person_id, attended_at, fact_id, score, scored_at, score_fact_id, score_count FROM attendance \
        WHERE programme_id = $1 AND activity_id = $2 AND person_id = $3";
    const ON_POSTGRES: &str = "SELECT person_id, attended_at, fact_id, score, scored_at, score_fact_id, score_count FROM attendance \
        WHERE programme_id = $1 AND activity_id = $2 AND person_id = $3 FOR UPDATE";
    let sql = if tx.is_postgres() { ON_POSTGRES } else { ON_SQLITE };
    let row = fetch_optional!(
        tx,
        AttendanceRow,
        sql,
        programme_id.as_str(),
        activity_id.as_str(),
        person_id.as_str()
    )?;
    Ok(row.map(Attendance::from))
}

/// A score as it was given.
#[derive(Debug, Clone)]
pub(crate) struct ScoreFact {
    /// Within the attendance, from 1.
    pub(crate) number: i64,
    pub(crate) score: i64,
    pub(crate) counselor_id: PersonId,
    pub(crate) at: DateTime<Utc>,
    pub(crate) fact_id: String,
}

/// Keeps a score of an attendance that is locked.
pub(crate) async fn insert_score(
    tx: &mut Tx,
    (programme_id, activity_id): (&ProgrammeId, &ActivityId),
    person_id: &PersonId,
    new: &ScoreFact,
    recorded: &Recorded,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO attendance_score (programme_id, activity_id, person_id, number, score, counselor_id, scored_at, \
         recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        programme_id.as_str(),
        activity_id.as_str(),
        person_id.as_str(),
        new.number,
        new.score,
        new.counselor_id.as_str(),
        new.at,
        recorded.at,
        &recorded.actor,
        &new.fact_id
    )?;
    execute!(
        tx,
        "UPDATE attendance SET score_count = $4 WHERE programme_id = $1 AND activity_id = $2 AND person_id = $3",
        programme_id.as_str(),
        activity_id.as_str(),
        person_id.as_str(),
        new.number
    )?;
    fold_scores(tx, programme_id, activity_id, person_id).await
}

/// Who attended an activity, by person, after one of them. A trainee at an activity belongs to where it was held and to
/// where they stood themself: an attendance is reached by its person, their class and its activity's county.
pub(crate) async fn list_attendances(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (activity_id, with_retracted): (&ActivityId, bool),
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<Attendance>>, StoreError> {
    let rows = fetch_page!(
        tx,
        AttendanceRow,
        "attendance" by ["person_id"],
        [
            "SELECT a.person_id, a.attended_at, a.fact_id, a.score, a.scored_at, a.score_fact_id, a.score_count \
             FROM attendance a WHERE a.programme_id = ",
            programme_id.as_str(),
            " AND a.activity_id = ",
            activity_id.as_str(),
            " AND a.person_id > ",
            after,
            "",
            Unless(with_retracted, "a.attended_at IS NOT NULL"),
            "",
            reach.over(OF_ATTENDANCE),
            " ORDER BY a.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.map(Attendance::from)).collect())
}
