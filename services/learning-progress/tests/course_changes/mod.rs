//! Courses put right, changed from a date on, and retired: what stands, what is read anew, and that the order decides nothing.

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;
use shipei_contracts::common::v1::Correction;
use shipei_contracts::event::v1::{
    GetHeadRequest, RetractRequest, correction_service_client::CorrectionServiceClient,
    event_feed_client::EventFeedClient,
};
use shipei_contracts::learning::v1::{self as proto, CourseCategory};
use shipei_service_kit::to_timestamp;
use tonic::{Code, Status};

use crate::{
    DAY, events, progress_of, refused,
    world::{PROGRAMME, World, at, beat, beats, course, create, message, select, time},
};

/// A day behind [`DAY`], inside the first phase's window.
const TURN: &str = "2019-09-25T00:00:00+08:00";

fn correct(
    fact: &str,
    course_id: &str,
    terms: proto::CourseTerms,
    since: &str,
) -> proto::CorrectCourseRequest {
    proto::CorrectCourseRequest {
        programme_id: PROGRAMME.into(),
        course_id: course_id.into(),
        terms: Some(terms),
        since_time: (!since.is_empty()).then(|| time(since)),
        reason: "课程信息有误".into(),
        request_id: fact.into(),
        ..Default::default()
    }
}

fn retire(fact: &str, course_id: &str, since: &str) -> proto::RetireCourseRequest {
    proto::RetireCourseRequest {
        programme_id: PROGRAMME.into(),
        course_id: course_id.into(),
        since_time: Some(time(since)),
        reason: "课程下线".into(),
        request_id: fact.into(),
        ..Default::default()
    }
}

fn length(length_seconds: i32) -> proto::CourseTerms {
    proto::CourseTerms { length_seconds: Some(length_seconds), ..Default::default() }
}

