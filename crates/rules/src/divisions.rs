//! China's divisions of county level and above by GB/T 2260, dated: what a code named in a month.
//!
//! Codes change meaning over the years (宣化县 became a district in 2016, 定州市 moved under the province and back), so a
//! look-up names a month. The table (`data/divisions.csv`) has a line for each stretch of months in which a code had a
//! name; what its lines come from stands in `data/README.md`. A change lies somewhere between two lists of the source and
//! counts from the later one on; `since` empty means that the first list has it already, `until` empty that the last
//! one still does. Facts worth knowing:
//! - Counties that lie directly under a province (定州市 for a time, 仙桃市, 石河子市) and the districts of the four
//!   municipalities have the province as their parent: there is no city of their digits.
//! - The counties of 雄安新区 (容城, 安新, 雄县) stand under 保定; the new area has no code of its own.
//! - Development zones (`xxxx7x`) are undated in the source; they are taken to be in every month.
//! - Below 台湾省, 香港 and 澳门 the table has nothing.
//!
//! To add a newer list, end the lines that it no longer has (`until`) and append what is new (`since`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::region::{RegionCode, RegionLevel, YearMonth};

/// A division as it was in some month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    /// Its code.
    pub code: RegionCode,
    /// Its Chinese name.
    pub name: &'static str,
    /// Province, city or county.
    pub level: RegionLevel,
    /// What it lies in; `None` for a province. It is always a division of the same month.
    pub parent: Option<RegionCode>,
}

/// A name that a code had for some months.
#[derive(Debug, Clone, Copy)]
struct Named {
    name: &'static str,
    since: Option<YearMonth>,
    until: Option<YearMonth>,
}

impl Named {
    fn is_of(&self, month: YearMonth) -> bool {
        self.since.is_none_or(|since| since <= month) && self.until.is_none_or(|until| month < until)
    }
}

/// The division that a code named in a month; `None` when the code named nothing then.
pub fn division(code: &RegionCode, month: YearMonth) -> Option<Division> {
    let name = name_of(code, month)?;
    let level = code.level();
    let parent = match level {
        RegionLevel::Province => None,
        RegionLevel::City => Some(code.province()),
        RegionLevel::County => {
            let city = code.city();
            Some(if name_of(&city, month).is_some() { city } else { code.province() })
        }
    };
    Some(Division { code: *code, name, level, parent })
}

/// Every division of a month, in the order of the codes.
pub fn divisions_at(month: YearMonth) -> impl Iterator<Item = Division> {
    TABLE.keys().filter_map(move |code| division(code, month))
}

fn name_of(code: &RegionCode, month: YearMonth) -> Option<&'static str> {
    let names = TABLE.get(code)?;
    names.iter().find(|named| named.is_of(month)).map(|named| named.name)
}

const EMBEDDED: &str = "the embedded table is well formed; a test reads it all";

static TABLE: LazyLock<BTreeMap<RegionCode, Vec<Named>>> = LazyLock::new(|| {
    let mut table: BTreeMap<RegionCode, Vec<Named>> = BTreeMap::new();
    for line in include_str!("../data/divisions.csv").lines().skip(1) {
        let fields: Vec<&'static str> = line.split(',').collect();
        let code = RegionCode::parse(fields[0]).expect(EMBEDDED);
        let month = |text: &str| (!text.is_empty()).then(|| YearMonth::parse(text).expect(EMBEDDED));
        let named = Named { name: fields[1], since: month(fields[2]), until: month(fields[3]) };
        table.entry(code).or_default().push(named);
    }
    table
});

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> RegionCode {
        RegionCode::parse(text).unwrap()
    }

    fn month(text: &str) -> YearMonth {
        YearMonth::parse(text).unwrap()
    }

    fn name(text: &str, at: &str) -> Option<&'static str> {
        division(&code(text), month(at)).map(|division| division.name)
    }

    #[test]
    fn every_line_has_a_name_and_months_that_follow_each_other() {
        for (code, names) in TABLE.iter() {
            for named in names {
                assert!(!named.name.trim().is_empty(), "{code}");
                assert!(named.until.is_none() || named.since < named.until, "{code}");
            }
            for pair in names.windows(2) {
                assert!(pair[0].until.is_some() && pair[0].until <= pair[1].since, "{code}");
            }
        }
    }

    #[test]
    fn parent_of_every_division_is_a_division_of_the_month_one_level_up() {
        for at in ["200001", "201110", "201412", "201909", "202306", "202611"] {
            for division in divisions_at(month(at)) {
                let Some(parent) = division.parent else {
                    assert_eq!(division.level, RegionLevel::Province);
                    continue;
                };
                let parent = super::division(&parent, month(at));
                let parent = parent.unwrap_or_else(|| panic!("{at} {division:?}"));
                assert!(parent.level < division.level);
            }
        }
    }

    #[test]
    fn provinces_and_counties_are_as_many_as_there_are() {
        let count = |prefix: &str, level: RegionLevel| {
            let all = divisions_at(month("202306"));
            let those = all.filter(|division| division.level == level);
            let zone =
                |code: &RegionCode| code.as_str().as_bytes()[4] == b'7' && level == RegionLevel::County;
            those.filter(|it| it.code.as_str().starts_with(prefix) && !zone(&it.code)).count()
        };
        assert_eq!(count("", RegionLevel::Province), 34);
        assert_eq!((count("13", RegionLevel::City), count("13", RegionLevel::County)), (11, 167));
        // 16 cities, and 16 districts without one.
        assert_eq!((count("37", RegionLevel::City), count("11", RegionLevel::County)), (16, 16));
    }

    #[test]
    fn look_up_follows_the_month() {
        for (code, at, expected) in [
            ("130306", "201909", Some("抚宁区")),
            ("130306", "201410", None),
            ("130323", "201410", Some("抚宁县")),
            ("139001", "201509", Some("定州市")),
            ("130682", "201509", None),
            ("130682", "202306", Some("定州市")),
            ("130230", "200001", Some("唐海县")),
            ("130209", "201210", Some("曹妃甸区")),
            ("130230", "201301", None),
            // Elsewhere in the country.
            ("110118", "201510", None),
            ("110118", "201909", Some("密云区")),
            ("330113", "202306", Some("临平区")),
            ("330113", "201909", None),
            ("429004", "201909", Some("仙桃市")),
            ("710000", "202611", Some("台湾省")),
        ] {
            assert_eq!(name(code, at), expected, "{code} {at}");
        }
    }

    #[test]
    fn county_without_a_city_stands_under_its_province() {
        let parent = |text: &str| division(&code(text), month("202306")).and_then(|division| division.parent);
        assert_eq!(parent("130629"), Some(code("130600")));
        assert_eq!(parent("429004"), Some(code("420000")));
        assert_eq!(parent("110101"), Some(code("110000")));
    }
}
