//! Log-ins, training before the job, leaving and moving of people, and a county's report, money and opening. Log-ins are also told
//! late. Schools and ids of one person are in `places`.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, sample::select};
use prost_types::Timestamp;
use shipei_contracts::{
    enrollment::v1::{
        self as pb, county_service_client::CountyServiceClient, honour_service_client::HonourServiceClient,
        person_service_client::PersonServiceClient, programme_service_client::ProgrammeServiceClient,
    },
    event::v1::{Event, FactRetracted},
};
use shipei_mirror::testing::{PROGRAMME, World};
use shipei_service_kit::to_timestamp;
use tonic::{Status, transport::Channel};

use super::{
    Deed, Model, before,
    people::{PEOPLE, Place, enrol, place_of, role_of},
    places,
    roster::SCHEME,
    stated,
};

/// A roster is reported before anybody logs in: so long before everything else of this model.
const REPORTS_BEFORE: TimeDelta = TimeDelta::days(30);
pub(super) const PAGE: i32 = 1_000;

/// Where trainees move to.
const DESTINATIONS: [Place; 4] =
    [("130302", "S2A", "L1"), ("130302", "S2B", "L1"), ("130302", "S2C", "L1"), ("130303", "S3A", "L3")];
const COUNTIES: [&str; 2] = ["130302", "130303"];

