//! Study of trainees who move to another county.

use shipei_contracts::common::v1::Role;
use shipei_contracts::learning::v1::CourseCategory;
use shipei_mirror::testing::{Learned, orders};
use shipei_service_kit::status::reason_of;
use shipei_store::fetch_all;

use crate::world::{World, at, beat, beats, course, logged_in, message, registered, transferred};

/// Where the trainee goes: learning was opened there on 10-01.
const AWAY: (&str, &str) = ("130303", "2019-09-25T00:00:00+08:00");
/// Where they go from there: nobody opened learning.
const CLOSED: (&str, &str) = ("130304", "2019-10-05T00:00:00+08:00");
/// When they study, and the county whose learning was open then; one session each.
const STUDY: [(&str, Option<&str>); 7] = [
    ("2019-09-20T08:00:00+08:00", Some("130302")),
    ("2019-09-24T23:59:59+08:00", Some("130302")),
    ("2019-09-25T00:00:00+08:00", None),
    ("2019-09-30T23:59:59+08:00", None),
    ("2019-10-01T00:00:00+08:00", Some("130303")),
    ("2019-10-04T23:59:59+08:00", Some("130303")),
    ("2019-10-05T00:00:00+08:00", None),
];

async fn with_two_counties(world: &World) {
    world.course(course("C1", CourseCategory::Public, 45)).await;
    world.open_county(AWAY.0, "2019-10-01T00:00:00+08:00").await;
}

async fn enrol(world: &World, person: &str) {
    let person =
        [registered(person, Role::Trainee, "130302"), logged_in(person, "2019-09-11T08:00:00+08:00")];
    world.learn(&person).await;
}

/// Of every session that was opened: whose it is, and the region of its event.
async fn opened_sessions(world: &World) -> Vec<(String, String)> {
    let mut tx = world.first.kit.database().begin_read().await.unwrap();
    let sql = "SELECT subject, region FROM event WHERE type = 'shipei.learning.v1.SessionOpened' \
               ORDER BY subject, region";
    fetch_all!(tx, (String, String), sql).unwrap()
}

/// Heartbeats and transfers in any order: each beat is answered by the county of its own time.
pub(crate) async fn study_is_open_by_the_county_of_then_in_any_order(world: World) {
    with_two_counties(&world).await;
    let mut study = world.first.study();
    let moves = [AWAY, CLOSED];
    let mut expected = Vec::new();
    let orders = orders(&moves.map(|(_, when)| when), &STUDY.map(|(when, _)| when));
    for (number, order) in orders.into_iter().enumerate() {
        let person = format!("P{number:02}");
        enrol(&world, &person).await;
        for told in &order {
            let index = match *told {
                Learned::Fact(index) => index,
                Learned::Transfer(index) => {
                    let (county, when) = moves[index];
                    world.learn(&[transferred(&person, county, when)]).await;
                    continue;
                }
            };
            let (when, county) = STUDY[index];
            let session = format!("{person}-{index}");
            let answer = study.record_heartbeat(beat(&person, "C1", &session, 0, at(when))).await;
            let refused = answer.err().map(|status| reason_of(&status).unwrap_or_default());
            let expected = if county.is_some() { None } else { Some("LEARNING_NOT_OPEN".to_owned()) };
            assert_eq!(refused, expected, "{order:?} {when}");
        }
        expected.extend(STUDY.iter().filter_map(|(_, county)| Some((person.clone(), (*county)?.to_owned()))));
    }
    assert_eq!(opened_sessions(&world).await, expected);
}

/// One transaction holds beats of before and after the transfers, of who moved and of who did not.
pub(crate) async fn batch_of_beats_asks_for_the_county_of_each(world: World) {
    with_two_counties(&world).await;
    for person in ["P1", "P2"] {
        enrol(&world, person).await;
    }
    world.learn(&[transferred("P1", CLOSED.0, CLOSED.1), transferred("P1", AWAY.0, AWAY.1)]).await;
    let mut sessions = Vec::new();
    for (number, (when, _)) in STUDY.iter().enumerate() {
        for person in ["P1", "P2"] {
            sessions.push(beats((person, "C1", &format!("{person}-{number}")), at(when), &[(0, 0)]));
        }
    }
    let answers = world.first.stream(vec![message(1, sessions)]).await.unwrap();
    let refused: Vec<bool> = answers[0].sessions.iter().map(|session| !session.refused.is_empty()).collect();
    let mut expected = Vec::new();
    for (_, county) in STUDY {
        expected.extend([county.is_none(), false]);
    }
    assert_eq!((answers.len(), refused), (1, expected));
}
