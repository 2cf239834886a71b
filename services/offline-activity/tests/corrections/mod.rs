//! Facts that were wrong: what falls with them, and what counts again.

use shipei_contracts::{
    common::v1::Correction,
    event::v1::{RetractRequest, correction_service_client::CorrectionServiceClient},
    offline::v1::{self as proto, offline_service_client::OfflineServiceClient},
};
use tonic::transport::Channel;

use crate::{
    COMPULSORY, attend, client, hold, plan, results, score,
    support::{self, PROGRAMME, World, at, on_both, reason},
};

on_both!(
    retracted_attendance_takes_its_score_along,
    retracted_score_leaves_the_one_before,
    retracted_county_facts_are_not_listed,
);

async fn retract(world: &World, fact_id: &str) {
    let request = RetractRequest {
        source: shipei_offline_activity::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "登记错误".to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel()).retract(request).await.unwrap();
}

fn named(request: proto::ScoreAttendeeRequest, request_id: &str) -> proto::ScoreAttendeeRequest {
    proto::ScoreAttendeeRequest { request_id: request_id.to_owned(), ..request }
}

async fn attendances(
    client: &mut OfflineServiceClient<Channel>,
    with_retracted: bool,
) -> Vec<proto::Attendance> {
    let request = proto::ListAttendancesRequest {
        programme_id: PROGRAMME.to_owned(),
        activity_id: "O1".to_owned(),
        with_retracted,
        ..Default::default()
    };
    client.list_attendances(request).await.unwrap().into_inner().attendances
}

async fn retracted_attendance_takes_its_score_along(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    for (request_id, when) in [("M1", "10-03T10:00:00"), ("M2", "10-05T10:00:00")] {
        let request = attend("K1", "O1", &["T1", "T2"], when);
        let request = proto::RecordAttendanceRequest { request_id: request_id.to_owned(), ..request };
        client.record_attendance(request).await.unwrap();
    }
    client.score_attendee(named(score("K1", "T1", 9, "10-04T10:00:00"), "S1")).await.unwrap();
    client.score_attendee(named(score("K1", "T2", 8, "10-06T10:00:00"), "S2")).await.unwrap();
    retract(&world, "M1:T1").await;
    retract(&world, "M1:T2").await;
    // The later record counts again; the score from between the two was of somebody who had not attended.
    let there = attendances(&mut client, false).await;
    let told: Vec<_> = there.iter().map(|row| (row.fact_id.as_str(), row.attended_time, row.score)).collect();
    assert_eq!(told, [("M2:T1", at("10-05T10:00:00"), None), ("M2:T2", at("10-05T10:00:00"), Some(8))]);
    retract(&world, "M2:T1").await;
    let there = attendances(&mut client, false).await;
    assert_eq!(there.iter().map(|row| row.person_id.as_str()).collect::<Vec<_>>(), ["T2"]);
    let all = attendances(&mut client, true).await;
    assert_eq!(all.iter().map(|row| row.retracted).collect::<Vec<_>>(), [true, false]);
    let again = named(score("K1", "T1", 7, "10-07T10:00:00"), "S3");
    assert_eq!(reason(client.score_attendee(again).await), "NOT_ATTENDED");
    let again = attend("K1", "O1", &["T1"], "10-03T10:00:00");
    let answer = client.record_attendance(again).await.unwrap().into_inner();
    assert_eq!((answer.added, answer.attended), (1, 2));
    assert_eq!(attendances(&mut client, false).await[0].score, Some(9), "it rests on the new one");
}

async fn retracted_score_leaves_the_one_before(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    client.record_attendance(attend("K1", "O1", &["T1"], "10-03T10:00:00")).await.unwrap();
    retract(&world, "S3").await;
    for (request_id, points) in [("S1", 6), ("S2", 9), ("S3", 3)] {
        let request = named(score("K1", "T1", points, "10-06T10:00:00"), request_id);
        client.score_attendee(request).await.unwrap();
    }
    let there = attendances(&mut client, false).await;
    assert_eq!((there[0].score, there[0].score_fact_id.as_str()), (Some(9), "S2"));
    let correction = Some(Correction { fact_id: "S2".to_owned(), reason: "录入错误".to_owned() });
    let corrected = named(score("K1", "T1", 5, "10-06T10:00:00"), "S4");
    client.score_attendee(proto::ScoreAttendeeRequest { correction, ..corrected }).await.unwrap();
    let there = attendances(&mut client, false).await;
    assert_eq!((there[0].score, there[0].score_fact_id.as_str()), (Some(5), "S4"));
}

async fn retracted_county_facts_are_not_listed(world: World) {
    let mut client = client(&world);
    let held = proto::HoldActivityRequest {
        request_id: "O".to_owned(),
        ..hold("K1", "130302", "O1", "10-02T09:00:00")
    };
    client.hold_activity(held).await.unwrap();
    for (request_id, when) in [("P1", "08-01T09:00:00"), ("P2", "08-02T09:00:00")] {
        let request = plan("K1", "130302", COMPULSORY, request_id, when);
        let request = proto::SubmitPlanRequest { request_id: request_id.to_owned(), ..request };
        client.submit_plan(request).await.unwrap();
    }
    let request = results("K1", "130302", COMPULSORY, "10-06T10:00:00");
    let request = proto::SubmitResultsRequest { request_id: "E1".to_owned(), ..request };
    client.submit_results(request).await.unwrap();
    for fact_id in ["O", "P1", "E1"] {
        retract(&world, fact_id).await;
    }
    let programme_id = PROGRAMME.to_owned();
    let request = proto::ListPlansRequest { programme_id: programme_id.clone(), ..Default::default() };
    let plans = client.list_plans(request.clone()).await.unwrap().into_inner().plans;
    let told: Vec<_> = plans.iter().map(|row| (row.fact_id.as_str(), row.submitted_time)).collect();
    assert_eq!(told, [("P2", at("08-02T09:00:00"))]);
    retract(&world, "P2").await;
    assert_eq!(client.list_plans(request).await.unwrap().into_inner().plans, []);
    for with_retracted in [false, true] {
        let activities = proto::ListActivitiesRequest {
            programme_id: programme_id.clone(),
            with_retracted,
            ..Default::default()
        };
        let activities = client.list_activities(activities).await.unwrap().into_inner().activities;
        assert_eq!(activities.iter().filter(|row| row.retracted).count(), usize::from(with_retracted));
        assert_eq!(activities.len(), usize::from(with_retracted));
        let results = proto::ListResultsRequest {
            programme_id: programme_id.clone(),
            with_retracted,
            ..Default::default()
        };
        let results = client.list_results(results).await.unwrap().into_inner().results;
        assert_eq!(results.len(), usize::from(with_retracted));
    }
    let request = attend("K1", "O1", &["T1"], "10-03T10:00:00");
    assert_eq!(reason(client.record_attendance(request).await), "NOT_FOUND");
}
