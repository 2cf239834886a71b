//! Study put right by hand: sessions voided, time granted.

use chrono::TimeDelta;
use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::enrollment::v1 as enrollment;
use shipei_contracts::event::v1::{
    Event, GetFactRequest, RetractRequest, correction_service_client::CorrectionServiceClient,
};
use shipei_contracts::learning::v1::{self as proto, CourseCategory, UncreditedReason};
use shipei_service_kit::to_timestamp;
use tonic::Status;

use crate::{
    DAY, events, progress_of, refused, sessions_of,
    world::{PROGRAMME, World, at, beat, beats, course, event, message, select, time},
};

fn void(session: &str) -> proto::VoidSessionRequest {
    proto::VoidSessionRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T1".into(),
        session_id: session.into(),
        reason: "播放器无人观看".into(),
        ..Default::default()
    }
}

fn grant(grant_id: &str, course: &str, seconds: i32, when: &str) -> proto::GrantTimeRequest {
    proto::GrantTimeRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T1".into(),
        course_id: course.into(),
        grant_id: grant_id.into(),
        seconds,
        reason: "播放器故障".into(),
        evidence: "工单 17".into(),
        occurred_at: Some(time(when)),
        ..Default::default()
    }
}

async fn phase(world: &World) -> proto::PhaseProgress {
    let progress = world.first.study().get_progress(progress_of("T1")).await.unwrap().into_inner();
    progress.phases[0].clone()
}

async fn send(world: &World, session: proto::SessionHeartbeats) -> proto::SessionHeartbeatsResult {
    world.first.stream(vec![message(1, vec![session])]).await.unwrap().remove(0).sessions.remove(0)
}

/// A session is voided: its time is free, a phase that rested on it is taken back, what another had lost is listed, and
/// granted by hand it achieves the phase again, at the moment that it is granted for.
pub(crate) async fn voided_session_is_free_and_lost_time_is_granted(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 400)).await;
    world.course(course("C2", CourseCategory::Public, 400)).await;
    let from = at(DAY);
    let minutes = |count: i64| (0..=count).map(|number| (number, number * 60)).collect::<Vec<_>>();
    send(&world, beats(("T1", "C1", "wrong"), from, &minutes(120))).await;
    send(&world, beats(("T1", "C2", "right"), from + TimeDelta::minutes(60), &minutes(140))).await;
    let before = phase(&world).await;
    let achieved_at = from + TimeDelta::minutes(200);
    assert_eq!((before.credited_seconds, before.achieved_time), (12_000, Some(to_timestamp(achieved_at))));

    let mut study = world.first.study();
    assert_eq!(refused(study.void_session(void("nobody")).await).1, "NOT_FOUND");
    let nameless = proto::VoidSessionRequest { reason: " ".into(), ..void("wrong") };
    assert_eq!(refused(study.void_session(nameless).await).1, "INVALID_FIELD");
    let answer = study.void_session(void("wrong")).await.unwrap().into_inner();
    let session = answer.session.unwrap();
    let voided: Vec<_> = session.uncredited.iter().map(|one| (one.reason(), one.seconds)).collect();
    assert_eq!((session.credited_seconds, voided), (0, vec![(UncreditedReason::Voided, 7200)]));
    let lost: Vec<_> = answer.lost.iter().map(|lost| (&*lost.session_id, lost.seconds)).collect();
    assert_eq!(lost, [("right", 3600)]);
    let after = phase(&world).await;
    assert_eq!((after.credited_seconds, after.achieved_time), (4800, None));
    // Again: a fact of its own, of which nothing follows.
    let again = study.void_session(void("wrong")).await.unwrap().into_inner();
    assert_eq!((again.session.unwrap().credited_seconds, again.lost), (0, vec![]));
    let told = events(&world.first).await;
    assert_eq!((told["SessionVoided"], told["PhaseTakenBack"], told["PhaseAchieved"]), (2, 1, 1));

    // What it was sent before is a duplicate, what is new is refused; its time is another session's to earn.
    let result = send(&world, beats(("T1", "C1", "wrong"), from, &[(5, 300), (200, 7260)])).await;
    let reasons: Vec<_> = result.refused.iter().map(|beat| (beat.index, beat.reason())).collect();
    assert_eq!(reasons, [(1, ErrorReason::SessionVoided)]);
    let result = send(&world, beats(("T1", "C2", "other"), from, &minutes(60))).await;
    assert_eq!(result.credited_seconds.iter().sum::<i32>(), 3600);

    // An hour is still missing, and granted in two parts; the second is more than the phase needs.
    let late = "2019-09-25T10:00:00+08:00";
    let granted = study.grant_time(grant("G1", "C1", 3599, late)).await.unwrap().into_inner();
    assert_eq!((granted.granted_seconds, granted.uncredited), (3599, vec![]));
    assert_eq!(phase(&world).await.achieved_time, None);
    let early = "2019-09-24T10:00:00+08:00";
    study.grant_time(grant("G2", "C1", 60, early)).await.unwrap();
    let reached = phase(&world).await;
    assert_eq!((reached.credited_seconds, reached.achieved_time), (12_059, Some(time(late))));
    let same = study.grant_time(grant("G2", "C1", 60, early)).await.unwrap().into_inner();
    assert_eq!((same.granted_seconds, phase(&world).await.credited_seconds), (60, 12_059));
    let other = study.grant_time(grant("G2", "C1", 61, early)).await;
    assert_eq!(refused(other).1, "ALREADY_EXISTS");
    let sessions = study.list_sessions(sessions_of("T1", 0, "")).await.unwrap().into_inner().sessions;
    assert_eq!(sessions.iter().map(|session| session.credited_seconds).sum::<i32>(), 4800 + 3600);
}

