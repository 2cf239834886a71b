//! Facts that were wrong, through the public API on both databases: what falls, what counts again, in which order ever.

use shipei_contracts::{
    assignment::v1::{
        self as proto, Grade, assignment_service_client::AssignmentServiceClient,
        bulletin_service_client::BulletinServiceClient, seminar_service_client::SeminarServiceClient,
    },
    common::v1::Correction,
    event::v1::{
        FactRetracted, GetFactRequest, GetFactResponse, ListRetractionsRequest, RetractRequest, Retraction,
        correction_service_client::CorrectionServiceClient,
    },
};

use crate::support::{self, PROGRAMME, World, at, instant, on_both, reason};

const SOURCE: &str = shipei_assignment_grading::NAME;

on_both!(
    retracted_submission_lets_the_one_before_count_again,
    retracted_mark_leaves_the_grade_before_it,
    retraction_may_come_before_its_fact,
    retraction_at_the_same_moment_as_its_fact,
    retracting_twice_is_once,
    retraction_needs_a_reason_and_a_programme,
    correction_is_a_retraction_and_a_new_fact,
    correction_that_is_refused_retracts_nothing,
    retracted_summary_shows_the_one_before,
    retracted_seminar_takes_no_more_posts,
    retracted_bulletin_leaves_its_number_free,
    facts_of_one_request_have_ids_of_their_own,
    refusal_is_judged_anew_when_what_came_late_turns_it,
);

