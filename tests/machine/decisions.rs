//! Adjustments of trainees' items, evidence of duties and its being sent back. Told late too, so that a trainee who chose an offline
//! course before anybody knew that the county had determined one is taken when it is sent again.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{
    prelude::*,
    sample::{Index, select, subsequence},
};
use shipei_contracts::{
    decisions::v1::{
        self as proto, decision_service_client::DecisionServiceClient,
        evidence_service_client::EvidenceServiceClient,
    },
    event::v1::{Event, FactRetracted},
};
use shipei_mirror::testing::{PROGRAMME, World};
use shipei_service_kit::to_timestamp;
use tonic::{Status, transport::Channel};

use super::{
    Deed, Model, before,
    roster::{TRAINEES, roster},
    stated,
};

const PAGE: i32 = 1_000;
/// Items of a trainee's score with the most that each can bring (Annex 6), and one that no trainee has.
const ITEMS: [(&str, Option<i32>); 4] =
    [("assignment", Some(30)), ("seminar", Some(10)), ("offline", Some(10)), ("login", None)];
/// The duty by which a tutor recommends trainees of their own classes.
const RECOMMENDS: &str = "ASSESS-TUTOR-RECOMMEND";
/// The duty by which a county says which offline course there is, and that by which a trainee selects it.
const DETERMINES: &str = "TRAIN-COUNSELOR-OFFLINE-COURSE";
const SELECTS: &str = "TRAIN-TRAINEE-OFFLINE-SELECT";

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// An item of somebody, who may be nobody, for points that may be too many, until so many minutes later.
    Adjust { person: &'static str, item: usize, points: i32, until: Option<i64>, ago: i64 },
    /// A tutor recommends trainees, who may be another's or nobody.
    Recommend { tutor: &'static str, people: Vec<&'static str>, ago: i64 },
    /// A county determines its course.
    Determine { county: &'static str, ago: i64 },
    /// A trainee selects it.
    Select { person: &'static str, ago: i64 },
    /// Evidence that is there or not is sent back, to its bearer or to another.
    SendBack { evidence: Index, own: bool, ago: i64 },
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    Adjust(proto::AdjustItemRequest),
    Tell(proto::SubmitEvidenceRequest),
    SendBack(proto::SendBackEvidenceRequest),
}

#[derive(Debug, Clone)]
struct SentBack {
    evidence: String,
    at: DateTime<Utc>,
    reason: String,
    fact: String,
}

#[derive(Debug, Default)]
pub(crate) struct Decisions {
    adjusted: Vec<proto::AdjustItemRequest>,
    told: Vec<proto::SubmitEvidenceRequest>,
    sent_back: Vec<SentBack>,
    fallen: BTreeSet<String>,
}

fn county_of(person: &str) -> Option<&'static str> {
    TRAINEES.iter().find(|(id, ..)| *id == person).map(|(_, county, ..)| *county)
}

impl Decisions {
    fn stands(&self, fact: &str) -> bool {
        !self.fallen.contains(fact)
    }

    fn adjust(&mut self, request: &proto::AdjustItemRequest) -> Option<&'static str> {
        if county_of(&request.person_id).is_none() {
            return Some("NOT_FOUND");
        }
        let most = ITEMS.iter().find(|(item, _)| *item == request.item).and_then(|(_, most)| *most);
        let Some(most) = most else { return Some("INVALID_FIELD") };
        if !(0..=most).contains(&request.points) {
            return Some("SCORE_OUT_OF_RANGE");
        }
        let at = stated(request.occurred_at.as_ref());
        if request.expires_time.as_ref().is_some_and(|until| stated(Some(until)) <= at) {
            return Some("INVALID_FIELD");
        }
        self.adjusted.push(request.clone());
        None
    }

    /// Whether a county had determined a course by then, and nobody had sent that back.
    fn has_course(&self, county: &str, at: DateTime<Utc>) -> bool {
        self.told.iter().any(|told| {
            let is_sent_back = |back: &SentBack| {
                back.evidence == told.request_id && back.at <= at && self.stands(&back.fact)
            };
            told.duty == DETERMINES
                && told.region_code == county
                && stated(told.occurred_at.as_ref()) <= at
                && self.stands(&told.request_id)
                && !self.sent_back.iter().any(is_sent_back)
        })
    }

    fn tell(&mut self, request: &proto::SubmitEvidenceRequest) -> Option<&'static str> {
        let at = stated(request.occurred_at.as_ref());
        let refused = match &*request.duty {
            DETERMINES => None,
            SELECTS => match county_of(&request.person_id) {
                None => Some("NOT_FOUND"),
                Some(county) if !self.has_course(county, at) => Some("COURSE_NOT_APPLICABLE"),
                Some(_) => None,
            },
            _ => {
                // In the order of their ids, as they are kept.
                let people: BTreeSet<&String> = request.about_person_ids.iter().collect();
                people.into_iter().find_map(|person| match TRAINEES.iter().find(|(id, ..)| id == person) {
                    None => Some("NOT_FOUND"),
                    Some((.., tutor)) => (*tutor != request.person_id).then_some("NOT_CLASS_MEMBER"),
                })
            }
        };
        if refused.is_none() {
            self.told.push(request.clone());
        }
        refused
    }

    fn send_back(&mut self, request: &proto::SendBackEvidenceRequest) -> Option<&'static str> {
        let found = self.told.iter().find(|told| told.request_id == request.fact_id);
        let is_theirs = |told: &&proto::SubmitEvidenceRequest| {
            (&told.person_id, &told.region_code) == (&request.person_id, &request.region_code)
        };
        let found = found.filter(is_theirs).filter(|told| self.stands(&told.request_id));
        if found.is_none() {
            return Some("NOT_FOUND");
        }
        self.sent_back.push(SentBack {
            evidence: request.fact_id.clone(),
            at: stated(request.occurred_at.as_ref()),
            reason: request.reason.clone(),
            fact: request.request_id.clone(),
        });
        None
    }

    /// The first that it was sent back by, of those that stand.
    fn sent_back_of(&self, evidence: &str) -> Option<&SentBack> {
        let own = self.sent_back.iter().filter(|back| back.evidence == evidence && self.stands(&back.fact));
        own.min_by_key(|back| back.at)
    }
}

