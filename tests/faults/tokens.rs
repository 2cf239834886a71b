//! Who carries the token of a write sees it, at every service and every instance, while instances die: chains of writes about
//! trainees of their own, each write behind the tokens of those before it, each read at a service that learned of it from a log.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use prost_types::Timestamp;
use shipei::progress::Progress;
use shipei_client::{client::Clients, season::Season};
use shipei_contracts::{
    assessment::v1::{
        GetTraineeScoreRequest, GetTraineeScoreResponse, ItemState, score_service_client::ScoreServiceClient,
    },
    assignment::v1::{
        Grade, ReviewSubmissionRequest, SubmitAssignmentRequest,
        assignment_service_client::AssignmentServiceClient,
    },
    enrollment::v1::{
        ImportRosterRequest, RecordLoginRequest, RosterHeader, RosterRow, RosterRows, WithdrawTraineeRequest,
        import_roster_request::Part, person_service_client::PersonServiceClient,
    },
    learning::v1::{
        Course, CourseCategory, CreateCourseRequest, GetProgressRequest, GrantTimeRequest,
        course_service_client::CourseServiceClient, study_service_client::StudyServiceClient,
    },
    offline::v1::{
        HoldActivityRequest, RecordAttendanceRequest, ScoreAttendeeRequest,
        offline_service_client::OfflineServiceClient,
    },
};
use shipei_rules::identity_number;
use shipei_service_kit::status::reason_of;
use tonic::{Response, Status};

use super::seed;
use crate::{
    cluster::{Cluster, Counts, Network},
    harness::season_folder,
};

const PROGRAMME: &str = "qinhuangdao-2019";
/// Two instances of each service, of which one at a time is killed.
const TWO_OF_EACH: Counts = [2; 5];
/// Trainees of L1, U1's class, in 130302, whose counselor is K1; each has a chain of writes, and as many go on at once.
const TRAINEES: usize = 12;
/// The fewest kills while chains go on.
const KILLS_MIN: u32 = 6;
const COURSE: &str = "TOKEN-COURSE";
const ACTIVITY: &str = "TOKEN-ACTIVITY";

fn at(text: &str) -> Result<Option<Timestamp>> {
    Ok(Some(format!("2019-{text}+08:00").parse()?))
}

/// What is asked with whatever the chain has written so far, as often as instances die on the way.
macro_rules! ask {
    ($clients:expr, $service:literal, $client:ident, $method:ident, $request:expr) => {{
        let request = $request;
        let asked = $clients
            .call(|| {
                let mut client = $client::new($clients.channel($service));
                let request = $clients.unary(request.clone());
                async move { client.$method(request).await }
            })
            .await;
        if let Ok(answer) = &asked {
            $clients.note(answer);
        }
        asked
    }};
}

fn answered<T>(answer: std::result::Result<Response<T>, Status>, what: &str) -> Result<T> {
    Ok(answer.with_context(|| what.to_owned())?.into_inner())
}

fn refused_as_gone<T: std::fmt::Debug>(
    answer: std::result::Result<Response<T>, Status>,
    what: &str,
) -> Result<()> {
    let reason = answer.as_ref().err().and_then(reason_of);
    ensure!(reason.as_deref() == Some("WITHDRAWN"), "{what}: {answer:?}");
    Ok(())
}

/// An item of a score: its state, its points, and what it still needs.
fn item(score: &GetTraineeScoreResponse, name: &str) -> Result<(ItemState, i32, String)> {
    let score = score.score.as_ref().context("a score")?;
    let item = score.items.iter().find(|item| item.name == name).context("an item")?;
    let missing = item.missing.as_ref().map(|missing| missing.what.clone()).unwrap_or_default();
    Ok((item.state(), item.hundredths / 100, missing))
}

async fn score(clients: &Clients, person_id: &str) -> Result<GetTraineeScoreResponse> {
    let request = GetTraineeScoreRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        as_of: at("12-20T00:00:00")?,
    };
    answered(ask!(clients, "assessment", ScoreServiceClient, get_trainee_score, request), person_id)
}

