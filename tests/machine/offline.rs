//! Plans, activities, attendances, scores and results of two counties. Attendances and scores are also told late, so that what was
//! refused before may be taken when it is sent again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{
    prelude::*,
    sample::{Index, select, subsequence},
};
use shipei_contracts::{
    common::v1::EducationStage,
    event::v1::{Event, FactRetracted},
    offline::v1::{self as proto, offline_service_client::OfflineServiceClient},
};
use shipei_mirror::testing::{PROGRAMME, World};
use shipei_service_kit::to_timestamp;
use tonic::{Status, transport::Channel};

use super::{
    Deed, Model, before,
    roster::{COUNSELORS, TRAINEES, roster},
    stated,
};

/// Plans are due before summer's end: so long before everything else of this model.
const PLANS_BEFORE: TimeDelta = TimeDelta::days(70);
const PAGE: i32 = 1_000;

#[derive(Debug, Clone)]
pub(crate) struct Of {
    counselor: usize,
    county: usize,
    stage: EducationStage,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Plan(Of),
    Hold(Of),
    Results(Of),
    /// These people, at an activity that is there or not, so many minutes ago.
    Attend {
        counselor: usize,
        activity: Index,
        people: Vec<&'static str>,
        ago: i64,
    },
    /// A score, also one that can't be.
    Score {
        counselor: usize,
        activity: Index,
        person: &'static str,
        score: i32,
        ago: i64,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    Plan(proto::SubmitPlanRequest),
    Hold(proto::HoldActivityRequest),
    Attend(proto::RecordAttendanceRequest),
    Score(proto::ScoreAttendeeRequest),
    Results(proto::SubmitResultsRequest),
}

/// Something that a county did.
#[derive(Debug, Clone)]
struct Done {
    county: String,
    stage: EducationStage,
    /// The title of a plan, the id of an activity.
    name: String,
    at: DateTime<Utc>,
    fact: String,
}

#[derive(Debug, Clone)]
struct Attended {
    activity: String,
    person: String,
    at: DateTime<Utc>,
    fact: String,
}

#[derive(Debug, Clone)]
struct Scored {
    activity: String,
    person: String,
    at: DateTime<Utc>,
    score: i32,
    fact: String,
}

#[derive(Debug, Default)]
pub(crate) struct Counties {
    plans: Vec<Done>,
    activities: Vec<Done>,
    results: Vec<Done>,
    attended: Vec<Attended>,
    scored: Vec<Scored>,
    fallen: BTreeSet<String>,
}

fn of() -> impl Strategy<Value = Of> {
    let stages = vec![EducationStage::Compulsory, EducationStage::Compulsory, EducationStage::NonCompulsory];
    (0..2_usize, 0..2_usize, select(stages), prop::bool::weighted(0.8)).prop_map(
        |(counselor, county, stage, own)| Of {
            counselor,
            county: if own { counselor } else { county },
            stage,
        },
    )
}

/// Which county a counselor carries.
fn county_of(counselor: &str) -> &'static str {
    COUNSELORS.iter().find(|(id, _)| *id == counselor).unwrap().1
}

impl Counties {
    fn stands(&self, fact: &str) -> bool {
        !self.fallen.contains(fact)
    }

    /// When somebody attended first, by the records that stand, and which record says so.
    fn first(&self, activity: &str, person: &str) -> Option<&Attended> {
        let own =
            self.attended.iter().filter(|record| record.activity == activity && record.person == person);
        own.filter(|record| self.stands(&record.fact)).min_by_key(|record| record.at)
    }

    /// The score that counts.
    fn score(&self, activity: &str, person: &str) -> Option<&Scored> {
        let from = self.first(activity, person)?.at;
        let own = self.scored.iter().filter(|record| record.activity == activity && record.person == person);
        let counting = own.filter(|record| record.at >= from && self.stands(&record.fact));
        // Of two at one instant the one that was recorded later, which `max_by_key` gives.
        counting.max_by_key(|record| record.at)
    }

    /// The activity, if it was held by then and stands.
    fn held(&self, activity: &str, at: DateTime<Utc>) -> Option<&Done> {
        let held = self.activities.iter().find(|held| held.name == activity)?;
        (held.at <= at && self.stands(&held.fact)).then_some(held)
    }

