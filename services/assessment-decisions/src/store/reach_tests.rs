//! Every list of this service under every kind of reach, beside what climbing the tree by hand gives.

use chrono::{DateTime, Utc};
use shipei_mirror::testing::{TRAINEES, id, programme, reach_world, stands};
use shipei_rules::{explanation::ItemKey, region::RegionCode, vocabulary::AdjustmentKind};
use shipei_service_kit::{
    Reach,
    testing::{Belongs, TestKit, reaches},
};
use shipei_store::list::all;

use super::{
    Asked,
    certificate::{
        CertificateRow, CertificatesAsked, ToIssue, insert_certificate, list_certificates, to_issue,
    },
    evidence, insert_adjustment, list_adjustments,
    version::{NewScore, insert_scores},
};
use crate::domain::{
    Adjustment,
    evidence::{Bearer, Evidence},
};

const LIMIT: i64 = 100;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn adjustment(person: &str, when: DateTime<Utc>) -> Adjustment {
    Adjustment {
        person_id: id(person),
        number: 0,
        item: ItemKey::Seminar,
        points: 10,
        max_points: 10,
        kind: AdjustmentKind::Excuse,
        reason: "住院".to_owned(),
        decided_at: when,
        expires_at: None,
        actor: "test".to_owned(),
        fact_id: format!("adjusted-{person}"),
        stands: true,
    }
}

async fn lists_hold_what_the_tree_says(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    shipei_mirror::apply(&mut tx, &reach_world()).await.unwrap();
    let tx = &mut tx;
    let (decided, now) = (at("2019-09-20T00:00:00Z"), at("2019-12-01T00:00:00Z"));
    for (person, ..) in TRAINEES {
        insert_adjustment(tx, &programme(), adjustment(person, decided), decided).await.unwrap();
    }
    let asked = Asked { person: None, region: None, with_retracted: false, now };
    for reach in reaches(&["K1", "K2", "K3", "T1", "T3"]) {
        // Where they stand now, and not where they stood when it was decided.
        let reached = |person: &&str| {
            let (region, class) = stands(person, now);
            Belongs { region, class, person, at: now }.is_reached_by(&reach)
        };
        let people = TRAINEES.iter().map(|(person, ..)| *person);
        let mut expected: Vec<String> = people.filter(reached).map(str::to_owned).collect();
        expected.sort();
        let found =
            all(list_adjustments(tx, &reach, &programme(), asked, ("", 0), LIMIT).await.unwrap()).unwrap();
        let found: Vec<String> = found.into_iter().map(|row| row.person_id.to_string()).collect();
        assert_eq!(found, expected, "{reach:?}");
    }
    let own = id("T1");
    let asked = Asked { person: Some(&own), ..asked };
    let found =
        all(list_adjustments(tx, &Reach::Everything, &programme(), asked, ("", 0), LIMIT).await.unwrap())
            .unwrap();
    assert_eq!(found, [Adjustment { number: 1, ..adjustment("T1", decided) }]);
}

fn passed(person: &str, county: RegionCode, class: &str) -> NewScore {
    NewScore {
        person: id(person),
        city: county,
        county,
        class: Some(id(class)),
        total: 90,
        passed: true,
        score: Vec::new(),
        leaf: vec![0; 32],
    }
}

