//! Excellent trainees and tutors: who counts, who doesn't and why, within the scheme's quotas; in any order of arrival.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use shipei_contracts::{
    assessment::v1::{
        HonourReason, ListChosenTutorsRequest, ListRecommendedTraineesRequest, RecommendedTrainee,
        honour_list_service_client::HonourListServiceClient,
    },
    assignment::v1 as assignment,
    common::v1::Role,
    decisions::v1 as decisions,
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use tonic::transport::Channel;

use crate::support::{HAIGANG, On, PROGRAMME, SCHEME, Service, Writer, at, retraction};

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Postgres).await; })+ }
    };
}

on_both! {
    recommended_trainees_count_by_their_scores_and_the_quota: trainees;
    chosen_tutors_count_when_they_are_eligible_within_the_quota: tutors;
}

const HONOURS: &str = "\n[honours]\ntrainee_total = 85\ntrainees_percent = 40\ntutors_percent = 50\n";

fn client(service: &Service) -> HonourListServiceClient<Channel> {
    HonourListServiceClient::new(service.server.channel())
}

/// Five trainees of U1: 100, 90 and 90 points, 80, and nothing; U2 has a class too, and U3 none.
fn season(honours: &str) -> Writer {
    let mut log = Writer::default();
    log.programme(&format!("{SCHEME}{honours}"));
    log.county(HAIGANG);
    for (class, tutor) in [("C1", "U1"), ("C2", "U2")] {
        log.class(class, HAIGANG, tutor);
    }
    for tutor in ["U1", "U2", "U3"] {
        log.staff(tutor, Role::ClassTutor, HAIGANG);
    }
    log.staff("X1", Role::SubjectExpert, "");
    for (person, assignment, offline) in [("T1", 30, 10), ("T2", 30, 0), ("T3", 30, 0), ("T4", 20, 0)] {
        log.trainee(person, HAIGANG, "C1");
        let items = [
            ("phase_1", 10),
            ("phase_2", 40),
            ("assignment", assignment),
            ("seminar", 10),
            ("offline", offline),
        ];
        for (number, (item, points)) in (1..).zip(items) {
            log.adjusted(person, (item, points, number), "2019-12-21 10:00", None);
        }
    }
    log.trainee("T5", HAIGANG, "C1");
    log
}

fn recommends(log: &mut Writer, trainee: &str, time: &str) -> Event {
    let message = decisions::EvidenceSubmitted {
        programme_id: PROGRAMME.into(),
        person_id: "U1".into(),
        duty: "ASSESS-TUTOR-RECOMMEND".into(),
        number: 1,
        about_person_ids: vec![trainee.into()],
        ..Default::default()
    };
    log.write("assessment-decisions", HAIGANG, at(time), &message);
    log.take().last().unwrap().clone()
}

fn recommended(log: &mut Writer) -> Vec<Event> {
    let all = [("T2", "10:00"), ("T1", "11:00"), ("T3", "12:00"), ("T4", "13:00"), ("T5", "14:00")];
    all.map(|(trainee, time)| recommends(log, trainee, &format!("2019-12-22 {time}"))).into()
}

async fn listed(service: &Service) -> Vec<RecommendedTrainee> {
    let request = ListRecommendedTraineesRequest { programme_id: PROGRAMME.into(), ..Default::default() };
    client(service).list_recommended_trainees(request).await.unwrap().into_inner().trainees
}

fn codes(reasons: &[HonourReason]) -> Vec<&str> {
    reasons.iter().map(|reason| reason.code.as_str()).collect()
}

fn verdicts(rows: &[RecommendedTrainee]) -> Vec<(&str, Vec<&str>)> {
    rows.iter().map(|row| (row.person_id.as_str(), codes(&row.reasons))).collect()
}

async fn trainees(on: On) {
    let mut log = season(HONOURS);
    let events = recommended(&mut log);
    let service = Service::start(on).await;
    service.apply(&log.take()).await;
    let rows = listed(&service).await;
    let too_low = "TOTAL_BELOW_HONOUR";
    // Two of five, the higher total first, then who was recommended earlier.
    assert_eq!(
        verdicts(&rows),
        [
            ("T1", vec![]),
            ("T2", vec![]),
            ("T3", vec!["OVER_QUOTA"]),
            ("T4", vec![too_low]),
            ("T5", vec!["NOT_PASSED", too_low])
        ]
    );
    let first = &rows[0];
    assert_eq!(
        (first.total, first.counts, first.class_quota, first.class_id.as_str()),
        (100, true, Some(2), "C1")
    );
    assert_eq!(first.tutor_ids, ["U1"]);
    assert!(rows[2].reasons[0].text_zh.contains("名额") && !rows[2].counts, "{:?}", rows[2]);
    let mut request =
        ListRecommendedTraineesRequest { programme_id: PROGRAMME.into(), page_size: 2, ..Default::default() };
    let page = client(&service).list_recommended_trainees(request.clone()).await.unwrap().into_inner();
    assert_eq!(verdicts(&page.trainees), verdicts(&rows[..2]));
    request.page_token = page.next_page_token;
    let page = client(&service).list_recommended_trainees(request).await.unwrap().into_inner();
    assert_eq!(verdicts(&page.trainees), verdicts(&rows[2..4]));

    // What was sent back leaves its place to the next, and so does what was retracted.
    let sent_back = decisions::EvidenceSentBack {
        programme_id: PROGRAMME.into(),
        person_id: "U1".into(),
        duty: "ASSESS-TUTOR-RECOMMEND".into(),
        evidence_fact_id: events[0].fact_id.clone(),
        ..Default::default()
    };
    log.write("assessment-decisions", HAIGANG, at("2019-12-23 10:00"), &sent_back);
    let sent_back = log.take().last().unwrap().clone();
    service.apply(std::slice::from_ref(&sent_back)).await;
    let rows = listed(&service).await;
    assert_eq!(verdicts(&rows)[..2], [("T1", vec![]), ("T3", vec![])]);
    service.apply(&[retraction(&sent_back, false), retraction(&events[1], false)]).await;
    let rows = listed(&service).await;
    assert_eq!(verdicts(&rows)[..2], [("T2", vec![]), ("T3", vec![])]);

    // A scheme that limits nothing asks for passing alone.
    let mut log = season("");
    recommended(&mut log);
    let service = Service::start(on).await;
    service.apply(&log.take()).await;
    let rows = listed(&service).await;
    let counts: Vec<bool> = rows.iter().map(|row| row.counts).collect();
    assert_eq!(counts, [true, true, true, true, false]);
    assert_eq!(rows[0].class_quota, None);
}

