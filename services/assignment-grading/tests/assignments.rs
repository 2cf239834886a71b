//! AssignmentService through its client, on both databases.

#![expect(clippy::unwrap_used, reason = "an answer that is not as expected ends the test")]

mod amended;
mod broken;
mod corrections;
mod support;
mod transfer;

use amended::{class_has_the_tutor_of_then, extension_is_for_whom_it_was_granted};
use broken::broken_row_takes_its_own_place_from_a_list;
use shipei_contracts::assignment::v1::{
    self as proto, Grade, assignment_service_client::AssignmentServiceClient,
};
use shipei_service_kit::convert::to_timestamp;
use support::{PROGRAMME, World, at, instant, on_both, reason, transfer, withdrawal};
use tonic::transport::Channel;
use transfer::{mark_is_for_the_tutor_of_then_in_any_order, submission_is_of_the_class_of_then};

on_both!(
    submission_is_kept_and_sent_again_does_nothing,
    submission_is_refused_for_strangers_and_other_content,
    newer_submission_supersedes_and_says_so,
    later_arrival_supersedes_at_one_instant,
    older_submission_that_arrives_late_is_superseded_at_once,
    grade_that_is_told_late_keeps_its_submission,
    mark_is_numbered_and_tells_the_grade_before,
    mark_is_for_the_tutor_of_the_current_class,
    mark_is_for_the_tutor_of_then_in_any_order,
    submission_is_of_the_class_of_then,
    class_has_the_tutor_of_then,
    extension_is_for_whom_it_was_granted,
    withdrawn_trainee_is_refused_from_then_on,
    request_that_is_sent_twice_is_carried_out_once,
    marking_list_is_oldest_first_with_due_times_and_late_weeks,
    lists_come_in_pages_of_the_same_question,
    page_of_long_texts_ends_early,
    submissions_at_the_same_moment_leave_one_that_counts,
    marks_at_the_same_moment_are_numbered_without_gaps,
    broken_row_takes_its_own_place_from_a_list,
);

type Client = AssignmentServiceClient<Channel>;

fn client(world: &World) -> Client {
    AssignmentServiceClient::new(world.channel())
}

