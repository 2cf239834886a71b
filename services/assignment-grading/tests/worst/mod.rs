//! The longest texts that are taken, as many as there may be: every answer that can hold them can be sent, and what would
//! make one too large is refused before it is kept. The contracts say which answers those are.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{self, PROGRAMME, World, at, on_both};
use prost_reflect::DescriptorPool;
use shipei_assignment_grading::GRPC_SERVICES;
use shipei_contracts::{
    FILE_DESCRIPTOR_SET,
    assignment::v1::{
        self as proto, assignment_service_client::AssignmentServiceClient,
        bulletin_service_client::BulletinServiceClient, seminar_service_client::SeminarServiceClient,
    },
};
use shipei_service_kit::status::reason_of;

on_both!(answers_with_the_longest_texts_can_be_sent, returns_with_the_longest_comments_end_before_the_answer);

/// The most bytes of a message.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most characters of a text, and of a title.
const TEXT_MAX: usize = 200_000;
const TITLE_MAX: usize = 2_000;
/// More than one message can hold.
const TEXTS: usize = 16;

fn long(characters: usize) -> String {
    // Three bytes each.
    "研".repeat(characters)
}

/// Asks for a list until its end with the largest pages; gives the number of its rows.
macro_rules! walk {
    ($seen:expr, $client:expr, $method:ident, $name:literal, $request:expr, $rows:ident) => {{
        let mut request = $request;
        let mut count = 0;
        loop {
            let answer = $client.$method(request.clone()).await.unwrap().into_inner();
            count += answer.$rows.len();
            if answer.next_page_token.is_empty() {
                break;
            }
            assert!(!answer.$rows.is_empty(), "an empty page of {}", $name);
            request.page_token = answer.next_page_token;
        }
        $seen.insert($name, count);
    }};
}

/// The methods that only ask.
fn questions() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = GRPC_SERVICES.iter().map(|name| pool.get_service_by_name(name).unwrap());
    let methods = services
        .flat_map(|service| service.methods().map(|method| method.name().to_owned()).collect::<Vec<_>>());
    methods.filter(|name| name.starts_with("Get") || name.starts_with("List")).collect()
}

async fn answers_with_the_longest_texts_can_be_sent(world: World) {
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
    for (tutor_id, class_id) in [("U1", "L1"), ("U2", "L2"), ("U1", "L3")] {
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

    let mut seen = BTreeMap::new();
    let request = proto::ListSubmissionsRequest {
        programme_id: programme_id.clone(),
        page_size: 1000,
        ..Default::default()
    };
    walk!(seen, works, list_submissions, "ListSubmissions", request, submissions);
    let request = proto::ListMarkingRequest {
        programme_id: programme_id.clone(),
        tutor_id: "U1".to_owned(),
        as_of: at("12-01T00:00:00"),
        page_size: 1000,
        ..Default::default()
    };
    walk!(seen, works, list_marking, "ListMarking", request, items);
    let request = proto::ListSeminarsRequest {
        programme_id: programme_id.clone(),
        page_size: 1000,
        ..Default::default()
    };
    walk!(seen, seminars, list_seminars, "ListSeminars", request, seminars);
    let request = proto::ListPostsRequest {
        programme_id: programme_id.clone(),
        seminar_id: "N0".to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    walk!(seen, seminars, list_posts, "ListPosts", request, posts);
    let request = proto::ListBulletinsRequest {
        programme_id: programme_id.clone(),
        page_size: 1000,
        ..Default::default()
    };
    walk!(seen, bulletins, list_bulletins, "ListBulletins", request, bulletins);
    let request =
        proto::GetSubmissionRequest { programme_id: programme_id.clone(), submission_id: "A0".to_owned() };
    works.get_submission(request).await.unwrap();
    seen.insert("GetSubmission", TEXTS);
    let request = proto::GetSeminarRequest { programme_id, seminar_id: "N0".to_owned() };
    seminars.get_seminar(request).await.unwrap();
    seen.insert("GetSeminar", TEXTS);

    // Of a trainee's submissions the newest alone is to be marked.
    assert_eq!((seen.remove("ListMarking"), seen.remove("ListBulletins")), (Some(1), Some(9)));
    assert!(seen.values().all(|count| *count == TEXTS), "{seen:?}");
    let mut tried: BTreeSet<String> = seen.keys().map(|name| (*name).to_owned()).collect();
    tried.extend(["ListMarking".to_owned(), "ListBulletins".to_owned()]);
    assert_eq!(tried, questions(), "an answer of the contracts was not tried");
}

async fn returns_with_the_longest_comments_end_before_the_answer(world: World) {
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
