//! What two final versions have not in common. The hash of a class says whether anything of it changed, so the scores of all others
//! are never read.

use shipei_rules::{
    ids::{ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_all, fetch_list};

use chrono::{DateTime, Utc};

/// A class as one of two versions has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ClassKey {
    pub(crate) city_code: String,
    pub(crate) county_code: String,
    pub(crate) class_id: String,
}

/// Classes from one on, that one included, whose hashes differ between two versions, in the order of the tree.
pub(crate) async fn changed_classes(
    tx: &mut Tx,
    reach: &Reach,
    programme: &ProgrammeId,
    ((from, to), region, now): ((i64, i64), Option<RegionCode>, DateTime<Utc>),
    first: &ClassKey,
    limit: i64,
) -> Result<Vec<ClassKey>, StoreError> {
    let columns = Columns {
        region: "c.county_code",
        class: "c.class_id",
        ..Columns::none("c.programme_id", AsOf::At(now))
    };
    let region = Reach::region(text_of(region.as_ref()));
    fetch_list!(
        tx,
        ClassKey,
        [
            "SELECT DISTINCT c.city_code, c.county_code, c.class_id FROM final_class c WHERE c.programme_id = ",
            programme.as_str(),
            " AND c.version IN (",
            from,
            ", ",
            to,
            ") AND (c.city_code, c.county_code, c.class_id) >= (",
            first.city_code,
            ", ",
            first.county_code,
            ", ",
            first.class_id,
            ") AND NOT EXISTS (SELECT 1 FROM final_class o WHERE o.programme_id = c.programme_id \
             AND o.city_code = c.city_code AND o.county_code = c.county_code AND o.class_id = c.class_id \
             AND o.version <> c.version AND o.hash = c.hash AND o.version IN (",
            from,
            ", ",
            to,
            "))",
            region.over(columns),
            "",
            reach.over(columns),
            " ORDER BY c.city_code, c.county_code, c.class_id LIMIT ",
            limit
        ]
    )
}

/// A score in two versions: its bytes.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ChangedRow {
    pub(crate) person_id: String,
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) new: Option<Vec<u8>>,
}

/// Those of a class whose scores differ, by id behind one: of the class that they are in in the later version, or, of who is not in
/// it, that they were in.
pub(crate) async fn changes_of_class(
    tx: &mut Tx,
    programme: &ProgrammeId,
    (from, to): (i64, i64),
    class: &ClassKey,
    after: &str,
    limit: i64,
) -> Result<Vec<ChangedRow>, StoreError> {
    fetch_all!(
        tx,
        ChangedRow,
        "SELECT n.person_id AS person_id, o.score AS old, n.score AS new FROM final_score n \
         LEFT JOIN final_score o ON o.programme_id = n.programme_id AND o.version = $2 AND o.person_id = n.person_id \
         WHERE n.programme_id = $1 AND n.version = $3 AND n.city_code = $4 AND n.county_code = $5 AND n.class_id = $6 \
         AND n.person_id > $7 AND (o.leaf IS NULL OR o.leaf <> n.leaf) \
         UNION ALL \
         SELECT o.person_id AS person_id, o.score AS old, NULL AS new FROM final_score o \
         WHERE o.programme_id = $1 AND o.version = $2 AND o.city_code = $4 AND o.county_code = $5 AND o.class_id = $6 \
         AND o.person_id > $7 AND NOT EXISTS (SELECT 1 FROM final_score n WHERE n.programme_id = $1 AND n.version = $3 \
         AND n.person_id = o.person_id) ORDER BY person_id LIMIT $8",
        programme.as_str(),
        from,
        to,
        &class.city_code,
        &class.county_code,
        &class.class_id,
        after,
        limit
    )
}
