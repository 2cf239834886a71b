//! `shipei bench`: the hot paths held against the raw limit of the same machine, in the same run.
//!
//! Seconds say as much about a machine as about a program; a ratio says what the program adds to what the machine
//! must do anyway. Each hot path is driven through the public API (`load.rs`), its raw limit is plain statements in
//! the same kind of database (`raw.rs`, `store.rs`). The two take turns, round after round, each bounded in count and
//! time, so that a machine that slows down slows both; the ratio's median is quoted with its least and largest.
//! To add a hot path: its drive in `load.rs`, its limit in `raw.rs`, a function in `paths.rs` that gives a `Measurement`.

mod drive;
mod import;
mod load;
mod paths;
mod process;
mod raw;
pub mod report;
mod scale;
mod setup;
mod shape;
mod stack;
mod store;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use shipei_client::replay::watcher::Watcher as _;
use shipei_client::{client::Clients, replay};
use shipei_store::{Database, PoolLimits, crypto};

use crate::{
    display::say,
    progress::Progress,
    services::service_names,
    suite::{Storage, Suite},
};
use load::Load;
use report::{Machine, Measurement, Rate, Report, Round};

/// The most learners; identity numbers and the days of study are made for so many.
const LEARNERS_MAX: u64 = 20_000;
/// The least: each round needs some who have not logged in yet.
const LEARNERS_MIN: u64 = 20;
/// The longest that one side of a measurement may be asked to run.
const SECONDS_MAX: u64 = 60;
/// How often the suite and its raw limit take turns.
const ROUNDS: u64 = 3;
/// How long assessment may take to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(300);
/// More than any measurement takes: for what must be done whole, e.g. the log-ins that later measurements need.
const UNMEASURED: Duration = Duration::from_secs(300);
/// The name of the raw limit's own database.
const RAW: &str = "raw";

/// What `shipei bench --help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  shipei bench                                  SQLite, in the system's temporary folder
  shipei bench --data /mnt/disk --seconds 10    SQLite on that disk, longer and so steadier
  shipei bench --otlp http://127.0.0.1:4317     with telemetry on; compare it with a run without
  shipei bench --database postgres://shipei@localhost/bench --json > bench.json
  shipei bench --database postgres://shipei@localhost/bench --scale
                                                and how instances share the work
  shipei bench --import 300000                  and how long a province's roster takes

How to read it: `rate` is the suite's, through gRPC, checked, with the event log, acknowledged
when on disk; `raw limit` is that of plain statements without any of it; 50% means that the
suite adds as much as the machine must do anyway. More than 100% is a group commit: many calls
share a transaction that the raw rows have each for themselves. The two take turns, three rounds
each; the rates are medians, the ratio is its median with the least and the largest of a round.
`stack` is without a database: processor time of a call, the suite's process beside a bare one.";

/// What is asked for on the command line.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Learners of the synthetic programme; more make the logs longer, and the steps before measuring too.
    #[arg(long, default_value_t = 12_000, value_parser = clap::value_parser!(u64).range(LEARNERS_MIN..=LEARNERS_MAX))]
    pub learners: u64,
    /// How long each side of a measurement runs, at most.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    pub seconds: u64,
    /// A Postgres to measure instead of SQLite: postgres://USER:PASSWORD@HOST/NAME. The bench makes schemas of its
    /// own in it, named shipei_bench_*, and removes them when it is done.
    #[arg(long, value_name = "URL", env = "SHIPEI_BENCH_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// The folder in which the temporary databases are made; the disk below it is what is measured.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Measure 1, 2 and 4 instances of learning-progress and of assessment too, each a process of its own.
    #[arg(long, requires = "database")]
    pub scale: bool,
    /// Measure a roster of so many people too: from the first row until every service has learned of them.
    #[arg(long, value_name = "PEOPLE", value_parser = clap::value_parser!(u64).range(1..=import::PEOPLE_MAX))]
    pub import: Option<u64>,
    /// Send traces and metrics to this OpenTelemetry collector meanwhile (http://HOST:4317), to see what that costs.
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Write JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Serve a bare health check, which is what the stack is measured beside.
    #[arg(long, hide = true)]
    pub bare: bool,
}

