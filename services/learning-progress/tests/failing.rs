//! A stream one of whose messages fails: nothing behind it is carried out, so that it can be sent again in its order.
//! On SQLite, whose one lane tells when everything that waited is dealt with.

#![expect(clippy::unwrap_used, reason = "a test that can't go on stops here")]

#[expect(dead_code, reason = "the world of all tests of this service")]
mod world;

use shipei_contracts::learning::v1::{self as proto, CourseCategory};
use shipei_service_kit::status::reason_of;
use shipei_store::execute;
use world::{PROGRAMME, World, at, beat, beats, course, message};

const DAY: &str = "2019-09-20T08:00:00+08:00";

#[tokio::test(flavor = "multi_thread")]
async fn messages_behind_a_failed_one_are_not_carried_out() {
    let world = World::sqlite().await;
    for person in ["T1", "T2", "T3"] {
        world.trainee(person).await;
    }
    world.course(course("C1", CourseCategory::Public, 45)).await;
    let mut study = world.first.study();
    study.record_heartbeat(beat("T1", "C1", "S1", 0, at(DAY))).await.unwrap();
    set_refusals_of_learner(&world, &[9]).await;

    let list = |person, session| beats((person, "C1", session), at(DAY), &[(1, 30), (2, 60)]);
    let fails = message(1, vec![list("T1", "S1")]);
    let behind = message(2, vec![list("T2", "S2")]);
    let error = world.first.stream(vec![fails.clone(), behind.clone()]).await.unwrap_err();
    assert_eq!(reason_of(&error).as_deref(), Some("CORRUPT_ROW"));
    study.record_heartbeat(beat("T3", "C1", "S3", 0, at(DAY))).await.unwrap();
    let sessions = proto::ListSessionsRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T2".into(),
        ..Default::default()
    };
    let sessions = study.list_sessions(sessions).await.unwrap().into_inner().sessions;
    assert!(sessions.is_empty(), "{sessions:?}");

    set_refusals_of_learner(&world, &[]).await;
    let answers = world.first.stream(vec![fails, behind]).await.unwrap();
    assert_eq!(answers[0].sessions[0].credited_seconds, [30, 30]);
}

async fn set_refusals_of_learner(world: &World, refusals: &[u8]) {
    let mut tx = world.first.kit.database().begin_write().await.unwrap();
    execute!(tx, "UPDATE learner SET refusals = $1 WHERE person_id = 'T1'", refusals).unwrap();
    tx.commit().await.unwrap();
}
