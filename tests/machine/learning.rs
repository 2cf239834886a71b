//! Selections, study and voided sessions of three trainees, in a main-line course and one that is chosen.
//! Selections are also told late, so that study that was refused is taken when it is sent again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{
    prelude::*,
    sample::{Index, select},
};
use shipei_contracts::{
    event::v1::{Event, FactRetracted},
    learning::v1::{
        self as proto, CourseCategory, course_service_client::CourseServiceClient,
        study_service_client::StudyServiceClient,
    },
};
use shipei_mirror::testing::{PROGRAMME, World};
use shipei_service_kit::to_timestamp;
use tonic::{Status, transport::Channel};

use super::{
    Deed, Model, before,
    roster::{TRAINEES, roster},
    stated,
};

/// Courses of the first phase, each with its length in seconds: one that everybody must study, and one that is chosen.
const MAIN_LINE: (&str, i64) = ("M1", 120);
const CHOSEN: (&str, i64) = ("E1", 180);
/// The seconds between two heartbeats of a session.
const BEAT_SECONDS: i64 = 10;
const PAGE: i32 = 1_000;

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Choose {
        trainee: usize,
        ago: i64,
    },
    Study {
        trainee: usize,
        course: &'static str,
        beats: i64,
    },
    /// Of a session that is there, or of none.
    Void {
        session: Index,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Beats {
    person: String,
    course: String,
    session: String,
    from: DateTime<Utc>,
    beats: i64,
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    Choose(proto::SelectCourseRequest),
    Study(Beats),
    Void(proto::VoidSessionRequest),
}

#[derive(Debug, Clone)]
struct Session {
    person: String,
    course: String,
    id: String,
    /// The facts that voided it and stand.
    voids: BTreeSet<String>,
    /// What each heartbeat was credited, in seconds.
    credit: Vec<(DateTime<Utc>, i64)>,
}

#[derive(Debug, Clone)]
struct Chosen {
    person: String,
    at: DateTime<Utc>,
    fact: String,
}

#[derive(Debug, Default)]
pub(crate) struct Study {
    sessions: Vec<Session>,
    chosen: Vec<Chosen>,
    fallen: BTreeSet<String>,
}

fn length_of(course: &str) -> i64 {
    if course == MAIN_LINE.0 { MAIN_LINE.1 } else { CHOSEN.1 }
}

impl Study {
    /// What somebody was credited of a course, by time.
    fn credit(&self, person: &str, course: &str) -> Vec<(DateTime<Utc>, i64)> {
        let sessions = self.sessions.iter().filter(|session| session.voids.is_empty());
        let sessions = sessions.filter(|session| session.person == person && session.course == course);
        let mut credit: Vec<_> = sessions.flat_map(|session| session.credit.iter().copied()).collect();
        credit.sort();
        credit
    }

    fn sum(&self, person: &str, course: &str) -> i64 {
        self.credit(person, course).into_iter().map(|(_, seconds)| seconds).sum()
    }

    /// The first choice of the course that stands.
    fn chosen(&self, person: &str) -> Option<&Chosen> {
        let own = self.chosen.iter().filter(|chosen| chosen.person == person);
        own.filter(|chosen| !self.fallen.contains(&chosen.fact)).min_by_key(|chosen| chosen.at)
    }

    /// When the one main-line course was credited in full, which achieves the phase.
    fn achieved_at(&self, person: &str) -> Option<DateTime<Utc>> {
        let mut sum = 0;
        let credit = self.credit(person, MAIN_LINE.0).into_iter();
        let mut reached = credit.filter_map(|(at, seconds)| {
            sum += seconds;
            (sum >= MAIN_LINE.1).then_some(at)
        });
        reached.next()
    }

    fn study(&mut self, request: &Beats) -> Option<&'static str> {
        if self.sessions.iter().any(|session| session.id == request.session) {
            // Each of its heartbeats is a duplicate.
            return None;
        }
        if request.course == CHOSEN.0
            && self.chosen(&request.person).is_none_or(|chosen| request.from < chosen.at)
        {
            return Some("COURSE_NOT_SELECTED");
        }
        let mut room = length_of(&request.course) - self.sum(&request.person, &request.course);
        let mut credit = Vec::new();
        for number in 1..request.beats {
            let seconds = BEAT_SECONDS.min(room);
            room -= seconds;
            credit.push((request.from + TimeDelta::seconds(number * BEAT_SECONDS), seconds));
        }
        self.sessions.push(Session {
            person: request.person.clone(),
            course: request.course.clone(),
            id: request.session.clone(),
            voids: BTreeSet::new(),
            credit,
        });
        None
    }
}

