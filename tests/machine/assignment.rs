//! Submissions, reviews and returns of three trainees in two classes, and one who leaves.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proptest::{
    prelude::*,
    sample::{Index, select},
};
use shipei_contracts::{
    assignment::v1::{self as proto, Grade, assignment_service_client::AssignmentServiceClient},
    enrollment::v1::TraineeWithdrawn,
    event::v1::{Event, FactRetracted},
};
use shipei_mirror::testing::{PROGRAMME, World, withdrawal};
use shipei_service_kit::{prost::Message as _, to_timestamp};
use tonic::{Status, transport::Channel};

use super::{
    Deed, Model,
    roster::{TRAINEES, roster},
    stated,
};

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// By this trainee, or by nobody; of a kind that the scheme has or not.
    Submit { trainee: usize, kind: bool },
    /// A grade, or a return; by a tutor, with a comment or a blank.
    Mark { submission: Index, tutor: &'static str, grade: Option<Grade>, comment: bool },
    /// Who has left can do nothing more.
    Leave { trainee: usize },
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    Submit(proto::SubmitAssignmentRequest),
    Review(proto::ReviewSubmissionRequest),
    Return(proto::ReturnSubmissionRequest),
}

#[derive(Debug, Clone)]
struct Mark {
    fact: String,
    at: DateTime<Utc>,
    grade: Option<Grade>,
}

#[derive(Debug, Clone)]
struct Work {
    id: String,
    fact: String,
    trainee: String,
    at: DateTime<Utc>,
    marks: Vec<Mark>,
}

/// Where a submission stands that was not retracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Counts,
    Superseded(DateTime<Utc>),
    Disregarded,
}

#[derive(Debug, Default)]
pub(crate) struct Works {
    works: Vec<Work>,
    fallen: BTreeSet<String>,
    left: BTreeMap<String, DateTime<Utc>>,
}

impl Works {
    /// The submissions of a trainee that stand, by time, each with its standing; `new` is one of them whatever fell.
    fn standings(&self, trainee: &str, new: &str) -> Vec<(&Work, Standing)> {
        let own = self.works.iter().filter(|work| work.trainee == trainee);
        let mut own: Vec<_> = own
            .filter(|work| work.id == new || !self.fallen.contains(&work.fact))
            .map(|work| (work, Standing::Counts))
            .collect();
        own.sort_by_key(|(work, _)| work.at);
        let mut counting = 0;
        for newer in 1..own.len() {
            let at = own[newer].0.at;
            let earlier = own[counting].0.marks.iter().filter(|mark| mark.at < at);
            let last = earlier.filter(|mark| !self.fallen.contains(&mark.fact)).max_by_key(|mark| mark.at);
            if last.is_some_and(|mark| matches!(mark.grade, Some(Grade::Excellent | Grade::Pass))) {
                own[newer].1 = Standing::Disregarded;
            } else {
                own[counting].1 = Standing::Superseded(at);
                counting = newer;
            }
        }
        own
    }

    fn standing(&self, work: &Work) -> Standing {
        let standings = self.standings(&work.trainee, &work.id);
        standings.into_iter().find(|(other, _)| other.id == work.id).unwrap().1
    }

    fn has_left(&self, trainee: &str, at: DateTime<Utc>) -> bool {
        self.left.get(trainee).is_some_and(|left| *left <= at)
    }

    fn submit(&mut self, request: &proto::SubmitAssignmentRequest) -> Option<&'static str> {
        let at = stated(request.occurred_at.as_ref());
        if !TRAINEES.iter().any(|(id, ..)| *id == request.person_id) {
            return Some("NOT_FOUND");
        }
        if self.has_left(&request.person_id, at) {
            return Some("WITHDRAWN");
        }
        if request.kind == "essay" {
            return Some("INVALID_KIND");
        }
        self.works.push(Work {
            id: request.submission_id.clone(),
            fact: request.request_id.clone(),
            trainee: request.person_id.clone(),
            at,
            marks: Vec::new(),
        });
        if self.standing(self.works.last().unwrap()) == Standing::Disregarded {
            self.works.pop();
            return Some("ALREADY_GRADED");
        }
        None
    }

    fn mark(
        &mut self,
        (submission_id, tutor_id, comment): (&str, &str, &str),
        mark: Mark,
    ) -> Option<&'static str> {
        let place = self.works.iter().position(|work| work.id == submission_id);
        let Some(place) = place else { return Some("NOT_FOUND") };
        let work = &self.works[place];
        if mark.at < work.at || self.fallen.contains(&work.fact) {
            return Some("NOT_FOUND");
        }
        if !TRAINEES.iter().any(|(id, _, _, tutor)| *id == work.trainee && *tutor == tutor_id) {
            return Some("NOT_CLASS_TUTOR");
        }
        if self.has_left(&work.trainee, mark.at) {
            return Some("WITHDRAWN");
        }
        if matches!(self.standing(work), Standing::Superseded(at) if at <= mark.at) {
            return Some("SUPERSEDED");
        }
        if comment.trim().is_empty() {
            return Some("COMMENT_REQUIRED");
        }
        self.works[place].marks.push(mark);
        None
    }
}

impl Model for Works {
    const SERVICE: &'static str = shipei_contracts::services::ASSIGNMENT_GRADING;
    const BEGINS: &'static str = "2019-11-04T02:00:00Z";
    type Act = Act;
    type Request = Request;

    fn told() -> Vec<Event> {
        roster()
    }

