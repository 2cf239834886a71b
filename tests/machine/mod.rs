//! Each service beside a model of a few lines: two hundred steps in any order on both databases, among them requests sent again,
//! facts retracted before and after they come, the service started anew, and all that it learned forgotten and learned again.
//!
//! A model says of each request for which reason it must be refused, if for any, and at the end what must be kept. Time goes on
//! by a minute with each step; a request that is sent again is of its own old minute. Assessment, which is asked nothing that
//! changes it, has a machine of its own beside its other tests.
//!
//! To add a model: a module with a type that is a [`Model`], and its line in `machines!`.

mod assignment;
mod decisions;
pub(crate) mod enrollment;
mod honours;
mod learning;
mod offline;
mod people;
mod places;
pub(crate) mod roster;

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use prost_types::Timestamp;
use shipei::services::service_of;
use shipei_contracts::event::v1::{
    Event, RetractRequest, correction_service_client::CorrectionServiceClient,
};
use shipei_mirror::testing::{PROGRAMME, World};
use shipei_service_kit::{
    Service,
    convert::from_timestamp,
    status::{is_turned_by_later_writes, reason_named, reason_of},
    testing::TestKit,
    to_timestamp,
};
use shipei_store::cursor;
use tonic::{Status, transport::Channel};

const STEPS: usize = 200;
/// How many rows of steps are tried on each database.
const RUNS_ON_SQLITE: u32 = 6;
const RUNS_ON_POSTGRES: u32 = 2;
/// So many request ids ahead of the last one a retraction may name: its fact falls when it comes.
const AHEAD: usize = 4;

/// What somebody does: asks the service, or does something elsewhere that it learns of.
pub(crate) enum Deed<Request> {
    /// Asks.
    Ask(Request),
    /// Enrollment tells of it.
    Learn(Box<Event>),
}

/// A service as it must be.
pub(crate) trait Model: Default {
    /// The service's name.
    const SERVICE: &'static str;
    /// The minute of the first step.
    const BEGINS: &'static str;
    /// What somebody may do.
    type Act: Clone + Debug;
    /// A request, as it can be sent again.
    type Request: Clone + Debug;

    /// What enrollment has told before the first step.
    fn told() -> Vec<Event>;

    /// Makes what there must be before the first step and no event of enrollment's tells.
    async fn prepare(_world: &World) {}

    /// Anything that somebody may do.
    fn acts() -> BoxedStrategy<Self::Act>;

    /// What it is when it is done, under the request's id and at a minute.
    fn deed(&self, act: &Self::Act, request_id: &str, at: DateTime<Utc>) -> Deed<Self::Request>;

    /// The reason for which the request must be refused, if any; else it is carried out. A request comes here again when a later
    /// write may have turned its refusal.
    fn carry_out(&mut self, request: &Self::Request) -> Option<&'static str>;

    /// Something was done elsewhere.
    fn learn(&mut self, _event: &Event) {}

    /// The facts that were recorded, whether they stand or not.
    fn facts(&self) -> Vec<String>;

    /// The ids of the facts that a request may record.
    fn facts_of(request_id: &str) -> Vec<String> {
        vec![request_id.to_owned()]
    }

    /// A fact falls, or will when it comes.
    fn retract(&mut self, fact_id: &str);

    /// Asks the service; gives its answer as text.
    async fn ask(channel: Channel, request: Self::Request) -> Result<String, Status>;

    /// What is kept, listed and told is what the model has.
    async fn compare(&self, world: &World);
}

#[derive(Debug, Clone)]
enum Step<Act> {
    Act(Act),
    SendAgain(Index),
    Retract(Index),
    Restart,
    Relearn,
}

fn step<M: Model + 'static>() -> impl Strategy<Value = Step<M::Act>> {
    prop_oneof![
        14 => M::acts().prop_map(Step::Act),
        4 => any::<Index>().prop_map(Step::SendAgain),
        2 => any::<Index>().prop_map(Step::Retract),
        1 => Just(Step::Restart),
        1 => Just(Step::Relearn),
    ]
}

/// The service beside its model.
struct Machine<M: Model> {
    world: World,
    service: &'static Service,
    /// What enrollment has told.
    told: Vec<Event>,
    model: M,
    sent: Vec<(M::Request, Result<String, String>)>,
    retracted: Vec<(String, String)>,
    minutes: i64,
}

async fn world_over(kit: TestKit, service: &'static Service, told: &[Event]) -> World {
    World::over(kit, service.serve, told).await
}

async fn answer_of<M: Model>(world: &World, request: M::Request) -> Result<String, String> {
    let answer = M::ask(world.channel(), request).await;
    answer.map_err(|status| reason_of(&status).unwrap_or(status.to_string()))
}

/// So many minutes before an instant, for what is told late: never at the instant of anything else, by the request's number.
pub(crate) fn before(at: DateTime<Utc>, minutes: i64, request_id: &str) -> DateTime<Utc> {
    let number: i64 = request_id.trim_start_matches('R').parse().unwrap();
    at - TimeDelta::minutes(minutes) - TimeDelta::microseconds(1 + number)
}

/// The instant that a request states.
pub(crate) fn stated(time: Option<&Timestamp>) -> DateTime<Utc> {
    from_timestamp(time.unwrap()).unwrap()
}

/// Whether a later write may turn a refusal of this reason.
fn may_turn(reason: &str) -> bool {
    reason_named(reason).is_some_and(is_turned_by_later_writes)
}

