//! Region codes (GB/T 2260) and the dated tree of Hebei's divisions.
//!
//! Codes change meaning over the years (宣化县 became a district in 2016, 定州市 moved under the province and back), so a
//! lookup names a month. The tree is the newest revision (`data/hebei_divisions.csv`) with later changes undone one by
//! one (`data/hebei_division_changes.csv`: a change lies somewhere between two revisions, and counts from the later one
//! on). Facts worth knowing:
//! - The counties of 雄安新区 (容城, 安新, 雄县) stand under 保定 there; the new area has no code of its own.
//! - Development zones (`xxxx7x`) are undated in the source; they are taken to be in every revision.
//! - The source forgets that 139000 (the heading of counties directly under the province) went away with its last
//!   county in 202306; our copy has that line.
//!
//! To add a revision, replace the divisions and append its changes; to add a province, add its two files to `tree()`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// Where a region stands: the province holds cities, a city holds counties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegionLevel {
    /// 省.
    Province,
    /// 地级市.
    City,
    /// 县, 区, 县级市, 开发区.
    County,
}

impl RegionLevel {
    /// Reads `province`, `city` (or the division file's `prefecture`), `county`; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "province" => Some(Self::Province),
            "city" | "prefecture" => Some(Self::City),
            "county" => Some(Self::County),
            _ => None,
        }
    }

    /// The word that rosters use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Province => "province",
            Self::City => "city",
            Self::County => "county",
        }
    }
}

/// A text is no region code: six ASCII digits, the first not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a region code is six digits, the first not 0 (GB/T 2260)")]
pub struct InvalidRegionCode;

/// A six-digit region code of GB/T 2260.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionCode([u8; 6]);

impl RegionCode {
    /// Reads six ASCII digits, the first not 0. Whether such a region exists is the tree's matter, not the code's.
    pub fn parse(text: &str) -> Result<Self, InvalidRegionCode> {
        let digits: [u8; 6] = text.as_bytes().try_into().map_err(|_| InvalidRegionCode)?;
        if digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
            return Err(InvalidRegionCode);
        }
        Ok(Self(digits))
    }

    /// The six digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("parse let only ASCII digits in")
    }

    /// The level that the digits suggest: `xx0000` a province, `xxyy00` a city, anything else a county. A fallback for
    /// regions that no roster and no tree knows.
    pub fn level(&self) -> RegionLevel {
        if self.0[2..] == *b"0000" {
            return RegionLevel::Province;
        }
        if self.0[4..] == *b"00" {
            return RegionLevel::City;
        }
        RegionLevel::County
    }

    /// The city's code by digits (`xxyy00`); of a province, the province's own.
    pub fn city(&self) -> Self {
        let mut digits = self.0;
        digits[4..].copy_from_slice(b"00");
        Self(digits)
    }

    /// The province's code by digits (`xx0000`).
    pub fn province(&self) -> Self {
        let mut digits = self.0;
        digits[2..].copy_from_slice(b"0000");
        Self(digits)
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for RegionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RegionCode({})", self.as_str())
    }
}

impl std::str::FromStr for RegionCode {
    type Err = InvalidRegionCode;

    fn from_str(text: &str) -> Result<Self, InvalidRegionCode> {
        Self::parse(text)
    }
}

/// A month of the calendar, as the tree's revisions are dated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct YearMonth {
    year: u16,
    month: u8,
}

impl YearMonth {
    /// A month 1 to 12 of a year; `None` for any other month.
    pub const fn new(year: u16, month: u8) -> Option<Self> {
        if month == 0 || month > 12 {
            return None;
        }
        Some(Self { year, month })
    }

    /// Reads `YYYYMM`, as the change file writes a revision.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::new(text[..4].parse().ok()?, text[4..].parse().ok()?)
    }

    /// The month that a day lies in; `None` before year 0 and after year 65535.
    pub fn of(day: chrono::NaiveDate) -> Option<Self> {
        use chrono::Datelike;
        Self::new(u16::try_from(day.year()).ok()?, u8::try_from(day.month()).ok()?)
    }
}

