//! Same facts, same scores: the season's events in any order, in any batches, some of them twice, by one instance or
//! by several at once, end with the same stored scores, digests and answers as of any time.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use shipei_assessment::{
    assemble::counties::count_as_of,
    domain::{
        contribution::{Sums, stage_number},
        counter::{Counter, Dimension},
        late_weeks,
    },
    recompute::rescore,
    store::{counts, lists},
};
use shipei_contracts::event::v1::Event;
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::Reach;
use shipei_store::fetch_all;

use crate::{
    season,
    support::{HAIGANG, On, PROGRAMME, Projectors, SHANHAIGUAN, Service, at, end, retraction},
};

/// Times at which answers are compared: within the season, at its end, after it.
const TIMES: [&str; 6] = [
    "2019-10-21 00:00",
    "2019-11-15 00:00",
    "2019-11-20 08:00",
    "2019-12-08 12:00",
    "2019-12-31 00:00",
    "2020-03-01 00:00",
];

/// Everything that can be seen of the scores, as text.
pub(crate) async fn seen(service: &Service) -> String {
    let mut text = format!("{:?}\n", service.digest().await);
    for time in TIMES {
        text.push_str(&format!("{:?}\n", service.trainees(at(time), "", "", 5).await));
        text.push_str(&format!("{:?}\n", service.trainees(at(time), SHANHAIGUAN, "", 2).await));
        text.push_str(&format!("{:?}\n", service.trainees(at(time), "", "C2", 0).await));
        text.push_str(&format!("{:?}\n", service.tutors(at(time)).await));
        text.push_str(&format!("{:?}\n", service.counties(at(time)).await));
    }
    text
}

/// A row of the counts: part of a dimension, education stage, counter, detail, day, amount.
type CountRow = (i64, String, i64, i64, i64, i64, i64);

/// The stored sums are those of the facts, in every dimension and on every day.
pub(crate) async fn assert_counts_are_right(service: &Service) {
    let mut tx = service.test.kit.database().begin_read().await.unwrap();
    let programme_id = ProgrammeId::parse(PROGRAMME).unwrap();
    let windows = Programmes::default().windows(&mut tx, &programme_id).await.unwrap();
    for county_code in [HAIGANG, SHANHAIGUAN] {
        let county = RegionCode::parse(county_code).unwrap();
        let stored: Vec<CountRow> = fetch_all!(
            tx,
            CountRow,
            "SELECT dimension, part, education_stage, counter, detail, day, amount FROM trainee_count \
             WHERE programme_id = $1 AND county_code = $2 AND amount <> 0 \
             ORDER BY dimension, part, education_stage, counter, detail, day",
            PROGRAMME,
            county_code
        )
        .unwrap();
        let sums = count_as_of(&mut tx, &programme_id, &windows, county, end()).await.unwrap();
        let own = sums.iter().filter(|(counted, ..)| counted.county_code == Some(county));
        let mut counted: Vec<CountRow> = own
            .map(|(counted, count, amount)| {
                let (dimension, part) = (counted.dimension.number(), counted.part.clone());
                let (stage, counter) = (stage_number(counted.stage), count.counter.number());
                (dimension, part, stage, counter, count.detail, count.day, amount)
            })
            .collect();
        counted.extend(late_rows(&sums, county));
        counted.sort();
        assert!(counted.len() > 50, "{county_code}");
        assert_eq!(stored, counted, "{county_code}");
        let totals = counts::county_totals(&mut tx, &programme_id, &[county]).await.unwrap();
        assert_eq!(totals.get(&county), Some(&sums.of_county(county)), "{county_code}");
    }
    let tutors = lists::all_tutors(&mut tx, &Reach::Everything, &programme_id, "", 10).await.unwrap();
    assert_eq!(tutors.iter().map(PersonId::as_str).collect::<Vec<_>>(), ["U1", "U2"]);
}

/// What is kept of late weeks of a county: how much work makes each late, and that it is.
fn late_rows(sums: &Sums, county: RegionCode) -> Vec<CountRow> {
    let mut rows = Vec::new();
    let mut weeks: BTreeMap<(i64, String, i64, i64), i64> = BTreeMap::new();
    for (week, submissions) in sums.late().filter(|(week, _)| week.county_code == Some(county)) {
        let (class, part) = (Dimension::Class.number(), week.class_id.to_string());
        rows.push((class, part, 0, Counter::LateSubmission.number(), week.monday, week.day, submissions));
        for (dimension, part, count) in late_weeks::counts(week) {
            *weeks.entry((dimension.number(), part.to_owned(), count.detail, count.day)).or_default() += 1;
        }
    }
    let counter = Counter::LateWeek.number();
    rows.extend(
        weeks.into_iter().map(|((dimension, part, detail, day), amount)| {
            (dimension, part, 0, counter, detail, day, amount)
        }),
    );
    rows
}

/// What is kept of late weeks is what the facts make late.
pub(crate) async fn assert_late_weeks_are_right(service: &Service) {
    let mut tx = service.test.kit.database().begin_read().await.unwrap();
    let programme_id = ProgrammeId::parse(PROGRAMME).unwrap();
    let windows = Programmes::default().windows(&mut tx, &programme_id).await.unwrap();
    for county_code in [HAIGANG, SHANHAIGUAN] {
        let county = RegionCode::parse(county_code).unwrap();
        let stored: Vec<CountRow> = fetch_all!(
            tx,
            CountRow,
            "SELECT dimension, part, education_stage, counter, detail, day, amount FROM trainee_count \
             WHERE programme_id = $1 AND county_code = $2 AND amount <> 0 AND counter > 12 \
             ORDER BY dimension, part, education_stage, counter, detail, day",
            PROGRAMME,
            county_code
        )
        .unwrap();
        let sums = count_as_of(&mut tx, &programme_id, &windows, county, end()).await.unwrap();
        let mut counted = late_rows(&sums, county);
        counted.sort();
        assert_eq!(stored, counted, "{county_code}");
    }
}

