//! Classes, and who was their tutor when.

use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_all, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed},
    stands,
};

use super::{Life, Maybe, Stamp, region};
use crate::domain::Time;

/// The most changes of a class's tutor.
pub(crate) const TUTOR_CHANGES_MAX: i64 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ClassRow {
    #[sqlx(try_from = "String")]
    pub(crate) class_id: ClassId,
    pub(crate) name: String,
    /// Now.
    #[sqlx(try_from = "String")]
    pub(crate) region_code: RegionCode,
    /// When it was created.
    #[sqlx(try_from = "String")]
    pub(crate) created_region_code: RegionCode,
    /// Now.
    #[sqlx(try_from = "String")]
    pub(crate) tutor_id: Maybe<PersonId>,
    /// When it was created.
    #[sqlx(try_from = "String")]
    pub(crate) created_tutor_id: Maybe<PersonId>,
    /// Since when it is what it is.
    #[sqlx(flatten)]
    pub(crate) life: Life,
}

pub(crate) async fn class(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_id: &ClassId,
) -> Result<Option<ClassRow>, StoreError> {
    fetch_optional!(
        tx,
        ClassRow,
        "SELECT class_id, name, region_code, created_region_code, tutor_id, created_tutor_id, created_name, named_at, \
         closed_at, merged_into FROM class WHERE programme_id = $1 AND class_id = $2",
        programme_id.as_str(),
        class_id.as_str()
    )
}

/// Adds a class; false when there is one of this id.
pub(crate) async fn insert_class(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    row: &ClassRow,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO class (programme_id, class_id, name, region_code, created_region_code, tutor_id, created_tutor_id, \
         created_name, merged_into, occurred_at, recorded_at, actor) VALUES ($1, $2, $3, $4, $4, $5, $5, $3, '', $6, $7, $8) \
         ON CONFLICT (programme_id, class_id) DO NOTHING",
        programme_id.as_str(),
        row.class_id.as_str(),
        row.name.as_str(),
        row.region_code.as_str(),
        row.tutor_id.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    if inserted == 1 {
        region::put_schools_and_classes(tx, programme_id, row.region_code.as_str()).await?;
    }
    Ok(inserted == 1)
}

/// One change of a class's tutor.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct TutorChange {
    /// Since when.
    pub(crate) occurred_at: Time,
    /// The tutor from then on; none for nobody.
    #[sqlx(try_from = "String")]
    pub(crate) new_tutor_id: Maybe<PersonId>,
}

/// The changes of a class's tutor that stand, in the order of their times.
pub(crate) async fn tutor_changes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_id: &ClassId,
) -> Result<Vec<TutorChange>, StoreError> {
    fetch_all!(
        tx,
        TutorChange,
        concat!(
            "SELECT t.occurred_at, t.new_tutor_id FROM class_tutor t WHERE t.programme_id = $1 AND t.class_id = $2 AND",
            stands!("t"),
            "ORDER BY t.occurred_at, t.number LIMIT $3"
        ),
        programme_id.as_str(),
        class_id.as_str(),
        TUTOR_CHANGES_MAX
    )
}

/// How many changes of a class's tutor were recorded, whether they stand or not.
pub(crate) async fn tutor_changes_count(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_id: &ClassId,
) -> Result<i64, StoreError> {
    let (count,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM class_tutor WHERE programme_id = $1 AND class_id = $2",
        programme_id.as_str(),
        class_id.as_str()
    )?;
    Ok(count)
}

/// Keeps a change, the `number`th that was recorded of this class, and who is its tutor now.
pub(crate) async fn insert_tutor_change(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_id: &ClassId,
    (number, old_tutor_id, new_tutor_id): (i64, Option<&PersonId>, Option<&PersonId>),
    reason: &str,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO class_tutor (programme_id, class_id, number, old_tutor_id, new_tutor_id, reason, occurred_at, \
         recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        programme_id.as_str(),
        class_id.as_str(),
        number,
        text_of(old_tutor_id),
        text_of(new_tutor_id),
        reason,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    put_tutor(tx, programme_id, class_id).await
}

/// Why a class's tutor was replaced; empty when that was emptied.
pub(crate) async fn why_replaced(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_id: &ClassId,
    fact_id: &str,
) -> Result<String, StoreError> {
    let row = fetch_optional!(
        tx,
        (String,),
        "SELECT reason FROM class_tutor WHERE programme_id = $1 AND class_id = $2 AND fact_id = $3",
        programme_id.as_str(),
        class_id.as_str(),
        fact_id
    )?;
    Ok(row.map(|(reason,)| reason).unwrap_or_default())
}

/// Puts into a class's row who is its tutor by the changes that stand: nobody when it is no more.
pub(crate) async fn put_tutor(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_id: &ClassId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        concat!(
            "UPDATE class SET tutor_id = CASE WHEN closed_at IS NOT NULL THEN '' ELSE COALESCE((SELECT t.new_tutor_id FROM class_tutor t \
             WHERE t.programme_id = class.programme_id AND t.class_id = class.class_id AND",
            stands!("t"),
            "ORDER BY t.occurred_at DESC, t.number DESC LIMIT 1), created_tutor_id) END \
             WHERE programme_id = $1 AND class_id = $2"
        ),
        programme_id.as_str(),
        class_id.as_str()
    )?;
    Ok(())
}

/// Classes by id, of those reached now; an absent tutor or region is any. A region holds what lies in it.
pub(crate) async fn classes(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (tutor_id, region_code): (Option<&PersonId>, Option<RegionCode>),
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<ClassRow>>, StoreError> {
    let columns = Columns {
        programme: "c.programme_id",
        region: "c.region_code",
        class: "c.class_id",
        person: "c.tutor_id",
        subject: "",
        as_of: AsOf::At(now),
    };
    let asked = Reach::region(text_of(region_code.as_ref()));
    fetch_page!(
        tx,
        ClassRow,
        "class" by ["class_id"],
        [
            "SELECT c.class_id, c.name, c.region_code, c.created_region_code, c.tutor_id, c.created_tutor_id, \
             c.created_name, c.named_at, c.closed_at, c.merged_into FROM class c WHERE c.programme_id = ",
            programme_id.as_str(),
            " AND c.class_id > ",
            after,
            "",
            Equal("c.tutor_id", text_of(tutor_id)),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY c.class_id LIMIT ",
            limit
        ]
    )
}
