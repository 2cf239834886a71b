//! The region tree of the mirror: from regions as they were created and the moves of counties to the dated rows that every
//! service asks (`shipei_store::tree`). What follows from the rows of one region is put in place anew whenever one comes.

use chrono::{DateTime, Utc};
use shipei_rules::places::PlaceKind;
use shipei_service_kit::Result;
use shipei_store::{
    Tx, fetch_all, fetch_optional, succession,
    tree::{self, Lying, Taking},
};

/// The most moves of one region.
const MOVES_MAX: i64 = 1_000;

/// Puts a region into the tree, as far as it is known, and those that are or were merged into it, which lie where it lies.
pub(crate) async fn put(tx: &mut Tx, programme_id: &str, region_code: &str) -> Result<()> {
    let own = [region_code].into();
    for code in succession::sources(tx, programme_id, PlaceKind::Region.as_str(), &own).await? {
        put_alone(tx, programme_id, &code).await?;
    }
    Ok(())
}

async fn put_alone(tx: &mut Tx, programme_id: &str, region_code: &str) -> Result<()> {
    let own = lying(tx, programme_id, region_code).await?;
    let mut taking = Vec::new();
    for ended in succession::of_codes(tx, programme_id, &[region_code].into()).await? {
        if ended.kind == PlaceKind::Region.as_str() {
            let lying = lying(tx, programme_id, &ended.successor).await?;
            taking.push(Taking { from: ended.from_at, until: ended.until_at, code: ended.successor, lying });
        }
    }
    taking.sort_by_key(|taken| taken.from);
    Ok(tree::put(tx, programme_id, region_code, &tree::merged(own, &taking)).await?)
}

/// Where a region lies by its creation and its moves, by time, as far as they are known.
async fn lying(tx: &mut Tx, programme_id: &str, region_code: &str) -> Result<Vec<Lying>> {
    let created: Option<(String, String)> = fetch_optional!(
        tx,
        (String, String),
        "SELECT parent_code, province_code FROM mirror_region WHERE programme_id = $1 AND region_code = $2",
        programme_id,
        region_code
    )?;
    let moves: Vec<(DateTime<Utc>, String, String)> = fetch_all!(
        tx,
        (DateTime<Utc>, String, String),
        "SELECT moved_at, parent_code, province_code FROM mirror_region_move \
         WHERE programme_id = $1 AND region_code = $2 ORDER BY moved_at, move_number LIMIT $3",
        programme_id,
        region_code,
        MOVES_MAX
    )?;
    let first = created.map(|(parent_code, province_code)| (None, parent_code, province_code));
    let later =
        moves.into_iter().map(|(at, parent_code, province_code)| (Some(at), parent_code, province_code));
    let lying = first
        .into_iter()
        .chain(later)
        .map(|(from, parent_code, province_code)| Lying::under(from, [parent_code, province_code]));
    Ok(lying.collect())
}
