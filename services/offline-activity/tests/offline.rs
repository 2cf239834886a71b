//! OfflineService through its client, on both databases.

#![expect(clippy::unwrap_used, reason = "an answer that is not as expected ends the test")]

mod attendance;
mod corrections;
mod support;

use attendance::{
    attendance_told_later_as_of_earlier_counts_from_then, attendances_and_scores_are_taken_row_by_row,
};
use shipei_contracts::{
    common::v1::{EducationStage, Role},
    offline::v1::{self as proto, offline_service_client::OfflineServiceClient},
};
use support::{
    Learned, PROGRAMME, World, at, instant, on_both, orders, reason, registration, transfer, withdrawal,
};
use tonic::transport::Channel;

on_both!(
    plan_counts_from_the_first_and_shows_the_latest_title,
    county_papers_are_refused_by_cause,
    activity_is_kept_and_sent_again_does_nothing,
    attendance_is_all_or_none_and_counts_each_once,
    attendance_is_refused_by_cause,
    attendance_is_in_the_county_of_then_in_any_order,
    attendance_told_later_as_of_earlier_counts_from_then,
    attendances_and_scores_are_taken_row_by_row,
    attendance_of_thousands_is_one_call,
    score_that_counts_is_the_last,
    score_is_refused_by_cause,
    results_are_numbered_within_county_and_stage,
    lists_come_in_pages,
    attendance_at_the_same_moment_counts_each_once,
    scores_at_the_same_moment_are_numbered_without_gaps,
    results_at_the_same_moment_are_numbered_without_gaps,
);

type Client = OfflineServiceClient<Channel>;

const COMPULSORY: EducationStage = EducationStage::Compulsory;
const NON_COMPULSORY: EducationStage = EducationStage::NonCompulsory;

fn client(world: &World) -> Client {
    OfflineServiceClient::new(world.channel())
}

