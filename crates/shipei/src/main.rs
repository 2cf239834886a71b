//! The command line of shipei; the work is in the library.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use shipei::{
    client::Clients,
    demo, replay, serve,
    suite::{Storage, Suite},
};
use shipei_service_kit::telemetry::{self, LogFormat};

/// 师培 shipei: runs and judges a whole province's teacher training.
///
/// Five gRPC services in one program: enrollment, learning-progress, assignment-grading and offline-activity keep the
/// facts; assessment follows their event logs and turns them into scores that explain themselves.
#[derive(Debug, Parser)]
#[command(version, about, long_about, after_help = "Begin with `shipei demo`.")]
struct Arguments {
    /// How log lines are written to standard error (which of them: SHIPEI_LOG, e.g. `info`).
    #[arg(long, global = true, default_value = "human", env = "SHIPEI_LOG_FORMAT")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay the season of Qinhuangdao 2019 in this process and show every role's scores.
    Demo {
        /// Where the demo keeps its databases, its season and its score files.
        #[arg(long, default_value = "shipei-demo")]
        data: PathBuf,
    },
    /// Serve all five services, or those that are named.
    Serve(serve::Options),
    /// Import a season through the public API and write the scores that come out.
    ///
    /// SEASON is a folder with scheme.toml, roster/*.csv and season.ndjson. The four files trainees.csv, tutors.csv,
    /// counselors.csv and rejections.csv are written to DIR. Without --server the suite runs in this process on a
    /// temporary folder. Sending a season twice does no harm: every operation carries a request id.
    Replay {
        /// The season's folder.
        season: PathBuf,
        /// The folder for the four files; made if it is not there.
        #[arg(long)]
        out: PathBuf,
        /// A running suite: ADDRESS for all services, or SERVICE=ADDRESS, several times.
        #[arg(long = "server", value_name = "[SERVICE=]ADDRESS")]
        servers: Vec<String>,
        /// Keep the databases of the suite in this process here, instead of a temporary folder.
        #[arg(long, conflicts_with = "servers")]
        data: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let default = match arguments.command {
        Command::Serve(_) => telemetry::LOG_DEFAULT,
        Command::Demo { .. } | Command::Replay { .. } => telemetry::LOG_DEFAULT_QUIET,
    };
    if let Err(error) = telemetry::init(arguments.log_format, default) {
        eprintln!("shipei: {error}");
        return ExitCode::FAILURE;
    }
    match run(arguments.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shipei: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo { data } => demo::run(&data).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Replay { season, out, servers, data } => {
            if !servers.is_empty() {
                return replay::run(&Clients::connect(&servers).await?, &season, &out).await;
            }
            let temporary = tempfile::tempdir()?;
            let folder = data.unwrap_or_else(|| temporary.path().to_owned());
            let suite = Suite::start_embedded(&Storage::Directory(folder)).await?;
            let outcome = replay::run(&Clients::of_channel(&suite.channel()), &season, &out).await;
            suite.stop().await;
            outcome
        }
    }
}
