//! Every list of this service under every kind of reach, beside what climbing the tree by hand gives.

use shipei_rules::{ids::ProgrammeId, region::RegionLevel, vocabulary::Role};
use shipei_service_kit::{
    Reach,
    testing::{Belongs, TREE, TestKit, reaches},
};
use shipei_store::{Tx, execute, list::all};

use super::{
    Life, Maybe, Stamp,
    class::{self, ClassRow},
    county, honour,
    person::{self, PeopleFilter},
    programme,
    region::{self, RegionRow, SchoolRow},
};
use crate::domain::Time;

fn programme_id() -> ProgrammeId {
    id("P")
}

/// An id or a code.
fn id<T: TryFrom<String, Error: std::fmt::Debug>>(text: &str) -> T {
    T::try_from(text.to_owned()).unwrap()
}

/// An id or a code that may be absent.
fn maybe<T: TryFrom<String, Error: std::fmt::Debug>>(text: &str) -> Option<T> {
    (!text.is_empty()).then(|| id(text))
}

const LIMIT: i64 = 100;
/// People with their counties and classes; some have none.
const PEOPLE: [(&str, &str, &str); 7] = [
    ("I1", "", ""),
    ("K1", "130632", ""),
    ("T1", "130629", "L1"),
    ("T2", "130632", "L2"),
    ("T3", "130302", "L3"),
    ("U1", "130629", ""),
    ("U2", "130632", ""),
];
const CLASSES: [(&str, &str, &str); 3] =
    [("L1", "133100", "U1"), ("L2", "130600", "U2"), ("L3", "130302", "")];
const SCHOOLS: [(&str, &str); 3] = [("S1", "130302"), ("S2", "130629"), ("S3", "130632")];
const REMITTANCES: [(&str, &str, &str); 4] = [
    ("130302", "R1", "2019-09-01T00:00:00Z"),
    ("130629", "R2", "2019-09-01T00:00:00Z"),
    ("130632", "R3", "2019-09-30T23:59:59Z"),
    ("130632", "R4", "2019-10-01T00:00:00Z"),
];
const CHOICES: [(&str, &str, &str, &str); 3] = [
    ("U1", "130629", "X1", "2019-09-01T00:00:00Z"),
    ("U2", "130632", "X1", "2019-09-01T00:00:00Z"),
    ("U2", "130632", "X2", "2019-12-26T00:00:00Z"),
];

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn stamp(occurred_at: &str) -> Stamp {
    let occurred_at = at(occurred_at);
    Stamp { occurred_at, recorded_at: occurred_at, actor: "test".to_owned() }
}

fn level(code: &str) -> RegionLevel {
    match code {
        "130000" => RegionLevel::Province,
        city if city.ends_with("00") => RegionLevel::City,
        _ => RegionLevel::County,
    }
}

