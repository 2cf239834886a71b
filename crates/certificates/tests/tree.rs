//! The hash tree of a version, by its properties and by the published vectors of RFC 6962's reference implementation.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use shipei_certificates::tree::{Branches, Hash, Place, Side, follow, path, root};
use shipei_rules::{
    ids::{ClassId, PersonId},
    region::RegionCode,
};

type Version = BTreeMap<(Place, PersonId), i32>;

fn leaf((key, score): (&(Place, PersonId), &i32)) -> Hash {
    // As the score of a version does, a leaf names its place.
    let (Place { city, county, class }, person) = key;
    Hash::of_leaf(format!("{city:?} {county:?} {class:?} {person} {score}").as_bytes())
}

fn classes_of(version: &Version) -> BTreeMap<Place, BTreeMap<PersonId, Hash>> {
    let mut classes: BTreeMap<Place, BTreeMap<PersonId, Hash>> = BTreeMap::new();
    for entry in version {
        let (place, person) = entry.0;
        classes.entry(place.clone()).or_default().insert(person.clone(), leaf(entry));
    }
    classes
}

fn branches(version: &Version) -> Branches {
    let mut branches = Branches::default();
    for (place, leaves) in classes_of(version) {
        let leaves: Vec<Hash> = leaves.into_values().collect();
        branches.insert(place, root(&leaves).unwrap());
    }
    branches
}

fn versions() -> impl Strategy<Value = Version> {
    let one = (1_u8..4, 1_u8..4, 1_u8..4, 1_u16..40, 0_i32..4);
    proptest::collection::vec(one, 0..60).prop_map(|rows| {
        let mut version = Version::new();
        for (city, county, class, person, score) in rows {
            let place = Place {
                city: RegionCode::parse(&format!("13{city:02}00")).unwrap(),
                county: RegionCode::parse(&format!("13{city:02}{county:02}")).unwrap(),
                class: ClassId::parse(&format!("L{city}{county}{class}")).ok().filter(|_| class > 1),
            };
            version.insert((place, PersonId::parse(&format!("T{person:03}")).unwrap()), score);
        }
        version
    })
}

/// The inputs and roots of certificate-transparency's own tests (`merkle_tree_test.cc`).
#[test]
fn roots_are_those_of_rfc_6962() {
    let inputs =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<Hash> = inputs.iter().map(|input| Hash::of_leaf(&bytes(input))).collect();
    for (size, expected) in roots.iter().enumerate() {
        assert_eq!(root(&leaves[..=size]).unwrap().to_string(), *expected);
    }
    assert_eq!(root(&[]), None);
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

proptest! {
    /// Every leaf leads to the root by its path, and by no path with another element, side or order.
    #[test]
    fn a_path_leads_to_the_root_and_an_altered_one_does_not(version in versions(), at in any::<prop::sample::Index>()) {
        let branches = branches(&version);
        prop_assert_eq!(branches.root().is_none(), version.is_empty());
        for (place, leaves) in classes_of(&version) {
            let hashes: Vec<Hash> = leaves.into_values().collect();
            for index in 0..hashes.len() {
                let mut steps = path(&hashes, index).unwrap();
                steps.extend(branches.path(&place).unwrap());
                prop_assert_eq!(Some(follow(hashes[index], &steps)), branches.root());
                if steps.is_empty() { continue; }
                let at = at.index(steps.len());
                let mut altered = steps.clone();
                altered[at].hash.0[at] ^= 1;
                prop_assert_ne!(Some(follow(hashes[index], &altered)), branches.root());
                let mut turned = steps.clone();
                turned[at].side = if turned[at].side == Side::Left { Side::Right } else { Side::Left };
                prop_assert_ne!(Some(follow(hashes[index], &turned)), branches.root());
            }
            prop_assert_eq!(path(&hashes, hashes.len()), None);
        }
    }
}
