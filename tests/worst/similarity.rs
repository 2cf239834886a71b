//! The largest answers about works that are alike, and about comments that were given again and again.

use std::time::Duration;

use shipei_contracts::assignment::v1::{
    self as proto, assignment_service_client::AssignmentServiceClient,
    similarity_service_client::SimilarityServiceClient,
};
use shipei_mirror::testing::{PROGRAMME, at};

use super::{MESSAGE_BYTES_MAX, Tried, long, walk, world};
use crate::machine::roster::roster;

/// The most characters of a text, and of a title.
const TEXT_MAX: usize = 200_000;
const TITLE_MAX: usize = 2_000;
/// So many of the longest comments that one message can't hold them, each given twice.
const COMMENTS: usize = 16;

fn work(person_id: &str, submission_id: &str, text: String, when: &str) -> proto::SubmitAssignmentRequest {
    proto::SubmitAssignmentRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        submission_id: submission_id.to_owned(),
        kind: "lesson_plan".to_owned(),
        title: long(TITLE_MAX),
        text,
        occurred_at: at(when),
        ..Default::default()
    }
}

pub(super) async fn ask(tried: &mut Tried) {
    let world = world("assignment-grading", &roster()).await;
    let mut works =
        AssignmentServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut alike =
        SimilarityServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let programme_id = PROGRAMME.to_owned();
    for number in 0..2 * COMMENTS {
        let submission_id = format!("C{number}");
        let minute = format!("11-25T1{}:{:02}", number / COMMENTS, number % COMMENTS);
        works
            .submit_assignment(work("T1", &submission_id, String::new(), &format!("{minute}:00")))
            .await
            .unwrap();
        let returned = proto::ReturnSubmissionRequest {
            programme_id: programme_id.clone(),
            tutor_id: "U1".to_owned(),
            submission_id,
            comment: long(TEXT_MAX - number % COMMENTS),
            occurred_at: at(&format!("{minute}:30")),
            ..Default::default()
        };
        works.return_submission(returned).await.unwrap();
    }
    for (person_id, submission_id) in [("T1", "D1"), ("T3", "D3")] {
        works
            .submit_assignment(work(person_id, submission_id, long(TEXT_MAX), "11-26T10:00:00"))
            .await
            .unwrap();
    }
    let request = proto::ListRepeatedCommentsRequest {
        programme_id: programme_id.clone(),
        min_times: 2,
        ..Default::default()
    };
    let (rows, pages) = walk!(alike, list_repeated_comments, request, comments);
    assert!(rows == COMMENTS && pages > 1, "{rows} on {pages} pages");
    tried.answer("ListRepeatedComments");
    let request =
        proto::ListSimilarSubmissionsRequest { programme_id: programme_id.clone(), ..Default::default() };
    // They are compared in the background.
    let mut rows = 0;
    for _ in 0..400 {
        (rows, _) = walk!(alike, list_similar_submissions, request.clone(), pairs);
        if rows > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(rows, 2);
    tried.answer("ListSimilarSubmissions");
    let request = proto::CompareSubmissionsRequest {
        programme_id,
        submission_id: "D1".to_owned(),
        other_submission_id: "D3".to_owned(),
    };
    let compared = alike.compare_submissions(request).await.unwrap().into_inner();
    assert_eq!((compared.percent, compared.passages.len()), (100, 1));
}
