//! Every list of this service under every kind of reach, beside what climbing the tree by hand gives.

use chrono::{DateTime, Utc};
use shipei_mirror::testing::{TRAINEES, id, programme, reach_world, stands};
use shipei_rules::{explanation::ItemKey, vocabulary::AdjustmentKind};
use shipei_service_kit::{
    Reach,
    testing::{Belongs, TestKit, reaches},
};

use super::{Asked, insert_adjustment, list_adjustments};
use crate::domain::Adjustment;

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
        let found = list_adjustments(tx, &reach, &programme(), asked, ("", 0), LIMIT).await.unwrap();
        let found: Vec<String> = found.into_iter().map(|row| row.person_id.to_string()).collect();
        assert_eq!(found, expected, "{reach:?}");
    }
    let own = id("T1");
    let asked = Asked { person: Some(&own), ..asked };
    let found = list_adjustments(tx, &Reach::Everything, &programme(), asked, ("", 0), LIMIT).await.unwrap();
    assert_eq!(found, [Adjustment { number: 1, ..adjustment("T1", decided) }]);
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_sqlite() {
    lists_hold_what_the_tree_says(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_postgres() {
    lists_hold_what_the_tree_says(TestKit::postgres(crate::NAME, &crate::migrations()).await).await;
}
