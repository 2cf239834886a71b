//! The operators' commands as an operator runs them: the program, its output, its exit code.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use shipei_store::{
    Database, PoolLimits,
    testing::{TestDatabase, TestPostgres},
};
use tempfile::TempDir;

/// The program without the environment of whoever runs the tests.
fn shipei(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHIPEI_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command that must fail says.
fn refusal(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(!output.status.success(), "it did not fail: {}", stdout(&output));
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What a command that must succeed prints.
fn printed(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "it failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(stdout(&output))
}

/// A server; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(command: &mut Command) -> Result<Server> {
        let mut child = command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        let server = Server { child, address };
        ensure!(!server.address.is_empty(), "it did not start: {line}");
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The database of one service in a schema of its own, and a place for the key file.
struct Place {
    folder: TempDir,
    schema: TestDatabase,
}

impl Place {
    fn new() -> Result<Place> {
        Ok(Place { folder: tempfile::tempdir()?, schema: TestDatabase::postgres() })
    }

    /// A command about enrollment, without peers.
    fn enrollment(&self, command: &str) -> Command {
        let mut program = shipei(&[command, "enrollment"]);
        program.arg("--database").arg(format!("enrollment={}", self.schema.url()));
        program.arg("--key-file").arg(self.folder.path().join("shipei.key"));
        program
    }
}

#[tokio::test]
async fn service_on_postgres_needs_its_own_schema_version() -> Result<()> {
    let place = Place::new()?;
    let older = refusal(&mut place.enrollment("serve"))?;
    assert!(older.contains("the schema of enrollment is at version 0, older than this shipei"), "{older}");
    assert!(older.contains("needs version 101: run `shipei migrate` first"), "{older}");

    assert_eq!(printed(&mut place.enrollment("migrate"))?, "enrollment: from version 0 to 101\n");
    assert_eq!(printed(&mut place.enrollment("migrate"))?, "enrollment: version 101, up to date\n");
    drop(Server::start(&mut place.enrollment("serve"))?);

    let database = Database::open(place.schema.url(), PoolLimits::default()).await?;
    let mut tx = database.begin_write().await?;
    shipei_store::execute!(
        tx,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT 109, 'future', TRUE, checksum, 0 FROM _sqlx_migrations WHERE version = 101"
    )?;
    tx.commit().await?;
    for command in ["serve", "migrate"] {
        let newer = refusal(&mut place.enrollment(command))?;
        assert!(newer.contains("version 109, newer than this shipei, which knows version 101"), "{newer}");
        assert!(newer.contains("use a newer shipei"), "{newer}");
    }
    Ok(())
}

#[test]
fn serve_migrates_first_when_told_to_and_health_says_so() -> Result<()> {
    let place = Place::new()?;
    let server = Server::start(place.enrollment("serve").env("SHIPEI_MIGRATE", "true"))?;
    let address = server.address.as_str();
    assert_eq!(printed(&mut shipei(&["health", address]))?, "SERVING\n");
    let service = "shipei.enrollment.v1.PersonService";
    assert_eq!(printed(&mut shipei(&["health", &format!("http://{address}"), service]))?, "SERVING\n");
    let unknown = refusal(&mut shipei(&["health", address, "shipei.Nothing"]))?;
    assert!(unknown.contains("has no gRPC service `shipei.Nothing`"), "{unknown}");
    let address = server.address.clone();
    drop(server);
    let silent = refusal(&mut shipei(&["health", &address]))?;
    assert!(silent.contains(&format!("cannot connect to {address}")), "{silent}");
    Ok(())
}

#[test]
fn instances_that_migrate_at_once_take_turns() -> Result<()> {
    let name = shipei_store::crypto::random_name()?;
    let database = TestPostgres::shared().url("placeholder").replace("&schema=placeholder", "");
    let url = |service: &str| format!("{service}={database}&schema={}_{name}", service.replace('-', "_"));
    let services =
        ["enrollment", "learning-progress", "assignment-grading", "offline-activity", "assessment"];
    let databases = services.map(url).join(" ");
    let spawn = || shipei(&["migrate"]).env("SHIPEI_DATABASE", &databases).stdout(Stdio::piped()).spawn();
    let migrations: Vec<Child> = (0..3).map(|_| spawn()).collect::<Result<_, _>>()?;
    for migration in migrations {
        let output = migration.wait_with_output()?;
        ensure!(output.status.success(), "a migration failed");
        assert_eq!(stdout(&output).lines().count(), services.len(), "{}", stdout(&output));
    }
    Ok(())
}

#[test]
fn sqlite_file_is_brought_up_to_date_by_serving() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let data = data.to_str().context("UTF-8")?;
    drop(Server::start(&mut shipei(&["serve", "enrollment", "--data", data]))?);
    let migrated = printed(&mut shipei(&["migrate", "enrollment", "--data", data]))?;
    assert_eq!(migrated, "enrollment: version 101, up to date\n");
    Ok(())
}

#[test]
fn flags_are_stronger_than_the_environment_and_that_than_the_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shipei.toml");
    let text = "listen = \"127.0.0.1:1\"\ndata = \"file\"\nlog_format = \"human\"\nmigrate = true\n\
                [peers]\nenrollment = \"file:1\"\nassessment = \"file:2\"\n";
    std::fs::write(&file, text)?;
    let mut command = shipei(&["config", "--listen", "127.0.0.1:3"]);
    command.env("SHIPEI_CONFIG", &file).env("SHIPEI_LISTEN", "127.0.0.1:2").env("SHIPEI_DATA", "environment");
    command
        .env("SHIPEI_LOG_FORMAT", "json")
        .env("SHIPEI_MIGRATE", "")
        .env("SHIPEI_PEERS", "enrollment=env:1");
    command.env("SHIPEI_DATABASE", "postgres://u:s3cret@h/d");
    let shown = printed(&mut command)?;
    for line in [
        "listen = \"127.0.0.1:3\" # flag --listen",
        "data = \"environment\" # environment SHIPEI_DATA",
        "log_format = \"json\" # environment SHIPEI_LOG_FORMAT",
        &format!("migrate = true # file {}, line 4", file.display()),
        "lock_timeout = \"5s\" # default",
        "[peers] # environment SHIPEI_PEERS",
        "enrollment = \"env:1\"",
        "[database] # environment SHIPEI_DATABASE",
        "offline-activity = \"postgres://u:***@h/d?schema=offline_activity\"",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no {line} in\n{shown}");
    }
    assert!(!shown.contains("s3cret") && !shown.contains("file:2"), "{shown}");
    assert_eq!(
        shown,
        printed(command.arg("--log-format=json"))?
            .replace("flag --log-format", "environment SHIPEI_LOG_FORMAT")
    );
    let help = printed(command.arg("--help"))?;
    assert!(help.contains("Examples:") && !help.contains("s3cret"), "{help}");
    Ok(())
}