async fn retract(world: &World, fact: &str) {
    let request = RetractRequest {
        source: shipei_learning_progress::NAME.into(),
        programme_id: PROGRAMME.into(),
        fact_id: fact.into(),
        reason: "更正有误".into(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.first.channel()).retract(request).await.unwrap();
}

/// Returns when everybody was read anew.
async fn settled(world: &World) {
    let mut feed = EventFeedClient::new(world.first.channel());
    let request = GetHeadRequest { source: shipei_learning_progress::NAME.into() };
    while feed.get_head(request.clone()).await.unwrap().into_inner().settling {
        tokio::task::yield_now().await;
    }
}

/// Every minute for so many minutes; gives the last.
async fn study(
    world: &World,
    (person, course, session): (&str, &str, &str),
    from: &str,
    minutes: i64,
) -> DateTime<Utc> {
    let each: Vec<_> = (0..=minutes).map(|number| (number, number * 60)).collect();
    let list = beats((person, course, session), at(from), &each);
    let answer = world.first.stream(vec![message(1, vec![list])]).await.unwrap().remove(0);
    assert_eq!(answer.sessions[0].refused, [], "{person} {course}");
    at(from) + TimeDelta::minutes(minutes)
}

/// What somebody's first phase and the course C1 come to: seconds and when it was achieved, seconds and whether it is complete, and how
/// many main-line courses are complete of those that are asked.
async fn standing(world: &World, person: &str) -> (i32, Option<Timestamp>, i32, bool, (i32, i32)) {
    let progress = world.first.study().get_progress(progress_of(person)).await.unwrap().into_inner();
    let phase = &progress.phases[0];
    let course = progress.courses.iter().find(|course| course.course_id == "C1");
    let (seconds, complete) = course.map_or((0, false), |course| (course.credited_seconds, course.complete));
    let main_line = (phase.main_line_complete, phase.main_line_courses);
    (phase.credited_seconds, phase.achieved_time, seconds, complete, main_line)
}

/// A course had always been longer: who is not through by that has not completed it, until the correction falls. From a day on: who was
/// through stays so, and who was not is asked for the new length.
pub(crate) async fn course_counts_by_its_length_of_each_time(world: World) {
    for person in ["T1", "T2"] {
        world.trainee(person).await;
    }
    world.course(course("C1", CourseCategory::Public, 10)).await;
    let done = Some(to_timestamp(study(&world, ("T1", "C1", "S1"), DAY, 10).await));
    study(&world, ("T2", "C1", "S1"), DAY, 6).await;
    assert_eq!(standing(&world, "T1").await, (600, done, 600, true, (1, 1)));
    let mut courses = world.first.courses();

    let answer = courses.correct_course(correct("F1", "C1", length(1_230), "")).await.unwrap().into_inner();
    assert_eq!((answer.course.unwrap().length_seconds, answer.fact_id.as_str()), (1_230, "F1"));
    settled(&world).await;
    assert_eq!(standing(&world, "T1").await, (600, None, 600, false, (0, 1)));
    let told = events(&world.first).await;
    let counts = ["CourseCorrected", "CompletionTakenBack", "PhaseTakenBack", "CourseCompleted"];
    assert_eq!(counts.map(|kind| told.get(kind).copied().unwrap_or_default()), [1, 1, 1, 1]);
    retract(&world, "F1").await;
    settled(&world).await;
    assert_eq!(standing(&world, "T1").await, (600, done, 600, true, (1, 1)));
    assert_eq!(events(&world.first).await["CourseCompleted"], 2);

    courses.correct_course(correct("F2", "C1", length(1_200), TURN)).await.unwrap();
    settled(&world).await;
    assert_eq!(standing(&world, "T1").await, (600, done, 600, true, (1, 1)));
    study(&world, ("T2", "C1", "S2"), "2019-09-26T08:00:00+08:00", 4).await;
    assert_eq!(standing(&world, "T2").await, (600, None, 600, false, (0, 1)));
    let through = study(&world, ("T2", "C1", "S3"), "2019-09-27T08:00:00+08:00", 11).await;
    let through = Some(to_timestamp(through - TimeDelta::minutes(1)));
    assert_eq!(standing(&world, "T2").await, (1_200, through, 1_200, true, (1, 1)));
    // Complete once; more of it is beyond its length, and no second course.
    study(&world, ("T1", "C1", "S2"), "2019-09-26T08:00:00+08:00", 11).await;
    assert_eq!(standing(&world, "T1").await, (1_200, done, 1_200, true, (1, 1)));

    // Shorter from a day on: who has so much is through by then.
    world.trainee("T3").await;
    study(&world, ("T3", "C1", "S1"), DAY, 8).await;
    let shorter = correct("F3", "C1", length(300), "2019-09-28T00:00:00+08:00");
    courses.correct_course(shorter.clone()).await.unwrap();
    settled(&world).await;
    let turned = Some(time("2019-09-28T00:00:00+08:00"));
    assert_eq!(standing(&world, "T3").await, (480, turned, 480, true, (1, 1)));
    // Again it is the same request; the same said anew changes nothing.
    assert_eq!(courses.correct_course(shorter.clone()).await.unwrap().into_inner().fact_id, "F3");
    let same = proto::CorrectCourseRequest { request_id: "F4".into(), ..shorter };
    assert_eq!(courses.correct_course(same).await.unwrap().into_inner().fact_id, "");
    let get = proto::GetCourseRequest { programme_id: PROGRAMME.into(), course_id: "C1".into() };
    let changes = courses.get_course(get).await.unwrap().into_inner().changes;
    let shown: Vec<_> = changes.iter().map(|change| (change.change_number, &*change.fact_id)).collect();
    assert_eq!(shown, [(2, "F2"), (3, "F3")]);
    assert_eq!((changes[1].terms.clone(), &*changes[1].reason), (Some(length(300)), "课程信息有误"));
}

/// A retired course is asked of nobody from then on, and is neither studied nor selected nor granted; before that it was.
pub(crate) async fn retired_course_is_asked_of_nobody(world: World) {
    world.trainee("T1").await;
    for number in 1..3 {
        world.course(course(&format!("C{number}"), CourseCategory::Public, 10)).await;
    }
    world.course(proto::Course { main_line: false, ..course("C3", CourseCategory::Public, 10) }).await;
    study(&world, ("T1", "C1", "S1"), DAY, 10).await;
    assert_eq!(standing(&world, "T1").await, (600, None, 600, true, (1, 2)));
    let (mut courses, mut studied) = (world.first.courses(), world.first.study());
    // Retracted before it came, it retires nothing.
    retract(&world, "R0").await;
    courses.retire_course(retire("R0", "C2", DAY)).await.unwrap();
    for (fact, course) in [("R1", "C2"), ("R3", "C3")] {
        let answer = courses.retire_course(retire(fact, course, TURN)).await.unwrap().into_inner();
        assert_eq!(answer.course.unwrap().retired_time, Some(time(TURN)));
    }
    settled(&world).await;
    assert_eq!(standing(&world, "T1").await, (600, Some(time(TURN)), 600, true, (1, 1)));

    let moment = TimeDelta::microseconds(1);
    let taken = studied.record_heartbeat(beat("T1", "C2", "S2", 0, at(TURN) - moment)).await;
    taken.unwrap();
    let reason = |answer: Result<(), Status>| refused(answer);
    let retired = (Code::FailedPrecondition, "COURSE_RETIRED".to_owned());
    let late = studied.record_heartbeat(beat("T1", "C2", "S2", 1, at(TURN))).await.map(|_| ());
    assert_eq!(reason(late), retired);
    let selected = courses.select_course(select("T1", "C3", TURN)).await.map(|_| ());
    assert_eq!(reason(selected), retired);
    courses.select_course(select("T1", "C3", DAY)).await.unwrap();
    let grant = |when: &str| proto::GrantTimeRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T1".into(),
        course_id: "C2".into(),
        grant_id: "G1".into(),
        seconds: 60,
        reason: "播放器故障".into(),
        evidence: "工单 17".into(),
        occurred_at: Some(time(when)),
        ..Default::default()
    };
    assert_eq!(reason(studied.grant_time(grant(TURN)).await.map(|_| ())), retired);
    studied.grant_time(grant(DAY)).await.unwrap();

    // On another day, in one: the phase is that of then.
    let correction = Some(Correction { fact_id: "R1".into(), reason: "日期有误".into() });
    let other = proto::RetireCourseRequest { correction, ..retire("R2", "C2", "2019-09-22T00:00:00+08:00") };
    courses.retire_course(other).await.unwrap();
    settled(&world).await;
    let turned = Some(time("2019-09-22T00:00:00+08:00"));
    assert_eq!(standing(&world, "T1").await, (660, turned, 600, true, (1, 1)));
    retract(&world, "R2").await;
    settled(&world).await;
    assert_eq!(standing(&world, "T1").await, (660, None, 600, true, (1, 2)));
    let listed = proto::ListCoursesRequest { programme_id: PROGRAMME.into(), ..Default::default() };
    let listed = courses.list_courses(listed).await.unwrap().into_inner().courses;
    let retired: Vec<_> = listed.iter().map(|course| course.retired_time).collect();
    assert_eq!(retired, [None, None, Some(time(TURN))]);
    studied.record_heartbeat(beat("T1", "C2", "S2", 1, at(TURN))).await.unwrap();
}

