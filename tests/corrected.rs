//! People put right, removed and back, through the public API of all five services: what follows in study and in scores.

use std::time::Duration;

use anyhow::Result;
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        GetCountyScoreRequest, GetTraineeScoreRequest, GetTutorScoreRequest,
        score_service_client::ScoreServiceClient,
    },
    assignment::v1::{
        GetSubmissionRequest, Grade, ReviewSubmissionRequest,
        assignment_service_client::AssignmentServiceClient,
    },
    common::v1::EducationStage,
    enrollment::v1::{
        self as enrollment, extension_service_client::ExtensionServiceClient,
        person_service_client::PersonServiceClient, region_service_client::RegionServiceClient,
    },
    learning::v1::{
        CorrectCourseRequest, Course, CourseCategory, CourseTerms, CreateCourseRequest, GetProgressRequest,
        GrantTimeRequest, RetireCourseRequest, course_service_client::CourseServiceClient,
        study_service_client::StudyServiceClient,
    },
};
use shipei_service_kit::status::reason_of;

use crate::harness::{Backend, KeptState, embedded};
use crate::places::{END, RONGCHENG, ask, assignment, at, id, on_both, populate, retract, retract_from};

/// When T1 achieved the first phase; empty when they did not.
async fn achieved(clients: &Clients) -> Result<String> {
    let request = GetProgressRequest { programme_id: id(), person_id: "T1".to_owned() };
    let progress = ask!(clients, StudyServiceClient, "learning-progress", get_progress, request);
    Ok(progress.phases[0].achieved_time.map(|time| time.to_string()).unwrap_or_default())
}

/// When T1 achieved the first phase, and the points of it at the end once they are as expected: what study comes to reaches
/// assessment by learning-progress, which no token of enrollment waits for.
async fn phase(clients: &Clients, expected: i32) -> Result<(String, i32)> {
    let achieved = achieved(clients).await?;
    let mut points = phase_points(clients).await?;
    for _ in 0..200 {
        if points == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        points = phase_points(clients).await?;
    }
    Ok((achieved, points))
}

/// The points of T1's first phase at the end, in hundredths.
async fn phase_points(clients: &Clients) -> Result<i32> {
    let request = GetTraineeScoreRequest { programme_id: id(), person_id: "T1".to_owned(), as_of: at(END) };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_trainee_score, request).score;
    let items = score.unwrap_or_default().items;
    Ok(items.iter().find(|item| item.name == "phase_1").map_or(-1, |item| item.hundredths))
}

fn teaches(subject: &str, fact_id: &str, since: &str) -> enrollment::CorrectPersonRequest {
    enrollment::CorrectPersonRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        subject: Some(subject.to_owned()),
        since_time: at(since),
        reason: "学科有误".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    }
}

/// The main line of who teaches something else is another, always or from a day on, and what was achieved by it follows.
async fn main_line_follows_what_somebody_teaches(backend: Backend) -> Result<()> {
    const STUDIED: &str = "2019-10-01T02:00:00Z";
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    let maths = Course {
        course_id: "P2".to_owned(),
        title: "数学公共课".to_owned(),
        category: CourseCategory::Public.into(),
        main_line: true,
        length_seconds: 600,
        subject: "数学".to_owned(),
        ..Course::default()
    };
    let maths = CreateCourseRequest { programme_id: id(), course: Some(maths), ..Default::default() };
    ask!(clients, CourseServiceClient, "learning-progress", create_course, maths);
    let grant = GrantTimeRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        course_id: "P1".to_owned(),
        grant_id: "G1".to_owned(),
        seconds: 5400,
        reason: "播放器故障".to_owned(),
        evidence: "工单 1".to_owned(),
        occurred_at: at(STUDIED),
        ..Default::default()
    };
    ask!(clients, StudyServiceClient, "learning-progress", grant_time, grant);
    let studied = at(STUDIED).map(|time| time.to_string()).unwrap_or_default();
    assert_eq!(phase(&clients, 1_000).await?, (studied.clone(), 1_000));
    for (request, expected) in [
        (teaches("数学", "C1", ""), ("", 0)),
        (teaches("数学", "C2", "2019-10-10T02:00:00Z"), (studied.as_str(), 1_000)),
        (teaches("数学", "C3", "2019-09-20T02:00:00Z"), ("", 0)),
        // Who teaches two subjects is asked for the courses of either.
        (teaches("英语／数学", "C6", ""), ("", 0)),
        (teaches("英语, 语文", "C7", ""), (studied.as_str(), 1_000)),
    ] {
        let fact_id = request.request_id.clone();
        ask!(clients, PersonServiceClient, "enrollment", correct_person, request);
        let found = phase(&clients, expected.1).await?;
        assert_eq!((found.0.as_str(), found.1), expected, "{fact_id} on {backend:?}");
        retract(&clients, &fact_id).await?;
        let found = phase(&clients, 1_000).await?;
        assert_eq!(found, (studied.clone(), 1_000), "without {fact_id} on {backend:?}");
    }
    // English from the 20th on: the first phase had been achieved before. Who had taught maths until then has done by that day
    // what English asks.
    let request = teaches("英语", "C4", "2019-10-20T02:00:00Z");
    ask!(clients, PersonServiceClient, "enrollment", correct_person, request);
    assert_eq!(achieved(&clients).await?, studied);
    ask!(clients, PersonServiceClient, "enrollment", correct_person, teaches("数学", "C5", ""));
    let turned = at("2019-10-20T02:00:00Z").map(|time| time.to_string()).unwrap_or_default();
    assert_eq!(phase(&clients, 1_000).await?, (turned, 1_000), "{backend:?}");
    assert!(suite.stop().await);
    Ok(())
}

