//! Which counties a list is about, and who carries their scores, narrowed in SQL as in [`super::lists`].

use shipei_mirror::counts_for_itself;
use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_list, list::Equal};

use crate::{
    facts::Instant,
    store::lists::{CountyRow, PersonRow, people_of},
};

/// Every county that enrollment named or that anything happened in, after a code, by code: one county, or those of a
/// region as of a time, or any.
pub async fn counties(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (county_code, region_code, as_of): (Option<RegionCode>, Option<RegionCode>, Instant),
    after: &str,
    limit: i64,
) -> Result<Vec<RegionCode>, StoreError> {
    let columns = Columns { region: "c.code", ..Columns::none("c.programme_id", AsOf::At(as_of)) };
    let asked = Reach::region(text_of(region_code.as_ref()));
    let rows = fetch_list!(
        tx,
        CountyRow,
        [
            "SELECT c.code AS county_code FROM (SELECT programme_id, region_code AS code FROM mirror_region WHERE level = 'county' \
             UNION SELECT programme_id, county_code AS code FROM county_score) AS c WHERE c.programme_id = ",
            programme_id.as_str(),
            " AND c.code > ",
            after,
            "",
            Equal("c.code", text_of(county_code.as_ref())),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY c.code LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.county_code).collect())
}

/// The counselors of a county as of a time, by id, also of those that were merged into it by then.
pub async fn counselors_of(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (county_code, as_of): (RegionCode, Instant),
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let columns = Columns {
        region: "m.county_code",
        person: "m.person_id",
        ..Columns::none("m.programme_id", AsOf::At(as_of))
    };
    let rows = fetch_list!(
        tx,
        PersonRow,
        [
            concat!(
                "SELECT m.person_id FROM mirror_member m WHERE m.role = 'county_counselor' AND",
                counts_for_itself!("m.programme_id", "m.person_id", "'county_counselor'"),
                "AND m.programme_id = "
            ),
            programme_id.as_str(),
            " AND m.county_code IN (SELECT ",
            county_code.as_str(),
            " UNION ALL SELECT g.code FROM place_successor g WHERE g.kind = 'region' AND g.programme_id = ",
            programme_id.as_str(),
            " AND g.successor = ",
            county_code.as_str(),
            ") AND COALESCE((SELECT g.successor FROM place_successor g WHERE g.programme_id = m.programme_id \
             AND g.kind = 'region' AND g.code = m.county_code AND g.from_at <= ",
            as_of,
            " AND (g.until_at IS NULL OR g.until_at > ",
            as_of,
            ")), m.county_code) = ",
            county_code.as_str(),
            "",
            reach.over(columns),
            " ORDER BY m.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(people_of(rows))
}
