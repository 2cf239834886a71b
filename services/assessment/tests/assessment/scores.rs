//! What the scores of the small season say, rule by rule, as the service's callers see it.

use std::time::Duration;

use prost::Message;
use shipei_assessment::{
    recompute::rescore,
    store::lists::{self, PointsRow},
};
use shipei_contracts::{
    assessment::v1::{
        CountyScoreChanged, GetCountyScoreRequest, GetTraineeScoreRequest, GetTutorScoreRequest, ItemState,
        ListTraineeScoresRequest, ScoreItem, TraineeScore, TraineeScoreChanged, TutorScore,
    },
    enrollment::v1::{PersonLoggedIn, SchemeRevised},
    event::v1::Event,
};
use shipei_mirror::Programmes;
use shipei_rules::ids::ProgrammeId;
use shipei_service_kit::{Reach, status::reason_of, to_timestamp};
use shipei_store::{Partition, StoredEvent, event_log};
use tokio::time::timeout;

use crate::{
    season::season,
    support::{HAIGANG, On, PROGRAMME, SCHEME, SHANHAIGUAN, Service, Writer, at, end},
};

async fn started(on: On) -> Service {
    let service = Service::start(on).await;
    service.apply(&season().take()).await;
    service
}

fn item<'score>(items: &'score [ScoreItem], name: &str) -> &'score ScoreItem {
    items.iter().find(|item| item.name == name).unwrap()
}

fn points(score: &TraineeScore) -> Vec<i32> {
    score.items.iter().map(|item| item.hundredths / 100).collect()
}

async fn trainee(service: &Service, person_id: &str, time: &str) -> Option<TraineeScore> {
    let request = GetTraineeScoreRequest {
        programme_id: PROGRAMME.into(),
        person_id: person_id.into(),
        as_of: Some(to_timestamp(at(time))),
    };
    let answer = service.client().get_trainee_score(request).await.unwrap().into_inner();
    assert_eq!(answer.withdrawn, answer.score.is_none());
    answer.score
}

async fn tutor(service: &Service, person_id: &str, time: &str) -> TutorScore {
    let request = GetTutorScoreRequest {
        programme_id: PROGRAMME.into(),
        person_id: person_id.into(),
        as_of: Some(to_timestamp(at(time))),
    };
    service.client().get_tutor_score(request).await.unwrap().into_inner().score.unwrap()
}

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Postgres).await; })+ }
    };
}

on_both! {
    trainee_is_scored_item_by_item: trainee_items;
    trainee_is_judged_as_of_any_time: trainee_times;
    withdrawn_trainee_has_no_score_from_then_on: withdrawn;
    transferred_trainee_counts_in_the_new_place_from_then_on: transferred;
    tutor_answers_for_their_classes: tutors;
    county_carries_its_trainees: counties;
    unknown_is_not_found: unknown;
    list_is_paged_and_filtered: lists;
    change_is_told_with_old_new_and_cause: events;
    revised_scheme_scores_everything_anew: revised;
    scheme_that_comes_last_scores_everything: scheme_last;
    stored_scores_are_those_of_the_end: stored;
    programme_larger_than_a_page_is_scored_anew_page_by_page: large;
}

async fn trainee_items(on: On) {
    let service = started(on).await;
    let score = trainee(&service, "T01", "2019-12-31 00:00").await.unwrap();
    assert_eq!((points(&score), score.total, score.passed), (vec![10, 40, 30, 10, 1], 91, true));
    let assignment = item(&score.items, "assignment");
    assert_eq!((assignment.state(), assignment.evidence.as_str()), (ItemState::Earned, "A1"));
    assert_eq!(assignment.evidence_time, Some(to_timestamp(at("2019-11-09 10:00"))));
    assert_eq!((assignment.max_hundredths, assignment.name_zh.as_str()), (3000, "提交实践性作业"));

    let score = trainee(&service, "T04", "2019-12-31 00:00").await.unwrap();
    let reasons: Vec<&str> = score.items.iter().map(|item| item.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["NOT_ACHIEVED_IN_WINDOW", "PREVIOUS_PHASE_MISSED", "NOT_SUBMITTED", "NOT_ATTENDED", "NOT_SCORED"]
    );
    let study = item(&score.items, "phase_1").missing.clone().unwrap();
    assert_eq!((study.what.as_str(), study.have, study.need), ("STUDY", Some(3_600), 12_000));
    // How much it was an instant before that is not known.
    for (time, have) in [("2019-10-05 11:00", Some(3_600)), ("2019-10-05 10:59", None)] {
        let score = trainee(&service, "T04", time).await.unwrap();
        assert_eq!(item(&score.items, "phase_1").missing.as_ref().unwrap().have, have, "{time}");
    }
    let missed = item(&score.items, "phase_2");
    assert!(
        !missed.explanation.is_empty()
            && !missed.explanation_zh.is_ascii()
            && missed.clause_zh.contains("附件2")
            && missed.clause.contains("Annex 2")
    );
    let missing = missed.missing.clone().unwrap();
    assert_eq!((missing.what.as_str(), missing.have, missing.need), ("PREVIOUS_PHASE", Some(0), 1));
    assert_eq!(
        (missing.unit.as_str(), missing.until_time),
        ("PHASES", Some(to_timestamp(at("2019-10-31 00:00"))))
    );
    assert_eq!(missing.text, "the previous phase achieved: 0 of 1 phases");
    assert!(missing.text_zh.contains("上一阶段"));
}