/// One division of the tree at some revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// Its code at that revision.
    pub code: RegionCode,
    /// Its Chinese name at that revision.
    pub name: &'static str,
    /// Province, city or county.
    pub level: RegionLevel,
    /// What it lies in; `None` for the province. It is always a division of the same revision.
    pub parent: Option<RegionCode>,
}

type Divisions = BTreeMap<RegionCode, Division>;

/// The revisions of the embedded tree, oldest first. A month belongs to the newest revision that is not after it.
pub fn revisions() -> impl Iterator<Item = YearMonth> {
    tree().keys().copied()
}

/// Every division in force in a month, by code. Before the first revision (201110) it is the first revision's.
pub fn divisions_at(month: YearMonth) -> &'static BTreeMap<RegionCode, Division> {
    let tree = tree();
    tree.range(..=month)
        .next_back()
        .or_else(|| tree.first_key_value())
        .map(|(_, divisions)| divisions)
        .expect("the embedded tree has revisions")
}

/// The division that a code named in a month; `None` when the code named nothing then.
pub fn division(code: &RegionCode, month: YearMonth) -> Option<&'static Division> {
    divisions_at(month).get(code)
}

/// The newest division that a code ever named, for codes in old papers; `None` when no revision has it.
pub fn division_ever(code: &RegionCode) -> Option<&'static Division> {
    tree().values().rev().find_map(|divisions| divisions.get(code))
}

fn tree() -> &'static BTreeMap<YearMonth, Divisions> {
    static TREE: LazyLock<BTreeMap<YearMonth, Divisions>> = LazyLock::new(|| {
        build(include_str!("../data/hebei_divisions.csv"), include_str!("../data/hebei_division_changes.csv"))
    });
    &TREE
}

struct Change {
    before: YearMonth,
    since: YearMonth,
    code: RegionCode,
    old_name: &'static str,
    new_name: &'static str,
}

const EMBEDDED: &str = "the embedded division files are well formed; a test reads them all";

fn build(divisions_csv: &'static str, changes_csv: &'static str) -> BTreeMap<YearMonth, Divisions> {
    let mut divisions = Divisions::new();
    for line in divisions_csv.lines().skip(1) {
        let mut fields = line.split(',');
        let code = RegionCode::parse(fields.next().expect(EMBEDDED)).expect(EMBEDDED);
        let name = fields.next().expect(EMBEDDED);
        divisions.insert(code, division_of(code, name));
    }
    let mut changes = Vec::new();
    for line in changes_csv.lines().skip(1) {
        let fields: Vec<&'static str> = line.split(',').collect();
        changes.push(Change {
            before: YearMonth::parse(fields[0]).expect(EMBEDDED),
            since: YearMonth::parse(fields[1]).expect(EMBEDDED),
            code: RegionCode::parse(fields[2]).expect(EMBEDDED),
            old_name: fields[3],
            new_name: fields[4],
        });
    }
    let mut steps: Vec<(YearMonth, YearMonth)> =
        changes.iter().map(|change| (change.since, change.before)).collect();
    steps.sort_unstable();
    steps.dedup();

    let mut tree = BTreeMap::new();
    for (since, before) in steps.into_iter().rev() {
        tree.insert(since, divisions.clone());
        for change in changes.iter().filter(|change| change.since == since) {
            undo(&mut divisions, change);
        }
        tree.insert(before, divisions.clone());
    }
    tree
}

fn undo(divisions: &mut Divisions, change: &Change) {
    if change.old_name.is_empty() {
        let added = divisions.remove(&change.code).expect(EMBEDDED);
        assert_eq!(added.name, change.new_name, "{EMBEDDED}");
        return;
    }
    divisions.insert(change.code, division_of(change.code, change.old_name));
}

