//! A world for the tests: the service in memory over a fresh database, with a programme, regions, classes and people
//! in its mirror, put there as enrollment's events would put them.

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use shipei_contracts::{
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_service_kit::{
    convert::to_timestamp,
    status::reason_of,
    testing::{TestKit, TestServer},
};
use shipei_store::{Partition, StoreError, StoredEvent, event_log};
use tonic::{Response, Status, transport::Channel};

/// The programme of every test.
pub(crate) const PROGRAMME: &str = "Q1";
const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");
const EVENTS_MAX: usize = 10_000;

/// The service, ready to be called.
pub(crate) struct World {
    pub(crate) kit: TestKit,
    server: TestServer,
}

impl World {
    pub(crate) async fn sqlite() -> World {
        World::over(
            TestKit::sqlite(shipei_assignment_grading::NAME, &shipei_assignment_grading::migrations()).await,
        )
        .await
    }

    pub(crate) async fn postgres() -> World {
        World::over(
            TestKit::postgres(shipei_assignment_grading::NAME, &shipei_assignment_grading::migrations())
                .await,
        )
        .await
    }

    async fn over(kit: TestKit) -> World {
        let server = TestServer::start(|builder| shipei_assignment_grading::serve(builder, &kit.kit)).await;
        let world = World { kit, server };
        world.learn(&roster()).await;
        world
    }

    /// A new connection.
    pub(crate) fn channel(&self) -> Channel {
        self.server.channel()
    }

    /// Lets the mirror learn of these events.
    pub(crate) async fn learn(&self, events: &[Event]) {
        let mut tx = self.kit.kit.database().begin_write().await.unwrap();
        shipei_mirror::apply(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The service's own events of a type, in the order of the log of each partition.
    pub(crate) async fn events<M: Message + Name + Default>(&self) -> Vec<(StoredEvent, M)> {
        let mut found = Vec::new();
        for event in self.all_events().await.unwrap() {
            if event.kind == M::full_name() {
                let message = M::decode(event.data.as_slice()).unwrap();
                found.push((event, message));
            }
        }
        found
    }

    async fn all_events(&self) -> Result<Vec<StoredEvent>, StoreError> {
        let mut tx = self.kit.kit.database().begin_read().await?;
        let mut events = Vec::new();
        for partition in Partition::all() {
            events.append(
                &mut event_log::read_after(&mut tx, partition, 0, EVENTS_MAX, &[], &[]).await?.events,
            );
        }
        Ok(events)
    }
}

/// An instant of the scheme's zone, e.g. `11-01T00:00:00` of 2019.
pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    format!("2019-{text}+08:00").parse().unwrap()
}

/// The same, as a request states it.
pub(crate) fn at(text: &str) -> Option<Timestamp> {
    Some(to_timestamp(instant(text)))
}

/// The reason of a refusal; panics with the answer when there is none.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> String {
    let status = answer.unwrap_err();
    reason_of(&status).unwrap_or_else(|| panic!("no reason: {status:?}"))
}

/// An event of enrollment's.
pub(crate) fn event<M: Message + Name>(when: &str, message: &M) -> Event {
    Event {
        source: "enrollment".to_owned(),
        r#type: M::full_name(),
        time: at(when),
        region_code: "130300".to_owned(),
        data: Some(Any { type_url: M::type_url(), value: message.encode_to_vec() }),
        ..Event::default()
    }
}

/// A trainee leaves.
pub(crate) fn withdrawal(person_id: &str, when: &str) -> Event {
    let left =
        enrollment::TraineeWithdrawn { programme_id: PROGRAMME.to_owned(), person_id: person_id.to_owned() };
    event(when, &left)
}

/// A trainee moves to another county and class.
pub(crate) fn transfer(person_id: &str, county_code: &str, class_id: &str, when: &str) -> Event {
    let new = enrollment::TraineePlace {
        county_code: county_code.to_owned(),
        school_code: "S1".to_owned(),
        class_id: class_id.to_owned(),
    };
    let moved = enrollment::TraineeTransferred {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        old: None,
        new: Some(new),
    };
    event(when, &moved)
}

/// City 130300 with counties 130302 and 130303; L1 and L3 of U1, L2 of U2; T1, T2, T4 in L1, T3 in L2.
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
        let registered = enrollment::PersonRegistered {
            programme_id: programme_id.clone(),
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
        events.push(event(start, &registered));
    }
    events
}

/// Makes each test run on SQLite and on Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::World::sqlite().await).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(super::World::postgres().await).await; })+
        }
    };
}
pub(crate) use on_both;
