//! A world for the tests: the service in memory over a fresh database, with a programme, regions, classes and people
//! in its mirror, put there as enrollment's events would put them.

use shipei_contracts::{
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_mirror::testing::event;
pub(crate) use shipei_mirror::testing::{
    Learned, PROGRAMME, World, at, instant, orders, reason, transfer, withdrawal,
};
use shipei_service_kit::testing::TestKit;

const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

/// The service on SQLite.
pub(crate) async fn sqlite() -> World {
    let kit =
        TestKit::sqlite(shipei_assignment_grading::NAME, &shipei_assignment_grading::migrations()).await;
    World::over(kit, shipei_assignment_grading::serve, &roster()).await
}

/// The service on Postgres.
pub(crate) async fn postgres() -> World {
    let kit =
        TestKit::postgres(shipei_assignment_grading::NAME, &shipei_assignment_grading::migrations()).await;
    World::over(kit, shipei_assignment_grading::serve, &roster()).await
}

/// City 130300 with counties 130302 and 130303; L1 and L3 of U1, L2 of U2; T1, T2, T4 in L1, T3 in L2.
pub(crate) fn roster() -> Vec<Event> {
    let start = "06-20T00:00:00";
    let programme_id = PROGRAMME.to_owned();
    let mut events = vec![event(
        start,
        &enrollment::ProgrammeCreated {
            programme_id: programme_id.clone(),
            region_code: "130300".to_owned(),
            scheme_toml: SCHEME.to_owned(),
            scheme_version: 1,
        },
    )];
    for (class_id, region_code, tutor_id) in
        [("L1", "130302", "U1"), ("L2", "130303", "U2"), ("L3", "130302", "U1")]
    {
        let created = enrollment::ClassCreated {
            programme_id: programme_id.clone(),
            class_id: class_id.to_owned(),
            region_code: region_code.to_owned(),
            tutor_id: tutor_id.to_owned(),
        };
        events.push(event(start, &created));
    }
    for (person_id, role, county_code, class_id) in [
        ("T1", Role::Trainee, "130302", "L1"),
        ("T2", Role::Trainee, "130302", "L1"),
        ("T3", Role::Trainee, "130303", "L2"),
        ("T4", Role::Trainee, "130302", "L1"),
        ("U1", Role::ClassTutor, "", ""),
        ("U2", Role::ClassTutor, "", ""),
        ("K1", Role::CountyCounselor, "130302", ""),
    ] {
        events.push(registration(person_id, role, county_code, class_id));
    }
    events
}

fn registration(person_id: &str, role: Role, county_code: &str, class_id: &str) -> Event {
    let registered = enrollment::PersonRegistered {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        role: role.into(),
        county_code: county_code.to_owned(),
        education_stage: match role {
            Role::Trainee => EducationStage::Compulsory.into(),
            _ => EducationStage::Unspecified.into(),
        },
        class_id: class_id.to_owned(),
        ..enrollment::PersonRegistered::default()
    };
    event("06-20T00:00:00", &registered)
}

/// Another trainee of L1.
pub(crate) fn trainee_of_l1(person_id: &str) -> Event {
    registration(person_id, Role::Trainee, "130302", "L1")
}

/// Makes each test run on SQLite and on Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::support::sqlite().await).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(super::support::postgres().await).await; })+
        }
    };
}
pub(crate) use on_both;
