//! A world for the tests: the service in memory over a fresh database, and a programme whose people are written into
//! the mirror as enrollment's events would.

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use shipei_contracts::common::v1::{EducationStage, Role};
use shipei_contracts::enrollment::v1 as enrollment;
use shipei_contracts::event::v1::Event;
use shipei_contracts::learning::v1 as proto;
use shipei_contracts::learning::v1::course_service_client::CourseServiceClient;
use shipei_contracts::learning::v1::study_service_client::StudyServiceClient;
use shipei_learning_progress::{NAME, migrations, start};
use shipei_service_kit::testing::TestKit;
use shipei_service_kit::{InMemory, Kit, ServerBuilder, Shutdown, to_timestamp};
use tonic::transport::Channel;

pub(crate) const PROGRAMME: &str = "qinhuangdao-2019";
pub(crate) const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

/// One instance of the service.
pub(crate) struct Instance {
    pub(crate) kit: Kit,
    pub(crate) shutdown: Shutdown,
    in_memory: InMemory,
}

impl Instance {
    pub(crate) async fn over(kit: Kit) -> Self {
        let shutdown = Shutdown::new();
        let service = start(&kit, &shutdown);
        let server = service.serve_with(ServerBuilder::new(&shutdown)).build().await.unwrap();
        Self { kit, in_memory: server.serve_in_memory(), shutdown }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.in_memory.channel()
    }

    pub(crate) fn courses(&self) -> CourseServiceClient<Channel> {
        CourseServiceClient::new(self.channel())
    }

    pub(crate) fn study(&self) -> StudyServiceClient<Channel> {
        StudyServiceClient::new(self.channel()).max_decoding_message_size(64 << 20)
    }

    /// Streams messages one after the other; gives their answers.
    pub(crate) async fn stream(
        &self,
        messages: Vec<proto::StreamHeartbeatsRequest>,
    ) -> Result<Vec<proto::StreamHeartbeatsResponse>, tonic::Status> {
        let mut answers = self.study().stream_heartbeats(tokio_stream::iter(messages)).await?.into_inner();
        let mut taken = Vec::new();
        while let Some(answer) = answers.message().await? {
            taken.push(answer);
        }
        Ok(taken)
    }
}

