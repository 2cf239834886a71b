//! `shipei relay`: takes the event logs into an engine that runs elsewhere, each event once.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use shipei_client::{
    client::Clients,
    feed::{Wanted, ends},
};
use shipei_relay::{Destination, Ndjson, RedisStreams, Relay, RelayError};

use super::Logs;
use crate::display::say;

/// What stands below the help of `shipei relay`.
pub const EXAMPLES: &str = "\
Examples:
  shipei relay --to ndjson --folder /srv/shipei-events         files by log, partition and day
  shipei relay --to redis-streams --redis redis://127.0.0.1:6379 --prefix shipei
  shipei relay assessment --to ndjson --folder out --programme qinhuangdao-2019 --until-now

Stop it and start it as you like: the destination itself says how far it is, and what it has is
not written again. Two relays of one log: give each its own partitions (--partition) and its own
folder or prefix; and another one too, where other events are wanted than before.";

/// The first wait after the destination did not keep something; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// Files of JSON lines.
    Ndjson,
    /// Streams of a Redis.
    RedisStreams,
}

/// What is taken where.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    logs: Logs,
    /// The engine.
    #[arg(long)]
    to: To,
    /// The folder of the files.
    #[arg(long, value_name = "DIR", required_if_eq("to", "ndjson"))]
    folder: Option<PathBuf>,
    /// The address of the Redis, e.g. redis://127.0.0.1:6379.
    #[arg(
        long,
        value_name = "URL",
        required_if_eq("to", "redis-streams"),
        env = "SHIPEI_RELAY_REDIS",
        hide_env_values = true
    )]
    redis: Option<String>,
    /// What the names of its streams begin with: PREFIX:SOURCE:PARTITION.
    #[arg(long, default_value = "shipei")]
    prefix: String,
    /// How many events each of its streams keeps, about; all without it.
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// End when all is there that was written at the beginning.
    #[arg(long)]
    until_now: bool,
}

/// Relays until it is stopped, or until the logs' present ends are there.
///
/// # Errors
/// When the suite refuses, or the destination can't be used from the beginning.
pub async fn run(options: &Options) -> Result<()> {
    let clients = options.logs.connect().await?;
    let wanted = options.logs.wanted();
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {human_pos} events written ({per_sec}, {elapsed})");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    let mut relays = tokio::task::JoinSet::new();
    for source in options.logs.sources() {
        let until = match options.until_now {
            true => Some(ends(&clients, source).await.map_err(|status| {
                anyhow::anyhow!("{source}: {}", shipei_client::client::explain(&status))
            })?),
            false => None,
        };
        let (clients, wanted, bar) = (clients.clone(), wanted.clone(), bar.clone());
        match options.to {
            To::Ndjson => {
                let folder = options.folder.as_deref().context("--folder")?;
                let files = Ndjson::open(folder, source)?;
                relays.spawn(async move { relay(&clients, source, &wanted, files, until, &bar).await });
            }
            To::RedisStreams => {
                let url = options.redis.as_deref().context("--redis")?;
                let streams = RedisStreams::connect(url, &options.prefix, options.keep).await?;
                relays.spawn(async move { relay(&clients, source, &wanted, streams, until, &bar).await });
            }
        }
    }
    while let Some(ended) = relays.join_next().await {
        ended??;
    }
    let written = bar.position();
    bar.finish_and_clear();
    say(&format!("{written} events written; the rest was there already"));
    Ok(())
}

async fn relay<D: Destination>(
    clients: &Clients,
    source: &'static str,
    wanted: &Wanted,
    destination: D,
    until: Option<Vec<(u32, i64)>>,
    bar: &ProgressBar,
) -> Result<()> {
    let mut relay = Relay::new(clients, source, wanted, destination);
    let mut pause = PAUSE_FIRST;
    let mut told = 0;
    loop {
        if let Some(until) = &until
            && until.iter().all(|(partition, number)| {
                !wanted.partitions.is_empty() && !wanted.partitions.contains(partition)
                    || relay.reached(*partition) >= *number
            })
        {
            return Ok(());
        }
        match relay.step().await {
            Ok(progress) => {
                bar.inc(progress.written - told);
                (told, pause) = (progress.written, PAUSE_FIRST);
            }
            Err(RelayError::Destination(error)) => {
                tracing::warn!(
                    source,
                    error = format!("{error:#}"),
                    "the destination keeps nothing now; trying again"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