/// Category, main line and subject of each time decide, whether the change is told before the study or behind it.
pub(crate) async fn change_counts_the_same_before_study_and_behind_it(world: World) {
    for person in ["T1", "T2"] {
        world.trainee(person).await;
    }
    for number in 1..4 {
        world.course(course(&format!("C{number}"), CourseCategory::Public, 10)).await;
    }
    let changes = [
        // C1 had always been one that is chosen; C2 is another category from a day on; C3 is for mathematics.
        ("F1", "C1", proto::CourseTerms { main_line: Some(false), ..Default::default() }, ""),
        (
            "F2",
            "C2",
            proto::CourseTerms { category: CourseCategory::Professional.into(), ..Default::default() },
            TURN,
        ),
        ("F3", "C3", proto::CourseTerms { subject: Some("数学".into()), ..Default::default() }, TURN),
    ];
    let study_all = async |person: &str| {
        study(&world, (person, "C1", "S1"), DAY, 10).await;
        study(&world, (person, "C2", "S2"), "2019-09-18T08:00:00+08:00", 5).await;
        study(&world, (person, "C3", "S3"), "2019-09-19T08:00:00+08:00", 10).await;
    };
    study_all("T1").await;
    assert_eq!(standing(&world, "T1").await, (1_500, None, 600, true, (2, 3)));
    let mut courses = world.first.courses();
    // T2 selects what was to be selected, as they knew.
    for person in ["T1", "T2"] {
        courses.select_course(select(person, "C1", "2019-09-15T08:00:00+08:00")).await.unwrap();
    }
    for (fact, course, terms, since) in changes {
        courses.correct_course(correct(fact, course, terms, since)).await.unwrap();
    }
    study_all("T2").await;
    settled(&world).await;
    // From the turn on nothing of the first phase's main line is left for who teaches Chinese: C2 belongs elsewhere, C3 to others.
    let after = standing(&world, "T1").await;
    assert_eq!(after, (1_500, None, 600, true, (0, 0)));
    assert_eq!(standing(&world, "T2").await, after);
    let later = "2019-09-26T08:00:00+08:00";
    for (person, course) in [("T1", "C3"), ("T2", "C3")] {
        let answer = world.first.study().record_heartbeat(beat(person, course, "S9", 0, at(later))).await;
        assert_eq!(refused(answer).1, "COURSE_NOT_APPLICABLE");
    }
}

