//! Regions, schools and classes. None of them ever changes once it is there.

use shipei_rules::region::RegionLevel;
use shipei_store::{StoreError, Tx, execute, fetch_all, fetch_optional};

use super::Stamp;

/// The most regions of a programme that are looked at in one go.
pub(crate) const REGIONS_MAX: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct RegionRow {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) level: String,
    pub(crate) parent_code: String,
    pub(crate) in_national_standard: bool,
}

impl RegionRow {
    pub(crate) fn level(&self) -> Result<RegionLevel, StoreError> {
        RegionLevel::parse(&self.level).ok_or_else(|| StoreError::corrupt_row("region", "level", &self.code))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct SchoolRow {
    pub(crate) school_code: String,
    pub(crate) name: String,
    pub(crate) county_code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ClassRow {
    pub(crate) class_id: String,
    pub(crate) name: String,
    pub(crate) region_code: String,
    pub(crate) tutor_id: String,
}

pub(crate) async fn region(
    tx: &mut Tx,
    programme_id: &str,
    code: &str,
) -> Result<Option<RegionRow>, StoreError> {
    fetch_optional!(
        tx,
        RegionRow,
        "SELECT code, name, level, parent_code, in_national_standard FROM region \
         WHERE programme_id = $1 AND code = $2",
        programme_id,
        code
    )
}

/// A region that is a county.
pub(crate) async fn county(
    tx: &mut Tx,
    programme_id: &str,
    code: &str,
) -> Result<Option<RegionRow>, StoreError> {
    let region = region(tx, programme_id, code).await?;
    Ok(region.filter(|region| region.level == RegionLevel::County.as_str()))
}

/// A county and the regions above it, from below; empty when there is no such county.
pub(crate) async fn county_and_above(
    tx: &mut Tx,
    programme_id: &str,
    code: &str,
) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let mut next = county(tx, programme_id, code).await?;
    while let Some(row) = next {
        next = match row.parent_code.as_str() {
            "" => None,
            parent => region(tx, programme_id, parent).await?,
        };
        found.push(row.code);
    }
    Ok(found)
}

/// Code and level of every region.
pub(crate) async fn levels(tx: &mut Tx, programme_id: &str) -> Result<Vec<(String, String)>, StoreError> {
    fetch_all!(
        tx,
        (String, String),
        "SELECT code, level FROM region WHERE programme_id = $1 ORDER BY code LIMIT $2",
        programme_id,
        REGIONS_MAX
    )
}

/// Adds a region; false when there is one of this code.
pub(crate) async fn insert_region(
    tx: &mut Tx,
    programme_id: &str,
    row: &RegionRow,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO region (programme_id, code, name, level, parent_code, in_national_standard, occurred_at, \
         recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (programme_id, code) DO NOTHING",
        programme_id,
        row.code.as_str(),
        row.name.as_str(),
        row.level.as_str(),
        row.parent_code.as_str(),
        row.in_national_standard,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(inserted == 1)
}

/// Regions by code; an empty parent or level is any.
pub(crate) async fn regions(
    tx: &mut Tx,
    programme_id: &str,
    parent_code: &str,
    level: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<RegionRow>, StoreError> {
    fetch_all!(
        tx,
        RegionRow,
        "SELECT code, name, level, parent_code, in_national_standard FROM region \
         WHERE programme_id = $1 AND ($2 = '' OR parent_code = $2) AND ($3 = '' OR level = $3) AND code > $4 \
         ORDER BY code LIMIT $5",
        programme_id,
        parent_code,
        level,
        after,
        limit
    )
}

pub(crate) async fn school(
    tx: &mut Tx,
    programme_id: &str,
    school_code: &str,
) -> Result<Option<SchoolRow>, StoreError> {
    fetch_optional!(
        tx,
        SchoolRow,
        "SELECT school_code, name, county_code FROM school WHERE programme_id = $1 AND school_code = $2",
        programme_id,
        school_code
    )
}

/// Adds a school; false when there is one of this code.
pub(crate) async fn insert_school(
    tx: &mut Tx,
    programme_id: &str,
    row: &SchoolRow,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO school (programme_id, school_code, name, county_code, occurred_at, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (programme_id, school_code) DO NOTHING",
        programme_id,
        row.school_code.as_str(),
        row.name.as_str(),
        row.county_code.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(inserted == 1)
}

/// Schools by code; an empty county is any.
pub(crate) async fn schools(
    tx: &mut Tx,
    programme_id: &str,
    county_code: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<SchoolRow>, StoreError> {
    fetch_all!(
        tx,
        SchoolRow,
        "SELECT school_code, name, county_code FROM school \
         WHERE programme_id = $1 AND ($2 = '' OR county_code = $2) AND school_code > $3 ORDER BY school_code LIMIT $4",
        programme_id,
        county_code,
        after,
        limit
    )
}

pub(crate) async fn class(
    tx: &mut Tx,
    programme_id: &str,
    class_id: &str,
) -> Result<Option<ClassRow>, StoreError> {
    fetch_optional!(
        tx,
        ClassRow,
        "SELECT class_id, name, region_code, tutor_id FROM class WHERE programme_id = $1 AND class_id = $2",
        programme_id,
        class_id
    )
}

/// Adds a class; false when there is one of this id.
pub(crate) async fn insert_class(
    tx: &mut Tx,
    programme_id: &str,
    row: &ClassRow,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO class (programme_id, class_id, name, region_code, tutor_id, occurred_at, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (programme_id, class_id) DO NOTHING",
        programme_id,
        row.class_id.as_str(),
        row.name.as_str(),
        row.region_code.as_str(),
        row.tutor_id.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(inserted == 1)
}

/// Classes by id; an empty tutor or region is any. A region holds what lies in it, two levels down.
pub(crate) async fn classes(
    tx: &mut Tx,
    programme_id: &str,
    tutor_id: &str,
    region_code: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<ClassRow>, StoreError> {
    fetch_all!(
        tx,
        ClassRow,
        "SELECT class_id, name, region_code, tutor_id FROM class \
         WHERE programme_id = $1 AND class_id > $4 AND ($2 = '' OR tutor_id = $2) \
         AND ($3 = '' OR region_code = $3 OR region_code IN (SELECT r.code FROM region r \
          WHERE r.programme_id = $1 AND (r.parent_code = $3 OR r.parent_code IN \
          (SELECT c.code FROM region c WHERE c.programme_id = $1 AND c.parent_code = $3)))) \
         ORDER BY class_id LIMIT $5",
        programme_id,
        tutor_id,
        region_code,
        after,
        limit
    )
}
