//! Bulletins.

use chrono::{DateTime, Utc};
use shipei_rules::ids::{ClassId, PersonId, ProgrammeId, text_of};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_optional, fetch_page,
    list::{Equal, Listed, Unless},
    retraction, stands,
};

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
    fact_id: String,
    stands: bool,
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
            fact_id: row.fact_id,
            stands: row.stands,
        }
    }
}

/// Keeps a new bulletin; false when its number is taken by one that stands.
pub(crate) async fn insert_bulletin(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: &Bulletin,
    recorded: &Recorded,
) -> Result<bool, StoreError> {
    // Two of one number wait for each other here.
    retraction::lock(tx, &format!("{programme_id}/{}/{}", new.class_id, new.number)).await?;
    let taken = fetch_optional!(
        tx,
        (i32,),
        concat!(
            "SELECT 1 FROM bulletin b WHERE b.programme_id = $1 AND b.class_id = $2 AND b.number = $3 AND ",
            stands!("b"),
            " LIMIT 1"
        ),
        programme_id.as_str(),
        new.class_id.as_str(),
        new.number
    )?;
    if taken.is_some() {
        return Ok(false);
    }
    execute!(
        tx,
        "INSERT INTO bulletin (programme_id, class_id, number, tutor_id, title, text, published_at, recorded_at, actor, \
         fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        programme_id.as_str(),
        new.class_id.as_str(),
        new.number,
        new.tutor_id.as_str(),
        &new.title,
        &new.text,
        new.published_at,
        recorded.at,
        &recorded.actor,
        &new.fact_id
    )?;
    Ok(true)
}

/// Bulletins by class and number, each reached by its class and where that lay when it was published; of a class or (empty) of
/// all, after one of them.
pub(crate) async fn list_bulletins(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (class_id, with_retracted): (Option<&ClassId>, bool),
    (after_class, after_number, after_fact): (&str, i64, &str),
    limit: i64,
) -> Result<Vec<Listed<Bulletin>>, StoreError> {
    let columns = Columns {
        programme: "b.programme_id",
        region: region_of_class!("b"),
        class: "b.class_id",
        person: "b.tutor_id",
        subject: "",
        as_of: AsOf::Row("b.published_at"),
    };
    let rows = fetch_page!(
        tx,
        BulletinRow,
        "bulletin" by ["class_id", "number", "fact_id"],
        [
            concat!(
                "SELECT b.class_id, b.number, b.tutor_id, b.title, b.text, b.published_at, b.fact_id,",
                stands!("b"),
                "AS stands FROM bulletin b WHERE b.programme_id = "
            ),
            programme_id.as_str(),
            " AND (b.class_id, b.number, b.fact_id) > (",
            after_class,
            ", ",
            after_number,
            ", ",
            after_fact,
            ")",
            Unless(with_retracted, stands!("b")),
            "",
            Equal("b.class_id", text_of(class_id)),
            "",
            reach.over(columns),
            " ORDER BY b.class_id, b.number, b.fact_id LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.map(Bulletin::from)).collect())
}
