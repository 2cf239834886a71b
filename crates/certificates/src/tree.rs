//! The hash tree of a final version. Its leaves are the scores of trainees, and it follows the tree of regions: the scores of a class
//! by person make the class's hash, the hashes of classes by id the county's, those of counties the city's, those of cities the
//! programme's. Each of these is a Merkle tree hash of RFC 6962, section 2.1: a leaf is SHA-256(0x00 || score), a node
//! SHA-256(0x01 || left || right), split at the largest power of two below the number of members; so one root follows from one
//! set of scores on every machine, and two versions are equal where their hashes are. A score names its class, county and city,
//! so that no two places have equal hashes.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use shipei_rules::{ids::ClassId, region::RegionCode};

const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// That of a leaf: of one score in its canonical form.
    pub fn of_leaf(score: &[u8]) -> Self {
        Self(Sha256::new().chain_update(LEAF).chain_update(score).finalize().into())
    }

    fn of_node(left: Self, right: Self) -> Self {
        Self(Sha256::new().chain_update(NODE).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// From 32 bytes; `None` from any other number.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

/// The Merkle tree hash of members in their order; `None` of none.
pub fn root(members: &[Hash]) -> Option<Hash> {
    match members {
        [] => None,
        [one] => Some(*one),
        _ => {
            let (left, right) = members.split_at(split(members.len()));
            Some(Hash::of_node(root(left)?, root(right)?))
        }
    }
}

/// The largest power of two below `members`, which are two at least.
fn split(members: usize) -> usize {
    members.next_power_of_two() / 2
}

/// On which side of what has been computed so far a step's hash stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before it.
    Left,
    /// After it.
    Right,
}

/// One step of the way from a leaf to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where the sibling stands.
    pub side: Side,
    /// The sibling's hash.
    pub hash: Hash,
}

/// The way from a member to the root of its members; `None` when there is no such member.
pub fn path(members: &[Hash], index: usize) -> Option<Vec<Step>> {
    if index >= members.len() {
        return None;
    }
    let mut steps = Vec::new();
    let (mut members, mut index) = (members, index);
    while members.len() > 1 {
        let (left, right) = members.split_at(split(members.len()));
        if index < left.len() {
            steps.push(Step { side: Side::Right, hash: root(right)? });
            members = left;
        } else {
            steps.push(Step { side: Side::Left, hash: root(left)? });
            index -= left.len();
            members = right;
        }
    }
    steps.reverse();
    Some(steps)
}

/// Where a way leads from a leaf: it belongs to a version when that is the version's root.
pub fn follow(leaf: Hash, steps: &[Step]) -> Hash {
    steps.iter().fold(leaf, |below, step| match step.side {
        Side::Left => Hash::of_node(step.hash, below),
        Side::Right => Hash::of_node(below, step.hash),
    })
}

/// Where a score stands in the tree of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The city.
    pub city: RegionCode,
    /// The county.
    pub county: RegionCode,
    /// The class; none of who is in no class.
    pub class: Option<ClassId>,
}

/// The hashes of a version down to its classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branches {
    cities: BTreeMap<RegionCode, City>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct City {
    counties: BTreeMap<RegionCode, Classes>,
}

impl City {
    fn hash(&self) -> Option<Hash> {
        let counties: Vec<Hash> = self.counties.values().filter_map(hash_of).collect();
        root(&counties)
    }
}

/// The hashes of a county's classes.
type Classes = BTreeMap<Option<ClassId>, Hash>;

fn hash_of(classes: &Classes) -> Option<Hash> {
    root(&classes.values().copied().collect::<Vec<_>>())
}

impl Branches {
    /// Puts a class there, by the hash of its scores.
    pub fn insert(&mut self, place: Place, hash: Hash) {
        let Place { city, county, class } = place;
        self.cities.entry(city).or_default().counties.entry(county).or_default().insert(class, hash);
    }

    /// The root; `None` of a version without scores.
    pub fn root(&self) -> Option<Hash> {
        root(&self.city_hashes())
    }

    fn city_hashes(&self) -> Vec<Hash> {
        self.cities.values().filter_map(City::hash).collect()
    }

    /// The way from a class's hash to the root; `None` when there is no such class.
    pub fn path(&self, place: &Place) -> Option<Vec<Step>> {
        let city = self.cities.get(&place.city)?;
        let classes = city.counties.get(&place.county)?;
        let of_classes: Vec<Hash> = classes.values().copied().collect();
        let of_counties: Vec<Hash> = city.counties.values().filter_map(hash_of).collect();
        let mut steps = path(&of_classes, classes.keys().position(|class| *class == place.class)?)?;
        let county = city.counties.keys().position(|county| *county == place.county)?;
        steps.extend(path(&of_counties, county)?);
        let of_cities = self.cities.keys().position(|city| *city == place.city)?;
        steps.extend(path(&self.city_hashes(), of_cities)?);
        Some(steps)
    }
}