fn submission(person_id: &str, submission_id: &str, when: &str) -> proto::SubmitAssignmentRequest {
    proto::SubmitAssignmentRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        submission_id: submission_id.to_owned(),
        kind: "lesson_plan".to_owned(),
        title: "作业".to_owned(),
        text: "\u{3000}\u{3000}教学设计".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn review(tutor_id: &str, submission_id: &str, grade: Grade, when: &str) -> proto::ReviewSubmissionRequest {
    proto::ReviewSubmissionRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: tutor_id.to_owned(),
        submission_id: submission_id.to_owned(),
        grade: grade.into(),
        comment: "有针对性的评语".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn give_back(tutor_id: &str, submission_id: &str, when: &str) -> proto::ReturnSubmissionRequest {
    proto::ReturnSubmissionRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: tutor_id.to_owned(),
        submission_id: submission_id.to_owned(),
        comment: "请补充".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

async fn get(client: &mut Client, submission_id: &str) -> proto::Submission {
    let request = proto::GetSubmissionRequest {
        programme_id: PROGRAMME.to_owned(),
        submission_id: submission_id.to_owned(),
    };
    client.get_submission(request).await.unwrap().into_inner().submission.unwrap()
}

async fn submission_is_kept_and_sent_again_does_nothing(world: World) {
    let mut client = client(&world);
    let request = submission("T1", "A1", "11-04T10:00:00");
    let kept = client.submit_assignment(request.clone()).await.unwrap().into_inner().submission.unwrap();
    assert_eq!((kept.class_id.as_str(), kept.text.as_str()), ("L1", "\u{3000}\u{3000}教学设计"));
    assert_eq!(kept.submitted_time, at("11-04T10:00:00"));
    let again = client.submit_assignment(request.clone()).await.unwrap().into_inner().submission.unwrap();
    let unstated = proto::SubmitAssignmentRequest { occurred_at: None, ..request };
    let later = client.submit_assignment(unstated).await.unwrap().into_inner().submission.unwrap();
    assert_eq!((&again, &later), (&kept, &kept));
    assert_eq!(get(&mut client, "A1").await, kept);

    let events = world.events::<proto::AssignmentSubmitted>().await;
    assert_eq!(events.len(), 1);
    let (event, submitted) = &events[0];
    assert_eq!((event.region.as_str(), event.subject.as_str()), ("130302", "A1"));
    assert_eq!(event.occurred_at, instant("11-04T10:00:00"));
    assert_eq!((submitted.class_id.as_str(), submitted.kind.as_str()), ("L1", "lesson_plan"));
}

async fn submission_is_refused_for_strangers_and_other_content(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    let good = submission("T2", "A2", "11-04T10:00:00");
    for (request, expected) in [
        (proto::SubmitAssignmentRequest { programme_id: "Q9".to_owned(), ..good.clone() }, "NOT_FOUND"),
        (submission("T9", "A2", "11-04T10:00:00"), "NOT_FOUND"),
        (submission("U1", "A2", "11-04T10:00:00"), "NOT_FOUND"),
        (submission("T2", "A1", "11-04T10:00:00"), "ALREADY_EXISTS"),
        (submission("T1", "A1", "11-04T10:00:01"), "ALREADY_EXISTS"),
        (submission("T2", "A2", "12-11T00:00:00"), "WINDOW_CLOSED"),
        (proto::SubmitAssignmentRequest { kind: "essay".to_owned(), ..good.clone() }, "INVALID_KIND"),
        (proto::SubmitAssignmentRequest { text: "a\0b".to_owned(), ..good.clone() }, "INVALID_FIELD"),
        (proto::SubmitAssignmentRequest { text: "长".repeat(200_001), ..good.clone() }, "TEXT_TOO_LONG"),
        (proto::SubmitAssignmentRequest { title: "长".repeat(2_001), ..good }, "TEXT_TOO_LONG"),
    ] {
        let (person, id) = (request.person_id.clone(), request.submission_id.clone());
        assert_eq!(reason(client.submit_assignment(request).await), expected, "{person} {id}");
    }
    assert_eq!(world.events::<proto::AssignmentSubmitted>().await.len(), 1);
}

async fn newer_submission_supersedes_and_says_so(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    client.submit_assignment(submission("T1", "A2", "11-06T10:00:00")).await.unwrap();
    assert_eq!(get(&mut client, "A1").await.superseded_time, at("11-06T10:00:00"));
    assert_eq!(get(&mut client, "A2").await.superseded_time, None);
    let events = world.events::<proto::AssignmentSuperseded>().await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].1.submission_id.as_str(), events[0].1.superseded_by.as_str()), ("A1", "A2"));
    assert_eq!(events[0].0.occurred_at, instant("11-06T10:00:00"));

    let late = client.review_submission(review("U1", "A1", Grade::Pass, "11-07T10:00:00")).await;
    assert_eq!(reason(late), "SUPERSEDED");
    client.review_submission(review("U1", "A2", Grade::Pass, "11-07T10:00:00")).await.unwrap();
    let third = client.submit_assignment(submission("T1", "A3", "11-08T10:00:00")).await;
    assert_eq!(reason(third), "ALREADY_GRADED");
    client.return_submission(give_back("U1", "A2", "11-09T10:00:00")).await.unwrap();
    client.submit_assignment(submission("T1", "A3", "11-10T10:00:00")).await.unwrap();
    assert_eq!(get(&mut client, "A2").await.superseded_time, at("11-10T10:00:00"));
}

async fn later_arrival_supersedes_at_one_instant(world: World) {
    let mut client = client(&world);
    for id in ["A3", "A1", "A2"] {
        client.submit_assignment(submission("T1", id, "11-04T10:00:00")).await.unwrap();
    }
    for superseded in ["A3", "A1"] {
        assert_eq!(get(&mut client, superseded).await.superseded_time, at("11-04T10:00:00"));
        let late = client.review_submission(review("U1", superseded, Grade::Pass, "11-05T10:00:00")).await;
        assert_eq!(reason(late), "SUPERSEDED");
    }
    client.review_submission(review("U1", "A2", Grade::Pass, "11-04T10:00:00")).await.unwrap();
    let after_the_grade = client.submit_assignment(submission("T1", "A4", "11-04T10:00:00")).await;
    assert_eq!(reason(after_the_grade), "ALREADY_GRADED");
    // Told late, and older: replaced by one of that instant.
    client.submit_assignment(submission("T1", "A0", "11-03T10:00:00")).await.unwrap();
    assert_eq!(get(&mut client, "A0").await.superseded_time, at("11-04T10:00:00"));
}

