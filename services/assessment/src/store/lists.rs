//! Whom a list is about, page by page (keyset), narrowed in SQL: by what the caller asked for, and by how far they may see.
//! A region holds what lies in it by the tree, as of the time of the scores.

use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_list, learned_stands, list::Equal};

use crate::{facts::Instant, store::scores::KeptRow};

fn first_columns(rows: Vec<(String,)>) -> Vec<String> {
    rows.into_iter().map(|(id,)| id).collect()
}

/// Rows that belong to a programme and to nothing in it: whoever reaches less than everything sees none of them.
fn whole_programme(programme: &'static str) -> Columns {
    Columns::none(programme, AsOf::At(Instant::UNIX_EPOCH))
}

/// Which trainees a list asks for; empty parts are any.
#[derive(Debug, Clone, Copy)]
pub struct TraineesAsked<'a> {
    /// With what lies in it as of `as_of`.
    pub region_code: &'a str,
    /// Their class as of `as_of`.
    pub class_id: &'a str,
    /// Where they stand then, and who had not withdrawn by then.
    pub as_of: Instant,
}

/// A trainee, and where they stand as of the time of the list.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TraineeThere {
    /// Who.
    pub person_id: String,
    /// Their county.
    pub county_code: String,
    /// Their class.
    pub class_id: String,
}

