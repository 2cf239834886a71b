//! Whom a list is about, page by page (keyset), narrowed in SQL: by what the caller asked for, and by how far they may see.
//! A region holds what lies in it by the tree, as of the time of the scores.

use shipei_mirror::{counts_for_itself, taught_by, tutored_by};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, fetch_list, fetch_page, learned_stands,
    list::{Equal, Listed},
};

use crate::{absent::MaybeId, facts::Instant, store::scores::KeptRow};

#[derive(sqlx::FromRow)]
pub(super) struct PersonRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

pub(super) fn people_of(rows: Vec<PersonRow>) -> Vec<PersonId> {
    rows.into_iter().map(|row| row.person_id).collect()
}

#[derive(sqlx::FromRow)]
pub(super) struct CountyRow {
    #[sqlx(try_from = "String")]
    pub(super) county_code: RegionCode,
}

/// Stored points of somebody.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PointsRow {
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// `assessment.v1.TraineePoints` or `TutorPoints`.
    pub points: Vec<u8>,
}

/// Rows that belong to a programme and to nothing in it: whoever reaches less than everything sees none of them.
fn whole_programme(programme: &'static str) -> Columns {
    Columns::none(programme, AsOf::At(Instant::UNIX_EPOCH))
}

/// Which trainees a list asks for; absent parts are any.
#[derive(Debug, Clone, Copy)]
pub struct TraineesAsked<'a> {
    /// With what lies in it as of `as_of`.
    pub region_code: Option<RegionCode>,
    /// Their class as of `as_of`.
    pub class_id: Option<&'a ClassId>,
    /// Where they stand then, and who had not withdrawn by then.
    pub as_of: Instant,
}

/// A trainee, and where they stand as of the time of the list.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TraineeThere {
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Their county.
    #[sqlx(try_from = "MaybeId")]
    pub county_code: Option<RegionCode>,
    /// Their class.
    #[sqlx(try_from = "MaybeId")]
    pub class_id: Option<ClassId>,
}

/// SQL for what stands as of a time for what is said of a member `m`, who may stand at `p`: up to where the first two times go, and
/// between them.
macro_rules! standing_from {
    ($kind:literal) => {
        concat!(
            "(SELECT COALESCE((SELECT g.successor FROM place_successor g WHERE g.programme_id = p.programme_id \
             AND g.kind = '",
            $kind,
            "' AND g.code = said.code AND g.from_at <= "
        )
    };
}
macro_rules! standing_until {
    () => {
        " AND (g.until_at IS NULL OR g.until_at > "
    };
}

/// SQL for what transfers and the registration say as of a time, up to where it goes, and behind it.
macro_rules! said_from {
    ($column:literal) => {
        concat!(
            ")), said.code) FROM (SELECT COALESCE((SELECT t.",
            $column,
            " FROM mirror_transfer t WHERE t.person_id = p.person_id AND t.programme_id = p.programme_id \
             AND t.transferred_at <= "
        )
    };
}
macro_rules! said_until {
    ($column:literal) => {
        concat!(
            " AND",
            learned_stands!("t", "enrollment"),
            "ORDER BY t.transferred_at DESC, t.move_number DESC LIMIT 1), m.",
            $column,
            ") AS code) said)"
        )
    };
}

