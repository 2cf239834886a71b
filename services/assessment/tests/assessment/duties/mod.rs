//! The 63 duties of Annex 1, each from pending to done, late and missed: on both databases, in any order of arrival, with facts that
//! were retracted and evidence that was sent back.

mod season;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use shipei_contracts::{
    assessment::v1::{
        DutyState, GetInstitutionRecordRequest, GetRecordRequest, GetRegionRecordRequest, JudgedDuty, Record,
        duty_service_client::DutyServiceClient,
    },
    common::v1::Role,
    decisions::v1 as decisions,
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_rules::{
    duties::{self, DoneWhen, Duty},
    vocabulary::Role as Whose,
};
use shipei_service_kit::{status::reason_of, to_timestamp};
use tonic::transport::Channel;

use self::season::{base, bearer, evidence, season, until};
use crate::support::{HAIGANG, On, PROGRAMME, Service, at, retraction};

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Postgres).await; })+ }
    };
}

on_both! {
    every_duty_goes_from_pending_to_done_late_and_missed: every_duty;
    evidence_that_is_sent_back_shows_nothing: sent_back;
    records_are_counted_and_say_what_is_next: counted;
    duty_of_an_item_that_was_decided_is_excused_while_that_counts: excused;
}

/// What no fact tells that could be retracted: registration is undone by removing somebody, a phase by its next version, a
/// certificate by being revoked; a course in the catalogue and a final version stay.
const NO_FACTS: [&str; 8] = [
    "REPORT-TRAINEE",
    "REPORT-TUTOR",
    "PREP-INSTITUTION-PLATFORM",
    "TRAIN-TRAINEE-PUBLIC",
    "TRAIN-TRAINEE-PROFESSIONAL",
    "ASSESS-TRAINEE",
    "ASSESS-INSTITUTION-SCORES",
    "ASSESS-COUNSELOR-CERTIFICATES",
];

fn minutes(number: i64) -> TimeDelta {
    TimeDelta::minutes(number)
}

fn client(service: &Service) -> DutyServiceClient<Channel> {
    DutyServiceClient::new(service.server.channel())
}

async fn record(service: &Service, role: Whose, as_of: DateTime<Utc>) -> Record {
    let (person_id, region_code) = bearer(role);
    let (programme_id, as_of) = (PROGRAMME.to_owned(), Some(to_timestamp(as_of)));
    let mut client = client(service);
    let record = if !person_id.is_empty() {
        let request = GetRecordRequest { programme_id, person_id: person_id.to_owned(), as_of, role: 0 };
        client.get_record(request).await.unwrap().into_inner().record
    } else if !region_code.is_empty() {
        let request = GetRegionRecordRequest { programme_id, region_code: region_code.to_owned(), as_of };
        client.get_region_record(request).await.unwrap().into_inner().record
    } else {
        let request = GetInstitutionRecordRequest { programme_id, as_of };
        client.get_institution_record(request).await.unwrap().into_inner().record
    };
    record.unwrap()
}

async fn judged(service: &Service, duty: &Duty, as_of: DateTime<Utc>) -> JudgedDuty {
    let record = record(service, duty.role, as_of).await;
    record.duties.into_iter().find(|judged| judged.code == duty.code).unwrap()
}

/// The states of every duty so long before or after it is due, by its code.
async fn states(service: &Service, offset: TimeDelta) -> BTreeMap<&'static str, DutyState> {
    let mut states = BTreeMap::new();
    for duty in duties::all() {
        states.insert(duty.code, judged(service, duty, until(duty) + offset).await.state());
    }
    states
}

fn assert_all(states: &BTreeMap<&str, DutyState>, expected: DutyState, when: &str) {
    let others: Vec<_> = states.iter().filter(|(_, state)| **state != expected).collect();
    assert!(others.is_empty(), "{when}: {expected:?} is expected, not {others:?}");
    assert_eq!(states.len(), 63);
}

