//! Classes and who was their tutor when.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_rules::{
    history::History,
    ids::{ClassId, PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::Result;
use shipei_store::{StoreError, Tx, fetch_all, learned_stands, select_by_keys};

/// The most classes that one tutor can have.
pub const CLASSES_OF_TUTOR_MAX: i64 = 1_000;

/// A class and its tutors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its id.
    pub class_id: ClassId,
    /// The region that it belongs to (a city or a county).
    pub region_code: RegionCode,
    /// Who was its tutor when; `None` for nobody.
    pub tutors: History<Option<PersonId>>,
}

impl Class {
    /// Whether somebody was its tutor as of an instant.
    pub fn is_led_by(&self, person_id: &PersonId, at: DateTime<Utc>) -> bool {
        self.tutors.at(at).as_ref() == Some(person_id)
    }
}

#[derive(sqlx::FromRow)]
struct ClassRow {
    #[sqlx(try_from = "String")]
    class_id: ClassId,
    #[sqlx(try_from = "String")]
    region_code: RegionCode,
    tutor_id: String,
}

#[derive(sqlx::FromRow)]
struct TutorRow {
    #[sqlx(try_from = "String")]
    class_id: ClassId,
    change_number: i64,
    changed_at: DateTime<Utc>,
    tutor_id: String,
}

fn tutor_of(table: &'static str, class_id: &ClassId, tutor_id: &str) -> Result<Option<PersonId>> {
    let tutor = PersonId::parse_optional(tutor_id);
    Ok(tutor.map_err(|_| StoreError::corrupt_row(table, "tutor_id", class_id))?)
}

/// One class.
pub async fn class(tx: &mut Tx, programme_id: &ProgrammeId, class_id: &ClassId) -> Result<Option<Class>> {
    Ok(classes_of(tx, programme_id, &[class_id]).await?.pop())
}

/// Those of the classes that there are, by id.
pub async fn classes_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<Vec<Class>> {
    let mut rows = select_by_keys!(
        tx,
        ClassRow,
        [
            "SELECT class_id, region_code, tutor_id FROM mirror_class WHERE programme_id = ",
            programme_id.as_str(),
            " AND class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )?;
    rows.sort_by(|left, right| left.class_id.cmp(&right.class_id));
    let mut changes = select_by_keys!(
        tx,
        TutorRow,
        [
            concat!(
                "SELECT t.class_id, t.change_number, t.changed_at, t.tutor_id FROM mirror_class_tutor t WHERE",
                learned_stands!("t", "enrollment"),
                "AND t.programme_id = "
            ),
            programme_id.as_str(),
            " AND t.class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )?;
    changes.sort_by_key(|change| (change.changed_at, change.change_number));
    let mut of_class: BTreeMap<ClassId, Vec<TutorFrom>> = BTreeMap::new();
    for change in changes {
        let tutor = tutor_of("mirror_class_tutor", &change.class_id, &change.tutor_id)?;
        of_class.entry(change.class_id).or_default().push((change.changed_at, tutor));
    }
    let mut classes = Vec::with_capacity(rows.len());
    for ClassRow { class_id, region_code, tutor_id } in rows {
        let first = tutor_of("mirror_class", &class_id, &tutor_id)?;
        let tutors = History::new(first, of_class.remove(&class_id).unwrap_or_default());
        classes.push(Class { class_id, region_code, tutors });
    }
    Ok(classes)
}

/// A class's tutor, if it has one, from a moment on.
type TutorFrom = (DateTime<Utc>, Option<PersonId>);

#[derive(sqlx::FromRow)]
struct ClassIdRow {
    #[sqlx(try_from = "String")]
    class_id: ClassId,
}

/// The classes whose tutor somebody ever was, by id; at most [`CLASSES_OF_TUTOR_MAX`].
pub async fn classes_of_tutor(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_id: &PersonId,
) -> Result<Vec<Class>> {
    let rows = fetch_all!(
        tx,
        ClassIdRow,
        "SELECT class_id FROM mirror_class WHERE programme_id = $1 AND tutor_id = $2 \
         UNION SELECT class_id FROM mirror_class_tutor WHERE programme_id = $1 AND tutor_id = $2 \
         ORDER BY class_id LIMIT $3",
        programme_id.as_str(),
        tutor_id.as_str(),
        CLASSES_OF_TUTOR_MAX
    )?;
    let class_ids: Vec<&ClassId> = rows.iter().map(|row| &row.class_id).collect();
    classes_of(tx, programme_id, &class_ids).await
}
