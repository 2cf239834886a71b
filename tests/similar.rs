//! Near-identical work and comments that are given again and again, through the public API of a whole suite: what is found, what two works
//! share, and what falls when one is retracted or turns out to be the same person's.

use std::time::Duration;

use anyhow::{Result, ensure};
use shipei_client::client::Clients;
use shipei_contracts::{
    assignment::v1::{
        CompareSubmissionsRequest, GetSubmissionRequest, ListRepeatedCommentsRequest,
        ListSimilarSubmissionsRequest, ReturnSubmissionRequest, SubmitAssignmentRequest,
        assignment_service_client::AssignmentServiceClient,
        similarity_service_client::SimilarityServiceClient,
    },
    enrollment::v1::person_service_client::PersonServiceClient,
};
use shipei_service_kit::status::reason_of;

use crate::{
    harness::{Backend, KeptState, embedded},
    merged::merge,
    places::{ask, at, id, on_both, populate, retract_from},
};

/// A lesson plan, and the same with other signs and one sentence of its own.
const PLAN: &str = "教学目标：理解父亲的爱子之情，体会作者对父亲的怀念。教学重点：品味描写背影的语句，学习抓住特征写人的方法。\
                    教学过程：导入新课，朗读课文，整体感知，精读第六段，讨论望父买橘一节为什么最动人，归纳主旨，布置作业。";
const COPY: &str = "一、教学目标\n理解父亲的爱子之情 体会作者对父亲的怀念；\n二、教学重点\n品味描写背影的语句 学习抓住特征写人的方法；\n\
                    教学过程：导入新课，朗读课文，整体感知，精读第六段，讨论望父买橘一节为什么最动人，归纳主旨，布置作业。";
const OTHER: &str = "勾股定理的证明与应用：用拼图的方法说明直角三角形两直角边的平方和等于斜边的平方，再由学生举出生活中的例子，\
                     最后分组完成练习并互相讲评，教师小结数形结合的思想，课后请同学们查阅古代算书中的记载并写一篇短文。";