async fn every_duty(on: On) {
    let service = Service::start(on).await;
    // Nobody has done anything; T1 and U1 come too late.
    service.apply(&base(at("2020-02-01 00:00")).take()).await;
    assert_all(&states(&service, minutes(-1)).await, DutyState::Pending, "nothing done, in time");
    assert_all(&states(&service, minutes(0)).await, DutyState::Missed, "nothing done, too late");

    let service = Service::start(on).await;
    service.apply(&season(minutes(-120)).take()).await;
    assert_all(&states(&service, minutes(-121)).await, DutyState::Pending, "before it was done");
    assert_all(&states(&service, minutes(-120)).await, DutyState::OnTime, "done in time");
    assert_all(
        &states(&service, minutes(60 * 24 * 90)).await,
        DutyState::OnTime,
        "done in time, months later",
    );
    for duty in duties::all() {
        let judged = judged(&service, duty, until(duty)).await;
        assert_eq!(judged.done_time, Some(to_timestamp(until(duty) - minutes(120))), "{}", duty.code);
        assert_eq!(judged.told_by_bearer, matches!(duty.done_when, DoneWhen::Told(_)), "{}", duty.code);
    }

    let service = Service::start(on).await;
    service.apply(&season(minutes(30)).take()).await;
    assert_all(&states(&service, minutes(29)).await, DutyState::Missed, "before it was done late");
    assert_all(&states(&service, minutes(30)).await, DutyState::Late, "done late");

    // What was retracted had never been done.
    let mut log = season(minutes(-120));
    let known = base(at("2019-09-01 00:00")).take().len();
    let is_fact = |event: &Event| {
        let others = ["CourseCreated", "PhaseAchieved", "ProgrammeFinalised", "CertificateIssued"];
        !others.iter().any(|name| event.r#type.ends_with(name))
    };
    let facts: Vec<Event> = log.take().split_off(known).into_iter().filter(is_fact).collect();
    let service = Service::start(on).await;
    service.apply(&log.take()).await;
    service.apply(&facts.iter().map(|event| retraction(event, false)).collect::<Vec<_>>()).await;
    let early = Service::start(on).await;
    early.apply(&facts.iter().map(|event| retraction(event, true)).collect::<Vec<_>>()).await;
    early.apply(&log.take()).await;
    for service in [&service, &early] {
        for (offset, expected) in [(minutes(-1), DutyState::Pending), (minutes(0), DutyState::Missed)] {
            let mut states = states(service, offset).await;
            for code in NO_FACTS {
                assert_eq!(states.insert(code, expected), Some(DutyState::OnTime), "{code}");
            }
            assert_all(&states, expected, "retracted");
        }
    }
}

async fn sent_back(on: On) {
    let mut log = season(minutes(-120));
    let events = log.take();
    let mut returns = Vec::new();
    for duty in duties::all().iter().filter(|duty| matches!(duty.done_when, DoneWhen::Told(_))) {
        let (person_id, region_code) = bearer(duty.role);
        let is_its = |event: &&Event| {
            event.r#type.ends_with("EvidenceSubmitted") && event.data == events_data(&evidence(duty))
        };
        let fact_id = events.iter().find(is_its).unwrap().fact_id.clone();
        let message = decisions::EvidenceSentBack {
            programme_id: PROGRAMME.into(),
            person_id: person_id.into(),
            region_code: region_code.into(),
            duty: duty.code.into(),
            evidence_fact_id: fact_id,
        };
        log.write("assessment-decisions", HAIGANG, until(duty) - minutes(60), &message);
        returns.push((duty, log.take().last().unwrap().clone()));
    }
    assert_eq!(returns.len(), 30);
    let service = Service::start(on).await;
    service.apply(&log.take()).await;
    for (duty, _) in &returns {
        for (offset, state, is_sent_back) in
            [(-61, DutyState::OnTime, false), (-60, DutyState::Pending, true), (0, DutyState::Missed, true)]
        {
            let judged = judged(&service, duty, until(duty) + minutes(offset)).await;
            assert_eq!((judged.state(), judged.sent_back), (state, is_sent_back), "{} {offset}", duty.code);
        }
    }
    // Submitted again, too late; the one that came before is not it.
    let (again, _) = &returns[0];
    log.write("assessment-decisions", HAIGANG, until(again) + minutes(5), &evidence(again));
    service.apply(&log.take()[log.take().len() - 1..]).await;
    let late = judged(&service, again, until(again) + minutes(5)).await;
    assert_eq!((late.state(), late.sent_back), (DutyState::Late, false));
    // What was sent back by mistake shows it as before.
    for (duty, event) in &returns {
        service.apply(&[retraction(event, false)]).await;
        let judged = judged(&service, duty, until(duty)).await;
        assert_eq!((judged.state(), judged.sent_back), (DutyState::OnTime, false), "{}", duty.code);
    }
}

fn events_data(message: &decisions::EvidenceSubmitted) -> Option<prost_types::Any> {
    use prost::Message as _;
    Some(prost_types::Any { type_url: String::new(), value: message.encode_to_vec() })
}

async fn counted(on: On) {
    let service = Service::start(on).await;
    let mut log = season(minutes(-120));
    let left = enrollment::PersonDeparted {
        programme_id: PROGRAMME.into(),
        person_id: "X1".into(),
        role: Role::SubjectExpert.into(),
    };
    log.enrollment(HAIGANG, "2020-01-10 10:00", &left);
    service.apply(&log.take()).await;
    // On 1 October: what is due before is done, of what comes nothing.
    let tutor = record(&service, Whose::ClassTutor, at("2019-10-01 10:00")).await;
    assert_eq!((tutor.on_time, tutor.late, tutor.pending, tutor.missed), (3, 0, 6, 0), "{tutor:?}");
    assert_eq!(
        tutor.next,
        [
            "TRAIN-TUTOR-BULLETIN-1",
            "TRAIN-TUTOR-BULLETIN-2",
            "TRAIN-TUTOR-TOPICS",
            "TRAIN-TUTOR-MARK",
            "TRAIN-TUTOR-BULLETIN-3",
            "ASSESS-TUTOR-RECOMMEND"
        ]
    );
    assert_eq!((tutor.role(), tutor.person_id.as_str()), (Role::ClassTutor, "U1"));
    // A counselor's record is the county's, a lead's the city's.
    let mut client = client(&service);
    let mut of = async |person: &str, as_of: &str| {
        let request = GetRecordRequest {
            programme_id: PROGRAMME.into(),
            person_id: person.into(),
            as_of: Some(to_timestamp(at(as_of))),
            role: 0,
        };
        client.get_record(request).await.map(|answer| answer.into_inner().record.unwrap())
    };
    let counselor = of("K1", "2019-12-31 00:00").await.unwrap();
    let county = record(&service, Whose::CountyCounselor, at("2019-12-31 00:00")).await;
    assert_eq!((counselor.region_code.as_str(), county.region_code.as_str()), (HAIGANG, HAIGANG));
    let states = |record: &Record| record.duties.iter().map(JudgedDuty::state).collect::<Vec<_>>();
    assert_eq!(states(&counselor), states(&county));
    let lead = of("M1", "2019-12-31 00:00").await.unwrap();
    assert_eq!(lead.duties, record(&service, Whose::MunicipalLead, at("2019-12-31 00:00")).await.duties);
    assert_eq!(lead.duties.len(), 7);
    // Who has left owes nothing; nobody is not found.
    assert_eq!(of("X1", "2020-01-10 09:59").await.unwrap().duties.len(), 10);
    let gone = of("X1", "2020-01-10 10:00").await.unwrap();
    assert!(gone.withdrawn && gone.duties.is_empty() && gone.next.is_empty(), "{gone:?}");
    assert_eq!(reason_of(&of("X9", "2019-12-31 00:00").await.unwrap_err()).as_deref(), Some("NOT_FOUND"));
    // A tutor with two classes has to do it for each.
    log.class("C2", HAIGANG, "U1");
    service.apply(&log.take()[log.take().len() - 1..]).await;
    let tutor = record(&service, Whose::ClassTutor, at("2020-01-10 00:00")).await;
    assert_eq!((tutor.on_time, tutor.missed), (5, 4), "{tutor:?}");
}

async fn excused(on: On) {
    let service = Service::start(on).await;
    let mut log = base(at("2019-09-01 00:00"));
    // A day before each is due, until a day behind that; what counts as nothing excuses nothing.
    let items = [
        ("TRAIN-TRAINEE-PUBLIC", "phase_1", 10),
        ("TRAIN-TRAINEE-ASSIGNMENT", "assignment", 20),
        ("TRAIN-TRAINEE-SEMINAR", "seminar", 10),
        ("OFFLINE-TRAINEE", "offline", 5),
        ("TRAIN-TRAINEE-PROFESSIONAL", "phase_2", 0),
    ];
    let zone = chrono::FixedOffset::east_opt(8 * 3_600).unwrap();
    let text = |time: DateTime<Utc>| time.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
    for (number, (code, item, points)) in (1..).zip(items) {
        let until = until(duties::duty(code).unwrap());
        let (from, expires) = (text(until - minutes(60 * 24)), text(until + minutes(60 * 24)));
        log.adjusted("T1", (item, points, number), &from, Some(&expires));
    }
    // Of T2's work, which U1 has not marked, something is decided too.
    log.adjusted("T2", ("assignment", 30, 1), "2019-12-01 10:00", None);
    service.apply(&log.take()).await;
    for (code, _, points) in items {
        let (duty, day) = (duties::duty(code).unwrap(), 60 * 24);
        let excused = if points > 0 { DutyState::Excused } else { DutyState::Missed };
        let early = if points > 0 { DutyState::Excused } else { DutyState::Pending };
        for (offset, expected) in [
            (-day - 1, DutyState::Pending),
            (-day, early),
            (0, excused),
            (day - 1, excused),
            (day, DutyState::Missed),
        ] {
            let judged = judged(&service, duty, until(duty) + minutes(offset)).await;
            assert_eq!(judged.state(), expected, "{code} {offset}");
            assert_eq!(judged.evidence.is_empty(), expected != DutyState::Excused, "{code} {offset}");
            assert_eq!(judged.done_time, None, "{code} {offset}");
        }
    }
    // It is counted by itself, and nothing to be done next.
    let record = record(&service, Whose::Trainee, at("2019-12-20 12:00")).await;
    assert_eq!(record.excused, 1, "{record:?}");
    assert_eq!(record.on_time + record.late + record.pending + record.missed + record.excused, 10);
    assert!(!record.next.contains(&"TRAIN-TRAINEE-SEMINAR".to_owned()), "{record:?}");
    // Work that was handed in is to be marked, whatever it counts as by decision.
    let marking = duties::duty("TRAIN-TUTOR-MARK").unwrap();
    assert_eq!(judged(&service, marking, until(marking)).await.state(), DutyState::Missed);
    // What is done is done.
    let service = Service::start(on).await;
    let mut log = season(minutes(-120));
    log.adjusted("T1", ("seminar", 10, 1), "2019-12-01 10:00", None);
    service.apply(&log.take()).await;
    let seminar = duties::duty("TRAIN-TRAINEE-SEMINAR").unwrap();
    assert_eq!(judged(&service, seminar, until(seminar)).await.state(), DutyState::OnTime);
}

#[test]
fn facts_in_any_order_give_the_same_records() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut log = season(minutes(30));
    // Some of it is retracted, and comes again.
    let events = log.take();
    let mut all = events.clone();
    all.extend(events.iter().skip(20).step_by(5).map(|event| retraction(event, false)));
    let duty = duties::duty("TRAIN-EXPERT-TOPIC").unwrap();
    log.write("assessment-decisions", HAIGANG, until(duty) - minutes(5), &evidence(duty));
    all.push(log.take().last().unwrap().clone());
    let seen = |service: Service| async move {
        let mut records = Vec::new();
        for role in Whose::ALL {
            for as_of in ["2019-09-15 00:20", "2019-11-20 00:00", "2020-02-01 00:00"] {
                records.push(record(&service, *role, at(as_of)).await);
            }
        }
        records
    };
    let expected = runtime.block_on(async {
        let service = Service::start(On::Sqlite).await;
        service.apply(&all).await;
        seen(service).await
    });
    let config = Config { cases: 8, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&(Just(all).prop_shuffle(), any::<bool>()), |(events, on_postgres)| {
        let on = if on_postgres { On::Postgres } else { On::Sqlite };
        let found = runtime.block_on(async {
            let service = Service::start(on).await;
            service.apply(&events).await;
            seen(service).await
        });
        prop_assert_eq!(&found, &expected);
        Ok(())
    });
    outcome.unwrap();
}