    fn attend(&mut self, request: &proto::RecordAttendanceRequest) -> Option<&'static str> {
        let at = stated(request.occurred_at.as_ref());
        let Some(held) = self.held(&request.activity_id, at) else { return Some("NOT_FOUND") };
        if county_of(&request.counselor_id) != held.county {
            return Some("NOT_COUNTY_COUNSELOR");
        }
        let county_of =
            |person: &String| TRAINEES.iter().find(|(id, ..)| id == person).map(|trainee| trainee.1);
        if request.person_ids.iter().any(|person| county_of(person).is_none()) {
            return Some("NOT_FOUND");
        }
        let is_theirs = |person| county_of(person) == Some(&held.county);
        if held.stage != EducationStage::Compulsory || !request.person_ids.iter().all(is_theirs) {
            return Some("NOT_COUNTY_TRAINEE");
        }
        for person in &request.person_ids {
            self.attended.push(Attended {
                activity: request.activity_id.clone(),
                person: person.clone(),
                at,
                fact: format!("{}:{person}", request.request_id),
            });
        }
        None
    }

    fn give(&mut self, request: &proto::ScoreAttendeeRequest) -> Option<&'static str> {
        let at = stated(request.occurred_at.as_ref());
        let is_there = self.activities.iter().any(|held| held.name == request.activity_id);
        if !is_there || request.person_id == "T9" {
            return Some("NOT_FOUND");
        }
        let Some(held) = self.held(&request.activity_id, at) else { return Some("NOT_FOUND") };
        if county_of(&request.counselor_id) != held.county {
            return Some("NOT_COUNTY_COUNSELOR");
        }
        if !(1..=10).contains(&request.score) {
            return Some("SCORE_OUT_OF_RANGE");
        }
        if self.first(&request.activity_id, &request.person_id).is_none_or(|record| at < record.at) {
            return Some("NOT_ATTENDED");
        }
        self.scored.push(Scored {
            activity: request.activity_id.clone(),
            person: request.person_id.clone(),
            at,
            score: request.score,
            fact: request.request_id.clone(),
        });
        None
    }

    async fn compare_counties(&self, client: &mut OfflineServiceClient<Channel>) {
        let programme_id = || PROGRAMME.to_owned();
        let request =
            proto::ListPlansRequest { programme_id: programme_id(), page_size: PAGE, ..Default::default() };
        let listed = client.list_plans(request).await.unwrap().into_inner().plans;
        let listed = listed.into_iter().map(|plan| {
            let key = (plan.county_code.clone(), plan.education_stage());
            (key, (plan.submitted_time, plan.fact_id, plan.title, plan.title_fact_id))
        });
        let mut expected = BTreeMap::new();
        for plan in self.plans.iter().filter(|plan| self.stands(&plan.fact)) {
            let told = Some(to_timestamp(plan.at));
            let kept = expected
                .entry((plan.county.clone(), plan.stage))
                .or_insert_with(|| (told, plan.fact.clone(), plan.name.clone(), plan.fact.clone()));
            // Told in the order of their times.
            (kept.2, kept.3) = (plan.name.clone(), plan.fact.clone());
        }
        assert_eq!(listed.collect::<BTreeMap<_, _>>(), expected);

        let request = proto::ListActivitiesRequest {
            programme_id: programme_id(),
            with_retracted: true,
            page_size: PAGE,
            ..Default::default()
        };
        let listed = client.list_activities(request).await.unwrap().into_inner().activities;
        let listed = listed.into_iter().map(|held| (held.activity_id, held.county_code, held.retracted));
        let expected = self.activities.iter();
        let expected =
            expected.map(|held| (held.name.clone(), held.county.clone(), !self.stands(&held.fact)));
        assert_eq!(listed.collect::<BTreeSet<_>>(), expected.collect());

        let request = proto::ListResultsRequest {
            programme_id: programme_id(),
            with_retracted: true,
            page_size: PAGE,
            ..Default::default()
        };
        let listed = client.list_results(request).await.unwrap().into_inner().results;
        let listed = listed.into_iter().map(|results| {
            (results.fact_id.clone(), results.county_code.clone(), results.number, results.retracted)
        });
        let mut numbers = BTreeMap::new();
        let mut expected = BTreeSet::new();
        for results in &self.results {
            let number = numbers.entry((&results.county, results.stage)).or_insert(0);
            *number += 1;
            let fallen = !self.stands(&results.fact);
            expected.insert((results.fact.clone(), results.county.clone(), *number, fallen));
        }
        assert_eq!(listed.collect::<BTreeSet<_>>(), expected);
    }
}

