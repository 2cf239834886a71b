//! learning-progress through its gRPC contract, each case on SQLite and on Postgres.

#![expect(clippy::unwrap_used, reason = "a test that can't go on stops here")]

mod arrival;
mod broken;
mod corrections;
mod course_changes;
mod courses;
mod presence;
mod transfer;
mod world;

use std::collections::BTreeMap;

use arrival::{
    beats_at_a_tie_are_answered_the_same_again, beats_of_any_distance_lose_nothing,
    beats_of_the_future_are_refused, selection_told_late_counts_from_its_date,
    session_uploaded_late_earns_what_nobody_has,
};
use broken::broken_row_takes_its_own_place_from_a_list;
use chrono::{DateTime, TimeDelta, Utc};
use corrections::{
    grant_keeps_the_caps, grant_that_falls_is_taken_back, retracted_selection_leaves_the_later_one,
    study_counts_in_a_window_that_ends_later, voided_session_has_its_time_again_when_the_fact_falls,
    voided_session_is_free_and_lost_time_is_granted,
};
use course_changes::{
    change_counts_the_same_before_study_and_behind_it, change_is_seen_by_every_instance,
    change_that_can_not_be_is_refused, course_counts_by_its_length_of_each_time,
    retired_course_is_asked_of_nobody,
};
use courses::{course_created_again_must_be_the_same, courses_are_listed_by_page_category_and_subject};
use presence::{presence_is_of_the_regions_of_the_tree, trainees_who_study_are_counted_by_county};
use shipei_contracts::common::v1::{EducationStage, ErrorReason, Role};
use shipei_contracts::learning::v1::{self as proto, CourseCategory, HeartbeatOutcome, UncreditedReason};
use shipei_service_kit::{Token, status::reason_of};
use shipei_store::{Positions, fetch_all};
use tonic::{Code, Status};
use transfer::{
    batch_of_beats_asks_for_the_county_of_each, study_is_open_by_the_county_of_then_in_any_order,
};
use world::{
    Instance, PROGRAMME, World, at, beat, beats, course, logged_in, message, registered, select, time,
};

/// Each case on both databases.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() { super::$case(super::World::sqlite().await).await; })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() { super::$case(super::World::postgres().await).await; })+
        }
    };
}

on_both!(
    broken_row_takes_its_own_place_from_a_list,
    course_created_again_must_be_the_same,
    courses_are_listed_by_page_category_and_subject,
    course_counts_by_its_length_of_each_time,
    retired_course_is_asked_of_nobody,
    change_counts_the_same_before_study_and_behind_it,
    change_that_can_not_be_is_refused,
    change_is_seen_by_every_instance,
    selection_keeps_its_first_date,
    beats_are_refused_for_the_first_reason,
    session_tells_what_was_not_credited,
    phase_and_course_are_told_once,
    session_id_is_its_learners_own_and_of_one_course,
    stream_refuses_too_many_and_ends,
    message_that_waits_stops_no_other_stream,
    any_batching_leaves_the_same_rows,
    two_instances_never_pay_twice,
    single_beats_at_once_are_all_kept,
    course_made_elsewhere_is_seen,
    ending_service_tells_its_streams,
    trainees_who_study_are_counted_by_county,
    presence_is_of_the_regions_of_the_tree,
    study_is_open_by_the_county_of_then_in_any_order,
    batch_of_beats_asks_for_the_county_of_each,
    session_uploaded_late_earns_what_nobody_has,
    beats_of_any_distance_lose_nothing,
    selection_told_late_counts_from_its_date,
    beats_of_the_future_are_refused,
    beats_at_a_tie_are_answered_the_same_again,
    voided_session_is_free_and_lost_time_is_granted,
    grant_keeps_the_caps,
    voided_session_has_its_time_again_when_the_fact_falls,
    grant_that_falls_is_taken_back,
    retracted_selection_leaves_the_later_one,
    study_counts_in_a_window_that_ends_later,
);

const DAY: &str = "2019-09-20T08:00:00+08:00";

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    answer.map_err(|status| (status.code(), reason_of(&status).unwrap_or_default())).unwrap_err()
}