async fn populate(tx: &mut Tx) {
    let begun = stamp("2019-06-20T00:00:00Z");
    let programme = &programme_id();
    programme::insert_programme(tx, programme, id("130000"), &begun).await.unwrap();
    programme::insert_scheme(tx, programme, 1, "", "", &begun).await.unwrap();
    for (code, parent_code, since) in TREE {
        let row = RegionRow {
            code: id(code),
            name: code.to_owned(),
            level: level(code).as_str().to_owned(),
            parent_code: Maybe(maybe(parent_code)),
            created_parent_code: Maybe(maybe(parent_code)),
            in_national_standard: false,
            life: Life::default(),
        };
        if since.is_empty() {
            assert!(region::insert_region(tx, programme, &row, &begun).await.unwrap());
        } else {
            let kept = region::region(tx, programme, id(code)).await.unwrap().unwrap();
            let moved = (1, kept.parent_code.0.unwrap(), id(parent_code));
            region::insert_region_move(tx, programme, &kept, moved, &stamp(since)).await.unwrap();
        }
    }
    for (school_code, county_code) in SCHOOLS {
        let row = SchoolRow {
            school_code: id(school_code),
            name: String::new(),
            county_code: id(county_code),
            created_county_code: id(county_code),
            life: Life::default(),
        };
        region::insert_school(tx, programme, &row, &begun).await.unwrap();
    }
    for (class_id, region_code, tutor_id) in CLASSES {
        let row = ClassRow {
            class_id: id(class_id),
            name: String::new(),
            region_code: id(region_code),
            created_region_code: id(region_code),
            life: Life::default(),
            tutor_id: Maybe(maybe(tutor_id)),
            created_tutor_id: Maybe(maybe(tutor_id)),
        };
        class::insert_class(tx, programme, &row, &begun).await.unwrap();
    }
    for (person_id, county_code, class_id) in PEOPLE {
        let role = if person_id.starts_with('U') { Role::ClassTutor } else { Role::Trainee };
        execute!(
            tx,
            "INSERT INTO person (programme_id, person_id, name, name_key, sealed_identity_number, identity_digest, role, \
             education_stage, subject, development_stage, county_code, school_code, class_id, roster_county_code, \
             roster_school_code, roster_class_id, occurred_at, recorded_at, actor) \
             VALUES ($1, $2, '', 'KEY', $3, $3, $7, '', '', '', $4, '', $5, $4, '', $5, $6, $6, 'test')",
            programme.as_str(),
            person_id,
            person_id.as_bytes(),
            county_code,
            class_id,
            begun.occurred_at,
            role.as_str()
        )
        .unwrap();
    }
    for (county_code, reference, sent) in REMITTANCES {
        let key_ref = id(reference);
        let key = (programme, id(county_code), &key_ref);
        county::insert_remittance(tx, key, 1, (&stamp(sent), reference)).await.unwrap();
    }
    for code in ["130302", "130629", "130632"] {
        let reported = stamp("2019-09-05T00:00:00Z");
        let fact = county::CountyFact::Reported;
        county::note(tx, (programme, id(code)), fact, Some(&id("K1")), (&reported, code)).await.unwrap();
    }
    for (tutor_id, _, expert_id, chosen) in CHOICES {
        let (tutor, expert) = (id(tutor_id), id(expert_id));
        honour::note_choice(tx, programme, &tutor, &expert, (&stamp(chosen), tutor_id)).await.unwrap();
    }
}

/// The names of those rows that a reach holds.
fn reached<'a>(reach: &Reach, rows: impl IntoIterator<Item = (&'a str, Belongs<'a>)>) -> String {
    let held = rows.into_iter().filter(|(_, belongs)| belongs.is_reached_by(reach));
    held.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

fn names(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(" ")
}

/// An expert reaches whoever teaches their subject, alone or beside others, and the tutors of those; a subject is no part of another's name.
async fn each_of_several_subjects_is_reached(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    populate(&mut tx).await;
    let (tx, programme) = (&mut tx, &programme_id());
    for (person_id, subjects) in [("T1", "数学、语文"), ("T2", "语文"), ("T3", "数学史")] {
        let sql = "UPDATE person SET subject = $3 WHERE programme_id = $1 AND person_id = $2";
        execute!(tx, sql, programme.as_str(), person_id, subjects).unwrap();
    }
    let now = at("2019-10-01T00:00:00Z");
    for (subject, expected) in
        [("语文", "T1 T2 U1 U2"), ("数学", "T1 U1"), ("数学史", "T3"), ("英语", ""), ("%", "")]
    {
        let (reach, filter) = (Reach::Subject(subject.to_owned()), PeopleFilter::default());
        let found = person::people(tx, &reach, programme, filter, now, ("", ""), LIMIT).await.unwrap();
        let found = all(found).unwrap().into_iter().map(|row| row.person_id.to_string());
        assert_eq!(names(found), expected, "{subject}");
    }
}