async fn trainee_times(on: On) {
    let service = started(on).await;
    let early = trainee(&service, "T01", "2019-11-08 12:00").await.unwrap();
    assert_eq!(points(&early), [10, 0, 20, 0, 1]);
    assert_eq!(item(&early.items, "phase_2").state(), ItemState::Pending);
    assert_eq!((early.county_code.as_str(), early.class_id.as_str()), (HAIGANG, "C1"));
    assert_eq!(trainee(&service, "T01", "2019-11-09 10:00").await.unwrap().total, 10 + 30 + 1);
}

async fn withdrawn(on: On) {
    let service = started(on).await;
    assert!(trainee(&service, "T03", "2019-11-10 11:59").await.is_some());
    assert!(trainee(&service, "T03", "2019-11-10 12:00").await.is_none());
    let listed = service.trainees(end(), "", "", 0).await;
    assert_eq!(listed.len(), 10);
    assert!(listed.iter().all(|score| score.person_id != "T03" && score.person_id != "T10"));
}

async fn transferred(on: On) {
    let service = started(on).await;
    let people = async |time: &str, region: &str, class_id: &str| {
        let scores = service.trainees(at(time), region, class_id, 0).await;
        scores.into_iter().map(|score| score.person_id).collect::<Vec<_>>()
    };
    assert_eq!(people("2019-11-20 07:59", "", "C2").await, ["T05", "T06", "T07", "T08"]);
    assert_eq!(people("2019-11-20 08:00", "", "C2").await, ["T06", "T07", "T08"]);
    assert_eq!(people("2019-11-20 08:00", SHANHAIGUAN, "").await, ["T05", "T09", "T10", "T11", "T12"]);
    assert_eq!(people("2019-11-20 08:00", "130300", "C3").await, ["T05", "T09", "T10", "T11", "T12"]);
    // What was earned stays.
    let score = trainee(&service, "T05", "2019-12-31 00:00").await.unwrap();
    assert_eq!((points(&score), score.county_code.as_str()), (vec![10, 40, 0, 10, 5], SHANHAIGUAN));
}

async fn tutors(on: On) {
    let service = started(on).await;
    // A2b was marked an instant too late, A5 was unmarked at its Sunday; A5 went to C3 with its trainee.
    let first = tutor(&service, "U1", "2019-12-31 00:00").await;
    assert_eq!((first.total, first.late_weeks, first.qualified), (100, 1, true));
    assert_eq!(first.class_ids, ["C1", "C2"]);
    assert!(first.eligible && !first.excellent && !first.disqualified);
    let second = tutor(&service, "U2", "2019-12-31 00:00").await;
    assert_eq!((second.total, second.late_weeks, second.qualified, second.excellent), (40, 0, false, false));
    let marking = item(&second.items, "marking");
    assert_eq!((marking.reason.as_str(), marking.evidence.as_str()), ("NOT_ALL_MARKED", "A5"));
    assert_eq!(marking.evidence_time, Some(to_timestamp(at("2019-11-14 10:00"))));
    assert!(second.choice_note.contains("below the qualifying total"));
    // Before the transfer it was the first tutor's; at its Sunday's end the week became late.
    let before = tutor(&service, "U1", "2019-11-17 23:59").await;
    assert_eq!((before.late_weeks, item(&before.items, "marking").evidence.as_str()), (0, "A2b"));
    assert_eq!(tutor(&service, "U1", "2019-11-18 00:00").await.late_weeks, 1);
    assert_eq!(item(&tutor(&service, "U1", "2019-11-19 00:00").await.items, "marking").evidence, "A5");
    assert_eq!(item(&tutor(&service, "U1", "2019-11-20 08:00").await.items, "marking").evidence, "");
}