/// A course that turns out to be longer, is longer from a day on, or is retired: what was achieved by it follows, and the score.
async fn score_follows_what_a_course_is(backend: Backend) -> Result<()> {
    const STUDIED: &str = "2019-10-01T02:00:00Z";
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    let other = Course {
        course_id: "P2".to_owned(),
        title: "公共课二".to_owned(),
        category: CourseCategory::Public.into(),
        main_line: true,
        length_seconds: 600,
        ..Course::default()
    };
    let other = CreateCourseRequest { programme_id: id(), course: Some(other), ..Default::default() };
    let grant = GrantTimeRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        course_id: "P1".to_owned(),
        grant_id: "G1".to_owned(),
        seconds: 5400,
        reason: "播放器故障".to_owned(),
        evidence: "工单 1".to_owned(),
        occurred_at: at(STUDIED),
        ..Default::default()
    };
    ask!(clients, StudyServiceClient, "learning-progress", grant_time, grant);
    let studied = at(STUDIED).map(|time| time.to_string()).unwrap_or_default();
    assert_eq!(settled_phase(&clients, &studied, 1_000).await?, (studied.clone(), 1_000));
    let longer = |fact_id: &str, since: &str| CorrectCourseRequest {
        programme_id: id(),
        course_id: "P1".to_owned(),
        terms: Some(CourseTerms { length_seconds: Some(6_000), ..CourseTerms::default() }),
        since_time: at(since),
        reason: "片长有误".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    };
    for (request, expected) in
        [(longer("C1", ""), ("", 0)), (longer("C2", "2019-10-10T02:00:00Z"), (studied.as_str(), 1_000))]
    {
        let fact_id = request.request_id.clone();
        ask!(clients, CourseServiceClient, "learning-progress", correct_course, request);
        let found = settled_phase(&clients, expected.0, expected.1).await?;
        assert_eq!((found.0.as_str(), found.1), expected, "{fact_id} on {backend:?}");
        retract_from(&clients, "learning-progress", &fact_id).await?;
        let found = settled_phase(&clients, &studied, 1_000).await?;
        assert_eq!(found, (studied.clone(), 1_000), "without {fact_id} on {backend:?}");
    }
    // With a second course that is asked the first had not been all, until that is retired.
    ask!(clients, CourseServiceClient, "learning-progress", create_course, other);
    let retired = "2019-10-20T02:00:00Z";
    let retire = RetireCourseRequest {
        programme_id: id(),
        course_id: "P2".to_owned(),
        since_time: at(retired),
        reason: "课程下线".to_owned(),
        request_id: "C3".to_owned(),
        ..Default::default()
    };
    ask!(clients, CourseServiceClient, "learning-progress", retire_course, retire);
    let turned = at(retired).map(|time| time.to_string()).unwrap_or_default();
    assert_eq!(settled_phase(&clients, &turned, 1_000).await?, (turned, 1_000), "{backend:?}");
    assert!(suite.stop().await);
    Ok(())
}

/// As `phase`, once learning-progress says the moment that is expected: everybody is read anew behind a change of a course.
async fn settled_phase(clients: &Clients, moment: &str, points: i32) -> Result<(String, i32)> {
    for _ in 0..200 {
        if achieved(clients).await? == moment {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    phase(clients, points).await
}

/// Active trainees of the county of T1, whether its plan is earned, and the points of the tutor's marking, at a time.
async fn county(clients: &Clients, when: &str) -> Result<(i32, bool, i32)> {
    let request =
        GetCountyScoreRequest { programme_id: id(), county_code: RONGCHENG.to_owned(), as_of: at(when) };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_county_score, request).score;
    let score = score.unwrap_or_default();
    let active = score.active_trainees;
    let plan = score.items.iter().find(|item| item.name.starts_with("plan:"));
    let has_plan = plan.is_some_and(|plan| plan.name == "plan:compulsory" && plan.hundredths > 0);
    let request = GetTutorScoreRequest { programme_id: id(), person_id: "U1".to_owned(), as_of: at(when) };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_tutor_score, request).score;
    let items = score.unwrap_or_default().items;
    let marking = items.iter().find(|item| item.name == "marking").map_or(-1, |item| item.hundredths / 100);
    Ok((active, has_plan, marking))
}

