//! `shipei bench`: the hot paths held against the raw limit of the same machine, in the same run.
//!
//! Seconds say as much about a machine as about a program; a ratio says what the program adds to what the machine
//! must do anyway. Each hot path is driven through the public API (`load.rs`), its raw limit is plain statements in
//! the same kind of database (`raw.rs`, `store.rs`), one right after the other, each bounded in count and time.
//! To add a hot path: its drive in `load.rs`, its limit in `raw.rs`, a function here that gives a `Measurement`.

mod load;
mod raw;
pub mod report;
mod scale;
mod setup;
mod store;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use shipei_store::{Database, PoolLimits, crypto};

use crate::{
    client::Clients,
    display::say,
    replay::{self, progress::Progress},
    suite::{Storage, Suite, service_names},
};
use load::{Load, Shape};
use report::{Machine, Measurement, Report};

/// The most learners; identity numbers and the days of study are made for so many.
const LEARNERS_MAX: u64 = 20_000;
/// The longest that one side of a measurement may be asked to run.
const SECONDS_MAX: u64 = 60;
/// Learners of one message of heartbeats.
const LEARNERS_PER_MESSAGE: u64 = 500;
/// Beats of each learner in one message.
const BEATS_EACH: u64 = 10;
/// Acknowledged writes under way at once.
const WRITES_AT_ONCE: u64 = 64;
/// Single heartbeats under way at once.
const BEATS_AT_ONCE: u64 = 256;
/// The most single heartbeats; and where each raw measurement's numbers begin.
const SINGLES_MAX: u64 = 1_000_000;
/// The most rows or scores that are read in one measurement.
const READ_MAX: u64 = 10_000_000;
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

How to read it: `rate` is the suite's, through gRPC, checked, with the event log, acknowledged
when on disk; `raw limit` is that of plain statements without any of it; 50% means that the
suite adds as much as the machine must do anyway. More than 100% is a group commit: many calls
share a transaction that the raw rows have each for themselves. Each side is measured once, the
raw one just before or after: run it on a quiet machine, and more than once.";

/// What is asked for on the command line.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Learners of the synthetic programme; more make the logs longer, and the steps before measuring too.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=LEARNERS_MAX))]
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
    /// Send traces and metrics to this OpenTelemetry collector meanwhile (http://HOST:4317), to see what that costs.
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Write JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints.
pub async fn run(options: &Options) -> Result<()> {
    let sizes = Sizes { learners: options.learners, time: Duration::from_secs(options.seconds) };
    let progress = Progress::visible();
    let report =
        measure(options.database.as_deref(), options.data.as_deref(), sizes, options.scale, &progress).await;
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
    /// How long each side of a measurement runs, at most.
    pub time: Duration,
}