/// The course, the activity and the trainees of this test.
async fn prepare(clients: &Clients) -> Result<()> {
    let course = Course {
        course_id: COURSE.to_owned(),
        title: "课程".to_owned(),
        category: CourseCategory::Public.into(),
        length_seconds: 24_000,
        ..Default::default()
    };
    let request = CreateCourseRequest {
        programme_id: PROGRAMME.to_owned(),
        course: Some(course),
        request_id: "tokens:course".to_owned(),
        validate_only: false,
    };
    answered(ask!(clients, "learning-progress", CourseServiceClient, create_course, request), "the course")?;
    let request = HoldActivityRequest {
        programme_id: PROGRAMME.to_owned(),
        counselor_id: "K1".to_owned(),
        county_code: "130302".to_owned(),
        education_stage: shipei_contracts::common::v1::EducationStage::Compulsory.into(),
        activity_id: ACTIVITY.to_owned(),
        theme: "同课异构".to_owned(),
        request_id: "tokens:activity".to_owned(),
        occurred_at: at("10-02T08:00:00")?,
        ..Default::default()
    };
    answered(
        ask!(clients, "offline-activity", OfflineServiceClient, hold_activity, request),
        "the activity",
    )?;
    let mut rows = Vec::new();
    for number in 0..TRAINEES {
        let number_of = identity_number::complete(&format!("13030219700202{number:03}"));
        rows.push(RosterRow {
            person_id: person(number),
            name: "测试".to_owned(),
            id_number: number_of.context("an identity number")?.reveal().to_owned(),
            role: "trainee".to_owned(),
            county_code: "130302".to_owned(),
            school_code: "130302S0".to_owned(),
            education_stage: "compulsory".to_owned(),
            class_id: "L1".to_owned(),
            ..Default::default()
        });
    }
    let header = RosterHeader { programme_id: PROGRAMME.to_owned(), dry_run: false, return_rejected: false };
    let parts = [Part::Header(header), Part::Rows(RosterRows { rows })];
    let messages = parts.map(|part| ImportRosterRequest { part: Some(part) });
    let mut client = PersonServiceClient::new(clients.channel("enrollment"));
    let answer = client.import_roster(clients.request(tokio_stream::iter(messages))).await?;
    clients.note(&answer);
    ensure!(usize::try_from(answer.get_ref().created) == Ok(TRAINEES), "{:?}", answer.get_ref().results);
    Ok(())
}

fn person(number: usize) -> String {
    format!("TOKEN-{number}")
}

/// One trainee through a season, with a client of their own.
async fn chain(clients: Clients, number: usize) -> Result<()> {
    let person_id = person(number);
    let (programme_id, id) = (|| PROGRAMME.to_owned(), || person_id.clone());
    let named = |what: &str| format!("tokens:{number}:{what}");
    let request = RecordLoginRequest {
        programme_id: programme_id(),
        person_id: id(),
        request_id: named("login"),
        occurred_at: at("09-12T08:00:00")?,
        ..Default::default()
    };
    answered(ask!(clients, "enrollment", PersonServiceClient, record_login, request), "log-in")?;

    let grant = |grant: &str, when: &str| {
        anyhow::Ok(GrantTimeRequest {
            programme_id: programme_id(),
            person_id: id(),
            course_id: COURSE.to_owned(),
            grant_id: format!("{grant}-{number}"),
            seconds: 12_000,
            reason: "播放器故障".to_owned(),
            evidence: "工单".to_owned(),
            request_id: named(grant),
            occurred_at: at(when)?,
            correction: None,
        })
    };
    let request = grant("first", "09-20T08:00:00")?;
    answered(ask!(clients, "learning-progress", StudyServiceClient, grant_time, request), "a grant")?;
    let request = GetProgressRequest { programme_id: programme_id(), person_id: id() };
    let progress =
        answered(ask!(clients, "learning-progress", StudyServiceClient, get_progress, request), "progress")?;
    ensure!(progress.phases[0].achieved_time == at("09-20T08:00:00")?, "{progress:?}");
    let seen = item(&score(&clients, &person_id).await?, "phase_1")?;
    ensure!(seen.0 == ItemState::Earned, "phase 1 of {person_id}: {seen:?}");

    let submit = |name: &str, when: &str| {
        anyhow::Ok(SubmitAssignmentRequest {
            programme_id: programme_id(),
            person_id: id(),
            submission_id: format!("{name}-{number}"),
            kind: "lesson_plan".to_owned(),
            title: "作业".to_owned(),
            request_id: named(name),
            occurred_at: at(when)?,
            ..Default::default()
        })
    };
    let request = submit("work", "11-05T08:00:00")?;
    answered(
        ask!(clients, "assignment-grading", AssignmentServiceClient, submit_assignment, request),
        "work",
    )?;
    let seen = item(&score(&clients, &person_id).await?, "assignment")?;
    ensure!(seen.2 == "REVIEW", "the assignment of {person_id}: {seen:?}");
    let request = ReviewSubmissionRequest {
        programme_id: programme_id(),
        tutor_id: "U1".to_owned(),
        submission_id: format!("work-{number}"),
        grade: Grade::Excellent.into(),
        comment: "有针对性".to_owned(),
        request_id: named("review"),
        occurred_at: at("11-06T08:00:00")?,
        ..Default::default()
    };
    answered(
        ask!(clients, "assignment-grading", AssignmentServiceClient, review_submission, request),
        "a review",
    )?;
    let seen = item(&score(&clients, &person_id).await?, "assignment")?;
    ensure!((seen.0, seen.1) == (ItemState::Earned, 30), "the assignment of {person_id}: {seen:?}");

    let request = RecordAttendanceRequest {
        programme_id: programme_id(),
        counselor_id: "K1".to_owned(),
        activity_id: ACTIVITY.to_owned(),
        person_ids: vec![id()],
        request_id: named("attendance"),
        occurred_at: at("10-02T09:00:00")?,
        ..Default::default()
    };
    answered(
        ask!(clients, "offline-activity", OfflineServiceClient, record_attendance, request),
        "attendance",
    )?;
    let give = |name: &str, when: &str| {
        anyhow::Ok(ScoreAttendeeRequest {
            programme_id: programme_id(),
            counselor_id: "K1".to_owned(),
            activity_id: ACTIVITY.to_owned(),
            person_id: id(),
            score: 7,
            request_id: named(name),
            occurred_at: at(when)?,
            ..Default::default()
        })
    };
    let request = give("score", "10-02T10:00:00")?;
    answered(ask!(clients, "offline-activity", OfflineServiceClient, score_attendee, request), "a score")?;
    let seen = item(&score(&clients, &person_id).await?, "offline")?;
    ensure!((seen.0, seen.1) == (ItemState::Earned, 7), "the activity of {person_id}: {seen:?}");

    // Whoever has left has left everywhere.
    let request = WithdrawTraineeRequest {
        programme_id: programme_id(),
        person_id: id(),
        reason: "调离".to_owned(),
        request_id: named("leaves"),
        occurred_at: at("12-01T08:00:00")?,
        ..Default::default()
    };
    answered(ask!(clients, "enrollment", PersonServiceClient, withdraw_trainee, request), "leaving")?;
    ensure!(score(&clients, &person_id).await?.withdrawn, "{person_id} has a score");
    let request = grant("late", "12-02T08:00:00")?;
    refused_as_gone(ask!(clients, "learning-progress", StudyServiceClient, grant_time, request), "a grant")?;
    let request = submit("late", "12-02T08:00:00")?;
    refused_as_gone(
        ask!(clients, "assignment-grading", AssignmentServiceClient, submit_assignment, request),
        "work",
    )?;
    let request = give("late-score", "12-02T08:00:00")?;
    refused_as_gone(
        ask!(clients, "offline-activity", OfflineServiceClient, score_attendee, request),
        "a score",
    )
}