/// The levels of the file agree with the digits (a test says so), so a division that went away gets its level from them.
fn division_of(code: RegionCode, name: &'static str) -> Division {
    let level = code.level();
    let parent = match level {
        RegionLevel::Province => None,
        RegionLevel::City => Some(code.province()),
        RegionLevel::County => Some(code.city()),
    };
    Division { code, name, level, parent }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> RegionCode {
        RegionCode::parse(text).unwrap()
    }

    fn name(text: &str, month: &str) -> Option<&'static str> {
        division(&code(text), YearMonth::parse(month).unwrap()).map(|division| division.name)
    }

    #[test]
    fn region_code_of_six_digits_tells_level_city_and_province() {
        assert_eq!(code("130302").level(), RegionLevel::County);
        assert_eq!(code("130302").city(), code("130300"));
        assert_eq!(code("130302").province(), code("130000"));
        assert_eq!(code("130300").level(), RegionLevel::City);
        assert_eq!(code("130000").level(), RegionLevel::Province);
    }

    #[test]
    fn region_code_of_another_shape_is_refused() {
        for text in ["", "13030", "1303021", "13030a", "030302", "１３０３０２", "13 302"] {
            assert!(RegionCode::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tree_of_every_revision_has_each_parent_one_level_up() {
        assert_eq!(revisions().count(), 7);
        for revision in revisions() {
            let divisions = divisions_at(revision);
            for division in divisions.values() {
                assert!(!division.name.is_empty());
                let Some(parent) = division.parent else {
                    assert_eq!(division.level, RegionLevel::Province);
                    continue;
                };
                let parent = divisions.get(&parent).unwrap_or_else(|| panic!("{revision:?} {division:?}"));
                assert!(parent.level < division.level);
            }
        }
    }

    #[test]
    fn tree_levels_and_parents_agree_with_the_file() {
        for line in include_str!("../data/hebei_divisions.csv").lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let division = division(&code(fields[0]), YearMonth::parse("202306").unwrap()).unwrap();
            let level = RegionLevel::parse(fields[2]).unwrap_or(RegionLevel::County);
            assert_eq!(division.level, level, "{line}");
            assert_eq!(division.parent.map(|parent| parent.to_string()).unwrap_or_default(), fields[3]);
        }
    }

    #[test]
    fn tree_of_the_newest_revision_has_11_cities_and_167_counties() {
        let divisions = divisions_at(YearMonth::parse("202306").unwrap());
        let cities = divisions.values().filter(|division| division.level == RegionLevel::City).count();
        let zones = divisions.keys().filter(|code| code.as_str().as_bytes()[4] == b'7').count();
        let counties = divisions.values().filter(|division| division.level == RegionLevel::County).count();
        assert_eq!((cities, counties - zones), (11, 167));
    }

    #[test]
    fn division_lookup_follows_the_month() {
        assert_eq!(name("130306", "201909"), Some("抚宁区"));
        assert_eq!(name("130306", "201410"), None);
        assert_eq!(name("130323", "201410"), Some("抚宁县"));
        assert_eq!(name("139001", "201509"), Some("定州市"));
        assert_eq!(name("130682", "201509"), None);
        assert_eq!(name("130682", "202306"), Some("定州市"));
        assert_eq!(name("139000", "202306"), None);
        assert_eq!(name("130230", "200001"), Some("唐海县"));
        assert_eq!(name("130209", "201210"), Some("曹妃甸区"));
        assert_eq!(name("130230", "201301"), None);
        assert_eq!(division_ever(&code("130230")).map(|division| division.name), Some("唐海县"));
        assert_eq!(division_ever(&code("130301")), None);
    }

    #[test]
    fn xiongan_counties_stand_under_baoding() {
        for county in ["130629", "130632", "130638"] {
            let division = division(&code(county), YearMonth::parse("202306").unwrap()).unwrap();
            assert_eq!(division.parent, Some(code("130600")));
        }
    }
}
