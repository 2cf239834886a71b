//! Two hundred steps in any order against a model of a few lines: facts of four logs told at once or later, told again,
//! retracted before and after they come, the service started anew, and all that it learned forgotten and learned again in another
//! order. The other services' machines stand in the suite's `tests/machine`.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use shipei_assessment::{SERVICE, recompute::rescore};
use shipei_contracts::{
    assignment::v1::{self as assignment, Grade},
    common::v1::Role,
    enrollment::v1 as enrollment,
    event::v1::Event,
    learning::v1 as learning,
    offline::v1 as offline,
};
use shipei_mirror::Programmes;
use shipei_store::cursor;

use crate::{
    model::{ACTIVITIES, Fact, Kind, Model},
    support::{HAIGANG, On, PROGRAMME, SCHEME, Service, Writer, at, end, retraction},
};

const STEPS: usize = 200;
/// How many rows of steps are tried on each database.
const RUNS_ON_SQLITE: u32 = 6;
const RUNS_ON_POSTGRES: u32 = 2;
const TRAINEES: [&str; 3] = ["T1", "T2", "T3"];

/// What somebody did.
#[derive(Debug, Clone)]
enum What {
    /// A phase is achieved, in time or too late, or taken back.
    Phase {
        index: i32,
        achieved: Option<bool>,
    },
    Submitted,
    Marked {
        submission: Index,
        grade: Option<Grade>,
    },
    Posted,
    Attended {
        activity: &'static str,
    },
    Scored {
        activity: &'static str,
        score: i32,
    },
    Left,
}

#[derive(Debug, Clone)]
enum Step {
    /// A trainee does something, which is told at once, or later.
    Do {
        trainee: usize,
        what: What,
        later: bool,
    },
    /// Something that was held back is told.
    Tell(Index),
    TellAgain(Index),
    /// A fact falls, told or not.
    Retract(Index),
    Restart,
    /// In an order that begins there.
    Relearn(Index),
    Look,
}

fn what() -> impl Strategy<Value = What> {
    let grades = vec![None, Some(Grade::Excellent), Some(Grade::Pass), Some(Grade::Fail)];
    prop_oneof![
        20 => (0..2, select(vec![Some(true), Some(true), Some(false), None]))
            .prop_map(|(index, achieved)| What::Phase { index, achieved }),
        20 => Just(What::Submitted),
        20 => (any::<Index>(), select(grades)).prop_map(|(submission, grade)| What::Marked { submission, grade }),
        10 => Just(What::Posted),
        15 => select(ACTIVITIES.to_vec()).prop_map(|activity| What::Attended { activity }),
        15 => (select(ACTIVITIES.to_vec()), 1..=10)
            .prop_map(|(activity, score)| What::Scored { activity, score }),
        2 => Just(What::Left),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0..TRAINEES.len(), what(), prop::bool::weighted(0.3))
            .prop_map(|(trainee, what, later)| Step::Do { trainee, what, later }),
        10 => any::<Index>().prop_map(Step::Tell),
        5 => any::<Index>().prop_map(Step::TellAgain),
        10 => any::<Index>().prop_map(Step::Retract),
        2 => Just(Step::Restart),
        2 => any::<Index>().prop_map(Step::Relearn),
        6 => Just(Step::Look),
    ]
}

/// The service beside the model.
struct Machine {
    service: Service,
    writer: Writer,
    /// What is told before everything else.
    roster: Vec<Event>,
    model: Model,
    retractions: Vec<Event>,
}

impl Machine {
    async fn start(on: On) -> Self {
        let service = Service::start(on).await;
        let mut writer = Writer::default();
        writer.programme(SCHEME);
        writer.county(HAIGANG);
        writer.class("C1", HAIGANG, "U1");
        writer.staff("U1", Role::ClassTutor, HAIGANG);
        for trainee in TRAINEES {
            writer.trainee(trainee, HAIGANG, "C1");
        }
        let opened = assignment::SeminarOpened {
            programme_id: PROGRAMME.to_owned(),
            seminar_id: "N1".to_owned(),
            class_id: "C1".to_owned(),
            tutor_id: "U1".to_owned(),
        };
        writer.assignment(HAIGANG, "2019-11-20 08:00", &opened);
        let roster = writer.take();
        service.apply(&roster).await;
        Self { service, writer, roster, model: Model::default(), retractions: Vec::new() }
    }