fn submit(submission_id: &str, request_id: &str, when: &str) -> proto::SubmitAssignmentRequest {
    proto::SubmitAssignmentRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        submission_id: submission_id.to_owned(),
        kind: "lesson_plan".to_owned(),
        title: "作业".to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn review(submission_id: &str, grade: Grade, request_id: &str, when: &str) -> proto::ReviewSubmissionRequest {
    proto::ReviewSubmissionRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        submission_id: submission_id.to_owned(),
        grade: grade.into(),
        comment: "评语".to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn retraction(fact_id: &str) -> RetractRequest {
    RetractRequest {
        source: SOURCE.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "登记错误".to_owned(),
        occurred_at: at("12-01T08:00:00"),
        ..Default::default()
    }
}

async fn retract(world: &World, fact_id: &str) -> Retraction {
    let mut client = CorrectionServiceClient::new(world.channel());
    client.retract(retraction(fact_id)).await.unwrap().into_inner().retraction.unwrap()
}

async fn fact(world: &World, fact_id: &str) -> GetFactResponse {
    let (source, programme_id) = (SOURCE.to_owned(), PROGRAMME.to_owned());
    let request = GetFactRequest { source, programme_id, fact_id: fact_id.to_owned() };
    CorrectionServiceClient::new(world.channel()).get_fact(request).await.unwrap().into_inner()
}

fn assignments(world: &World) -> AssignmentServiceClient<tonic::transport::Channel> {
    AssignmentServiceClient::new(world.channel())
}

async fn submission(world: &World, submission_id: &str) -> proto::Submission {
    let (programme_id, submission_id) = (PROGRAMME.to_owned(), submission_id.to_owned());
    let request = proto::GetSubmissionRequest { programme_id, submission_id };
    assignments(world).get_submission(request).await.unwrap().into_inner().submission.unwrap()
}

/// The submissions of T1 in a list, with or without those that fell.
async fn listed(world: &World, with_retracted: bool) -> Vec<String> {
    let request = proto::ListSubmissionsRequest {
        programme_id: PROGRAMME.to_owned(),
        with_retracted,
        ..Default::default()
    };
    let listed = assignments(world).list_submissions(request).await.unwrap().into_inner().submissions;
    listed.into_iter().map(|submission| submission.submission_id).collect()
}

async fn retracted_submission_lets_the_one_before_count_again(world: World) {
    let mut client = assignments(&world);
    client.submit_assignment(submit("A1", "R1", "11-04T10:00:00")).await.unwrap();
    client.submit_assignment(submit("A2", "R2", "11-05T10:00:00")).await.unwrap();
    client.review_submission(review("A2", Grade::Excellent, "R3", "11-06T10:00:00")).await.unwrap();
    assert!(submission(&world, "A1").await.superseded_time.is_some());
    let told = retract(&world, "R2").await;
    assert_eq!(told.fact_type, "shipei.assignment.v1.AssignmentSubmitted");
    assert_eq!(told.retracted_time, at("12-01T08:00:00"));

    assert_eq!(submission(&world, "A1").await.superseded_time, None);
    let fallen = submission(&world, "A2").await;
    assert!(fallen.retracted && fallen.marks.len() == 1, "it stays readable");
    assert_eq!(listed(&world, false).await, ["A1"]);
    assert_eq!(listed(&world, true).await, ["A1", "A2"]);
    let reinstated = world.events::<proto::AssignmentReinstated>().await;
    assert_eq!(reinstated.iter().map(|(_, told)| told.submission_id.as_str()).collect::<Vec<_>>(), ["A1"]);
    // Its mark fell with it, so that another submission is not kept from counting.
    client.submit_assignment(submit("A3", "R4", "11-07T10:00:00")).await.unwrap();
    let request = review("A2", Grade::Pass, "R5", "11-07T10:00:00");
    assert_eq!(reason(client.review_submission(request).await), "NOT_FOUND");
}

async fn retracted_mark_leaves_the_grade_before_it(world: World) {
    let mut client = assignments(&world);
    client.submit_assignment(submit("A1", "R1", "11-04T10:00:00")).await.unwrap();
    client.review_submission(review("A1", Grade::Pass, "R2", "11-05T10:00:00")).await.unwrap();
    client.submit_assignment(submit("A2", "R3", "11-04T11:00:00")).await.unwrap();
    let request = review("A2", Grade::Fail, "R4", "11-06T10:00:00");
    client.review_submission(request).await.unwrap();
    retract(&world, "R4").await;
    let marks = submission(&world, "A2").await.marks;
    assert!(marks.len() == 1 && marks[0].retracted && marks[0].fact_id == "R4");
    // It is owed again.
    let request = proto::ListMarkingRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        as_of: at("11-10T00:00:00"),
        ..Default::default()
    };
    let owed = client.list_marking(request).await.unwrap().into_inner().items;
    let owed = owed.into_iter().map(|item| item.submission.unwrap().submission_id);
    assert_eq!(owed.collect::<Vec<_>>(), ["A2"]);
}

/// Any order of two submissions, the grade of the first and the retraction of that grade comes to the same.
async fn retraction_may_come_before_its_fact(world: World) {
    let mut client = assignments(&world);
    let told = retract(&world, "R2").await;
    assert_eq!(told.fact_type, "");
    client.submit_assignment(submit("A1", "R1", "11-04T10:00:00")).await.unwrap();
    client.review_submission(review("A1", Grade::Excellent, "R2", "11-05T10:00:00")).await.unwrap();
    client.submit_assignment(submit("A2", "R3", "11-06T10:00:00")).await.unwrap();
    assert_eq!(submission(&world, "A1").await.superseded_time, at("11-06T10:00:00"));
    let kept = fact(&world, "R2").await;
    assert!(!kept.stands && kept.fact.is_some() && kept.retraction.is_some());

    // A submission that fell before it came supersedes nothing.
    retract(&world, "R4").await;
    client.submit_assignment(submit("A3", "R4", "11-07T10:00:00")).await.unwrap();
    assert_eq!(submission(&world, "A2").await.superseded_time, None);
    assert_eq!(listed(&world, false).await, ["A1", "A2"]);
}

/// Whichever comes first, and also when both share a transaction: what fell supersedes nothing.
async fn retraction_at_the_same_moment_as_its_fact(world: World) {
    assignments(&world).submit_assignment(submit("A", "first", "11-04T10:00:00")).await.unwrap();
    let mut calls = Vec::new();
    for number in 0..20 {
        let (mut client, request_id) = (assignments(&world), format!("R{number}"));
        let request = submit(&format!("B{number:02}"), &request_id, "11-05T10:00:00");
        calls.push(tokio::spawn(async move { client.submit_assignment(request).await.map(drop) }));
        let mut client = CorrectionServiceClient::new(world.channel());
        calls.push(tokio::spawn(async move { client.retract(retraction(&request_id)).await.map(drop) }));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(listed(&world, false).await, ["A"]);
    assert_eq!(listed(&world, true).await.len(), 21);
    assert_eq!(submission(&world, "A").await.superseded_time, None);
    // Whoever follows hears of each with its fact, wherever the retraction was told.
    let mut told: Vec<String> = Vec::new();
    for (_, retracted) in world.events::<FactRetracted>().await {
        told.extend(retracted.fact.map(|fact| fact.fact_id));
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 20);
}

async fn retracting_twice_is_once(world: World) {
    assignments(&world).submit_assignment(submit("A1", "R1", "11-04T10:00:00")).await.unwrap();
    let first = retract(&world, "R1").await;
    let mut client = CorrectionServiceClient::new(world.channel());
    let again = RetractRequest { reason: "又一次".to_owned(), ..retraction("R1") };
    let again = client.retract(again).await.unwrap().into_inner().retraction.unwrap();
    assert_eq!(again, first);
    assert_eq!(world.events::<FactRetracted>().await.len(), 1);
    let request = ListRetractionsRequest {
        source: SOURCE.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        ..Default::default()
    };
    let listed = client.list_retractions(request).await.unwrap().into_inner();
    assert_eq!((listed.retractions, listed.next_page_token), (vec![first], String::new()));
}

async fn retraction_needs_a_reason_and_a_programme(world: World) {
    let mut client = CorrectionServiceClient::new(world.channel());
    for (request, expected) in [
        (RetractRequest { reason: "\u{3000}\u{200B}".to_owned(), ..retraction("R1") }, "INVALID_FIELD"),
        (
            RetractRequest { reason: "号码 130302199001011238 有误".to_owned(), ..retraction("R1") },
            "INVALID_FIELD",
        ),
        (RetractRequest { fact_id: String::new(), ..retraction("") }, "INVALID_FIELD"),
        (RetractRequest { programme_id: "none".to_owned(), ..retraction("R1") }, "NOT_FOUND"),
        (RetractRequest { source: "nobody".to_owned(), ..retraction("R1") }, "NOT_FOUND"),
    ] {
        assert_eq!(reason(client.retract(request).await), expected);
    }
    let (source, programme_id) = (SOURCE.to_owned(), PROGRAMME.to_owned());
    let unknown = GetFactRequest { source, programme_id, fact_id: "R1".to_owned() };
    assert_eq!(reason(client.get_fact(unknown).await), "NOT_FOUND");
}

async fn correction_is_a_retraction_and_a_new_fact(world: World) {
    let mut client = assignments(&world);
    client.submit_assignment(submit("A1", "R1", "11-04T10:00:00")).await.unwrap();
    client.review_submission(review("A1", Grade::Fail, "R2", "11-05T10:00:00")).await.unwrap();
    let correction = Some(Correction { fact_id: "R2".to_owned(), reason: "选错等级".to_owned() });
    let corrected =
        proto::ReviewSubmissionRequest { correction, ..review("A1", Grade::Pass, "R3", "11-05T10:00:00") };
    client.review_submission(corrected.clone()).await.unwrap();
    client.review_submission(corrected).await.unwrap();
    let marks = submission(&world, "A1").await.marks;
    let told: Vec<_> =
        marks.iter().map(|mark| (mark.fact_id.as_str(), mark.grade(), mark.retracted)).collect();
    assert_eq!(told, [("R2", Grade::Fail, true), ("R3", Grade::Pass, false)]);
    let fallen = fact(&world, "R2").await.retraction.unwrap();
    assert_eq!((fallen.reason.as_str(), fallen.actor.as_str()), ("选错等级", "anonymous"));
    let reviewed = world.events::<proto::SubmissionReviewed>().await;
    assert_eq!(reviewed.last().unwrap().1.old(), Grade::Unspecified, "there was no grade that stood");
}

async fn correction_that_is_refused_retracts_nothing(world: World) {
    let mut client = assignments(&world);
    client.submit_assignment(submit("A1", "R1", "11-04T10:00:00")).await.unwrap();
    let correction = Some(Correction { fact_id: "R1".to_owned(), reason: "时间有误".to_owned() });
    let early = submit("A2", "R2", "10-04T10:00:00");
    let early = proto::SubmitAssignmentRequest { correction, ..early };
    assert_eq!(reason(client.submit_assignment(early).await), "WINDOW_NOT_OPEN");
    let blank = Some(Correction { fact_id: "R1".to_owned(), reason: " ".to_owned() });
    let blank = proto::SubmitAssignmentRequest { correction: blank, ..submit("A2", "R3", "11-04T10:00:00") };
    assert_eq!(reason(client.submit_assignment(blank).await), "INVALID_FIELD");
    assert!(fact(&world, "R1").await.stands);
    assert_eq!(listed(&world, true).await, ["A1"]);
}

fn open() -> proto::OpenSeminarRequest {
    proto::OpenSeminarRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        class_id: "L1".to_owned(),
        seminar_id: "N1".to_owned(),
        topic: "研讨".to_owned(),
        request_id: "open".to_owned(),
        occurred_at: at("11-20T00:00:00"),
        ..Default::default()
    }
}

async fn seminar(world: &World) -> proto::Seminar {
    let (programme_id, seminar_id) = (PROGRAMME.to_owned(), "N1".to_owned());
    let request = proto::GetSeminarRequest { programme_id, seminar_id };
    let mut client = SeminarServiceClient::new(world.channel());
    client.get_seminar(request).await.unwrap().into_inner().seminar.unwrap()
}

async fn retracted_summary_shows_the_one_before(world: World) {
    let mut client = SeminarServiceClient::new(world.channel());
    client.open_seminar(open()).await.unwrap();
    for (request_id, text, when) in [("first", "初稿", "11-25T10:00:00"), ("last", "定稿", "11-26T10:00:00")]
    {
        let request = proto::SummariseSeminarRequest {
            programme_id: PROGRAMME.to_owned(),
            tutor_id: "U1".to_owned(),
            seminar_id: "N1".to_owned(),
            summary: text.to_owned(),
            request_id: request_id.to_owned(),
            occurred_at: at(when),
            ..Default::default()
        };
        client.summarise_seminar(request).await.unwrap();
    }
    assert_eq!(seminar(&world).await.summary_fact_id, "last");
    retract(&world, "last").await;
    let shown = seminar(&world).await;
    assert_eq!((shown.summary.as_str(), shown.summary_fact_id.as_str()), ("初稿", "first"));
    assert_eq!(shown.summarised_time, at("11-25T10:00:00"));
    retract(&world, "first").await;
    let shown = seminar(&world).await;
    assert_eq!((shown.summary.as_str(), shown.summarised_time), ("", None));
}

async fn retracted_seminar_takes_no_more_posts(world: World) {
    let mut client = SeminarServiceClient::new(world.channel());
    client.open_seminar(open()).await.unwrap();
    let post = |request_id: &str| proto::PostToSeminarRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        seminar_id: "N1".to_owned(),
        text: "研".repeat(300),
        request_id: request_id.to_owned(),
        occurred_at: at("11-21T00:00:00"),
        ..Default::default()
    };
    client.post_to_seminar(post("P1")).await.unwrap();
    client.post_to_seminar(post("P2")).await.unwrap();
    retract(&world, "P1").await;
    let list = |with_retracted| proto::ListPostsRequest {
        programme_id: PROGRAMME.to_owned(),
        seminar_id: "N1".to_owned(),
        with_retracted,
        ..Default::default()
    };
    let posts = client.list_posts(list(false)).await.unwrap().into_inner().posts;
    assert_eq!(posts.iter().map(|post| post.fact_id.as_str()).collect::<Vec<_>>(), ["P2"]);
    let posts = client.list_posts(list(true)).await.unwrap().into_inner().posts;
    assert_eq!(posts.iter().map(|post| post.retracted).collect::<Vec<_>>(), [true, false]);
    retract(&world, "open").await;
    assert!(seminar(&world).await.retracted);
    assert_eq!(reason(client.post_to_seminar(post("P3")).await), "NOT_FOUND");
}

