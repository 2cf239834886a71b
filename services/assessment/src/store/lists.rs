//! Whom a list is about, page by page (keyset), filtered in SQL; a region is a range of codes ([`RegionRange`]).

pub use shipei_mirror::RegionRange;
use shipei_store::{StoreError, Tx, fetch_all};

fn first_columns(rows: Vec<(String,)>) -> Vec<String> {
    rows.into_iter().map(|(id,)| id).collect()
}

/// Everybody who was ever a trainee in the class, after an id, by id.
pub async fn trainees_of_class(
    tx: &mut Tx,
    programme_id: &str,
    class_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT DISTINCT person_id FROM trainee_place WHERE programme_id = $1 AND class_id = $2 AND person_id > $3 \
         ORDER BY person_id LIMIT $4",
        programme_id,
        class_id,
        after,
        limit
    )?;
    Ok(first_columns(rows))
}

/// Everybody who was ever a trainee in the county, after an id, by id.
pub async fn trainees_of_county(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT DISTINCT person_id FROM trainee_place WHERE programme_id = $1 AND county_code = $2 AND person_id > $3 \
         ORDER BY person_id LIMIT $4",
        programme_id,
        county_code,
        after,
        limit
    )?;
    Ok(first_columns(rows))
}

/// Everybody who was ever a trainee in the region, after an id, by id.
pub async fn trainees_of_region(
    tx: &mut Tx,
    programme_id: &str,
    region: &RegionRange,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT DISTINCT person_id FROM trainee_place WHERE programme_id = $1 AND person_id > $2 \
         AND county_code >= $3 AND county_code < $4 ORDER BY person_id LIMIT $5",
        programme_id,
        after,
        &region.from,
        &region.until,
        limit
    )?;
    Ok(first_columns(rows))
}

/// Everybody with a trainee's row, registered or not, after an id, by id.
pub async fn all_trainees(
    tx: &mut Tx,
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT person_id FROM trainee_score WHERE programme_id = $1 AND person_id > $2 ORDER BY person_id LIMIT $3",
        programme_id,
        after,
        limit
    )?;
    Ok(first_columns(rows))
}

/// Everybody with a tutor's row, registered or not, after an id, by id.
pub async fn all_tutors(
    tx: &mut Tx,
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT person_id FROM tutor_score WHERE programme_id = $1 AND person_id > $2 ORDER BY person_id LIMIT $3",
        programme_id,
        after,
        limit
    )?;
    Ok(first_columns(rows))
}

/// Registered tutors of the region, after an id, by id.
pub async fn tutors_of_region(
    tx: &mut Tx,
    programme_id: &str,
    region: Option<&RegionRange>,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let everywhere = RegionRange { from: String::new(), until: ":".to_owned() };
    let region = region.unwrap_or(&everywhere);
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT person_id FROM tutor_score WHERE programme_id = $1 AND points IS NOT NULL AND person_id > $2 \
         AND county_code >= $3 AND county_code < $4 ORDER BY person_id LIMIT $5",
        programme_id,
        after,
        &region.from,
        &region.until,
        limit
    )?;
    Ok(first_columns(rows))
}

/// Every county that enrollment named or that anything happened in, of the region, after a code, by code.
pub async fn counties_of_region(
    tx: &mut Tx,
    programme_id: &str,
    region: &RegionRange,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT code FROM (SELECT region_code AS code FROM mirror_region WHERE programme_id = $1 AND level = 'county' \
         UNION SELECT county_code AS code FROM county_score WHERE programme_id = $1) AS counties \
         WHERE code > $2 AND code >= $3 AND code < $4 ORDER BY code LIMIT $5",
        programme_id,
        after,
        &region.from,
        &region.until,
        limit
    )?;
    Ok(first_columns(rows))
}

/// The counselors of a county, by id.
pub async fn counselors_of(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT person_id FROM mirror_member WHERE programme_id = $1 AND county_code = $2 \
         AND role = 'county_counselor' ORDER BY person_id LIMIT $3",
        programme_id,
        county_code,
        limit
    )?;
    Ok(first_columns(rows))
}

/// Stored points of trainees who have not withdrawn by the programme's end, after an id, by id.
pub async fn trainee_points(
    tx: &mut Tx,
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    fetch_all!(
        tx,
        (String, Vec<u8>),
        "SELECT person_id, points FROM trainee_score WHERE programme_id = $1 AND person_id > $2 \
         AND points IS NOT NULL AND NOT withdrawn ORDER BY person_id LIMIT $3",
        programme_id,
        after,
        limit
    )
}

/// Stored points of tutors, after an id, by id.
pub async fn tutor_points(
    tx: &mut Tx,
    programme_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    fetch_all!(
        tx,
        (String, Vec<u8>),
        "SELECT person_id, points FROM tutor_score WHERE programme_id = $1 AND person_id > $2 \
         AND points IS NOT NULL ORDER BY person_id LIMIT $3",
        programme_id,
        after,
        limit
    )
}
