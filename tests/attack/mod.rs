//! Hostile and clumsy clients against a served suite, while a good one makes a call each tenth of a second: none of its
//! calls may fail, and the process stays small and becomes so again. Each attack is bounded in time. The table in `docs/reliability.md` is what
//! this prints: `SHIPEI_TEST_PROGRAM=target/release/shipei cargo test -p shipei-tests --test suite attack -- --nocapture --test-threads 1`.

mod wire;

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{GetTraineeScoreRequest, score_service_client::ScoreServiceClient},
    enrollment::v1::{
        CreateProgrammeRequest, GetProgrammeRequest, RecordLoginRequest,
        person_service_client::PersonServiceClient, programme_service_client::ProgrammeServiceClient,
    },
    event::v1::{SubscribeRequest, event_feed_client::EventFeedClient},
};
use shipei_service_kit::connect_lazily;
use tokio::{net::TcpStream, time::Instant};

use crate::{
    cluster::until,
    harness::{Backend, KeptState, Process, program, replay_and_compare},
};
use wire::{Flood, flood};

/// How long each attack goes on against a program that was built for release, whose times are looked at.
const ATTACK_TIME: Duration = Duration::from_secs(8);
/// And against another one, beside other tests.
const ATTACK_TIME_SHORT: Duration = Duration::from_secs(3);
/// How often the good client calls.
const CALL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a call may take before it counts as failed.
const CALL_TIME_MAX: Duration = Duration::from_secs(5);
/// The most memory of the process under any of these.
const MEMORY_MAX_MB: u64 = 256;
/// And what it may keep of it afterwards.
const MEMORY_AFTERWARDS_MB: u64 = 100;
/// How long what a season took may be kept when it is over.
const REST_MAX: Duration = Duration::from_secs(60);
/// The time in which all but one in a hundred good calls are answered, by a program that was built for release.
const P99_MAX: Duration = Duration::from_millis(50);
/// The calls of the good client after an attack, before what the process kept is read.
const CALLS_AFTERWARDS: usize = 20;
/// A message of just the size that one may have.
const LARGE: usize = 8 * 1024 * 1024 - 1024;

const PROGRAMME: &str = "qinhuangdao-2019";
const TRAINEE: &str = "T000008";

#[derive(Debug, Clone, Copy)]
enum Attack {
    None,
    Silent(usize),
    Flood(Flood),
    LargeBodies(usize),
    Subscribers { count: usize, read: bool },
}

/// What the good client and the process went through.
#[derive(Debug)]
struct Outcome {
    calls: usize,
    failed: usize,
    p50: Duration,
    p99: Duration,
    /// Megabytes before, at most, and afterwards.
    memory: [u64; 3],
}

/// Whether the program was built for release. Only then is its time that of its users; and of a debug build's own file, of
/// which much more is mapped and nothing is kept, the pages are not counted.
fn is_release() -> bool {
    program().iter().any(|part| part == "release")
}

fn memory_mb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kilobytes = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default()
    };
    let all = kilobytes("VmRSS:");
    (if is_release() { all } else { all - kilobytes("RssFile:") }) / 1024
}

/// One call of the good client: a read, a write and a score in turn.
async fn good_call(clients: &Clients, turn: usize) -> Result<()> {
    let (programme_id, person_id) = (PROGRAMME.to_owned(), TRAINEE.to_owned());
    match turn % 3 {
        0 => {
            let mut client = ProgrammeServiceClient::new(clients.channel("enrollment"));
            client.get_programme(clients.unary(GetProgrammeRequest { programme_id })).await?;
        }
        1 => {
            let mut client = PersonServiceClient::new(clients.channel("enrollment"));
            let request_id = format!("good-{turn}");
            let occurred_at = Some(prost_types::Timestamp { seconds: 1_572_000_000, nanos: 0 });
            let request =
                RecordLoginRequest { programme_id, person_id, request_id, occurred_at, correction: None };
            client.record_login(clients.unary(request)).await?;
        }
        _ => {
            let mut client = ScoreServiceClient::new(clients.channel("assessment"));
            client
                .get_trainee_score(clients.unary(GetTraineeScoreRequest {
                    programme_id,
                    person_id,
                    as_of: None,
                }))
                .await?;
        }
    }
    Ok(())
}