fn progress_of(person_id: &str) -> proto::GetProgressRequest {
    proto::GetProgressRequest { programme_id: PROGRAMME.into(), person_id: person_id.into() }
}

fn sessions_of(person_id: &str, page_size: i32, page_token: &str) -> proto::ListSessionsRequest {
    proto::ListSessionsRequest {
        programme_id: PROGRAMME.into(),
        person_id: person_id.into(),
        course_id: String::new(),
        page_size,
        page_token: page_token.into(),
    }
}

async fn events(instance: &Instance) -> BTreeMap<String, usize> {
    let mut tx = instance.kit.database().begin_read().await.unwrap();
    let mut counts = BTreeMap::new();
    for (kind,) in fetch_all!(tx, (String,), "SELECT type FROM event").unwrap() {
        *counts.entry(kind.replace("shipei.learning.v1.", "")).or_default() += 1;
    }
    counts
}

async fn selection_keeps_its_first_date(world: World) {
    world.trainee("T1").await;
    world.register("K1", Role::ClassTutor, "130302").await;
    world.course(proto::Course { main_line: false, ..course("C1", CourseCategory::Public, 45) }).await;
    world.course(proto::Course { subject: "数学".into(), ..course("C2", CourseCategory::Public, 45) }).await;
    let mut courses = world.first.courses();
    for (person, course, reason) in [
        ("T1", "C9", "NOT_FOUND"),
        ("T9", "C1", "NOT_FOUND"),
        ("K1", "C1", "NOT_FOUND"),
        ("T1", "C2", "COURSE_NOT_APPLICABLE"),
    ] {
        let answer = courses.select_course(select(person, course, DAY)).await;
        assert_eq!(refused(answer).1, reason, "{person} {course}");
    }
    let first = courses.select_course(select("T1", "C1", DAY)).await.unwrap().into_inner();
    let later = courses.select_course(select("T1", "C1", "2019-09-21T00:00:00Z")).await.unwrap().into_inner();
    assert_eq!(first.selection.unwrap().selected_time, Some(time(DAY)));
    assert_eq!(later.selection.unwrap().selected_time, Some(time(DAY)));
    // The later one is kept: it counts when the first one falls.
    assert_eq!(events(&world.first).await["CourseSelected"], 2);
    world.withdraw("T1", "2019-09-22T00:00:00Z").await;
    let answer = courses.select_course(select("T1", "C1", "2019-09-22T00:00:00Z")).await;
    assert_eq!(refused(answer).1, "WITHDRAWN");
    courses.select_course(select("T1", "C1", "2019-09-21T23:59:59Z")).await.unwrap();
    let list = proto::ListSelectionsRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T1".into(),
        page_size: 0,
        page_token: String::new(),
    };
    assert_eq!(courses.list_selections(list).await.unwrap().into_inner().selections.len(), 1);
}