impl Model for Counties {
    const SERVICE: &'static str = shipei_contracts::services::OFFLINE_ACTIVITY;
    const BEGINS: &'static str = "2019-10-02T02:00:00Z";
    type Act = Act;
    type Request = Request;

    fn told() -> Vec<Event> {
        roster()
    }

    fn acts() -> BoxedStrategy<Act> {
        let ago = || select(vec![0_i64, 0, 0, 20, 60]);
        let people = subsequence(vec!["T1", "T2", "T3", "T9"], 1..=2);
        let attend = (0..2_usize, any::<Index>(), people, ago());
        let score = (0..2_usize, any::<Index>(), select(vec!["T1", "T2", "T3", "T9"]), 0..=11_i32, ago());
        prop_oneof![
            2 => of().prop_map(Act::Plan),
            4 => of().prop_map(Act::Hold),
            2 => of().prop_map(Act::Results),
            6 => attend.prop_map(|(counselor, activity, people, ago)| {
                Act::Attend { counselor, activity, people, ago }
            }),
            6 => score.prop_map(|(counselor, activity, person, score, ago)| {
                Act::Score { counselor, activity, person, score, ago }
            }),
        ]
        .boxed()
    }

    fn deed(&self, act: &Act, request_id: &str, at: DateTime<Utc>) -> Deed<Request> {
        let (programme_id, request_id) = (PROGRAMME.to_owned(), request_id.to_owned());
        let counselor_id = |counselor: usize| COUNSELORS[counselor].0.to_owned();
        let county_code = |of: &Of| COUNSELORS[of.county].1.to_owned();
        let activity_id = |index: &Index| {
            let ids = self.activities.iter().map(|held| held.name.clone());
            index.get(&ids.chain(["O-none".to_owned()]).collect::<Vec<_>>()).clone()
        };
        Deed::Ask(match act {
            Act::Plan(of) => Request::Plan(proto::SubmitPlanRequest {
                programme_id,
                counselor_id: counselor_id(of.counselor),
                county_code: county_code(of),
                education_stage: of.stage.into(),
                title: format!("方案 {request_id}"),
                request_id,
                occurred_at: Some(to_timestamp(at - PLANS_BEFORE)),
                ..Default::default()
            }),
            Act::Hold(of) => Request::Hold(proto::HoldActivityRequest {
                programme_id,
                counselor_id: counselor_id(of.counselor),
                county_code: county_code(of),
                education_stage: of.stage.into(),
                activity_id: format!("O-{request_id}"),
                theme: "同课异构".to_owned(),
                request_id,
                occurred_at: Some(to_timestamp(at)),
                ..Default::default()
            }),
            Act::Results(of) => Request::Results(proto::SubmitResultsRequest {
                programme_id,
                counselor_id: counselor_id(of.counselor),
                county_code: county_code(of),
                education_stage: of.stage.into(),
                title: format!("成果 {request_id}"),
                request_id,
                occurred_at: Some(to_timestamp(at)),
                ..Default::default()
            }),
            Act::Attend { counselor, activity, people, ago } => {
                let at = before(at, *ago, &request_id);
                Request::Attend(proto::RecordAttendanceRequest {
                    programme_id,
                    counselor_id: counselor_id(*counselor),
                    activity_id: activity_id(activity),
                    person_ids: people.iter().map(|person| (*person).to_owned()).collect(),
                    all_or_none: true,
                    request_id,
                    occurred_at: Some(to_timestamp(at)),
                    ..Default::default()
                })
            }
            Act::Score { counselor, activity, person, score, ago } => {
                let occurred_at = Some(to_timestamp(before(at, *ago, &request_id)));
                Request::Score(proto::ScoreAttendeeRequest {
                    programme_id,
                    counselor_id: counselor_id(*counselor),
                    activity_id: activity_id(activity),
                    person_id: (*person).to_owned(),
                    score: *score,
                    request_id,
                    occurred_at,
                    ..Default::default()
                })
            }
        })
    }

