//! What a full batch costs: 500 events that touch 500 trainees must not cost a statement for each.

use shipei_assessment::recompute::rescore;
use shipei_contracts::{
    assignment::v1::{AssignmentSubmitted, Grade, SubmissionReviewed},
    common::v1::Role,
    enrollment::v1::PersonLoggedIn,
    event::v1::Event,
    learning::v1::PhaseAchieved,
    offline::v1::AttendeeScored,
};
use shipei_mirror::Programmes;
use tokio::time::Instant;

use crate::support::{HAIGANG, On, PROGRAMME, SCHEME, Service, Writer};

/// Events in one batch, as the event feed sends them at most.
const BATCH: usize = 500;
/// A bound that only a batch without bulk statements breaks, in milliseconds, on a busy machine without optimisation.
const MILLISECONDS_MAX: u128 = 3_000;

/// As many trainees as the environment asks for (`SHIPEI_COST_TRAINEES`), else a few batches of them.
fn trainees_count() -> usize {
    std::env::var("SHIPEI_COST_TRAINEES").ok().and_then(|text| text.parse().ok()).unwrap_or(2 * BATCH)
}

fn person(number: usize) -> String {
    format!("T{number:06}")
}

fn one_each(write: impl Fn(&mut Writer, usize, String)) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 0..trainees_count() {
        let mut log = Writer::default();
        write(&mut log, number, person(number));
        for mut event in log.take() {
            event.number = i64::try_from(number + 1).unwrap();
            event.id = format!("{}-{}", event.partition, event.number);
            events.push(event);
        }
    }
    events
}

/// So many events at once are only written down, and everybody whom they touch is scored afterwards: both are measured.
async fn measured(service: &Service, what: &str, events: Vec<Event>) {
    let mut slowest = 0;
    let mut total = 0;
    for batch in events.chunks(BATCH) {
        let began = Instant::now();
        service.apply_batch(batch).await;
        let took = began.elapsed().as_millis();
        slowest = slowest.max(took);
        total += took;
    }
    let batches = events.len().div_ceil(BATCH).max(1) as u128;
    let began = Instant::now();
    rescore::finish_due(&service.test.kit, &Programmes::default()).await.unwrap();
    let scored = began.elapsed().as_millis();
    eprintln!(
        "{what}: {} ms a batch of {BATCH} on average, {slowest} ms at most, then scored in {} ms a batch",
        total / batches,
        scored / batches
    );
    assert!(scored / batches < MILLISECONDS_MAX, "{what}: scored in {scored} ms");
    assert!(slowest < MILLISECONDS_MAX, "{what}: {slowest} ms for one batch");
}

#[tokio::test]
async fn batch_that_touches_500_trainees_needs_no_statement_for_each() {
    let service = Service::start(On::Sqlite).await;
    let mut head = Writer::default();
    head.programme(SCHEME);
    head.county(HAIGANG);
    for class in 0..trainees_count().div_ceil(100) {
        head.class(&format!("C{class}"), HAIGANG, &format!("U{class}"));
        head.staff(&format!("U{class}"), Role::ClassTutor, HAIGANG);
    }
    service.apply(&head.take()).await;
    let class_of = |number: usize| format!("C{}", number / 100);
    let programme_id = || PROGRAMME.to_owned();
    measured(
        &service,
        "registered",
        one_each(|log, number, person_id| log.trainee(&person_id, HAIGANG, &class_of(number))),
    )
    .await;
    let logged_in = one_each(|log, _, person_id| {
        log.enrollment(
            HAIGANG,
            "2019-09-12 08:00",
            &PersonLoggedIn { programme_id: programme_id(), person_id },
        );
    });
    measured(&service, "logged in", logged_in).await;
    for phase_index in 0..2 {
        let achieved = one_each(|log, _, person_id| {
            let session_id = format!("S-{person_id}");
            let fact = PhaseAchieved {
                programme_id: programme_id(),
                person_id,
                phase_index,
                by: 1,
                session_id,
                version: 1,
                united: false,
            };
            log.learning(HAIGANG, "2019-10-12 08:00", &fact);
        });
        measured(&service, "phase achieved", achieved).await;
    }
    let submitted = one_each(|log, number, person_id| {
        let fact = AssignmentSubmitted {
            programme_id: programme_id(),
            submission_id: format!("A-{person_id}"),
            person_id,
            class_id: class_of(number),
            kind: "lesson_plan".to_owned(),
            number: 1,
        };
        log.assignment(HAIGANG, "2019-11-05 08:00", &fact);
    });
    measured(&service, "submitted", submitted).await;
    let reviewed = one_each(|log, number, person_id| {
        let fact = SubmissionReviewed {
            programme_id: programme_id(),
            submission_id: format!("A-{person_id}"),
            person_id,
            class_id: class_of(number),
            tutor_id: "U0".to_owned(),
            mark_number: 2,
            new: Grade::Pass.into(),
            old: Grade::Unspecified.into(),
        };
        log.assignment(HAIGANG, "2019-11-06 08:00", &fact);
    });
    measured(&service, "reviewed", reviewed).await;
    let scored = one_each(|log, number, person_id| {
        let fact = AttendeeScored {
            programme_id: programme_id(),
            activity_id: "V1".to_owned(),
            county_code: HAIGANG.to_owned(),
            person_id,
            score_number: 1,
            new: 1 + i32::try_from(number % 10).unwrap(),
            old: None,
        };
        log.offline(HAIGANG, "2019-10-22 09:00", &fact);
    });
    measured(&service, "scored offline", scored).await;
    let began = Instant::now();
    let digest = service.digest().await;
    eprintln!("digest of {} trainees: {} ms", digest.trainees, began.elapsed().as_millis());
}