impl Model for Study {
    const SERVICE: &'static str = shipei_contracts::services::LEARNING_PROGRESS;
    const BEGINS: &'static str = "2019-09-20T02:00:00Z";
    type Act = Act;
    type Request = Request;

    fn told() -> Vec<Event> {
        roster()
    }

    async fn prepare(world: &World) {
        let mut client = CourseServiceClient::new(world.channel());
        for ((course_id, seconds), main_line) in [(MAIN_LINE, true), (CHOSEN, false)] {
            let course = proto::Course {
                course_id: course_id.to_owned(),
                title: "课程".to_owned(),
                category: CourseCategory::Public.into(),
                main_line,
                length_seconds: i32::try_from(seconds).unwrap(),
                ..Default::default()
            };
            let request = proto::CreateCourseRequest {
                programme_id: PROGRAMME.to_owned(),
                course: Some(course),
                ..Default::default()
            };
            client.create_course(request).await.unwrap();
        }
    }

    fn acts() -> BoxedStrategy<Act> {
        let trainee = || 0..TRAINEES.len();
        let course = || select(vec![MAIN_LINE.0, CHOSEN.0]);
        prop_oneof![
            4 => (trainee(), select(vec![0_i64, 0, 10, 40]))
                .prop_map(|(trainee, ago)| Act::Choose { trainee, ago }),
            12 => (trainee(), course(), 1..6_i64)
                .prop_map(|(trainee, course, beats)| Act::Study { trainee, course, beats }),
            3 => any::<Index>().prop_map(|session| Act::Void { session }),
        ]
        .boxed()
    }

    fn deed(&self, act: &Act, request_id: &str, at: DateTime<Utc>) -> Deed<Request> {
        let (programme_id, request_id) = (PROGRAMME.to_owned(), request_id.to_owned());
        let person_of = |trainee: usize| TRAINEES[trainee].0.to_owned();
        Deed::Ask(match act {
            Act::Choose { trainee, ago } => Request::Choose(proto::SelectCourseRequest {
                programme_id,
                person_id: person_of(*trainee),
                course_id: CHOSEN.0.to_owned(),
                occurred_at: Some(to_timestamp(before(at, *ago, &request_id))),
                request_id,
                correction: None,
            }),
            Act::Study { trainee, course, beats } => Request::Study(Beats {
                person: person_of(*trainee),
                course: (*course).to_owned(),
                session: format!("S-{request_id}"),
                from: at,
                beats: *beats,
            }),
            Act::Void { session } => {
                let there = self.sessions.iter().map(|session| (session.person.clone(), session.id.clone()));
                let there: Vec<_> = there.chain([("T1".to_owned(), "S-none".to_owned())]).collect();
                let (person_id, session_id) = session.get(&there).clone();
                let reason = "播放器无人观看".to_owned();
                Request::Void(proto::VoidSessionRequest {
                    programme_id,
                    person_id,
                    session_id,
                    reason,
                    request_id,
                    correction: None,
                })
            }
        })
    }

