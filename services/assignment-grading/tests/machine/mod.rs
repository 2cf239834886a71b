//! Two hundred steps in any order against a model of a few lines: submissions, reviews, returns, withdrawals, requests sent
//! again, the service started anew, and all that it learned from enrollment forgotten and learned again.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{self, PROGRAMME, World, instant, roster, withdrawal};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use shipei_assignment_grading::SERVICE;
use shipei_contracts::{
    assignment::v1::{self as proto, Grade, assignment_service_client::AssignmentServiceClient},
    event::v1::Event,
};
use shipei_service_kit::{convert::to_timestamp, status::reason_of, testing::TestKit};
use shipei_store::cursor;
use tonic::Status;

const STEPS: usize = 200;
/// How many rows of steps are tried on each database.
const RUNS_ON_SQLITE: u32 = 6;
const RUNS_ON_POSTGRES: u32 = 2;
/// Trainees and the tutor of the class of each.
const TRAINEES: [(&str, &str); 3] = [("T1", "U1"), ("T2", "U1"), ("T3", "U2")];

#[derive(Debug, Clone)]
enum Step {
    /// By this trainee, or by nobody; of a kind that the scheme has or not.
    Submit {
        trainee: usize,
        kind: bool,
    },
    /// A grade, or a return; by a tutor, with a comment or a blank.
    Mark {
        submission: Index,
        tutor: &'static str,
        grade: Option<Grade>,
        comment: bool,
    },
    Withdraw {
        trainee: usize,
    },
    SendAgain(Index),
    Restart,
    Relearn,
}

fn step() -> impl Strategy<Value = Step> {
    let grade =
        select(vec![None, Some(Grade::Excellent), Some(Grade::Pass), Some(Grade::Fail), Some(Grade::Fail)]);
    prop_oneof![
        6 => (0..=TRAINEES.len(), prop::bool::weighted(0.9)).prop_map(|(trainee, kind)| Step::Submit { trainee, kind }),
        8 => (any::<Index>(), select(vec!["U1", "U1", "U2"]), grade, prop::bool::weighted(0.9)).prop_map(
            |(submission, tutor, grade, comment)| Step::Mark { submission, tutor, grade, comment }
        ),
        4 => any::<Index>().prop_map(Step::SendAgain),
        1 => Just(Step::Restart),
        1 => Just(Step::Relearn),
    ]
}

/// Everything, and now and then somebody leaves near the end: who has left can do nothing more.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    (vec(step(), STEPS - 2), 0..TRAINEES.len(), STEPS / 2..STEPS - 2, any::<bool>()).prop_map(
        |(mut steps, trainee, place, leaves)| {
            if leaves {
                steps.insert(place, Step::Withdraw { trainee });
            }
            steps
        },
    )
}

/// A request, as it can be sent again.
#[derive(Debug, Clone)]
enum Request {
    Submit(proto::SubmitAssignmentRequest),
    Review(proto::ReviewSubmissionRequest),
    Return(proto::ReturnSubmissionRequest),
}

/// A submission as the model has it.
#[derive(Debug, Clone)]
struct Work {
    trainee: usize,
    marks: Vec<Option<Grade>>,
    superseded: bool,
}

impl Work {
    /// Nothing new is taken behind it.
    fn is_graded(&self) -> bool {
        matches!(self.marks.last(), Some(Some(Grade::Excellent | Grade::Pass)))
    }
}

#[derive(Debug, Default)]
struct Model {
    works: BTreeMap<String, Work>,
    left: BTreeSet<usize>,
}