    /// Writes what somebody did down, at a minute of its own.
    fn written(&mut self, person: &'static str, what: &What) -> Option<Fact> {
        let number = i64::try_from(self.model.facts.len()).unwrap();
        let then = |from: &str| at(from) + TimeDelta::minutes(number);
        let (programme_id, person_id) = (PROGRAMME.to_owned(), person.to_owned());
        let class_id = "C1".to_owned();
        let writer = &mut self.writer;
        macro_rules! write {
            ($source:literal, $at:expr, $message:expr) => {
                writer.write($source, HAIGANG, $at, &$message)
            };
        }
        let (at, kind) = match what {
            What::Phase { index, achieved } => {
                let at = then(if *achieved == Some(false) { "2019-12-05 08:00" } else { "2019-10-15 08:00" });
                let (phase_index, version) = (*index, number + 1);
                match achieved {
                    Some(_) => {
                        let session_id = "S1".to_owned();
                        let by = learning::AchievedBy::Minutes.into();
                        let fact = learning::PhaseAchieved {
                            programme_id,
                            person_id,
                            phase_index,
                            by,
                            session_id,
                            version,
                            united: false,
                        };
                        write!("learning-progress", at, fact);
                    }
                    None => {
                        let fact = learning::PhaseTakenBack {
                            programme_id,
                            person_id,
                            phase_index,
                            version,
                            united: false,
                        };
                        write!("learning-progress", at, fact);
                    }
                }
                (at, Kind::Phase { index: *index, version, at: achieved.map(|_| at) })
            }
            What::Submitted => {
                let (at, submission) = (then("2019-11-05 08:00"), format!("A{number}"));
                let fact = assignment::AssignmentSubmitted {
                    programme_id,
                    submission_id: submission.clone(),
                    person_id,
                    class_id,
                    kind: "lesson_plan".to_owned(),
                    number: number + 1,
                };
                write!("assignment-grading", at, fact);
                (at, Kind::Submitted { submission })
            }
            What::Marked { submission, grade } => {
                let own = self.model.facts.iter().filter(|fact| fact.person == person);
                let own = own.filter_map(|fact| match &fact.kind {
                    Kind::Submitted { submission } => Some(submission.clone()),
                    _ => None,
                });
                let own: Vec<String> = own.collect();
                if own.is_empty() {
                    return None;
                }
                let (at, id) = (then("2019-11-05 08:00"), submission.get(&own).clone());
                let (submission_id, tutor_id, mark_number) = (id.clone(), "U1".to_owned(), number + 1);
                match grade {
                    Some(grade) => {
                        let fact = assignment::SubmissionReviewed {
                            programme_id,
                            submission_id,
                            person_id,
                            class_id,
                            tutor_id,
                            mark_number,
                            new: (*grade).into(),
                            old: Grade::Unspecified.into(),
                        };
                        write!("assignment-grading", at, fact);
                    }
                    None => {
                        let fact = assignment::SubmissionReturned {
                            programme_id,
                            submission_id,
                            person_id,
                            class_id,
                            tutor_id,
                            mark_number,
                            ..Default::default()
                        };
                        write!("assignment-grading", at, fact);
                    }
                }
                (at, Kind::Marked { submission: id, grade: *grade })
            }
            What::Posted => {
                let at = then("2019-11-25 08:00");
                let fact = assignment::PostAccepted {
                    programme_id,
                    seminar_id: "N1".to_owned(),
                    class_id,
                    person_id,
                    number: i32::try_from(number + 1).unwrap(),
                    ..Default::default()
                };
                write!("assignment-grading", at, fact);
                (at, Kind::Posted)
            }
            What::Attended { activity } => {
                let at = then("2019-10-20 08:00");
                let fact = offline::AttendanceRecorded {
                    programme_id,
                    activity_id: (*activity).to_owned(),
                    county_code: HAIGANG.to_owned(),
                    education_stage: shipei_contracts::common::v1::EducationStage::Compulsory.into(),
                    person_id,
                };
                write!("offline-activity", at, fact);
                (at, Kind::Attended { activity })
            }
            What::Scored { activity, score } => {
                let at = then("2019-10-20 08:00");
                let fact = offline::AttendeeScored {
                    programme_id,
                    activity_id: (*activity).to_owned(),
                    county_code: HAIGANG.to_owned(),
                    person_id,
                    score_number: i32::try_from(number + 1).unwrap(),
                    new: *score,
                    old: None,
                };
                write!("offline-activity", at, fact);
                (at, Kind::Scored { activity, score: *score })
            }
            What::Left => {
                let at = then("2019-12-15 08:00");
                write!("enrollment", at, enrollment::TraineeWithdrawn { programme_id, person_id });
                (at, Kind::Left)
            }
        };
        let event = self.writer.take().pop()?;
        Some(Fact { event, person, kind, at, told: false, fallen: false })
    }

