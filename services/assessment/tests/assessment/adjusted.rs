//! What was decided about items of scores: what counts, what stays visible, as of any time and in any order of arrival.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use shipei_contracts::{
    assessment::v1::{
        GetStatisticsRequest, ItemState, ScoreItem, TraineeScore,
        statistics_service_client::StatisticsServiceClient,
    },
    decisions::v1::AdjustmentKind,
    event::v1::Event,
};
use shipei_service_kit::to_timestamp;

use crate::{
    order::{assert_counts_are_right, seen},
    season::season,
    support::{HAIGANG, On, PROGRAMME, Service, Writer, at, end, retraction},
};

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Postgres).await; })+ }
    };
}

on_both! {
    decision_counts_and_the_computed_value_stays_beside_it: shown;
    decision_counts_from_its_time_until_it_expires: dated;
    retracted_decision_gives_the_computed_value_back: taken_back;
    decision_about_who_is_not_known_yet_waits_for_them: early;
    statistics_and_counties_count_what_was_decided: counted;
}

/// The season with decisions: T04, who missed phase 1 and with it phase 2, is excused and passes; T05 gets a part of phase 2 until the new year; T01's
/// seminar earns nothing; about T07's offline activity it was decided twice, the second time behind the programme's end.
fn decided() -> Writer {
    let mut log = season();
    log.adjusted("T04", ("phase_1", 10, 1), "2019-11-16 10:00", None);
    log.adjusted("T04", ("assignment", 30, 2), "2019-11-16 10:00", None);
    log.adjusted("T04", ("seminar", 10, 3), "2019-11-16 10:00", None);
    log.adjusted("T04", ("phase_2", 40, 5), "2019-11-17 10:00", None);
    log.adjusted("T05", ("phase_2", 18, 1), "2019-12-01 10:00", Some("2020-01-01 00:00"));
    log.adjusted("T01", ("seminar", 0, 1), "2019-12-12 10:00", None);
    log.adjusted("T07", ("offline", 6, 1), "2019-11-20 10:00", Some("2019-11-25 00:00"));
    log.adjusted("T07", ("offline", 8, 2), "2019-12-30 10:00", None);
    log
}

async fn trainee(service: &Service, person_id: &str, time: &str) -> TraineeScore {
    let all = service.trainees(at(time), "", "", 0).await;
    all.into_iter().find(|score| score.person_id == person_id).unwrap()
}

fn item<'score>(score: &'score TraineeScore, name: &str) -> &'score ScoreItem {
    score.items.iter().find(|item| item.name == name).unwrap()
}

/// Points, state, and what was computed where something else was decided.
fn told(score: &TraineeScore, name: &str) -> (i32, ItemState, Option<i32>) {
    let item = item(score, name);
    let computed = item.adjustment.as_ref().map(|adjustment| adjustment.computed_hundredths / 100);
    (item.hundredths / 100, item.state(), computed)
}

async fn shown(on: On) {
    let service = Service::start(on).await;
    service.apply(&season().take()).await;
    let before = trainee(&service, "T04", "2019-12-31 00:00").await;
    assert!(!before.passed);
    service.apply(&decided().take()[season().take().len()..]).await;
    let score = trainee(&service, "T04", "2019-12-31 00:00").await;
    assert!(score.passed, "{score:?}");
    assert_eq!(told(&score, "phase_1"), (10, ItemState::Earned, Some(0)));
    // That the phase before is excused does not earn this one: of what it requires the facts decide.
    assert_eq!(told(&score, "phase_2"), (40, ItemState::Earned, Some(0)));
    assert_eq!(told(&trainee(&service, "T04", "2019-11-17 09:59").await, "phase_2").0, 0);
    let adjusted = item(&score, "assignment");
    let adjustment = adjusted.adjustment.clone().unwrap();
    assert_eq!(adjustment.kind(), AdjustmentKind::Excuse);
    assert_eq!(adjustment.decided_by, "service:test");
    assert_eq!(adjustment.decided_time, Some(to_timestamp(at("2019-11-16 10:00"))));
    assert_eq!(adjustment.text_zh, "免考：经主管方核准按30分计（原计算值0分）");
    assert_eq!(
        (adjusted.explanation_zh.as_str(), adjusted.reason.as_str()),
        (adjustment.text_zh.as_str(), "")
    );
    assert_eq!((adjusted.missing.as_ref(), adjusted.max_hundredths), (None, 3_000));
    let nothing = trainee(&service, "T01", "2019-12-31 00:00").await;
    assert_eq!(told(&nothing, "seminar"), (0, ItemState::Missed, Some(10)));
    assert_eq!(item(&nothing, "seminar").reason, "ADJUSTED_TO_NOTHING");
    assert!(!nothing.passed, "the seminar is needed");
    // Another process says the same, from what is kept and from facts.
    let seen_before = seen(&service).await;
    let service = service.restarted().await;
    assert_eq!(seen(&service).await, seen_before);
}