async fn beats_are_refused_for_the_first_reason(world: World) {
    world.trainee("T1").await;
    world.trainee("T2").await;
    world.register("T3", Role::Trainee, "130302").await;
    world.register("T4", Role::Trainee, "130303").await;
    world.log_in("T4", "2019-09-11T08:00:00+08:00").await;
    world.register("K1", Role::ClassTutor, "130302").await;
    world.withdraw("T2", DAY).await;
    let stage = EducationStage::NonCompulsory.into();
    world.course(course("C1", CourseCategory::Public, 45)).await;
    world.course(proto::Course { education_stage: stage, ..course("C2", CourseCategory::Public, 45) }).await;
    world.course(proto::Course { main_line: false, ..course("C3", CourseCategory::Public, 45) }).await;
    let now = at(DAY);
    let mut study = world.first.study();
    for (person, course, seq, when, reason) in [
        ("T9", "C1", 0, now, "NOT_FOUND"),
        ("K1", "C1", 0, now, "NOT_FOUND"),
        ("T1", "C9", 0, now, "NOT_FOUND"),
        ("T2", "C2", 0, now, "WITHDRAWN"),
        ("T3", "C1", 0, now, "LEARNING_NOT_OPEN"),
        ("T4", "C1", 0, now, "LEARNING_NOT_OPEN"),
        ("T1", "C1", 0, at("2019-09-10T07:59:59+08:00"), "LEARNING_NOT_OPEN"),
        ("T1", "C2", 0, now, "COURSE_NOT_APPLICABLE"),
        ("T1", "C3", 0, now, "COURSE_NOT_SELECTED"),
        ("T1", "C1", -1, now, "INVALID_FIELD"),
        ("T 1", "C1", 0, now, "INVALID_FIELD"),
    ] {
        let answer = study.record_heartbeat(beat(person, course, "S1", seq, when)).await;
        assert_eq!(refused(answer).1, reason, "{person} {course} {seq}");
    }
    let list = vec![
        beats(("T2", "C1", "S1"), now, &[(0, -60), (1, 0)]),
        beats(("T 1", "C1", "S2"), now, &[(0, 0)]),
        beats(("T1", "C1", "S3"), now, &[(0, 0), (-1, 1), (2, 30), (3, 20)]),
        beats(("T1", "C1", "S4"), now, &[]),
    ];
    let answer = world.first.stream(vec![message(7, list)]).await.unwrap().remove(0);
    assert_eq!(answer.batch_number, 7);
    let reasons = |place: usize| -> Vec<(i32, ErrorReason)> {
        answer.sessions[place].refused.iter().map(|refused| (refused.index, refused.reason())).collect()
    };
    assert_eq!(reasons(0), [(1, ErrorReason::Withdrawn)]);
    assert_eq!(reasons(1), [(0, ErrorReason::InvalidField)]);
    assert_eq!(reasons(2), [(1, ErrorReason::InvalidField), (3, ErrorReason::OutOfOrder)]);
    assert_eq!(answer.sessions[2].credited_seconds, [0, 0, 30, 0]);
    assert_eq!(answer.sessions[3], proto::SessionHeartbeatsResult::default());
    let mut unknown = message(8, vec![beats(("T1", "C1", "S3"), now, &[(9, 99)])]);
    unknown.programme_id = "nowhere".into();
    let answer = world.first.stream(vec![unknown]).await.unwrap().remove(0);
    assert_eq!(answer.sessions[0].refused[0].reason(), ErrorReason::NotFound);
}

async fn session_tells_what_was_not_credited(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 5)).await;
    world.course(course("C2", CourseCategory::Public, 45)).await;
    let from = at(DAY);
    let first = beats(("T1", "C1", "S1"), from, &[(0, 0), (1, 60), (1, 70), (2, 260), (3, 350), (4, 410)]);
    let second = beats(("T1", "C2", "S2"), from, &[(0, 0), (1, 100), (2, 500)]);
    let early = beats(("T1", "C1", "S0"), at("2019-09-12T00:00:00Z"), &[(0, 0), (1, 60)]);
    let answer = world.first.stream(vec![message(1, vec![early, first, second])]).await.unwrap().remove(0);
    // 60, a duplicate, 200 of which 120, 90 (of which 30 are beyond the course's 300 seconds), 60 of which nothing.
    assert_eq!(answer.sessions[1].credited_seconds, [0, 60, 0, 120, 90, 30]);
    assert_eq!(answer.sessions[1].outcomes[2], HeartbeatOutcome::Duplicate as i32);
    // 100 seconds, of which 60 were credited to the first session; 400, of which 120 fit the gap and 90 are new.
    assert_eq!(answer.sessions[2].credited_seconds, [0, 40, 90]);
    assert_eq!(answer.sessions[0].credited_seconds, [0, 0]);

    let mut study = world.first.study();
    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let page = study.list_sessions(sessions_of("T1", 1, &token)).await.unwrap().into_inner();
        listed.extend(page.sessions);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let ids: Vec<&str> = listed.iter().map(|session| session.session_id.as_str()).collect();
    assert_eq!(ids, ["S0", "S1", "S2"]);
    let uncredited = |place: usize| -> Vec<(UncreditedReason, i32, i32)> {
        let session: &proto::Session = &listed[place];
        session.uncredited.iter().map(|one| (one.reason(), one.seconds, one.heartbeats)).collect()
    };
    assert_eq!(uncredited(0), [(UncreditedReason::OutsideWindow, 60, 1)]);
    let gap = (UncreditedReason::Gap, 80, 1);
    let duplicate = (UncreditedReason::Duplicate, 0, 1);
    assert_eq!(uncredited(1), [gap, (UncreditedReason::CourseFull, 30, 1), duplicate]);
    assert_eq!(uncredited(2), [(UncreditedReason::Overlap, 90, 2), (UncreditedReason::Gap, 280, 1)]);
    assert_eq!((listed[1].last_seq, listed[1].credited_seconds), (4, 300));
    assert_eq!(listed[1].last_time, Some(shipei_service_kit::to_timestamp(from + TimeDelta::seconds(410))));
}

