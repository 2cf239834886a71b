//! `shipei serve`: all five services or some, until a signal ends them.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use shipei_service_kit::{Clock, config::ListenAddress};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::suite::{self, Storage, Suite, service_names};

/// What `shipei serve` is told.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  shipei serve                                   all five on SQLite files in ./shipei-data
  shipei serve --database postgres://localhost/shipei --key-file /etc/shipei.key
                                                 all five on Postgres, a schema for each
  shipei serve assessment --listen 127.0.0.1:7305 --peer enrollment=127.0.0.1:7301 \\
      --peer learning-progress=127.0.0.1:7302 --peer assignment-grading=127.0.0.1:7303 \\
      --peer offline-activity=127.0.0.1:7304     one of five processes")]
pub struct Options {
    /// The services to run: enrollment, learning-progress, assignment-grading, offline-activity, assessment. All if none is named.
    services: Vec<String>,
    /// Where to listen; port 0 takes a free one. Loopback only while access rights are not enforced.
    #[arg(long, default_value = "127.0.0.1:7300", env = "SHIPEI_LISTEN", value_parser = |text: &str| ListenAddress::parse(text, false))]
    listen: ListenAddress,
    /// The folder for SQLite files and the key file.
    #[arg(long, default_value = "shipei-data", env = "SHIPEI_DATA")]
    data: PathBuf,
    /// Databases elsewhere: a postgres:// URL for all services (a schema for each), or SERVICE=URL, several times.
    #[arg(long = "database", value_name = "[SERVICE=]URL", env = "SHIPEI_DATABASE", value_delimiter = ' ')]
    databases: Vec<String>,
    /// The file of keys for identity numbers and tokens; the same for every process of a suite. Made if it is not there.
    #[arg(long, env = "SHIPEI_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// A service that runs elsewhere: SERVICE=ADDRESS, several times.
    #[arg(long = "peer", value_name = "SERVICE=ADDRESS", env = "SHIPEI_PEERS", value_delimiter = ' ')]
    peers: Vec<String>,
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(options: Options) -> Result<()> {
    let listener = TcpListener::bind(options.listen.socket_address())
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let suite = Suite::start(&suite::Options {
        services: options.services.clone(),
        storage: storage_of(&options)?,
        peers: peers_of(&options.peers)?,
        clock: Clock::system(),
    })
    .await?;
    let address = suite.listen(listener)?;
    let served =
        if options.services.is_empty() { service_names().join(", ") } else { options.services.join(", ") };
    // The first line of standard output is the address: a script that let the system choose the port reads it here.
    say(&format!("listening on {address}"));
    say(&format!("serving {served}"));
    say("open: access rights are declared but not enforced yet, so only this machine can reach it");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    say("stopping");
    suite.stop().await;
    Ok(())
}

/// A line of standard output; that nobody reads it any more is no reason to end.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn storage_of(options: &Options) -> Result<Storage> {
    if options.databases.is_empty() {
        return Ok(Storage::Directory(options.data.clone()));
    }
    let mut urls = BTreeMap::new();
    for database in &options.databases {
        match database.split_once('=').filter(|(service, _)| service_names().contains(service)) {
            Some((service, url)) => {
                let Some(service) = service_names().into_iter().find(|name| *name == service) else {
                    continue;
                };
                urls.insert(service, url.to_owned());
            }
            None if database.starts_with("postgres") => {
                for service in service_names() {
                    urls.entry(service).or_insert_with(|| with_schema(database, service));
                }
            }
            None => bail!("--database takes a postgres:// URL for all services, or SERVICE=URL"),
        }
    }
    let key_file = options.key_file.clone().unwrap_or_else(|| options.data.join("shipei.key"));
    Ok(Storage::Databases { urls, key_file })
}

/// The same database, a schema for each service.
fn with_schema(url: &str, service: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}schema={}", service.replace('-', "_"))
}

fn peers_of(peers: &[String]) -> Result<BTreeMap<String, String>> {
    let mut addresses = BTreeMap::new();
    for peer in peers {
        let Some((service, address)) = peer.split_once('=') else {
            bail!("--peer {peer}: write SERVICE=ADDRESS");
        };
        if !service_names().contains(&service) {
            bail!("--peer {peer}: there is no service `{service}`; there are {}", service_names().join(", "));
        }
        addresses.insert(service.to_owned(), address.to_owned());
    }
    Ok(addresses)
}