/// A grant is no more than the course and the windows allow.
pub(crate) async fn grant_keeps_the_caps(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 5)).await;
    world.course(proto::Course { subject: "数学".into(), ..course("C2", CourseCategory::Public, 5) }).await;
    let mut study = world.first.study();
    let shown = |answer: Result<tonic::Response<proto::GrantTimeResponse>, Status>| {
        let answer = answer.unwrap().into_inner();
        let rest: Vec<_> = answer.uncredited.iter().map(|one| (one.reason(), one.seconds)).collect();
        (answer.granted_seconds, rest)
    };
    let day = "2019-09-25T10:00:00+08:00";
    assert_eq!(
        shown(study.grant_time(grant("G1", "C1", 400, day)).await),
        (300, vec![(UncreditedReason::CourseFull, 100)])
    );
    let before = shown(study.grant_time(grant("G2", "C1", 60, "2019-09-14T23:59:59+08:00")).await);
    assert_eq!(before, (0, vec![(UncreditedReason::OutsideWindow, 60)]));
    let progress = study.get_progress(progress_of("T1")).await.unwrap().into_inner();
    assert!(progress.courses[0].complete);
    assert_eq!(progress.phases[0].achieved_time, Some(time(day)));
    assert_eq!(refused(study.grant_time(grant("G3", "C2", 60, day)).await).1, "COURSE_NOT_APPLICABLE");
    assert_eq!(refused(study.grant_time(grant("G3", "C9", 60, day)).await).1, "NOT_FOUND");
    assert_eq!(refused(study.grant_time(grant("G3", "C1", 0, day)).await).1, "INVALID_FIELD");
    world.withdraw("T1", day).await;
    assert_eq!(refused(study.grant_time(grant("G3", "C1", 60, day)).await).1, "WITHDRAWN");
}