async fn phase_and_course_are_told_once(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 5)).await;
    world.course(course("C2", CourseCategory::Public, 5)).await;
    world.course(proto::Course { subject: "数学".into(), ..course("C3", CourseCategory::Public, 5) }).await;
    let from = at(DAY);
    let list: Vec<(i64, i64)> = (0..8).map(|number| (number, number * 60)).collect();
    world.first.stream(vec![message(1, vec![beats(("T1", "C1", "S1"), from, &list)])]).await.unwrap();
    let progress = |answer: proto::GetProgressResponse| answer.phases[0].clone();
    let mut study = world.first.study();
    let half = progress(study.get_progress(progress_of("T1")).await.unwrap().into_inner());
    assert_eq!((half.main_line_courses, half.main_line_complete, half.achieved_time), (2, 1, None));
    let later = from + TimeDelta::seconds(600);
    let answer =
        world.first.stream(vec![message(2, vec![beats(("T1", "C2", "S2"), later, &list)])]).await.unwrap();
    assert!(!answer[0].consistency_token.is_empty());
    let full = study.get_progress(progress_of("T1")).await.unwrap().into_inner();
    assert_eq!(full.courses.len(), 2);
    assert!(full.courses.iter().all(|course| course.complete && course.credited_seconds == 300));
    let full = progress(full);
    assert_eq!((full.main_line_complete, full.credited_seconds, full.required_seconds), (2, 600, 12_000));
    assert_eq!(full.achieved_time, Some(shipei_service_kit::to_timestamp(later + TimeDelta::seconds(300))));
    let told = events(&world.first).await;
    assert_eq!((told["SessionOpened"], told["CourseCompleted"], told["PhaseAchieved"]), (2, 2, 1));
    assert_eq!(refused(study.get_progress(progress_of("T9")).await).1, "NOT_FOUND");
}

async fn session_id_is_its_learners_own_and_of_one_course(world: World) {
    world.trainee("T1").await;
    world.trainee("T2").await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    world.course(course("C2", CourseCategory::Public, 45)).await;
    let list = |person, course| beats((person, course, "S1"), at(DAY), &[(0, 0), (1, 30)]);
    let both = message(1, vec![list("T1", "C1"), list("T2", "C1")]);
    let answer = world.first.stream(vec![both]).await.unwrap().remove(0);
    assert_eq!(answer.sessions[0].credited_seconds, [0, 30]);
    assert_eq!(answer.sessions[1].credited_seconds, [0, 30]);
    for (person, other) in [("T1", "C2"), ("T2", "C2")] {
        let answer = world.first.stream(vec![message(2, vec![list(person, other)])]).await.unwrap().remove(0);
        assert_eq!(answer.sessions[0].refused[0].reason(), ErrorReason::AlreadyExists, "{person} {other}");
    }
}

