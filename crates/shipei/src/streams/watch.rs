//! `shipei watch`: what happens in the suite, line by line; and whether its streams keep what the contract promises.

use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal as _, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use chrono::{DateTime, FixedOffset};
use clap::Args;
use shipei_client::{
    client::{Clients, explain},
    feed::{
        self, Feed, cloud_event,
        guarantees::{Guarantee, Guarantees},
    },
};
use shipei_contracts::event::v1::{
    Event, GetFeedStatusRequest, GetFeedStatusResponse, Start, SubscribeResponse,
    event_feed_client::EventFeedClient,
};
use shipei_service_kit::{descriptors, to_timestamp};
use tokio::sync::mpsc;

use super::Logs;
use crate::{
    ask::instant,
    display::{columns, said, say, table},
};

/// What stands below the help of `shipei watch`.
pub const EXAMPLES: &str = "\
Examples:
  shipei watch                                     what happens from now on, in all services
  shipei watch assessment --from earliest --json   all of a log as CloudEvents, a line each
  shipei watch enrollment --region 130302 --from 2019-10-15T00:00:00+08:00
  shipei watch assessment --json --cursor-file a.cursor   goes on where it ended last time
  shipei watch --verify                            are the six promises of the streams kept?
  shipei watch --status                            how much each log holds

With a cursor file each event comes at least once: the file is written behind the lines. --verify
reads all that there is now, leaves each stream now and then and goes on with its cursor, and
exits with 1 when something does not hold.";

/// Behind so many responses a stream that is verified is left once.
const RESPONSES_BEFORE_LEAVING: u64 = 3;
/// How many responses wait to be shown.
const RESPONSES_WAITING: usize = 4;
/// Breaches that are shown.
const BREACHES_SHOWN: usize = 20;

/// What is watched, and how.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    logs: Logs,
    /// Begin at the first event that is kept (`earliest`), at what is written from now on (`now`), or at a time.
    #[arg(long, value_name = "earliest|now|TIME", default_value = "now", value_parser = From::parse)]
    from: From,
    /// End when all is shown that was there at the beginning.
    #[arg(long)]
    until_now: bool,
    /// Go on where this file says, and write into it how far this has come.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["verify", "status"])]
    cursor_file: Option<PathBuf>,
    /// Verify that the streams keep what they promise, from the first event to the last that is there.
    #[arg(long, conflicts_with_all = ["json", "status"])]
    verify: bool,
    /// Show how much each log holds.
    #[arg(long)]
    status: bool,
    /// Print JSON: an event a line, as CloudEvents 1.0 has it.
    #[arg(long)]
    json: bool,
}

/// Where a log is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Earliest,
    Now,
    Time(DateTime<FixedOffset>),
}

impl From {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "now" => Ok(Self::Now),
            time => DateTime::parse_from_rfc3339(time)
                .map(Self::Time)
                .map_err(|error| format!("{error}; write earliest, now, or e.g. 2019-10-15T00:00:00+08:00")),
        }
    }
}

/// Shows or verifies; false when a promise was not kept.
///
/// # Errors
/// When the suite can't be reached or refuses.
pub async fn run(options: &Options) -> Result<bool> {
    let clients = options.logs.connect().await?;
    if options.status {
        return status(&clients, options).await.map(|()| true);
    }
    if options.verify {
        return verify(&clients, options).await;
    }
    show(&clients, options).await.map(|()| true)
}

/// How far each log was when this began, for who ends there.
async fn ends(
    clients: &Clients,
    sources: &[&'static str],
) -> Result<BTreeMap<&'static str, Vec<(u32, i64)>>> {
    let mut ends = BTreeMap::new();
    for source in sources {
        let end =
            feed::ends(clients, source).await.map_err(|status| anyhow!("{source}: {}", explain(&status)))?;
        ends.insert(*source, end);
    }
    Ok(ends)
}

async fn show(clients: &Clients, options: &Options) -> Result<()> {
    let sources = options.logs.sources();
    let mut cursors = match &options.cursor_file {
        Some(file) => read_cursors(file)?,
        None => BTreeMap::new(),
    };
    let mut left = if options.until_now { ends(clients, &sources).await? } else { BTreeMap::new() };
    let (sender, mut responses) = mpsc::channel(RESPONSES_WAITING);
    for source in &sources {
        let mut request = options.logs.wanted().request(source);
        match (cursors.get(*source), options.from) {
            (Some(cursor), _) => request.cursor.clone_from(cursor),
            (None, From::Earliest) => {}
            (None, From::Now) => request.start = Start::Now.into(),
            (None, From::Time(at)) => request.start_time = Some(to_timestamp(at.to_utc())),
        }
        let (mut feed, source, sender) = (Feed::new(clients, source, request), *source, sender.clone());
        tokio::spawn(async move {
            loop {
                let response = feed.next().await;
                let is_last = response.is_err();
                if sender.send((source, response)).await.is_err() || is_last {
                    return;
                }
            }
        });
    }
    drop(sender);
    while let Some((source, response)) = responses.recv().await {
        let response = response.map_err(|status| anyhow!("{source}: {}", explain(&status)))?;
        for event in &response.events {
            if !said(&line(options, event)?) {
                return Ok(());
            }
        }
        if let Some(file) = &options.cursor_file {
            cursors.insert(source.to_owned(), response.cursor.clone());
            write_cursors(file, &cursors)?;
        }
        if options.until_now {
            reach(&mut left, source, &response, &options.logs.wanted().partitions);
            if left.is_empty() {
                return Ok(());
            }
        }
    }
    bail!("the streams have ended")
}