/// Who counts where as of a time: trainees after an id, by id. They are found by class, else by a county, else in the order
/// of ids: a region that is more than a county is asked of each row, so that a page costs what it holds.
pub async fn trainees(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    asked: TraineesAsked<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<TraineeThere>, StoreError> {
    let TraineesAsked { region_code, class_id, as_of } = asked;
    let columns = Columns {
        programme: "p.programme_id",
        region: "p.county_code",
        class: "p.class_id",
        person: "p.person_id",
        as_of: AsOf::At(as_of),
    };
    let asked = Reach::region(region_code);
    let county_code = county_among(tx, programme_id, [region_code, reach.only_region()]).await?;
    // Of the places that somebody ever had, the one that they have as of then. In a CASE, which Postgres takes for a filter:
    // else it believes that hardly a row is left, joins all of them and sorts (1,001 of 200,000 rows: 4,098 ms against 30).
    fetch_list!(
        tx,
        TraineeThere,
        [
            "SELECT p.person_id, p.county_code, p.class_id FROM trainee_place p WHERE p.programme_id = ",
            programme_id,
            " AND p.person_id > ",
            after,
            "",
            Equal("p.class_id", class_id),
            "",
            Equal("p.county_code", &county_code),
            " AND CASE WHEN EXISTS (SELECT 1 FROM mirror_member m WHERE m.programme_id = p.programme_id \
             AND m.person_id = p.person_id AND m.role = 'trainee' AND (m.withdrawn_at IS NULL OR m.withdrawn_at > ",
            as_of,
            ") AND p.class_id = COALESCE((SELECT t.class_id FROM mirror_transfer t WHERE t.person_id = p.person_id \
             AND t.programme_id = p.programme_id AND t.transferred_at <= ",
            as_of,
            concat!(
                " AND",
                learned_stands!("t", "enrollment"),
                "ORDER BY t.transferred_at DESC, t.move_number DESC LIMIT 1), m.class_id) \
             AND p.county_code = COALESCE((SELECT t.county_code FROM mirror_transfer t WHERE t.person_id = p.person_id \
             AND t.programme_id = p.programme_id AND t.transferred_at <= "
            ),
            as_of,
            concat!(
                " AND",
                learned_stands!("t", "enrollment"),
                "ORDER BY t.transferred_at DESC, t.move_number DESC LIMIT 1), m.county_code)) THEN TRUE ELSE FALSE END"
            ),
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
    programme_id: &str,
    asked: TraineesAsked<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<KeptRow>, StoreError> {
    let TraineesAsked { region_code, class_id, as_of } = asked;
    let columns = Columns {
        programme: "s.programme_id",
        region: "s.county_code",
        class: "s.class_id",
        person: "s.person_id",
        as_of: AsOf::At(as_of),
    };
    let asked = Reach::region(region_code);
    let county_code = county_among(tx, programme_id, [region_code, reach.only_region()]).await?;
    if class_id.is_empty() && county_code.is_empty() {
        return fetch_list!(
            tx,
            KeptRow,
            [
                "SELECT s.person_id, s.county_code, s.class_id, s.items, s.withdrawn, s.latest_fact_at \
                 FROM trainee_score s WHERE s.items IS NOT NULL AND NOT s.withdrawn AND s.programme_id = ",
                programme_id,
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
    fetch_list!(
        tx,
        KeptRow,
        [
            "SELECT s.person_id, s.county_code, s.class_id, s.items, s.withdrawn, s.latest_fact_at \
             FROM trainee_place p JOIN trainee_score s ON s.programme_id = p.programme_id \
             AND s.person_id = p.person_id AND s.county_code = p.county_code AND s.class_id = p.class_id \
             WHERE s.items IS NOT NULL AND NOT s.withdrawn AND p.programme_id = ",
            programme_id,
            " AND p.person_id > ",
            after,
            "",
            Equal("p.class_id", class_id),
            "",
            Equal("p.county_code", &county_code),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY p.person_id LIMIT ",
            limit
        ]
    )
}

/// The first of these codes that is a county's; empty when none is.
async fn county_among(tx: &mut Tx, programme_id: &str, codes: [&str; 2]) -> Result<String, StoreError> {
    let [first, second] = codes;
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT region_code FROM mirror_region WHERE level = 'county' AND programme_id = ",
            programme_id,
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
    Ok(first_columns(rows).pop().unwrap_or_default())
}

/// Everybody who was ever a trainee in the county, after an id, by id.
pub async fn trainees_of_county(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    county_code: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT DISTINCT p.person_id FROM trainee_place p WHERE p.programme_id = ",
            programme_id,
            " AND p.county_code = ",
            county_code,
            " AND p.person_id > ",
            after,
            "",
            reach.over(whole_programme("p.programme_id")),
            " ORDER BY p.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(first_columns(rows))
}

/// Everybody with a trainee's row, registered or not, after an id, by id.
pub async fn all_trainees(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT s.person_id FROM trainee_score s WHERE s.programme_id = ",
            programme_id,
            " AND s.person_id > ",
            after,
            "",
            reach.over(whole_programme("s.programme_id")),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(first_columns(rows))
}

/// Everybody with a tutor's row, registered or not, after an id, by id.
pub async fn all_tutors(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT s.person_id FROM tutor_score s WHERE s.programme_id = ",
            programme_id,
            " AND s.person_id > ",
            after,
            "",
            reach.over(whole_programme("s.programme_id")),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(first_columns(rows))
}

/// Registered tutors of a region (empty for any) as of a time, after an id, by id.
pub async fn tutors(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    (region_code, as_of): (&str, Instant),
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let columns = Columns {
        region: "s.county_code",
        person: "s.person_id",
        ..Columns::none("s.programme_id", AsOf::At(as_of))
    };
    let asked = Reach::region(region_code);
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT s.person_id FROM tutor_score s WHERE s.points IS NOT NULL AND s.programme_id = ",
            programme_id,
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
    Ok(first_columns(rows))
}

/// Every county that enrollment named or that anything happened in, after a code, by code: one county, or those of a
/// region as of a time; empty for any.
pub async fn counties(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    (county_code, region_code, as_of): (&str, &str, Instant),
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let columns = Columns { region: "c.code", ..Columns::none("c.programme_id", AsOf::At(as_of)) };
    let asked = Reach::region(region_code);
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT c.code FROM (SELECT programme_id, region_code AS code FROM mirror_region WHERE level = 'county' \
             UNION SELECT programme_id, county_code AS code FROM county_score) AS c WHERE c.programme_id = ",
            programme_id,
            " AND c.code > ",
            after,
            "",
            Equal("c.code", county_code),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY c.code LIMIT ",
            limit
        ]
    )?;
    Ok(first_columns(rows))
}

/// The counselors of a county, by id.
pub async fn counselors_of(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    (county_code, as_of): (&str, Instant),
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let columns = Columns {
        region: "m.county_code",
        person: "m.person_id",
        ..Columns::none("m.programme_id", AsOf::At(as_of))
    };
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT m.person_id FROM mirror_member m WHERE m.role = 'county_counselor' AND m.programme_id = ",
            programme_id,
            " AND m.county_code = ",
            county_code,
            "",
            reach.over(columns),
            " ORDER BY m.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(first_columns(rows))
}

/// Stored points of trainees who have not withdrawn by the programme's end, after an id, by id.
pub async fn trainee_points(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    fetch_list!(
        tx,
        (String, Vec<u8>),
        [
            "SELECT s.person_id, s.points FROM trainee_score s WHERE s.points IS NOT NULL AND NOT s.withdrawn \
             AND s.programme_id = ",
            programme_id,
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
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    fetch_list!(
        tx,
        (String, Vec<u8>),
        [
            "SELECT s.person_id, s.points FROM tutor_score s WHERE s.points IS NOT NULL AND s.programme_id = ",
            programme_id,
            " AND s.person_id > ",
            after,
            "",
            reach.over(whole_programme("s.programme_id")),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )
}
