//! Every list of this service under every kind of reach, beside what climbing the tree by hand gives.

use chrono::{DateTime, Utc};
use shipei_assessment::{
    NAME, migrations,
    store::{
        counties as stored_counties, honours,
        lists::{self, TraineesAsked},
    },
};
use shipei_mirror::testing::{PROGRAMME, TRAINEES, reach_world, stands, withdrawal};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    testing::{Belongs, TREE, TestKit, reaches},
};
use shipei_store::{Tx, execute, list::all};

const LIMIT: i64 = 100;
/// A time after which nothing happens.
const END: &str = "2019-12-31T00:00:00Z";
const TUTORS: [(&str, &str); 3] = [("U1", "130629"), ("U2", "130632"), ("U3", "")];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn populate(tx: &mut Tx) {
    shipei_mirror::apply(tx, &reach_world()).await.unwrap();
    shipei_mirror::apply(tx, &[withdrawal("T2", "12-20T00:00:00")]).await.unwrap();
    for (person_id, county_code, class_id) in
        TRAINEES.iter().copied().chain([("T3", "130629", "L1"), ("T9", "130302", "L3")])
    {
        execute!(
            tx,
            "INSERT INTO trainee_place (programme_id, person_id, county_code, class_id) VALUES ($1, $2, $3, $4)",
            PROGRAMME,
            person_id,
            county_code,
            class_id
        )
        .unwrap();
    }
    for (person_id, withdrawn) in [("T1", false), ("T2", true), ("T3", false)] {
        let (county_code, class_id) = stands(person_id, at(END));
        execute!(
            tx,
            "INSERT INTO trainee_score (programme_id, person_id, items, county_code, class_id, withdrawn, contribution, points) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            PROGRAMME,
            person_id,
            &b"items"[..],
            county_code,
            class_id,
            withdrawn,
            &b""[..],
            &b"points"[..]
        )
        .unwrap();
        execute!(
            tx,
            "INSERT INTO duty_fact (programme_id, kind, person_id, region_code, reference, happened_at, source, fact_id) \
             VALUES ($1, 'recommended', $2, '', 'U1', $3, 'assessment-decisions', $2)",
            PROGRAMME,
            person_id,
            at(END)
        )
        .unwrap();
    }
    for (person_id, county_code) in TUTORS {
        execute!(
            tx,
            "INSERT INTO tutor_score (programme_id, person_id, county_code, points) VALUES ($1, $2, $3, $4)",
            PROGRAMME,
            person_id,
            county_code,
            &b"points"[..]
        )
        .unwrap();
        execute!(
            tx,
            "INSERT INTO tutor_choice (programme_id, tutor_id, expert_id, chosen_at, fact_id) VALUES ($1, $2, 'X1', $3, $2)",
            PROGRAMME,
            person_id,
            at(END)
        )
        .unwrap();
    }
}

fn names<'a>(reach: &Reach, rows: impl IntoIterator<Item = (&'a str, Belongs<'a>)>) -> Vec<&'a str> {
    rows.into_iter().filter(|(_, belongs)| belongs.is_reached_by(reach)).map(|(name, _)| name).collect()
}