/// A selection falls: the later one counts again, and without any new heartbeats are refused. What had been studied stays.
pub(crate) async fn retracted_selection_leaves_the_later_one(world: World) {
    world.trainee("T1").await;
    world.course(proto::Course { main_line: false, ..course("C1", CourseCategory::Public, 400) }).await;
    let (mut courses, mut study) = (world.first.courses(), world.first.study());
    let mut corrections = CorrectionServiceClient::new(world.first.channel());
    let mut retract = async |fact_id: &str| {
        let request = RetractRequest {
            source: shipei_learning_progress::NAME.into(),
            programme_id: PROGRAMME.into(),
            fact_id: fact_id.into(),
            reason: "选错课程".into(),
            ..Default::default()
        };
        corrections.retract(request).await.unwrap();
    };
    retract("zeroth").await;
    let days = ["2019-09-16T08:00:00+08:00", "2019-09-18T08:00:00+08:00", "2019-09-15T08:00:00+08:00"];
    for (fact_id, when) in ["first", "second", "zeroth"].into_iter().zip(days) {
        let request = proto::SelectCourseRequest { request_id: fact_id.into(), ..select("T1", "C1", when) };
        let answer = courses.select_course(request).await.unwrap().into_inner();
        assert_eq!(answer.selection.unwrap().fact_id, "first");
    }
    study.record_heartbeat(beat("T1", "C1", "S1", 0, at(days[0]))).await.unwrap();
    retract("first").await;
    let list = proto::ListSelectionsRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T1".into(),
        ..Default::default()
    };
    let listed = courses.list_selections(list.clone()).await.unwrap().into_inner().selections;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].fact_id.as_str(), listed[0].selected_time), ("second", Some(time(days[1]))));
    let early = study.record_heartbeat(beat("T1", "C1", "S2", 0, at("2019-09-17T08:00:00+08:00"))).await;
    assert_eq!(refused(early).1, "COURSE_NOT_SELECTED");
    study.record_heartbeat(beat("T1", "C1", "S2", 0, at(days[1]))).await.unwrap();
    retract("second").await;
    assert_eq!(courses.list_selections(list).await.unwrap().into_inner().selections, []);
    let none = study.record_heartbeat(beat("T1", "C1", "S3", 0, at("2019-09-19T08:00:00+08:00"))).await;
    assert_eq!(refused(none).1, "COURSE_NOT_SELECTED");
    assert_eq!(study.list_sessions(sessions_of("T1", 10, "")).await.unwrap().into_inner().sessions.len(), 2);
}

/// Study after the end of phase 1 counts for who has more time, when it is sent after that was granted.
pub(crate) async fn study_counts_in_a_window_that_ends_later(world: World) {
    for person in ["T1", "T2"] {
        world.trainee(person).await;
    }
    world.course(course("C1", CourseCategory::Public, 10)).await;
    let late = at("2019-11-03T08:00:00+08:00");
    let minutes: Vec<_> = (0..=5).map(|number| (number, number * 60)).collect();
    let credited = |result: &proto::SessionHeartbeatsResult| result.credited_seconds.iter().sum::<i32>();
    assert_eq!(credited(&send(&world, beats(("T1", "C1", "before"), late, &minutes)).await), 0);
    let granted = enrollment::ExtensionGranted {
        programme_id: PROGRAMME.into(),
        extension_id: "E1".into(),
        window: "phase_1".into(),
        old_last_day: "2019-10-30".into(),
        new_last_day: "2019-11-03".into(),
        person_id: "T1".into(),
        ..Default::default()
    };
    let granted = event(&granted, "2019-11-01T08:00:00+08:00");
    world.learn(&[Event { region_code: "130302".into(), ..granted }]).await;
    // What was recorded outside stays outside; the course keeps its length, and is studied again.
    assert_eq!(credited(&send(&world, beats(("T1", "C1", "after"), late, &minutes)).await), 300);
    assert_eq!(credited(&send(&world, beats(("T2", "C1", "other"), late, &minutes)).await), 0);
    let midnight = at("2019-11-04T00:00:00+08:00");
    assert_eq!(credited(&send(&world, beats(("T1", "C1", "too-late"), midnight, &minutes)).await), 0);
    let granted =
        world.first.study().grant_time(grant("G1", "C1", 60, "2019-11-03T10:00:00+08:00")).await.unwrap();
    assert_eq!(granted.into_inner().granted_seconds, 60);
    assert_eq!(phase(&world).await.credited_seconds, 360);
}