async fn retracted_bulletin_leaves_its_number_free(world: World) {
    let mut client = BulletinServiceClient::new(world.channel());
    let publish = |request_id: &str, correction| proto::PublishBulletinRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: "U1".to_owned(),
        class_id: "L1".to_owned(),
        number: 1,
        title: request_id.to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at("10-01T00:00:00"),
        correction,
        ..Default::default()
    };
    client.publish_bulletin(publish("B1", None)).await.unwrap();
    assert_eq!(reason(client.publish_bulletin(publish("B2", None)).await), "ALREADY_EXISTS");
    let correction = Some(Correction { fact_id: "B1".to_owned(), reason: "题目有误".to_owned() });
    client.publish_bulletin(publish("B3", correction)).await.unwrap();
    let list = |with_retracted| proto::ListBulletinsRequest {
        programme_id: PROGRAMME.to_owned(),
        with_retracted,
        page_size: 1,
        ..Default::default()
    };
    let standing = client.list_bulletins(list(false)).await.unwrap().into_inner();
    assert_eq!((standing.bulletins[0].title.as_str(), standing.next_page_token.as_str()), ("B3", ""));
    let first = client.list_bulletins(list(true)).await.unwrap().into_inner();
    assert_eq!((first.bulletins[0].title.as_str(), first.bulletins[0].retracted), ("B1", true));
    let next = proto::ListBulletinsRequest { page_token: first.next_page_token, ..list(true) };
    let second = client.list_bulletins(next).await.unwrap().into_inner();
    assert_eq!((second.bulletins[0].title.as_str(), second.next_page_token.as_str()), ("B3", ""));
}

