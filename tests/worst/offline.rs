//! Plans, activities and results with the longest titles.

use shipei_contracts::{
    common::v1::EducationStage,
    offline::v1::{self as proto, offline_service_client::OfflineServiceClient},
    services::OFFLINE_ACTIVITY as NAME,
};
use shipei_mirror::testing::{PROGRAMME, at};

use super::{MESSAGE_BYTES_MAX, Tried, walk, world};
use crate::machine::roster::roster;

/// The most characters of a title, of four bytes each.
const TITLE_MAX: usize = 2_000;
/// More than one page can hold.
const MANY: usize = 600;

#[tokio::test]
async fn answers_with_the_longest_texts_can_be_sent() {
    let world = world(NAME, &roster()).await;
    let mut client = OfflineServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let programme_id = || PROGRAMME.to_owned();
    let title = || "𠮷".repeat(TITLE_MAX);
    let (counselor_id, county_code) = (|| "K1".to_owned(), || "130302".to_owned());
    let education_stage: i32 = EducationStage::Compulsory.into();
    let plan = proto::SubmitPlanRequest {
        programme_id: programme_id(),
        counselor_id: counselor_id(),
        county_code: county_code(),
        education_stage,
        title: title(),
        occurred_at: at("07-20T09:00:00"),
        ..Default::default()
    };
    client.submit_plan(plan).await.unwrap();
    for number in 0..MANY {
        let activity = proto::HoldActivityRequest {
            programme_id: programme_id(),
            counselor_id: counselor_id(),
            county_code: county_code(),
            education_stage,
            activity_id: format!("{number:064}"),
            theme: title(),
            occurred_at: at("10-02T09:00:00"),
            ..Default::default()
        };
        client.hold_activity(activity).await.unwrap();
        let results = proto::SubmitResultsRequest {
            programme_id: programme_id(),
            counselor_id: counselor_id(),
            county_code: county_code(),
            education_stage,
            title: title(),
            occurred_at: at("10-02T09:00:00"),
            ..Default::default()
        };
        client.submit_results(results).await.unwrap();
    }
    let attendance = proto::RecordAttendanceRequest {
        programme_id: programme_id(),
        counselor_id: counselor_id(),
        activity_id: format!("{:064}", 0),
        person_ids: vec!["T1".to_owned()],
        request_id: "R".repeat(64),
        occurred_at: at("10-02T10:00:00"),
        ..Default::default()
    };
    client.record_attendance(attendance).await.unwrap();

    let mut tried = Tried::default();
    let request = proto::ListActivitiesRequest { programme_id: programme_id(), ..Default::default() };
    let (rows, pages) = walk!(client, list_activities, request, activities);
    assert!(rows == MANY && pages > 1, "{rows} rows on {pages} pages");
    tried.answer("ListActivities");
    let request = proto::ListResultsRequest { programme_id: programme_id(), ..Default::default() };
    let (rows, pages) = walk!(client, list_results, request, results);
    assert!(rows == MANY && pages > 1, "{rows} rows on {pages} pages");
    tried.answer("ListResults");
    // Two for each county, and a programme has some 170 of them.
    let request = proto::ListPlansRequest { programme_id: programme_id(), ..Default::default() };
    assert_eq!(walk!(client, list_plans, request, plans), (1, 1));
    tried.answer("ListPlans");
    let request = proto::ListAttendancesRequest {
        programme_id: programme_id(),
        activity_id: format!("{:064}", 0),
        ..Default::default()
    };
    let answer = client.list_attendances(request).await.unwrap().into_inner();
    tried.row("ListAttendances", answer.attendances.len(), &answer);
    tried.is_all_of(NAME);
}