async fn older_submission_that_arrives_late_is_superseded_at_once(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A2", "11-06T10:00:00")).await.unwrap();
    client.review_submission(review("U1", "A2", Grade::Excellent, "11-07T10:00:00")).await.unwrap();
    let late = client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    assert_eq!(late.into_inner().submission.unwrap().superseded_time, at("11-06T10:00:00"));
    assert_eq!(get(&mut client, "A2").await.superseded_time, None);
    let events = world.events::<proto::AssignmentSuperseded>().await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].1.submission_id.as_str(), events[0].1.superseded_by.as_str()), ("A1", "A2"));
    assert_eq!(events[0].0.occurred_at, instant("11-06T10:00:00"));
    // The review of it that happened before it was replaced is told late too, and stands.
    client.review_submission(review("U1", "A1", Grade::Fail, "11-05T10:00:00")).await.unwrap();
}

/// A tutor who marks without a network tells of it after the trainee has submitted again.
async fn grade_that_is_told_late_keeps_its_submission(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    client.submit_assignment(submission("T1", "A2", "11-08T10:00:00")).await.unwrap();
    client.review_submission(review("U1", "A2", Grade::Fail, "11-09T10:00:00")).await.unwrap();
    let told = client.review_submission(review("U1", "A1", Grade::Pass, "11-06T10:00:00")).await.unwrap();
    let first = told.into_inner().submission.unwrap();
    assert_eq!((first.superseded_time, first.marks.len()), (None, 1));
    assert_eq!(get(&mut client, "A1").await, first);
    let second = get(&mut client, "A2").await;
    assert_eq!((second.superseded_time, second.graded_submission_id.as_str()), (None, "A1"));
    let reinstated = world.events::<proto::AssignmentReinstated>().await;
    assert_eq!((reinstated.len(), reinstated[0].1.submission_id.as_str()), (1, "A1"));
    assert_eq!(reinstated[0].0.occurred_at, instant("11-06T10:00:00"));
    let disregarded = world.events::<proto::AssignmentDisregarded>().await;
    let (event, fact) = &disregarded[0];
    assert_eq!((fact.submission_id.as_str(), fact.graded_submission_id.as_str()), ("A2", "A1"));
    assert_eq!(event.occurred_at, instant("11-08T10:00:00"));
    let third = client.submit_assignment(submission("T1", "A3", "11-10T10:00:00")).await;
    assert_eq!(reason(third), "ALREADY_GRADED");

    // Returned before the second was submitted, as is told at last: the second counts after all, with its mark.
    client.return_submission(give_back("U1", "A1", "11-07T10:00:00")).await.unwrap();
    assert_eq!(get(&mut client, "A1").await.superseded_time, at("11-08T10:00:00"));
    let second = get(&mut client, "A2").await;
    assert_eq!((second.graded_submission_id.as_str(), second.marks.len()), ("", 1));
    client.submit_assignment(submission("T1", "A3", "11-10T10:00:00")).await.unwrap();
    let ask = proto::ListMarkingRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        as_of: at("11-11T10:00:00"),
        ..Default::default()
    };
    let list = client.list_marking(ask).await.unwrap().into_inner();
    // The third waits beyond its Sunday.
    assert_eq!((list.items.len(), list.late_weeks), (1, 1));
}