/// What can't be said of a course is refused by name; a course created again is compared with what it was created as.
pub(crate) async fn change_that_can_not_be_is_refused(world: World) {
    world.course(course("C1", CourseCategory::Public, 10)).await;
    let mut courses = world.first.courses();
    let title = || proto::CourseTerms { title: Some("师德".into()), ..Default::default() };
    let retired = proto::CourseTerms { retired: Some(true), ..Default::default() };
    for (request, reason) in [
        (correct("", "C1", length(-1), ""), "INVALID_FIELD"),
        (correct("", "C1", length(6_000_001), ""), "INVALID_FIELD"),
        (correct("", "C1", proto::CourseTerms::default(), ""), "INVALID_FIELD"),
        (correct("", "C1", retired, ""), "INVALID_FIELD"),
        (correct("", "C1", title(), TURN), "INVALID_FIELD"),
        (correct("", "C1", length(60), "2999-01-01T00:00:00Z"), "IN_THE_FUTURE"),
        (correct("", "C9", length(60), ""), "NOT_FOUND"),
        (
            proto::CorrectCourseRequest { reason: " ".into(), ..correct("", "C1", length(60), "") },
            "INVALID_FIELD",
        ),
    ] {
        assert_eq!(refused(courses.correct_course(request.clone()).await).1, reason, "{request:?}");
    }
    let future = retire("", "C1", "2999-01-01T00:00:00Z");
    assert_eq!(refused(courses.retire_course(future).await).1, "IN_THE_FUTURE");

    let answer = courses.correct_course(correct("F1", "C1", title(), "")).await.unwrap().into_inner();
    assert_eq!(answer.course.unwrap().title, "师德");
    let feed = GetHeadRequest { source: shipei_learning_progress::NAME.into() };
    let head = EventFeedClient::new(world.first.channel()).get_head(feed).await.unwrap().into_inner();
    assert!(!head.settling, "a title counts for nothing");
    courses.create_course(create(course("C1", CourseCategory::Public, 10))).await.unwrap();
    let renamed = proto::Course { title: "师德".into(), ..course("C1", CourseCategory::Public, 10) };
    assert_eq!(refused(courses.create_course(create(renamed)).await).1, "ALREADY_EXISTS");
}

/// A course changes while heartbeats come, on two instances; both know it at once, and everybody is read anew once.
pub(crate) async fn change_is_seen_by_every_instance(world: World) {
    let second = world.second().await;
    for number in 0..130 {
        world.trainee(&format!("T{number:03}")).await;
    }
    world.course(course("C1", CourseCategory::Public, 10)).await;
    let from = at(DAY);
    let sessions = |minutes: std::ops::RangeInclusive<i64>| {
        let each: Vec<_> = minutes.map(|number| (number, number * 60)).collect();
        let people = (0..130).map(|number| format!("T{number:03}"));
        people.map(|person| beats((&person, "C1", "S1"), from, &each)).collect::<Vec<_>>()
    };
    world.first.stream(vec![message(1, sessions(0..=5))]).await.unwrap();
    world.first.courses().correct_course(correct("F1", "C1", length(900), "")).await.unwrap();
    second.stream(vec![message(1, sessions(6..=16))]).await.unwrap();
    settled(&world).await;
    let through = Some(to_timestamp(from + TimeDelta::minutes(15)));
    for person in ["T000", "T099", "T129"] {
        assert_eq!(standing(&world, person).await, (900, through, 900, true, (1, 1)), "{person}");
    }
    let told = events(&world.first).await;
    assert_eq!((told["CourseCompleted"], told.get("CompletionTakenBack")), (130, None));
}
