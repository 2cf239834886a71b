//! What fills a disk: one person who adds without end, and whatever else does, until hardly any room is left.

use anyhow::{Context as _, Result, ensure};
use prost_types::Timestamp;
use shipei_client::client::{Clients, SERVICES, is_transient};
use shipei_contracts::{
    assignment::v1::{PostToSeminarRequest, seminar_service_client::SeminarServiceClient},
    enrollment::v1::{GetPersonRequest, RecordLoginRequest, person_service_client::PersonServiceClient},
    event::v1::{GetHeadRequest, event_feed_client::EventFeedClient},
};
use shipei_service_kit::status::{reason_of, retry_after};
use tonic::{Code, Request, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;

use crate::harness::{Backend, KeptState, Process, digest, replay_and_compare};

const PROGRAMME: &str = "qinhuangdao-2019";
/// A trainee who has one post in the season, on 2019-11-20, and where.
const POSTER: &str = "T000112";
const SEMINAR: &str = "NL0001";
/// 2019-11-20 20:00 in China.
const EVENING: i64 = 1_574_251_200;
const DAY: i64 = 24 * 60 * 60;
/// More than any disk of a test has, megabytes.
const RESERVE_TOO_LARGE: &str = "1000000000000";

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

/// One more post, at that time; as one caller or another asks for it.
async fn post(clients: &Clients, request_id: &str, seconds: i64, language: &str) -> Result<(), Status> {
    let mut request = clients.unary(PostToSeminarRequest {
        programme_id: PROGRAMME.to_owned(),
        seminar_id: SEMINAR.to_owned(),
        person_id: POSTER.to_owned(),
        text: "研修".repeat(400),
        request_id: request_id.to_owned(),
        occurred_at: at(seconds),
        ..Default::default()
    });
    request.metadata_mut().insert("accept-language", language.parse().expect("a language"));
    SeminarServiceClient::new(clients.channel("assignment-grading")).post_to_seminar(request).await?;
    Ok(())
}

async fn quota_bounds_a_day_and_no_season(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let process = Process::serve_with(&[], &place.storage, &[], &|command| {
        command.env("SHIPEI_QUOTA_THINGS", "3");
    })?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    // Nobody in it does more of anything in a day.
    replay_and_compare(&clients, PROGRAMME, &place.out("scores")).await?;

    let next = EVENING + DAY;
    for number in 0..3 {
        post(&clients, &format!("next-{number}"), next + number, "zh").await?;
    }
    let refused = post(&clients, "next-3", next + 3, "en").await.expect_err("three are a day's quota");
    ensure!(refused.code() == Code::ResourceExhausted, "{refused:?}");
    ensure!(reason_of(&refused).as_deref() == Some("QUOTA_SPENT"), "{refused:?}");
    let details = refused.get_error_details();
    let figures = &details.error_info().context("an ErrorInfo")?.metadata;
    ensure!(figures["things_max"] == "3" && figures["what"] == "posts", "{figures:?}");
    ensure!(figures["until"] == "2019-11-21T16:00:00Z", "{figures:?}");
    let english = &details.localized_message().context("a text")?.message;
    ensure!(english.contains("the day's quota") && english.contains("3 of them"), "{english}");
    let refused = post(&clients, "next-4", next + 4, "zh").await.expect_err("a refused one takes nothing");
    let details = refused.get_error_details();
    let chinese = &details.localized_message().context("a text")?.message;
    ensure!(chinese.contains("已达上限") && chinese.contains("3条"), "{chinese}");
    // Sent again, what was taken is what was taken.
    post(&clients, "next-2", next + 2, "zh").await?;
    // The day before has two left, and is counted by when things happened, not by when they are told.
    for number in 0..2 {
        post(&clients, &format!("before-{number}"), EVENING + number, "zh").await?;
    }
    let refused = post(&clients, "before-2", EVENING + 2, "zh").await.expect_err("one was in the season");
    ensure!(reason_of(&refused).as_deref() == Some("QUOTA_SPENT"), "{refused:?}");
    // Midnight in China, not in Greenwich.
    post(&clients, "midnight", EVENING + DAY + 4 * 60 * 60, "zh").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_bounds_a_day_and_no_season_on_sqlite() -> Result<()> {
    quota_bounds_a_day_and_no_season(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_bounds_a_day_and_no_season_on_postgres() -> Result<()> {
    quota_bounds_a_day_and_no_season(Backend::Postgres).await
}

async fn log_in(clients: &Clients, request_id: &str) -> Result<(), Status> {
    let request = RecordLoginRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: POSTER.to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at(EVENING),
        ..Default::default()
    };
    PersonServiceClient::new(clients.channel("enrollment")).record_login(clients.unary(request)).await?;
    Ok(())
}

async fn health(clients: &Clients, service: &str) -> Result<ServingStatus> {
    let request = Request::new(HealthCheckRequest { service: service.to_owned() });
    let answer = HealthClient::new(clients.channel("enrollment")).check(request).await?;
    Ok(answer.into_inner().status())
}

#[tokio::test(flavor = "multi_thread")]
async fn nearly_full_disk_refuses_writes_and_nothing_else() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let process = Process::serve_with(&[], &place.storage, &[], &|_| {})?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    replay_and_compare(&clients, PROGRAMME, &place.out("scores")).await?;
    ensure!(health(&clients, "enrollment/writes").await? == ServingStatus::Serving);
    let scores = digest(&clients, PROGRAMME).await?;
    ensure!(process.end()?.success());

    // Assessment has everything to learn again, with hardly any room.
    let mut place = place;
    place.lose_assessment()?;
    let short = |command: &mut std::process::Command| {
        command.env("SHIPEI_DISK_RESERVE", RESERVE_TOO_LARGE);
    };
    let process = Process::serve_with(&[], &place.storage, &[], &short)?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    let refused = log_in(&clients, "short").await.expect_err("there is no room");
    ensure!(refused.code() == Code::Unavailable && retry_after(&refused).is_some(), "{refused:?}");
    ensure!(reason_of(&refused).as_deref() == Some("DISK_NEARLY_FULL"), "{refused:?}");
    let message = refused.get_error_details().localized_message().context("a text")?.message.clone();
    ensure!(message.contains("磁盘空间不足"), "{message}");

    let request = GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: POSTER.to_owned() };
    let mut people = PersonServiceClient::new(clients.channel("enrollment"));
    people.get_person(clients.unary(request)).await?;
    // With the ends of all logs in its token a call waits until what they tell is known.
    for service in SERVICES {
        let request = clients.unary(GetHeadRequest { source: service.to_owned() });
        let head = EventFeedClient::new(clients.channel(service)).get_head(request).await?.into_inner();
        clients.note_token(head.consistency_token.as_bytes());
    }
    let learned = loop {
        match digest(&clients, PROGRAMME).await {
            Err(error) if error.downcast_ref().is_some_and(is_transient) => {}
            learned => break learned?,
        }
    };
    ensure!(learned == scores, "assessment learned something else");
    for service in ["", "shipei.enrollment.v1.PersonService"] {
        ensure!(health(&clients, service).await? == ServingStatus::Serving, "{service}");
    }
    ensure!(health(&clients, "enrollment/writes").await? == ServingStatus::NotServing);
    ensure!(process.end()?.success());

    // With room again nothing else is needed, and what was refused was not kept.
    let process = Process::serve_with(&[], &place.storage, &[], &|_| {})?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    log_in(&clients, "short").await?;
    Ok(())
}
