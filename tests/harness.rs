//! Suites for tests: in this process or in five, on SQLite or Postgres, and what a replay must come to.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, bail, ensure};
use shipei::{
    progress::Progress,
    suite::{Storage, Suite},
};
use shipei_client::{
    client::{Clients, SERVICES},
    feed,
    replay::{self, Report},
    season::Season,
};
use shipei_contracts::assessment::v1::{GetScoreDigestRequest, score_service_client::ScoreServiceClient};
use shipei_store::{
    Database, Partition, PoolLimits, chain::Walk, crypto::random_name, fetch_one, testing::TestPostgres,
};
use tempfile::TempDir;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// A fresh place for the state of a suite; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct KeptState {
    pub(crate) folder: TempDir,
    pub(crate) storage: Storage,
}

impl KeptState {
    pub(crate) fn new(backend: Backend) -> Result<KeptState> {
        let folder = tempfile::tempdir()?;
        let storage = match backend {
            Backend::Sqlite => Storage::Directory(folder.path().join("data")),
            Backend::Postgres => {
                let name = random_name()?;
                let url = |service: &str| {
                    TestPostgres::shared().url(&format!("{}_{name}", service.replace('-', "_")))
                };
                let urls = SERVICES.iter().map(|service| (*service, url(service))).collect();
                Storage::Databases { urls, key_file: folder.path().join("shipei.key") }
            }
        };
        Ok(KeptState { folder, storage })
    }

    /// Takes assessment's database away: its file is deleted, its schema is left for an empty one.
    pub(crate) fn lose_assessment(&mut self) -> Result<()> {
        match &mut self.storage {
            Storage::Directory(folder) => {
                for suffix in ["", "-wal", "-shm"] {
                    let file = folder.join(format!("assessment.sqlite{suffix}"));
                    if file.exists() {
                        std::fs::remove_file(file)?;
                    }
                }
            }
            Storage::Databases { urls, .. } => {
                let empty = TestPostgres::shared().url(&format!("assessment_{}", random_name()?));
                urls.insert("assessment", empty);
            }
        }
        Ok(())
    }

    /// A folder for score files.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A season of the tree.
pub(crate) fn season_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seasons").join(name)
}

/// Replays a season of the tree and compares the four files with what must come out.
pub(crate) async fn replay_and_compare(clients: &Clients, name: &str, out: &Path) -> Result<Report> {
    let folder = season_folder(name);
    replay_folder_and_compare(clients, &folder, &folder.join("expected"), out).await
}

/// Replays a season and compares the four files byte for byte.
pub(crate) async fn replay_folder_and_compare(
    clients: &Clients,
    season: &Path,
    expected: &Path,
    out: &Path,
) -> Result<Report> {
    replay_folder_and_compare_watched(clients, season, expected, out, &Progress::hidden()).await
}

/// The same; `progress` tells how far it has come.
pub(crate) async fn replay_folder_and_compare_watched(
    clients: &Clients,
    season: &Path,
    expected: &Path,
    out: &Path,
    progress: &Progress,
) -> Result<Report> {
    let report = replay::replay_to(clients, &Season::open(season)?, out, progress).await?;
    compare_files(season, expected, out)?;
    Ok(report)
}

/// The files of scores that a season comes to.
pub(crate) const SCORES: [&str; 3] = ["trainees.csv", "tutors.csv", "counselors.csv"];

/// Compares the four files of a season with what must come out, byte for byte.
pub(crate) fn compare_files(season: &Path, expected: &Path, out: &Path) -> Result<()> {
    compare_some(season, expected, out, &[&SCORES[..], &["rejections.csv"]].concat())
}

/// Compares some files of a season with what must come out, byte for byte.
pub(crate) fn compare_some(season: &Path, expected: &Path, out: &Path, files: &[&str]) -> Result<()> {
    let mut faults = Vec::new();
    for file in files {
        let wanted =
            std::fs::read_to_string(expected.join(file)).with_context(|| format!("no expected {file}"))?;
        let got = std::fs::read_to_string(out.join(file)).with_context(|| format!("no {file}"))?;
        if wanted != got {
            faults.push(format!("{file}:\n{}", difference(&wanted, &got)));
        }
    }
    ensure!(faults.is_empty(), "{} differs:\n{}", season.display(), faults.join("\n"));
    Ok(())
}

/// The first lines in which two texts differ.
fn difference(wanted: &str, got: &str) -> String {
    let wanted_lines: std::collections::BTreeSet<&str> = wanted.lines().collect();
    let got_lines: std::collections::BTreeSet<&str> = got.lines().collect();
    let missing = wanted_lines.difference(&got_lines).take(8).map(|line| format!("  - {line}"));
    let extra = got_lines.difference(&wanted_lines).take(8).map(|line| format!("  + {line}"));
    missing.chain(extra).collect::<Vec<_>>().join("\n")
}

/// The digest of all scores of a programme.
pub(crate) async fn digest(clients: &Clients, programme: &str) -> Result<String> {
    let mut client = ScoreServiceClient::new(clients.channel("assessment"));
    let request = clients.unary(GetScoreDigestRequest { programme_id: programme.to_owned() });
    Ok(client.get_score_digest(request).await?.into_inner().digest)
}

