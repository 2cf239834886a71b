//! Extensions: the end of one window moved.

use shipei_rules::{
    ids::{ClassId, ExtensionId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_optional, fetch_page, list::Listed, retraction, sqlx, stands,
};

use super::{Maybe, Stamp};
use crate::domain::Time;

/// An extension. At most one of region, class and person stands; none is the whole programme.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ExtensionRow {
    #[sqlx(try_from = "String")]
    pub(crate) extension_id: ExtensionId,
    pub(crate) window_name: String,
    pub(crate) last_day: String,
    #[sqlx(try_from = "String")]
    pub(crate) region_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    pub(crate) class_id: Maybe<ClassId>,
    #[sqlx(try_from = "String")]
    pub(crate) person_id: Maybe<PersonId>,
    pub(crate) reason: String,
    pub(crate) occurred_at: Time,
    pub(crate) actor: String,
    /// The fact.
    pub(crate) fact_id: String,
}

impl ExtensionRow {
    /// Whether it is the same but for when and by whom it was granted.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let of = |row: &Self| Self {
            occurred_at: Time::default(),
            actor: String::new(),
            fact_id: String::new(),
            ..row.clone()
        };
        of(self) == of(other)
    }
}

/// The extension of an id that stands.
pub(crate) async fn extension(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    extension_id: &ExtensionId,
) -> Result<Option<ExtensionRow>, StoreError> {
    fetch_optional!(
        tx,
        ExtensionRow,
        concat!(
            "SELECT e.extension_id, e.window_name, e.last_day, e.region_code, e.class_id, e.person_id, e.reason, \
             e.occurred_at, e.actor, e.fact_id FROM extension e WHERE e.programme_id = $1 AND e.extension_id = $2 AND",
            stands!("e"),
            "LIMIT 1"
        ),
        programme_id.as_str(),
        extension_id.as_str()
    )
}

/// Holds an id until the transaction ends.
pub(crate) async fn lock_extension(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    extension_id: &ExtensionId,
) -> Result<(), StoreError> {
    retraction::lock(tx, &format!("{programme_id}/extension/{extension_id}")).await
}

/// Adds an extension of an id that is held.
pub(crate) async fn insert_extension(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    row: &ExtensionRow,
    place_code: RegionCode,
    stamp: &Stamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO extension (programme_id, extension_id, window_name, last_day, region_code, class_id, person_id, \
         place_code, reason, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        programme_id.as_str(),
        row.extension_id.as_str(),
        row.window_name.as_str(),
        row.last_day.as_str(),
        row.region_code.as_str(),
        row.class_id.as_str(),
        row.person_id.as_str(),
        place_code.as_str(),
        row.reason.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        row.fact_id.as_str()
    )?;
    Ok(())
}

/// The last day of a window for a region as of an instant, where an extension moved it: the latest of the programme's and of
/// those of the region and what it lies in; `None` without one.
pub(crate) async fn last_day_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    window_name: &str,
    region_code: RegionCode,
    at: Time,
) -> Result<Option<String>, StoreError> {
    let row = fetch_optional!(
        tx,
        (Option<String>,),
        concat!(
            "SELECT MAX(e.last_day) FROM extension e WHERE e.programme_id = $1 AND e.window_name = $2 AND",
            stands!("e"),
            "\
         AND e.class_id = '' AND e.person_id = '' AND (e.region_code = '' OR EXISTS (SELECT 1 FROM region_within w \
          WHERE w.programme_id = e.programme_id AND w.region_code = $3 AND w.within_code = e.region_code \
          AND w.from_at <= $4 AND w.until_at > $4))"
        ),
        programme_id.as_str(),
        window_name,
        region_code.as_str(),
        at
    )?;
    Ok(row.and_then(|(last_day,)| last_day))
}

/// Extensions by id, of those reached now; an absent region is any.
pub(crate) async fn extensions(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    region_code: Option<RegionCode>,
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<ExtensionRow>>, StoreError> {
    let columns = Columns {
        programme: "e.programme_id",
        region: "e.place_code",
        class: "e.class_id",
        person: "e.person_id",
        subject: "",
        as_of: AsOf::At(now),
    };
    let asked = Reach::region(text_of(region_code.as_ref()));
    fetch_page!(
        tx,
        ExtensionRow,
        "extension" by ["extension_id"],
        [
            concat!(
                "SELECT e.extension_id, e.window_name, e.last_day, e.region_code, e.class_id, e.person_id, e.reason, \
                 e.occurred_at, e.actor, e.fact_id FROM extension e WHERE",
                stands!("e"),
                "AND e.programme_id = "
            ),
            programme_id.as_str(),
            " AND e.extension_id > ",
            after,
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY e.extension_id LIMIT ",
            limit
        ]
    )
}
