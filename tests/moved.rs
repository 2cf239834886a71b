//! What was taken because of a transfer that turns out never to have been, through the public API of all services: it counts no more,
//! in the order in which it came as in any other.

use anyhow::{Result, ensure};
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        GetCountyScoreRequest, GetTraineeScoreRequest, score_service_client::ScoreServiceClient,
    },
    common::v1::EducationStage,
    enrollment::v1::{self as enrollment, person_service_client::PersonServiceClient},
    offline::v1::{
        HoldActivityRequest, RecordAttendanceRequest, ScoreAttendeeRequest,
        offline_service_client::OfflineServiceClient,
    },
};

use crate::{
    harness::{Backend, KeptState, embedded},
    merged_places::{learned_anew, settled},
    places::{END, RONGCHENG, ask, at, id, on_both, populate, retract},
    roles::{BOTH, enrol, trainee},
};

const HELD: &str = "2019-11-20T00:00:00Z";

/// The points of W1's offline item, and of 容城 for scoring, at the end.
async fn points(clients: &Clients) -> Result<(i32, i32)> {
    let request = GetTraineeScoreRequest { programme_id: id(), person_id: BOTH.to_owned(), as_of: at(END) };
    let trainee = ask!(clients, ScoreServiceClient, "assessment", get_trainee_score, request).score;
    let request =
        GetCountyScoreRequest { programme_id: id(), county_code: RONGCHENG.to_owned(), as_of: at(END) };
    let county = ask!(clients, ScoreServiceClient, "assessment", get_county_score, request).score;
    let (trainee, county) = (trainee.unwrap_or_default(), county.unwrap_or_default());
    let offline = trainee.items.iter().find(|item| item.name == "offline").map_or(-1, |item| item.hundredths);
    let scoring = county.items.iter().find(|item| item.name == "scoring:compulsory");
    Ok((offline, scoring.map_or(-1, |item| item.hundredths)))
}

/// W1, whom 容城's counselor scores for an activity there.
async fn attend(clients: &Clients) -> Result<()> {
    let activity = HoldActivityRequest {
        programme_id: id(),
        counselor_id: "K1".to_owned(),
        county_code: RONGCHENG.to_owned(),
        education_stage: EducationStage::Compulsory.into(),
        activity_id: "O1".to_owned(),
        theme: "线下研修".to_owned(),
        occurred_at: at(HELD),
        ..Default::default()
    };
    ask!(clients, OfflineServiceClient, "offline-activity", hold_activity, activity);
    let attendance = RecordAttendanceRequest {
        programme_id: id(),
        counselor_id: "K1".to_owned(),
        activity_id: "O1".to_owned(),
        person_ids: vec![BOTH.to_owned()],
        occurred_at: at(HELD),
        ..Default::default()
    };
    let taken = ask!(clients, OfflineServiceClient, "offline-activity", record_attendance, attendance);
    ensure!(taken.refused.is_empty(), "{taken:?}");
    let score = ScoreAttendeeRequest {
        programme_id: id(),
        counselor_id: "K1".to_owned(),
        activity_id: "O1".to_owned(),
        person_id: BOTH.to_owned(),
        score: 8,
        occurred_at: at(HELD),
        ..Default::default()
    };
    ask!(clients, OfflineServiceClient, "offline-activity", score_attendee, score);
    Ok(())
}

async fn attendance_falls_with_its_transfer(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    assert_eq!(enrol(&clients, vec![trainee()]).await?, (1, 0, 0));
    let before = settled(&clients).await?;
    let moved = enrollment::TransferTraineeRequest {
        programme_id: id(),
        person_id: BOTH.to_owned(),
        county_code: RONGCHENG.to_owned(),
        school_code: "S1".to_owned(),
        class_id: "L1".to_owned(),
        request_id: "move".to_owned(),
        occurred_at: at("2019-11-01T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", transfer_trainee, moved);
    assert_eq!(points(&clients).await?, (0, 0));
    attend(&clients).await?;
    let (offline, scoring) = points(&clients).await?;
    assert_eq!(offline, 800, "{backend:?}");
    assert!(scoring > 0, "{backend:?}");
    retract(&clients, "move").await?;
    assert_eq!(points(&clients).await?, (0, 0), "{backend:?}");
    let fallen = settled(&clients).await?;
    assert_ne!(fallen, before, "the activity was held");
    ensure!(suite.stop().await, "it stops");
    assert_eq!(learned_anew(&place, &fallen).await?, fallen, "{backend:?}");
    Ok(())
}

on_both!(attendance_falls_with_its_transfer);
