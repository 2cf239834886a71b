//! Submissions, seminars, posts and bulletins with the longest texts.

use shipei_contracts::{
    assignment::v1::{
        self as proto, assignment_service_client::AssignmentServiceClient,
        bulletin_service_client::BulletinServiceClient, seminar_service_client::SeminarServiceClient,
    },
    services::ASSIGNMENT_GRADING as NAME,
};
use shipei_mirror::testing::{PROGRAMME, at};
use shipei_service_kit::status::reason_of;

use super::{MESSAGE_BYTES_MAX, Tried, long, similarity, walk, world};
use crate::machine::roster::roster;

/// The most characters of a text, and of a title.
const TEXT_MAX: usize = 200_000;
const TITLE_MAX: usize = 2_000;
/// More than one message can hold.
const TEXTS: usize = 16;

#[tokio::test]
async fn answers_with_the_longest_texts_can_be_sent() {
    let world = world(NAME, &roster()).await;
    let programme_id = PROGRAMME.to_owned();
    let mut works =
        AssignmentServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut seminars =
        SeminarServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut bulletins =
        BulletinServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    for number in 0..TEXTS {
        let occurred_at = at(&format!("11-25T10:{number:02}:00"));
        let submission = proto::SubmitAssignmentRequest {
            programme_id: programme_id.clone(),
            person_id: "T1".to_owned(),
            submission_id: format!("A{number}"),
            kind: "lesson_plan".to_owned(),
            title: long(TITLE_MAX),
            text: long(TEXT_MAX),
            occurred_at,
            ..Default::default()
        };
        works.submit_assignment(submission).await.unwrap();
        let seminar_id = format!("N{number}");
        let opening = proto::OpenSeminarRequest {
            programme_id: programme_id.clone(),
            tutor_id: "U1".to_owned(),
            class_id: "L1".to_owned(),
            seminar_id: seminar_id.clone(),
            topic: long(TITLE_MAX),
            occurred_at,
            ..Default::default()
        };
        seminars.open_seminar(opening).await.unwrap();
        let summary = proto::SummariseSeminarRequest {
            programme_id: programme_id.clone(),
            tutor_id: "U1".to_owned(),
            seminar_id,
            summary: long(TEXT_MAX),
            occurred_at,
            ..Default::default()
        };
        seminars.summarise_seminar(summary).await.unwrap();
        let post = proto::PostToSeminarRequest {
            programme_id: programme_id.clone(),
            person_id: "T1".to_owned(),
            seminar_id: "N0".to_owned(),
            text: long(TEXT_MAX),
            occurred_at,
            ..Default::default()
        };
        seminars.post_to_seminar(post).await.unwrap();
    }

    // As many as the scheme has.
    for (tutor_id, class_id) in [("U1", "L1"), ("U2", "L2")] {
        for (number, when) in [(1, "10-10T10:00:00"), (2, "11-05T10:00:00"), (3, "11-25T10:00:00")] {
            let bulletin = proto::PublishBulletinRequest {
                programme_id: programme_id.clone(),
                tutor_id: tutor_id.to_owned(),
                class_id: class_id.to_owned(),
                number,
                title: long(TITLE_MAX),
                text: long(TEXT_MAX),
                occurred_at: at(when),
                ..Default::default()
            };
            bulletins.publish_bulletin(bulletin).await.unwrap();
        }
    }

    let mut tried = Tried::default();
    let request = proto::ListSubmissionsRequest { programme_id: programme_id.clone(), ..Default::default() };
    assert_eq!(walk!(works, list_submissions, request, submissions).0, TEXTS);
    tried.answer("ListSubmissions");
    let request = proto::ListMarkingRequest {
        programme_id: programme_id.clone(),
        tutor_id: "U1".to_owned(),
        as_of: at("12-01T00:00:00"),
        ..Default::default()
    };
    // Of a trainee's submissions the newest alone is to be marked.
    assert_eq!(walk!(works, list_marking, request, items).0, 1);
    tried.answer("ListMarking");
    let request = proto::ListSeminarsRequest { programme_id: programme_id.clone(), ..Default::default() };
    assert_eq!(walk!(seminars, list_seminars, request, seminars).0, TEXTS);
    tried.answer("ListSeminars");
    let request = proto::ListPostsRequest {
        programme_id: programme_id.clone(),
        seminar_id: "N0".to_owned(),
        ..Default::default()
    };
    assert_eq!(walk!(seminars, list_posts, request, posts).0, TEXTS);
    tried.answer("ListPosts");
    let request = proto::ListBulletinsRequest { programme_id: programme_id.clone(), ..Default::default() };
    assert_eq!(walk!(bulletins, list_bulletins, request, bulletins).0, 6);
    tried.answer("ListBulletins");
    let request =
        proto::GetSubmissionRequest { programme_id: programme_id.clone(), submission_id: "A0".to_owned() };
    works.get_submission(request).await.unwrap();
    tried.answer("GetSubmission");
    let request = proto::GetSeminarRequest { programme_id, seminar_id: "N0".to_owned() };
    seminars.get_seminar(request).await.unwrap();
    tried.answer("GetSeminar");
    similarity::ask(&mut tried).await;
    tried.is_all_of(NAME);
}

#[tokio::test]
async fn returns_with_the_longest_comments_end_before_the_answer() {
    let world = world(NAME, &roster()).await;
    let programme_id = PROGRAMME.to_owned();
    let mut client =
        AssignmentServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let submission = proto::SubmitAssignmentRequest {
        programme_id: programme_id.clone(),
        person_id: "T1".to_owned(),
        submission_id: "A1".to_owned(),
        kind: "lesson_plan".to_owned(),
        title: long(TITLE_MAX),
        text: long(TEXT_MAX),
        occurred_at: at("11-25T10:00:00"),
        ..Default::default()
    };
    client.submit_assignment(submission).await.unwrap();
    let mut taken = 0;
    let refused = loop {
        let request = proto::ReturnSubmissionRequest {
            programme_id: programme_id.clone(),
            tutor_id: "U1".to_owned(),
            submission_id: "A1".to_owned(),
            comment: long(TEXT_MAX),
            request_id: format!("return-{taken}"),
            occurred_at: at(&format!("11-25T11:{taken:02}:00")),
            ..Default::default()
        };
        match client.return_submission(request).await {
            Ok(_) => taken += 1,
            Err(status) => break status,
        }
        assert!(taken < TEXTS, "the answer has grown beyond a message");
    };
    assert_eq!(reason_of(&refused).as_deref(), Some("TOO_MANY"), "{refused:?}");
    // 200,000 characters of three bytes: the text and twelve comments.
    assert_eq!(taken, 12);
    let request =
        proto::GetSubmissionRequest { programme_id: programme_id.clone(), submission_id: "A1".to_owned() };
    let kept = client.get_submission(request).await.unwrap().into_inner().submission.unwrap();
    assert_eq!(kept.marks.len(), taken);
    let request = proto::ListSubmissionsRequest { programme_id, page_size: 1000, ..Default::default() };
    assert_eq!(client.list_submissions(request).await.unwrap().into_inner().submissions.len(), 1);
    // A short one still finds room.
    let request = proto::ReviewSubmissionRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        submission_id: "A1".to_owned(),
        grade: proto::Grade::Pass.into(),
        comment: "可以了".to_owned(),
        occurred_at: at("11-25T12:00:00"),
        ..Default::default()
    };
    client.review_submission(request).await.unwrap();
}