async fn counties(on: On) {
    let service = started(on).await;
    let scores = service.counties(end()).await;
    let [first, second] = &scores[..] else { panic!("two counties") };
    assert_eq!((first.county_code.as_str(), first.active_trainees), (HAIGANG, 6));
    assert_eq!(first.counselor_ids, ["K1"]);
    // T01 T02 T04 T06 T07 T08: log-in all 6, phase_1 all but T04, phase_2 all but T04 T06, submitted T01 T02 T06,
    // seminar T01 T02 T06 T07: 22 of 30.
    assert_eq!(first.registration_login_hundredths, 7000 * 22 / 30);
    assert_eq!((first.offline_hundredths, first.total_hundredths), (3000, 5133 + 3000));
    assert_eq!(item(&first.items, "login").explanation, "6 of 6 active trainees on time");
    assert_eq!(item(&first.items, "phase_1").state(), ItemState::Missed);
    assert_eq!(item(&first.items, "scoring:compulsory").state(), ItemState::Earned);
    // T10's attendance is not owed a score: they left. T05 attended elsewhere and counts here.
    assert_eq!((second.active_trainees, second.offline_hundredths), (4, 3000));
    assert!(first.applicable && !first.scores_not_distinct);
    // While T10 was there, the scoring was not complete; and T05 counted in the first county before the transfer.
    let then = service.counties(at("2019-11-20 07:59")).await;
    assert_eq!((then[0].active_trainees, then[1].active_trainees), (7, 4));
    assert_eq!(item(&then[1].items, "scoring:compulsory").state(), ItemState::Pending);
    assert_eq!(item(&then[0].items, "results:compulsory").state(), ItemState::Pending);
}

async fn unknown(on: On) {
    let service = started(on).await;
    let mut client = service.client();
    for (programme_id, person_id) in [(PROGRAMME, "T99"), (PROGRAMME, "U1"), ("elsewhere", "T01")] {
        let request = GetTraineeScoreRequest {
            programme_id: programme_id.into(),
            person_id: person_id.into(),
            as_of: None,
        };
        let status = client.get_trainee_score(request).await.unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("NOT_FOUND"), "{person_id}");
    }
    let request =
        GetTutorScoreRequest { programme_id: PROGRAMME.into(), person_id: "T01".into(), as_of: None };
    assert_eq!(client.get_tutor_score(request).await.unwrap_err().code(), tonic::Code::NotFound);
    for county_code in ["130304", "130300"] {
        let request = GetCountyScoreRequest {
            programme_id: PROGRAMME.into(),
            county_code: county_code.into(),
            as_of: None,
        };
        assert_eq!(client.get_county_score(request).await.unwrap_err().code(), tonic::Code::NotFound);
    }
    let request =
        GetCountyScoreRequest { programme_id: PROGRAMME.into(), county_code: "13".into(), as_of: None };
    assert_eq!(client.get_county_score(request).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

async fn lists(on: On) {
    let service = started(on).await;
    let whole = service.trainees(end(), "130300", "", 0).await;
    for page_size in [1, 3, 10] {
        assert_eq!(service.trainees(end(), "130300", "", page_size).await, whole);
    }
    let request = ListTraineeScoresRequest {
        programme_id: PROGRAMME.into(),
        class_id: "C1".into(),
        page_size: 1,
        ..Default::default()
    };
    let first = service.client().list_trainee_scores(request.clone()).await.unwrap().into_inner();
    let other =
        ListTraineeScoresRequest { class_id: "C2".into(), page_token: first.next_page_token, ..request };
    let status = service.client().list_trainee_scores(other).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("INVALID_PAGE_TOKEN"));
}

async fn log_of(service: &Service, region: &str) -> Vec<StoredEvent> {
    let mut tx = service.test.kit.database().begin_read().await.unwrap();
    event_log::read_after(&mut tx, Partition::of(region), 0, 10_000, &[], &[]).await.unwrap().events
}

async fn events(on: On) {
    let service = started(on).await;
    let log = log_of(&service, HAIGANG).await;
    let own: Vec<&StoredEvent> = log
        .iter()
        .filter(|event| event.kind.ends_with(".TraineeScoreChanged") && event.subject == "T01")
        .collect();
    let mut before = None;
    for event in &own {
        let message = TraineeScoreChanged::decode(event.data.as_slice()).unwrap();
        assert_eq!((message.old.clone(), message.county_code.as_str()), (before, HAIGANG));
        assert_ne!(message.old, message.new);
        before = message.new;
    }
    assert_eq!(before.unwrap().total, 91);
    let last = own.last().unwrap();
    assert!(last.cause.starts_with("offline-activity/"), "{}", last.cause);
    assert_eq!(last.occurred_at, at("2019-10-22 09:00"));
    let county = log.iter().rfind(|event| event.kind.ends_with(".CountyScoreChanged")).unwrap();
    let county = CountyScoreChanged::decode(county.data.as_slice()).unwrap().new.unwrap();
    assert_eq!((county.active_trainees, county.offline_hundredths), (6, 3000));
    // The same facts again change nothing and are told to nobody.
    service.apply(&season().take()[1..]).await;
    assert_eq!(log_of(&service, HAIGANG).await.len(), log.len());
}

