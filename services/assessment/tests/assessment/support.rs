//! What the tests of assessment share: events as the other services would write them, a service over a fresh database
//! that applies them without any network, and its client.

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use prost_types::Any;
use shipei_assessment::{
    apply::{
        assignment::AssignmentProjector, decisions::DecisionsProjector, enrollment::EnrollmentProjector,
        learning::LearningProjector, offline::OfflineProjector,
    },
    migrations, serve,
};
use shipei_contracts::{
    assessment::v1::{
        CountyScore, GetScoreDigestRequest, GetScoreDigestResponse, ListCountyScoresRequest,
        ListTraineeScoresRequest, ListTutorScoresRequest, TraineeScore, TutorScore,
        score_service_client::ScoreServiceClient,
    },
    common::v1::{EducationStage, Role},
    decisions::v1 as decisions,
    enrollment::v1 as enrollment,
    event::v1::{Event, FactRetracted},
};
use shipei_service_kit::{
    Kit, Projector, Result, Unit, learn_retractions, testing::TestKit, testing::TestServer, to_timestamp,
};
use shipei_store::Partition;
use tonic::transport::Channel;

/// The programme of all tests.
pub(crate) const PROGRAMME: &str = "qinhuangdao-2019";
/// Its scheme.
pub(crate) const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");
/// Two counties of its city.
pub(crate) const HAIGANG: &str = "130302";
/// The other one.
pub(crate) const SHANHAIGUAN: &str = "130303";

/// A local time of Qinhuangdao, e.g. `2019-11-04 10:00`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    format!("{}:00+08:00", text.replace(' ', "T")).parse().unwrap()
}

/// The end of the season.
pub(crate) fn end() -> DateTime<Utc> {
    at("2019-12-31 00:00")
}

/// A log's next events.
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer {
    events: Vec<Event>,
}

impl Writer {
    /// Writes one event of the service `source`.
    pub(crate) fn write<M: Message + Name>(
        &mut self,
        source: &str,
        region: &str,
        time: DateTime<Utc>,
        message: &M,
    ) {
        let partition = u32::try_from(Partition::of(region).number()).unwrap();
        let number = 1 + self
            .events
            .iter()
            .filter(|event| event.source == source && event.partition == partition)
            .count();
        self.events.push(Event {
            id: format!("{partition}-{number}"),
            source: source.to_owned(),
            spec_version: "1.0".to_owned(),
            r#type: M::full_name(),
            subject: String::new(),
            time: Some(to_timestamp(time)),
            // Just recorded, by the clock of the tests: what is learned long after it was recorded is scored at last (tests in due.rs).
            recorded_time: Some(to_timestamp(end())),
            partition,
            number: i64::try_from(number).unwrap(),
            region_code: region.to_owned(),
            actor: "service:test".to_owned(),
            cause: String::new(),
            trace_parent: String::new(),
            data: Some(Any { type_url: String::new(), value: message.encode_to_vec() }),
            programme_id: PROGRAMME.to_owned(),
            version: 1,
            transaction_size: 1,
            transaction_place: 1,
            fact_id: format!("{source}-{}", self.events.len()),
        });
    }