/// Measures in databases of its own, which are gone afterwards, whether it went well or not.
pub async fn measure(
    database: Option<&str>,
    data: Option<&Path>,
    sizes: Sizes,
    scale: bool,
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
    if scale && let Ok(report) = &mut outcome {
        match scale::measure(&bench, folder.path()).await {
            Ok(scaled) => report.scaled = scaled,
            Err(error) => outcome = Err(error.context("measuring instances")),
        }
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

/// Where assessment catches up from nothing.
const ASSESSMENT_ANEW: &str = "assessment-anew";

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

        self.progress.stage("assessment catches up from nothing");
        let suite = Suite::start_embedded(&self.places.storage(ASSESSMENT_ANEW)).await?;
        let measured = self.cold(&suite, load).await;
        suite.stop().await;
        measurements.extend(measured?);
        Ok(Report { machine, learners: self.sizes.learners, measurements, scaled: Vec::new() })
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
        let logins = self.logins(&load).await?;
        load.wait_for_assessment(&suite.channel()).await?;
        let streamed = self.streamed(&load).await?;
        load.wait_for_assessment(&suite.channel()).await?;
        let singles = self.single_beats(&load).await?;
        load.wait_for_assessment(&suite.channel()).await?;
        let submissions = self.submissions(&load).await?;
        load.wait_for_assessment(&suite.channel()).await?;
        Ok((load, vec![streamed, logins, submissions, singles]))
    }

    /// Measures what a fresh assessment does: catching up, then scores.
    async fn cold(&self, suite: &Suite, load: Load) -> Result<Vec<Measurement>> {
        let began = Instant::now();
        let load = Load { clients: Clients::of_channel(&suite.channel()), ..load };
        let count = tokio::time::timeout(CATCH_UP_MAX, load.wait_for_assessment(&suite.channel()))
            .await
            .with_context(|| format!("assessment did not catch up in {CATCH_UP_MAX:?}"))??;
        let rate = report::Rate { count, took: began.elapsed() };
        self.progress.stage("reading the logs");
        let caught_up = Measurement {
            name: "catch_up",
            what: "event logs, applied and scored by assessment from nothing".to_owned(),
            unit: "events",
            rate,
            raw_what: "the same logs read by a client that does nothing".to_owned(),
            raw: load.read_logs().await?,
        };
        Ok(vec![caught_up, self.scores(&load).await?])
    }

    async fn streamed(&self, load: &Load) -> Result<Measurement> {
        let learners = self.sizes.learners;
        let shape = Shape {
            first_learner: 0,
            learners,
            per_message: LEARNERS_PER_MESSAGE.min(learners),
            beats_each: BEATS_EACH,
        };
        self.progress.stage("heartbeats over a stream");
        load.wait_for_learning().await?;
        let raw = raw::bulk_study(&self.raw, shape, self.sizes.time).await?;
        Ok(Measurement {
            name: "stream_heartbeats",
            what: format!("StreamHeartbeats, {} learners x {BEATS_EACH} beats a message", shape.per_message),
            unit: "beats",
            rate: load.stream(shape, self.sizes.time).await?,
            raw_what: "session and learner rows upserted in bulk, a transaction a message".to_owned(),
            raw,
        })
    }

    async fn logins(&self, load: &Load) -> Result<Measurement> {
        let learners = self.sizes.learners;
        self.progress.stage("log-ins");
        let raw = raw::single_rows(&self.raw, 0..SINGLES_MAX, WRITES_AT_ONCE, self.sizes.time).await?;
        let rate = load.logins(0..learners, WRITES_AT_ONCE, self.sizes.time).await?;
        // The others, without measuring: who never logged in may not study.
        load.logins(rate.count..learners, WRITES_AT_ONCE, UNMEASURED).await?;
        Ok(Measurement {
            name: "record_login",
            what: format!("RecordLogin, {WRITES_AT_ONCE} calls at once"),
            unit: "calls",
            rate,
            raw_what: format!("one-row transactions, {WRITES_AT_ONCE} at once"),
            raw,
        })
    }

    async fn submissions(&self, load: &Load) -> Result<Measurement> {
        self.progress.stage("assignments");
        let raw = raw::single_rows(&self.raw, SINGLES_MAX..2 * SINGLES_MAX, WRITES_AT_ONCE, self.sizes.time)
            .await?;
        Ok(Measurement {
            name: "submit_assignment",
            what: format!("SubmitAssignment, {WRITES_AT_ONCE} calls at once"),
            unit: "calls",
            rate: load.submissions(0..self.sizes.learners, WRITES_AT_ONCE, self.sizes.time).await?,
            raw_what: format!("one-row transactions, {WRITES_AT_ONCE} at once"),
            raw,
        })
    }

    async fn single_beats(&self, load: &Load) -> Result<Measurement> {
        self.progress.stage("heartbeats one at a time");
        let raw =
            raw::single_rows(&self.raw, 2 * SINGLES_MAX..3 * SINGLES_MAX, BEATS_AT_ONCE, self.sizes.time)
                .await?;
        let (learners, time) = (self.sizes.learners, self.sizes.time);
        Ok(Measurement {
            name: "record_heartbeat",
            what: format!("RecordHeartbeat, {BEATS_AT_ONCE} calls at once"),
            unit: "beats",
            rate: load.single_beats(learners, 0..SINGLES_MAX, BEATS_AT_ONCE, time).await?,
            raw_what: format!("one-row transactions, {BEATS_AT_ONCE} at once"),
            raw,
        })
    }

    async fn scores(&self, load: &Load) -> Result<Measurement> {
        self.progress.stage("reading scores");
        let raw = raw::pages(&self.raw, READ_MAX, self.sizes.time).await?;
        Ok(Measurement {
            name: "list_trainee_scores",
            what: "ListTraineeScores, pages of 1,000".to_owned(),
            unit: "scores",
            rate: load.scores(READ_MAX, self.sizes.time).await?,
            raw_what: "rows selected in pages of as many".to_owned(),
            raw,
        })
    }

    /// The schemas go; files go with their folder.
    async fn clean_up(&self) -> Result<()> {
        let scaled = scale::schemas();
        let names = service_names().into_iter().chain([ASSESSMENT_ANEW, RAW]);
        for name in names.chain(scaled.iter().map(String::as_str)) {
            store::drop_schema(&self.raw, &self.places.schema(name)).await?;
        }
        self.raw.close().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tiny(database: Option<&str>) {
        let sizes = Sizes { learners: 20, time: Duration::from_millis(50) };
        let report = measure(database, None, sizes, false, &Progress::hidden()).await.unwrap();
        assert_eq!(report.measurements.len(), 6);
        for measured in &report.measurements {
            assert!(measured.rate.count > 0 && measured.raw.count > 0, "{measured:?}");
        }
        assert!(report.text().contains("StreamHeartbeats"));
        assert_eq!(report.json()["measurements"].as_array().map(Vec::len), Some(6));
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