/// What is frozen lies where its trainee was when it was frozen, in the tree of now.
async fn certificates_lie_where_scores_were_frozen(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    shipei_mirror::apply(&mut tx, &reach_world()).await.unwrap();
    let tx = &mut tx;
    let (frozen, now) = (at("2019-10-01T00:00:00Z"), at("2019-12-01T00:00:00Z"));
    for (number, (person, ..)) in (1..).zip(TRAINEES) {
        let (region, class) = stands(person, frozen);
        let county = RegionCode::parse(region).unwrap();
        insert_scores(tx, &programme(), 1, &[passed(person, county, class)]).await.unwrap();
        let certificate = CertificateRow {
            county_code: region.to_owned(),
            serial: number,
            person_id: id(person),
            class_id: class.to_owned(),
            version: 1,
            sealed_code: Vec::new(),
            issued_at: frozen,
            actor: "test".to_owned(),
            revoked_at: None,
            revoke_reason: String::new(),
        };
        insert_certificate(tx, &programme(), &certificate).await.unwrap();
    }
    let (region, class) = stands(TRAINEES[0].0, frozen);
    let county = RegionCode::parse(region).unwrap();
    for reach in reaches(&["K1", "K2", "K3", "T1", "T3"]) {
        let reached = |person: &&str| {
            let (region, class) = stands(person, frozen);
            Belongs { region, class, person, at: now }.is_reached_by(&reach)
        };
        let people = TRAINEES.iter().map(|(person, ..)| *person);
        let mut expected: Vec<&str> = people.filter(reached).collect();
        expected.sort_unstable();
        let asked = CertificatesAsked { region: None, person: None, now };
        let found =
            all(list_certificates(tx, &reach, &programme(), asked, ("", 0), LIMIT).await.unwrap()).unwrap();
        let mut found: Vec<&str> = found.iter().map(|row| row.person_id.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{reach:?}");
    }
    // Who has none yet.
    insert_scores(tx, &programme(), 1, &[passed("T9", county, class)]).await.unwrap();
    let asked = ToIssue { version: 1, county, person: None, after: "", now };
    for reach in reaches(&["K1", "K2", "K3", "T1", "T3"]) {
        let is_reached = Belongs { region, class, person: "T9", at: now }.is_reached_by(&reach);
        let found = to_issue(tx, &reach, &programme(), asked, LIMIT).await.unwrap();
        let found: Vec<&str> = found.iter().map(|passed| passed.person_id.as_str()).collect();
        assert_eq!(found, if is_reached { vec!["T9"] } else { vec![] }, "{reach:?}");
    }
}

#[tokio::test]
async fn certificates_lie_where_scores_were_frozen_on_sqlite() {
    certificates_lie_where_scores_were_frozen(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn certificates_lie_where_scores_were_frozen_on_postgres() {
    certificates_lie_where_scores_were_frozen(TestKit::postgres(crate::NAME, &crate::migrations()).await)
        .await;
}

/// Evidence of a bearer, by an id that says whose it is.
fn evidence_of(bearer: Bearer, when: DateTime<Utc>) -> Evidence {
    let fact_id = format!("of-{}{}", bearer.person_id(), bearer.region_code());
    // Where people stand is asked of the role whose duty it is.
    let duty = match bearer {
        Bearer::Person(_) => "TRAIN-TRAINEE-OFFLINE-SELECT",
        Bearer::Region(_) | Bearer::Institution => "SUMMARY-COUNSELOR",
    };
    Evidence {
        bearer,
        number: 0,
        duty: duty.to_owned(),
        text: "总结".to_owned(),
        link: String::new(),
        file_sha256: Vec::new(),
        about: Vec::new(),
        done_at: when,
        actor: "test".to_owned(),
        fact_id,
        stands: true,
        sent_back: None,
    }
}

async fn evidence_holds_what_the_tree_says(kit: TestKit) {
    const REGIONS: [&str; 4] = ["130302", "130600", "130629", "130632"];
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    shipei_mirror::apply(&mut tx, &reach_world()).await.unwrap();
    let tx = &mut tx;
    let (done, now) = (at("2019-09-20T00:00:00Z"), at("2019-12-01T00:00:00Z"));
    let people = TRAINEES.iter().map(|(person, ..)| Bearer::Person(id(person)));
    let regions = REGIONS.iter().map(|code| Bearer::Region(RegionCode::parse(code).unwrap()));
    let bearers: Vec<Bearer> = [Bearer::Institution].into_iter().chain(regions).chain(people).collect();
    for bearer in &bearers {
        evidence::insert(tx, &programme(), evidence_of(bearer.clone(), done), done).await.unwrap();
    }
    let asked = evidence::Asked { person: None, region: None, duty: "", with_retracted: false, now };
    for reach in reaches(&["K1", "K2", "K3", "T1", "T3"]) {
        let reached = |bearer: &&Bearer| {
            let (region, class, person) = match bearer {
                Bearer::Person(person) => {
                    let (region, class) = stands(person.as_str(), now);
                    (region, class, person.as_str())
                }
                Bearer::Region(region) => (region.as_str(), "", ""),
                Bearer::Institution => ("", "", ""),
            };
            Belongs { region, class, person, at: now }.is_reached_by(&reach)
        };
        let expected: Vec<Bearer> = bearers.iter().filter(reached).cloned().collect();
        let found = evidence::list(tx, &reach, &programme(), asked, ("", "", 0), LIMIT).await.unwrap();
        let found = all(found).unwrap();
        let found: Vec<Bearer> = found.into_iter().map(|row| row.bearer).collect();
        assert_eq!(found, expected, "{reach:?}");
    }
    let own = evidence::by_fact(tx, &programme(), "of-T1").await.unwrap();
    assert_eq!(own, Some(Evidence { number: 1, ..evidence_of(Bearer::Person(id("T1")), done) }));
}

#[tokio::test]
async fn evidence_holds_what_the_tree_says_on_sqlite() {
    evidence_holds_what_the_tree_says(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn evidence_holds_what_the_tree_says_on_postgres() {
    evidence_holds_what_the_tree_says(TestKit::postgres(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_sqlite() {
    lists_hold_what_the_tree_says(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_postgres() {
    lists_hold_what_the_tree_says(TestKit::postgres(crate::NAME, &crate::migrations()).await).await;
}