    /// All events so far, in the order of writing.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        self.events.clone()
    }

    /// Writes an event of enrollment.
    pub(crate) fn enrollment<M: Message + Name>(&mut self, region: &str, time: &str, message: &M) {
        self.write("enrollment", region, at(time), message);
    }

    /// Writes an event of learning-progress.
    pub(crate) fn learning<M: Message + Name>(&mut self, region: &str, time: &str, message: &M) {
        self.write("learning-progress", region, at(time), message);
    }

    /// Writes an event of assignment-grading.
    pub(crate) fn assignment<M: Message + Name>(&mut self, region: &str, time: &str, message: &M) {
        self.write("assignment-grading", region, at(time), message);
    }

    /// Writes an event of offline-activity.
    pub(crate) fn offline<M: Message + Name>(&mut self, region: &str, time: &str, message: &M) {
        self.write("offline-activity", region, at(time), message);
    }

    /// Writes that an item of a trainee's was decided to count as so many points, as their `number`th decision.
    pub(crate) fn adjusted(
        &mut self,
        person_id: &str,
        (item, points, number): (&str, i32, i32),
        time: &str,
        expires: Option<&str>,
    ) {
        let message = decisions::ItemAdjusted {
            programme_id: PROGRAMME.to_owned(),
            person_id: person_id.to_owned(),
            item: item.to_owned(),
            points,
            kind: decisions::AdjustmentKind::Excuse.into(),
            expires_time: expires.map(|expires| to_timestamp(at(expires))),
            number,
        };
        self.write("assessment-decisions", HAIGANG, at(time), &message);
    }

    /// The programme with its scheme.
    pub(crate) fn programme(&mut self, toml: &str) {
        let message = enrollment::ProgrammeCreated {
            programme_id: PROGRAMME.to_owned(),
            region_code: "130300".to_owned(),
            scheme_toml: toml.to_owned(),
            scheme_version: 1,
        };
        self.enrollment("130300", "2019-06-20 00:00", &message);
    }

    /// A county of the city.
    pub(crate) fn county(&mut self, code: &str) {
        let message = enrollment::RegionCreated {
            programme_id: PROGRAMME.to_owned(),
            code: code.to_owned(),
            name: "县".to_owned(),
            level: "county".to_owned(),
            parent_code: "130300".to_owned(),
            province_code: "130000".to_owned(),
        };
        self.enrollment(code, "2019-06-21 00:00", &message);
    }

    /// A class of a county and its tutor.
    pub(crate) fn class(&mut self, class_id: &str, county: &str, tutor_id: &str) {
        let message = enrollment::ClassCreated {
            programme_id: PROGRAMME.to_owned(),
            class_id: class_id.to_owned(),
            region_code: county.to_owned(),
            tutor_id: tutor_id.to_owned(),
        };
        self.enrollment(county, "2019-06-22 00:00", &message);
    }

    /// Somebody who is no trainee.
    pub(crate) fn staff(&mut self, person_id: &str, role: Role, county: &str) {
        let message = enrollment::PersonRegistered {
            programme_id: PROGRAMME.to_owned(),
            person_id: person_id.to_owned(),
            role: role.into(),
            county_code: county.to_owned(),
            ..Default::default()
        };
        self.enrollment(county, "2019-07-20 00:00", &message);
    }

    /// A trainee of compulsory education.
    pub(crate) fn trainee(&mut self, person_id: &str, county: &str, class_id: &str) {
        let message = enrollment::PersonRegistered {
            programme_id: PROGRAMME.to_owned(),
            person_id: person_id.to_owned(),
            role: Role::Trainee.into(),
            county_code: county.to_owned(),
            class_id: class_id.to_owned(),
            education_stage: EducationStage::Compulsory.into(),
            ..Default::default()
        };
        self.enrollment(county, "2019-07-21 00:00", &message);
    }
}

/// The retraction of the fact of an event: told before that was recorded, or behind it.
pub(crate) fn retraction(event: &Event, is_before: bool) -> Event {
    let message = FactRetracted {
        programme_id: PROGRAMME.to_owned(),
        fact_id: event.fact_id.clone(),
        fact: (!is_before).then(|| event.clone()),
    };
    Event {
        id: format!("retraction-{}", event.fact_id),
        r#type: FactRetracted::full_name(),
        time: Some(to_timestamp(end())),
        data: Some(Any { type_url: String::new(), value: message.encode_to_vec() }),
        fact_id: String::new(),
        ..event.clone()
    }
}

/// The service over a fresh database.
pub(crate) struct Service {
    pub(crate) test: TestKit,
    pub(crate) server: TestServer,
    projectors: Projectors,
}

/// Which database.
#[derive(Debug, Clone, Copy)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

impl Service {
    pub(crate) async fn start(on: On) -> Self {
        let test = match on {
            On::Sqlite => TestKit::sqlite(shipei_assessment::NAME, &migrations()).await,
            On::Postgres => TestKit::postgres(shipei_assessment::NAME, &migrations()).await,
        };
        test.clock.set(end());
        let kit = test.kit.clone();
        let server = TestServer::start(|builder| serve(builder, &kit)).await;
        Self { test, server, projectors: Projectors::default() }
    }