    fn carry_out(&mut self, request: &Request) -> Option<&'static str> {
        macro_rules! done {
            ($request:expr, $list:ident, $name:ident) => {{
                if county_of(&$request.counselor_id) != $request.county_code {
                    return Some("NOT_COUNTY_COUNSELOR");
                }
                self.$list.push(Done {
                    county: $request.county_code.clone(),
                    stage: $request.education_stage(),
                    name: $request.$name.clone(),
                    at: stated($request.occurred_at.as_ref()),
                    fact: $request.request_id.clone(),
                });
                None
            }};
        }
        match request {
            Request::Plan(request) => done!(request, plans, title),
            Request::Hold(request) => done!(request, activities, activity_id),
            Request::Results(request) => done!(request, results, title),
            Request::Attend(request) => self.attend(request),
            Request::Score(request) => self.give(request),
        }
    }

    fn facts(&self) -> Vec<String> {
        let of_counties = self.plans.iter().chain(&self.activities).chain(&self.results);
        let of_counties = of_counties.map(|done| &done.fact);
        let attended = self.attended.iter().map(|record| &record.fact);
        let scored = self.scored.iter().map(|record| &record.fact);
        of_counties.chain(attended).chain(scored).cloned().collect()
    }

    fn facts_of(request_id: &str) -> Vec<String> {
        vec![request_id.to_owned(), format!("{request_id}:T1"), format!("{request_id}:T3")]
    }

    fn retract(&mut self, fact_id: &str) {
        self.fallen.insert(fact_id.to_owned());
    }

    async fn ask(channel: Channel, request: Request) -> Result<String, Status> {
        let mut client = OfflineServiceClient::new(channel);
        Ok(match request {
            Request::Plan(request) => format!("{:?}", client.submit_plan(request).await?.into_inner()),
            Request::Hold(request) => format!("{:?}", client.hold_activity(request).await?.into_inner()),
            Request::Attend(request) => {
                format!("{:?}", client.record_attendance(request).await?.into_inner())
            }
            Request::Score(request) => format!("{:?}", client.score_attendee(request).await?.into_inner()),
            Request::Results(request) => format!("{:?}", client.submit_results(request).await?.into_inner()),
        })
    }

    async fn compare(&self, world: &World) {
        let mut client = OfflineServiceClient::new(world.channel());
        self.compare_counties(&mut client).await;
        for held in self.activities.iter().filter(|held| self.stands(&held.fact)) {
            let request = proto::ListAttendancesRequest {
                programme_id: PROGRAMME.to_owned(),
                activity_id: held.name.clone(),
                page_size: PAGE,
                ..Default::default()
            };
            let listed = client.list_attendances(request).await.unwrap().into_inner().attendances;
            let listed = listed
                .into_iter()
                .map(|row| (row.person_id, row.fact_id, row.attended_time, row.score, row.score_fact_id));
            let expected = TRAINEES.iter().filter_map(|(person, ..)| {
                let first = self.first(&held.name, person)?;
                let score = self.score(&held.name, person);
                let fact = score.map(|score| score.fact.clone()).unwrap_or_default();
                let (at, score) = (Some(to_timestamp(first.at)), score.map(|score| score.score));
                Some(((*person).to_owned(), first.fact.clone(), at, score, fact))
            });
            assert_eq!(listed.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{}", held.name);
        }
        let told = world.events::<proto::AttendeeScored>().await.len();
        assert_eq!(told, self.scored.len());
        let fallen = world.events::<FactRetracted>().await.into_iter().map(|(_, told)| told.fact_id);
        assert_eq!(fallen.collect::<BTreeSet<_>>(), self.fallen);
    }
}
