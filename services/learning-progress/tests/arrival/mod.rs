//! Facts that arrive late, twice, too early, or at the same instant: the order of arrival decides nothing.

use chrono::TimeDelta;
use shipei_contracts::common::v1::{ErrorReason, Role};
use shipei_contracts::learning::v1::{self as proto, CourseCategory, HeartbeatOutcome, UncreditedReason};
use shipei_service_kit::testing::start;
use shipei_service_kit::to_timestamp;
use shipei_store::fetch_all;

use crate::{
    DAY, progress_of, refused, sessions_of,
    world::{World, at, beat, beats, course, message, select, time},
};

/// Every minute for so many minutes.
fn minutes(count: i64) -> Vec<(i64, i64)> {
    (0..=count).map(|number| (number, number * 60)).collect()
}

async fn seconds_of(world: &World, sessions: Vec<proto::SessionHeartbeats>) -> Vec<i32> {
    let answer = world.first.stream(vec![message(1, sessions)]).await.unwrap().remove(0);
    answer.sessions.iter().map(|session| session.credited_seconds.iter().sum()).collect()
}

/// The morning of a day arrives after its evening: both are credited, and the phase was achieved when its time was full
/// by the dates of the credit, not when the last of it arrived.
pub(crate) async fn session_uploaded_late_earns_what_nobody_has(world: World) {
    world.trainee("T1").await;
    for number in 1..4 {
        world.course(course(&format!("C{number}"), CourseCategory::Public, 400)).await;
    }
    let morning = at(DAY);
    let evening = morning + TimeDelta::hours(11);
    let list =
        |number: i64, from| beats(("T1", &format!("C{number}"), &format!("S{number}")), from, &minutes(100));
    assert_eq!(seconds_of(&world, vec![list(2, evening)]).await, [6000]);
    assert_eq!(seconds_of(&world, vec![list(1, morning)]).await, [6000]);
    // Beside both: nothing is left to earn.
    let beside = beats(("T1", "C3", "S3"), morning, &minutes(10));
    assert_eq!(seconds_of(&world, vec![beside]).await, [0]);

    let mut study = world.first.study();
    let phase = study.get_progress(progress_of("T1")).await.unwrap().into_inner().phases.remove(0);
    let achieved_at = evening + TimeDelta::minutes(100);
    assert_eq!((phase.credited_seconds, phase.achieved_time), (12_000, Some(to_timestamp(achieved_at))));
    let sessions = study.list_sessions(sessions_of("T1", 0, "")).await.unwrap().into_inner().sessions;
    let overlap: Vec<_> = sessions
        .iter()
        .filter(|session| !session.uncredited.is_empty())
        .map(|session| &*session.session_id)
        .collect();
    assert_eq!(overlap, ["S3"]);

    // An earlier day, later still: the phase was full a day before it was told, and that is told too.
    let before = morning - TimeDelta::days(1);
    let other = beats(("T1", "C3", "S4"), before, &minutes(50));
    assert_eq!(seconds_of(&world, vec![other]).await, [3000]);
    let phase = study.get_progress(progress_of("T1")).await.unwrap().into_inner().phases.remove(0);
    let earlier = evening + TimeDelta::minutes(50);
    assert_eq!(phase.achieved_time, Some(to_timestamp(earlier)));
    let mut tx = world.first.kit.database().begin_read().await.unwrap();
    let told =
        "SELECT occurred_at FROM event WHERE type = 'shipei.learning.v1.PhaseAchieved' ORDER BY number";
    let told: Vec<_> = fetch_all!(tx, (chrono::DateTime<chrono::Utc>,), told).unwrap();
    assert_eq!(told, [(achieved_at,), (earlier,)]);
}

/// Heartbeats every 30.5 s or every 0.9 s lose nothing, and what is shown adds up.
pub(crate) async fn beats_of_any_distance_lose_nothing(world: World) {
    for (person, millis) in [("T1", 30_500), ("T2", 900), ("T3", 30_500)] {
        world.trainee(person).await;
        let minutes = if person == "T3" { 45 } else { 90 };
        world.course(course(&format!("C{minutes}"), CourseCategory::Public, minutes)).await;
        let mut list = beats((person, &format!("C{minutes}"), "S1"), at(DAY), &[]);
        for seq in 0.. {
            let offset = TimeDelta::milliseconds(seq * millis).min(TimeDelta::minutes(90));
            list.heartbeats.push(proto::Heartbeat { seq, occurred_at: Some(to_timestamp(at(DAY) + offset)) });
            if offset == TimeDelta::minutes(90) {
                break;
            }
        }
        assert_eq!(seconds_of(&world, vec![list]).await, [minutes * 60], "{person}");
        let mut study = world.first.study();
        let progress = study.get_progress(progress_of(person)).await.unwrap().into_inner();
        assert!(progress.courses[0].complete, "{person}");
        let session =
            study.list_sessions(sessions_of(person, 0, "")).await.unwrap().into_inner().sessions.remove(0);
        let uncredited: i32 = session.uncredited.iter().map(|one| one.seconds).sum();
        assert_eq!(session.credited_seconds + uncredited, 5400, "{person}");
    }
}

