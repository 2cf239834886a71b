//! Look-ups of classes: who was their tutor when, and in which region they lay.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_rules::{
    history::History,
    ids::{ClassId, PersonId, ProgrammeId},
    places::PlaceKind,
    region::RegionCode,
};
use shipei_service_kit::Result;
use shipei_store::{StoreError, Tx, fetch_all, learned_stands, select_by_keys, succession};

use crate::successors;

/// The most classes that one tutor can have.
pub const CLASSES_OF_TUTOR_MAX: i64 = 1_000;

/// A class and its tutors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its id.
    pub class_id: ClassId,
    /// The region that it was created in (a city or a county).
    pub region_code: RegionCode,
    /// The region that it belonged to and when: that one, or what it was merged into.
    pub regions: History<RegionCode>,
    /// Who was its tutor when; `None` for nobody, and when it is no more.
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
    /// Whether any place of the programme was merged or closed.
    has_ended: bool,
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
            "SELECT class_id, region_code, tutor_id, EXISTS (SELECT 1 FROM place_successor g \
             WHERE g.programme_id = mirror_class.programme_id) AS has_ended FROM mirror_class WHERE programme_id = ",
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
    let mut codes: BTreeSet<&str> = BTreeSet::new();
    for row in rows.iter().filter(|row| row.has_ended) {
        codes.extend([row.class_id.as_str(), row.region_code.as_str()]);
    }
    let successors = successors::of_codes(tx, programme_id, &codes).await?;
    let mut classes = Vec::with_capacity(rows.len());
    for ClassRow { class_id, region_code, tutor_id, .. } in rows {
        let first = tutor_of("mirror_class", &class_id, &tutor_id)?;
        let mut changes = of_class.remove(&class_id).unwrap_or_default();
        // Nobody is the tutor of what is no more, whatever is said of later.
        if let Some(ended_at) = successors.ended_at(PlaceKind::Class, class_id.as_str()) {
            changes.retain(|(changed_at, _)| *changed_at < ended_at);
            changes.push((ended_at, None));
        }
        let regions = successors::regions(&successors, region_code)?;
        classes.push(Class { class_id, region_code, regions, tutors: History::new(first, changes) });
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

#[derive(sqlx::FromRow)]
struct PersonRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// Every trainee whom registration or a transfer ever put into a region, a school or a class, or into one that was merged into it, by id.
/// Of schools there is no index: they are merged once in a while.
pub async fn people_ever_in(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: PlaceKind,
    code: &str,
) -> Result<Vec<PersonId>> {
    let codes = [code].into();
    let codes = succession::sources(tx, programme_id.as_str(), kind.as_str(), &codes).await?;
    let codes: Vec<String> = codes.into_iter().collect();
    let statements = match kind {
        PlaceKind::Region => [
            "SELECT person_id FROM mirror_member WHERE as_role = 'trainee' AND (programme_id, county_code) IN ",
            "SELECT person_id FROM mirror_transfer WHERE (programme_id, county_code) IN ",
        ],
        PlaceKind::School => [
            "SELECT person_id FROM mirror_member WHERE as_role = 'trainee' AND (programme_id, school_code) IN ",
            "SELECT person_id FROM mirror_transfer WHERE (programme_id, school_code) IN ",
        ],
        PlaceKind::Class => [
            "SELECT person_id FROM mirror_member WHERE as_role = 'trainee' AND (programme_id, class_id) IN ",
            "SELECT person_id FROM mirror_transfer WHERE (programme_id, class_id) IN ",
        ],
    };
    let mut people: BTreeSet<PersonId> = BTreeSet::new();
    for statement in statements {
        let rows: Vec<PersonRow> = select_by_keys!(tx, PersonRow, [statement], codes, |code| (
            programme_id.as_str(),
            code.as_str()
        ))?;
        people.extend(rows.into_iter().map(|row| row.person_id));
    }
    Ok(people.into_iter().collect())
}
