//! The region tree as a roster names it: by code, or by a name that is one region's only.

use std::collections::HashMap;

use shipei_rules::region::{RegionCode, RegionLevel};

/// How many levels a tree has: province, city, county.
const LEVELS: usize = 3;

/// A region of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeRegion {
    /// Its code.
    pub(crate) code: RegionCode,
    /// Its name.
    pub(crate) name: String,
    /// Its level.
    pub(crate) level: RegionLevel,
    /// The code of the one above.
    pub(crate) parent_code: Option<RegionCode>,
    /// Whether it was closed or merged into another.
    pub(crate) is_closed: bool,
}

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    regions: HashMap<RegionCode, TreeRegion>,
    /// The codes of the regions that a name may mean.
    by_name: HashMap<String, Vec<RegionCode>>,
}

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named<'tree> {
    /// One region.
    One(&'tree TreeRegion),
    /// More than one.
    Several,
    /// None.
    None,
}

impl Tree {
    pub(crate) fn new(regions: impl IntoIterator<Item = TreeRegion>) -> Self {
        let regions: HashMap<RegionCode, TreeRegion> =
            regions.into_iter().map(|region| (region.code, region)).collect();
        let mut by_name: HashMap<String, Vec<RegionCode>> = HashMap::new();
        for region in regions.values() {
            // 海港区, 秦皇岛市海港区, 河北省秦皇岛市海港区.
            let mut name = String::new();
            let mut next = Some(region);
            for _ in 0..LEVELS {
                let Some(part) = next else { break };
                name.insert_str(0, &shipei_text::same_name_key(&part.name));
                if !name.is_empty() {
                    by_name.entry(name.clone()).or_default().push(region.code);
                }
                next = part.parent_code.and_then(|code| regions.get(&code));
            }
        }
        Self { regions, by_name }
    }

    /// The level of a region.
    pub(crate) fn level(&self, code: RegionCode) -> Option<RegionLevel> {
        self.regions.get(&code).map(|region| region.level)
    }

    /// The region that a name means, of a level if one is given.
    pub(crate) fn named(&self, name: &str, level: Option<RegionLevel>) -> Named<'_> {
        let codes = self.by_name.get(&shipei_text::same_name_key(name));
        let mut found: Vec<&TreeRegion> =
            codes.into_iter().flatten().filter_map(|code| self.regions.get(code)).collect();
        found.sort_by_key(|one| one.code);
        found.dedup();
        if let Some(level) = level {
            found.retain(|region| region.level == level);
        }
        // A name that has become free is that of who has it now.
        if found.len() > 1 && found.iter().any(|region| !region.is_closed) {
            found.retain(|region| !region.is_closed);
        }
        match found.as_slice() {
            [] => Named::None,
            [one] => Named::One(one),
            _ => Named::Several,
        }
    }

    /// The codes of the counties that are there.
    pub(crate) fn counties(&self) -> Vec<RegionCode> {
        let is_there = |region: &&TreeRegion| region.level == RegionLevel::County && !region.is_closed;
        let counties = self.regions.values().filter(is_there);
        let mut codes: Vec<RegionCode> = counties.map(|region| region.code).collect();
        codes.sort_unstable();
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(code: &str, name: &str, level: RegionLevel, parent: &str) -> TreeRegion {
        TreeRegion {
            code: code.parse().unwrap(),
            name: name.into(),
            level,
            parent_code: RegionCode::parse_optional(parent).unwrap(),
            is_closed: false,
        }
    }

    #[test]
    fn closed_county_is_not_listed_and_leaves_its_name() {
        let closed =
            |code, name| TreeRegion { is_closed: true, ..region(code, name, RegionLevel::County, "130300") };
        let open = |code, name| region(code, name, RegionLevel::County, "130300");
        let tree =
            Tree::new([closed("130302", "海港区"), open("130303", "海港区"), closed("130304", "北戴河区")]);
        assert!(matches!(tree.named("海港区", None), Named::One(found) if found.code.as_str() == "130303"));
        assert!(matches!(tree.named("北戴河区", None), Named::One(found) if found.is_closed));
        assert_eq!(tree.counties(), ["130303".parse().unwrap()]);
    }

    #[test]
    fn name_means_a_region_when_it_is_one_only() {
        let tree = Tree::new([
            region("130000", "河北省", RegionLevel::Province, ""),
            region("130100", "石家庄市", RegionLevel::City, "130000"),
            region("130300", "秦皇岛市", RegionLevel::City, "130000"),
            region("130302", "海港区", RegionLevel::County, "130300"),
            region("130104", "桥西区", RegionLevel::County, "130100"),
            region("130703", "桥西区", RegionLevel::County, "130300"),
        ]);
        let code = |name: &str, level| match tree.named(name, level) {
            Named::One(region) => region.code.to_string(),
            other => format!("{other:?}"),
        };
        for name in ["海港区", " 海 港 区 ", "秦皇岛市海港区", "河北省秦皇岛市海港区"]
        {
            assert_eq!(code(name, None), "130302", "{name}");
        }
        assert_eq!(code("桥西区", None), "Several");
        assert_eq!(code("石家庄市桥西区", None), "130104");
        assert_eq!(code("秦皇岛市", Some(RegionLevel::City)), "130300");
        assert_eq!(code("秦皇岛市", Some(RegionLevel::County)), "None");
        assert_eq!(code("", None), "None");
        let counties: Vec<String> = tree.counties().iter().map(ToString::to_string).collect();
        assert_eq!(counties, ["130104", "130302", "130703"]);
        assert_eq!(tree.level("130302".parse().unwrap()), Some(RegionLevel::County));
    }
}