pub(crate) async fn baseline() -> String {
    let service = Service::start(On::Sqlite).await;
    service.apply(&season::season().take()).await;
    assert_counts_are_right(&service).await;
    seen(&service).await
}

/// A shuffled season: cut at random into batches, each a run of one source.
fn shuffled() -> impl Strategy<Value = (Vec<Event>, Vec<usize>)> {
    let mut events = season::season().take();
    let twice: Vec<Event> = events.iter().step_by(7).cloned().collect();
    events.extend(twice);
    (Just(events).prop_shuffle(), prop::collection::vec(1_usize..40, 8))
}

#[test]
fn scores_from_any_order_and_batches_are_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let expected = runtime.block_on(baseline());
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    });
    let outcome = runner.run(&shuffled(), |(mut events, sizes)| {
        // Runs of one source of the wanted lengths: sorting by source within a window keeps the order random.
        for (window, size) in events.chunks_mut(40).zip(sizes.iter().cycle()) {
            let length = (*size).min(window.len());
            window[..length].sort_by(|left, right| left.source.cmp(&right.source));
        }
        let found = runtime.block_on(async {
            let service = Service::start(On::Sqlite).await;
            service.apply(&events).await;
            rescore::finish(&service.test.kit, &Programmes::default()).await.unwrap();
            assert_counts_are_right(&service).await;
            seen(&service).await
        });
        prop_assert_eq!(&found, &expected);
        Ok(())
    });
    outcome.unwrap();
}

/// What may fall of a season without anything else that rests on it staying behind.
const RETRACTED: [&str; 13] = [
    "shipei.enrollment.v1.PersonLoggedIn",
    "shipei.enrollment.v1.PreJobTrainingAttended",
    "shipei.enrollment.v1.TraineeWithdrawn",
    "shipei.enrollment.v1.TutorChosen",
    "shipei.assignment.v1.AssignmentSubmitted",
    "shipei.assignment.v1.SubmissionReviewed",
    "shipei.assignment.v1.SubmissionReturned",
    "shipei.assignment.v1.PostAccepted",
    "shipei.assignment.v1.SeminarSummarised",
    "shipei.assignment.v1.BulletinPublished",
    "shipei.offline.v1.PlanSubmitted",
    "shipei.offline.v1.AttendeeScored",
    "shipei.offline.v1.ResultsSubmitted",
];

/// A season in which some facts fall: those that stand, and all of them with the retractions, in a random order.
fn with_retractions() -> impl Strategy<Value = (Vec<Event>, Vec<Event>)> {
    let events = season::season().take();
    let fates = prop::collection::vec(0_u8..6, events.len());
    fates.prop_flat_map(move |fates| {
        let (mut standing, mut told) = (Vec::new(), events.clone());
        for (event, fate) in events.iter().zip(fates) {
            let falls = RETRACTED.contains(&event.r#type.as_str());
            match fate {
                // Also twice.
                0 if falls => told.extend([retraction(event, false), retraction(event, false)]),
                // Told before the fact was recorded, and again with it when it was.
                1 if falls => told.extend([retraction(event, true), retraction(event, false)]),
                _ => standing.push(event.clone()),
            }
        }
        (Just(standing), Just(told).prop_shuffle())
    })
}

#[test]
fn what_was_retracted_counts_as_if_it_had_never_been() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    });
    let outcome = runner.run(&with_retractions(), |(standing, told)| {
        let [expected, found] = [standing, told].map(|events| {
            runtime.block_on(async {
                let service = Service::start(On::Sqlite).await;
                service.apply(&events).await;
                rescore::finish(&service.test.kit, &Programmes::default()).await.unwrap();
                assert_counts_are_right(&service).await;
                seen(&service).await
            })
        });
        prop_assert_eq!(&found, &expected);
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_gives_the_same_scores() {
    let service = Service::start(On::Postgres).await;
    let mut events = season::season().take();
    events.reverse();
    service.apply(&events).await;
    assert_counts_are_right(&service).await;
    assert_eq!(seen(&service).await, baseline().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_at_once_on_postgres_give_the_same_scores() {
    let expected = baseline().await;
    for round in 0..3_usize {
        let service = Service::start(On::Postgres).await;
        let events = Arc::new(season::season().take());
        let mut instances = Vec::new();
        for (place, source) in ["enrollment", "learning-progress", "assignment-grading", "offline-activity"]
            .into_iter()
            .enumerate()
        {
            for half in 0..2_usize {
                let (kit, events) = (service.test.twin().await, Arc::clone(&events));
                instances.push(tokio::spawn(async move {
                    let own: Vec<Event> = events
                        .iter()
                        .filter(|event| event.source == source)
                        .enumerate()
                        .filter(|(index, _)| index % 2 == half)
                        .map(|(_, event)| event.clone())
                        .collect();
                    let projectors = Projectors::default();
                    for batch in own.chunks(1 + round + place) {
                        projectors.apply(&kit, batch).await.unwrap();
                    }
                }));
            }
        }
        for instance in instances {
            instance.await.unwrap();
        }
        rescore::finish(&service.test.kit, &Programmes::default()).await.unwrap();
        assert_counts_are_right(&service).await;
        assert_eq!(seen(&service).await, expected, "round {round}");
    }
}