async fn mark_is_numbered_and_tells_the_grade_before(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    client.review_submission(review("U1", "A1", Grade::Pass, "11-05T10:00:00")).await.unwrap();
    client.review_submission(review("U1", "A1", Grade::Excellent, "11-06T10:00:00")).await.unwrap();
    client.return_submission(give_back("U1", "A1", "11-07T10:00:00")).await.unwrap();
    let answer = client.review_submission(review("U1", "A1", Grade::Fail, "11-08T10:00:00")).await.unwrap();
    let marks = answer.into_inner().submission.unwrap().marks;
    assert_eq!(get(&mut client, "A1").await.marks, marks);
    let told: Vec<(i64, Grade)> = marks.iter().map(|mark| (mark.number, mark.grade())).collect();
    let expected = [(2, Grade::Pass), (3, Grade::Excellent), (4, Grade::Unspecified), (5, Grade::Fail)];
    assert_eq!(told, expected);

    let reviewed = world.events::<proto::SubmissionReviewed>().await;
    let changes: Vec<_> =
        reviewed.iter().map(|(_, event)| (event.mark_number, event.old(), event.new())).collect();
    let expected = [
        (2, Grade::Unspecified, Grade::Pass),
        (3, Grade::Pass, Grade::Excellent),
        (5, Grade::Unspecified, Grade::Fail),
    ];
    assert_eq!(changes, expected);
    let returned = world.events::<proto::SubmissionReturned>().await;
    assert_eq!((returned[0].1.mark_number, returned[0].1.old()), (4, Grade::Excellent));
}

async fn mark_is_for_the_tutor_of_the_current_class(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    let blank = proto::ReviewSubmissionRequest {
        comment: " \u{3000}".to_owned(),
        ..review("U1", "A1", Grade::Pass, "11-05T10:00:00")
    };
    for (request, expected) in [
        (review("U1", "A9", Grade::Pass, "11-05T10:00:00"), "NOT_FOUND"),
        (review("K1", "A1", Grade::Pass, "11-05T10:00:00"), "NOT_FOUND"),
        (review("U2", "A1", Grade::Pass, "11-05T10:00:00"), "NOT_CLASS_TUTOR"),
        (review("U1", "A1", Grade::Pass, "12-21T00:00:00"), "WINDOW_CLOSED"),
        (review("U1", "A1", Grade::Unspecified, "11-05T10:00:00"), "INVALID_FIELD"),
        (blank, "COMMENT_REQUIRED"),
    ] {
        let label = format!("{request:?}");
        assert_eq!(reason(client.review_submission(request).await), expected, "{label}");
    }
    world.learn(&[transfer("T1", "130303", "L2", "11-06T00:00:00")]).await;
    let before = client.review_submission(review("U1", "A1", Grade::Pass, "11-07T10:00:00")).await;
    assert_eq!(reason(before), "NOT_CLASS_TUTOR");
    let answer = client.review_submission(review("U2", "A1", Grade::Pass, "11-07T10:00:00")).await.unwrap();
    assert_eq!(answer.into_inner().submission.unwrap().class_id, "L1");
    let reviewed = world.events::<proto::SubmissionReviewed>().await;
    assert_eq!((reviewed[0].1.class_id.as_str(), reviewed[0].0.region.as_str()), ("L2", "130303"));
}

async fn withdrawn_trainee_is_refused_from_then_on(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    world.learn(&[withdrawal("T1", "11-05T10:00:00")]).await;
    let answer = client.submit_assignment(submission("T1", "A2", "11-05T10:00:00")).await;
    assert_eq!(reason(answer), "WITHDRAWN");
    let answer = client.review_submission(review("U1", "A1", Grade::Pass, "11-05T10:00:00")).await;
    assert_eq!(reason(answer), "WITHDRAWN");
    assert_eq!(reason(client.return_submission(give_back("U1", "A1", "11-06T10:00:00")).await), "WITHDRAWN");
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    client.review_submission(review("U1", "A1", Grade::Pass, "11-05T09:59:59")).await.unwrap();
}

async fn request_that_is_sent_twice_is_carried_out_once(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    let request = proto::ReviewSubmissionRequest {
        request_id: "R1".to_owned(),
        ..review("U1", "A1", Grade::Pass, "11-05T10:00:00")
    };
    let first = client.review_submission(request.clone()).await.unwrap().into_inner();
    let second = client.review_submission(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, second);
    assert_eq!(get(&mut client, "A1").await.marks.len(), 1);
    let other = proto::ReviewSubmissionRequest { comment: "别的".to_owned(), ..request };
    assert_eq!(reason(client.review_submission(other).await), "REQUEST_ID_REUSED");
}