async fn stream_refuses_too_many_and_ends(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    let list: Vec<(i64, i64)> = (0..20_001).map(|number| (number, number)).collect();
    let some = message(1, vec![beats(("T1", "C1", "S1"), at(DAY), &list[..100])]);
    let most = message(2, vec![beats(("T1", "C1", "S1"), at(DAY), &list[..20_000])]);
    let more = message(3, vec![beats(("T1", "C1", "S1"), at(DAY), &list)]);
    let answers = world.first.stream(vec![some.clone(), most]).await.unwrap();
    assert_eq!(answers.iter().map(|answer| answer.batch_number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        refused(world.first.stream(vec![some, more]).await),
        (Code::ResourceExhausted, "TOO_MANY".into())
    );
}

async fn message_that_waits_stops_no_other_stream(world: World) {
    world.trainee("T1").await;
    world.trainee("T2").await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    world.first.kit.applied().register("enrollment");
    let mut positions = Positions::new();
    positions.set(shipei_store::Partition::of("130302"), 5);
    let mut waits = message(1, vec![beats(("T1", "C1", "S1"), at(DAY), &[(0, 0)])]);
    waits.consistency_token = Token::of("enrollment", &positions).encode();
    let after = message(2, vec![beats(("T1", "C1", "S1"), at(DAY), &[(1, 30)])]);
    let mut study = world.first.study();
    let mut waiting =
        study.stream_heartbeats(tokio_stream::iter(vec![waits, after])).await.unwrap().into_inner();
    let other = message(3, vec![beats(("T2", "C1", "S2"), at(DAY), &[(0, 0), (1, 30)])]);
    let answer = world.first.stream(vec![other]).await.unwrap();
    assert_eq!(answer[0].sessions[0].credited_seconds, [0, 30]);
    world.first.kit.applied().publish("enrollment", &positions);
    assert_eq!(waiting.message().await.unwrap().unwrap().batch_number, 1);
    let second = waiting.message().await.unwrap().unwrap();
    assert_eq!((second.batch_number, second.sessions[0].credited_seconds.clone()), (2, vec![30]));
}

/// Everything that is kept of study, without what tells when it was written.
async fn rows(world: &World, prefix: &str) -> Vec<String> {
    const SQL: [&str; 5] = [
        "SELECT person_id, '', day, micros * 100 + length(credited), NULL FROM study_day",
        "SELECT person_id, course_id, credited_micros, credited_micros * 0, NULL FROM course_progress",
        "SELECT person_id, achieved_by, micros, phase_index * 100 + main_line_complete, achieved_at \
         FROM phase_progress",
        "SELECT person_id, course_id, micros, phase_index, NULL FROM phase_course_progress",
        "SELECT person_id, session_id || '/' || course_id, credited_micros * 1000 + last_seq, \
         overlap_micros + 7 * gap_micros + 11 * course_full_micros + 13 * outside_window_micros \
         + 17 * duplicate_beats + 19 * overlap_beats + 23 * length(beats), last_at FROM session",
    ];
    type Row = (String, String, i64, i64, Option<DateTime<Utc>>);
    let mut tx = world.first.kit.database().begin_read().await.unwrap();
    let mut found = Vec::new();
    for (table, sql) in SQL.iter().enumerate() {
        for row in fetch_all!(tx, Row, *sql).unwrap() {
            if row.0.starts_with(prefix) {
                found.push(format!("{table} {row:?}").replace(prefix, ""));
            }
        }
    }
    found.sort();
    found
}

async fn any_batching_leaves_the_same_rows(world: World) {
    world.course(course("C0", CourseCategory::Public, 5)).await;
    world.course(course("C1", CourseCategory::Public, 7)).await;
    world.course(course("C2", CourseCategory::Professional, 7)).await;
    // Beats that jump between learners, courses and sessions, forwards and sometimes back.
    let mut random: u64 = 42;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((random >> 33) % below).unwrap()
    };
    let mut second = 0;
    let mut drawn = Vec::new();
    for _ in 0..600 {
        second += next(40) - 5;
        drawn.push((next(3), next(3), next(40), second));
    }
    let mut kept = Vec::new();
    for (way, cut) in [(0, 1), (1, 7), (2, 600)] {
        let prefix = format!("way{way}-");
        let mut people = Vec::new();
        for person in 0..3 {
            people.push(registered(&format!("{prefix}{person}"), Role::Trainee, "130302"));
            people.push(logged_in(&format!("{prefix}{person}"), "2019-09-11T08:00:00+08:00"));
        }
        world.learn(&people).await;
        let mut messages = Vec::new();
        for group in drawn.chunks(cut) {
            let mut sessions = Vec::new();
            for (person, course, seq, second) in group {
                let (person, session) = (format!("{prefix}{person}"), format!("{prefix}{person}-{course}"));
                let from = at("2019-10-29T23:50:00+08:00");
                sessions.push(beats((&person, &format!("C{course}"), &session), from, &[(*seq, *second)]));
            }
            messages.push(message(0, sessions));
        }
        world.first.stream(messages).await.unwrap();
        kept.push(rows(&world, &prefix).await);
    }
    assert!(kept[0].len() > 20);
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0], kept[2]);
}

