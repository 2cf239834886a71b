//! What other systems follow: the promises of the streams under a whole season with everything killed now and then, and the same
//! events once in files, in Redis and in a consumer of another language.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shipei_client::{
    client::{Clients, SERVICES},
    feed::{Feed, Wanted, ends, guarantees::Guarantees},
};
use shipei_service_kit::testing_redis::TestRedis;
use tokio::sync::watch;

use crate::{
    cluster::until,
    examples::consumers_of_other_languages_go_on,
    harness::{Backend, KeptState, Process, program, replay_and_compare},
};

const PROGRAMME: &str = "qinhuangdao-2019";
/// However slow the machine is.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often each relay is killed, at least.
const KILLS: usize = 8;
/// Behind so many responses a stream that is looked at is left once.
const RESPONSES_BEFORE_LEAVING: u64 = 5;

/// Each partition's events of a log: number and type.
type Log = BTreeMap<u32, Vec<(i64, String)>>;

/// A relay as a process; killed when dropped.
struct Relaying(Child);

impl Relaying {
    fn begin(address: &str, to: &[String], until_now: bool) -> Result<Self> {
        let mut command = Command::new(program());
        command.args(["relay", "--server", address]).args(to).env("SHIPEI_LOG", "error");
        if until_now {
            command.arg("--until-now");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Relaying {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All of a log as a stream gives it, through interruptions; with what did not hold.
async fn follow(clients: &Clients, source: &'static str, mut ended: watch::Receiver<bool>) -> Result<Log> {
    let mut guarantees = Guarantees::new(false, false);
    let mut feed = Feed::new(clients, source, Wanted::default().request(source));
    let mut log = Log::new();
    let mut end: Option<Vec<(u32, i64)>> = None;
    loop {
        if end.is_none() && *ended.borrow_and_update() {
            end = Some(ends(clients, source).await?);
        }
        let has_all = |(partition, number): &(u32, i64)| guarantees.reached(*partition) >= *number;
        if end.as_ref().is_some_and(|end| end.iter().all(has_all)) {
            break;
        }
        let response = tokio::select! {
            response = feed.next() => response?,
            Ok(()) = ended.changed(), if end.is_none() => continue,
        };
        guarantees.take(&response, feed.has_resumed());
        for event in response.events {
            log.entry(event.partition).or_default().push((event.number, event.r#type));
        }
        if guarantees.counts().1.is_multiple_of(RESPONSES_BEFORE_LEAVING) {
            feed.interrupt();
        }
    }
    ensure!(guarantees.breach_count() == 0, "{source}: {:#?}", guarantees.breaches());
    let (events, _, resumptions) = guarantees.counts();
    ensure!(events == 0 || resumptions > 0, "{source}: the stream was never left");
    Ok(log)
}

/// What the files hold of a log; a line that is no JSON or stands in another's place is an error.
fn in_files(folder: &Path, source: &str) -> Result<Log> {
    let mut log = Log::new();
    for partition in 0..64 {
        let below = folder.join(source).join(format!("{partition:02}"));
        if !below.exists() {
            continue;
        }
        let mut files: Vec<PathBuf> =
            fs::read_dir(&below)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        for file in files {
            for line in fs::read_to_string(&file)?.lines() {
                let event: Value = serde_json::from_str(line).with_context(|| file.display().to_string())?;
                let place = (event["source"].as_str(), event["partitionkey"].as_str());
                ensure!(place == (Some(source), Some(partition.to_string().as_str())), "{line}");
                log.entry(partition).or_default().push(numbered(&event)?);
            }
        }
    }
    Ok(log)
}

fn numbered(event: &Value) -> Result<(i64, String)> {
    let number = event["sequence"].as_str().context("a sequence")?.parse()?;
    Ok((number, event["type"].as_str().context("a type")?.to_owned()))
}

/// What a Redis holds of a log.
async fn in_redis(redis: &TestRedis, prefix: &str, source: &str) -> Result<Log> {
    let mut connection = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let mut log = Log::new();
    for partition in 0..64 {
        let stream = format!("{prefix}:{source}:{partition}");
        let entries: Vec<(String, BTreeMap<String, String>)> =
            redis::cmd("XRANGE").arg(&stream).arg("-").arg("+").query_async(&mut connection).await?;
        for (id, fields) in entries {
            let event: Value = serde_json::from_str(&fields["event"])?;
            let (number, kind) = numbered(&event)?;
            ensure!(id == format!("{number}-0") && fields["type"] == kind, "{id} of {stream}");
            log.entry(partition).or_default().push((number, kind));
        }
    }
    Ok(log)
}

/// How far a relay has come, by anything that changes with it.
async fn progress(folder: &Path, redis: Option<&TestRedis>) -> String {
    let Some(redis) = redis else {
        let read =
            |source: &&str| fs::read_to_string(folder.join(source).join("bookmark.json")).unwrap_or_default();
        return SERVICES.iter().map(read).collect();
    };
    let Ok(client) = redis::Client::open(redis.url()) else { return String::new() };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return String::new() };
    let keys: Vec<String> = SERVICES.iter().map(|source| format!("test:{source}:bookmark")).collect();
    let read: redis::RedisResult<Vec<Option<String>>> =
        redis::cmd("MGET").arg(keys).query_async(&mut connection).await;
    read.unwrap_or_default().into_iter().flatten().collect()
}

/// Kills relays until the season is over and each was killed often enough.
async fn kill_relays(
    address: &str,
    to: &[String],
    folder: &Path,
    mut redis: Option<&mut TestRedis>,
    over: &watch::Receiver<bool>,
) -> Result<usize> {
    let mut kills = 0;
    while !(*over.borrow() && kills >= KILLS) {
        let before = progress(folder, redis.as_deref()).await;
        let relaying = Relaying::begin(address, to, false)?;
        let is_over = *over.borrow();
        if !is_over || kills == 0 {
            until("a relay to come further", PATIENCE, async || {
                *over.borrow() || progress(folder, redis.as_deref()).await != before
            })
            .await?;
        }
        drop(relaying);
        kills += 1;
        // It comes back empty.
        if let Some(redis) = redis.as_deref_mut()
            && kills % 4 == 3
        {
            redis.start_again();
        }
    }
    Ok(kills)
}

async fn season_reaches_other_systems_once(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let process = Process::serve_with(&[], &place.storage, &[], &|_| {})?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    let mut redis = TestRedis::start();
    let folder = place.out("events");
    let to_files: Vec<String> = ["--to", "ndjson", "--folder"].map(str::to_owned).into();
    let to_files = [to_files, vec![folder.display().to_string()]].concat();
    let to_redis: Vec<String> =
        ["--to", "redis-streams", "--prefix", "test", "--redis"].map(str::to_owned).into();
    let to_redis = [to_redis, vec![redis.url()]].concat();

    let (over, is_over) = watch::channel(false);
    let followed = SERVICES.iter().map(|source| {
        let (clients, is_over) = (clients.clone(), is_over.clone());
        async move { Ok::<_, anyhow::Error>((*source, follow(&clients, source, is_over).await?)) }
    });
    let followed: Vec<_> = followed.map(tokio::spawn).collect();
    let season = async {
        let report = replay_and_compare(&clients, PROGRAMME, &place.out("scores")).await;
        over.send_replace(true);
        report
    };
    let (report, of_files, of_redis) = tokio::join!(
        season,
        kill_relays(&process.address, &to_files, &folder, None, &is_over),
        kill_relays(&process.address, &to_redis, &folder, Some(&mut redis), &is_over),
    );
    report?;
    println!("relays killed: {} to files, {} to Redis", of_files?, of_redis?);
    let mut logs = BTreeMap::new();
    for task in followed {
        let (source, log) = tokio::time::timeout(PATIENCE, task).await???;
        logs.insert(source, log);
    }
    for to in [&to_files, &to_redis] {
        let mut last = Relaying::begin(&process.address, to, true)?;
        let ended = tokio::task::spawn_blocking(move || last.0.wait()).await??;
        ensure!(ended.success(), "{to:?}: {ended}");
    }
    let mut events = 0;
    for (source, log) in &logs {
        for (partition, told) in log {
            let dense = told.iter().zip(1..).all(|((number, _), place)| *number == place);
            ensure!(dense, "{source} {partition}");
            events += told.len();
        }
        ensure!(in_files(&folder, source)? == *log, "the files of {source} hold something else than its log");
        ensure!(
            in_redis(&redis, "test", source).await? == *log,
            "Redis holds something else of {source} than its log"
        );
    }
    ensure!(events > 1_000, "{events}");
    println!("{events} events, each once in files and in Redis");
    consumers_of_other_languages_go_on(&process.address, &place, &redis, &logs["assessment"]).await?;
    watch_verifies(&process.address)
}

/// What the documentation has operators paste.
fn watch_verifies(address: &str) -> Result<()> {
    let watch = |arguments: &[&str]| -> Result<(bool, String)> {
        let mut command = Command::new(program());
        let output =
            command.args(["watch", "--server", address]).args(arguments).env("COLUMNS", "160").output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(said)?))
    };
    let (kept, said) = watch(&["--verify"])?;
    ensure!(kept && said.matches("6/6").count() == SERVICES.len(), "{said}");
    let (_, said) = watch(&["--status", "--json"])?;
    let status: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let held: i64 =
        status.as_array().context("a list")?.iter().filter_map(|log| log["events"].as_i64()).sum();
    ensure!(held > 1_000, "{said}");
    let of_county = ["enrollment", "--region", "130302", "--from", "earliest", "--until-now", "--json"];
    let (_, said) = watch(&of_county)?;
    let events: Vec<Value> =
        said.lines().map(serde_json::from_str).collect::<Result<_, _>>().with_context(|| said.clone())?;
    ensure!(!events.is_empty() && events.iter().all(|event| event["regioncode"] == "130302"), "{said}");
    // What is no type of a log is said, and not waited for.
    let (passed, said) =
        watch(&["enrollment", "--type", "shipei.enrollment.v1.Nothing", "--from", "earliest"])?;
    ensure!(!passed && said.contains("shipei.enrollment.v1.PersonLoggedIn"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn season_on_sqlite_reaches_other_systems_once() -> Result<()> {
    season_reaches_other_systems_once(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn season_on_postgres_reaches_other_systems_once() -> Result<()> {
    season_reaches_other_systems_once(Backend::Postgres).await
}