async fn marking_list_is_oldest_first_with_due_times_and_late_weeks(world: World) {
    let mut client = client(&world);
    // The week of 10-28 to 11-03 holds late_week.from; 11-04 to 11-10 is the next.
    client.submit_assignment(submission("T1", "A1", "11-01T00:00:00")).await.unwrap();
    client.submit_assignment(submission("T2", "A2", "11-03T23:59:59")).await.unwrap();
    client.submit_assignment(submission("T4", "A4", "11-05T10:00:00")).await.unwrap();
    client.submit_assignment(submission("T3", "A3", "11-01T10:00:00")).await.unwrap();
    client.review_submission(review("U1", "A1", Grade::Pass, "11-03T23:59:59")).await.unwrap();
    let ask = |as_of: &str| proto::ListMarkingRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        as_of: at(as_of),
        ..Default::default()
    };
    let told = |answer: &proto::ListMarkingResponse| -> Vec<(String, bool)> {
        let items = answer.items.iter();
        items.map(|item| (item.submission.clone().unwrap().submission_id, item.late)).collect()
    };
    let list = client.list_marking(ask("11-03T23:59:59")).await.unwrap().into_inner();
    assert_eq!((told(&list), list.late_weeks), (vec![("A2".to_owned(), false)], 0));
    assert_eq!(list.items[0].due_time, at("11-04T00:00:00"));
    assert_eq!(list.disqualify_at, 3);

    let list = client.list_marking(ask("11-06T00:00:00")).await.unwrap().into_inner();
    assert_eq!(told(&list), [("A2".to_owned(), true), ("A4".to_owned(), false)]);
    assert_eq!((list.late_weeks, list.items[1].due_time), (1, at("11-11T00:00:00")));

    // A mark after the deadline empties the list, the week stays late; a withdrawal settles the other one.
    client.review_submission(review("U1", "A2", Grade::Pass, "11-06T10:00:00")).await.unwrap();
    world.learn(&[withdrawal("T4", "11-07T10:00:00")]).await;
    let list = client.list_marking(ask("11-12T00:00:00")).await.unwrap().into_inner();
    assert_eq!((told(&list), list.late_weeks), (vec![], 1));
    // As of then, it was as it was.
    let list = client.list_marking(ask("11-06T00:00:00")).await.unwrap().into_inner();
    assert_eq!(told(&list).len(), 2);
    // A trainee who moves brings their work along.
    world.learn(&[transfer("T3", "130302", "L3", "11-12T10:00:00")]).await;
    let list = client.list_marking(ask("11-12T12:00:00")).await.unwrap().into_inner();
    assert_eq!((told(&list), list.late_weeks), (vec![("A3".to_owned(), true)], 1));
    // Before that, and the week that it made late, is the class's in which they stood.
    for (tutor, as_of, expected, late_weeks) in [
        ("U1", "11-12T09:59:59", vec![], 1),
        ("U2", "11-12T09:59:59", vec![("A3".to_owned(), true)], 1),
        ("U2", "11-12T10:00:00", vec![], 1),
    ] {
        let request = proto::ListMarkingRequest { tutor_id: tutor.to_owned(), ..ask(as_of) };
        let list = client.list_marking(request).await.unwrap().into_inner();
        assert_eq!((told(&list), list.late_weeks), (expected, late_weeks), "{tutor} {as_of}");
    }
    let stranger = proto::ListMarkingRequest { tutor_id: "T1".to_owned(), ..ask("11-12T12:00:00") };
    assert_eq!(reason(client.list_marking(stranger).await), "NOT_FOUND");
}