/// Whether T1 has a score at a time, is withdrawn, or is nobody.
async fn standing(clients: &Clients, when: &str) -> Result<&'static str> {
    let request = GetTraineeScoreRequest { programme_id: id(), person_id: "T1".to_owned(), as_of: at(when) };
    let mut client = ScoreServiceClient::new(clients.channel("assessment"));
    match client.get_trainee_score(clients.unary(request)).await {
        Ok(response) if response.get_ref().withdrawn => Ok("withdrawn"),
        Ok(response) if response.get_ref().score.is_some() => Ok("scored"),
        Ok(_) => Ok("nothing"),
        Err(status) => {
            assert_eq!(reason_of(&status).as_deref(), Some("NOT_FOUND"));
            Ok("nobody")
        }
    }
}

/// Nobody is owed anything about who was never there, and about who is away when it is due.
async fn scores_follow_who_is_there(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    // T1's assignment is not marked.
    let as_enrolled = (1, true, 0);
    assert_eq!(county(&clients, END).await?, as_enrolled);
    let other_stage = enrollment::CorrectPersonRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        education_stage: EducationStage::NonCompulsory.into(),
        since_time: at("2019-12-01T00:00:00Z"),
        reason: "转到高中".to_owned(),
        request_id: "C1".to_owned(),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", correct_person, other_stage);
    // The plan was one for the stage of before.
    assert!(county(&clients, "2019-11-30T23:59:59Z").await?.1);
    assert_eq!(county(&clients, END).await?, (1, false, 0));
    retract(&clients, "C1").await?;
    assert_eq!(county(&clients, END).await?, as_enrolled);

    let remove = enrollment::RemovePersonRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        reason: "误报".to_owned(),
        request_id: "X1".to_owned(),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", remove_person, remove);
    assert_eq!(county(&clients, END).await?, (0, false, 60));
    assert_eq!(county(&clients, "2019-11-30T00:00:00Z").await?.0, 0);
    assert_eq!(standing(&clients, END).await?, "nobody");
    retract(&clients, "X1").await?;
    assert_eq!(county(&clients, END).await?, as_enrolled);

    let withdraw = enrollment::WithdrawTraineeRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        reason: "产假".to_owned(),
        request_id: "W1".to_owned(),
        occurred_at: at("2019-11-22T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", withdraw_trainee, withdraw);
    assert_eq!(county(&clients, END).await?, (0, false, 60));
    let back = |fact_id: &str, when: &str| enrollment::ReturnTraineeRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        reason: "产假结束".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    // Back before reviews end: the mark is owed. Back behind their end: nobody could have marked by then.
    ask!(clients, PersonServiceClient, "enrollment", return_trainee, back("R1", "2019-12-01T00:00:00Z"));
    assert_eq!(county(&clients, END).await?, as_enrolled);
    for (when, expected) in
        [("2019-11-21T23:59:59Z", "scored"), ("2019-11-22T00:00:00Z", "withdrawn"), (END, "scored")]
    {
        assert_eq!(standing(&clients, when).await?, expected, "{when}");
    }
    retract(&clients, "R1").await?;
    assert_eq!(standing(&clients, END).await?, "withdrawn");
    ask!(clients, PersonServiceClient, "enrollment", return_trainee, back("R2", "2019-12-24T00:00:00Z"));
    assert_eq!(county(&clients, END).await?, (1, true, 60));
    assert!(suite.stop().await);
    Ok(())
}

/// The state of T2's first phase after its window has ended for all.
async fn first_phase(clients: &Clients) -> Result<String> {
    let request = GetTraineeScoreRequest {
        programme_id: id(),
        person_id: "T2".to_owned(),
        as_of: at("2019-11-02T00:00:00Z"),
    };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_trainee_score, request).score;
    let items = score.unwrap_or_default().items;
    let phase = items.into_iter().find(|item| item.name == "phase_1");
    Ok(phase.map(|item| item.state().as_str_name().to_owned()).unwrap_or_default())
}

