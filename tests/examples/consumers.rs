//! Consumers of a log in other languages, killed in the middle: each goes on, and holds each event once.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shipei_service_kit::testing_redis::TestRedis;
use tokio::{process::Command, time::timeout};

use super::{Examples, printed};
use crate::{clients::tool, cluster::until, harness::KeptState};

/// However slow the machine is.
const PATIENCE: Duration = Duration::from_secs(240);
/// A file of this many bytes holds some events.
const BYTES_OF_SOME: u64 = 100_000;
/// The group of the Redis Streams, and how many entries a member of it takes that dies with them.
const GROUP: &str = "registry";
const LEFT_BEHIND: usize = 7;

/// What the log of assessment has, partition by partition, reaches each of them once. A relay has written it to Redis, under the prefix `test`.
pub(crate) async fn consumers_of_other_languages_go_on(
    address: &str,
    place: &KeptState,
    redis: &TestRedis,
    log: &BTreeMap<u32, Vec<(i64, String)>>,
) -> Result<()> {
    let examples = Examples::install(&place.out("examples")).await?;
    let ids = |(partition, events): (&u32, &Vec<(i64, String)>)| {
        events.iter().map(|(number, _)| format!("{partition}-{number}")).collect::<Vec<_>>()
    };
    let mut expected: Vec<String> = log.iter().flat_map(ids).collect();
    expected.sort();

    let file = place.out("consumed.sqlite");
    let consume = |wanted: usize| -> Result<Command> {
        let mut command = examples.python("consume.py")?;
        command.args([address, "assessment"]).arg(&file).arg(wanted.to_string());
        Ok(command)
    };
    goes_on(consume, &file, expected.len()).await.context("consume.py")?;
    ensure!(in_sqlite(&file).await? == expected, "consume.py holds something else than the log");

    let file = place.out("consumed.ndjson");
    let consume = |wanted: usize| -> Result<Command> {
        let mut command = examples.node("consume.ts");
        command.args([address, "assessment"]).arg(&file).arg(wanted.to_string());
        Ok(command)
    };
    goes_on(consume, &file, expected.len()).await.context("consume.ts")?;
    ensure!(in_lines(&file)? == expected, "consume.ts holds something else than the log");

    let file = place.out("grouped.sqlite");
    dies_with_some(redis, log).await?;
    // redis-py's word for a socket is another.
    let url = redis.url().replace("redis+unix:", "unix:");
    let consume = |wanted: usize| -> Result<Command> {
        let mut command = examples.python("redis_group.py")?;
        command
            .args([url.as_str(), "test", "assessment", GROUP, "one"])
            .arg(&file)
            .arg(wanted.to_string())
            .arg("0");
        Ok(command)
    };
    goes_on(consume, &file, expected.len()).await.context("redis_group.py")?;
    ensure!(in_sqlite(&file).await? == expected, "redis_group.py holds something else than the log");
    nothing_is_pending(redis, log).await
}

/// It is killed when it holds something, and then takes the rest.
async fn goes_on(consume: impl Fn(usize) -> Result<Command>, file: &Path, events: usize) -> Result<()> {
    // It would wait for ever for one more; what it has by then is on the disk.
    let mut killed = consume(events + 1)?.spawn()?;
    until("the consumer to hold something", PATIENCE, async || {
        fs::metadata(file).is_ok_and(|file| file.len() > BYTES_OF_SOME)
    })
    .await?;
    killed.kill().await?;
    let ended = timeout(PATIENCE, consume(events)?.status()).await.context("it does not end")??;
    ensure!(ended.success(), "{ended}");
    Ok(())
}

/// The ids in a table, with what is there twice as often as it is.
async fn in_sqlite(file: &Path) -> Result<Vec<String>> {
    let list = "import sqlite3, sys\nfor row in sqlite3.connect(sys.argv[1]).execute('SELECT id FROM event'): print(row[0])";
    let mut python = Command::new(tool("SHIPEI_TEST_PYTHON", "python/bin/python")?);
    let mut ids: Vec<String> =
        printed(python.args(["-c", list]).arg(file)).await?.lines().map(str::to_owned).collect();
    ids.sort();
    Ok(ids)
}

/// The ids in a file of lines, each with a cursor and events.
fn in_lines(file: &Path) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for line in fs::read_to_string(file)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        for event in line["events"].as_array().context("a list")? {
            ids.push(event["id"].as_str().context("an id")?.to_owned());
        }
    }
    ids.sort();
    Ok(ids)
}

fn stream(partition: u32) -> String {
    format!("test:assessment:{partition}")
}

/// A member of the group is given some entries of each stream, and is never heard of again.
async fn dies_with_some(redis: &TestRedis, log: &BTreeMap<u32, Vec<(i64, String)>>) -> Result<()> {
    let mut connection = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    for partition in log.keys() {
        let create = redis::cmd("XGROUP").arg(&["CREATE", &stream(*partition), GROUP, "0"]).to_owned();
        create.exec_async(&mut connection).await?;
        let mut read = redis::cmd("XREADGROUP");
        read.arg(&["GROUP", GROUP, "gone", "COUNT"]).arg(LEFT_BEHIND);
        read.arg(&["STREAMS", &stream(*partition), ">"]).exec_async(&mut connection).await?;
    }
    ensure!(pending(redis, log).await? > 0, "nothing was left behind");
    Ok(())
}

async fn nothing_is_pending(redis: &TestRedis, log: &BTreeMap<u32, Vec<(i64, String)>>) -> Result<()> {
    let left = pending(redis, log).await?;
    ensure!(left == 0, "{left} entries are not acknowledged");
    Ok(())
}

/// How many entries members were given and have not acknowledged.
async fn pending(redis: &TestRedis, log: &BTreeMap<u32, Vec<(i64, String)>>) -> Result<i64> {
    let mut connection = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let mut all = 0;
    for partition in log.keys() {
        let (count, ..): (i64, redis::Value, redis::Value, redis::Value) =
            redis::cmd("XPENDING").arg(stream(*partition)).arg(GROUP).query_async(&mut connection).await?;
        all += count;
    }
    Ok(all)
}