async fn dated(on: On) {
    let service = Service::start(on).await;
    service.apply(&decided().take()).await;
    for (person, name, time, expected) in [
        ("T05", "phase_2", "2019-12-01 09:59", (40, ItemState::Earned, None)),
        ("T05", "phase_2", "2019-12-01 10:00", (18, ItemState::Earned, Some(40))),
        ("T05", "phase_2", "2019-12-31 23:59", (18, ItemState::Earned, Some(40))),
        ("T05", "phase_2", "2020-01-01 00:00", (40, ItemState::Earned, None)),
        ("T07", "offline", "2019-11-20 09:59", (0, ItemState::Pending, None)),
        ("T07", "offline", "2019-11-24 23:59", (6, ItemState::Earned, Some(0))),
        ("T07", "offline", "2019-11-25 00:00", (0, ItemState::Pending, None)),
        ("T07", "offline", "2019-12-30 09:59", (0, ItemState::Missed, None)),
        ("T07", "offline", "2019-12-30 10:00", (8, ItemState::Earned, Some(0))),
        ("T07", "offline", "2020-03-01 00:00", (8, ItemState::Earned, Some(0))),
    ] {
        let score = trainee(&service, person, time).await;
        assert_eq!(told(&score, name), expected, "{person} {name} {time}");
        let request = shipei_contracts::assessment::v1::GetTraineeScoreRequest {
            programme_id: PROGRAMME.to_owned(),
            person_id: person.to_owned(),
            as_of: Some(to_timestamp(at(time))),
        };
        let alone = service.client().get_trainee_score(request).await.unwrap().into_inner().score;
        assert_eq!(alone, Some(score), "{person} {time}");
    }
}

async fn taken_back(on: On) {
    let plain = Service::start(on).await;
    plain.apply(&season().take()).await;
    let expected = seen(&plain).await;
    let events = decided().take();
    let decisions: Vec<Event> =
        events.iter().filter(|event| event.source == "assessment-decisions").cloned().collect();
    let behind: Vec<Event> = decisions.iter().map(|event| retraction(event, false)).collect();
    let service = Service::start(on).await;
    service.apply(&events).await;
    assert_ne!(seen(&service).await, expected);
    service.apply(&behind).await;
    assert_eq!(seen(&service).await, expected);
    assert_counts_are_right(&service).await;
    // Told before they were taken, they never count.
    let before: Vec<Event> = decisions.iter().map(|event| retraction(event, true)).collect();
    let service = Service::start(on).await;
    service.apply(&before).await;
    service.apply(&events).await;
    assert_eq!(seen(&service).await, expected);
    // Of two about one item the one that stands counts again.
    let service = Service::start(on).await;
    let mut log = decided();
    log.adjusted("T04", ("phase_1", 3, 4), "2019-11-17 10:00", None);
    service.apply(&log.take()).await;
    let score = trainee(&service, "T04", "2019-12-31 00:00").await;
    assert_eq!(told(&score, "phase_1"), (3, ItemState::Earned, Some(0)));
    service.apply(&[retraction(log.take().last().unwrap(), false)]).await;
    let score = trainee(&service, "T04", "2019-12-31 00:00").await;
    assert_eq!(told(&score, "phase_1"), (10, ItemState::Earned, Some(0)));
}

async fn early(on: On) {
    let expected = Service::start(on).await;
    expected.apply(&decided().take()).await;
    let mut events = decided().take();
    events.sort_by_key(|event| event.source != "assessment-decisions");
    let service = Service::start(on).await;
    service.apply(&events).await;
    assert_eq!(seen(&service).await, seen(&expected).await);
}

async fn counted(on: On) {
    let passed = |service: Service| async move {
        let mut client = StatisticsServiceClient::new(service.server.channel());
        let request = GetStatisticsRequest {
            programme_id: PROGRAMME.to_owned(),
            region_code: HAIGANG.to_owned(),
            ..Default::default()
        };
        let statistics = client.get_statistics(request).await.unwrap().into_inner().statistics.unwrap();
        let counties = service.counties(end()).await;
        let county = counties.into_iter().find(|county| county.county_code == HAIGANG).unwrap();
        (statistics.passed, county.registration_login_hundredths)
    };
    let plain = Service::start(on).await;
    plain.apply(&season().take()).await;
    let (passed_before, login_before) = passed(plain).await;
    let service = Service::start(on).await;
    service.apply(&decided().take()).await;
    assert_counts_are_right(&service).await;
    let (passed_after, login_after) = passed(service).await;
    // T04 passes now, and T01 not any more.
    assert_eq!(passed_after, passed_before);
    // T04's phase 1 and seminar are done, T01's seminar is not.
    assert!(login_after > login_before, "{login_after} {login_before}");
}

#[test]
fn decisions_in_any_order_give_the_same_scores() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut events = decided().take();
    let last = events.last().cloned().unwrap();
    let mut more = decided();
    more.adjusted("T07", ("offline", 2, 3), "2019-12-30 10:00", None);
    let wrong = more.take().last().cloned().unwrap();
    events.push(wrong.clone());
    events.push(retraction(&wrong, false));
    events.push(last);
    let expected = runtime.block_on(async {
        let service = Service::start(On::Sqlite).await;
        service.apply(&decided().take()).await;
        seen(&service).await
    });
    let config = Config { cases: 12, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&(Just(events).prop_shuffle(), any::<bool>()), |(events, on_postgres)| {
        let on = if on_postgres { On::Postgres } else { On::Sqlite };
        let found = runtime.block_on(async {
            let service = Service::start(on).await;
            service.apply(&events).await;
            assert_counts_are_right(&service).await;
            seen(&service).await
        });
        prop_assert_eq!(&found, &expected);
        Ok(())
    });
    outcome.unwrap();
}
