//! Two ids of one person of whom others depend, merged, through the public API of all services: what a tutor owes about work of both ids of
//! a trainee, what a recommendation of either is, and two ids of one tutor, counselor or expert.

use anyhow::{Context as _, Result, ensure};
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        GetCountyScoreRequest, GetRecordRequest, GetTutorScoreRequest, ListChosenTutorsRequest,
        ListRecommendedTraineesRequest, ListTutorScoresRequest, duty_service_client::DutyServiceClient,
        honour_list_service_client::HonourListServiceClient, score_service_client::ScoreServiceClient,
    },
    assignment::v1::{
        Grade, ListMarkingRequest, PublishBulletinRequest, ReviewSubmissionRequest,
        assignment_service_client::AssignmentServiceClient, bulletin_service_client::BulletinServiceClient,
    },
    decisions::v1::{SubmitEvidenceRequest, evidence_service_client::EvidenceServiceClient},
    enrollment::v1::{
        self as enrollment, RosterRow, honour_service_client::HonourServiceClient,
        import_roster_request::Part, person_service_client::PersonServiceClient,
    },
};
use shipei_service_kit::status::reason_of;

use crate::harness::{Backend, KeptState, digest, embedded};
use crate::merged::{merge, until_digest};
use crate::places::{
    ANXIN, END, RONGCHENG, ask, at, id, identity_number, on_both, populate, retract, submit,
};

/// What a tutor is shown to mark, by id, and the late weeks, which are those of the score if that is the tutor's own.
async fn owed(clients: &Clients, tutor: &str, when: &str) -> Result<(String, i32)> {
    let request = ListMarkingRequest {
        programme_id: id(),
        tutor_id: tutor.to_owned(),
        as_of: at(when),
        ..Default::default()
    };
    let list = ask!(clients, AssignmentServiceClient, "assignment-grading", list_marking, request);
    let items = list.items.into_iter().filter_map(|item| item.submission);
    let items: Vec<String> = items.map(|submission| submission.submission_id).collect();
    let request = GetTutorScoreRequest { programme_id: id(), person_id: tutor.to_owned(), as_of: at(when) };
    let mut scores = ScoreServiceClient::new(clients.channel("assessment"));
    if let Ok(answer) = scores.get_tutor_score(clients.unary(request)).await {
        let scored = answer.into_inner().score.unwrap_or_default().late_weeks;
        ensure!(
            scored == list.late_weeks,
            "{tutor}: {} late weeks, and {scored} in the score",
            list.late_weeks
        );
    }
    Ok((items.join(" "), list.late_weeks))
}

async fn review(clients: &Clients, tutor: &str, submission_id: &str, grade: Grade, when: &str) -> Result<()> {
    let review = ReviewSubmissionRequest {
        programme_id: id(),
        tutor_id: tutor.to_owned(),
        submission_id: submission_id.to_owned(),
        grade: grade.into(),
        comment: "好".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    ask!(clients, AssignmentServiceClient, "assignment-grading", review_submission, review);
    Ok(())
}

async fn unite(clients: &Clients, fact_id: &str, kept: &str, merged: &str) -> Result<()> {
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge(fact_id, kept, merged));
    Ok(())
}

