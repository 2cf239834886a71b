//! What stands for what was merged or closed, learned from enrollment's log: the endings as they are told, in any order, and what
//! follows from those that stand (`shipei_rules::places`), by which every look-up of a place goes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_rules::{
    history::History,
    ids::{ClassId, ProgrammeId, SchoolCode, text_of},
    places::{Ending, PlaceKind, Succession, Successors, successions},
    region::RegionCode,
};
use shipei_service_kit::Result;
use shipei_store::{
    StoreError, Tx, bulk_insert, fetch_all, learned_stands,
    succession::{self, SuccessorRow},
};

use crate::place::Place;

/// The most endings of one kind in one programme.
const ENDINGS_MAX: i64 = 100_000;

/// An ending as it is told; its key is programme, kind and number.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: String,
    /// Empty when it is closed.
    pub(crate) into_code: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) fact_id: String,
}

/// Endings by programme, kind and number.
pub(crate) type Endings = BTreeMap<(String, &'static str, i64), Told>;

/// Keeps endings, each once, and puts in place what follows; gives the regions for which something else stands now. Whoever comes here
/// holds the programme's row of `mirror_windows`, so that of two at once the second sees what the first has kept.
pub(crate) async fn save(tx: &mut Tx, endings: &Endings) -> Result<BTreeSet<(String, String)>> {
    let rows: Vec<_> = endings.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_ending (programme_id, kind, change_number, code, into_code, ended_at, fact_id)",
        rows,
        |((programme_id, kind, change_number), told)| (
            programme_id,
            *kind,
            *change_number,
            &told.code,
            &told.into_code,
            told.at,
            &told.fact_id
        ),
        " ON CONFLICT (programme_id, kind, change_number) DO NOTHING"
    )?;
    let kinds: BTreeSet<(&String, &str)> =
        endings.keys().map(|(programme, kind, _)| (programme, *kind)).collect();
    let mut regions = BTreeSet::new();
    for (programme_id, kind) in kinds {
        let before: BTreeSet<SuccessorRow> =
            succession::all(tx, programme_id, kind).await?.into_iter().collect();
        let after = folded(tx, programme_id, kind).await?;
        let rows: Vec<SuccessorRow> = after.iter().cloned().collect();
        succession::put(tx, programme_id, kind, &rows).await?;
        if kind == PlaceKind::Region.as_str() {
            let changed = before.symmetric_difference(&after);
            regions.extend(changed.map(|row| (programme_id.clone(), row.code.clone())));
        }
    }
    Ok(regions)
}

/// What follows for a kind from the endings that stand.
async fn folded(tx: &mut Tx, programme_id: &str, kind: &str) -> Result<BTreeSet<SuccessorRow>> {
    let rows: Vec<(i64, String, String, DateTime<Utc>)> = fetch_all!(
        tx,
        (i64, String, String, DateTime<Utc>),
        concat!(
            "SELECT e.change_number, e.code, e.into_code, e.ended_at FROM mirror_ending e WHERE e.programme_id = $1 \
             AND e.kind = $2 AND",
            learned_stands!("e", "enrollment"),
            "ORDER BY e.change_number LIMIT $3"
        ),
        programme_id,
        kind,
        ENDINGS_MAX
    )?;
    let ending = |(number, code, into_code, at): (i64, String, String, DateTime<Utc>)| Ending {
        at,
        number,
        code,
        into: Some(into_code).filter(|into_code| !into_code.is_empty()),
    };
    let row = |succession: Succession| SuccessorRow {
        kind: kind.to_owned(),
        code: succession.code,
        from_at: succession.from,
        until_at: succession.until,
        successor: succession.successor.unwrap_or_default(),
    };
    Ok(successions(rows.into_iter().map(ending).collect()).into_iter().map(row).collect())
}

/// What stands for those of the codes that have ended, whatever their kind.
pub(crate) async fn of_codes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    codes: &BTreeSet<&str>,
) -> Result<Successors> {
    let mut found = Vec::new();
    for row in succession::of_codes(tx, programme_id.as_str(), codes).await? {
        let kind = PlaceKind::parse(&row.kind);
        let kind = kind.ok_or_else(|| StoreError::corrupt_row("place_successor", "kind", &row.code))?;
        let successor = Some(row.successor).filter(|successor| !successor.is_empty());
        found.push((kind, Succession { code: row.code, from: row.from_at, until: row.until_at, successor }));
    }
    Ok(Successors::new(found))
}

/// The codes that a place has.
pub(crate) fn codes_of(place: &Place) -> impl Iterator<Item = &str> {
    [place.county_text(), place.school_text(), place.class_text()].into_iter().filter(|code| !code.is_empty())
}

/// Where somebody stood, of whom registration and transfers say `said`: there, or in what stands for it at each time.
pub(crate) fn standing(successors: &Successors, said: History<Place>) -> Result<History<Place>> {
    if successors.is_empty() {
        return Ok(said);
    }
    let moved: BTreeSet<DateTime<Utc>> = said.turns().collect();
    let mut turns = moved.clone();
    for place in said.all() {
        turns.extend(successors.turns(PlaceKind::Region, place.county_text()));
        turns.extend(successors.turns(PlaceKind::School, place.school_text()));
        turns.extend(successors.turns(PlaceKind::Class, place.class_text()));
    }
    let first = said.first().clone();
    let mut changes: Vec<(DateTime<Utc>, Place)> = Vec::new();
    for turn in turns {
        let place = place_at(successors, said.at(turn), turn)?;
        let before = changes.last().map_or(&first, |(_, place)| place);
        // A place that they had left before it ended is nothing that befell them.
        if moved.contains(&turn) || place != *before {
            changes.push((turn, place));
        }
    }
    Ok(History::new(first, changes))
}

fn place_at(successors: &Successors, said: &Place, at: DateTime<Utc>) -> Result<Place> {
    let stands = |kind, code| successors.at(kind, code, at).unwrap_or_default();
    let corrupt = |code| StoreError::corrupt_row("place_successor", "successor", code);
    let (county, school, class) = (said.county_text(), said.school_text(), said.class_text());
    let county_code = RegionCode::parse_optional(stands(PlaceKind::Region, county));
    let school_code = SchoolCode::parse_optional(stands(PlaceKind::School, school));
    let class_id = ClassId::parse_optional(stands(PlaceKind::Class, class));
    Ok(Place {
        county_code: county_code.map_err(|_| corrupt(county))?,
        school_code: school_code.map_err(|_| corrupt(school))?,
        class_id: class_id.map_err(|_| corrupt(class))?,
    })
}

/// In which region a class lay that was created in `said`.
pub(crate) fn regions(successors: &Successors, said: RegionCode) -> Result<History<RegionCode>> {
    let code = text_of(Some(&said)).to_owned();
    let mut changes = Vec::new();
    for turn in successors.turns(PlaceKind::Region, &code) {
        let stands = successors.at(PlaceKind::Region, &code, turn).unwrap_or(&code);
        let stands = RegionCode::parse(stands);
        changes.push((
            turn,
            stands.map_err(|_| StoreError::corrupt_row("place_successor", "successor", &code))?,
        ));
    }
    Ok(History::new(said, changes))
}