/// The service and its database.
pub(crate) struct World {
    pub(crate) test_kit: TestKit,
    pub(crate) first: Instance,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        Self::over(TestKit::sqlite(NAME, &migrations()).await, SCHEME).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::over(TestKit::postgres(NAME, &migrations()).await, SCHEME).await
    }

    pub(crate) async fn over(test_kit: TestKit, scheme: &str) -> Self {
        let first = Instance::over(test_kit.kit.clone()).await;
        let world = Self { test_kit, first };
        world.scheme(scheme, 1).await;
        world.region("130302", "130300").await;
        world.open_county("130302", "2019-09-10T08:00:00+08:00").await;
        world
    }

    /// A county of a city of 130000.
    pub(crate) async fn region(&self, code: &str, city: &str) {
        let fact = enrollment::RegionCreated {
            programme_id: PROGRAMME.into(),
            code: code.into(),
            name: code.into(),
            level: "county".into(),
            parent_code: city.into(),
            province_code: "130000".into(),
        };
        self.learn(&[event(&fact, "2019-06-20T00:00:00Z")]).await;
    }

    /// Another instance of the service over the same database.
    pub(crate) async fn second(&self) -> Instance {
        Instance::over(self.test_kit.twin().await).await
    }

    pub(crate) async fn scheme(&self, scheme: &str, version: i32) {
        let fact = enrollment::ProgrammeCreated {
            programme_id: PROGRAMME.into(),
            region_code: "130300".into(),
            scheme_toml: scheme.into(),
            scheme_version: version,
        };
        self.learn(&[event(&fact, "2019-06-20T00:00:00Z")]).await;
    }

    pub(crate) async fn open_county(&self, county: &str, when: &str) {
        let fact = enrollment::LearningOpened { programme_id: PROGRAMME.into(), county_code: county.into() };
        self.learn(&[event(&fact, when)]).await;
    }

    /// Somebody who teaches Chinese in compulsory education in 130302, and has logged in.
    pub(crate) async fn trainee(&self, person_id: &str) {
        self.register(person_id, Role::Trainee, "130302").await;
        self.log_in(person_id, "2019-09-11T08:00:00+08:00").await;
    }

    pub(crate) async fn register(&self, person_id: &str, role: Role, county: &str) {
        self.learn(&[registered(person_id, role, county)]).await;
    }

    pub(crate) async fn log_in(&self, person_id: &str, when: &str) {
        self.learn(&[logged_in(person_id, when)]).await;
    }

    pub(crate) async fn withdraw(&self, person_id: &str, when: &str) {
        let fact =
            enrollment::TraineeWithdrawn { programme_id: PROGRAMME.into(), person_id: person_id.into() };
        self.learn(&[event(&fact, when)]).await;
    }

    pub(crate) async fn learn(&self, events: &[Event]) {
        let mut tx = self.first.kit.database().begin_write().await.unwrap();
        shipei_mirror::apply(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn course(&self, course: proto::Course) {
        let request = create(course);
        self.first.courses().create_course(request).await.unwrap();
    }
}

pub(crate) fn registered(person_id: &str, role: Role, county: &str) -> Event {
    let fact = enrollment::PersonRegistered {
        programme_id: PROGRAMME.into(),
        person_id: person_id.into(),
        role: role.into(),
        county_code: county.into(),
        education_stage: EducationStage::Compulsory.into(),
        subject: "语文".into(),
        ..Default::default()
    };
    event(&fact, "2019-08-01T00:00:00Z")
}

pub(crate) fn logged_in(person_id: &str, when: &str) -> Event {
    let fact = enrollment::PersonLoggedIn { programme_id: PROGRAMME.into(), person_id: person_id.into() };
    event(&fact, when)
}

/// Somebody moves to another county; one move for each time.
pub(crate) fn transferred(person_id: &str, county: &str, when: &str) -> Event {
    let new = enrollment::TraineePlace { county_code: county.into(), ..Default::default() };
    let fact = enrollment::TraineeTransferred {
        programme_id: PROGRAMME.into(),
        person_id: person_id.into(),
        old: None,
        new: Some(new),
        move_number: at(when).timestamp(),
    };
    event(&fact, when)
}

pub(crate) fn event<M: Message + Name>(message: &M, when: &str) -> Event {
    Event {
        id: "0-1".into(),
        source: "enrollment".into(),
        r#type: M::full_name(),
        time: Some(time(when)),
        recorded_time: Some(time(when)),
        data: Some(Any { type_url: M::type_url(), value: message.encode_to_vec() }),
        ..Default::default()
    }
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    to_timestamp(at(text))
}

/// A main-line course of so many minutes for everybody.
pub(crate) fn course(course_id: &str, category: proto::CourseCategory, minutes: i32) -> proto::Course {
    proto::Course {
        course_id: course_id.into(),
        title: "课程".into(),
        category: category.into(),
        main_line: true,
        length_seconds: minutes * 60,
        ..Default::default()
    }
}

pub(crate) fn create(course: proto::Course) -> proto::CreateCourseRequest {
    proto::CreateCourseRequest {
        programme_id: PROGRAMME.into(),
        course: Some(course),
        request_id: String::new(),
        validate_only: false,
    }
}

pub(crate) fn select(person_id: &str, course_id: &str, when: &str) -> proto::SelectCourseRequest {
    proto::SelectCourseRequest {
        programme_id: PROGRAMME.into(),
        person_id: person_id.into(),
        course_id: course_id.into(),
        request_id: String::new(),
        occurred_at: Some(time(when)),
        correction: None,
    }
}

pub(crate) fn beat(
    person: &str,
    course: &str,
    session: &str,
    seq: i64,
    when: DateTime<Utc>,
) -> proto::RecordHeartbeatRequest {
    proto::RecordHeartbeatRequest {
        programme_id: PROGRAMME.into(),
        person_id: person.into(),
        course_id: course.into(),
        session_id: session.into(),
        seq,
        occurred_at: Some(to_timestamp(when)),
    }
}

/// Beats of one session: number and second after `from`.
pub(crate) fn beats(
    (person, course, session): (&str, &str, &str),
    from: DateTime<Utc>,
    beats: &[(i64, i64)],
) -> proto::SessionHeartbeats {
    let mut heartbeats = Vec::new();
    for (seq, second) in beats {
        let when = from + chrono::TimeDelta::seconds(*second);
        heartbeats.push(proto::Heartbeat { seq: *seq, occurred_at: Some(to_timestamp(when)) });
    }
    proto::SessionHeartbeats {
        person_id: person.into(),
        course_id: course.into(),
        session_id: session.into(),
        heartbeats,
    }
}

pub(crate) fn message(
    batch_number: i64,
    sessions: Vec<proto::SessionHeartbeats>,
) -> proto::StreamHeartbeatsRequest {
    proto::StreamHeartbeatsRequest {
        programme_id: PROGRAMME.into(),
        batch_number,
        sessions,
        consistency_token: String::new(),
    }
}