/// Work of an id that the other id's work has superseded is not owed, nor what came when the other one had been graded; and what is
/// disregarded by its own id counts for neither, whatever became of the work that it was disregarded for.
async fn work_of_both_is_owed_once(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    const THEN: &str = "2019-12-01T00:00:00Z";
    // A grade that is told late: what came when it had been given is kept and does not count.
    submit(&clients, "T3", "B3", "2019-11-24T00:00:00Z").await?;
    review(&clients, "U3", "A3", Grade::Pass, "2019-11-22T00:00:00Z").await?;
    submit(&clients, "T1", "B1", "2019-11-21T00:00:00Z").await?;
    let owed_by = |tutor: &'static str| owed(&clients, tutor, THEN);
    let apart = [("B1".to_owned(), 1), ("A2".to_owned(), 1), (String::new(), 0)];
    assert_eq!([owed_by("U1").await?, owed_by("U2").await?, owed_by("U3").await?], apart);

    // B1 of T1 is newer than A2 of T2.
    unite(&clients, "G1", "T2", "T1").await?;
    assert_eq!((owed_by("U1").await?.0.as_str(), owed_by("U2").await?.0.as_str()), ("B1", ""));
    // Before T1's it waited.
    assert_eq!(owed(&clients, "U2", "2019-11-20T12:00:00Z").await?.0, "A2");
    retract(&clients, "G1").await?;
    assert_eq!([owed_by("U1").await?, owed_by("U2").await?, owed_by("U3").await?], apart);

    // T1's B1 came before A3 was graded, and superseded it. B3, which T3 alone could not hand in any more, is none all the same.
    unite(&clients, "G2", "T1", "T3").await?;
    assert_eq!((owed_by("U1").await?.0.as_str(), owed_by("U3").await?.0.as_str()), ("B1", ""));
    retract(&clients, "G2").await?;
    review(&clients, "U1", "B1", Grade::Excellent, "2019-11-26T00:00:00Z").await?;
    submit(&clients, "T2", "B2", "2019-11-28T00:00:00Z").await?;
    assert_eq!(owed_by("U2").await?.0, "B2");
    // B1 had been graded excellent by then.
    unite(&clients, "G3", "T1", "T2").await?;
    assert_eq!((owed_by("U1").await?.0.as_str(), owed_by("U2").await?.0.as_str()), ("", ""));
    retract(&clients, "G3").await?;
    assert_eq!(owed_by("U2").await?.0, "B2");
    assert!(suite.stop().await);
    Ok(())
}

