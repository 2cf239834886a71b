//! The region tree as a roster names it: by code, or by a name that is one region's only.

use std::collections::HashMap;

use shipei_rules::region::RegionLevel;

/// How many levels a tree has: province, city, county.
const LEVELS: usize = 3;

/// A region of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeRegion {
    /// Its code.
    pub(crate) code: String,
    /// Its name.
    pub(crate) name: String,
    /// Its level.
    pub(crate) level: RegionLevel,
    /// The code of the one above; empty for none.
    pub(crate) parent_code: String,
}

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    regions: HashMap<String, TreeRegion>,
    /// The codes of the regions that a name may mean.
    by_name: HashMap<String, Vec<String>>,
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
        let regions: HashMap<String, TreeRegion> =
            regions.into_iter().map(|region| (region.code.clone(), region)).collect();
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for region in regions.values() {
            // 海港区, 秦皇岛市海港区, 河北省秦皇岛市海港区.
            let mut name = String::new();
            let mut next = Some(region);
            for _ in 0..LEVELS {
                let Some(part) = next else { break };
                name.insert_str(0, &shipei_text::same_name_key(&part.name));
                if !name.is_empty() {
                    by_name.entry(name.clone()).or_default().push(region.code.clone());
                }
                next = regions.get(&part.parent_code);
            }
        }
        Self { regions, by_name }
    }

    /// The level of a region.
    pub(crate) fn level(&self, code: &str) -> Option<RegionLevel> {
        self.regions.get(code).map(|region| region.level)
    }

    /// The region that a name means, of a level if one is given.
    pub(crate) fn named(&self, name: &str, level: Option<RegionLevel>) -> Named<'_> {
        let codes = self.by_name.get(&shipei_text::same_name_key(name));
        let mut found: Vec<&TreeRegion> =
            codes.into_iter().flatten().filter_map(|code| self.regions.get(code)).collect();
        found.sort_by(|one, other| one.code.cmp(&other.code));
        found.dedup();
        if let Some(level) = level {
            found.retain(|region| region.level == level);
        }
        match found.as_slice() {
            [] => Named::None,
            [one] => Named::One(one),
            _ => Named::Several,
        }
    }

    /// The codes and names of the counties, by code.
    pub(crate) fn counties(&self) -> Vec<String> {
        let counties = self.regions.values().filter(|region| region.level == RegionLevel::County);
        let mut codes: Vec<String> = counties.map(|region| region.code.clone()).collect();
        codes.sort_unstable();
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(code: &str, name: &str, level: RegionLevel, parent: &str) -> TreeRegion {
        TreeRegion { code: code.into(), name: name.into(), level, parent_code: parent.into() }
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
            Named::One(region) => region.code.clone(),
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
        assert_eq!(tree.counties(), ["130104", "130302", "130703"]);
        assert_eq!(tree.level("130302"), Some(RegionLevel::County));
    }
}