impl Model for Decisions {
    const SERVICE: &'static str = shipei_contracts::services::ASSESSMENT_DECISIONS;
    const BEGINS: &'static str = "2019-10-02T02:00:00Z";
    type Act = Act;
    type Request = Request;

    fn told() -> Vec<Event> {
        roster()
    }

    fn acts() -> BoxedStrategy<Act> {
        let ago = || select(vec![0_i64, 0, 0, 20, 60]);
        let person = || select(vec!["T1", "T2", "T3", "T9"]);
        let until = select(vec![None, Some(30), Some(0)]);
        let adjust = (person(), 0..ITEMS.len(), -1..=31_i32, until, ago());
        let people = subsequence(vec!["T1", "T2", "T3", "T9"], 1..=2);
        let recommend = (select(vec!["U1", "U2"]), people, ago());
        prop_oneof![
            5 => adjust.prop_map(|(person, item, points, until, ago)| {
                Act::Adjust { person, item, points, until, ago }
            }),
            3 => recommend.prop_map(|(tutor, people, ago)| Act::Recommend { tutor, people, ago }),
            2 => (select(vec!["130302", "130303"]), ago())
                .prop_map(|(county, ago)| Act::Determine { county, ago }),
            4 => (person(), ago()).prop_map(|(person, ago)| Act::Select { person, ago }),
            3 => (any::<Index>(), prop::bool::weighted(0.9), ago())
                .prop_map(|(evidence, own, ago)| Act::SendBack { evidence, own, ago }),
        ]
        .boxed()
    }

    fn deed(&self, act: &Act, request_id: &str, at: DateTime<Utc>) -> Deed<Request> {
        let programme_id = PROGRAMME.to_owned();
        let reason = format!("理由 {request_id}");
        let tell = |person_id: &str, region_code: &str, duty: &str, about: &[&str], ago: i64| {
            Request::Tell(proto::SubmitEvidenceRequest {
                programme_id: PROGRAMME.to_owned(),
                person_id: person_id.to_owned(),
                region_code: region_code.to_owned(),
                duty: duty.to_owned(),
                text: format!("完成 {request_id}"),
                about_person_ids: about.iter().map(|person| (*person).to_owned()).collect(),
                request_id: request_id.to_owned(),
                occurred_at: Some(to_timestamp(before(at, ago, request_id))),
                ..Default::default()
            })
        };
        Deed::Ask(match act {
            Act::Adjust { person, item, points, until, ago } => {
                let at = before(at, *ago, request_id);
                Request::Adjust(proto::AdjustItemRequest {
                    programme_id,
                    person_id: (*person).to_owned(),
                    item: ITEMS[*item].0.to_owned(),
                    points: *points,
                    kind: proto::AdjustmentKind::Appeal.into(),
                    reason,
                    expires_time: until.map(|minutes| to_timestamp(at + TimeDelta::minutes(minutes))),
                    request_id: request_id.to_owned(),
                    occurred_at: Some(to_timestamp(at)),
                    correction: None,
                })
            }
            Act::Recommend { tutor, people, ago } => tell(tutor, "", RECOMMENDS, people, *ago),
            Act::Determine { county, ago } => tell("", county, DETERMINES, &[], *ago),
            Act::Select { person, ago } => tell(person, "", SELECTS, &[], *ago),
            Act::SendBack { evidence, own, ago } => {
                let nobodys = ("U1".to_owned(), String::new(), "R-none".to_owned());
                let known = self.told.iter();
                let known = known
                    .map(|told| (told.person_id.clone(), told.region_code.clone(), told.request_id.clone()));
                let all: Vec<_> = known.chain([nobodys]).collect();
                let (person_id, region_code, fact_id) = evidence.get(&all).clone();
                let person_id = if *own { person_id } else { "U2".to_owned() };
                let region_code = if *own { region_code } else { String::new() };
                Request::SendBack(proto::SendBackEvidenceRequest {
                    programme_id,
                    person_id,
                    region_code,
                    fact_id,
                    reason,
                    request_id: request_id.to_owned(),
                    occurred_at: Some(to_timestamp(before(at, *ago, request_id))),
                })
            }
        })
    }