impl Model {
    /// The reason for which it must be refused, if any; else it is carried out.
    fn submit(&mut self, id: &str, trainee: usize, kind: bool) -> Option<&'static str> {
        if trainee == TRAINEES.len() {
            return Some("NOT_FOUND");
        }
        if self.left.contains(&trainee) {
            return Some("WITHDRAWN");
        }
        if !kind {
            return Some("INVALID_KIND");
        }
        let newest = self.works.values_mut().find(|work| work.trainee == trainee && !work.superseded);
        if let Some(newest) = newest {
            if newest.is_graded() {
                return Some("ALREADY_GRADED");
            }
            newest.superseded = true;
        }
        self.works.insert(id.to_owned(), Work { trainee, marks: Vec::new(), superseded: false });
        None
    }

    fn mark(&mut self, id: &str, tutor: &str, grade: Option<Grade>, comment: bool) -> Option<&'static str> {
        let Some(work) = self.works.get_mut(id) else { return Some("NOT_FOUND") };
        if TRAINEES[work.trainee].1 != tutor {
            return Some("NOT_CLASS_TUTOR");
        }
        if self.left.contains(&work.trainee) {
            return Some("WITHDRAWN");
        }
        if work.superseded {
            return Some("SUPERSEDED");
        }
        if !comment {
            return Some("COMMENT_REQUIRED");
        }
        work.marks.push(grade);
        None
    }
}

/// The service beside the model.
struct Machine {
    world: World,
    /// What enrollment has told.
    told: Vec<Event>,
    model: Model,
    sent: Vec<(Request, Result<proto::Submission, String>)>,
    minutes: i64,
}

impl Machine {
    fn client(&self) -> AssignmentServiceClient<tonic::transport::Channel> {
        AssignmentServiceClient::new(self.world.channel())
    }

    async fn ask(&self, request: Request) -> Result<proto::Submission, String> {
        let mut client = self.client();
        let answer: Result<Option<proto::Submission>, Status> = match request {
            Request::Submit(request) => {
                client.submit_assignment(request).await.map(|answer| answer.into_inner().submission)
            }
            Request::Review(request) => {
                client.review_submission(request).await.map(|answer| answer.into_inner().submission)
            }
            Request::Return(request) => {
                client.return_submission(request).await.map(|answer| answer.into_inner().submission)
            }
        };
        answer.map(Option::unwrap).map_err(|status| reason_of(&status).unwrap_or(status.to_string()))
    }

    /// The request of a step and what the model makes of it.
    fn request(&mut self, step: &Step) -> Option<(Request, Option<&'static str>)> {
        let number = self.sent.len();
        let (programme_id, request_id) = (PROGRAMME.to_owned(), format!("R{number}"));
        let at = instant("11-04T10:00:00") + chrono::TimeDelta::minutes(self.minutes);
        let occurred_at = Some(to_timestamp(at));
        match step {
            Step::Submit { trainee, kind } => {
                let submission_id = format!("A{number}");
                let expected = self.model.submit(&submission_id, *trainee, *kind);
                let request = proto::SubmitAssignmentRequest {
                    programme_id,
                    person_id: TRAINEES.get(*trainee).map_or("T9", |(id, _)| id).to_owned(),
                    submission_id,
                    kind: if *kind { "lesson_plan" } else { "essay" }.to_owned(),
                    title: "作业".to_owned(),
                    text: format!("教学设计 {number}"),
                    request_id,
                    occurred_at,
                    ..Default::default()
                };
                Some((Request::Submit(request), expected))
            }
            Step::Mark { submission, tutor, grade, comment } => {
                // Of those that are there, or of one that is not.
                let ids: Vec<String> =
                    self.model.works.keys().cloned().chain(["A-none".to_owned()]).collect();
                let submission_id = submission.get(&ids).clone();
                let expected = self.model.mark(&submission_id, tutor, *grade, *comment);
                let tutor_id = (*tutor).to_owned();
                let comment = if *comment { "有针对性的评语" } else { "\u{3000} " }.to_owned();
                let request = match grade {
                    Some(grade) => Request::Review(proto::ReviewSubmissionRequest {
                        programme_id,
                        tutor_id,
                        submission_id,
                        grade: (*grade).into(),
                        comment,
                        request_id,
                        occurred_at,
                        ..Default::default()
                    }),
                    None => Request::Return(proto::ReturnSubmissionRequest {
                        programme_id,
                        tutor_id,
                        submission_id,
                        comment,
                        request_id,
                        occurred_at,
                        ..Default::default()
                    }),
                };
                Some((request, expected))
            }
            Step::Withdraw { .. } | Step::SendAgain(_) | Step::Restart | Step::Relearn => None,
        }
    }