#[test]
fn mistake_is_named_before_anything_starts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, data) = (folder.path().join("shipei.toml"), folder.path().join("data"));
    std::fs::write(&file, "migrate = true\nlisten_on = \"127.0.0.1:1\"\n")?;
    let mut command = shipei(&["serve"]);
    let unknown = refusal(command.arg("--config").arg(&file).arg("--data").arg(&data))?;
    assert!(unknown.contains("shipei.toml, line 2: there is no setting `listen_on`"), "{unknown}");
    let open = refusal(shipei(&["serve", "--listen", "0.0.0.0:0"]).arg("--data").arg(&data))?;
    assert!(open.contains("--open-network (SHIPEI_OPEN_NETWORK=true)"), "{open}");
    assert!(!data.exists());
    Ok(())
}

#[test]
fn open_network_is_warned_of() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = shipei(&["serve", "enrollment", "--open-network", "--listen", "0.0.0.0:0"]);
    let mut child =
        command.arg("--data").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = BufReader::new(child.stderr.take().context("piped")?);
    let warned = stderr.lines().map_while(Result::ok).find(|line| line.contains("the network is open"));
    child.kill()?;
    child.wait()?;
    assert!(warned.is_some_and(|line| line.contains("WARN")));
    Ok(())
}

#[test]
fn bench_shows_how_instances_share_the_work() -> Result<()> {
    let database = TestPostgres::shared().url("placeholder").replace("&schema=placeholder", "");
    let mut command = shipei(&["bench", "--scale", "--json", "--learners", "80", "--seconds", "1"]);
    let report: serde_json::Value = serde_json::from_str(&printed(command.arg("--database").arg(database))?)?;
    let instances = report["instances"].as_array().context("instances are measured")?;
    let counts: Vec<Option<u64>> = instances.iter().map(|one| one["instances"].as_u64()).collect();
    assert_eq!(counts, [Some(1), Some(2), Some(4)]);
    for one in instances {
        assert!(one["heartbeats_per_second"].as_u64() > Some(0), "{one}");
        assert!(one["events_scored_per_second"].as_u64() > Some(0), "{one}");
    }
    Ok(())
}