    fn carry_out(&mut self, request: &Request) -> Option<&'static str> {
        match request {
            Request::Adjust(request) => self.adjust(request),
            Request::Tell(request) => self.tell(request),
            Request::SendBack(request) => self.send_back(request),
        }
    }

    fn facts(&self) -> Vec<String> {
        let adjusted = self.adjusted.iter().map(|request| &request.request_id);
        let told = self.told.iter().map(|request| &request.request_id);
        adjusted.chain(told).chain(self.sent_back.iter().map(|back| &back.fact)).cloned().collect()
    }

    fn retract(&mut self, fact_id: &str) {
        self.fallen.insert(fact_id.to_owned());
    }

    async fn ask(channel: Channel, request: Request) -> Result<String, Status> {
        let mut decisions = DecisionServiceClient::new(channel.clone());
        let mut evidence = EvidenceServiceClient::new(channel);
        Ok(match request {
            Request::Adjust(request) => format!("{:?}", decisions.adjust_item(request).await?.into_inner()),
            Request::Tell(request) => format!("{:?}", evidence.submit_evidence(request).await?.into_inner()),
            Request::SendBack(request) => {
                format!("{:?}", evidence.send_back_evidence(request).await?.into_inner())
            }
        })
    }

    async fn compare(&self, world: &World) {
        let programme_id = || PROGRAMME.to_owned();
        let request = proto::ListAdjustmentsRequest {
            programme_id: programme_id(),
            with_retracted: true,
            page_size: PAGE,
            ..Default::default()
        };
        let mut client = DecisionServiceClient::new(world.channel());
        let listed = client.list_adjustments(request).await.unwrap().into_inner().adjustments;
        let listed = listed.into_iter().map(|kept| {
            let times = (kept.decided_time, kept.expires_time);
            (kept.person_id, kept.number, kept.item, kept.points, times, kept.fact_id, kept.retracted)
        });
        let mut expected = Vec::new();
        for (person, ..) in TRAINEES {
            let own = self.adjusted.iter().filter(|request| request.person_id == person);
            expected.extend(own.enumerate().map(|(place, request)| {
                let times = (request.occurred_at, request.expires_time);
                let (number, fact) = (i32::try_from(place + 1).unwrap(), request.request_id.clone());
                let retracted = !self.stands(&fact);
                (person.to_owned(), number, request.item.clone(), request.points, times, fact, retracted)
            }));
        }
        assert_eq!(listed.collect::<Vec<_>>(), expected);

        let request = proto::ListEvidenceRequest {
            programme_id: programme_id(),
            with_retracted: true,
            page_size: PAGE,
            ..Default::default()
        };
        let mut client = EvidenceServiceClient::new(world.channel());
        let listed = client.list_evidence(request).await.unwrap().into_inner().evidence;
        let listed = listed.into_iter().map(|kept| {
            let back = (kept.sent_back_time, kept.sent_back_reason, kept.sent_back_fact_id);
            (kept.fact_id, kept.duty, kept.about_person_ids, kept.done_time, back, kept.retracted)
        });
        let expected = self.told.iter().map(|told| {
            let back = self.sent_back_of(&told.request_id);
            let back = back.map_or((None, String::new(), String::new()), |back| {
                (Some(to_timestamp(back.at)), back.reason.clone(), back.fact.clone())
            });
            let retracted = !self.stands(&told.request_id);
            let (fact, duty) = (told.request_id.clone(), told.duty.clone());
            (fact, duty, told.about_person_ids.clone(), told.occurred_at, back, retracted)
        });
        let by_fact = |mut all: Vec<_>| {
            all.sort_by(|one: &(String, _, _, _, _, _), other| one.0.cmp(&other.0));
            all
        };
        assert_eq!(by_fact(listed.collect()), by_fact(expected.collect()));

        let fallen = world.events::<FactRetracted>().await.into_iter().map(|(_, told)| told.fact_id);
        assert_eq!(fallen.collect::<BTreeSet<_>>(), self.fallen);
    }
}
