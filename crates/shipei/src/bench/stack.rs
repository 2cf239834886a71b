//! What a call costs without its work: processor time of the suite's process for each call, beside that of a bare gRPC
//! server that answers the same health check with no layer of ours. Each is a process of its own, so that the client's
//! time is not in it; what is counted is calls in a second of processor time.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use prost_types::Timestamp;
use shipei_client::replay::watcher::Watcher as _;
use shipei_client::{bearer::Bearer, client::Clients, replay};
use shipei_contracts::assessment::v1::{GetTraineeScoreRequest, score_service_client::ScoreServiceClient};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request,
    transport::{Channel, Endpoint, Server},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    Bench, ROUNDS, UNMEASURED,
    drive::at_once,
    load::Load,
    paths::WRITES_AT_ONCE,
    process::Process,
    report::{Measurement, Rate, Round},
    setup,
    shape::person,
};
use crate::{display::say, token};

/// Calls under way at once, over so many connections.
const AT_ONCE: u64 = 256;
const CONNECTIONS: u64 = 4;
/// How long the token holds that calls bring, hours.
const TOKEN_HOURS: u32 = 8;
/// The most calls of a round.
const CALLS_MAX: u64 = 10_000_000;
/// The most learners whose scores are asked for.
const LEARNERS_MAX: u64 = 1_000;

/// Serves the standard health service alone until the process is ended: what any call costs at least.
///
/// # Errors
/// If it can't listen.
pub(crate) async fn serve_bare() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&format!("listening on {}", listener.local_addr()?));
    let (_reporter, health) = tonic_health::server::health_reporter();
    Server::builder().add_service(health).serve_with_incoming(TcpListenerStream::new(listener)).await?;
    Ok(())
}

/// Measures; every process ends with this.
pub(super) async fn measure(bench: &Bench, folder: &Path) -> Result<Vec<Measurement>> {
    bench.progress.stage("processor time of a call");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "--bare"]);
    let mut bare = Process::spawn(command)?;
    bare.wait_until_it_listens()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve", "--open", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("stack"));
    // Each is asked by its flags alone, whatever the environment says.
    command.env_remove("SHIPEI_TOKEN_KEYS").env_remove("SHIPEI_OPEN");
    let mut suite = Process::spawn(command)?;
    suite.wait_until_it_listens()?;
    let (bare_channels, channels) = (connect(&bare.address).await?, connect(&suite.address).await?);
    // The same, but it asks who calls.
    let keys = folder.join("stack-keys");
    let (key, _) = token::load_or_make(&keys)?;
    let bearer = Bearer::of_text(&token::of_institution(&key, &["bench"], TOKEN_HOURS)?)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("stack-asking"));
    command.arg("--token-keys").arg(keys.join(token::KEY_SET_FILE)).env_remove("SHIPEI_OPEN");
    let mut asking = Process::spawn(command)?;
    asking.wait_until_it_listens()?;
    let asking_channels = connect(&asking.address).await?;

    let learners = bench.sizes.learners.min(LEARNERS_MAX);
    let season = setup::season(&folder.join("stack-season"), learners, setup::COUNTIES_OF_SEASON)?;
    let clients = Clients::of_channel(&channels[0]);
    let report = replay::replay(&clients, &season, &bench.progress).await?;
    let load =
        Load { clients, programme: report.programme.programme_id, final_time: report.programme.final_time };
    load.logins(0..learners, WRITES_AT_ONCE, UNMEASURED).await?;
    load.wait_for_assessment(&channels[0]).await?;

    let time = bench.sizes.time;
    let mut health_rounds = Vec::new();
    let mut score_rounds = Vec::new();
    let mut asking_rounds = Vec::new();
    for _ in 0..ROUNDS {
        let raw = health(&bare, &bare_channels, None, time).await?;
        let open = health(&suite, &channels, None, time).await?;
        health_rounds.push(Round { raw, rate: open });
        let rate = health(&asking, &asking_channels, Some(&bearer), time).await?;
        asking_rounds.push(Round { raw: open, rate });
        let rate = scores(&suite, &channels, learners, &load, time).await?;
        score_rounds.push(Round { raw, rate });
    }
    let raw_what = format!("a bare server's health check, {AT_ONCE} at once");
    let unit = "calls/CPU";
    let what = format!("health check through every layer, {AT_ONCE} at once");
    let health = Measurement { rounds: health_rounds, ..Measurement::of("stack", what, unit, &raw_what) };
    let what = "GetTraineeScore on SQLite, explained".to_owned();
    let score =
        Measurement { rounds: score_rounds, ..Measurement::of("get_trainee_score", what, unit, &raw_what) };
    let (what, raw_what) = ("the same with a token".to_owned(), "the same by an open suite, without one");
    let asking =
        Measurement { rounds: asking_rounds, ..Measurement::of("authentication", what, unit, raw_what) };
    Ok(vec![health, asking, score])
}

async fn connect(address: &str) -> Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(Endpoint::from_shared(format!("http://{address}"))?.connect().await?);
    }
    Ok(channels)
}

/// Calls in a second of the server's processor time.
async fn timed<Fut>(server: &Process, calls: Fut) -> Result<Rate>
where
    Fut: Future<Output = Result<Rate>>,
{
    let before = server.processor_time()?;
    let rate = calls.await?;
    let took = server.processor_time()?.saturating_sub(before);
    ensure!(!took.is_zero(), "too few calls to be measured");
    Ok(Rate { count: rate.count, took })
}

async fn health(
    server: &Process,
    channels: &[Channel],
    bearer: Option<&Bearer>,
    time: Duration,
) -> Result<Rate> {
    let (channels, bearer) = (channels.to_vec(), bearer.cloned());
    let calls = at_once(0..CALLS_MAX, AT_ONCE, time, move |number| {
        let mut client = HealthClient::new(channel_of(&channels, number));
        let mut request = Request::new(HealthCheckRequest::default());
        if let Some(bearer) = &bearer {
            bearer.put_into(request.metadata_mut());
        }
        async move {
            client.check(request).await.context("a health check")?;
            Ok(())
        }
    });
    timed(server, calls).await
}

async fn scores(
    server: &Process,
    channels: &[Channel],
    learners: u64,
    load: &Load,
    time: Duration,
) -> Result<Rate> {
    let (channels, programme) = (channels.to_vec(), load.programme.clone());
    let as_of: Option<Timestamp> = load.final_time;
    let calls = at_once(0..CALLS_MAX, WRITES_AT_ONCE, time, move |number| {
        let mut client = ScoreServiceClient::new(channel_of(&channels, number));
        let message = GetTraineeScoreRequest {
            programme_id: programme.clone(),
            person_id: person(number % learners),
            as_of,
        };
        async move {
            client.get_trainee_score(message).await.context("a score")?;
            Ok(())
        }
    });
    timed(server, calls).await
}

fn channel_of(channels: &[Channel], number: u64) -> Channel {
    channels[usize::try_from(number).unwrap_or_default() % channels.len()].clone()
}
