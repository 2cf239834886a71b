//! Bulletins.

use chrono::{DateTime, Utc};
use shipei_rules::ids::{ClassId, PersonId, ProgrammeId, text_of};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, execute, fetch_list, list::Equal};

use super::Recorded;
use crate::domain::Bulletin;

#[derive(sqlx::FromRow)]
struct BulletinRow {
    #[sqlx(try_from = "String")]
    class_id: ClassId,
    number: i64,
    #[sqlx(try_from = "String")]
    tutor_id: PersonId,
    title: String,
    text: String,
    published_at: DateTime<Utc>,
}

impl From<BulletinRow> for Bulletin {
    fn from(row: BulletinRow) -> Bulletin {
        Bulletin {
            class_id: row.class_id,
            number: row.number,
            tutor_id: row.tutor_id,
            title: row.title,
            text: row.text,
            published_at: row.published_at,
        }
    }
}

/// Keeps a new bulletin; false when its number is taken.
pub(crate) async fn insert_bulletin(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: &Bulletin,
    recorded: &Recorded,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO bulletin (programme_id, class_id, number, tutor_id, title, text, published_at, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (programme_id, class_id, number) DO NOTHING",
        programme_id.as_str(),
        new.class_id.as_str(),
        new.number,
        new.tutor_id.as_str(),
        &new.title,
        &new.text,
        new.published_at,
        recorded.at,
        &recorded.actor
    )?;
    Ok(inserted == 1)
}

/// Bulletins by class and number, each reached by its class and where that lay when it was published; of a class or (empty) of
/// all, after one of them.
pub(crate) async fn list_bulletins(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    class_id: Option<&ClassId>,
    (after_class, after_number): (&str, i64),
    limit: i64,
) -> Result<Vec<Bulletin>, StoreError> {
    let columns = Columns {
        programme: "b.programme_id",
        region: region_of_class!("b"),
        class: "b.class_id",
        person: "b.tutor_id",
        as_of: AsOf::Row("b.published_at"),
    };
    let rows = fetch_list!(
        tx,
        BulletinRow,
        [
            "SELECT b.class_id, b.number, b.tutor_id, b.title, b.text, b.published_at FROM bulletin b \
             WHERE b.programme_id = ",
            programme_id.as_str(),
            " AND (b.class_id, b.number) > (",
            after_class,
            ", ",
            after_number,
            ")",
            Equal("b.class_id", text_of(class_id)),
            "",
            reach.over(columns),
            " ORDER BY b.class_id, b.number LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(Bulletin::from).collect())
}