/// A grant is a fact: retracted, before it comes or behind it, it had never been, and its id is free.
pub(crate) async fn grant_that_falls_is_taken_back(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 400)).await;
    let mut study = world.first.study();
    let (day, fallen) = ("2019-09-24T10:00:00+08:00", "F0");
    let named = |fact: &str, seconds: i32| proto::GrantTimeRequest {
        request_id: fact.into(),
        ..grant("G1", "C1", seconds, day)
    };
    let retract = |fact: &str| RetractRequest {
        source: shipei_learning_progress::NAME.into(),
        programme_id: PROGRAMME.into(),
        fact_id: fact.into(),
        reason: "重复补时".into(),
        ..Default::default()
    };
    let corrections = || CorrectionServiceClient::new(world.first.channel());
    corrections().retract(retract(fallen)).await.unwrap();
    let before = study.grant_time(named(fallen, 12_000)).await.unwrap().into_inner();
    assert_eq!((before.granted_seconds, before.fact_id.as_str()), (0, fallen));
    assert_eq!((phase(&world).await.credited_seconds, phase(&world).await.achieved_time), (0, None));
    let granted = study.grant_time(named("F1", 12_000)).await.unwrap().into_inner();
    assert_eq!((granted.granted_seconds, granted.fact_id.as_str()), (12_000, "F1"));
    // Why is said of the fact, and in no event.
    let fact = GetFactRequest {
        source: shipei_learning_progress::NAME.into(),
        programme_id: PROGRAMME.into(),
        fact_id: "F1".into(),
    };
    let fact = corrections().get_fact(fact).await.unwrap().into_inner();
    let asked = named("F1", 12_000);
    assert_eq!((fact.reason, fact.evidence), (asked.reason.clone(), asked.evidence));
    let told = fact.fact.and_then(|event| event.data).unwrap().value;
    assert!(!String::from_utf8_lossy(&told).contains(&asked.reason), "{told:?}");
    assert_eq!(phase(&world).await.achieved_time, Some(time(day)));
    corrections().retract(retract("F1")).await.unwrap();
    assert_eq!((phase(&world).await.credited_seconds, phase(&world).await.achieved_time), (0, None));
    let told = events(&world.first).await;
    assert_eq!((told["TimeGranted"], told["PhaseTakenBack"]), (2, 1));
    // Corrected: less, in one.
    study.grant_time(named("F2", 12_000)).await.unwrap();
    let correction =
        shipei_contracts::common::v1::Correction { fact_id: "F2".into(), reason: "时长有误".into() };
    let less = proto::GrantTimeRequest { correction: Some(correction), ..named("F3", 600) };
    assert_eq!(study.grant_time(less).await.unwrap().into_inner().granted_seconds, 600);
    assert_eq!((phase(&world).await.credited_seconds, phase(&world).await.achieved_time), (600, None));
}