async fn recommend(clients: &Clients, tutor: &str, trainee: &str) -> Result<()> {
    let told = SubmitEvidenceRequest {
        programme_id: id(),
        person_id: tutor.to_owned(),
        duty: "ASSESS-TUTOR-RECOMMEND".to_owned(),
        text: "推荐".to_owned(),
        about_person_ids: vec![trainee.to_owned()],
        occurred_at: at("2019-12-22T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, EvidenceServiceClient, "assessment-decisions", submit_evidence, told);
    Ok(())
}

/// Who was recommended, in which class, by whom.
async fn recommended(clients: &Clients) -> Result<String> {
    let request = ListRecommendedTraineesRequest { programme_id: id(), ..Default::default() };
    let list =
        ask!(clients, HonourListServiceClient, "assessment", list_recommended_trainees, request).trainees;
    let row = |row: shipei_contracts::assessment::v1::RecommendedTrainee| {
        format!("{} {} {}", row.person_id, row.class_id, row.tutor_ids.join("+"))
    };
    Ok(list.into_iter().map(row).collect::<Vec<_>>().join(", "))
}

async fn chosen(clients: &Clients) -> Result<String> {
    let request = ListChosenTutorsRequest { programme_id: id(), ..Default::default() };
    let list = ask!(clients, HonourListServiceClient, "assessment", list_chosen_tutors, request).tutors;
    Ok(list.into_iter().map(|row| row.person_id).collect::<Vec<_>>().join(" "))
}

/// Items of a tutor's score with their points, at the end; or why there is none, and the id that counts.
async fn tutor(clients: &Clients, person: &str) -> Result<String> {
    let request = GetTutorScoreRequest { programme_id: id(), person_id: person.to_owned(), as_of: at(END) };
    let mut scores = ScoreServiceClient::new(clients.channel("assessment"));
    match scores.get_tutor_score(clients.unary(request)).await {
        Ok(answer) => {
            let score = answer.into_inner().score.unwrap_or_default();
            let items = score.items.iter().map(|item| (item.hundredths / 100).to_string());
            Ok(format!("{} late {}", items.collect::<Vec<_>>().join(" "), score.late_weeks))
        }
        Err(status) => Ok(refusal(&status)),
    }
}

fn refusal(status: &tonic::Status) -> String {
    let details = tonic_types::StatusExt::get_error_details(status);
    let kept = details.error_info().and_then(|info| info.metadata.get("kept_id")).cloned();
    format!("{} {}", reason_of(status).unwrap_or_default(), kept.unwrap_or_default())
}

async fn scored_tutors(clients: &Clients) -> Result<String> {
    let request = ListTutorScoresRequest { programme_id: id(), as_of: at(END), ..Default::default() };
    let list = ask!(clients, ScoreServiceClient, "assessment", list_tutor_scores, request).scores;
    Ok(list.into_iter().map(|row| row.person_id).collect::<Vec<_>>().join(" "))
}

/// The duties that somebody has done by the end; or why there is no record, and the id that counts.
async fn done(clients: &Clients, person: &str) -> Result<String> {
    let request =
        GetRecordRequest { programme_id: id(), person_id: person.to_owned(), as_of: at(END), role: 0 };
    let mut duties = DutyServiceClient::new(clients.channel("assessment"));
    match duties.get_record(clients.unary(request)).await {
        Ok(answer) => {
            let duties = answer.into_inner().record.unwrap_or_default().duties;
            let done = duties.into_iter().filter(|duty| duty.done_time.is_some()).map(|duty| duty.code);
            Ok(done.collect::<Vec<_>>().join(" "))
        }
        Err(status) => Ok(refusal(&status)),
    }
}

async fn counselors(clients: &Clients, county: &str) -> Result<String> {
    let request =
        GetCountyScoreRequest { programme_id: id(), county_code: county.to_owned(), as_of: at(END) };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_county_score, request).score;
    Ok(score.unwrap_or_default().counselor_ids.join(" "))
}

async fn publish(clients: &Clients, tutor: &str, class_id: &str, number: i32) -> Result<()> {
    let bulletin = PublishBulletinRequest {
        programme_id: id(),
        tutor_id: tutor.to_owned(),
        class_id: class_id.to_owned(),
        number,
        title: "简报".to_owned(),
        text: "本周研修情况".to_owned(),
        occurred_at: at("2019-10-20T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, BulletinServiceClient, "assignment-grading", publish_bulletin, bulletin);
    Ok(())
}

async fn enrol_experts(clients: &Clients) -> Result<()> {
    let rows = [("X1", 101), ("X2", 102)].map(|(person_id, number)| RosterRow {
        person_id: person_id.to_owned(),
        name: "专家".to_owned(),
        id_number: identity_number(number),
        role: "subject_expert".to_owned(),
        subject: "语文".to_owned(),
        ..RosterRow::default()
    });
    let parts = [
        Part::Header(enrollment::RosterHeader { programme_id: id(), ..Default::default() }),
        Part::Rows(enrollment::RosterRows { rows: rows.into() }),
    ];
    let messages = parts.map(|part| enrollment::ImportRosterRequest { part: Some(part) });
    let mut people = PersonServiceClient::new(clients.channel("enrollment"));
    let taken = people.import_roster(clients.request(tokio_stream::iter(messages))).await?;
    clients.note(&taken);
    ensure!(taken.get_ref().created == 2, "{:?}", taken.get_ref().results);
    Ok(())
}

/// What U1 and U2 do, and what is done about them: U2 marks its class's work and has both publish the first bulletin; U1 was trained
/// and chosen, by X2; each recommends a trainee of theirs.
async fn do_all(clients: &Clients) -> Result<()> {
    review(clients, "U2", "A2", Grade::Pass, "2019-11-21T00:00:00Z").await?;
    for (person, class_id) in [("U1", "L1"), ("U2", "L2")] {
        publish(clients, person, class_id, 1).await?;
    }
    let trained = enrollment::RecordPreJobTrainingRequest {
        programme_id: id(),
        person_id: "U1".to_owned(),
        occurred_at: at("2019-09-01T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", record_pre_job_training, trained);
    let counselor = enrollment::RecordPreJobTrainingRequest {
        programme_id: id(),
        person_id: "K2".to_owned(),
        occurred_at: at("2019-09-01T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", record_pre_job_training, counselor);
    let choice = enrollment::ChooseExcellentTutorRequest {
        programme_id: id(),
        expert_id: "X2".to_owned(),
        tutor_id: "U1".to_owned(),
        occurred_at: at("2019-12-22T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, HonourServiceClient, "enrollment", choose_excellent_tutor, choice);
    recommend(clients, "U1", "T1").await?;
    recommend(clients, "U2", "T2").await
}

/// Marking, three bulletins and the seminar; A1 is owed.
const U1_ALONE: &str = "0 10 0 0 0 late 1";
const U2_ALONE: &str = "60 10 0 0 0 late 0";
/// U2 with U1's class.
const BOTH: &str = "0 10 0 0 0 late 1";

async fn staff_with_two_ids_is_one(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    enrol_experts(&clients).await?;
    do_all(&clients).await?;
    assert_eq!(
        (tutor(&clients, "U1").await?.as_str(), tutor(&clients, "U2").await?.as_str()),
        (U1_ALONE, U2_ALONE)
    );
    assert_eq!(recommended(&clients).await?, "T1 L1 U1, T2 L2 U2");
    assert_eq!(chosen(&clients).await?, "U1");
    let (experts, counselor) = (done(&clients, "X2").await?, done(&clients, "K1").await?);
    ensure!(done(&clients, "X1").await?.is_empty() && !experts.is_empty(), "X2 has chosen");
    let apart = digest(&clients, &id()).await?;

    unite(&clients, "G1", "U2", "U1").await?;
    let merged = digest(&clients, &id()).await?;
    assert_eq!(
        (tutor(&clients, "U2").await?.as_str(), tutor(&clients, "U1").await?.as_str()),
        (BOTH, "PERSON_MERGED U2")
    );
    assert_eq!(scored_tutors(&clients).await?, "U2 U3");
    assert_eq!(chosen(&clients).await?, "U2");
    assert_eq!(recommended(&clients).await?, "T1 L1 U2, T2 L2 U2");
    assert_eq!(done(&clients, "U1").await?, "PERSON_MERGED U2");
    assert!(done(&clients, "U2").await?.contains("REPORT-TUTOR-TRAINING"), "{}", done(&clients, "U2").await?);
    // What both owe is one's; the other is shown its own class, since marks are given under its id.
    assert_eq!(owed(&clients, "U2", "2019-12-10T00:00:00Z").await?, ("A1".to_owned(), 1));
    assert_eq!(owed(&clients, "U1", "2019-12-10T00:00:00Z").await?.0, "A1");

    // A trainee who was recommended under two ids was recommended once.
    unite(&clients, "G2", "T1", "T2").await?;
    assert_eq!(recommended(&clients).await?, "T1 L1 U2");
    retract(&clients, "G2").await?;
    until_digest(&clients, &merged).await?;

    unite(&clients, "G3", "X1", "X2").await?;
    assert_eq!(
        (done(&clients, "X1").await?, done(&clients, "X2").await?.as_str()),
        (experts, "PERSON_MERGED X1")
    );
    assert_eq!(
        (counselors(&clients, RONGCHENG).await?, counselors(&clients, ANXIN).await?),
        ("K1".into(), "K2".into())
    );
    unite(&clients, "G4", "K1", "K2").await?;
    assert_eq!(
        (counselors(&clients, RONGCHENG).await?, counselors(&clients, ANXIN).await?),
        ("K1".into(), String::new())
    );
    assert_eq!(done(&clients, "K2").await?, "PERSON_MERGED K1");
    // K2 was trained.
    assert!(done(&clients, "K1").await?.len() > counselor.len(), "{}", done(&clients, "K1").await?);

    // What a tutor did can't count for a trainee.
    let mut people = PersonServiceClient::new(clients.channel("enrollment"));
    let refused = people.merge_persons(clients.unary(merge("", "T1", "U3"))).await;
    assert_eq!(
        reason_of(&refused.err().context("a tutor counts for a trainee")?).as_deref(),
        Some("ROLES_DIFFER")
    );

    for fact_id in ["G4", "G3", "G1"] {
        retract(&clients, fact_id).await?;
    }
    assert_eq!(digest(&clients, &id()).await?, apart);
    assert_eq!(
        (tutor(&clients, "U1").await?.as_str(), tutor(&clients, "U2").await?.as_str()),
        (U1_ALONE, U2_ALONE)
    );
    assert_eq!(
        (chosen(&clients).await?.as_str(), scored_tutors(&clients).await?.as_str()),
        ("U1", "U1 U2 U3")
    );
    assert_eq!(done(&clients, "K1").await?, counselor);
    assert!(suite.stop().await);

    // Told before all facts, and its retraction before another.
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    enrol_experts(&clients).await?;
    retract(&clients, "G0").await?;
    unite(&clients, "G0", "U3", "U2").await?;
    unite(&clients, "G1", "U2", "U1").await?;
    do_all(&clients).await?;
    until_digest(&clients, &merged).await?;
    assert_eq!(tutor(&clients, "U2").await?, BOTH);
    retract(&clients, "G1").await?;
    until_digest(&clients, &apart).await?;
    assert!(suite.stop().await);
    Ok(())
}

on_both! {
    work_of_both_is_owed_once,
    staff_with_two_ids_is_one,
}