    async fn take(mut self, step: &Step) -> Self {
        self.minutes += 1;
        if let Some((request, expected)) = self.request(step) {
            let answer = self.ask(request.clone()).await;
            assert_eq!(answer.as_ref().err().map(String::as_str), expected, "{request:?}");
            self.sent.push((request, answer));
            return self;
        }
        match step {
            Step::Withdraw { trainee } => {
                let at = instant("11-04T10:00:00") + chrono::TimeDelta::minutes(self.minutes);
                let mut left = withdrawal(TRAINEES[*trainee].0, "11-04T10:00:00");
                left.time = Some(to_timestamp(at));
                self.world.learn(std::slice::from_ref(&left)).await;
                self.told.push(left);
                self.model.left.insert(*trainee);
            }
            Step::SendAgain(index) if !self.sent.is_empty() => {
                let (request, answer) = index.get(&self.sent).clone();
                assert_eq!(self.ask(request.clone()).await, answer, "{request:?}");
            }
            Step::Restart => {
                let World { kit, .. } = self.world;
                let (twin, clock) = (kit.twin().await, kit.clock.clone());
                let kit = TestKit { kit: twin, clock, database: kit.database };
                self.world = World::over(kit, shipei_assignment_grading::serve, &[]).await;
            }
            Step::Relearn => {
                let mut tx = self.world.kit.kit.database().begin_write().await.unwrap();
                assert_eq!(cursor::forget_learned(&mut tx, &SERVICE.learned_tables()).await.unwrap(), 0);
                tx.commit().await.unwrap();
                self.world.learn(&self.told).await;
            }
            _ => {}
        }
        self
    }

    /// What is kept is what the model has, and the log tells it once each.
    async fn compare(&self) {
        let mut client = self.client();
        for (id, work) in &self.model.works {
            let request =
                proto::GetSubmissionRequest { programme_id: PROGRAMME.to_owned(), submission_id: id.clone() };
            let kept = client.get_submission(request).await.unwrap().into_inner().submission.unwrap();
            let grades: Vec<i32> =
                work.marks.iter().map(|grade| grade.unwrap_or(Grade::Unspecified).into()).collect();
            assert_eq!(kept.marks.iter().map(|mark| mark.grade).collect::<Vec<_>>(), grades, "{id}");
            assert_eq!(kept.superseded_time.is_some(), work.superseded, "{id}");
            assert_eq!(kept.graded_submission_id, "", "{id}");
        }
        let submitted = self.world.events::<proto::AssignmentSubmitted>().await;
        assert_eq!(submitted.len(), self.model.works.len());
        let superseded = self.world.events::<proto::AssignmentSuperseded>().await;
        assert_eq!(superseded.len(), self.model.works.values().filter(|work| work.superseded).count());
    }
}

async fn run(world: World, steps: Vec<Step>) {
    let mut machine =
        Machine { world, told: roster(), model: Model::default(), sent: Vec::new(), minutes: 0 };
    for step in &steps {
        machine = machine.take(step).await;
    }
    machine.compare().await;
}

fn try_all<Worlds, Opening>(runs: u32, world: Worlds)
where
    Worlds: Fn() -> Opening,
    Opening: Future<Output = World>,
{
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Shrinking two hundred steps over a database takes minutes: a failure names the request.
    let config = Config { cases: runs, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async { run(world().await, steps).await });
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn assignments_do_what_the_model_does_on_sqlite() {
    try_all(RUNS_ON_SQLITE, support::sqlite);
}

#[test]
fn assignments_do_what_the_model_does_on_postgres() {
    try_all(RUNS_ON_POSTGRES, support::postgres);
}
