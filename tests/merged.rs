//! Two ids of one trainee, merged, through the public API of all services: facts of both count for one, nothing twice, whatever was
//! told first, and both are two again when the merge is retracted.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shipei::suite::forget_learned;
use shipei_client::client::{Clients, SERVICES};
use shipei_contracts::{
    assessment::v1::{
        GetCountyScoreRequest, GetTraineeScoreRequest, ListTraineeScoresRequest,
        score_service_client::ScoreServiceClient,
    },
    assignment::v1::{
        Grade, OpenSeminarRequest, PostToSeminarRequest, ReviewSubmissionRequest,
        assignment_service_client::AssignmentServiceClient, seminar_service_client::SeminarServiceClient,
    },
    enrollment::v1::{self as enrollment, person_service_client::PersonServiceClient},
    learning::v1::{
        GetProgressRequest, GetProgressResponse, GrantTimeRequest, RecordHeartbeatRequest,
        study_service_client::StudyServiceClient,
    },
};
use shipei_service_kit::status::reason_of;
use shipei_store::PoolLimits;

use crate::harness::{Backend, KeptState, digest, embedded};
use crate::places::{ANXIN, END, RONGCHENG, ask, at, id, marking, on_both, populate, retract, submit};

pub(crate) fn merge(fact_id: &str, kept: &str, merged: &str) -> enrollment::MergePersonsRequest {
    enrollment::MergePersonsRequest {
        programme_id: id(),
        person_id: kept.to_owned(),
        merged_id: merged.to_owned(),
        reason: "同一人两次报名".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    }
}

