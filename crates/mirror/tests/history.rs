//! Where members stood, learned from enrollment's events in any order, on both databases.

#![expect(clippy::unwrap_used, reason = "an answer that is not as expected ends the test")]

use chrono::DateTime;
use shipei_contracts::{
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_mirror::{
    Member, apply, member, members, migrations,
    testing::{PROGRAMME, event, instant, rotations, transfer, withdrawal},
};
use shipei_service_kit::testing::TestKit;
use shipei_store::execute;
use sqlx::migrate::Migrator;

fn registration(person_id: &str) -> Event {
    let registered = enrollment::PersonRegistered {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        role: Role::Trainee.into(),
        county_code: "130302".to_owned(),
        school_code: "S0".to_owned(),
        class_id: "L1".to_owned(),
        education_stage: EducationStage::Compulsory.into(),
        ..enrollment::PersonRegistered::default()
    };
    event("08-01T00:00:00", &registered)
}

/// Registered in L1, then in L2, in L3 and L4 at one instant, in L5; withdrawn.
fn life(person_id: &str) -> Vec<Event> {
    vec![
        registration(person_id),
        transfer(person_id, "130303", "L2", "10-01T00:00:00"),
        transfer(person_id, "130303", "L3", "11-01T00:00:00"),
        transfer(person_id, "130302", "L4", "11-01T00:00:00"),
        transfer(person_id, "130304", "L5", "12-01T00:00:00"),
        withdrawal(person_id, "12-10T00:00:00"),
    ]
}

fn assert_life(member: &Member) {
    for (when, county, class) in [
        ("01-01T00:00:00", "130302", "L1"),
        ("09-30T23:59:59", "130302", "L1"),
        ("10-01T00:00:00", "130303", "L2"),
        ("11-01T00:00:00", "130302", "L4"),
        ("12-01T00:00:00", "130304", "L5"),
    ] {
        let place = member.places.at(instant(when));
        assert_eq!((place.county_code.as_str(), place.class_id.as_str()), (county, class), "{when}");
    }
    assert_eq!(member.places.before(instant("11-01T00:00:00")).class_id, "L2");
    assert_eq!(member.places.first().school_code, "S0");
    assert_eq!(member.places.latest_change(), Some(instant("12-01T00:00:00")));
    assert_eq!(member.withdrawn_at, Some(instant("12-10T00:00:00")));
}

async fn places_are_told_from_events_in_any_order(kit: TestKit) {
    let mut ids = Vec::new();
    for (number, order) in rotations(life("").len()).into_iter().enumerate() {
        let person = format!("P{number:02}");
        let life = life(&person);
        // Every second order in one batch; all of them twice, as a follower may.
        let size = if number % 2 == 0 { 1 } else { life.len() };
        let events: Vec<Event> = order.iter().map(|place| life[*place].clone()).collect();
        for batch in events.chunks(size).chain(events.chunks(size)) {
            let mut tx = kit.kit.database().begin_write().await.unwrap();
            apply(&mut tx, batch).await.unwrap();
            tx.commit().await.unwrap();
        }
        ids.push(person);
    }
    let mut tx = kit.kit.database().begin_read().await.unwrap();
    let keys: Vec<&str> = ids.iter().map(String::as_str).collect();
    let found = members(&mut tx, PROGRAMME, &keys).await.unwrap();
    assert_eq!(found.len(), ids.len());
    found.iter().for_each(assert_life);
}

async fn transfer_alone_makes_nobody(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    apply(&mut tx, &[transfer("T1", "130303", "L2", "10-01T00:00:00")]).await.unwrap();
    assert_eq!(member(&mut tx, PROGRAMME, "T1").await.unwrap(), None);
    apply(&mut tx, &[registration("T1")]).await.unwrap();
    let member = member(&mut tx, PROGRAMME, "T1").await.unwrap().unwrap();
    let classes: Vec<&str> = member.places.all().map(|place| place.class_id.as_str()).collect();
    assert_eq!(classes, ["L1", "L2"]);
}

/// A database of before the mirror kept transfers knows of T1, who moved from L1 to L2, the last place alone.
async fn place_of_before_is_kept_until_the_log_is_learned_again(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    // As it was: the table and the record of its migration are not there.
    execute!(tx, "DROP TABLE mirror_transfer").unwrap();
    execute!(tx, "DELETE FROM _sqlx_migrations WHERE version = 51").unwrap();
    for (person_id, class_id, placed_at) in
        [("T1", "L2", instant("10-01T00:00:00")), ("T2", "L1", DateTime::UNIX_EPOCH)]
    {
        execute!(
            tx,
            "INSERT INTO mirror_member (programme_id, person_id, role, county_code, school_code, class_id, \
             education_stage, subject, placed_at) VALUES ($1, $2, 'trainee', '130303', 'S1', $3, '', '', $4)",
            PROGRAMME,
            person_id,
            class_id,
            placed_at
        )
        .unwrap();
    }
    tx.commit().await.unwrap();
    kit.kit.database().migrate(&tables()).await.unwrap();

    let mut tx = kit.kit.database().begin_write().await.unwrap();
    let class_at = |member: &Member, when: &str| member.places.at(instant(when)).class_id.clone();
    for person_and_class in [("T1", "L2"), ("T2", "L1")] {
        let member = member(&mut tx, PROGRAMME, person_and_class.0).await.unwrap().unwrap();
        assert_eq!(class_at(&member, "09-01T00:00:00"), person_and_class.1);
        assert_eq!(class_at(&member, "11-01T00:00:00"), person_and_class.1);
    }
    for event in [registration("T1"), transfer("T1", "130303", "L2", "10-01T00:00:00")] {
        apply(&mut tx, &[event]).await.unwrap();
        let member = member(&mut tx, PROGRAMME, "T1").await.unwrap().unwrap();
        assert_eq!(class_at(&member, "09-01T00:00:00"), "L1");
        assert_eq!(class_at(&member, "10-01T00:00:00"), "L2");
    }
}

fn tables() -> Migrator {
    migrations(&Migrator::with_migrations(Vec::new()))
}

/// Makes each test run on SQLite and on Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            use super::{TestKit, tables};
            $(#[tokio::test] async fn $name() { super::$name(TestKit::sqlite("mirror", &tables()).await).await; })+
        }
        mod postgres {
            use super::{TestKit, tables};
            $(#[tokio::test] async fn $name() { super::$name(TestKit::postgres("mirror", &tables()).await).await; })+
        }
    };
}

on_both!(
    places_are_told_from_events_in_any_order,
    transfer_alone_makes_nobody,
    place_of_before_is_kept_until_the_log_is_learned_again,
);