/// The number of events in the log of each service.
pub(crate) async fn log_lengths(clients: &Clients) -> Result<BTreeMap<&'static str, i64>> {
    let mut lengths = BTreeMap::new();
    for service in SERVICES {
        let ends = feed::ends(clients, service).await?;
        lengths.insert(service, ends.iter().map(|(_, number)| number).sum());
    }
    Ok(lengths)
}

/// The chains of all logs hold, and have as many events as there are; gives how many. Nobody may serve them meanwhile.
pub(crate) async fn chains_hold(place: &KeptState) -> Result<i64> {
    let mut events = 0;
    for service in SERVICES {
        let url = match &place.storage {
            Storage::Directory(folder) => {
                format!("sqlite:{}", folder.join(format!("{service}.sqlite")).display())
            }
            Storage::Databases { urls, .. } => urls.get(service).context("a database")?.clone(),
        };
        let database = Database::open(&url, PoolLimits::default()).await?;
        let mut tx = database.begin_read().await?;
        let (rows,) = fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM event")?;
        let mut found = 0;
        for partition in Partition::chained() {
            let mut walk = Walk::begin(&mut tx, partition, BTreeMap::new()).await?;
            while walk.step(&mut tx).await? {}
            ensure!(walk.found.breaks == 0, "{service}, {partition:?}: {:?}", walk.found.first);
            found += walk.found.events;
        }
        ensure!(found == rows, "{service}: {rows} events, {found} in its chains");
        tx.rollback().await?;
        database.close().await;
        events += found;
    }
    Ok(events)
}

/// A suite in this process with a client of it.
pub(crate) async fn embedded(place: &KeptState) -> Result<(Suite, Clients)> {
    let suite = Suite::start_embedded(&place.storage).await?;
    let clients = Clients::of_channel(&suite.channel());
    Ok((suite, clients))
}

/// The program, built once for the tests that run it as processes; or the one that `SHIPEI_TEST_PROGRAM` names, to try what
/// was built for release.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(built) = std::env::var_os("SHIPEI_TEST_PROGRAM") {
            return built.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "shipei", "--bin", "shipei", "--message-format=json"]);
        // What cargo tells a test about its package would be news to build scripts (ring's looks at it), and half of
        // the tree would be compiled again, now and at the next build without it.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
            {
                build.env_remove(name);
            }
        }
        let output = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8_lossy(&output.stdout);
        let built = stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let path = built.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
        path.expect("cargo names the program")
    })
}

/// A `shipei serve` process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl Process {
    /// Serves these services (all five if none is named) openly, with more said to the command by `configure`.
    pub(crate) fn serve_with(
        services: &[&str],
        storage: &Storage,
        peers: &[(&str, &str)],
        configure: &dyn Fn(&mut Command),
    ) -> Result<Process> {
        let mut command = Command::new(program());
        command.arg("serve").args(services).args(["--listen", "127.0.0.1:0"]);
        match storage {
            Storage::Directory(folder) => {
                command.arg("--data").arg(folder);
            }
            Storage::Databases { urls, key_file } => {
                command.arg("--key-file").arg(key_file);
                for (service, url) in urls {
                    command.arg("--database").arg(format!("{service}={url}"));
                }
            }
        }
        for (service, address) in peers {
            command.arg("--peer").arg(format!("{service}={address}"));
        }
        command
            .env("SHIPEI_OPEN", "true")
            .env("SHIPEI_LOG", "warn")
            .env("SHIPEI_MIGRATE", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        configure(&mut command);
        let mut child = command.spawn().context("the program starts")?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            let _ = child.kill();
            bail!("{services:?} did not start: {line}");
        };
        let address = address.to_owned();
        Ok(Process { child, address })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log, if `configure` had it piped; once.
    pub(crate) fn take_log(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub(crate) fn end(mut self) -> Result<ExitStatus> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(asked.success(), "kill {}", self.child.id());
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The five services as five processes, and a client of them.
pub(crate) async fn five_processes(place: &KeptState) -> Result<(Vec<Process>, Clients)> {
    five_processes_with(place, &|_| {}).await
}

/// As [`five_processes`], with more said to each command. Of assessment no more is said than its name: what is decided about
/// scores comes along with it.
pub(crate) async fn five_processes_with(
    place: &KeptState,
    configure: &dyn Fn(&mut Command),
) -> Result<(Vec<Process>, Clients)> {
    let mut processes: Vec<Process> = Vec::new();
    let mut addresses: Vec<(&str, String)> = Vec::new();
    for services in shipei_contracts::services::PROCESSES {
        let peers: Vec<(&str, &str)> =
            addresses.iter().map(|(name, address)| (*name, address.as_str())).collect();
        let process = Process::serve_with(&services[..1], &place.storage, &peers, configure)?;
        addresses.push((services[0], process.address.clone()));
        processes.push(process);
    }
    let servers: Vec<String> = addresses.iter().map(|(name, address)| format!("{name}={address}")).collect();
    Ok((processes, Clients::connect(&servers, None).await?))
}