async fn lists_hold_what_the_tree_says(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    populate(&mut tx).await;
    let programme = &programme_id();
    let tx = &mut tx;
    let counties = ["130302", "130629", "130632"];
    for now in [at("2019-09-30T23:59:59Z"), at("2019-10-01T00:00:00Z")] {
        let of = |region, class, person| Belongs { region, class, person, at: now };
        for reach in reaches(&["T1", "T2", "T3", "U1", "U2"]) {
            let context = format!("{reach:?} at {now}");

            let found =
                all(region::regions(tx, &reach, programme, (None, None), now, "", LIMIT).await.unwrap())
                    .unwrap();
            let mut codes: Vec<&str> = TREE.iter().map(|(code, ..)| *code).collect();
            codes.sort_unstable();
            codes.dedup();
            let expected = reached(&reach, codes.iter().map(|code| (*code, of(code, "", ""))));
            assert_eq!(names(found.into_iter().map(|row| row.code.to_string())), expected, "{context}");

            let found =
                all(region::schools(tx, &reach, programme, None, now, "", LIMIT).await.unwrap()).unwrap();
            let expected = reached(&reach, SCHOOLS.map(|(school, county)| (school, of(county, "", ""))));
            assert_eq!(
                names(found.into_iter().map(|row| row.school_code.to_string())),
                expected,
                "{context}"
            );

            let found =
                all(class::classes(tx, &reach, programme, (None, None), now, "", LIMIT).await.unwrap())
                    .unwrap();
            let expected =
                reached(&reach, CLASSES.map(|(class, region, tutor)| (class, of(region, class, tutor))));
            assert_eq!(names(found.into_iter().map(|row| row.class_id.to_string())), expected, "{context}");

            let found =
                all(county::counties(tx, &reach, programme, None, now, "", LIMIT).await.unwrap()).unwrap();
            let expected = reached(&reach, counties.map(|code| (code, of(code, "", ""))));
            assert_eq!(
                names(found.into_iter().map(|row| row.county_code.to_string())),
                expected,
                "{context}"
            );
            let found = county::reported_counties(tx, &reach, programme, id("130000"), now).await.unwrap();
            assert_eq!(names(found.iter().map(ToString::to_string)), expected, "{context}");

            let found = all(programme::programmes(tx, &reach, now, "", LIMIT).await.unwrap()).unwrap();
            let expected = reached(&reach, [(programme.as_str(), of("130000", "", ""))]);
            assert_eq!(
                names(found.into_iter().map(|row| row.programme_id.to_string())),
                expected,
                "{context}"
            );

            let found = all(county::remittances(tx, &reach, programme, None, ("", ""), LIMIT).await.unwrap())
                .unwrap();
            let expected = reached(
                &reach,
                REMITTANCES.map(|(county, reference, sent)| {
                    (reference, Belongs { region: county, class: "", person: "", at: at(sent) })
                }),
            );
            assert_eq!(names(found.into_iter().map(|row| row.r#ref.to_string())), expected, "{context}");

            let found =
                all(honour::choices(tx, &reach, programme, None, ("", ""), LIMIT).await.unwrap()).unwrap();
            let expected = reached(
                &reach,
                CHOICES.map(|(tutor, county, _, chosen)| {
                    (tutor, Belongs { region: county, class: "", person: tutor, at: at(chosen) })
                }),
            );
            assert_eq!(names(found.into_iter().map(|row| row.tutor_id.to_string())), expected, "{context}");

            let sought = person::Sought::Name("KEY".to_owned());
            for asked in ["", "133100"] {
                let found = person::found(tx, &reach, programme, (&sought, maybe(asked)), now, LIMIT).await;
                let region = Reach::region(asked);
                let rows = PEOPLE
                    .iter()
                    .filter(|(person, county, class)| of(county, class, person).is_reached_by(&region));
                let expected =
                    reached(&reach, rows.map(|(person, county, class)| (*person, of(county, class, person))));
                let found = names(found.unwrap().into_iter().map(|row| row.person_id.to_string()));
                assert_eq!(found, expected, "{asked} {context}");
            }

            for (asked, class_id) in
                [("", ""), ("133100", ""), ("130632", ""), ("130600", ""), ("", "L1"), ("133100", "L2")]
            {
                let class = maybe(class_id);
                let filter = PeopleFilter { role: None, region_code: maybe(asked), class_id: class.as_ref() };
                let found =
                    all(person::people(tx, &reach, programme, filter, now, ("", ""), LIMIT).await.unwrap())
                        .unwrap();
                let region = Reach::region(asked);
                let rows = PEOPLE.iter().filter(|(person, county, class)| {
                    of(county, class, person).is_reached_by(&region)
                        && (class_id.is_empty() || *class == class_id)
                });
                let expected =
                    reached(&reach, rows.map(|(person, county, class)| (*person, of(county, class, person))));
                let found = names(found.into_iter().map(|row| row.person_id.to_string()));
                assert_eq!(found, expected, "{asked} {class_id} {context}");
            }
        }
    }
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_sqlite() {
    lists_hold_what_the_tree_says(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_postgres() {
    lists_hold_what_the_tree_says(TestKit::postgres(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn each_of_several_subjects_is_reached_on_sqlite() {
    each_of_several_subjects_is_reached(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn each_of_several_subjects_is_reached_on_postgres() {
    each_of_several_subjects_is_reached(TestKit::postgres(crate::NAME, &crate::migrations()).await).await;
}
