//! Rows that hold what this service never writes: each takes its own place from a list, and no other.

use shipei_contracts::assignment::v1::{self as proto, Grade};
use shipei_store::execute;

use crate::{
    client, reason, review, submission,
    support::{PROGRAMME, World},
};

pub(crate) async fn broken_row_takes_its_own_place_from_a_list(world: World) {
    let mut client = client(&world);
    for (person_id, submission_id) in [("T1", "A1"), ("T2", "A2"), ("T4", "A4")] {
        client.submit_assignment(submission(person_id, submission_id, "11-04T10:00:00")).await.unwrap();
        client.review_submission(review("U1", submission_id, Grade::Pass, "11-05T10:00:00")).await.unwrap();
    }
    let mut tx = world.kit.kit.database().begin_write().await.unwrap();
    execute!(tx, "UPDATE mark SET grade = $1 WHERE submission_id = $2", "splendid", "A2").unwrap();
    execute!(tx, "UPDATE submission SET class_id = $1 WHERE submission_id = $2", "no class", "A4").unwrap();
    tx.commit().await.unwrap();

    // They are the last of their pages, too.
    for page_size in [0, 1, 2] {
        let (mut listed, mut broken) = (Vec::new(), Vec::new());
        let mut request = proto::ListSubmissionsRequest {
            programme_id: PROGRAMME.to_owned(),
            page_size,
            ..Default::default()
        };
        loop {
            let answer = client.list_submissions(request.clone()).await.unwrap().into_inner();
            listed.extend(answer.submissions.into_iter().map(|submission| submission.submission_id));
            broken.extend(answer.broken.into_iter().map(|row| (row.key, row.column)));
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
        }
        assert_eq!(listed, ["A1"], "{page_size}");
        let expected =
            [("A2", "grade"), ("A4", "class_id")].map(|(key, column)| (key.to_owned(), column.to_owned()));
        assert_eq!(broken, expected, "{page_size}");
    }
    let alone =
        proto::GetSubmissionRequest { programme_id: PROGRAMME.to_owned(), submission_id: "A2".to_owned() };
    assert_eq!(reason(client.get_submission(alone).await), "CORRUPT_ROW");
}
