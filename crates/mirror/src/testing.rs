//! For the tests of services that keep a mirror: the service in memory over a fresh database, and enrollment's events as
//! enrollment would write them. Only tests use it; it is public because tests of other crates need it too. Panics say
//! what could not be set up.

use std::{
    fmt::Debug,
    str::FromStr,
    sync::atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use shipei_contracts::{
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_rules::ids::ProgrammeId;
use shipei_service_kit::{
    ServerBuilder,
    convert::to_timestamp,
    status::reason_of,
    testing::{TREE, TestKit, TestServer},
};
use shipei_store::{Partition, StoreError, StoredEvent, event_log};
use tonic::{Response, Status, transport::Channel};

/// The programme of every test.
pub const PROGRAMME: &str = "Q1";

/// [`PROGRAMME`] as its type.
pub fn programme() -> ProgrammeId {
    id(PROGRAMME)
}

/// An id of a test, e.g. `id::<PersonId>("T1")`; a text that is none panics.
pub fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// How many events of enrollment's the tests made: each has its own place in the log, as enrollment's have.
static EVENTS: AtomicI64 = AtomicI64::new(0);
/// How many moves the tests made: each has its own number, as enrollment gives it to a trainee's.
static MOVES: AtomicI64 = AtomicI64::new(1);
/// The most events of one partition that a test reads.
const EVENTS_MAX: usize = 10_000;

/// A service, ready to be called, whose mirror has learned of a roster.
#[derive(Debug)]
pub struct World {
    /// The service's kit.
    pub kit: TestKit,
    server: TestServer,
}

impl World {
    /// The service that `serve` adds, over this kit, knowing these events.
    pub async fn over(
        kit: TestKit,
        serve: impl FnOnce(ServerBuilder, &shipei_service_kit::Kit) -> ServerBuilder,
        roster: &[Event],
    ) -> World {
        let server = TestServer::start(|builder| serve(builder, &kit.kit)).await;
        let world = World { kit, server };
        world.learn(roster).await;
        world
    }

    /// A new connection.
    pub fn channel(&self) -> Channel {
        self.server.channel()
    }

    /// Lets the mirror learn of these events.
    ///
    /// # Panics
    /// When they can't be applied.
    pub async fn learn(&self, events: &[Event]) {
        if let Err(error) = self.try_learn(events).await {
            panic!("the mirror does not take the events: {error:?}");
        }
    }

    async fn try_learn(&self, events: &[Event]) -> shipei_service_kit::Result<()> {
        let mut tx = self.kit.kit.database().begin_write().await?;
        crate::apply(&mut tx, events).await?;
        Ok(tx.commit().await?)
    }

    /// The service's own events of a type, in the order of the log of each partition.
    ///
    /// # Panics
    /// When the log can't be read.
    pub async fn events<M: Message + Name + Default>(&self) -> Vec<(StoredEvent, M)> {
        let all = match self.all_events().await {
            Ok(all) => all,
            Err(error) => panic!("the log can't be read: {error}"),
        };
        let mut found = Vec::new();
        for event in all.into_iter().filter(|event| event.kind == M::full_name()) {
            match M::decode(event.data.as_slice()) {
                Ok(message) => found.push((event, message)),
                Err(error) => panic!("an event is no {}: {error}", M::full_name()),
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
pub fn instant(text: &str) -> DateTime<Utc> {
    format!("2019-{text}+08:00").parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The same, as a request states it.
pub fn at(text: &str) -> Option<Timestamp> {
    Some(to_timestamp(instant(text)))
}

/// The reason of a refusal; panics with the answer when there is none.
pub fn reason<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> String {
    let status = match answer {
        Ok(answer) => panic!("not refused: {answer:?}"),
        Err(status) => status,
    };
    reason_of(&status).unwrap_or_else(|| panic!("no reason: {status:?}"))
}

/// An event of enrollment's.
pub fn event<M: Message + Name>(when: &str, message: &M) -> Event {
    Event {
        source: "enrollment".to_owned(),
        r#type: M::full_name(),
        time: at(when),
        number: EVENTS.fetch_add(1, Ordering::Relaxed),
        region_code: "130300".to_owned(),
        data: Some(Any { type_url: M::type_url(), value: message.encode_to_vec() }),
        ..Event::default()
    }
}

/// A region joins the tree: its level, the region above and the province.
pub fn region(code: &str, level: &str, parent_code: &str, province_code: &str) -> Event {
    let created = enrollment::RegionCreated {
        programme_id: PROGRAMME.to_owned(),
        code: code.to_owned(),
        name: code.to_owned(),
        level: level.to_owned(),
        parent_code: parent_code.to_owned(),
        province_code: province_code.to_owned(),
    };
    Event { region_code: code.to_owned(), ..event("06-20T00:00:00", &created) }
}

/// A county comes to lie in another region of 130000, with the number of the move.
pub fn region_move(code: &str, move_number: i64, parent_code: &str, when: &str) -> Event {
    let moved = enrollment::RegionMoved {
        programme_id: PROGRAMME.to_owned(),
        code: code.to_owned(),
        move_number,
        old_parent_code: String::new(),
        new_parent_code: parent_code.to_owned(),
        province_code: "130000".to_owned(),
    };
    Event { region_code: code.to_owned(), ..event(when, &moved) }
}

/// The classes of [`reach_world`], each with its region and tutor.
pub const CLASSES: [(&str, &str, &str); 3] =
    [("L1", "133100", "U1"), ("L2", "130600", "U2"), ("L3", "130302", "")];
/// Its trainees, each with the county and class of the registration.
pub const TRAINEES: [(&str, &str, &str); 3] =
    [("T1", "130629", "L1"), ("T2", "130632", "L2"), ("T3", "130302", "L3")];
/// When T3 moves to 130629 and L1.
const T3_MOVES: &str = "11-01T00:00:00";

/// Where a trainee of [`reach_world`] stands: county and class.
pub fn stands(person_id: &str, at: DateTime<Utc>) -> (&'static str, &'static str) {
    if person_id == "T3" && at >= instant(T3_MOVES) {
        return ("130629", "L1");
    }
    let registered = TRAINEES.iter().find(|(trainee, ..)| *trainee == person_id);
    registered.map_or(("", ""), |(_, county, class)| (*county, *class))
}

/// What a mirror learns for tests of reach: the tree of [`shipei_service_kit::testing::TREE`], classes and trainees.
pub fn reach_world() -> Vec<Event> {
    let mut events = Vec::new();
    for (code, above, since) in TREE {
        let level = match code {
            "130000" => "province",
            city if city.ends_with("00") => "city",
            _ => "county",
        };
        let province = if above.is_empty() { "" } else { "130000" };
        if since.is_empty() {
            events.push(region(code, level, above, province));
        } else {
            let moved = region_move(code, 1, above, T3_MOVES);
            let time = since.parse::<Timestamp>().unwrap_or_else(|error| panic!("{since}: {error}"));
            events.push(Event { time: Some(time), ..moved });
        }
    }
    for (class_id, region_code, tutor_id) in CLASSES {
        let created = enrollment::ClassCreated {
            programme_id: PROGRAMME.to_owned(),
            class_id: class_id.to_owned(),
            region_code: region_code.to_owned(),
            tutor_id: tutor_id.to_owned(),
        };
        events.push(event("06-20T00:00:00", &created));
    }
    for (person_id, county_code, class_id) in TRAINEES {
        let registered = enrollment::PersonRegistered {
            programme_id: PROGRAMME.to_owned(),
            person_id: person_id.to_owned(),
            role: Role::Trainee.into(),
            county_code: county_code.to_owned(),
            class_id: class_id.to_owned(),
            education_stage: EducationStage::Compulsory.into(),
            ..enrollment::PersonRegistered::default()
        };
        events.push(event("06-20T00:00:00", &registered));
    }
    events.push(transfer("T3", "130629", "L1", T3_MOVES));
    events
}

/// A trainee leaves.
pub fn withdrawal(person_id: &str, when: &str) -> Event {
    let left =
        enrollment::TraineeWithdrawn { programme_id: PROGRAMME.to_owned(), person_id: person_id.to_owned() };
    event(when, &left)
}

/// What somebody teaches is otherwise: the `number`th that is said of them, from a time on or always.
pub fn taught(person_id: &str, number: i64, since: Option<&str>, new: enrollment::Teaching) -> Event {
    let corrected = enrollment::PersonCorrected {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        change_number: number,
        since_time: since.map(|since| to_timestamp(instant(since))),
        new: Some(new),
        role: Role::Trainee.into(),
        ..enrollment::PersonCorrected::default()
    };
    let told = event("12-20T00:00:00", &corrected);
    Event { fact_id: format!("{person_id}-C{number}"), ..told }
}

/// A trainee who had left comes back.
pub fn returning(person_id: &str, when: &str) -> Event {
    let back =
        enrollment::TraineeReturned { programme_id: PROGRAMME.to_owned(), person_id: person_id.to_owned() };
    event(when, &back)
}

/// Somebody had been enrolled by mistake.
pub fn removal(person_id: &str, role: Role, when: &str) -> Event {
    let removed = enrollment::PersonRemoved {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        role: role.into(),
    };
    event(when, &removed)
}

/// A trainee moves to another county and class, of school S1.
pub fn transfer(person_id: &str, county_code: &str, class_id: &str, when: &str) -> Event {
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
        move_number: MOVES.fetch_add(1, Ordering::Relaxed),
    };
    event(when, &moved)
}

/// Orders of `count` things: any three of them come in all six orders, so that nothing can rest on which of two facts
/// and a transfer arrives first.
pub fn rotations(count: usize) -> Vec<Vec<usize>> {
    let mut rotations = Vec::with_capacity(2 * count);
    for first in 0..count {
        let forwards: Vec<usize> = (0..count).map(|place| (first + place) % count).collect();
        rotations.push(forwards.iter().rev().copied().collect());
        rotations.push(forwards);
    }
    rotations
}

/// What a service is told next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// The transfer of this index.
    Transfer(usize),
    /// The fact of this index.
    Fact(usize),
}

/// Orders in which transfers and facts of these times (texts of one form) may be told. A fact of before a transfer comes
/// on either side of it; one of later is told after it, for who has not been told of a transfer can't answer by it.
pub fn orders(transfers: &[&str], facts: &[&str]) -> Vec<Vec<Learned>> {
    let mut orders = Vec::new();
    for rotation in rotations(transfers.len() + facts.len()) {
        let mut order: Vec<Learned> = Vec::with_capacity(rotation.len());
        for place in rotation {
            let fact = place.checked_sub(transfers.len());
            for (index, when) in transfers.iter().enumerate() {
                let is_due = fact.map_or(index == place, |fact| *when <= facts[fact]);
                if is_due && !order.contains(&Learned::Transfer(index)) {
                    order.push(Learned::Transfer(index));
                }
            }
            order.extend(fact.map(Learned::Fact));
        }
        orders.push(order);
    }
    orders
}