/// Who counts where as of a time: trainees after an id, by id. They are found by class, else by a county, else in the order
/// of ids: a region that is more than a county is asked of each row, so that a page costs what it holds.
pub async fn trainees(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    asked: TraineesAsked<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<TraineeThere>>, StoreError> {
    let TraineesAsked { region_code, class_id, as_of } = asked;
    let columns = Columns {
        programme: "p.programme_id",
        region: "p.county_code",
        class: "p.class_id",
        person: "p.person_id",
        subject: taught_by!("p.programme_id", "p.person_id"),
        as_of: AsOf::At(as_of),
    };
    let region_code = text_of(region_code.as_ref());
    let asked = Reach::region(region_code);
    let county = county_among(tx, programme_id, [region_code, reach.only_region()]).await?;
    let class_id = class_id.map_or(reach.only_class(), ClassId::as_str);
    let county_code = text_of(county.as_ref());
    // Of the places that somebody ever had, the one that they have as of then. In a CASE, which Postgres takes for a filter:
    // else it believes that hardly a row is left, joins all of them and sorts (1,001 of 200,000 rows: 4,098 ms against 30).
    fetch_page!(
        tx,
        TraineeThere,
        "trainee_place" by ["person_id"],
        [
            "SELECT p.person_id, p.county_code, p.class_id FROM trainee_place p WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND p.person_id > ",
            after,
            "",
            Equal("p.class_id", class_id),
            "",
            Equal("p.county_code", county_code),
            concat!(
            " AND CASE WHEN EXISTS (SELECT 1 FROM mirror_member m WHERE m.programme_id = p.programme_id \
             AND m.person_id = p.person_id AND m.role = 'trainee' AND",
            counts_for_itself!("m.programme_id", "m.person_id", "'trainee'"),
            "AND NOT EXISTS (SELECT 1 FROM mirror_absence a \
             WHERE a.programme_id = m.programme_id AND a.person_id = m.person_id AND a.as_role = m.as_role AND a.from_at <= "
            ),
            as_of,
            " AND a.until_at > ",
            as_of,
            concat!(") AND p.class_id = ", standing_from!("class")),
            as_of,
            standing_until!(),
            as_of,
            said_from!("class_id"),
            as_of,
            concat!(said_until!("class_id"), " AND p.county_code = ", standing_from!("region")),
            as_of,
            standing_until!(),
            as_of,
            said_from!("county_code"),
            as_of,
            concat!(said_until!("county_code"), ") THEN TRUE ELSE FALSE END"),
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY p.person_id LIMIT ",
            limit
        ]
    )
}

/// What is kept of the scores of those who have not withdrawn by the programme's end, where they stand then, after an id, by
/// id: for times at which that is how it is. By class or county they are found by the places that they ever had.
pub async fn kept_trainees(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    asked: TraineesAsked<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<KeptRow>>, StoreError> {
    let TraineesAsked { region_code, class_id, as_of } = asked;
    let columns = Columns {
        programme: "s.programme_id",
        region: "s.county_code",
        class: "s.class_id",
        person: "s.person_id",
        subject: taught_by!("s.programme_id", "s.person_id"),
        as_of: AsOf::At(as_of),
    };
    let region_code = text_of(region_code.as_ref());
    let asked = Reach::region(region_code);
    let county = county_among(tx, programme_id, [region_code, reach.only_region()]).await?;
    let class_id = class_id.map_or(reach.only_class(), ClassId::as_str);
    let county_code = text_of(county.as_ref());
    if class_id.is_empty() && county_code.is_empty() {
        return fetch_page!(
        tx,
        KeptRow,
        "trainee_score" by ["person_id"],
        [
                "SELECT s.person_id, s.county_code, s.class_id, s.items, s.withdrawn, s.latest_fact_at \
                 FROM trainee_score s WHERE s.items IS NOT NULL AND NOT s.withdrawn AND s.programme_id = ",
                programme_id.as_str(),
                " AND s.person_id > ",
                after,
                "",
                asked.over(columns),
                "",
                reach.over(columns),
                " ORDER BY s.person_id LIMIT ",
                limit
            ]
        );
    }
    fetch_page!(
        tx,
        KeptRow,
        "trainee_score" by ["person_id"],
        [
            "SELECT s.person_id, s.county_code, s.class_id, s.items, s.withdrawn, s.latest_fact_at \
             FROM trainee_place p JOIN trainee_score s ON s.programme_id = p.programme_id \
             AND s.person_id = p.person_id AND s.county_code = p.county_code AND s.class_id = p.class_id \
             WHERE s.items IS NOT NULL AND NOT s.withdrawn AND p.programme_id = ",
            programme_id.as_str(),
            " AND p.person_id > ",
            after,
            "",
            Equal("p.class_id", class_id),
            "",
            Equal("p.county_code", county_code),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY p.person_id LIMIT ",
            limit
        ]
    )
}

/// The first of these codes that is a county's.
async fn county_among(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    codes: [&str; 2],
) -> Result<Option<RegionCode>, StoreError> {
    let [first, second] = codes;
    let rows = fetch_list!(
        tx,
        CountyRow,
        [
            "SELECT region_code AS county_code FROM mirror_region WHERE level = 'county' AND programme_id = ",
            programme_id.as_str(),
            " AND region_code IN (",
            first,
            ", ",
            second,
            ") ORDER BY CASE WHEN region_code = ",
            first,
            " THEN 0 ELSE 1 END LIMIT ",
            1_i64
        ]
    )?;
    Ok(rows.first().map(|row| row.county_code))
}

/// Everybody who was ever a trainee in the county, after an id, by id.
pub async fn trainees_of_county(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    county_code: RegionCode,
    after: &str,
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let rows = fetch_list!(
        tx,
        PersonRow,
        [
            "SELECT DISTINCT p.person_id FROM trainee_place p WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND p.county_code = ",
            county_code.as_str(),
            " AND p.person_id > ",
            after,
            "",
            reach.over(whole_programme("p.programme_id")),
            " ORDER BY p.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(people_of(rows))
}

/// Everybody with a trainee's row, registered or not, after an id, by id.
pub async fn all_trainees(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    after: &str,
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let rows = fetch_list!(
        tx,
        PersonRow,
        [
            "SELECT s.person_id FROM trainee_score s WHERE s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            after,
            "",
            reach.over(whole_programme("s.programme_id")),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(people_of(rows))
}

/// Everybody with a tutor's row, registered or not, after an id, by id.
pub async fn all_tutors(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    after: &str,
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let rows = fetch_list!(
        tx,
        PersonRow,
        [
            "SELECT s.person_id FROM tutor_score s WHERE s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            after,
            "",
            reach.over(whole_programme("s.programme_id")),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(people_of(rows))
}

/// Registered tutors of a region (or of any) as of a time, after an id, by id.
pub async fn tutors(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (region_code, as_of): (Option<RegionCode>, Instant),
    after: &str,
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let columns = Columns {
        region: "s.county_code",
        person: "s.person_id",
        subject: tutored_by!("s.programme_id", "s.person_id"),
        ..Columns::none("s.programme_id", AsOf::At(as_of))
    };
    let asked = Reach::region(text_of(region_code.as_ref()));
    let rows = fetch_list!(
        tx,
        PersonRow,
        [
            "SELECT s.person_id FROM tutor_score s WHERE s.points IS NOT NULL AND s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            after,
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(people_of(rows))
}

/// Stored points of trainees who have not withdrawn by the programme's end, after an id, by id.
pub async fn trainee_points(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    after: &str,
    limit: i64,
) -> Result<Vec<PointsRow>, StoreError> {
    fetch_list!(
        tx,
        PointsRow,
        [
            "SELECT s.person_id, s.points FROM trainee_score s WHERE s.points IS NOT NULL AND NOT s.withdrawn \
             AND s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            after,
            "",
            reach.over(whole_programme("s.programme_id")),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )
}

/// Stored points of tutors, after an id, by id.
pub async fn tutor_points(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    after: &str,
    limit: i64,
) -> Result<Vec<PointsRow>, StoreError> {
    fetch_list!(
        tx,
        PointsRow,
        [
            "SELECT s.person_id, s.points FROM tutor_score s WHERE s.points IS NOT NULL AND s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            after,
            "",
            reach.over(whole_programme("s.programme_id")),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )
}