impl<M: Model + 'static> Machine<M> {
    async fn start(kit: TestKit, service: &'static Service) -> Self {
        let told = M::told();
        let world = world_over(kit, service, &told).await;
        M::prepare(&world).await;
        Self {
            world,
            service,
            told,
            model: M::default(),
            sent: Vec::new(),
            retracted: Vec::new(),
            minutes: 0,
        }
    }

    fn now(&self) -> DateTime<Utc> {
        let begins: DateTime<Utc> = M::BEGINS.parse().unwrap();
        begins + TimeDelta::minutes(self.minutes)
    }

    async fn take(mut self, step: &Step<M::Act>) -> Self {
        self.minutes += 1;
        match step {
            Step::Act(act) => self.act(act).await,
            Step::SendAgain(index) if !self.sent.is_empty() => {
                self.send_again(index.index(self.sent.len())).await;
            }
            Step::SendAgain(_) => {}
            Step::Retract(index) => {
                let ahead = self.sent.len()..self.sent.len() + AHEAD;
                let mut facts = self.model.facts();
                facts.extend(ahead.flat_map(|number| M::facts_of(&format!("R{number}"))));
                let fact: &String = index.get(&facts);
                self.retract(fact).await;
            }
            Step::Restart => {
                let World { kit, .. } = self.world;
                let (twin, clock) = (kit.twin().await, kit.clock.clone());
                let kit = TestKit { kit: twin, clock, database: kit.database };
                self.world = world_over(kit, self.service, &[]).await;
            }
            Step::Relearn => {
                let mut tx = self.world.kit.kit.database().begin_write().await.unwrap();
                let running = cursor::forget_learned(&mut tx, &self.service.learned_tables()).await;
                assert_eq!(running.unwrap(), 0);
                tx.commit().await.unwrap();
                self.world.learn(&self.told).await;
            }
        }
        self
    }

    async fn act(&mut self, act: &M::Act) {
        let request_id = format!("R{}", self.sent.len());
        match self.model.deed(act, &request_id, self.now()) {
            Deed::Ask(request) => {
                let expected = self.model.carry_out(&request);
                let answer = answer_of::<M>(&self.world, request.clone()).await;
                assert_eq!(answer.as_ref().err().map(String::as_str), expected, "{request:?}");
                self.sent.push((request, answer));
            }
            Deed::Learn(event) => {
                let event = *event;
                self.world.learn(std::slice::from_ref(&event)).await;
                self.model.learn(&event);
                self.told.push(event);
            }
        }
    }

    /// What was carried out is answered as it was, and so is what was refused, unless a later write has turned that: what would be
    /// refused for another reason now keeps its first one.
    async fn send_again(&mut self, index: usize) {
        let (request, before) = self.sent[index].clone();
        let answer = answer_of::<M>(&self.world, request.clone()).await;
        let may_turn = before.as_ref().is_err_and(|reason| may_turn(reason));
        if may_turn && self.model.carry_out(&request).is_none() {
            assert!(answer.is_ok(), "again {request:?}: {answer:?}");
            self.sent[index].1 = answer;
        } else {
            assert_eq!(answer, before, "again {request:?}");
        }
    }

    /// The first retraction of a fact stands.
    async fn retract(&mut self, fact_id: &str) {
        let request = RetractRequest {
            source: M::SERVICE.to_owned(),
            programme_id: PROGRAMME.to_owned(),
            fact_id: fact_id.to_owned(),
            reason: format!("登记错误 {}", self.minutes),
            request_id: format!("retraction-{}", self.minutes),
            occurred_at: Some(to_timestamp(self.now())),
        };
        let mut client = CorrectionServiceClient::new(self.world.channel());
        let answer = client.retract(request.clone()).await.unwrap().into_inner().retraction.unwrap();
        let known = self.retracted.iter().find(|(known, _)| known == fact_id);
        let reason = known.map_or(&request.reason, |(_, reason)| reason);
        assert_eq!((&*answer.fact_id, &answer.reason), (fact_id, reason));
        if known.is_none() {
            self.retracted.push((fact_id.to_owned(), request.reason));
            self.model.retract(fact_id);
        }
    }
}

async fn run<M: Model + 'static>(kit: TestKit, service: &'static Service, steps: Vec<Step<M::Act>>) {
    let mut machine = Machine::<M>::start(kit, service).await;
    for step in &steps {
        machine = machine.take(step).await;
    }
    machine.model.compare(&machine.world).await;
}

fn try_all<M: Model + 'static>(is_postgres: bool) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = service_of(M::SERVICE).unwrap();
    let cases = if is_postgres { RUNS_ON_POSTGRES } else { RUNS_ON_SQLITE };
    // Shrinking two hundred steps over a database takes minutes: a failure names the request.
    let config = Config { cases, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&vec(step::<M>(), STEPS), |steps| {
        runtime.block_on(async {
            let migrations = (service.migrations)();
            let kit = match is_postgres {
                true => TestKit::postgres(service.name, &migrations).await,
                false => TestKit::sqlite(service.name, &migrations).await,
            };
            run::<M>(kit, service, steps).await;
        });
        Ok(())
    });
    tried.unwrap();
}

macro_rules! machines {
    ($($module:ident => $model:ty;)+) => {
        mod sqlite { $(#[test] fn $module() { super::try_all::<$model>(false); })+ }
        mod postgres { $(#[test] fn $module() { super::try_all::<$model>(true); })+ }
    };
}

machines! {
    assignments_do_what_the_model_does => super::assignment::Works;
    study_does_what_the_model_does => super::learning::Study;
    counties_do_what_the_model_does => super::offline::Counties;
    decisions_do_what_the_model_does => super::decisions::Decisions;
    people_do_what_the_model_does => super::enrollment::People;
}
