//! Regions and schools. The region in which a county lies changes, and what becomes of a place (`place.rs`). The tree
//! that follows is in `region_within` (`shipei_store::tree`), which every list by region asks.

use shipei_rules::{
    ids::{ProgrammeId, SchoolCode, text_of},
    places::PlaceKind,
    region::{RegionCode, RegionLevel},
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_all, fetch_optional, fetch_page,
    list::{Equal, Listed},
    succession, successor,
    tree::{self, Lying, Taking},
};

use super::{Life, Maybe, Stamp};
use crate::domain::Time;

/// The most regions of a programme that are looked at in one go.
pub(crate) const REGIONS_MAX: i64 = 10_000;
/// The most moves of one county.
pub(crate) const REGION_MOVES_MAX: i64 = 1_000;

#[derive(sqlx::FromRow)]
struct CodeRow {
    #[sqlx(try_from = "String")]
    code: RegionCode,
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct RegionRow {
    #[sqlx(try_from = "String")]
    pub(crate) code: RegionCode,
    pub(crate) name: String,
    pub(crate) level: String,
    /// Where it lies now.
    #[sqlx(try_from = "String")]
    pub(crate) parent_code: Maybe<RegionCode>,
    /// Where it was created.
    #[sqlx(try_from = "String")]
    pub(crate) created_parent_code: Maybe<RegionCode>,
    pub(crate) in_national_standard: bool,
    /// Since when it is what it is.
    #[sqlx(flatten)]
    pub(crate) life: Life,
}

impl RegionRow {
    pub(crate) fn level(&self) -> Result<RegionLevel, StoreError> {
        RegionLevel::parse(&self.level).ok_or_else(|| StoreError::corrupt_row("region", "level", self.code))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct SchoolRow {
    #[sqlx(try_from = "String")]
    pub(crate) school_code: SchoolCode,
    pub(crate) name: String,
    /// Now.
    #[sqlx(try_from = "String")]
    pub(crate) county_code: RegionCode,
    /// When it was created.
    #[sqlx(try_from = "String")]
    pub(crate) created_county_code: RegionCode,
    /// Since when it is what it is.
    #[sqlx(flatten)]
    pub(crate) life: Life,
}

pub(crate) async fn region(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    code: RegionCode,
) -> Result<Option<RegionRow>, StoreError> {
    fetch_optional!(
        tx,
        RegionRow,
        "SELECT code, name, level, parent_code, created_parent_code, in_national_standard, created_name, named_at, \
         closed_at, merged_into FROM region \
         WHERE programme_id = $1 AND code = $2",
        programme_id.as_str(),
        code.as_str()
    )
}

/// A region that is a county.
pub(crate) async fn county(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    code: RegionCode,
) -> Result<Option<RegionRow>, StoreError> {
    let region = region(tx, programme_id, code).await?;
    Ok(region.filter(|region| region.level == RegionLevel::County.as_str()))
}

/// The first that is a county of what is asked for and what is reached. A list that is of one county finds it by its index.
pub(crate) async fn county_among(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    asked: Option<RegionCode>,
) -> Result<Option<RegionCode>, StoreError> {
    let reached = RegionCode::parse(reach.only_region()).ok();
    for code in [asked, reached].into_iter().flatten() {
        if county(tx, programme_id, code).await?.is_some() {
            return Ok(Some(code));
        }
    }
    Ok(None)
}

/// A county and the regions above it as of an instant, by code; empty when there is no such county.
pub(crate) async fn county_and_above(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    code: RegionCode,
    at: Time,
) -> Result<Vec<RegionCode>, StoreError> {
    if county(tx, programme_id, code).await?.is_none() {
        return Ok(Vec::new());
    }
    and_above(tx, programme_id, code, at).await
}

/// A region and those above it as of an instant, by code.
pub(crate) async fn and_above(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    code: RegionCode,
    at: Time,
) -> Result<Vec<RegionCode>, StoreError> {
    let rows = fetch_all!(
        tx,
        CodeRow,
        "SELECT within_code AS code FROM region_within WHERE programme_id = $1 AND region_code = $2 AND from_at <= $3 \
         AND until_at > $3 ORDER BY within_code",
        programme_id.as_str(),
        code.as_str(),
        at
    )?;
    Ok(rows.into_iter().map(|row| row.code).collect())
}

/// A region's parent and, where that is a city, the province above it; none of a province.
pub(crate) async fn above(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    parent_code: Option<RegionCode>,
) -> Result<[Option<RegionCode>; 2], StoreError> {
    let Some(code) = parent_code else { return Ok([None, None]) };
    let province = region(tx, programme_id, code).await?.and_then(|parent| parent.parent_code.0);
    Ok([parent_code, province.or(parent_code)])
}

/// The whole tree.
pub(crate) async fn tree(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Vec<RegionRow>, StoreError> {
    fetch_all!(
        tx,
        RegionRow,
        "SELECT code, name, level, parent_code, created_parent_code, in_national_standard, created_name, named_at, \
         closed_at, merged_into FROM region \
         WHERE programme_id = $1 ORDER BY code LIMIT $2",
        programme_id.as_str(),
        REGIONS_MAX
    )
}

/// Adds a region; false when there is one of this code.
pub(crate) async fn insert_region(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    row: &RegionRow,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO region (programme_id, code, name, level, parent_code, created_parent_code, in_national_standard, \
         created_name, merged_into, occurred_at, recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $5, $6, $3, '', $7, $8, $9) \
         ON CONFLICT (programme_id, code) DO NOTHING",
        programme_id.as_str(),
        row.code.as_str(),
        row.name.as_str(),
        row.level.as_str(),
        row.parent_code.as_str(),
        row.in_national_standard,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    if inserted == 1 {
        put_into_tree(tx, programme_id, row).await?;
    }
    Ok(inserted == 1)
}

/// One move of a county.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct RegionMove {
    /// Since when.
    pub(crate) occurred_at: Time,
    /// The region above from then on.
    #[sqlx(try_from = "String")]
    pub(crate) new_parent_code: RegionCode,
}

/// The moves of a county, in the order of their times.
pub(crate) async fn region_moves(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    code: RegionCode,
) -> Result<Vec<RegionMove>, StoreError> {
    fetch_all!(
        tx,
        RegionMove,
        "SELECT occurred_at, new_parent_code FROM region_move WHERE programme_id = $1 AND code = $2 \
         ORDER BY occurred_at, number LIMIT $3",
        programme_id.as_str(),
        code.as_str(),
        REGION_MOVES_MAX
    )
}

/// Keeps a move, the `number`th that was recorded of this county, and what lies in what from then on.
pub(crate) async fn insert_region_move(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    row: &RegionRow,
    (number, old_parent_code, new_parent_code): (i64, RegionCode, RegionCode),
    stamp: &Stamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO region_move (programme_id, code, number, old_parent_code, new_parent_code, occurred_at, \
         recorded_at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        programme_id.as_str(),
        row.code.as_str(),
        number,
        old_parent_code.as_str(),
        new_parent_code.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    execute!(
        tx,
        "UPDATE region SET parent_code = (SELECT new_parent_code FROM region_move m \
          WHERE m.programme_id = region.programme_id AND m.code = region.code \
          ORDER BY m.occurred_at DESC, m.number DESC LIMIT 1) WHERE programme_id = $1 AND code = $2",
        programme_id.as_str(),
        row.code.as_str()
    )?;
    put_into_tree(tx, programme_id, row).await
}

/// Puts a region into the tree by what is known of it, and those that are or were merged into it, which lie where it lies.
pub(crate) async fn put_into_tree(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    row: &RegionRow,
) -> Result<(), StoreError> {
    put_alone(tx, programme_id, row).await?;
    let own = [row.code.as_str()].into();
    for code in succession::sources(tx, programme_id.as_str(), PlaceKind::Region.as_str(), &own).await? {
        let parsed = RegionCode::parse(&code);
        let code = parsed.map_err(|_| StoreError::corrupt_row("place_successor", "code", &code))?;
        if let Some(merged) = region(tx, programme_id, code).await?.filter(|merged| merged.code != row.code) {
            put_alone(tx, programme_id, &merged).await?;
        }
    }
    Ok(())
}

async fn put_alone(tx: &mut Tx, programme_id: &ProgrammeId, row: &RegionRow) -> Result<(), StoreError> {
    let own = lying(tx, programme_id, row).await?;
    let mut taking = Vec::new();
    for ended in succession::of_codes(tx, programme_id.as_str(), &[row.code.as_str()].into()).await? {
        if ended.kind != PlaceKind::Region.as_str() {
            continue;
        }
        let successor = RegionCode::parse(&ended.successor);
        let code =
            successor.map_err(|_| StoreError::corrupt_row("place_successor", "successor", &ended.code))?;
        let lying = match region(tx, programme_id, code).await? {
            Some(successor) => lying(tx, programme_id, &successor).await?,
            None => Vec::new(),
        };
        taking.push(Taking { from: ended.from_at, until: ended.until_at, code: ended.successor, lying });
    }
    taking.sort_by_key(|taken| taken.from);
    tree::put(tx, programme_id.as_str(), row.code.as_str(), &tree::merged(own, &taking)).await
}

/// Where a region lies by its creation and its moves, by time.
async fn lying(tx: &mut Tx, programme_id: &ProgrammeId, row: &RegionRow) -> Result<Vec<Lying>, StoreError> {
    let lies = |from, above: [Option<RegionCode>; 2]| {
        Lying::under(from, above.into_iter().flatten().map(String::from))
    };
    let mut lying = vec![lies(None, above(tx, programme_id, row.created_parent_code.0).await?)];
    for moved in region_moves(tx, programme_id, row.code).await? {
        let above = above(tx, programme_id, Some(moved.new_parent_code)).await?;
        lying.push(lies(Some(moved.occurred_at), above));
    }
    Ok(lying)
}

/// Regions by code, of those reached now; an absent parent or level is any.
pub(crate) async fn regions(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (parent_code, level): (Option<RegionCode>, Option<RegionLevel>),
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<RegionRow>>, StoreError> {
    let columns = Columns { region: "r.code", ..Columns::none("r.programme_id", AsOf::At(now)) };
    fetch_page!(
        tx,
        RegionRow,
        "region" by ["code"],
        [
            "SELECT r.code, r.name, r.level, r.parent_code, r.created_parent_code, r.in_national_standard, \
             r.created_name, r.named_at, r.closed_at, r.merged_into FROM region r WHERE r.programme_id = ",
            programme_id.as_str(),
            " AND r.code > ",
            after,
            "",
            Equal("r.parent_code", text_of(parent_code.as_ref())),
            "",
            Equal("r.level", level.map_or("", RegionLevel::as_str)),
            "",
            reach.over(columns),
            " ORDER BY r.code LIMIT ",
            limit
        ]
    )
}

pub(crate) async fn school(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    school_code: &SchoolCode,
) -> Result<Option<SchoolRow>, StoreError> {
    fetch_optional!(
        tx,
        SchoolRow,
        "SELECT school_code, name, county_code, created_county_code, created_name, named_at, closed_at, merged_into \
         FROM school WHERE programme_id = $1 AND school_code = $2",
        programme_id.as_str(),
        school_code.as_str()
    )
}

/// Adds a school; false when there is one of this code.
pub(crate) async fn insert_school(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    row: &SchoolRow,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO school (programme_id, school_code, name, county_code, created_county_code, created_name, \
         merged_into, occurred_at, recorded_at, actor) VALUES ($1, $2, $3, $4, $4, $3, '', $5, $6, $7) ON CONFLICT (programme_id, school_code) DO NOTHING",
        programme_id.as_str(),
        row.school_code.as_str(),
        row.name.as_str(),
        row.county_code.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    if inserted == 1 {
        put_schools_and_classes(tx, programme_id, row.county_code.as_str()).await?;
    }
    Ok(inserted == 1)
}

/// Puts into the rows of the schools and classes of a region of now what stands for the region in which they were created.
pub(crate) async fn put_schools_and_classes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    region_code: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        concat!(
            "UPDATE school SET county_code = ",
            successor!(
                "region",
                "school.programme_id",
                "school.created_county_code",
                "'9999-12-31T00:00:00+00:00'"
            ),
            " WHERE programme_id = $1 AND county_code = $2"
        ),
        programme_id.as_str(),
        region_code
    )?;
    execute!(
        tx,
        concat!(
            "UPDATE class SET region_code = ",
            successor!(
                "region",
                "class.programme_id",
                "class.created_region_code",
                "'9999-12-31T00:00:00+00:00'"
            ),
            " WHERE programme_id = $1 AND region_code = $2"
        ),
        programme_id.as_str(),
        region_code
    )?;
    Ok(())
}

/// Schools by code, of those reached now; an absent county is any.
pub(crate) async fn schools(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    county_code: Option<RegionCode>,
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<SchoolRow>>, StoreError> {
    let columns = Columns { region: "s.county_code", ..Columns::none("s.programme_id", AsOf::At(now)) };
    fetch_page!(
        tx,
        SchoolRow,
        "school" by ["school_code"],
        [
            "SELECT s.school_code, s.name, s.county_code, s.created_county_code, s.created_name, s.named_at, s.closed_at, \
             s.merged_into FROM school s WHERE s.programme_id = ",
            programme_id.as_str(),
            " AND s.school_code > ",
            after,
            "",
            Equal("s.county_code", text_of(county_code.as_ref())),
            "",
            reach.over(columns),
            " ORDER BY s.school_code LIMIT ",
            limit
        ]
    )
}