async fn remove(clients: &Clients, person: &str, fact_id: &str) -> Result<()> {
    let request = enrollment::RemovePersonRequest {
        programme_id: id(),
        person_id: person.to_owned(),
        reason: "误报".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", remove_person, request);
    Ok(())
}

/// Half an hour and a quarter of study, beat by beat: of the first course, from a moment on.
async fn study(clients: &Clients, person: &str, session: &str, from: &str, beats: i64) -> Result<()> {
    for seq in 0..beats {
        let begun = at(from).context("a time")?;
        let beat = RecordHeartbeatRequest {
            programme_id: id(),
            person_id: person.to_owned(),
            course_id: "P1".to_owned(),
            session_id: session.to_owned(),
            seq,
            occurred_at: Some(prost_types::Timestamp { seconds: begun.seconds + 30 * seq, ..begun }),
        };
        ask!(clients, StudyServiceClient, "learning-progress", record_heartbeat, beat);
    }
    Ok(())
}

/// What T1 and T2 do, who are one person: ten minutes of study by each, of which five are the same; time granted to both; work of
/// each, of which the later one of T2 is the better; a post of T2's.
async fn do_all(clients: &Clients) -> Result<()> {
    study(clients, "T1", "S1", "2019-10-01T02:00:00Z", 21).await?;
    study(clients, "T2", "S1", "2019-10-01T02:05:00Z", 21).await?;
    for (person, seconds) in [("T1", 2_400), ("T2", 2_000)] {
        let grant = GrantTimeRequest {
            programme_id: id(),
            person_id: person.to_owned(),
            course_id: "P1".to_owned(),
            grant_id: "G1".to_owned(),
            seconds,
            reason: "播放器故障".to_owned(),
            evidence: "工单 1".to_owned(),
            occurred_at: at("2019-10-05T02:00:00Z"),
            ..Default::default()
        };
        ask!(clients, StudyServiceClient, "learning-progress", grant_time, grant);
    }
    submit(clients, "T2", "B2", "2019-11-28T00:00:00Z").await?;
    let review = ReviewSubmissionRequest {
        programme_id: id(),
        tutor_id: "U2".to_owned(),
        submission_id: "B2".to_owned(),
        grade: Grade::Excellent.into(),
        comment: "好".to_owned(),
        occurred_at: at("2019-11-29T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, AssignmentServiceClient, "assignment-grading", review_submission, review);
    let seminar = OpenSeminarRequest {
        programme_id: id(),
        tutor_id: "U2".to_owned(),
        class_id: "L2".to_owned(),
        seminar_id: "M2".to_owned(),
        topic: "教学".to_owned(),
        occurred_at: at("2019-12-02T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, SeminarServiceClient, "assignment-grading", open_seminar, seminar);
    let post = PostToSeminarRequest {
        programme_id: id(),
        person_id: "T2".to_owned(),
        seminar_id: "M2".to_owned(),
        text: "课堂提问应当给学生留出思考时间并追问其理由。".repeat(20),
        occurred_at: at("2019-12-03T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, SeminarServiceClient, "assignment-grading", post_to_seminar, post);
    Ok(())
}

/// What a trainee's items count, in whole points, and the total; or the reason of a refusal and the id that counts.
async fn score(clients: &Clients, person: &str) -> Result<String> {
    let request = GetTraineeScoreRequest { programme_id: id(), person_id: person.to_owned(), as_of: at(END) };
    let mut scores = ScoreServiceClient::new(clients.channel("assessment"));
    match scores.get_trainee_score(clients.unary(request)).await {
        Ok(answer) => {
            let score = answer.into_inner().score.unwrap_or_default();
            let items = score.items.iter().map(|item| format!("{} {}", item.name, item.hundredths / 100));
            Ok(items.collect::<Vec<_>>().join(", "))
        }
        Err(status) => {
            let details = tonic_types::StatusExt::get_error_details(&status);
            let kept = details.error_info().and_then(|info| info.metadata.get("kept_id")).cloned();
            Ok(format!("{} {}", reason_of(&status).unwrap_or_default(), kept.unwrap_or_default()))
        }
    }
}

/// Waits until something is as expected: what learning-progress reads anew reaches assessment in the background.
async fn until(clients: &Clients, person: &str, expected: &str) -> Result<()> {
    let mut found = String::new();
    for _ in 0..200 {
        found = score(clients, person).await?;
        if found == expected {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(found == expected, "{person}: {found}, and not {expected}");
    Ok(())
}

/// Waits until the digest of all scores is as expected.
pub(crate) async fn until_digest(clients: &Clients, expected: &str) -> Result<()> {
    let mut found = String::new();
    for _ in 0..200 {
        // Who learns everything anew knows of nothing yet.
        found = digest(clients, &id()).await.unwrap_or_default();
        if found == expected {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(found == expected, "the digest is another");
    Ok(())
}

async fn progress(clients: &Clients, person: &str) -> Result<GetProgressResponse> {
    let request = GetProgressRequest { programme_id: id(), person_id: person.to_owned() };
    Ok(ask!(clients, StudyServiceClient, "learning-progress", get_progress, request))
}

async fn active(clients: &Clients, county: &str) -> Result<i32> {
    let request =
        GetCountyScoreRequest { programme_id: id(), county_code: county.to_owned(), as_of: at(END) };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_county_score, request).score;
    Ok(score.unwrap_or_default().active_trainees)
}

/// T1 alone: neither half of the course, work that nobody marked.
const T1_ALONE: &str = "phase_1 0, phase_2 0, assignment 0, seminar 0, offline 0";
const T2_ALONE: &str = "phase_1 0, phase_2 0, assignment 30, seminar 10, offline 0";
/// Both: 900 seconds of beats and 4,400 by hand are not yet the 5,400 of the course.
const BOTH: &str = "phase_1 0, phase_2 0, assignment 30, seminar 10, offline 0";
/// And with a hundred seconds more they are.
const BOTH_COMPLETE: &str = "phase_1 10, phase_2 0, assignment 30, seminar 10, offline 0";
const COUNTS_FOR_T1: &str = "PERSON_MERGED T1";

async fn facts_of_both_count_for_one(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    do_all(&clients).await?;
    assert_eq!(score(&clients, "T1").await?, T1_ALONE);
    assert_eq!(score(&clients, "T2").await?, T2_ALONE);
    let apart = digest(&clients, &id()).await?;
    assert_eq!((active(&clients, RONGCHENG).await?, active(&clients, ANXIN).await?), (1, 1));
    // A1 and A2 are of one moment; neither is marked, B2 superseded A2.
    assert_eq!((marking(&clients, "U1").await?, marking(&clients, "U2").await?), (0, 60));

    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge("G1", "T1", "T2"));
    until(&clients, "T1", BOTH).await?;
    assert_eq!(score(&clients, "T2").await?, COUNTS_FOR_T1);
    assert_eq!((active(&clients, RONGCHENG).await?, active(&clients, ANXIN).await?), (1, 0));
    // The newest of both superseded A1: nothing is owed.
    assert_eq!((marking(&clients, "U1").await?, marking(&clients, "U2").await?), (60, 60));
    let listed = ListTraineeScoresRequest { programme_id: id(), as_of: at(END), ..Default::default() };
    let listed = ask!(clients, ScoreServiceClient, "assessment", list_trainee_scores, listed).scores;
    let listed: Vec<&str> = listed.iter().map(|score| score.person_id.as_str()).collect();
    assert_eq!(listed, ["T1", "T3"]);
    // Five minutes of both are one's, and each id keeps its own.
    let (both, own) = (progress(&clients, "T1").await?, progress(&clients, "T2").await?);
    assert_eq!(both.courses[0].credited_seconds, 600 + 300 + 2_400 + 2_000);
    assert_eq!((own.courses[0].credited_seconds, own.counts_for_id.as_str()), (2_600, "T1"));
    let person = enrollment::GetPersonRequest { programme_id: id(), person_id: "T2".to_owned() };
    let person = ask!(clients, PersonServiceClient, "enrollment", get_person, person).person;
    let person = person.unwrap_or_default();
    assert_eq!((person.counts_for_id.as_str(), person.merge_fact_id.as_str()), ("T1", "G1"));

    // What is recorded of the other id afterwards counts for the one as well: a hundred seconds more, of which T1's are not new.
    study(&clients, "T1", "S2", "2019-10-01T02:06:00Z", 5).await?;
    study(&clients, "T2", "S2", "2019-10-02T02:00:00Z", 5).await?;
    until(&clients, "T1", BOTH_COMPLETE).await?;
    let achieved = progress(&clients, "T1").await?.phases[0].achieved_time.map(|time| time.to_string());
    assert_eq!(achieved.as_deref(), Some("2019-10-05T02:00:00Z"));
    let merged = digest(&clients, &id()).await?;

    retract(&clients, "G1").await?;
    until(&clients, "T1", T1_ALONE).await?;
    until(&clients, "T2", T2_ALONE).await?;
    assert_eq!(digest(&clients, &id()).await?, apart);
    assert_eq!((marking(&clients, "U1").await?, marking(&clients, "U2").await?), (0, 60));
    // Merged the other way round, T2 is who they are; and again as before.
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge("G2", "T2", "T1"));
    until(&clients, "T2", BOTH_COMPLETE).await?;
    assert_eq!((active(&clients, RONGCHENG).await?, active(&clients, ANXIN).await?), (0, 1));
    retract(&clients, "G2").await?;
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge("G3", "T1", "T2"));
    until(&clients, "T1", BOTH_COMPLETE).await?;
    assert_eq!(digest(&clients, &id()).await?, merged);
    assert!(suite.stop().await);

    // Everybody learns everything anew.
    for service in SERVICES {
        forget_learned(service, &place.storage, PoolLimits::default()).await?;
    }
    let (suite, clients) = embedded(&place).await?;
    until(&clients, "T1", BOTH_COMPLETE).await?;
    assert_eq!(score(&clients, "T2").await?, COUNTS_FOR_T1);
    until_digest(&clients, &merged).await?;
    assert!(suite.stop().await);

    // Told before all facts, and its retraction before it.
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    retract(&clients, "G0").await?;
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge("G0", "T1", "T2"));
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge("G1", "T1", "T2"));
    do_all(&clients).await?;
    study(&clients, "T1", "S2", "2019-10-01T02:06:00Z", 5).await?;
    study(&clients, "T2", "S2", "2019-10-02T02:00:00Z", 5).await?;
    until(&clients, "T1", BOTH_COMPLETE).await?;
    until_digest(&clients, &merged).await?;
    retract(&clients, "G1").await?;
    until(&clients, "T2", T2_ALONE).await?;
    until_digest(&clients, &apart).await?;
    assert!(suite.stop().await);
    Ok(())
}

/// Who is removed is nobody, and nobody counts for them; and no chains are made.
async fn merges_and_removals_meet(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    do_all(&clients).await?;
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge("G1", "T1", "T2"));
    for (kept, merged, field) in
        [("T1", "T2", "merged_id"), ("T3", "T1", "merged_id"), ("T2", "T3", "person_id")]
    {
        let mut people = PersonServiceClient::new(clients.channel("enrollment"));
        let refused = people.merge_persons(clients.unary(merge("", kept, merged))).await;
        let status = refused.err().context("a chain is made")?;
        let details = tonic_types::StatusExt::get_error_details(&status);
        let named = details.precondition_failure().and_then(|failure| failure.violations.first());
        let named = named.map(|violation| violation.subject.clone());
        assert_eq!(reason_of(&status).as_deref(), Some("PERSON_MERGED"), "{kept} {merged}");
        assert_eq!(named.as_deref(), Some(field), "{details:?}");
    }
    for (person, merged, expected) in [("T2", "", T1_ALONE), ("T1", T2_ALONE, "NOT_FOUND ")] {
        remove(&clients, person, &format!("X{person}")).await?;
        until(&clients, "T1", expected).await?;
        until(&clients, "T2", if merged.is_empty() { "NOT_FOUND " } else { merged }).await?;
        retract(&clients, &format!("X{person}")).await?;
        until(&clients, "T1", BOTH).await?;
        until(&clients, "T2", COUNTS_FOR_T1).await?;
    }
    // Whether another id had answered for their work or not: of who is nobody nothing is owed.
    retract(&clients, "G1").await?;
    submit(&clients, "T1", "B1", "2019-11-25T00:00:00Z").await?;
    remove(&clients, "T1", "X1").await?;
    let alone = digest(&clients, &id()).await?;
    retract(&clients, "X1").await?;
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge("G2", "T3", "T1"));
    assert_eq!(score(&clients, "T1").await?, "PERSON_MERGED T3");
    assert_eq!(marking(&clients, "U1").await?, 0);
    remove(&clients, "T1", "X2").await?;
    assert_eq!(digest(&clients, &id()).await?, alone);
    assert!(suite.stop().await);
    Ok(())
}

on_both! {
    facts_of_both_count_for_one,
    merges_and_removals_meet,
}