/// Takes off what a response has reached.
fn reach(
    left: &mut BTreeMap<&'static str, Vec<(u32, i64)>>,
    source: &'static str,
    response: &SubscribeResponse,
    partitions: &[u32],
) {
    let Some(ends) = left.get_mut(source) else { return };
    ends.retain(|(partition, number)| {
        let is_followed = partitions.is_empty() || partitions.contains(partition);
        let reached = response.positions.iter().find(|position| position.partition == *partition);
        is_followed && reached.is_none_or(|position| position.number < *number)
    });
    if ends.is_empty() {
        left.remove(source);
    }
}

/// An event as one line.
fn line(options: &Options, event: &Event) -> Result<String> {
    let json = cloud_event::to_json(descriptors::pool(), event)?;
    if options.json {
        return Ok(json.to_string());
    }
    let time = instant(event.time.as_ref()).map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    let kind = event.r#type.rsplit('.').next().unwrap_or_default();
    let Event { source, id, subject, region_code, .. } = event;
    let head = format!("{} {source} {id} {kind} {subject} {region_code}", time.unwrap_or_default());
    let data = json["data"].to_string();
    // On a terminal a line is one line.
    let room = usize::from(columns()).saturating_sub(head.chars().count() + 1);
    match stdout().is_terminal() && unicode_width::UnicodeWidthStr::width(data.as_str()) > room {
        true => Ok(head),
        false => Ok(format!("{head} {data}")),
    }
}

fn read_cursors(file: &Path) -> Result<BTreeMap<String, String>> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is no file of cursors that `shipei watch` wrote", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Writes aside and renames, so that nobody ever reads half of it.
fn write_cursors(file: &Path, cursors: &BTreeMap<String, String>) -> Result<()> {
    let written = || -> std::io::Result<()> {
        let aside = file.with_extension("new");
        fs::write(&aside, serde_json::to_vec(cursors)?)?;
        fs::rename(&aside, file)
    };
    written().with_context(|| format!("cannot write {}", file.display()))
}

async fn verify(clients: &Clients, options: &Options) -> Result<bool> {
    let sources = options.logs.sources();
    let wanted = options.logs.wanted();
    let mut rows = Vec::new();
    let mut breaches = Vec::new();
    let mut kept = true;
    for (source, end) in ends(clients, &sources).await? {
        let mut left = BTreeMap::from([(source, end)]);
        let mut guarantees = Guarantees::new(wanted.is_filtered(), false);
        let mut feed = Feed::new(clients, source, wanted.request(source));
        reach(&mut left, source, &SubscribeResponse::default(), &wanted.partitions);
        while !left.is_empty() {
            let response = feed.next().await.map_err(|status| anyhow!("{source}: {}", explain(&status)))?;
            guarantees.take(&response, feed.has_resumed());
            reach(&mut left, source, &response, &wanted.partitions);
            if guarantees.counts().1.is_multiple_of(RESPONSES_BEFORE_LEAVING) {
                feed.interrupt();
            }
        }
        let (events, responses, resumptions) = guarantees.counts();
        let is_kept =
            |guarantee: &Guarantee| guarantees.breaches().iter().all(|breach| breach.guarantee != *guarantee);
        let promises = Guarantee::ALL.iter().filter(|guarantee| is_kept(guarantee)).count();
        rows.push(vec![
            source.to_owned(),
            events.to_string(),
            responses.to_string(),
            resumptions.to_string(),
            format!("{promises}/{}", Guarantee::ALL.len()),
        ]);
        kept &= guarantees.breach_count() == 0;
        breaches.extend(guarantees.breaches().iter().map(|breach| format!("{source}: {breach}")));
    }
    let headings = ["日志 log", "事件 events", "应答 responses", "续接 resumed", "成立 kept"];
    say(&table(columns(), "事件流的六项保证 The six promises of the streams", &headings, &rows));
    say(&Guarantee::ALL.map(Guarantee::title).join(" · "));
    for breach in breaches.iter().take(BREACHES_SHOWN) {
        say(breach);
    }
    if breaches.len() > BREACHES_SHOWN {
        say(&format!("… and {} more", breaches.len() - BREACHES_SHOWN));
    }
    Ok(kept)
}

async fn status(clients: &Clients, options: &Options) -> Result<()> {
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for source in options.logs.sources() {
        let answer = clients.call(|| {
            let asked = GetFeedStatusRequest { source: source.to_owned() };
            let request = Clients::about_log(source, clients.unary(asked));
            let mut client = EventFeedClient::new(clients.channel(source));
            async move { client.get_feed_status(request).await }
        });
        let status = answer.await.map_err(|status| anyhow!("{source}: {}", explain(&status)))?.into_inner();
        let GetFeedStatusResponse { epoch, events, oldest_time, newest_time, partitions, streams, .. } =
            status;
        let time = |at: Option<&prost_types::Timestamp>| {
            instant(at).map(|at| at.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
        };
        let (oldest, newest) = (time(oldest_time.as_ref()), time(newest_time.as_ref()));
        list.push(serde_json::json!({
            "source": source, "events": events, "partitions": partitions.len(), "oldest": oldest, "newest": newest,
            "streams": streams, "epoch": epoch,
        }));
        rows.push(vec![
            source.to_owned(),
            events.to_string(),
            partitions.len().to_string(),
            oldest,
            newest,
            streams.to_string(),
        ]);
    }
    if options.json {
        say(&serde_json::Value::from(list).to_string());
        return Ok(());
    }
    let headings =
        ["日志 log", "事件 events", "分区 partitions", "最早 oldest", "最新 newest", "订阅 streams"];
    say(&table(columns(), "事件日志 Event logs (UTC)", &headings, &rows));
    Ok(())
}
