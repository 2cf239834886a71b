//! A world for the tests: the service in memory over a fresh database, with a programme, regions and people in its mirror, put
//! there as enrollment's events would put them.

use shipei_contracts::{
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_mirror::testing::event;
pub(crate) use shipei_mirror::testing::{PROGRAMME, World, at, reason, transfer, withdrawal};
use shipei_service_kit::testing::TestKit;

const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

/// The service on SQLite.
pub(crate) async fn sqlite() -> World {
    let migrations = shipei_assessment_decisions::migrations();
    let kit = TestKit::sqlite(shipei_assessment_decisions::NAME, &migrations).await;
    World::over(kit, shipei_assessment_decisions::serve, &roster()).await
}

/// The service on Postgres.
pub(crate) async fn postgres() -> World {
    let migrations = shipei_assessment_decisions::migrations();
    let kit = TestKit::postgres(shipei_assessment_decisions::NAME, &migrations).await;
    World::over(kit, shipei_assessment_decisions::serve, &roster()).await
}

/// City 130300 with counties 130302 and 130303; T1 and T2 of 130302, T3 of 130303; K1, a counselor.
pub(crate) fn roster() -> Vec<Event> {
    let start = "06-20T00:00:00";
    let programme_id = PROGRAMME.to_owned();
    let created = enrollment::ProgrammeCreated {
        programme_id: programme_id.clone(),
        region_code: "130300".to_owned(),
        scheme_toml: SCHEME.to_owned(),
        scheme_version: 1,
    };
    let mut events = vec![event(start, &created)];
    for (code, level, parent_code) in
        [("130300", "city", "130000"), ("130302", "county", "130300"), ("130303", "county", "130300")]
    {
        events.push(shipei_mirror::testing::region(code, level, parent_code, "130000"));
    }
    for (person_id, role, county_code) in [
        ("T1", Role::Trainee, "130302"),
        ("T2", Role::Trainee, "130302"),
        ("T3", Role::Trainee, "130303"),
        ("K1", Role::CountyCounselor, "130302"),
    ] {
        let registered = enrollment::PersonRegistered {
            programme_id: programme_id.clone(),
            person_id: person_id.to_owned(),
            role: role.into(),
            county_code: county_code.to_owned(),
            education_stage: EducationStage::Compulsory.into(),
            ..enrollment::PersonRegistered::default()
        };
        events.push(event(start, &registered));
    }
    events
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
