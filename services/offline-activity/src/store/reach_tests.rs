//! Every list of this service under every kind of reach, beside what climbing the tree by hand gives.

use chrono::{DateTime, Utc};
use shipei_mirror::testing::{TRAINEES, id, programme, reach_world, stands};
use shipei_rules::{
    ids::{ActivityId, PersonId},
    region::RegionCode,
    vocabulary::EducationStage,
};
use shipei_service_kit::{
    Reach,
    testing::{Belongs, TestKit, reaches},
};
use shipei_store::{Tx, list::all};

use super::{
    AttendanceFact, Recorded, attendances_recorded, insert_activity, insert_plan, insert_results,
    keep_attendances, list_activities, list_attendances, list_plans, list_results,
};
use crate::domain::{Activity, Plan, Results};

const LIMIT: i64 = 100;
/// What each county does, by which counselor, before and after 130632 comes to lie in 133100.
const DONE: [(&str, &str, &str, &str); 5] = [
    ("A1", "130302", "K1", "2019-09-20T00:00:00Z"),
    ("A2", "130629", "K2", "2019-09-20T00:00:00Z"),
    ("A3", "130629", "K2", "2019-12-01T00:00:00Z"),
    ("A4", "130632", "K3", "2019-09-30T23:59:59Z"),
    ("A5", "130632", "K3", "2019-10-01T00:00:00Z"),
];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn populate(tx: &mut Tx) {
    shipei_mirror::apply(tx, &reach_world()).await.unwrap();
    let people: Vec<PersonId> = TRAINEES.iter().map(|(person, ..)| id(person)).collect();
    for (activity_id, county_code, counselor_id, when) in DONE {
        let (when, stage) = (at(when), EducationStage::Compulsory);
        let recorded = Recorded { at: when, actor: "test".to_owned() };
        let (county_code, counselor_id): (RegionCode, PersonId) = (id(county_code), id(counselor_id));
        let title = activity_id.to_owned();
        let activity_id: ActivityId = id(activity_id);
        let activity = Activity {
            activity_id: activity_id.clone(),
            county_code,
            stage,
            theme: String::new(),
            counselor_id: counselor_id.clone(),
            held_at: when,
            fact_id: format!("held-{title}"),
            stands: true,
        };
        insert_activity(tx, &programme(), &activity, &recorded).await.unwrap();
        let fact = |person_id: &PersonId| AttendanceFact {
            person_id: person_id.clone(),
            fact_id: format!("{title}:{person_id}"),
            stands: true,
        };
        let facts: Vec<AttendanceFact> = people.iter().map(fact).collect();
        let (of, by) = ((&programme(), &activity_id), (&counselor_id, when));
        keep_attendances(tx, of, &facts, by, &recorded).await.unwrap();
        let results = Results {
            number: 0,
            county_code,
            stage,
            title: title.clone(),
            counselor_id: counselor_id.clone(),
            submitted_at: when,
            fact_id: format!("results-{title}"),
            stands: true,
        };
        insert_results(tx, &programme(), results, &recorded).await.unwrap();
        // The first submission of a plan gives its time.
        let fact_id = format!("plan-{title}");
        let plan = Plan {
            county_code,
            stage,
            title,
            title_fact_id: fact_id.clone(),
            counselor_id,
            submitted_at: when,
            fact_id,
        };
        insert_plan(tx, &programme(), &plan, &recorded).await.unwrap();
    }
}

/// Sorted, since lists differ in their order.
fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

async fn lists_hold_what_the_tree_says(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    populate(&mut tx).await;
    let tx = &mut tx;
    let ids: Vec<PersonId> = TRAINEES.iter().map(|(person, ..)| id(person)).collect();
    for reach in reaches(&["K1", "K2", "K3", "T1", "T3"]) {
        let done = |(name, region, person, when): &(&str, &str, &str, &str)| {
            let belongs = Belongs { region, class: "", person, at: at(when) };
            belongs.is_reached_by(&reach).then(|| (*name).to_owned())
        };
        let expected = sorted(DONE.iter().filter_map(done));
        let start = DateTime::UNIX_EPOCH;
        let found = all(list_activities(tx, &reach, &programme(), (None, "", false), (start, ""), LIMIT)
            .await
            .unwrap())
        .unwrap();
        assert_eq!(sorted(found.into_iter().map(|row| row.activity_id.to_string())), expected, "{reach:?}");
        let found =
            all(list_results(tx, &reach, &programme(), (None, false), ("", "", 0), LIMIT).await.unwrap())
                .unwrap();
        assert_eq!(sorted(found.into_iter().map(|row| row.title)), expected, "{reach:?}");

        let first = |county: &str| DONE.iter().find(|(_, region, ..)| *region == county);
        let plans = ["130302", "130629", "130632"].into_iter().filter_map(first);
        let expected =
            sorted(plans.filter(|plan| done(plan).is_some()).map(|(_, county, ..)| (*county).to_owned()));
        let found = all(list_plans(tx, &reach, &programme(), None, ("", ""), LIMIT).await.unwrap()).unwrap();
        assert_eq!(sorted(found.into_iter().map(|row| row.county_code.to_string())), expected, "{reach:?}");

        for (activity_id, region, _, when) in DONE {
            let attended = |person: &&PersonId| {
                let person = person.as_str();
                let (_, class) = stands(person, at(when));
                Belongs { region, class, person, at: at(when) }.is_reached_by(&reach)
            };
            let expected = sorted(ids.iter().filter(attended).map(PersonId::to_string));
            let found = all(list_attendances(tx, &reach, &programme(), (&id(activity_id), false), "", LIMIT)
                .await
                .unwrap())
            .unwrap();
            assert_eq!(
                sorted(found.into_iter().map(|row| row.person_id.to_string())),
                expected,
                "{activity_id} {reach:?}"
            );
            let found = attendances_recorded(tx, &reach, &programme(), &id(activity_id), &ids).await.unwrap();
            assert_eq!(sorted(found.into_iter().map(String::from)), expected, "{activity_id} {reach:?}");
        }
    }
    let found = all(list_plans(tx, &Reach::Everything, &programme(), Some(id("130629")), ("", ""), LIMIT)
        .await
        .unwrap())
    .unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_sqlite() {
    lists_hold_what_the_tree_says(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_postgres() {
    lists_hold_what_the_tree_says(TestKit::postgres(crate::NAME, &crate::migrations()).await).await;
}