    fn acts() -> BoxedStrategy<Act> {
        let grades =
            vec![None, Some(Grade::Excellent), Some(Grade::Pass), Some(Grade::Fail), Some(Grade::Fail)];
        let by_tutor =
            (any::<Index>(), select(vec!["U1", "U1", "U2"]), select(grades), prop::bool::weighted(0.9));
        prop_oneof![
            60 => (0..=TRAINEES.len(), prop::bool::weighted(0.9))
                .prop_map(|(trainee, kind)| Act::Submit { trainee, kind }),
            80 => by_tutor.prop_map(|(submission, tutor, grade, comment)| {
                Act::Mark { submission, tutor, grade, comment }
            }),
            1 => (0..TRAINEES.len()).prop_map(|trainee| Act::Leave { trainee }),
        ]
        .boxed()
    }

    fn deed(&self, act: &Act, request_id: &str, at: DateTime<Utc>) -> Deed<Request> {
        let (programme_id, request_id) = (PROGRAMME.to_owned(), request_id.to_owned());
        let occurred_at = Some(to_timestamp(at));
        match act {
            Act::Submit { trainee, kind } => Deed::Ask(Request::Submit(proto::SubmitAssignmentRequest {
                programme_id,
                person_id: TRAINEES.get(*trainee).map_or("T9", |(id, ..)| id).to_owned(),
                submission_id: format!("A-{request_id}"),
                kind: if *kind { "lesson_plan" } else { "essay" }.to_owned(),
                title: "作业".to_owned(),
                text: format!("教学设计 {request_id}"),
                request_id,
                occurred_at,
                ..Default::default()
            })),
            Act::Mark { submission, tutor, grade, comment } => {
                // Of those that are there, or of one that is not.
                let ids = self.works.iter().map(|work| work.id.clone());
                let ids: Vec<String> = ids.chain(["A-none".to_owned()]).collect();
                let (tutor_id, submission_id) = ((*tutor).to_owned(), submission.get(&ids).clone());
                let comment = if *comment { "有针对性的评语" } else { "\u{3000} " }.to_owned();
                Deed::Ask(match grade {
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
                })
            }
            Act::Leave { trainee } => {
                let mut left = withdrawal(TRAINEES[*trainee].0, "11-04T10:00:00");
                left.time = Some(to_timestamp(at));
                Deed::Learn(Box::new(left))
            }
        }
    }

    fn carry_out(&mut self, request: &Request) -> Option<&'static str> {
        match request {
            Request::Submit(request) => self.submit(request),
            Request::Review(request) => {
                let (fact, at) = (request.request_id.clone(), stated(request.occurred_at.as_ref()));
                let mark = Mark { fact, at, grade: Some(request.grade()) };
                self.mark((&request.submission_id, &request.tutor_id, &request.comment), mark)
            }
            Request::Return(request) => {
                let (fact, at) = (request.request_id.clone(), stated(request.occurred_at.as_ref()));
                let mark = Mark { fact, at, grade: None };
                self.mark((&request.submission_id, &request.tutor_id, &request.comment), mark)
            }
        }
    }

    fn learn(&mut self, event: &Event) {
        let data = event.data.as_ref().unwrap().value.as_slice();
        let left = TraineeWithdrawn::decode(data).unwrap();
        self.left.entry(left.person_id).or_insert(stated(event.time.as_ref()));
    }

    fn facts(&self) -> Vec<String> {
        let marks = self.works.iter().flat_map(|work| &work.marks).map(|mark| &mark.fact);
        self.works.iter().map(|work| &work.fact).chain(marks).cloned().collect()
    }

    fn retract(&mut self, fact_id: &str) {
        self.fallen.insert(fact_id.to_owned());
    }

    async fn ask(channel: Channel, request: Request) -> Result<String, Status> {
        let mut client = AssignmentServiceClient::new(channel);
        let answer = match request {
            Request::Submit(request) => client.submit_assignment(request).await?.into_inner().submission,
            Request::Review(request) => client.review_submission(request).await?.into_inner().submission,
            Request::Return(request) => client.return_submission(request).await?.into_inner().submission,
        };
        Ok(format!("{:?}", answer.unwrap()))
    }

    async fn compare(&self, world: &World) {
        let mut client = AssignmentServiceClient::new(world.channel());
        for work in &self.works {
            let (programme_id, submission_id) = (PROGRAMME.to_owned(), work.id.clone());
            let request = proto::GetSubmissionRequest { programme_id, submission_id };
            let kept = client.get_submission(request).await.unwrap().into_inner().submission.unwrap();
            let mut marks: Vec<_> =
                kept.marks.iter().map(|mark| (mark.fact_id.clone(), mark.grade(), mark.retracted)).collect();
            marks.sort();
            let expected = work.marks.iter().map(|mark| {
                let grade = mark.grade.unwrap_or(Grade::Unspecified);
                (mark.fact.clone(), grade, self.fallen.contains(&mark.fact))
            });
            let mut expected: Vec<_> = expected.collect();
            expected.sort();
            assert_eq!(marks, expected, "{}", work.id);
            assert_eq!(kept.retracted, self.fallen.contains(&work.fact), "{}", work.id);
            if kept.retracted {
                continue;
            }
            let standing = self.standing(work);
            let superseded = match standing {
                Standing::Superseded(at) => Some(to_timestamp(at)),
                Standing::Counts | Standing::Disregarded => None,
            };
            assert_eq!(kept.superseded_time, superseded, "{}", work.id);
            assert_eq!(
                kept.graded_submission_id.is_empty(),
                standing != Standing::Disregarded,
                "{}",
                work.id
            );
        }
        let submitted = world.events::<proto::AssignmentSubmitted>().await;
        assert_eq!(submitted.len(), self.works.len());
        let fallen = world.events::<FactRetracted>().await.into_iter().map(|(_, told)| told.fact_id);
        assert_eq!(fallen.collect::<BTreeSet<_>>(), self.fallen);
    }
}