async fn lists_hold_what_the_tree_says(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    populate(&mut tx).await;
    let tx = &mut tx;
    let programme_id = &ProgrammeId::parse(PROGRAMME).unwrap();
    let mut regions: Vec<&str> = TREE.iter().map(|(code, ..)| *code).collect();
    regions.push("");
    for as_of in ["2019-09-30T23:59:59Z", "2019-10-01T00:00:00Z", "2019-11-15T00:00:00Z", END] {
        let as_of = at(as_of);
        let of = |region, class, person| Belongs { region, class, person, at: as_of };
        let here =
            TRAINEES.iter().filter(|(person, ..)| *person != "T2" || as_of < at("2019-12-19T16:00:00Z"));
        let trainees: Vec<(&str, Belongs<'_>)> = here
            .map(|(person, ..)| (*person, stands(person, as_of)))
            .map(|(person, (county, class))| (person, of(county, class, person)))
            .collect();
        for reach in reaches(&["T1", "T2", "T3", "U1", "U2"]) {
            for region_code in &regions {
                let asked = Reach::region(region_code);
                let region = RegionCode::parse_optional(region_code).unwrap();
                for class_id in ["", "L1", "L3"] {
                    let class = ClassId::parse_optional(class_id).unwrap();
                    let list = TraineesAsked { region_code: region, class_id: class.as_ref(), as_of };
                    let found =
                        all(lists::trainees(tx, &reach, programme_id, list, "", LIMIT).await.unwrap())
                            .unwrap();
                    for there in &found {
                        let (county, class) = stands(there.person_id.as_str(), as_of);
                        let found = (text_of(there.county_code.as_ref()), text_of(there.class_id.as_ref()));
                        assert_eq!(found, (county, class));
                    }
                    let found: Vec<String> =
                        found.into_iter().map(|there| there.person_id.to_string()).collect();
                    let rows = trainees.iter().copied().filter(|(_, belongs)| {
                        belongs.is_reached_by(&asked) && (class_id.is_empty() || belongs.class == class_id)
                    });
                    let context = format!("{region_code} {class_id} {reach:?} as of {as_of}");
                    assert_eq!(found, names(&reach, rows), "{context}");
                    if as_of == at(END) {
                        let kept = all(lists::kept_trainees(tx, &reach, programme_id, list, "", LIMIT)
                            .await
                            .unwrap())
                        .unwrap();
                        let kept: Vec<String> =
                            kept.into_iter().map(|row| row.person_id.to_string()).collect();
                        assert_eq!(kept, found, "{context}");
                        let of = (region, class.as_ref(), as_of);
                        let honoured =
                            all(honours::recommended(tx, &reach, programme_id, of, "", LIMIT).await.unwrap());
                        let there = honoured.unwrap();
                        let there = there.iter().map(|row| row.person_id.to_string());
                        // Who has left is listed too, as one who does not count.
                        let there: Vec<String> = there.filter(|person| person != "T2").collect();
                        assert_eq!(there, found, "{context}");
                    }
                }
                let rows = TUTORS.map(|(tutor, county)| (tutor, of(county, "", tutor)));
                let rows = rows.into_iter().filter(|(_, belongs)| belongs.is_reached_by(&asked));
                let found =
                    lists::tutors(tx, &reach, programme_id, (region, as_of), "", LIMIT).await.unwrap();
                let found: Vec<&str> = found.iter().map(PersonId::as_str).collect();
                assert_eq!(found, names(&reach, rows), "{region_code} {reach:?} as of {as_of}");
                let chosen =
                    honours::chosen(tx, &reach, programme_id, (region, as_of), "", LIMIT).await.unwrap();
                let chosen = all(chosen).unwrap();
                let chosen: Vec<&str> = chosen.iter().map(PersonId::as_str).collect();
                assert_eq!(chosen, found, "{region_code} {reach:?} as of {as_of}");

                let rows = ["130302", "130629", "130632"].map(|code| (code, of(code, "", "")));
                let rows = rows.into_iter().filter(|(_, belongs)| belongs.is_reached_by(&asked));
                let of_region = (None, region, as_of);
                let found =
                    stored_counties::counties(tx, &reach, programme_id, of_region, "", LIMIT).await.unwrap();
                let found: Vec<&str> = found.iter().map(RegionCode::as_str).collect();
                assert_eq!(found, names(&reach, rows), "{region_code} {reach:?} as of {as_of}");
            }
        }
    }
    // What is of the whole programme is seen whole or not at all.
    for reach in reaches(&["T1"]) {
        let all = lists::all_tutors(tx, &reach, programme_id, "", LIMIT).await.unwrap().len();
        let points = lists::tutor_points(tx, &reach, programme_id, "", LIMIT).await.unwrap().len();
        let expected = if reach == Reach::Everything { TUTORS.len() } else { 0 };
        assert_eq!((all, points), (expected, expected), "{reach:?}");
    }
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_sqlite() {
    lists_hold_what_the_tree_says(TestKit::sqlite(NAME, &migrations()).await).await;
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_postgres() {
    lists_hold_what_the_tree_says(TestKit::postgres(NAME, &migrations()).await).await;
}