    /// Another process over the same database.
    pub(crate) async fn restarted(self) -> Self {
        let (kit, clock) = (self.test.twin().await, self.test.clock.clone());
        let test = TestKit { kit: kit.clone(), clock, database: self.test.database };
        let server = TestServer::start(|builder| serve(builder, &kit)).await;
        Self { test, server, projectors: Projectors::default() }
    }

    pub(crate) fn client(&self) -> ScoreServiceClient<Channel> {
        ScoreServiceClient::new(self.server.channel())
    }

    /// Applies events in order, each run of one source as one batch.
    pub(crate) async fn apply(&self, events: &[Event]) {
        for batch in events.chunk_by(|left, right| left.source == right.source) {
            self.apply_batch(batch).await;
        }
    }

    /// Applies one batch of one source.
    pub(crate) async fn apply_batch(&self, batch: &[Event]) {
        self.projectors.apply(&self.test.kit, batch).await.unwrap();
    }

    pub(crate) async fn digest(&self) -> GetScoreDigestResponse {
        let request = GetScoreDigestRequest { programme_id: PROGRAMME.to_owned() };
        self.client().get_score_digest(request).await.unwrap().into_inner()
    }

    pub(crate) async fn trainees(
        &self,
        as_of: DateTime<Utc>,
        region: &str,
        class_id: &str,
        page_size: i32,
    ) -> Vec<TraineeScore> {
        let mut request = ListTraineeScoresRequest {
            programme_id: PROGRAMME.to_owned(),
            region_code: region.to_owned(),
            class_id: class_id.to_owned(),
            as_of: Some(to_timestamp(as_of)),
            page_size,
            page_token: String::new(),
            final_scores: false,
        };
        let mut scores = Vec::new();
        loop {
            let answer = self.client().list_trainee_scores(request.clone()).await.unwrap().into_inner();
            scores.extend(answer.scores);
            if answer.next_page_token.is_empty() {
                return scores;
            }
            request.page_token = answer.next_page_token;
        }
    }

    pub(crate) async fn tutors(&self, as_of: DateTime<Utc>) -> Vec<TutorScore> {
        let request = ListTutorScoresRequest {
            programme_id: PROGRAMME.to_owned(),
            as_of: Some(to_timestamp(as_of)),
            ..Default::default()
        };
        self.client().list_tutor_scores(request).await.unwrap().into_inner().scores
    }

    pub(crate) async fn counties(&self, as_of: DateTime<Utc>) -> Vec<CountyScore> {
        let request = ListCountyScoresRequest {
            programme_id: PROGRAMME.to_owned(),
            as_of: Some(to_timestamp(as_of)),
            ..Default::default()
        };
        self.client().list_county_scores(request).await.unwrap().into_inner().scores
    }
}

/// The projectors, without followers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Projectors {
    enrollment: EnrollmentProjector,
    learning: LearningProjector,
    assignment: AssignmentProjector,
    offline: OfflineProjector,
    decisions: DecisionsProjector,
}

impl Projectors {
    /// One batch in one transaction, as a follower does it.
    pub(crate) async fn apply(&self, kit: &Kit, batch: &[Event]) -> Result<()> {
        kit.write_by_itself("test", |mut unit: Unit| {
            let projectors = self.clone();
            async move {
                let source = batch.first().map_or("", |event| event.source.as_str());
                let batch = &*learn_retractions(&mut unit, source, batch).await?;
                match batch.first().map(|event| event.source.as_str()) {
                    Some("enrollment") => projectors.enrollment.apply(&mut unit, batch).await?,
                    Some("learning-progress") => projectors.learning.apply(&mut unit, batch).await?,
                    Some("assignment-grading") => projectors.assignment.apply(&mut unit, batch).await?,
                    Some("offline-activity") => projectors.offline.apply(&mut unit, batch).await?,
                    Some("assessment-decisions") => projectors.decisions.apply(&mut unit, batch).await?,
                    Some(other) => panic!("no projector for {other}"),
                    None => {}
                }
                Ok((unit, ()))
            }
        })
        .await
    }
}