async fn attack(address: &str, attack: Attack, until: Instant) -> Result<()> {
    let url = format!("http://{address}");
    match attack {
        Attack::None => tokio::time::sleep_until(until).await,
        Attack::Silent(count) => {
            let mut open = Vec::new();
            for _ in 0..count {
                // A refused one is as good.
                if let Ok(stream) = TcpStream::connect(address).await {
                    open.push(stream);
                }
            }
            tokio::time::sleep_until(until).await;
        }
        Attack::Flood(kind) => {
            let frames = futures::future::join_all((0..4).map(|_| flood(address, kind, until))).await;
            println!("  {} frames", frames.iter().sum::<u64>());
        }
        Attack::LargeBodies(count) => {
            let channel = connect_lazily(&url)?;
            let calls = (0..count).map(|_| {
                let mut client = ProgrammeServiceClient::new(channel.clone());
                let request = CreateProgrammeRequest { scheme_toml: "#".repeat(LARGE), ..Default::default() };
                async move { client.create_programme(request).await.is_err() }
            });
            let refused = tokio::time::timeout_at(until, futures::future::join_all(calls)).await;
            ensure!(
                refused.map_or(true, |refused| refused.into_iter().all(|refused| refused)),
                "one was taken"
            );
            tokio::time::sleep_until(until).await;
        }
        Attack::Subscribers { count, read } => {
            let mut streams = Vec::new();
            let mut refused = 0;
            for (place, source) in ["enrollment", "learning-progress", "assignment-grading", "assessment"]
                .iter()
                .cycle()
                .take(count)
                .enumerate()
            {
                if place % 500 == 0 {
                    streams.push((connect_lazily(&url)?, Vec::new()));
                }
                let Some((channel, open)) = streams.last_mut() else { continue };
                let mut client = EventFeedClient::new(channel.clone()).max_decoding_message_size(LARGE);
                let request = SubscribeRequest { source: (*source).to_owned(), ..Default::default() };
                match tokio::time::timeout_at(until, client.subscribe(request)).await {
                    Ok(Ok(stream)) if read => {
                        let mut stream = stream.into_inner();
                        open.push(tokio::spawn(
                            async move { while let Ok(Some(_)) = stream.message().await {} },
                        ));
                    }
                    Ok(Ok(stream)) => open.push(tokio::spawn(async move {
                        let _unread = stream;
                        tokio::time::sleep_until(until).await;
                    })),
                    Ok(Err(status)) => {
                        if refused == 0 {
                            println!("  {}: {}", status.code(), status.message());
                        }
                        refused += 1;
                    }
                    Err(_) => break,
                }
            }
            tokio::time::sleep_until(until).await;
            println!("  {refused} refused");
            for task in streams.into_iter().flat_map(|(_, open)| open) {
                task.abort();
            }
        }
    }
    Ok(())
}

async fn withstand(process: &Process, kind: Attack) -> Result<Outcome> {
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    let before = memory_mb(process.id());
    let until = Instant::now() + if is_release() { ATTACK_TIME } else { ATTACK_TIME_SHORT };
    let address = process.address.clone();
    // On a thread of its own: what the good client waits for is the server, not thousands of tasks of the attacker.
    let attacker = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let attacking = std::thread::spawn(move || attacker.block_on(attack(&address, kind, until)));
    let (mut times, mut failed, mut most) = (Vec::new(), 0, before);
    let mut ticks = tokio::time::interval(CALL_INTERVAL);
    while Instant::now() < until {
        ticks.tick().await;
        let begun = Instant::now();
        match tokio::time::timeout(CALL_TIME_MAX, good_call(&clients, times.len())).await {
            Ok(Ok(())) => {}
            failure => {
                println!("  {failure:?}");
                failed += 1;
            }
        }
        times.push(begun.elapsed());
        most = most.max(memory_mb(process.id()));
    }
    let attacked = tokio::task::spawn_blocking(move || attacking.join()).await?;
    attacked.map_err(|_| anyhow!("the attacker panicked"))??;
    for _ in 0..CALLS_AFTERWARDS {
        good_call(&clients, 0).await?;
        ticks.tick().await;
    }
    times.sort();
    let part = |of_hundred: usize| times[(times.len() * of_hundred / 100).min(times.len() - 1)];
    let memory = [before, most, memory_mb(process.id())];
    Ok(Outcome { calls: times.len(), failed, p50: part(50), p99: part(99), memory })
}

async fn withstands_all(backend: Backend) -> Result<()> {
    // Thousands of connections at both ends.
    let own = std::process::id().to_string();
    ensure!(
        Command::new("prlimit").args(["--pid", &own, "--nofile=20000:"]).status()?.success(),
        "descriptors"
    );
    let place = KeptState::new(backend)?;
    let process = Process::serve_with(&[], &place.storage, &[], &|command| {
        command.stderr(Stdio::null());
    })?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    replay_and_compare(&clients, PROGRAMME, &place.out("scores")).await?;
    drop(clients);
    // What is kept behind an attack is to be the attack's.
    until("the memory of the season given back", REST_MAX, async || {
        memory_mb(process.id()) <= MEMORY_AFTERWARDS_MB
    })
    .await?;
    println!(
        "| attack ({backend:?}) | calls | p50 ms | p99 ms | failed | MB before, most, after |\n|---|---:|---:|---:|---:|---|"
    );
    let mut faults = Vec::new();
    for (name, kind) in [
        ("none", Attack::None),
        ("5,000 silent connections", Attack::Silent(5000)),
        ("rapid reset", Attack::Flood(Flood::RapidReset)),
        ("CONTINUATION", Attack::Flood(Flood::Continuation)),
        ("PING", Attack::Flood(Flood::Ping)),
        ("250 bodies of 8 MB, one connection", Attack::LargeBodies(250)),
        ("2,000 subscribers that read", Attack::Subscribers { count: 2000, read: true }),
        ("2,000 subscribers that don't", Attack::Subscribers { count: 2000, read: false }),
    ] {
        let outcome = withstand(&process, kind).await.with_context(|| name.to_owned())?;
        let Outcome { calls, failed, p50, p99, memory: [before, most, after] } = outcome;
        let (p50, p99) = (p50.as_millis(), p99.as_millis());
        println!("| {name} | {calls} | {p50} | {p99} | {failed} | {before}, {most}, {after} |");
        let is_late = is_release() && outcome.p99 > P99_MAX;
        if failed > 0 || is_late || most > MEMORY_MAX_MB || after > MEMORY_AFTERWARDS_MB {
            faults.push(format!("{name}: {failed} failed, p99 {p99} ms, {before}, {most}, {after} MB"));
        }
    }
    ensure!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn suite_on_sqlite_withstands_attacks() -> Result<()> {
    withstands_all(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn suite_on_postgres_withstands_attacks() -> Result<()> {
    withstands_all(Backend::Postgres).await
}
