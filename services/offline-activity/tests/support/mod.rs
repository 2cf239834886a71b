//! A world for the tests: the service in memory over a fresh database, with a programme, regions and people
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
    let kit = TestKit::sqlite(shipei_offline_activity::NAME, &shipei_offline_activity::migrations()).await;
    World::over(kit, shipei_offline_activity::serve, &roster()).await
}

/// The service on Postgres.
pub(crate) async fn postgres() -> World {
    let kit = TestKit::postgres(shipei_offline_activity::NAME, &shipei_offline_activity::migrations()).await;
    World::over(kit, shipei_offline_activity::serve, &roster()).await
}

/// City 130300 with counties 130302 (K1) and 130303 (K2); T1, T2, T4 of 130302, T3 of 130303, T5 of 130302 in the
/// other education stage.
fn roster() -> Vec<Event> {
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
    for (code, level, parent_code) in
        [("130300", "city", "130000"), ("130302", "county", "130300"), ("130303", "county", "130300")]
    {
        let created = enrollment::RegionCreated {
            programme_id: programme_id.clone(),
            code: code.to_owned(),
            name: code.to_owned(),
            level: level.to_owned(),
            parent_code: parent_code.to_owned(),
            province_code: "130000".to_owned(),
        };
        events.push(event(start, &created));
    }
    for (person_id, role, county_code, stage) in [
        ("T1", Role::Trainee, "130302", EducationStage::Compulsory),
        ("T2", Role::Trainee, "130302", EducationStage::Compulsory),
        ("T3", Role::Trainee, "130303", EducationStage::Compulsory),
        ("T4", Role::Trainee, "130302", EducationStage::Compulsory),
        ("T5", Role::Trainee, "130302", EducationStage::NonCompulsory),
        ("U1", Role::ClassTutor, "", EducationStage::Unspecified),
        ("K1", Role::CountyCounselor, "130302", EducationStage::Unspecified),
        ("K2", Role::CountyCounselor, "130303", EducationStage::Unspecified),
    ] {
        events.push(registration(person_id, role, county_code, stage));
    }
    events
}

/// Somebody is enrolled.
pub(crate) fn registration(person_id: &str, role: Role, county_code: &str, stage: EducationStage) -> Event {
    let registered = enrollment::PersonRegistered {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        role: role.into(),
        county_code: county_code.to_owned(),
        education_stage: stage.into(),
        ..enrollment::PersonRegistered::default()
    };
    event("06-20T00:00:00", &registered)
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