#[derive(Debug, Clone)]
pub(crate) enum Act {
    LogIn { person: &'static str, ago: i64 },
    Train { person: &'static str },
    Leave { person: &'static str },
    Move { person: &'static str, to: Place },
    Report { counselor: &'static str, county: &'static str },
    Send { county: &'static str, reference: &'static str },
    Confirm { county: &'static str, reference: &'static str },
    Open { county: &'static str },
    Choose { tutor: &'static str },
    Bar { tutor: &'static str },
    Place(places::Act),
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    LogIn(pb::RecordLoginRequest),
    Train(pb::RecordPreJobTrainingRequest),
    Leave(pb::WithdrawTraineeRequest),
    Move(pb::TransferTraineeRequest),
    Report(pb::ReportRosterRequest),
    Send(pb::SendRemittanceRequest),
    Confirm(pb::ConfirmRemittanceRequest),
    Open(pb::OpenLearningRequest),
    Choose(pb::ChooseExcellentTutorRequest),
    Bar(pb::BarTutorRequest),
    Place(places::Request),
}

/// What was recorded: of what kind, about whom or what, when.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) kind: &'static str,
    pub(crate) about: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) fact: String,
    /// Where a move leads, and from which school.
    pub(crate) to: Option<(String, String, String)>,
    pub(crate) from: String,
    /// A name; the school that one was merged into; the id that one counts for.
    pub(crate) name: String,
}

#[derive(Debug, Default)]
pub(crate) struct People {
    told: Vec<Told>,
    fallen: BTreeSet<String>,
}

fn key(county: &str, reference: &str) -> String {
    format!("{county}/{reference}")
}

impl People {
    pub(crate) fn standing(&self, kind: &str, about: &str) -> impl Iterator<Item = &Told> {
        let own = self.told.iter().filter(move |told| told.kind == kind && told.about == about);
        own.filter(|told| !self.fallen.contains(&told.fact))
    }

    /// What stands of these kinds, in the order in which it was recorded.
    pub(crate) fn told_of<'a>(&'a self, kinds: &'a [&str]) -> impl Iterator<Item = &'a Told> {
        let own = self.told.iter().filter(|told| kinds.contains(&told.kind));
        own.filter(|told| !self.fallen.contains(&told.fact))
    }

    /// What was recorded last.
    pub(crate) fn last(&mut self) -> &mut Told {
        self.told.last_mut().unwrap()
    }

    fn first(&self, kind: &str, about: &str) -> Option<&Told> {
        self.standing(kind, about).min_by_key(|told| (told.at, &told.fact))
    }

    pub(crate) fn by_then(&self, kind: &str, about: &str, at: DateTime<Utc>) -> bool {
        self.first(kind, about).is_some_and(|told| told.at <= at)
    }

    /// Where a trainee stood, by the moves that stand, whatever became of the school.
    pub(crate) fn place(&self, person: &str, at: DateTime<Utc>) -> (String, String, String) {
        let moves = self.standing("move", person).filter(|told| told.at <= at);
        let last = moves.max_by_key(|told| told.at);
        last.map_or_else(|| place_of(person), |told| told.to.clone().unwrap())
    }

    /// When money of a county was first confirmed that had been sent.
    fn remitted(&self, county: &str) -> Option<DateTime<Utc>> {
        let confirmed = self.told.iter().filter(|told| told.kind == "confirm");
        let own =
            confirmed.filter(|told| told.about.starts_with(county) && !self.fallen.contains(&told.fact));
        let sent = own.filter(|told| self.standing("send", &told.about).any(|sent| sent.at <= told.at));
        sent.map(|told| told.at).min()
    }

    pub(crate) fn note(&mut self, kind: &'static str, about: &str, at: Option<&Timestamp>, fact: &str) {
        let (about, at, fact) = (about.to_owned(), stated(at), fact.to_owned());
        self.told.push(Told { kind, about, at, fact, to: None, from: String::new(), name: String::new() });
    }

    fn log_in(&mut self, request: &pb::RecordLoginRequest) -> Option<&'static str> {
        let person = request.person_id.as_str();
        if role_of(person).is_none() {
            return Some("NOT_FOUND");
        }
        if self.by_then("leave", person, stated(request.occurred_at.as_ref())) {
            return Some("WITHDRAWN");
        }
        self.note("log-in", person, request.occurred_at.as_ref(), &request.request_id);
        None
    }

    fn go(&mut self, request: &pb::TransferTraineeRequest) -> Option<&'static str> {
        let (person, at) = (request.person_id.as_str(), stated(request.occurred_at.as_ref()));
        if role_of(person) != Some("trainee") {
            return Some("NOT_FOUND");
        }
        if self.by_then("leave", person, at) {
            return Some("WITHDRAWN");
        }
        let to = (request.county_code.clone(), request.school_code.clone(), request.class_id.clone());
        let next = self.standing("move", person).map(|told| told.at).filter(|then| *then > at).min();
        if self.is_closed_to(&to.1, at, next) {
            return Some("PLACE_CLOSED");
        }
        let before = self.place(person, at);
        if before != to {
            self.note("move", person, request.occurred_at.as_ref(), &request.request_id);
            (self.last().to, self.last().from) = (Some(to), before.1);
        }
        None
    }

    fn of_county(&mut self, request: &Request) -> Option<&'static str> {
        match request {
            Request::Report(request) => {
                if place_of(&request.counselor_id).0 != request.county_code {
                    return Some("NOT_COUNTY_COUNSELOR");
                }
                let at = request.occurred_at.as_ref();
                self.note("report", &request.county_code, at, &request.request_id);
            }
            Request::Send(request) => {
                let key = key(&request.county_code, &request.r#ref);
                if self.first("send", &key).is_some() {
                    return Some("ALREADY_EXISTS");
                }
                self.note("send", &key, request.occurred_at.as_ref(), &request.request_id);
            }
            Request::Confirm(request) => {
                let key = key(&request.county_code, &request.r#ref);
                if !self.by_then("send", &key, stated(request.occurred_at.as_ref())) {
                    return Some("NOT_FOUND");
                }
                self.note("confirm", &key, request.occurred_at.as_ref(), &request.request_id);
            }
            Request::Open(request) => {
                let (county, at) = (request.county_code.as_str(), stated(request.occurred_at.as_ref()));
                if !self.by_then("report", county, at) {
                    return Some("NOT_REPORTED");
                }
                if self.remitted(county).is_none_or(|remitted| at < remitted) {
                    return Some("NOT_REMITTED");
                }
                self.note("open", county, request.occurred_at.as_ref(), &request.request_id);
            }
            other => unreachable!("{other:?} is of no county"),
        }
        None
    }

    /// The time and the fact of the first one that stands.
    pub(super) fn shown(&self, kind: &str, about: &str) -> (Option<Timestamp>, String) {
        let first = self.first(kind, about);
        (first.map(|told| to_timestamp(told.at)), first.map(|told| told.fact.clone()).unwrap_or_default())
    }

    async fn compare_people(&self, channel: Channel) {
        let mut people = PersonServiceClient::new(channel.clone());
        for (person_id, role, _) in PEOPLE {
            let request =
                pb::GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: person_id.to_owned() };
            let kept = people.get_person(request).await.unwrap().into_inner().person.unwrap();
            let told = [
                (kept.login_time, kept.login_fact_id),
                (kept.pre_job_time, kept.pre_job_fact_id),
                (kept.withdrawn_time, kept.withdrawn_fact_id),
            ];
            assert_eq!(
                told,
                ["log-in", "train", "leave"].map(|kind| self.shown(kind, person_id)),
                "{person_id}"
            );
            if role == "trainee" {
                let place = (kept.county_code, kept.school_code, kept.class_id);
                let (county, school, class) = self.place(person_id, DateTime::<Utc>::MAX_UTC);
                let school = self.school(&school, DateTime::<Utc>::MAX_UTC);
                assert_eq!(place, (county, school, class), "{person_id}");
            }
            let counts_for = (kept.counts_for_id, kept.merge_fact_id);
            assert_eq!(counts_for, self.counts_for(person_id), "{person_id}");
        }
        self.compare_honours(channel).await;
    }

    async fn compare_counties(&self, channel: Channel) {
        let mut counties = CountyServiceClient::new(channel);
        for county_code in COUNTIES {
            let (programme_id, code) = (PROGRAMME.to_owned(), county_code.to_owned());
            let request = pb::GetCountyRequest { programme_id, county_code: code };
            let kept = counties.get_county(request).await.unwrap().into_inner().county.unwrap();
            let told = [(kept.reported_time, kept.reported_fact_id), (kept.opened_time, kept.opened_fact_id)];
            assert_eq!(told, ["report", "open"].map(|kind| self.shown(kind, county_code)), "{county_code}");
            assert_eq!(kept.remitted_time, self.remitted(county_code).map(to_timestamp), "{county_code}");
            let trainees = PEOPLE.iter().filter(|(_, role, _)| *role == "trainee");
            let there = trainees.filter(|(person, ..)| {
                let place = self.place(person, DateTime::<Utc>::MAX_UTC);
                let is_nobody = !self.counts_for(person).0.is_empty();
                place.0 == county_code && self.first("leave", person).is_none() && !is_nobody
            });
            assert_eq!(usize::try_from(kept.active_trainees), Ok(there.count()), "{county_code}");
        }
        let request = pb::ListRemittancesRequest {
            programme_id: PROGRAMME.to_owned(),
            page_size: PAGE,
            ..Default::default()
        };
        let listed = counties.list_remittances(request).await.unwrap().into_inner().remittances;
        for row in &listed {
            let key = key(&row.county_code, &row.r#ref);
            let sent = self.first("send", &key).unwrap();
            assert_eq!((row.sent_time, &row.fact_id), (Some(to_timestamp(sent.at)), &sent.fact), "{key}");
            let confirmed = self.standing("confirm", &key).filter(|told| told.at >= sent.at);
            let confirmed = confirmed.min_by_key(|told| told.at).map(|told| to_timestamp(told.at));
            assert_eq!(row.confirmed_time, confirmed, "{key}");
        }
        let sent = self.told.iter().filter(|told| told.kind == "send" && !self.fallen.contains(&told.fact));
        assert_eq!(listed.len(), sent.count());
    }
}

impl Model for People {
    const SERVICE: &'static str = shipei_contracts::services::ENROLLMENT;
    const BEGINS: &'static str = "2019-09-12T02:00:00Z";
    type Act = Act;
    type Request = Request;

    fn told() -> Vec<Event> {
        Vec::new()
    }

    async fn prepare(world: &World) {
        let scheme_toml = SCHEME.replace("\"qinhuangdao-2019\"", &format!("\"{PROGRAMME}\""));
        let request = pb::CreateProgrammeRequest { scheme_toml, ..Default::default() };
        ProgrammeServiceClient::new(world.channel()).create_programme(request).await.unwrap();
        enrol(world.channel()).await;
    }

    fn acts() -> BoxedStrategy<Act> {
        let anybody = || select(vec!["T1", "T1", "T2", "T3", "U1", "K1", "T9"]);
        let county = || select(COUNTIES.to_vec());
        let reference = || select(vec!["A", "B"]);
        prop_oneof![
            8 => (anybody(), select(vec![0_i64, 0, 20, 50])).prop_map(|(person, ago)| Act::LogIn { person, ago }),
            3 => anybody().prop_map(|person| Act::Train { person }),
            2 => anybody().prop_map(|person| Act::Leave { person }),
            6 => (anybody(), select(DESTINATIONS.to_vec())).prop_map(|(person, to)| Act::Move { person, to }),
            3 => (select(vec!["K1", "K2"]), county())
                .prop_map(|(counselor, county)| Act::Report { counselor, county }),
            3 => (county(), reference()).prop_map(|(county, reference)| Act::Send { county, reference }),
            4 => (county(), reference()).prop_map(|(county, reference)| Act::Confirm { county, reference }),
            3 => county().prop_map(|county| Act::Open { county }),
            2 => select(vec!["U1", "U2", "T1"]).prop_map(|tutor| Act::Choose { tutor }),
            1 => select(vec!["U1", "U2", "T1"]).prop_map(|tutor| Act::Bar { tutor }),
            10 => places::acts().prop_map(Act::Place),
        ]
        .boxed()
    }

    fn deed(&self, act: &Act, request_id: &str, at: DateTime<Utc>) -> Deed<Request> {
        let (programme_id, request_id) = (PROGRAMME.to_owned(), request_id.to_owned());
        let occurred_at = Some(to_timestamp(at));
        let correction = None;
        if let Act::Place(act) = act {
            return Deed::Ask(Request::Place(places::request(act, &request_id, at)));
        }
        Deed::Ask(match *act {
            Act::Place(_) => unreachable!("it was asked above"),
            Act::LogIn { person, ago } => {
                let at = if ago == 0 { at } else { before(at, ago, &request_id) };
                Request::LogIn(pb::RecordLoginRequest {
                    programme_id,
                    person_id: person.to_owned(),
                    request_id,
                    occurred_at: Some(to_timestamp(at)),
                    ..Default::default()
                })
            }
            Act::Train { person } => Request::Train(pb::RecordPreJobTrainingRequest {
                programme_id,
                person_id: person.to_owned(),
                request_id,
                occurred_at,
                ..Default::default()
            }),
            Act::Leave { person } => Request::Leave(pb::WithdrawTraineeRequest {
                programme_id,
                person_id: person.to_owned(),
                reason: "调离".to_owned(),
                request_id,
                occurred_at,
                ..Default::default()
            }),
            Act::Move { person, to: (county, school, class) } => Request::Move(pb::TransferTraineeRequest {
                programme_id,
                person_id: person.to_owned(),
                county_code: county.to_owned(),
                school_code: school.to_owned(),
                class_id: class.to_owned(),
                request_id,
                occurred_at,
                ..Default::default()
            }),
            Act::Report { counselor, county } => Request::Report(pb::ReportRosterRequest {
                programme_id,
                county_code: county.to_owned(),
                counselor_id: counselor.to_owned(),
                request_id,
                occurred_at: Some(to_timestamp(at - REPORTS_BEFORE)),
                correction,
            }),
            Act::Send { county, reference } => Request::Send(pb::SendRemittanceRequest {
                programme_id,
                county_code: county.to_owned(),
                r#ref: reference.to_owned(),
                amount_fen: 100,
                request_id,
                occurred_at,
                correction,
            }),
            Act::Confirm { county, reference } => Request::Confirm(pb::ConfirmRemittanceRequest {
                programme_id,
                county_code: county.to_owned(),
                r#ref: reference.to_owned(),
                request_id,
                occurred_at,
                correction,
            }),
            Act::Open { county } => Request::Open(pb::OpenLearningRequest {
                programme_id,
                county_code: county.to_owned(),
                request_id,
                occurred_at,
                correction,
            }),
            Act::Bar { tutor } => Request::Bar(pb::BarTutorRequest {
                programme_id,
                tutor_id: tutor.to_owned(),
                reason: "批阅超期三周".to_owned(),
                request_id,
                occurred_at,
                correction,
            }),
            Act::Choose { tutor } => Request::Choose(pb::ChooseExcellentTutorRequest {
                programme_id,
                expert_id: "X1".to_owned(),
                tutor_id: tutor.to_owned(),
                request_id,
                occurred_at,
                correction,
            }),
        })
    }

    fn carry_out(&mut self, request: &Request) -> Option<&'static str> {
        match request {
            Request::LogIn(request) => self.log_in(request),
            Request::Train(request) => {
                if !matches!(role_of(&request.person_id), Some("class_tutor" | "county_counselor")) {
                    return Some("NOT_FOUND");
                }
                self.note("train", &request.person_id, request.occurred_at.as_ref(), &request.request_id);
                None
            }
            Request::Leave(request) => {
                let (person, at) = (request.person_id.as_str(), request.occurred_at.as_ref());
                if role_of(person) != Some("trainee") {
                    return Some("NOT_FOUND");
                }
                if self.by_then("leave", person, stated(at)) {
                    return Some("WITHDRAWN");
                }
                self.note("leave", person, at, &request.request_id);
                None
            }
            Request::Move(request) => self.go(request),
            Request::Choose(request) => {
                if role_of(&request.tutor_id) != Some("class_tutor") {
                    return Some("NOT_FOUND");
                }
                self.note("choose", &request.tutor_id, request.occurred_at.as_ref(), &request.request_id);
                None
            }
            Request::Bar(request) => {
                if role_of(&request.tutor_id) != Some("class_tutor") {
                    return Some("NOT_FOUND");
                }
                self.note("bar", &request.tutor_id, request.occurred_at.as_ref(), &request.request_id);
                None
            }
            Request::Place(request) => self.change(request),
            of_county => self.of_county(of_county),
        }
    }

    fn facts(&self) -> Vec<String> {
        self.told.iter().map(|told| told.fact.clone()).collect()
    }

    fn retract(&mut self, fact_id: &str) {
        self.fallen.insert(fact_id.to_owned());
    }

    async fn ask(channel: Channel, request: Request) -> Result<String, Status> {
        let request = match request {
            Request::Place(request) => return places::ask(channel, request).await,
            other => other,
        };
        let mut people = PersonServiceClient::new(channel.clone());
        let mut counties = CountyServiceClient::new(channel.clone());
        let mut honours = HonourServiceClient::new(channel);
        macro_rules! told {
            ($client:ident.$method:ident($request:ident)) => {
                format!("{:?}", $client.$method($request).await?.into_inner())
            };
        }
        Ok(match request {
            Request::LogIn(request) => told!(people.record_login(request)),
            Request::Train(request) => told!(people.record_pre_job_training(request)),
            Request::Leave(request) => told!(people.withdraw_trainee(request)),
            Request::Move(request) => told!(people.transfer_trainee(request)),
            Request::Report(request) => told!(counties.report_roster(request)),
            Request::Send(request) => told!(counties.send_remittance(request)),
            Request::Confirm(request) => told!(counties.confirm_remittance(request)),
            Request::Open(request) => told!(counties.open_learning(request)),
            Request::Choose(request) => told!(honours.choose_excellent_tutor(request)),
            Request::Bar(request) => told!(honours.bar_tutor(request)),
            Request::Place(_) => unreachable!("it was asked above"),
        })
    }

    async fn compare(&self, world: &World) {
        self.compare_people(world.channel()).await;
        self.compare_counties(world.channel()).await;
        self.compare_schools(world.channel()).await;
        let fallen = world.events::<FactRetracted>().await.into_iter().map(|(_, told)| told.fact_id);
        assert_eq!(fallen.collect::<BTreeSet<_>>(), self.fallen);
    }
}