fn plan(
    counselor: &str,
    county: &str,
    stage: EducationStage,
    title: &str,
    when: &str,
) -> proto::SubmitPlanRequest {
    proto::SubmitPlanRequest {
        programme_id: PROGRAMME.to_owned(),
        counselor_id: counselor.to_owned(),
        county_code: county.to_owned(),
        education_stage: stage.into(),
        title: title.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn results(counselor: &str, county: &str, stage: EducationStage, when: &str) -> proto::SubmitResultsRequest {
    proto::SubmitResultsRequest {
        programme_id: PROGRAMME.to_owned(),
        counselor_id: counselor.to_owned(),
        county_code: county.to_owned(),
        education_stage: stage.into(),
        title: "成果".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn hold(counselor: &str, county: &str, activity: &str, when: &str) -> proto::HoldActivityRequest {
    proto::HoldActivityRequest {
        programme_id: PROGRAMME.to_owned(),
        counselor_id: counselor.to_owned(),
        county_code: county.to_owned(),
        education_stage: COMPULSORY.into(),
        activity_id: activity.to_owned(),
        theme: "同课异构".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn attend(counselor: &str, activity: &str, people: &[&str], when: &str) -> proto::RecordAttendanceRequest {
    proto::RecordAttendanceRequest {
        programme_id: PROGRAMME.to_owned(),
        counselor_id: counselor.to_owned(),
        activity_id: activity.to_owned(),
        person_ids: people.iter().map(|person| (*person).to_owned()).collect(),
        occurred_at: at(when),
        all_or_none: true,
        ..Default::default()
    }
}

fn score(counselor: &str, person: &str, score: i32, when: &str) -> proto::ScoreAttendeeRequest {
    proto::ScoreAttendeeRequest {
        programme_id: PROGRAMME.to_owned(),
        counselor_id: counselor.to_owned(),
        activity_id: "O1".to_owned(),
        person_id: person.to_owned(),
        score,
        occurred_at: at(when),
        ..Default::default()
    }
}

async fn attendances(client: &mut Client) -> Vec<proto::Attendance> {
    let request = proto::ListAttendancesRequest {
        programme_id: PROGRAMME.to_owned(),
        activity_id: "O1".to_owned(),
        ..Default::default()
    };
    client.list_attendances(request).await.unwrap().into_inner().attendances
}

async fn plan_counts_from_the_first_and_shows_the_latest_title(world: World) {
    let mut client = client(&world);
    let mut submit = async |title: &str, when: &str| {
        let request = plan("K1", "130302", COMPULSORY, title, when);
        let plan = client.submit_plan(request).await.unwrap().into_inner().plan.unwrap();
        (plan.title, plan.submitted_time)
    };
    assert_eq!(submit("初稿", "07-20T09:00:00").await, ("初稿".to_owned(), at("07-20T09:00:00")));
    assert_eq!(submit("定稿", "07-25T09:00:00").await, ("定稿".to_owned(), at("07-20T09:00:00")));
    assert_eq!(submit("迟到的草稿", "07-15T00:00:00").await, ("定稿".to_owned(), at("07-15T00:00:00")));
    let events = world.events::<proto::PlanSubmitted>().await;
    assert_eq!(
        (events.len(), events[0].0.region.as_str(), events[0].1.education_stage()),
        (3, "130302", COMPULSORY)
    );
    assert_eq!(events[2].0.occurred_at, instant("07-15T00:00:00"));
}

async fn county_papers_are_refused_by_cause(world: World) {
    let mut client = client(&world);
    let day = "10-05T09:00:00";
    for (counselor, county, stage, title, when, expected) in [
        ("U1", "130302", COMPULSORY, "题", day, "NOT_FOUND"),
        ("K1", "130304", COMPULSORY, "题", day, "NOT_FOUND"),
        ("K1", "130300", COMPULSORY, "题", day, "NOT_FOUND"),
        ("K2", "130302", COMPULSORY, "题", day, "NOT_COUNTY_COUNSELOR"),
        ("K1", "130302", EducationStage::Unspecified, "题", day, "INVALID_FIELD"),
        ("K1", "13", COMPULSORY, "题", day, "INVALID_FIELD"),
        ("K1", "130302", COMPULSORY, "\0", day, "INVALID_FIELD"),
        ("K1", "130302", COMPULSORY, "题", "12-11T00:00:00", "WINDOW_CLOSED"),
    ] {
        let label = format!("{counselor} {county} {stage:?} {title} {when}");
        let answer = client.submit_plan(plan(counselor, county, stage, title, when)).await;
        assert_eq!(reason(answer), expected, "{label}");
        let paper = results(counselor, county, stage, when);
        let paper = proto::SubmitResultsRequest { title: title.to_owned(), ..paper };
        assert_eq!(reason(client.submit_results(paper).await), expected, "{label}");
        let activity = proto::HoldActivityRequest {
            education_stage: stage.into(),
            theme: title.to_owned(),
            ..hold(counselor, county, "O1", when)
        };
        assert_eq!(reason(client.hold_activity(activity).await), expected, "{label}");
    }
    let early = client.submit_plan(plan("K1", "130302", COMPULSORY, "题", "07-14T23:59:59")).await;
    assert_eq!(reason(early), "WINDOW_NOT_OPEN");
    let early = client.submit_results(results("K1", "130302", COMPULSORY, "09-30T23:59:59")).await;
    assert_eq!(reason(early), "WINDOW_NOT_OPEN");
    let unknown = proto::SubmitPlanRequest {
        programme_id: "Q9".to_owned(),
        ..plan("K1", "130302", COMPULSORY, "题", day)
    };
    assert_eq!(reason(client.submit_plan(unknown).await), "NOT_FOUND");
}

async fn activity_is_kept_and_sent_again_does_nothing(world: World) {
    let mut client = client(&world);
    let request = hold("K1", "130302", "O1", "10-02T09:00:00");
    let first = client.hold_activity(request.clone()).await.unwrap().into_inner();
    let again = client.hold_activity(request.clone()).await.unwrap().into_inner();
    let unstated = proto::HoldActivityRequest { occurred_at: None, ..request.clone() };
    let later = client.hold_activity(unstated).await.unwrap().into_inner();
    assert_eq!((&again, &later), (&first, &first));
    let other = proto::HoldActivityRequest { theme: "别的".to_owned(), ..request };
    assert_eq!(reason(client.hold_activity(other).await), "ALREADY_EXISTS");
    let other = client.hold_activity(hold("K2", "130303", "O1", "10-02T09:00:00")).await;
    assert_eq!(reason(other), "ALREADY_EXISTS");
    let events = world.events::<proto::ActivityHeld>().await;
    assert_eq!((events.len(), events[0].1.activity_id.as_str()), (1, "O1"));
}

async fn attendance_is_all_or_none_and_counts_each_once(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    let refused = client.record_attendance(attend("K1", "O1", &["T1", "T3"], "10-03T10:00:00")).await;
    assert_eq!(reason(refused), "NOT_COUNTY_TRAINEE");
    assert_eq!(attendances(&mut client).await, []);
    let request = attend("K1", "O1", &["T2", "T1", "T2"], "10-03T10:00:00");
    let answer = client.record_attendance(request.clone()).await.unwrap().into_inner();
    assert_eq!((answer.added, answer.attended), (2, 2));
    let answer = client.record_attendance(request).await.unwrap().into_inner();
    assert_eq!((answer.added, answer.attended), (0, 2));
    let answer = client.record_attendance(attend("K1", "O1", &["T1", "T4"], "10-04T10:00:00")).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.added, answer.attended), (1, 3));

    let events = world.events::<proto::AttendanceRecorded>().await;
    // Each record is a fact of its own, also one that says nothing new: it counts when another one falls.
    let people: Vec<_> = events.iter().map(|(_, event)| event.person_id.as_str()).collect();
    assert_eq!(people, ["T2", "T1", "T2", "T1", "T1", "T4"]);
    let there = attendances(&mut client).await;
    assert_eq!(there[0].attended_time, at("10-03T10:00:00"));
    assert_eq!((there.len(), there[0].score, there[0].scored_time), (3, None, None));
}

async fn attendance_is_refused_by_cause(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    world.learn(&[withdrawal("T4", "10-03T00:00:00")]).await;
    let day = "10-03T10:00:00";
    for (counselor, activity, people, when, expected) in [
        ("K1", "O9", vec!["T1"], day, "NOT_FOUND"),
        ("U1", "O1", vec!["T1"], day, "NOT_FOUND"),
        ("K1", "O1", vec!["T1", "T9"], day, "NOT_FOUND"),
        ("K1", "O1", vec!["T1", "K1"], day, "NOT_FOUND"),
        ("K2", "O1", vec!["T1"], day, "NOT_COUNTY_COUNSELOR"),
        ("K1", "O1", vec!["T1", "T4"], day, "WITHDRAWN"),
        ("K1", "O1", vec!["T1"], "12-11T00:00:00", "WINDOW_CLOSED"),
        ("K1", "O1", vec!["T1", "T5"], day, "NOT_COUNTY_TRAINEE"),
        ("K1", "O9", vec![], day, "NOT_FOUND"),
        ("K1", "O1", vec!["T1", "张三"], day, "INVALID_FIELD"),
        ("K1", "O1", vec!["T1"; 100_001], day, "TOO_MANY"),
    ] {
        let answer = client.record_attendance(attend(counselor, activity, &people, when)).await;
        assert_eq!(reason(answer), expected, "{counselor} {activity} {when} {:?}", people.last());
    }
    let nobody = client.record_attendance(attend("K1", "O1", &[], day)).await.unwrap().into_inner();
    assert_eq!((nobody.added, nobody.attended, nobody.refused), (0, 0, vec![]));
    assert_eq!(attendances(&mut client).await, []);
}

/// A trainee of 130302 moves to 130303; attendances and the move arrive in any order.
async fn attendance_is_in_the_county_of_then_in_any_order(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    client.hold_activity(hold("K2", "130303", "O2", "10-02T09:00:00")).await.unwrap();
    let attendances = [
        ("K1", "O1", "10-05T10:00:00", true),
        ("K2", "O2", "10-07T23:59:59", false),
        ("K1", "O1", "10-08T00:00:00", false),
        ("K2", "O2", "10-08T00:00:00", true),
    ];
    let moved_at = "10-08T00:00:00";
    let orders = orders(&[moved_at], &attendances.map(|(_, _, when, _)| when));
    for (number, order) in orders.into_iter().enumerate() {
        let person = format!("P{number:02}");
        world.learn(&[registration(&person, Role::Trainee, "130302", COMPULSORY)]).await;
        for told in &order {
            let Learned::Fact(index) = *told else {
                world.learn(&[transfer(&person, "130303", "L1", moved_at)]).await;
                continue;
            };
            let (counselor, activity, when, is_accepted) = attendances[index];
            let answer = client.record_attendance(attend(counselor, activity, &[&person], when)).await;
            match is_accepted {
                true => assert_eq!(answer.unwrap().into_inner().added, 1, "{order:?} {activity} {when}"),
                false => assert_eq!(reason(answer), "NOT_COUNTY_TRAINEE", "{order:?} {activity} {when}"),
            }
        }
    }
}

async fn attendance_of_thousands_is_one_call(world: World) {
    let mut client = client(&world);
    let ids: Vec<String> = (0..2_500).map(|number| format!("M{number:05}")).collect();
    let registered: Vec<_> =
        ids.iter().map(|id| registration(id, Role::Trainee, "130302", COMPULSORY)).collect();
    world.learn(&registered).await;
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    let people: Vec<&str> = ids.iter().map(String::as_str).collect();
    let answer = client.record_attendance(attend("K1", "O1", &people, "10-03T10:00:00")).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.added, answer.attended), (2_500, 2_500));
    let events = world.events::<proto::AttendanceRecorded>().await;
    assert_eq!(events.len(), 2_500);
}

async fn score_that_counts_is_the_last(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    client.record_attendance(attend("K1", "O1", &["T1"], "10-03T10:00:00")).await.unwrap();
    for (points, when, counts) in [
        (7, "10-06T10:00:00", 7),
        (9, "10-07T10:00:00", 9),
        (4, "10-06T12:00:00", 9),
        (10, "10-07T10:00:00", 10),
    ] {
        let answer = client.score_attendee(score("K1", "T1", points, when)).await.unwrap();
        assert_eq!(answer.into_inner().attendance.unwrap().score, Some(counts), "{points} {when}");
    }
    // Attendance stays where it was earned: the county of the activity scores a trainee who has moved away.
    world.learn(&[transfer("T1", "130303", "L1", "10-08T00:00:00")]).await;
    client.score_attendee(score("K1", "T1", 8, "10-09T10:00:00")).await.unwrap();
    let there = attendances(&mut client).await;
    assert_eq!((there[0].score, there[0].scored_time), (Some(8), at("10-09T10:00:00")));
    let events = world.events::<proto::AttendeeScored>().await;
    let changes: Vec<_> =
        events.iter().map(|(_, event)| (event.score_number, event.old, event.new)).collect();
    assert_eq!(changes, [(1, None, 7), (2, Some(7), 9), (3, Some(9), 4), (4, Some(9), 10), (5, Some(10), 8)]);
    assert!(events.iter().all(|(event, _)| event.region == "130302"));
}

async fn score_is_refused_by_cause(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    client.record_attendance(attend("K1", "O1", &["T1", "T4"], "10-03T10:00:00")).await.unwrap();
    world.learn(&[withdrawal("T4", "10-05T00:00:00")]).await;
    let day = "10-06T10:00:00";
    for (request, expected) in [
        (
            proto::ScoreAttendeeRequest { activity_id: "O9".to_owned(), ..score("K1", "T1", 5, day) },
            "NOT_FOUND",
        ),
        (score("U1", "T1", 5, day), "NOT_FOUND"),
        (score("K1", "K1", 5, day), "NOT_FOUND"),
        (score("K2", "T1", 5, day), "NOT_COUNTY_COUNSELOR"),
        (score("K1", "T4", 5, day), "WITHDRAWN"),
        (score("K1", "T1", 9, "12-11T00:00:00"), "WINDOW_CLOSED"),
        (score("K1", "T1", 0, day), "SCORE_OUT_OF_RANGE"),
        (score("K1", "T1", 11, day), "SCORE_OUT_OF_RANGE"),
        (score("K1", "T2", 5, day), "NOT_ATTENDED"),
    ] {
        let label = format!("{request:?}");
        assert_eq!(reason(client.score_attendee(request).await), expected, "{label}");
    }
    assert!(world.events::<proto::AttendeeScored>().await.is_empty());
}

async fn results_are_numbered_within_county_and_stage(world: World) {
    let mut client = client(&world);
    for (counselor, county, stage, number) in [
        ("K1", "130302", COMPULSORY, 1),
        ("K1", "130302", COMPULSORY, 2),
        ("K1", "130302", NON_COMPULSORY, 1),
        ("K2", "130303", COMPULSORY, 1),
    ] {
        let answer =
            client.submit_results(results(counselor, county, stage, "12-10T23:59:59")).await.unwrap();
        assert_eq!(answer.into_inner().results.unwrap().number, number);
    }
    let again = proto::SubmitResultsRequest {
        request_id: "R1".to_owned(),
        ..results("K2", "130303", COMPULSORY, "12-10T23:59:59")
    };
    for _ in 0..2 {
        let answer = client.submit_results(again.clone()).await.unwrap();
        assert_eq!(answer.into_inner().results.unwrap().number, 2);
    }
    assert_eq!(world.events::<proto::ResultsSubmitted>().await.len(), 5);
}

async fn lists_come_in_pages(world: World) {
    let mut client = client(&world);
    for (counselor, county, stage) in
        [("K2", "130303", COMPULSORY), ("K1", "130302", NON_COMPULSORY), ("K1", "130302", COMPULSORY)]
    {
        client.submit_plan(plan(counselor, county, stage, "方案", "10-01T00:00:00")).await.unwrap();
        client.submit_results(results(counselor, county, stage, "10-01T00:00:00")).await.unwrap();
    }
    client.submit_results(results("K1", "130302", COMPULSORY, "10-02T00:00:00")).await.unwrap();
    for (counselor, county, id, stage, when) in [
        ("K1", "130302", "O2", NON_COMPULSORY, "10-02T09:00:00"),
        ("K1", "130302", "O1", COMPULSORY, "10-02T09:00:00"),
        ("K2", "130303", "O0", COMPULSORY, "10-03T09:00:00"),
    ] {
        let request = hold(counselor, county, id, when);
        let request = proto::HoldActivityRequest { education_stage: stage.into(), ..request };
        client.hold_activity(request).await.unwrap();
    }
    client.record_attendance(attend("K1", "O1", &["T4", "T2", "T1"], "10-03T10:00:00")).await.unwrap();

    let programme_id = PROGRAMME.to_owned();
    macro_rules! pages {
        ($call:ident, $request:expr, $rows:ident, $row:expr) => {{
            let mut request = $request;
            request.page_size = 1;
            let mut found = Vec::new();
            loop {
                let page = client.$call(request.clone()).await.unwrap().into_inner();
                assert!(page.$rows.len() <= 1);
                found.extend(page.$rows.into_iter().map($row));
                if page.next_page_token.is_empty() {
                    break found;
                }
                request.page_token = page.next_page_token;
            }
        }};
    }
    for (county, expected) in [("", 3), ("130302", 2), ("130303", 1)] {
        let county_code = county.to_owned();
        let request =
            proto::ListPlansRequest { programme_id: programme_id.clone(), county_code, ..Default::default() };
        let found =
            pages!(list_plans, request, plans, |plan| (plan.county_code.clone(), plan.education_stage()));
        assert_eq!(found.len(), expected);
        assert!(found.is_sorted_by_key(|(county, _)| county.clone()));
    }
    for (county, expected) in [("", 4), ("130302", 3)] {
        let county_code = county.to_owned();
        let request = proto::ListResultsRequest {
            programme_id: programme_id.clone(),
            county_code,
            ..Default::default()
        };
        let found = pages!(list_results, request, results, |results| (results.county_code, results.number));
        assert_eq!(found.len(), expected);
        assert_eq!(found[..2], [("130302".to_owned(), 1), ("130302".to_owned(), 2)]);
    }
    for (county, stage, expected) in [
        ("", EducationStage::Unspecified, vec!["O1", "O2", "O0"]),
        ("130302", EducationStage::Unspecified, vec!["O1", "O2"]),
        ("", COMPULSORY, vec!["O1", "O0"]),
        ("130302", NON_COMPULSORY, vec!["O2"]),
    ] {
        let request = proto::ListActivitiesRequest {
            programme_id: programme_id.clone(),
            county_code: county.to_owned(),
            education_stage: stage.into(),
            ..Default::default()
        };
        let found = pages!(list_activities, request, activities, |activity| activity.activity_id);
        assert_eq!(found, expected, "{county} {stage:?}");
    }
    let activity_id = "O1".to_owned();
    let request = proto::ListAttendancesRequest { programme_id, activity_id, ..Default::default() };
    let found = pages!(list_attendances, request.clone(), attendances, |attendance| attendance.person_id);
    assert_eq!(found, ["T1", "T2", "T4"]);
    let nothing = proto::ListAttendancesRequest { activity_id: "O9".to_owned(), ..request };
    assert_eq!(reason(client.list_attendances(nothing).await), "NOT_FOUND");
}

async fn attendance_at_the_same_moment_counts_each_once(world: World) {
    client(&world).hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    let mut calls = Vec::new();
    for number in 0..9 {
        let mut client = client(&world);
        let people = [["T1", "T2"], ["T2", "T4"], ["T4", "T1"]][number % 3];
        let request = attend("K1", "O1", &people, "10-03T10:00:00");
        calls
            .push(tokio::spawn(async move { client.record_attendance(request).await.unwrap().into_inner() }));
    }
    let mut added = 0;
    for call in calls {
        added += call.await.unwrap().added;
    }
    assert_eq!(added, 3);
    let events = world.events::<proto::AttendanceRecorded>().await;
    assert_eq!(events.len(), 18);
}

async fn scores_at_the_same_moment_are_numbered_without_gaps(world: World) {
    client(&world).hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    client(&world).record_attendance(attend("K1", "O1", &["T1"], "10-03T10:00:00")).await.unwrap();
    let mut calls = Vec::new();
    for points in 1..=10 {
        let mut client = client(&world);
        let request = score("K1", "T1", points, "10-06T10:00:00");
        calls.push(tokio::spawn(async move { client.score_attendee(request).await.map(drop) }));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let events = world.events::<proto::AttendeeScored>().await;
    let mut before = None;
    for (index, (_, event)) in events.iter().enumerate() {
        assert_eq!((event.score_number, event.old), (index as i32 + 1, before));
        before = Some(event.new);
    }
    assert_eq!(attendances(&mut client(&world)).await[0].score, before);
}

async fn results_at_the_same_moment_are_numbered_without_gaps(world: World) {
    let mut calls = Vec::new();
    for _ in 0..8 {
        let mut client = client(&world);
        let request = results("K1", "130302", COMPULSORY, "10-06T10:00:00");
        calls.push(tokio::spawn(async move { client.submit_results(request).await.unwrap().into_inner() }));
    }
    let mut numbers = Vec::new();
    for call in calls {
        numbers.push(call.await.unwrap().results.unwrap().number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<i32>>());
}