/// Of several times at which a course was selected the earliest counts, in whatever order they are told.
pub(crate) async fn selection_told_late_counts_from_its_date(world: World) {
    world.trainee("T1").await;
    world.course(proto::Course { main_line: false, ..course("C1", CourseCategory::Public, 45) }).await;
    let (mut courses, mut study) = (world.first.courses(), world.first.study());
    let early = "2019-09-14T08:00:00+08:00";
    for (when, kept) in [(DAY, DAY), (early, early), (DAY, early)] {
        let answer = courses.select_course(select("T1", "C1", when)).await.unwrap().into_inner();
        assert_eq!(answer.selection.unwrap().selected_time, Some(time(kept)), "{when}");
    }
    let before = study.record_heartbeat(beat("T1", "C1", "S1", 0, at("2019-09-14T07:00:00+08:00"))).await;
    assert_eq!(refused(before).1, "COURSE_NOT_SELECTED");
    let answer = study.record_heartbeat(beat("T1", "C1", "S1", 0, at("2019-09-16T08:00:00+08:00"))).await;
    assert_eq!(answer.unwrap().into_inner().outcome(), HeartbeatOutcome::Opened);
}

/// What is stated to happen more than five minutes after the service's clock is refused, beat by beat.
pub(crate) async fn beats_of_the_future_are_refused(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    let now = start();
    let mut study = world.first.study();
    let ahead = |seconds| now + TimeDelta::minutes(5) + TimeDelta::seconds(seconds);
    let answer = study.record_heartbeat(beat("T1", "C1", "S1", 0, ahead(1))).await;
    assert_eq!(refused(answer).1, "IN_THE_FUTURE");
    study.record_heartbeat(beat("T1", "C1", "S1", 0, ahead(0))).await.unwrap();
    let list = beats(("T1", "C1", "S2"), now, &[(0, 0), (1, 300), (2, 301)]);
    let answer = world.first.stream(vec![message(1, vec![list])]).await.unwrap().remove(0);
    let refused_beats: Vec<_> =
        answer.sessions[0].refused.iter().map(|beat| (beat.index, beat.reason())).collect();
    assert_eq!(refused_beats, [(2, ErrorReason::InTheFuture)]);
    let answer = world.first.courses().select_course(select("T1", "C1", "2999-01-01T00:00:00Z")).await;
    assert_eq!(refused(answer).1, "IN_THE_FUTURE");
}

/// Heartbeats at the instant of the log-in, of the selection and of the withdrawal are answered the same when they are
/// sent again, when all of that is known; what was refused is taken once an earlier date is told.
pub(crate) async fn beats_at_a_tie_are_answered_the_same_again(world: World) {
    world.register("T1", Role::Trainee, "130302").await;
    world.trainee("T2").await;
    world.course(course("C1", CourseCategory::Public, 45)).await;
    world.course(proto::Course { main_line: false, ..course("C2", CourseCategory::Public, 45) }).await;
    let tie = at(DAY);
    let list = |person, course, session, list: &[(i64, i64)]| beats((person, course, session), tie, list);
    let only = list("T1", "C1", "only", &[(0, 0)]);
    let first = list("T1", "C1", "first", &[(0, -60), (1, 0)]);
    let rest = list("T1", "C1", "first", &[(2, 60), (3, 120)]);
    let elective = list("T2", "C2", "elective", &[(0, 0)]);
    let leaving = list("T2", "C1", "leaving", &[(0, -60), (1, 0)]);
    let left = list("T2", "C1", "leaving", &[(2, 1)]);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut results = Vec::new();
        for (step, session) in [&only, &first, &elective, &rest, &leaving, &left].into_iter().enumerate() {
            match step {
                3 => {
                    world.log_in("T1", DAY).await;
                    let select = select("T2", "C2", DAY);
                    let select = proto::SelectCourseRequest { request_id: "select".into(), ..select };
                    world.first.courses().select_course(select).await.unwrap();
                }
                5 => world.withdraw("T2", DAY).await,
                _ => {}
            }
            let answer = world.first.stream(vec![message(1, vec![session.clone()])]).await.unwrap().remove(0);
            results.push(answer.sessions[0].clone());
        }
        answers.push(results);
    }
    let refusals = |results: &[proto::SessionHeartbeatsResult]| -> Vec<(usize, i32, ErrorReason)> {
        let each = results.iter().enumerate();
        each.flat_map(|(step, result)| {
            result.refused.iter().map(move |beat| (step, beat.index, beat.reason())).collect::<Vec<_>>()
        })
        .collect()
    };
    let not_open = ErrorReason::LearningNotOpen;
    let expected = [
        (0, 0, not_open),
        (1, 0, not_open),
        (1, 1, not_open),
        (2, 0, ErrorReason::CourseNotSelected),
        (5, 0, ErrorReason::Withdrawn),
    ];
    assert_eq!(refusals(&answers[0]), expected);
    assert_eq!(refusals(&answers[1]), expected);
    let duplicate = i32::from(HeartbeatOutcome::Duplicate);
    assert_eq!(answers[1][3].outcomes, [duplicate, duplicate]);
    assert_eq!(answers[1][4].outcomes, [duplicate, duplicate]);

    world.log_in("T1", "2019-09-19T08:00:00+08:00").await;
    let answer = world.first.stream(vec![message(1, vec![only])]).await.unwrap().remove(0);
    assert_eq!(answer.sessions[0].outcomes, [i32::from(HeartbeatOutcome::Opened)]);
    let answer = world.first.study().list_sessions(sessions_of("T1", 0, "")).await.unwrap().into_inner();
    let reasons: Vec<_> = answer.sessions.iter().flat_map(|session| &session.uncredited).collect();
    assert!(reasons.iter().all(|one| one.reason() == UncreditedReason::Duplicate), "{reasons:?}");
}