/// Measures and prints.
pub async fn run(options: &Options) -> Result<()> {
    if options.bare {
        return stack::serve_bare().await;
    }
    let sizes = Sizes {
        learners: options.learners,
        time: Duration::from_secs(options.seconds),
        stack: true,
        scale: options.scale,
        import: options.import,
    };
    let progress = Progress::visible();
    let report = measure(options.database.as_deref(), options.data.as_deref(), sizes, &progress).await;
    progress.end();
    let report = report?;
    if options.json {
        say(&serde_json::to_string_pretty(&report.json())?);
    } else {
        say(report.text().trim_end());
    }
    Ok(())
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Learners of the programme.
    pub learners: u64,
    /// How long each side of a measurement runs in a round, at most.
    pub time: Duration,
    /// Is the processor time of calls measured too, in processes of this program?
    pub stack: bool,
    /// Are several instances measured too?
    pub scale: bool,
    /// The people of a roster to be imported, if that is measured too.
    pub import: Option<u64>,
}

/// Measures in databases of its own, which are gone afterwards, whether it went well or not.
pub async fn measure(
    database: Option<&str>,
    data: Option<&Path>,
    sizes: Sizes,
    progress: &Progress,
) -> Result<Report> {
    let folder = match data {
        Some(data) => {
            std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
            tempfile::tempdir_in(data)?
        }
        None => tempfile::tempdir()?,
    };
    let places = Places::new(database, folder.path())?;
    let raw = Database::open(&places.url(RAW), PoolLimits::default()).await.context("the raw database")?;
    let bench = Bench { raw, places, sizes, progress: progress.clone() };
    let mut outcome = bench.all(folder.path()).await;
    if let Ok(report) = &mut outcome
        && let Err(error) = bench.more(folder.path(), report).await
    {
        outcome = Err(error);
    }
    bench.clean_up().await.and(outcome)
}

/// The databases of one run: files in a folder, or schemas of a Postgres database.
struct Places {
    postgres: Option<String>,
    prefix: String,
    folder: PathBuf,
}

impl Places {
    fn new(postgres: Option<&str>, folder: &Path) -> Result<Places> {
        if postgres.is_some_and(|url| !url.starts_with("postgres://") && !url.starts_with("postgresql://")) {
            bail!("--database takes the URL of a Postgres database; without it SQLite is measured");
        }
        let prefix: String = crypto::random_name()?
            .to_lowercase()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        Ok(Places { postgres: postgres.map(str::to_owned), prefix, folder: folder.to_owned() })
    }

    fn schema(&self, name: &str) -> String {
        format!("shipei_bench_{}_{}", self.prefix, name.replace('-', "_"))
    }

    fn url(&self, name: &str) -> String {
        let Some(url) = &self.postgres else {
            return format!("sqlite:{}", self.folder.join(format!("{name}.sqlite")).display());
        };
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}schema={}", self.schema(name))
    }

    /// Every service's database; assessment's under a name of its own, so that it can begin anew.
    fn storage(&self, assessment: &str) -> Storage {
        let urls: BTreeMap<&'static str, String> = service_names()
            .into_iter()
            .map(|name| (name, self.url(if name == shipei_assessment::NAME { assessment } else { name })))
            .collect();
        Storage::Databases { urls, key_file: self.folder.join("shipei.key") }
    }
}

/// Where assessment catches up from nothing, in this round.
fn anew(round: u64) -> String {
    format!("assessment-anew-{round}")
}

/// One run.
struct Bench {
    raw: Database,
    places: Places,
    sizes: Sizes,
    progress: Progress,
}

impl Bench {
    async fn all(&self, folder: &Path) -> Result<Report> {
        let machine = self.machine(folder).await?;
        store::create_tables(&self.raw).await?;
        let suite = Suite::start_embedded(&self.places.storage(shipei_assessment::NAME)).await?;
        let measured = self.warm(&suite, folder).await;
        suite.stop().await;
        let (load, mut measurements) = measured?;

        measurements.extend(self.cold(load).await?);
        Ok(Report {
            machine,
            learners: self.sizes.learners,
            measurements,
            scaled: Vec::new(),
            imported: None,
        })
    }

    /// What is measured with processes of their own, and what only who asks for it waits for.
    async fn more(&self, folder: &Path, report: &mut Report) -> Result<()> {
        if self.sizes.stack {
            report.measurements.extend(stack::measure(self, folder).await.context("measuring the stack")?);
        }
        if self.sizes.scale {
            report.scaled = scale::measure(self, folder).await.context("measuring instances")?;
        }
        if let Some(people) = self.sizes.import {
            let measured = import::measure(self, folder, people).await;
            report.imported = Some(measured.context("measuring an import")?);
        }
        Ok(())
    }

    async fn machine(&self, folder: &Path) -> Result<Machine> {
        self.progress.stage("syncing to the disk");
        let syncs = match self.raw.is_postgres() {
            true => None,
            false => Some(raw::syncs(folder, self.sizes.time).await?),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Machine { cores, database: store::describe(&self.raw).await?, syncs })
    }