    async fn tell(&mut self, place: usize) {
        let fact = &mut self.model.facts[place];
        fact.told = true;
        let event = fact.event.clone();
        self.service.apply(std::slice::from_ref(&event)).await;
        if fact.fallen {
            // A log tells of the retraction again behind what it had not told.
            let again = retraction(&event, false);
            self.service.apply(std::slice::from_ref(&again)).await;
            self.retractions.push(again);
        }
    }

    async fn take(mut self, step: &Step) -> Self {
        match step {
            Step::Do { trainee, what, later } => {
                let Some(fact) = self.written(TRAINEES[*trainee], what) else { return self };
                self.model.facts.push(fact);
                if !later {
                    self.tell(self.model.facts.len() - 1).await;
                }
            }
            Step::Tell(index) => {
                let held = (0..self.model.facts.len()).filter(|place| !self.model.facts[*place].told);
                let held: Vec<usize> = held.collect();
                if !held.is_empty() {
                    self.tell(*index.get(&held)).await;
                }
            }
            Step::TellAgain(index) => {
                let told: Vec<&Fact> = self.model.facts.iter().filter(|fact| fact.told).collect();
                if !told.is_empty() {
                    let event = index.get(&told).event.clone();
                    self.service.apply(&[event]).await;
                }
            }
            Step::Retract(index) => {
                let facts = self.model.facts.iter_mut();
                // What a phase rests on is voided, not retracted.
                let mut facts: Vec<&mut Fact> =
                    facts.filter(|fact| !fact.fallen && !matches!(fact.kind, Kind::Phase { .. })).collect();
                if !facts.is_empty() {
                    let place = index.index(facts.len());
                    facts[place].fallen = true;
                    let told = retraction(&facts[place].event, !facts[place].told);
                    self.service.apply(std::slice::from_ref(&told)).await;
                    self.retractions.push(told);
                }
            }
            Step::Restart => self.service = self.service.restarted().await,
            Step::Relearn(index) => self.relearn(index).await,
            Step::Look => self.look().await,
        }
        self
    }

    async fn relearn(&mut self, index: &Index) {
        let kit = &self.service.test.kit;
        let mut tx = kit.database().begin_write().await.unwrap();
        assert_eq!(cursor::forget_learned(&mut tx, &SERVICE.learned_tables()).await.unwrap(), 0);
        tx.commit().await.unwrap();
        let told = self.model.facts.iter().filter(|fact| fact.told).map(|fact| fact.event.clone());
        let mut events: Vec<Event> =
            self.roster.iter().cloned().chain(told).chain(self.retractions.iter().cloned()).collect();
        let first = index.index(events.len());
        events.rotate_left(first);
        self.service.apply(&events).await;
        rescore::finish(&self.service.test.kit, &Programmes::default()).await.unwrap();
        rescore::finish_due(&self.service.test.kit, &Programmes::default()).await.unwrap();
    }

    /// What is kept and answered is what the model has.
    async fn look(&self) {
        let listed = self.service.trainees(end(), "", "", 0).await;
        let found: Vec<_> = listed
            .iter()
            .map(|score| {
                let points: Vec<i32> = score.items.iter().map(|item| item.hundredths / 100).collect();
                (score.person_id.as_str(), points, score.passed)
            })
            .collect();
        let expected = TRAINEES.iter().filter_map(|person| {
            let (points, passed) = self.model.score(person)?;
            Some((*person, points, passed))
        });
        assert_eq!(found, expected.collect::<Vec<_>>());
        let digest = self.service.digest().await;
        assert_eq!(usize::try_from(digest.trainees), Ok(found.len()));
    }
}

fn try_all(on: On, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Shrinking two hundred steps over a database takes minutes: a failure names what differs.
    let config = Config { cases, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&vec(step(), STEPS), |steps| {
        runtime.block_on(async {
            let mut machine = Machine::start(on).await;
            for step in &steps {
                machine = machine.take(step).await;
            }
            machine.look().await;
            // Everything that was held back comes at last.
            let held = (0..machine.model.facts.len()).filter(|place| !machine.model.facts[*place].told);
            for place in held.collect::<BTreeSet<_>>() {
                machine.tell(place).await;
            }
            machine.look().await;
        });
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn scores_are_what_the_model_says_on_sqlite() {
    try_all(On::Sqlite, RUNS_ON_SQLITE);
}

#[test]
fn scores_are_what_the_model_says_on_postgres() {
    try_all(On::Postgres, RUNS_ON_POSTGRES);
}