async fn facts_of_one_request_have_ids_of_their_own(world: World) {
    let mut client = assignments(&world);
    let unnamed =
        proto::SubmitAssignmentRequest { request_id: String::new(), ..submit("A1", "", "11-04T10:00:00") };
    client.submit_assignment(unnamed).await.unwrap();
    client.submit_assignment(submit("A2", "R2", "11-05T10:00:00")).await.unwrap();
    let (first, second) = (submission(&world, "A1").await, submission(&world, "A2").await);
    assert_eq!((first.fact_id.len(), second.fact_id.as_str()), (32, "R2"));
    for (event, told) in world.events::<proto::AssignmentSubmitted>().await {
        let named = submission(&world, &told.submission_id).await.fact_id;
        assert_eq!(event.fact_id, named);
    }
    let told = fact(&world, "R2").await.fact.unwrap();
    assert_eq!((told.fact_id.as_str(), told.subject.as_str()), ("R2", "A2"));
    retract(&world, &first.fact_id).await;
    let retracted = world.events::<FactRetracted>().await;
    assert_eq!(retracted[0].1.fact.as_ref().unwrap().fact_id, first.fact_id);
    assert_eq!(retracted[0].0.occurred_at, instant("12-01T08:00:00"));
}

/// What is refused because of how things stand is the answer for as long as they stand so: the same request, sent again when
/// something of before it has come late or has been retracted, is taken.
async fn refusal_is_judged_anew_when_what_came_late_turns_it(world: World) {
    let mut client = assignments(&world);
    client.submit_assignment(submit("A1", "R1", "11-04T10:00:00")).await.unwrap();
    client.submit_assignment(submit("A2", "R2", "11-08T10:00:00")).await.unwrap();
    let late = review("A1", Grade::Pass, "R3", "11-09T10:00:00");
    for _ in 0..2 {
        assert_eq!(reason(client.review_submission(late.clone()).await), "SUPERSEDED");
    }
    // A mark of before, told at last, had kept the second from taking the first one's place.
    client.review_submission(review("A1", Grade::Excellent, "R4", "11-06T10:00:00")).await.unwrap();
    client.review_submission(late).await.unwrap();
    let first = submission(&world, "A1").await;
    assert_eq!((first.marks.len(), first.superseded_time), (2, None));

    let third = submit("A3", "R5", "11-10T10:00:00");
    assert_eq!(reason(client.submit_assignment(third.clone()).await), "ALREADY_GRADED");
    for wrong in ["R3", "R4"] {
        retract(&world, wrong).await;
    }
    client.submit_assignment(third).await.unwrap();
    assert_eq!(submission(&world, "A2").await.superseded_time, at("11-10T10:00:00"));
}
