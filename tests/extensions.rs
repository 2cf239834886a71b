//! Windows that end later and classes with another tutor, through the public API of all five services.

use anyhow::Result;
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{GetTraineeScoreRequest, score_service_client::ScoreServiceClient},
    assignment::v1::{
        Grade, ReviewSubmissionRequest, SubmitAssignmentRequest,
        assignment_service_client::AssignmentServiceClient,
    },
    enrollment::v1::{
        self as enrollment, extension_service_client::ExtensionServiceClient,
        region_service_client::RegionServiceClient,
    },
};
use shipei_service_kit::status::reason_of;

use crate::harness::{Backend, KeptState, embedded};
use crate::places::{ANXIN, XIONGAN, ask, at, id, populate};

/// Why an assignment of a trainee, handed in then, is refused; empty when it is taken.
async fn refused_work(clients: &Clients, person_id: &str, when: &str) -> Result<String> {
    let work = SubmitAssignmentRequest {
        programme_id: id(),
        person_id: person_id.to_owned(),
        submission_id: format!("late-{person_id}"),
        kind: "lesson_plan".to_owned(),
        title: "教学设计".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    let mut client = AssignmentServiceClient::new(clients.channel("assignment-grading"));
    match client.submit_assignment(clients.unary(work)).await {
        Ok(response) => {
            clients.note(&response);
            Ok(String::new())
        }
        Err(status) => Ok(reason_of(&status).unwrap_or_else(|| status.to_string())),
    }
}

/// A city's extension is that of the counties that lie in it, from when they do; and a class's marks are its tutor's of then.
async fn extension_goes_by_the_tree_and_marks_by_the_tutor_of_then(backend: Backend) -> Result<()> {
    const LATE: &str = "2019-12-12T02:00:00Z";
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    assert_eq!(refused_work(&clients, "T1", LATE).await?, "WINDOW_CLOSED");
    let request = enrollment::GrantExtensionRequest {
        programme_id: id(),
        extension_id: "E1".to_owned(),
        window: "phase_3".to_owned(),
        last_day: "2019-12-12".to_owned(),
        region_code: XIONGAN.to_owned(),
        reason: "停电".to_owned(),
        ..Default::default()
    };
    ask!(clients, ExtensionServiceClient, "enrollment", grant_extension, request);
    assert_eq!(refused_work(&clients, "T1", LATE).await?, "");
    assert_eq!(refused_work(&clients, "T2", LATE).await?, "WINDOW_CLOSED");
    let request = enrollment::MoveRegionRequest {
        programme_id: id(),
        code: ANXIN.to_owned(),
        parent_code: XIONGAN.to_owned(),
        occurred_at: at("2019-12-11T16:00:00Z"),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", move_region, request);
    assert_eq!(refused_work(&clients, "T2", LATE).await?, "");
    assert_eq!(refused_work(&clients, "T3", LATE).await?, "WINDOW_CLOSED");

    let request = enrollment::ReplaceTutorRequest {
        programme_id: id(),
        class_id: "L1".to_owned(),
        tutor_id: "U3".to_owned(),
        reason: "病假".to_owned(),
        occurred_at: at("2019-12-14T16:00:00Z"),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", replace_tutor, request);
    let review = ReviewSubmissionRequest {
        programme_id: id(),
        tutor_id: "U3".to_owned(),
        submission_id: "late-T1".to_owned(),
        grade: Grade::Pass.into(),
        comment: "有针对性的评语".to_owned(),
        occurred_at: at("2019-12-15T02:00:00Z"),
        ..Default::default()
    };
    ask!(clients, AssignmentServiceClient, "assignment-grading", review_submission, review);
    let mut points = Vec::new();
    for person_id in ["T1", "T2", "T3"] {
        let as_of = at("2019-12-30T16:00:00Z");
        let request = GetTraineeScoreRequest { programme_id: id(), person_id: person_id.to_owned(), as_of };
        let score = ask!(clients, ScoreServiceClient, "assessment", get_trainee_score, request).score;
        let items = score.unwrap_or_default().items;
        points.extend(items.into_iter().filter(|item| item.name == "assignment").map(|item| item.evidence));
    }
    assert_eq!(points, ["late-T1", "late-T2", "A3"]);
    assert!(suite.stop().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn extension_goes_by_the_tree_on_sqlite() -> Result<()> {
    extension_goes_by_the_tree_and_marks_by_the_tutor_of_then(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn extension_goes_by_the_tree_on_postgres() -> Result<()> {
    extension_goes_by_the_tree_and_marks_by_the_tutor_of_then(Backend::Postgres).await
}