    /// Sets the programme up and measures all writes.
    async fn warm(&self, suite: &Suite, folder: &Path) -> Result<(Load, Vec<Measurement>)> {
        let season = setup::season(&folder.join("season"), self.sizes.learners, setup::COUNTIES_OF_SEASON)?;
        let setting_up = Clients::of_channel(&suite.channel());
        let report = replay::replay(&setting_up, &season, &self.progress).await?;
        ensure!(
            report.row_refusals.is_empty(),
            "roster rows were refused: {:?}",
            report.row_refusals.first()
        );
        ensure!(
            report.rejections.is_empty(),
            "lines were refused: {:?}",
            report.rejections.first_key_value()
        );
        let load = Load {
            clients: Clients::of_channel(&suite.channel()),
            programme: report.programme.programme_id.clone(),
            final_time: report.programme.final_time,
        };
        let mut measured = self.logins(&load).await?;
        load.wait_for_assessment(&suite.channel()).await?;
        measured.insert(0, self.streamed(&load).await?);
        load.wait_for_assessment(&suite.channel()).await?;
        measured.push(self.single_beats(&load).await?);
        load.wait_for_assessment(&suite.channel()).await?;
        measured.push(self.submissions(&load).await?);
        measured.push(self.attendee_scores(&load).await?);
        load.wait_for_assessment(&suite.channel()).await?;
        Ok((load, measured))
    }

    /// Measures what a fresh assessment does, each round with an empty database: catching up, then scores.
    async fn cold(&self, load: Load) -> Result<Vec<Measurement>> {
        let mut rounds = Vec::new();
        let mut scores = None;
        for round in 0..ROUNDS {
            self.progress.stage("assessment catches up from nothing");
            let suite = Suite::start_embedded(&self.places.storage(&anew(round))).await?;
            let measured = self.cold_round(&suite, &load, round + 1 == ROUNDS).await;
            suite.stop().await;
            let (caught_up, listed) = measured?;
            rounds.push(caught_up);
            scores = listed;
        }
        let caught_up = Measurement {
            name: "catch_up",
            what: "event logs, applied and scored by assessment from nothing".to_owned(),
            unit: "events",
            raw_what: "the same logs read by a client that does nothing".to_owned(),
            rounds,
        };
        Ok([caught_up].into_iter().chain(scores).collect())
    }

    async fn cold_round(
        &self,
        suite: &Suite,
        load: &Load,
        last: bool,
    ) -> Result<(Round, Option<Measurement>)> {
        let began = Instant::now();
        let load = Load { clients: Clients::of_channel(&suite.channel()), ..load.clone() };
        let count = tokio::time::timeout(CATCH_UP_MAX, load.wait_for_assessment(&suite.channel()))
            .await
            .with_context(|| format!("assessment did not catch up in {CATCH_UP_MAX:?}"))??;
        let rate = Rate { count, took: began.elapsed() };
        self.progress.stage("reading the logs");
        let caught_up = Round { rate, raw: load.read_logs().await? };
        Ok((caught_up, if last { Some(self.scores(&load).await?) } else { None }))
    }

    /// The schemas go; files go with their folder.
    async fn clean_up(&self) -> Result<()> {
        let scaled = scale::schemas();
        let names = service_names().into_iter().chain([RAW]).map(str::to_owned).chain(import::schemas());
        for name in names.chain((0..ROUNDS).map(anew)).chain(scaled) {
            store::drop_schema(&self.raw, &self.places.schema(&name)).await?;
        }
        self.raw.close().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tiny(database: Option<&str>) {
        let sizes =
            Sizes { learners: 40, time: Duration::from_millis(50), stack: false, scale: false, import: None };
        let report = measure(database, None, sizes, &Progress::hidden()).await.unwrap();
        assert_eq!(report.measurements.len(), 8);
        for measured in &report.measurements {
            assert_eq!(measured.rounds.len(), 3);
            let rounds = &measured.rounds;
            assert!(rounds.iter().all(|round| round.rate.count > 0 && round.raw.count > 0), "{measured:?}");
        }
        assert!(report.text().contains("StreamHeartbeats"));
        assert_eq!(report.json()["measurements"].as_array().map(Vec::len), Some(8));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn tiny_bench_measures_every_path_on_sqlite() {
        tiny(None).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn tiny_bench_measures_every_path_on_postgres_and_leaves_no_schema() {
        let server = shipei_store::testing::TestPostgres::start(&[("fsync", "off")]);
        tiny(Some(&server.url("public").replace("&schema=public", ""))).await;
        let database = Database::open(&server.url("public"), PoolLimits::default()).await.unwrap();
        assert_eq!(store::bench_schemas(&database).await.unwrap(), 0);
    }
}