/// An extension and a tutor's replacement are facts: retracted, they had never been.
async fn extension_and_replacement_fall(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    let (pending, missed) = ("ITEM_STATE_PENDING", "ITEM_STATE_MISSED");
    assert_eq!(first_phase(&clients).await?, missed);
    let extend = |fact_id: &str| enrollment::GrantExtensionRequest {
        programme_id: id(),
        extension_id: "E1".to_owned(),
        window: "phase_1".to_owned(),
        last_day: "2019-11-05".to_owned(),
        person_id: "T2".to_owned(),
        reason: "停电".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    };
    for fact_id in ["F1", "F2"] {
        let kept = ask!(clients, ExtensionServiceClient, "enrollment", grant_extension, extend(fact_id));
        assert_eq!(kept.extension.map(|kept| kept.fact_id).as_deref(), Some(fact_id));
        assert_eq!(first_phase(&clients).await?, pending);
        retract(&clients, fact_id).await?;
        assert_eq!(first_phase(&clients).await?, missed);
    }
    let replace = enrollment::ReplaceTutorRequest {
        programme_id: id(),
        class_id: "L1".to_owned(),
        tutor_id: "U3".to_owned(),
        reason: "病假".to_owned(),
        request_id: "B1".to_owned(),
        occurred_at: at("2019-12-01T00:00:00Z"),
        ..Default::default()
    };
    // U1 owes the mark of T1's work, until U3 is the tutor.
    assert_eq!(county(&clients, END).await?.2, 0);
    let replaced = ask!(clients, RegionServiceClient, "enrollment", replace_tutor, replace);
    assert_eq!(replaced.class.map(|class| class.tutor_id).as_deref(), Some("U3"));
    assert_eq!(county(&clients, END).await?.2, 60);
    retract(&clients, "B1").await?;
    assert_eq!(county(&clients, END).await?.2, 0);
    let class = enrollment::GetClassRequest { programme_id: id(), class_id: "L1".to_owned() };
    let class = ask!(clients, RegionServiceClient, "enrollment", get_class, class).class;
    assert_eq!(class.map(|class| class.tutor_id).as_deref(), Some("U1"));
    assert!(suite.stop().await);
    Ok(())
}

/// A mark counts when it is by who was the class's tutor then, also where the class turns out to have had another one only afterwards,
/// and again when that falls.
async fn marks_are_judged_by_who_was_tutor_then(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    let review = |fact_id: &str, tutor: &str, grade: Grade, when: &str| ReviewSubmissionRequest {
        programme_id: id(),
        tutor_id: tutor.to_owned(),
        submission_id: "A1".to_owned(),
        grade: grade.into(),
        comment: "好".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    let replace = |fact_id: &str, when: &str| enrollment::ReplaceTutorRequest {
        programme_id: id(),
        class_id: "L1".to_owned(),
        tutor_id: "U3".to_owned(),
        reason: "病假".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    let early = review("M1", "U1", Grade::Pass, "2019-12-05T00:00:00Z");
    ask!(clients, AssignmentServiceClient, "assignment-grading", review_submission, early);
    let late = review("M2", "U1", Grade::Excellent, "2019-12-10T00:00:00Z");
    ask!(clients, AssignmentServiceClient, "assignment-grading", review_submission, late);
    assert_eq!(assignment(&clients, 30).await?, 30);
    // Somebody else had the class when the second was given: the first counts.
    ask!(clients, RegionServiceClient, "enrollment", replace_tutor, replace("B1", "2019-12-08T00:00:00Z"));
    assert_eq!(assignment(&clients, 20).await?, 20, "{backend:?}");
    let marks = marks(&clients).await?;
    assert_eq!(marks, [("U1".to_owned(), false), ("U1".to_owned(), true)]);
    retract(&clients, "B1").await?;
    assert_eq!(assignment(&clients, 30).await?, 30, "{backend:?}");
    // What the other gives counts while they have it, and no longer.
    ask!(clients, RegionServiceClient, "enrollment", replace_tutor, replace("B2", "2019-12-12T00:00:00Z"));
    let other = review("M3", "U3", Grade::Fail, "2019-12-13T00:00:00Z");
    ask!(clients, AssignmentServiceClient, "assignment-grading", review_submission, other);
    assert_eq!(assignment(&clients, 0).await?, 0, "{backend:?}");
    retract(&clients, "B2").await?;
    assert_eq!(assignment(&clients, 30).await?, 30, "{backend:?}");
    assert!(suite.stop().await);
    Ok(())
}

/// The marks of T1's work: by whom, and whether somebody else was tutor then.
async fn marks(clients: &Clients) -> Result<Vec<(String, bool)>> {
    let request = GetSubmissionRequest { programme_id: id(), submission_id: "A1".to_owned() };
    let found = ask!(clients, AssignmentServiceClient, "assignment-grading", get_submission, request);
    let marks = found.submission.unwrap_or_default().marks.into_iter();
    Ok(marks.map(|mark| (mark.tutor_id, mark.by_another)).collect())
}

on_both! {
    score_follows_what_a_course_is,
    main_line_follows_what_somebody_teaches,
    scores_follow_who_is_there,
    extension_and_replacement_fall,
    marks_are_judged_by_who_was_tutor_then,
}
