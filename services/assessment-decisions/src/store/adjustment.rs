//! Adjustments of trainees' items.

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, taught_by};
use shipei_rules::{
    explanation::ItemKey,
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
    vocabulary::AdjustmentKind,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_one, fetch_page,
    list::{Equal, Listed, Unless},
    stands,
};

use crate::domain::Adjustment;

/// Keeps an adjustment and gives it the next number of its trainee.
pub(crate) async fn insert_adjustment(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: Adjustment,
    recorded_at: DateTime<Utc>,
) -> Result<Adjustment, StoreError> {
    let (number,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO adjustment_number (programme_id, person_id, last_number) VALUES ($1, $2, 1) \
         ON CONFLICT (programme_id, person_id) DO UPDATE SET last_number = adjustment_number.last_number + 1 \
         RETURNING last_number",
        programme_id.as_str(),
        new.person_id.as_str()
    )?;
    execute!(
        tx,
        "INSERT INTO adjustment (programme_id, person_id, number, item, points, max_points, kind, reason, decided_at, \
         expires_at, recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        programme_id.as_str(),
        new.person_id.as_str(),
        number,
        new.item.to_string(),
        new.points,
        new.max_points,
        new.kind.as_str(),
        &new.reason,
        new.decided_at,
        new.expires_at,
        recorded_at,
        &new.actor,
        &new.fact_id
    )?;
    Ok(Adjustment { number, ..new })
}

#[derive(sqlx::FromRow)]
struct AdjustmentRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    number: i64,
    item: String,
    points: i64,
    max_points: i64,
    kind: String,
    reason: String,
    decided_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    actor: String,
    fact_id: String,
    stands: bool,
}

impl TryFrom<AdjustmentRow> for Adjustment {
    type Error = StoreError;

    fn try_from(row: AdjustmentRow) -> Result<Adjustment, StoreError> {
        let corrupt = |column| StoreError::corrupt_row("adjustment", column, &row.fact_id);
        Ok(Adjustment {
            item: row.item.parse::<ItemKey>().map_err(|_| corrupt("item"))?,
            kind: AdjustmentKind::parse(&row.kind).ok_or_else(|| corrupt("kind"))?,
            person_id: row.person_id,
            number: row.number,
            points: row.points,
            max_points: row.max_points,
            reason: row.reason,
            decided_at: row.decided_at,
            expires_at: row.expires_at,
            actor: row.actor,
            fact_id: row.fact_id,
            stands: row.stands,
        })
    }
}

/// Which adjustments are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'call> {
    /// Only of this trainee.
    pub(crate) person: Option<&'call PersonId>,
    /// Only of trainees who are there now.
    pub(crate) region: Option<RegionCode>,
    /// Those that were retracted too.
    pub(crate) with_retracted: bool,
    /// When it is asked: the tree of regions is that of then.
    pub(crate) now: DateTime<Utc>,
}

/// Adjustments by trainee and number, each reached by where the trainee stands now; after some.
pub(crate) async fn list_adjustments(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    asked: Asked<'_>,
    (after_person, after_number): (&str, i64),
    limit: i64,
) -> Result<Vec<Listed<Adjustment>>, StoreError> {
    let columns = Columns {
        programme: "a.programme_id",
        region: placed!("county_code", "a.programme_id", "a.person_id", "'9999-12-31T00:00:00+00:00'"),
        class: placed!("class_id", "a.programme_id", "a.person_id", "'9999-12-31T00:00:00+00:00'"),
        person: "a.person_id",
        subject: taught_by!("a.programme_id", "a.person_id"),
        as_of: AsOf::At(asked.now),
    };
    let region = Reach::region(text_of(asked.region.as_ref()));
    let rows = fetch_page!(
        tx,
        AdjustmentRow,
        "adjustment" by ["person_id", "number"],
        [
            concat!(
                "SELECT a.person_id, a.number, a.item, a.points, a.max_points, a.kind, a.reason, a.decided_at, \
                 a.expires_at, a.actor, a.fact_id,",
                stands!("a"),
                "AS stands FROM adjustment a WHERE a.programme_id = "
            ),
            programme_id.as_str(),
            " AND (a.person_id, a.number) > (",
            after_person,
            ", ",
            after_number,
            ")",
            Equal("a.person_id", text_of(asked.person)),
            "",
            Unless(asked.with_retracted, stands!("a")),
            "",
            region.over(columns),
            "",
            reach.over(columns),
            " ORDER BY a.person_id, a.number LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.and_then(Adjustment::try_from)).collect())
}