/// Kills one instance after the other, each once the one before it is back.
async fn kill_over_and_over(cluster: &Cluster, seed: u64, kills: &AtomicU32) -> Result<Infallible> {
    let mut random = fastrand::Rng::with_seed(seed);
    let instances = cluster.instances();
    loop {
        let instance = &instances[random.usize(..instances.len())];
        instance.kill9().await;
        instance.start().await?;
        instance.until_healthy().await?;
        kills.fetch_add(1, Ordering::Relaxed);
    }
}

async fn seen_while_dying(cluster: &Cluster, seed: u64) -> Result<()> {
    let season = Season::open(&season_folder("edges"))?;
    let clients = cluster.clients().await?;
    shipei_client::replay::replay(&clients, &season, &Progress::hidden()).await?;
    prepare(&clients).await?;
    let kills = AtomicU32::new(0);
    let chains = async {
        let mut chains = Vec::new();
        for number in 0..TRAINEES {
            // Each begins behind what was prepared, and knows of nobody else's writes.
            let own = cluster.clients().await?;
            own.note_token(clients.token().as_bytes());
            chains.push(chain(own, number));
        }
        futures::future::join_all(chains).await.into_iter().collect::<Result<Vec<()>>>()
    };
    let killing = kill_over_and_over(cluster, seed, &kills);
    tokio::pin!(chains, killing);
    tokio::select! {
        seen = &mut chains => seen?,
        killed = &mut killing => match killed? {},
    };
    let kills = kills.load(Ordering::Relaxed);
    ensure!(kills >= KILLS_MIN, "only {kills} kills happened while chains went on");
    eprintln!("seed {seed}: {TRAINEES} chains, {kills} kills");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_carries_a_token_sees_its_write_while_instances_die() -> Result<()> {
    let seed = seed();
    let cluster = Cluster::start(TWO_OF_EACH, Network::Direct).await?;
    let result = seen_while_dying(&cluster, seed).await;
    cluster.judge(&format!("seed {seed}"), result)
}