/// The same scheme, but a seminar is worth 20.
fn revision() -> Event {
    let toml = SCHEME.replacen("points         = 10", "points         = 20", 1);
    assert_ne!(toml, SCHEME);
    let mut log = Writer::default();
    let message = SchemeRevised {
        programme_id: PROGRAMME.into(),
        scheme_toml: toml,
        scheme_version: 2,
        old_scheme_version: 1,
    };
    log.enrollment("130300", "2019-12-27 10:00", &message);
    log.take().remove(0)
}

async fn revised(on: On) {
    let service = started(on).await;
    let before = service.digest().await;
    service.apply(&[revision()]).await;
    let score = trainee(&service, "T01", "2019-12-31 00:00").await.unwrap();
    assert_eq!((score.total, score.scheme_version), (101, 2));
    let after = service.digest().await;
    assert_ne!(after.digest, before.digest);
    assert_eq!((after.trainees, after.tutors, after.counties), (10, 2, 2));
    // As if it had been so from the start.
    let mut events = season().take();
    events.push(revision());
    events.reverse();
    let other = Service::start(on).await;
    other.apply(&events).await;
    rescore::finish(&other.test.kit, &Programmes::default()).await.unwrap();
    assert_eq!(other.digest().await, after);
}

async fn scheme_last(on: On) {
    let service = Service::start(on).await;
    let events = season().take();
    service.apply(&events[1..]).await;
    service.apply(&events[..1]).await;
    assert_eq!(service.digest().await, started(On::Sqlite).await.digest().await);
}

async fn stored(on: On) {
    let service = started(on).await;
    let mut tx = service.test.kit.database().begin_read().await.unwrap();
    let (programme_id, all) = (ProgrammeId::parse(PROGRAMME).unwrap(), Reach::Everything);
    let rows = lists::trainee_points(&mut tx, &all, &programme_id, "", 100).await.unwrap();
    let listed = service.trainees(end(), "", "", 0).await;
    assert_eq!(rows.len(), listed.len());
    for (PointsRow { person_id, points }, read) in rows.iter().zip(&listed) {
        let stored = shipei_contracts::assessment::v1::TraineePoints::decode(points.as_slice()).unwrap();
        assert_eq!(
            (person_id.as_str(), stored.total, stored.passed),
            (read.person_id.as_str(), read.total, read.passed)
        );
    }
    let rows = lists::tutor_points(&mut tx, &all, &programme_id, "", 100).await.unwrap();
    for (PointsRow { person_id, points }, read) in rows.iter().zip(&service.tutors(end()).await) {
        let stored = shipei_contracts::assessment::v1::TutorPoints::decode(points.as_slice()).unwrap();
        assert_eq!(
            (person_id.as_str(), stored.total, stored.late_weeks),
            (read.person_id.as_str(), read.total, read.late_weeks)
        );
    }
}

/// More trainees than one page of scoring anew holds, and what one of them did.
fn large_programme() -> Vec<Event> {
    let mut log = Writer::default();
    log.programme(SCHEME);
    log.county(HAIGANG);
    for number in 0..=2 * rescore::RESCORE_PAGE {
        log.trainee(&format!("T{number:05}"), HAIGANG, "C1");
    }
    let message = PersonLoggedIn { programme_id: PROGRAMME.into(), person_id: "T00007".into() };
    log.enrollment(HAIGANG, "2019-09-12 08:00", &message);
    log.take()
}

/// So few at once that everybody is scored with each of them.
async fn apply_in_small_batches(service: &Service, events: &[Event]) {
    for batch in events.chunks(100) {
        service.apply_batch(batch).await;
    }
}

async fn large(on: On) {
    let events = large_programme();
    let expected = Service::start(on).await;
    expected.apply(&events[..1]).await;
    apply_in_small_batches(&expected, &events[1..]).await;
    let service = Service::start(on).await;
    apply_in_small_batches(&service, &events[1..]).await;
    service.apply(&events[..1]).await;
    // One page is done: the digest would be of two schemes and waits, counties are counted from facts.
    assert!(timeout(Duration::from_millis(200), service.digest()).await.is_err());
    let [county] = &service.counties(end()).await[..] else { panic!("one county") };
    assert_eq!(i64::from(county.active_trainees), 2 * rescore::RESCORE_PAGE + 1);
    rescore::finish(&service.test.kit, &Programmes::default()).await.unwrap();
    assert_eq!(service.digest().await, expected.digest().await);
    assert_eq!(service.counties(end()).await, expected.counties(end()).await);
}