async fn submit(clients: &Clients, number: usize, submission_id: &str, text: &str, when: &str) -> Result<()> {
    let work = SubmitAssignmentRequest {
        programme_id: id(),
        person_id: format!("T{number}"),
        submission_id: submission_id.to_owned(),
        kind: "lesson_plan".to_owned(),
        title: "教学设计".to_owned(),
        text: text.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    ask!(clients, AssignmentServiceClient, "assignment-grading", submit_assignment, work);
    Ok(())
}

/// Which works are like which others.
async fn similar(clients: &Clients, min_percent: i32) -> Result<Vec<String>> {
    let request = ListSimilarSubmissionsRequest { programme_id: id(), min_percent, ..Default::default() };
    let page =
        ask!(clients, SimilarityServiceClient, "assignment-grading", list_similar_submissions, request);
    ensure!(page.next_page_token.is_empty() && page.broken.is_empty(), "{page:?}");
    let shown = page.pairs.iter().map(|pair| {
        let later = if pair.later { "after" } else { "before" };
        let work = pair.submission.clone().unwrap_or_default();
        format!("{} {later} {}", work.submission_id, pair.other_submission_id)
    });
    Ok(shown.collect())
}

/// The same once they are as expected, or what they are by then: works are compared in the background.
async fn until_similar(clients: &Clients, expected: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for _ in 0..200 {
        found = similar(clients, 0).await?;
        if found == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(found)
}

async fn copied_work_is_found_with_what_it_shares(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    submit(&clients, 1, "A11", PLAN, "2019-11-21T00:00:00Z").await?;
    submit(&clients, 3, "A13", OTHER, "2019-11-21T00:00:00Z").await?;
    submit(&clients, 2, "A12", COPY, "2019-11-22T00:00:00Z").await?;
    let both = ["A11 before A12", "A12 after A11"];
    assert_eq!(until_similar(&clients, &both).await?, both, "{backend:?}");
    assert!(similar(&clients, 100).await?.is_empty());

    let compare = |own: &str, other: &str| CompareSubmissionsRequest {
        programme_id: id(),
        submission_id: own.to_owned(),
        other_submission_id: other.to_owned(),
    };
    let compared = ask!(
        clients,
        SimilarityServiceClient,
        "assignment-grading",
        compare_submissions,
        compare("A12", "A11")
    );
    assert!((70..100).contains(&compared.percent), "{compared:?}");
    let last = compared.passages.last().cloned().unwrap_or_default();
    assert!(last.text.starts_with("教学重点\n品味") && last.text.ends_with("布置作业"), "{last:?}");
    let from = usize::try_from(last.other_from.unwrap_or_default())?;
    let there: String = compared.other.unwrap_or_default().text.chars().skip(from).collect();
    assert!(there.starts_with("教学重点：品味描写背影的语句，学习抓住特征"), "{there}");
    // Nobody tries a work out against one that it was not found to be like.
    let mut client = SimilarityServiceClient::new(clients.channel("assignment-grading"));
    let refused = client.compare_submissions(clients.unary(compare("A12", "A13"))).await.unwrap_err();
    assert_eq!(reason_of(&refused).as_deref(), Some("NOT_FOUND"));

    // A newer work takes the place of the copy, which then is not looked at any more.
    submit(&clients, 2, "A22", OTHER, "2019-11-23T00:00:00Z").await?;
    let other = ["A13 before A22", "A22 after A13", "A11 before A12"];
    assert_eq!(until_similar(&clients, &other).await?, other, "{backend:?}");
    // Who turns out to be one person has copied from nobody; and what is retracted was never there.
    let merging = merge("M1", "T2", "T3");
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merging);
    assert_eq!(until_similar(&clients, &other[2..]).await?, &other[2..], "{backend:?}");
    retract_from(&clients, "assignment-grading", &fact_of(&clients, "A12").await?).await?;
    assert!(similar(&clients, 0).await?.is_empty(), "{backend:?}");
    assert!(suite.stop().await);
    Ok(())
}

/// The fact by which a submission was told.
async fn fact_of(clients: &Clients, submission_id: &str) -> Result<String> {
    let request = GetSubmissionRequest { programme_id: id(), submission_id: submission_id.to_owned() };
    let found = ask!(clients, AssignmentServiceClient, "assignment-grading", get_submission, request);
    Ok(found.submission.unwrap_or_default().fact_id)
}

async fn one_comment_on_many_works_is_told(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    for (work, comment, hour) in
        [("A1", "很好", 1), ("A31", "很好", 3), ("A32", "很好", 5), ("A32", "再想想", 6)]
    {
        if work != "A1" && comment == "很好" {
            submit(&clients, 1, work, "", &format!("2019-11-25T0{}:00:00Z", hour - 1)).await?;
        }
        let returned = ReturnSubmissionRequest {
            programme_id: id(),
            tutor_id: "U1".to_owned(),
            submission_id: work.to_owned(),
            comment: comment.to_owned(),
            occurred_at: at(&format!("2019-11-25T0{hour}:00:00Z")),
            ..Default::default()
        };
        ask!(clients, AssignmentServiceClient, "assignment-grading", return_submission, returned);
    }
    let list = |min_times: i32, region_code: &str| ListRepeatedCommentsRequest {
        programme_id: id(),
        min_times,
        region_code: region_code.to_owned(),
        ..Default::default()
    };
    for (min_times, region, expected) in
        [(3, "", Some(3)), (2, "130629", Some(3)), (2, "130302", None), (4, "", None), (0, "", None)]
    {
        let request = list(min_times, region);
        let page =
            ask!(clients, SimilarityServiceClient, "assignment-grading", list_repeated_comments, request);
        let found = page.comments.first();
        assert_eq!(found.map(|comment| comment.times), expected, "{min_times} {region} {backend:?}");
        if let Some(comment) = found {
            assert_eq!((comment.tutor_id.as_str(), comment.comment.as_str()), ("U1", "很好"));
            assert_ne!(comment.first_marked_time, comment.last_marked_time);
        }
    }
    assert!(suite.stop().await);
    Ok(())
}

on_both!(copied_work_is_found_with_what_it_shares, one_comment_on_many_works_is_told);