async fn lists_come_in_pages_of_the_same_question(world: World) {
    let mut client = client(&world);
    for (person, id, when) in [
        ("T1", "A1", "11-04T10:00:00"),
        ("T2", "A2", "11-04T10:00:00"),
        ("T3", "A3", "11-05T10:00:00"),
        ("T1", "A4", "11-06T10:00:00"),
        ("T4", "A5", "11-06T10:00:01"),
    ] {
        client.submit_assignment(submission(person, id, when)).await.unwrap();
    }
    client.review_submission(review("U1", "A2", Grade::Pass, "11-05T10:00:00")).await.unwrap();
    for (class_id, person_id, expected) in [
        ("", "", vec!["A1", "A2", "A3", "A4", "A5"]),
        ("L1", "", vec!["A1", "A2", "A4", "A5"]),
        ("", "T1", vec!["A1", "A4"]),
        ("L2", "T1", vec![]),
        ("L1", "T1", vec!["A1", "A4"]),
    ] {
        let mut request = proto::ListSubmissionsRequest {
            programme_id: PROGRAMME.to_owned(),
            class_id: class_id.to_owned(),
            person_id: person_id.to_owned(),
            page_size: 2,
            page_token: String::new(),
            with_retracted: false,
        };
        let mut ids = Vec::new();
        loop {
            let page = client.list_submissions(request.clone()).await.unwrap().into_inner();
            assert!(page.submissions.len() <= 2);
            for submission in page.submissions {
                assert_eq!(submission.marks.len(), usize::from(submission.submission_id == "A2"));
                ids.push(submission.submission_id);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(ids, expected, "{class_id} {person_id}");
        if !request.page_token.is_empty() {
            request.class_id = "L3".to_owned();
            assert_eq!(reason(client.list_submissions(request).await), "INVALID_PAGE_TOKEN");
        }
    }
    let ask = proto::ListMarkingRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        as_of: Some(to_timestamp(instant("11-07T00:00:00"))),
        page_size: 1,
        ..Default::default()
    };
    let first = client.list_marking(ask.clone()).await.unwrap().into_inner();
    assert_eq!(first.items[0].submission.as_ref().unwrap().submission_id, "A4");
    let next = proto::ListMarkingRequest { page_token: first.next_page_token, ..ask };
    let second = client.list_marking(next).await.unwrap().into_inner();
    assert_eq!(second.items[0].submission.as_ref().unwrap().submission_id, "A5");
    assert_eq!(second.next_page_token, "");
}

async fn page_of_long_texts_ends_early(world: World) {
    let mut client = client(&world);
    let text = "研".repeat(200_000);
    for number in 0..9 {
        let request = submission("T1", &format!("A{number}"), &format!("11-04T10:00:0{number}"));
        client
            .submit_assignment(proto::SubmitAssignmentRequest { text: text.clone(), ..request })
            .await
            .unwrap();
    }
    let mut client = client.max_decoding_message_size(8 * 1024 * 1024);
    let mut request = proto::ListSubmissionsRequest {
        programme_id: PROGRAMME.to_owned(),
        page_size: 8,
        ..Default::default()
    };
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    loop {
        let page = client.list_submissions(request.clone()).await.unwrap().into_inner();
        sizes.push(page.submissions.len());
        ids.extend(page.submissions.into_iter().map(|submission| submission.submission_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((sizes, ids.len(), ids.is_sorted()), (vec![6, 3], 9, true));
}

async fn submissions_at_the_same_moment_leave_one_that_counts(world: World) {
    let mut calls = Vec::new();
    for number in 0..12 {
        let mut client = client(&world);
        let request = submission("T1", &format!("A{number:02}"), &format!("11-04T10:00:{:02}", number / 2));
        calls.push(tokio::spawn(async move { client.submit_assignment(request).await.map(drop) }));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let request = proto::ListSubmissionsRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    let all = client(&world).list_submissions(request).await.unwrap().into_inner().submissions;
    let standing: Vec<&str> = all
        .iter()
        .filter(|submission| submission.superseded_time.is_none())
        .map(|submission| submission.submission_id.as_str())
        .collect();
    // One of the two of the last instant: which, is for the order in which they arrived to say.
    assert!(all.len() == 12 && (standing == ["A10"] || standing == ["A11"]), "{standing:?}");
    let mut replaced: Vec<String> = world
        .events::<proto::AssignmentSuperseded>()
        .await
        .into_iter()
        .map(|(_, event)| event.submission_id)
        .collect();
    replaced.sort();
    replaced.dedup();
    assert_eq!(replaced.len(), 11);
}

async fn marks_at_the_same_moment_are_numbered_without_gaps(world: World) {
    client(&world).submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    let mut calls = Vec::new();
    for number in 0..10 {
        let mut client = client(&world);
        let request = review("U1", "A1", Grade::Fail, &format!("11-05T10:00:{number:02}"));
        calls.push(tokio::spawn(async move { client.review_submission(request).await.map(drop) }));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let marks = get(&mut client(&world), "A1").await.marks;
    let numbers: Vec<i64> = marks.iter().map(|mark| mark.number).collect();
    assert_eq!(numbers, (2..=11).collect::<Vec<i64>>());
}