/// That a session was voided is a fact: for as long as one stands the session is credited nothing, and then it has its time again but
/// for what others have earned of it meanwhile.
pub(crate) async fn voided_session_has_its_time_again_when_the_fact_falls(world: World) {
    world.trainee("T1").await;
    world.course(course("C1", CourseCategory::Public, 400)).await;
    world.course(course("C2", CourseCategory::Public, 400)).await;
    let minutes = |count: i64| (0..=count).map(|number| (number, number * 60)).collect::<Vec<_>>();
    send(&world, beats(("T1", "C1", "one"), at(DAY), &minutes(200))).await;
    let achieved = Some(to_timestamp(at(DAY) + TimeDelta::minutes(200)));
    assert_eq!(phase(&world).await.achieved_time, achieved);
    let named =
        |fact: &str, session: &str| proto::VoidSessionRequest { request_id: fact.into(), ..void(session) };
    let retract = async |fact: &str| {
        let request = RetractRequest {
            source: shipei_learning_progress::NAME.into(),
            programme_id: PROGRAMME.into(),
            fact_id: fact.into(),
            reason: "核实后属正常学习".into(),
            ..Default::default()
        };
        CorrectionServiceClient::new(world.first.channel()).retract(request).await.unwrap();
    };
    let mut study = world.first.study();
    // Retracted before it came, it voids nothing.
    retract("V0").await;
    let answer = study.void_session(named("V0", "one")).await.unwrap().into_inner();
    let session = answer.session.unwrap();
    assert_eq!((session.credited_seconds, session.void_fact_ids, &*answer.fact_id), (12_000, vec![], "V0"));

    for fact in ["V1", "V2"] {
        study.void_session(named(fact, "one")).await.unwrap();
    }
    let listed = study.list_sessions(sessions_of("T1", 10, "")).await.unwrap().into_inner().sessions;
    assert_eq!((listed[0].credited_seconds, &listed[0].void_fact_ids), (0, &vec!["V1".into(), "V2".into()]));
    retract("V1").await;
    assert_eq!((phase(&world).await.credited_seconds, phase(&world).await.achieved_time), (0, None));
    retract("V2").await;
    assert_eq!((phase(&world).await.credited_seconds, phase(&world).await.achieved_time), (12_000, achieved));
    let listed = study.list_sessions(sessions_of("T1", 10, "")).await.unwrap().into_inner().sessions;
    assert_eq!((listed[0].credited_seconds, listed[0].uncredited.len()), (12_000, 0));
    assert_eq!(listed[0].void_fact_ids, Vec::<String>::new());

    // What another has earned meanwhile stays its own, whoever had it first: the sum is the same, and so is the phase.
    study.void_session(named("V3", "one")).await.unwrap();
    let refused = send(&world, beats(("T1", "C1", "one"), at(DAY), &[(201, 12_060)])).await.refused;
    assert_eq!(refused[0].reason(), ErrorReason::SessionVoided);
    send(&world, beats(("T1", "C2", "other"), at(DAY), &minutes(60))).await;
    assert_eq!((phase(&world).await.credited_seconds, phase(&world).await.achieved_time), (3600, None));
    retract("V3").await;
    assert_eq!((phase(&world).await.credited_seconds, phase(&world).await.achieved_time), (12_000, achieved));
    let listed = study.list_sessions(sessions_of("T1", 10, "")).await.unwrap().into_inner().sessions;
    let one = listed.iter().find(|session| session.session_id == "one").unwrap();
    let rest: Vec<_> =
        one.uncredited.iter().map(|rest| (rest.reason(), rest.seconds, rest.heartbeats)).collect();
    assert_eq!((one.credited_seconds, rest), (8400, vec![(UncreditedReason::Overlap, 3600, 60)]));
    // It goes on.
    let more = send(&world, beats(("T1", "C1", "one"), at(DAY), &[(201, 12_060)])).await;
    assert_eq!(more.credited_seconds, [60]);

    // The wrong session was voided: the right one is, in one.
    study.void_session(named("V4", "one")).await.unwrap();
    let correction =
        shipei_contracts::common::v1::Correction { fact_id: "V4".into(), reason: "会话有误".into() };
    let right = proto::VoidSessionRequest { correction: Some(correction), ..named("V5", "other") };
    let answer = study.void_session(right).await.unwrap().into_inner();
    assert_eq!(answer.session.unwrap().void_fact_ids, ["V5"]);
    assert_eq!(phase(&world).await.credited_seconds, 12_060 - 3600);
    assert_eq!(events(&world.first).await["SessionVoided"], 6);
}