/// All that Annex 3 asks of a tutor of a class in which nobody hands in anything.
fn qualifies(log: &mut Writer, tutor: &str, class: &str, trainee: &str) {
    let programme_id = || PROGRAMME.to_owned();
    let attended =
        enrollment::PreJobTrainingAttended { programme_id: programme_id(), person_id: tutor.into() };
    log.enrollment(HAIGANG, "2019-09-01 10:00", &attended);
    for (number, day) in [(1, "2019-10-01 10:00"), (2, "2019-11-01 10:00"), (3, "2019-12-01 10:00")] {
        let bulletin = assignment::BulletinPublished {
            programme_id: programme_id(),
            class_id: class.into(),
            number,
            tutor_id: tutor.into(),
        };
        log.assignment(HAIGANG, day, &bulletin);
    }
    let seminar_id = || format!("N-{class}");
    let opened = assignment::SeminarOpened {
        programme_id: programme_id(),
        seminar_id: seminar_id(),
        class_id: class.into(),
        tutor_id: tutor.into(),
    };
    log.assignment(HAIGANG, "2019-11-21 10:00", &opened);
    let post = assignment::PostAccepted {
        programme_id: programme_id(),
        seminar_id: seminar_id(),
        class_id: class.into(),
        person_id: trainee.into(),
        number: 1,
        characters: 300,
    };
    log.assignment(HAIGANG, "2019-11-22 10:00", &post);
    let summarised = assignment::SeminarSummarised {
        programme_id: programme_id(),
        seminar_id: seminar_id(),
        class_id: class.into(),
        tutor_id: tutor.into(),
        number: 1,
    };
    log.assignment(HAIGANG, "2019-11-30 10:00", &summarised);
}

async fn tutors(on: On) {
    let mut log = season(HONOURS);
    log.trainee("T6", HAIGANG, "C2");
    qualifies(&mut log, "U1", "C1", "T1");
    qualifies(&mut log, "U2", "C2", "T6");
    for (tutor, time) in [("U2", "2019-12-22 10:00"), ("U1", "2019-12-22 09:00"), ("U3", "2019-12-22 08:00")]
    {
        let chosen = enrollment::TutorChosen {
            programme_id: PROGRAMME.into(),
            tutor_id: tutor.into(),
            expert_id: "X1".into(),
        };
        log.enrollment(HAIGANG, time, &chosen);
    }
    let service = Service::start(on).await;
    service.apply(&log.take()).await;
    let request = ListChosenTutorsRequest { programme_id: PROGRAMME.into(), ..Default::default() };
    let answer = client(&service).list_chosen_tutors(request.clone()).await.unwrap().into_inner();
    // One of three: of two who are eligible, who was chosen earlier.
    assert_eq!(answer.quota, Some(1));
    let rows: Vec<_> =
        answer.tutors.iter().map(|row| (row.person_id.as_str(), codes(&row.reasons))).collect();
    assert_eq!(rows, [("U1", vec![]), ("U2", vec!["OVER_QUOTA"]), ("U3", vec!["NOT_QUALIFIED"])]);
    assert_eq!((answer.tutors[0].total, answer.tutors[0].counts), (100, true));
    let elsewhere = ListChosenTutorsRequest { region_code: "130303".into(), ..request };
    assert_eq!(client(&service).list_chosen_tutors(elsewhere).await.unwrap().into_inner().tutors, []);
}

#[test]
fn recommendations_in_any_order_give_the_same_honours() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut log = season(HONOURS);
    let events = recommended(&mut log);
    let mut all = log.take();
    all.push(retraction(&events[3], false));
    let expected = runtime.block_on(async {
        let service = Service::start(On::Sqlite).await;
        service.apply(&all).await;
        listed(&service).await
    });
    assert_eq!(expected.len(), 4);
    let config = Config { cases: 8, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&(Just(all).prop_shuffle(), any::<bool>()), |(events, on_postgres)| {
        let on = if on_postgres { On::Postgres } else { On::Sqlite };
        let found = runtime.block_on(async {
            let service = Service::start(on).await;
            service.apply(&events).await;
            listed(&service).await
        });
        prop_assert_eq!(&found, &expected);
        Ok(())
    });
    outcome.unwrap();
}