/// One learner, two instances of the service on one database, two streams that open courses side by side.
async fn two_instances_never_pay_twice(world: World) {
    const MINUTES: i64 = 60;
    world.trainee("T1").await;
    for number in 0..8 {
        world.course(course(&format!("C{number}"), CourseCategory::Public, 400)).await;
    }
    let second = world.second().await;
    let mut streams = Vec::new();
    for stream in 0..8 {
        let mut messages = Vec::new();
        for minute in 0..MINUTES {
            let (course, session) = (format!("C{stream}"), format!("S{stream}"));
            let list = [(2 * minute, 60 * minute), (2 * minute + 1, 60 * minute + 30)];
            messages.push(message(minute, vec![beats(("T1", &course, &session), at(DAY), &list)]));
        }
        let instance = if stream % 2 == 0 { &world.first } else { &second };
        streams.push(instance.stream(messages));
    }
    let mut credited = 0;
    for answers in futures::future::join_all(streams).await {
        for session in answers.unwrap().iter().flat_map(|answer| &answer.sessions) {
            assert_eq!(session.refused, []);
            credited += session.credited_seconds.iter().sum::<i32>();
        }
    }
    // Whoever is ahead earns; those behind can only lose what was credited up to there.
    assert!(credited > 0 && i64::from(credited) <= (MINUTES - 1) * 60 + 30, "{credited}");
    let progress = world.first.study().get_progress(progress_of("T1")).await.unwrap().into_inner();
    assert_eq!(progress.phases[0].credited_seconds, credited);
    assert_eq!(progress.courses.iter().map(|course| course.credited_seconds).sum::<i32>(), credited);
    assert_eq!(events(&second).await["SessionOpened"], 8);
}

async fn single_beats_at_once_are_all_kept(world: World) {
    const LEARNERS: usize = 200;
    let mut people = Vec::new();
    for number in 0..LEARNERS {
        people.push(registered(&format!("T{number}"), Role::Trainee, "130302"));
        people.push(logged_in(&format!("T{number}"), "2019-09-11T08:00:00+08:00"));
    }
    world.learn(&people).await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    for seq in 0..3 {
        let mut calls = Vec::new();
        for number in 0..LEARNERS {
            let mut study = world.first.study();
            let when = at(DAY) + TimeDelta::seconds(30 * seq);
            let request = beat(&format!("T{number}"), "C1", &format!("S{number}"), seq, when);
            calls.push(async move { study.record_heartbeat(request).await });
        }
        for answer in futures::future::join_all(calls).await {
            assert_eq!(answer.unwrap().into_inner().credited_seconds, if seq == 0 { 0 } else { 30 });
        }
    }
    assert_eq!(events(&world.first).await["SessionOpened"], LEARNERS);
}

async fn course_made_elsewhere_is_seen(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    let second = world.second().await;
    let list = |course: &str, session: &str| {
        message(1, vec![beats(("T1", course, session), at(DAY), &[(0, 0), (1, 30)])])
    };
    let answer = second.stream(vec![list("C2", "S2")]).await.unwrap().remove(0);
    assert_eq!(answer.sessions[0].refused[0].reason(), ErrorReason::NotFound);
    world.course(course("C2", CourseCategory::Public, 45)).await;
    let answer = second.stream(vec![list("C2", "S2")]).await.unwrap().remove(0);
    assert_eq!(answer.sessions[0].credited_seconds, [0, 30]);
}

async fn ending_service_tells_its_streams(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = world.first.study().stream_heartbeats(outgoing).await.unwrap().into_inner();
    sender.send(message(1, vec![beats(("T1", "C1", "S1"), at(DAY), &[(0, 0)])])).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().batch_number, 1);
    world.first.shutdown.begin();
    assert_eq!(refused(answers.message().await), (Code::Unavailable, "UNAVAILABLE".into()));
    drop(answers);
    assert!(world.first.shutdown.finish().await);
    assert_eq!(events(&world.first).await["SessionOpened"], 1);
}
