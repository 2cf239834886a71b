//! Activities, who attended them, and the scores of those who did.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_mirror::placed;
use shipei_rules::{
    ids::{ActivityId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, bulk_insert, execute, fetch_list, fetch_one, fetch_optional, list::Equal, select_by_keys,
};

use super::{Recorded, stage_of};
use crate::domain::{Activity, Attendance, ScoreChange};

/// What an attendance (`a`) belongs to: the county of its activity, and the trainee's class at its time.
const OF_ATTENDANCE: Columns = Columns {
    programme: "a.programme_id",
    region: "(SELECT o.county_code FROM activity o WHERE o.programme_id = a.programme_id \
             AND o.activity_id = a.activity_id)",
    class: placed!("class_id", "a.programme_id", "a.person_id", "a.attended_at"),
    person: "a.person_id",
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
    attended_count: i64,
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
            attended: row.attended_count,
        })
    }
}

/// A SELECT of [`ActivityRow`].
macro_rules! select_activity {
    ($tail:literal) => {
        concat!(
            "SELECT activity_id, county_code, education_stage, theme, counselor_id, held_at, attended_count ",
            "FROM activity ",
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
    let sql = select_activity!("WHERE programme_id = $1 AND activity_id = $2");
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
    let sql = select_activity!("WHERE programme_id = $1 AND activity_id = $2 FOR UPDATE");
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
         attended_count, recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) \
         ON CONFLICT (programme_id, activity_id) DO NOTHING",
        programme_id.as_str(),
        new.activity_id.as_str(),
        new.county_code.as_str(),
        new.stage.as_str(),
        &new.theme,
        new.counselor_id.as_str(),
        new.held_at,
        recorded.at,
        &recorded.actor
    )?;
    Ok(inserted == 1)
}

/// Activities by time after a place (time, id), each reached by where its county lay when it was held; of a county and a
/// stage, where an empty text stands for all.
pub(crate) async fn list_activities(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (county_code, stage): (Option<RegionCode>, &str),
    (after_at, after_id): (DateTime<Utc>, &str),
    limit: i64,
) -> Result<Vec<Activity>, StoreError> {
    let columns = Columns {
        region: "a.county_code",
        person: "a.counselor_id",
        ..Columns::none("a.programme_id", AsOf::Row("a.held_at"))
    };
    let rows = fetch_list!(
        tx,
        ActivityRow,
        [
            "SELECT a.activity_id, a.county_code, a.education_stage, a.theme, a.counselor_id, a.held_at, \
             a.attended_count FROM activity a WHERE a.programme_id = ",
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
            reach.over(columns),
            " ORDER BY a.held_at, a.activity_id LIMIT ",
            limit
        ]
    )?;
    rows.into_iter().map(Activity::try_from).collect()
}

#[derive(sqlx::FromRow)]
struct AttendedRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    attended_at: DateTime<Utc>,
}

/// Those of the people who are recorded at an activity, and since when.
pub(crate) async fn attendances_recorded(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
    person_ids: &[PersonId],
) -> Result<BTreeMap<PersonId, DateTime<Utc>>, StoreError> {
    let rows = select_by_keys!(
        tx,
        AttendedRow,
        [
            "SELECT a.person_id, a.attended_at FROM attendance a WHERE a.programme_id = ",
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
    Ok(rows.into_iter().map(|row| (row.person_id, row.attended_at)).collect())
}

/// Keeps that these people attended, of whom `added` were not recorded before and the others as of later; how many
/// attend now.
pub(crate) async fn keep_attendances(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
    (person_ids, added, at): (&[PersonId], i64, DateTime<Utc>),
    recorded: &Recorded,
) -> Result<i64, StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO attendance (programme_id, activity_id, person_id, attended_at, score_count, recorded_at, actor)",
        person_ids,
        |person_id| (
            programme_id.as_str(),
            activity_id.as_str(),
            person_id.as_str(),
            at,
            0_i64,
            recorded.at,
            recorded.actor.as_str()
        ),
        " ON CONFLICT (programme_id, activity_id, person_id) DO UPDATE SET attended_at = excluded.attended_at"
    )?;
    let (attended,) = fetch_one!(
        tx,
        (i64,),
        "UPDATE activity SET attended_count = attended_count + $3 WHERE programme_id = $1 AND activity_id = $2 \
         RETURNING attended_count",
        programme_id.as_str(),
        activity_id.as_str(),
        added
    )?;
    Ok(attended)
}

#[derive(sqlx::FromRow)]
struct AttendanceRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    attended_at: DateTime<Utc>,
    score: Option<i64>,
    scored_at: Option<DateTime<Utc>>,
    score_count: i64,
}

impl From<AttendanceRow> for Attendance {
    fn from(row: AttendanceRow) -> Attendance {
        Attendance {
            person_id: row.person_id,
            attended_at: row.attended_at,
            score: row.score.zip(row.scored_at),
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
    const ON_SQLITE: &str = "SELECT person_id, attended_at, score, scored_at, score_count FROM attendance \
        WHERE programme_id = $1 AND activity_id = $2 AND person_id = $3";
    const ON_POSTGRES: &str = "SELECT person_id, attended_at, score, scored_at, score_count FROM attendance \
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

/// Keeps a score, and the attendance (already changed by it) as it stands now.
pub(crate) async fn insert_score(
    tx: &mut Tx,
    (programme_id, activity_id): (&ProgrammeId, &ActivityId),
    attendance: &Attendance,
    (change, counselor_id, score, at): (ScoreChange, &PersonId, i64, DateTime<Utc>),
    recorded: &Recorded,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO attendance_score (programme_id, activity_id, person_id, number, score, counselor_id, scored_at, \
         recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        programme_id.as_str(),
        activity_id.as_str(),
        attendance.person_id.as_str(),
        change.number,
        score,
        counselor_id.as_str(),
        at,
        recorded.at,
        &recorded.actor
    )?;
    execute!(
        tx,
        "UPDATE attendance SET score = $4, scored_at = $5, score_count = $6 \
         WHERE programme_id = $1 AND activity_id = $2 AND person_id = $3",
        programme_id.as_str(),
        activity_id.as_str(),
        attendance.person_id.as_str(),
        attendance.score.map(|(score, _)| score),
        attendance.score.map(|(_, scored_at)| scored_at),
        attendance.score_count
    )?;
    Ok(())
}

/// Who attended an activity, by person, after one of them. A trainee at an activity belongs to where it was held and to
/// where they stood themself: an attendance is reached by its person, their class and its activity's county.
pub(crate) async fn list_attendances(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    activity_id: &ActivityId,
    after: &str,
    limit: i64,
) -> Result<Vec<Attendance>, StoreError> {
    let rows = fetch_list!(
        tx,
        AttendanceRow,
        [
            "SELECT a.person_id, a.attended_at, a.score, a.scored_at, a.score_count FROM attendance a \
             WHERE a.programme_id = ",
            programme_id.as_str(),
            " AND a.activity_id = ",
            activity_id.as_str(),
            " AND a.person_id > ",
            after,
            "",
            reach.over(OF_ATTENDANCE),
            " ORDER BY a.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(Attendance::from).collect())
}