    fn carry_out(&mut self, request: &Request) -> Option<&'static str> {
        match request {
            Request::Choose(request) => {
                self.chosen.push(Chosen {
                    person: request.person_id.clone(),
                    at: stated(request.occurred_at.as_ref()),
                    fact: request.request_id.clone(),
                });
                None
            }
            Request::Study(request) => self.study(request),
            Request::Void(request) => {
                let session = self.sessions.iter_mut().find(|session| session.id == request.session_id);
                let Some(session) = session else { return Some("NOT_FOUND") };
                if !self.fallen.contains(&request.request_id) {
                    session.voids.insert(request.request_id.clone());
                }
                None
            }
        }
    }

    fn facts(&self) -> Vec<String> {
        let voids = self.sessions.iter().flat_map(|session| session.voids.iter().cloned());
        self.chosen.iter().map(|chosen| chosen.fact.clone()).chain(voids).collect()
    }

    fn retract(&mut self, fact_id: &str) {
        self.fallen.insert(fact_id.to_owned());
        let place = self.sessions.iter().position(|session| session.voids.contains(fact_id));
        let Some(place) = place else { return };
        let Session { person, course, .. } = &self.sessions[place];
        let mut room = length_of(course) - self.sum(person, course);
        let session = &mut self.sessions[place];
        session.voids.remove(fact_id);
        if session.voids.is_empty() {
            // It has its time again, as far as others have not filled the course meanwhile.
            for (_, seconds) in &mut session.credit {
                *seconds = room.min(*seconds);
                room -= *seconds;
            }
        }
    }

    async fn ask(channel: Channel, request: Request) -> Result<String, Status> {
        let mut courses = CourseServiceClient::new(channel.clone());
        let mut study = StudyServiceClient::new(channel);
        Ok(match request {
            Request::Choose(request) => format!("{:?}", courses.select_course(request).await?.into_inner()),
            Request::Study(Beats { person, course, session, from, beats }) => {
                for number in 0..beats {
                    let request = proto::RecordHeartbeatRequest {
                        programme_id: PROGRAMME.to_owned(),
                        person_id: person.clone(),
                        course_id: course.clone(),
                        session_id: session.clone(),
                        seq: number,
                        occurred_at: Some(to_timestamp(from + TimeDelta::seconds(number * BEAT_SECONDS))),
                    };
                    study.record_heartbeat(request).await?;
                }
                // Sent again it is all duplicates, which earn nothing.
                String::new()
            }
            Request::Void(request) => format!("{:?}", study.void_session(request).await?.into_inner()),
        })
    }

    async fn compare(&self, world: &World) {
        let mut study = StudyServiceClient::new(world.channel());
        for (person, ..) in TRAINEES {
            let request = proto::GetProgressRequest {
                programme_id: PROGRAMME.to_owned(),
                person_id: person.to_owned(),
            };
            let progress = study.get_progress(request).await.unwrap().into_inner();
            let studied: BTreeMap<_, _> = progress
                .courses
                .iter()
                .map(|course| (course.course_id.as_str(), i64::from(course.credited_seconds)))
                .collect();
            let mut all = 0;
            for (course, length) in [MAIN_LINE, CHOSEN] {
                let sum = self.sum(person, course);
                all += sum;
                assert!(sum <= length, "{person} {course}");
                assert_eq!(studied.get(course).copied().unwrap_or_default(), sum, "{person} {course}");
            }
            let phase = &progress.phases[0];
            let achieved = self.achieved_at(person).map(to_timestamp);
            assert_eq!((i64::from(phase.credited_seconds), phase.achieved_time), (all, achieved), "{person}");

            let request = proto::ListSessionsRequest {
                programme_id: PROGRAMME.to_owned(),
                person_id: person.to_owned(),
                page_size: PAGE,
                ..Default::default()
            };
            let listed = study.list_sessions(request).await.unwrap().into_inner().sessions;
            let listed = listed.iter().map(|row| (row.session_id.as_str(), i64::from(row.credited_seconds)));
            let own = self.sessions.iter().filter(|session| session.person == person);
            let expected = own.map(|session| {
                let credited = session.credit.iter().map(|(_, seconds)| seconds).sum();
                (session.id.as_str(), if session.voids.is_empty() { credited } else { 0 })
            });
            assert_eq!(listed.collect::<BTreeMap<_, _>>(), expected.collect(), "{person}");
        }
        let fallen = world.events::<FactRetracted>().await.into_iter().map(|(_, told)| told.fact_id);
        assert_eq!(fallen.collect::<BTreeSet<_>>(), self.fallen);
    }
}
