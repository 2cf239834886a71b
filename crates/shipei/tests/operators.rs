//! The operators' commands as an operator runs them: the program, its output, its exit code.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use shipei_store::{
    Database, PoolLimits, Sealed,
    crypto::Keys,
    sqlx::AssertSqlSafe,
    testing::{TestDatabase, TestPostgres},
};
use tempfile::TempDir;

/// The program without the environment of whoever runs the tests; what it serves is open.
fn shipei(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHIPEI_")) {
        command.env_remove(name);
    }
    command.env("SHIPEI_OPEN", "true").args(arguments).stdin(Stdio::null());
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
struct KeptState {
    folder: TempDir,
    schema: TestDatabase,
}

impl KeptState {
    fn new() -> Result<KeptState> {
        Ok(KeptState { folder: tempfile::tempdir()?, schema: TestDatabase::postgres() })
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
    let place = KeptState::new()?;
    let older = refusal(&mut place.enrollment("serve"))?;
    assert!(older.contains("the schema of enrollment is at version 0, older than this shipei"), "{older}");
    assert!(older.contains("needs version 100: run `shipei migrate` first"), "{older}");
    assert!(!place.folder.path().join("shipei.key").exists(), "a start that was refused has left a key");

    assert_eq!(printed(&mut place.enrollment("migrate"))?, "enrollment: from version 0 to 100\n");
    assert_eq!(printed(&mut place.enrollment("migrate"))?, "enrollment: version 100, up to date\n");
    drop(Server::start(&mut place.enrollment("serve"))?);

    let database = Database::open(place.schema.url(), PoolLimits::default()).await?;
    let mut tx = database.begin_write().await?;
    shipei_store::execute!(
        tx,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT 109, 'future', TRUE, checksum, 0 FROM _sqlx_migrations WHERE version = 100"
    )?;
    tx.commit().await?;
    for command in ["serve", "migrate"] {
        let newer = refusal(&mut place.enrollment(command))?;
        assert!(newer.contains("version 109, newer than this shipei, which knows version 100"), "{newer}");
        assert!(newer.contains("use a newer shipei"), "{newer}");
    }
    Ok(())
}

#[test]
fn serve_migrates_first_when_told_to_and_health_says_so() -> Result<()> {
    let place = KeptState::new()?;
    let server = Server::start(place.enrollment("serve").env("SHIPEI_MIGRATE", "true"))?;
    let address = server.address.as_str();
    assert_eq!(printed(&mut shipei(&["health", address]))?, "SERVING\n");
    let service = "shipei.enrollment.v1.PersonService";
    assert_eq!(printed(&mut shipei(&["health", &format!("http://{address}"), service]))?, "SERVING\n");
    let unknown = refusal(&mut shipei(&["health", address, "shipei.Nothing"]))?;
    assert!(unknown.contains("has no gRPC service `shipei.Nothing`"), "{unknown}");
    let other = ["health", address, "--source", "assessment"];
    assert_eq!(printed(&mut shipei(&other))?, "SERVING\n");
    let no_authority = refusal(&mut shipei(&["health", &format!("https://{address}")]))?;
    assert!(no_authority.contains("say with --ca-file"), "{no_authority}");
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
    let services = shipei_contracts::services::ALL;
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
    assert_eq!(migrated, "enrollment: version 100, up to date\n");
    let mode = std::fs::metadata(data)?.permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "people's names are in there");
    Ok(())
}

#[test]
fn standard_error_that_can_not_be_written_ends_nothing() -> Result<()> {
    for format in ["human", "json"] {
        let folder = tempfile::tempdir()?;
        let mut command = shipei(&["serve", "enrollment", "--log-format", format]);
        // Each line that is logged fails.
        let full = OpenOptions::new().write(true).open("/dev/full")?;
        command.arg("--data").arg(folder.path()).env("SHIPEI_LOG", "debug").stderr(full);
        let server = Server::start(&mut command)?;
        assert_eq!(printed(&mut shipei(&["health", &server.address]))?, "SERVING\n");
    }
    Ok(())
}

#[test]
fn who_reads_no_further_stops_no_migration() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().context("UTF-8")?;
    let mut child = shipei(&["migrate", "--data", data]).stdout(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    assert!(child.wait()?.success());
    let migrated = printed(&mut shipei(&["migrate", "--data", data]))?;
    assert_eq!(migrated.matches("up to date").count(), 6, "{migrated}");
    Ok(())
}

/// What a service is told whose key file is another one, or missing, while its database is sealed.
async fn key_is_known_again(url: &str, serve: impl Fn(&str) -> Command) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [key, other] = ["right.key", "other.key"].map(|name| folder.path().join(name));
    let with = |key: &Path, command: &str| {
        let mut program = serve(command);
        program.env("SHIPEI_KEY_FILE", key).env("SHIPEI_MIGRATE", "true");
        program
    };
    drop(Server::start(&mut with(&key, "serve"))?);
    let missing = refusal(&mut with(&other, "serve"))?;
    assert!(missing.contains(&format!("the key file {} is not there", other.display())), "{missing}");
    assert!(!other.exists(), "a key was made for a database that is sealed with another");

    Keys::load_or_create(&other)?;
    for command in ["serve", "migrate"] {
        let wrong = refusal(&mut with(&other, command))?;
        let words = format!("the key file {} is not the one that sealed the database", other.display());
        assert!(wrong.contains(&words) && wrong.contains("put that one back"), "{wrong}");
    }
    let database = Database::open(url, PoolLimits::default()).await?;
    std::fs::remove_file(&other)?;
    let missing = refusal(&mut with(&other, "serve"))?;
    assert!(missing.contains("was sealed with one") && !other.exists(), "{missing}");
    drop(Server::start(&mut with(&key, "serve"))?);
    assert!(matches!(database.sealed().await?, Sealed::With(_)));
    Ok(())
}

#[tokio::test]
async fn key_file_is_known_again_on_postgres() -> Result<()> {
    let place = KeptState::new()?;
    key_is_known_again(place.schema.url(), |command| {
        let mut program = shipei(&[command, "enrollment"]);
        program.arg("--database").arg(format!("enrollment={}", place.schema.url()));
        program
    })
    .await
}

#[tokio::test]
async fn key_file_is_known_again_on_sqlite() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let url = format!("sqlite:{}", data.join("enrollment.sqlite").display());
    key_is_known_again(&url, |command| {
        let mut program = shipei(&[command, "enrollment"]);
        program.arg("--data").arg(&data);
        program
    })
    .await
}

#[test]
fn sqlite_files_are_served_by_one_process_and_not_changed_below_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().context("UTF-8")?;
    let server = Server::start(&mut shipei(&["serve", "--data", data]))?;
    let running = "is running: another process has the database of";
    for arguments in [vec!["relearn", "assessment"], vec!["relearn", "all"], vec!["serve", "assessment"]] {
        let mut command = shipei(&arguments);
        command.args(["--data", data]).env(
            "SHIPEI_PEERS",
            "enrollment=a:1 learning-progress=a:1 assignment-grading=a:1 offline-activity=a:1 \
             assessment-decisions=a:1",
        );
        if arguments[0] == "serve" {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let refused = refusal(&mut command)?;
        assert!(refused.contains(running), "{refused}");
    }
    assert_eq!(printed(&mut shipei(&["health", &server.address]))?, "SERVING\n");
    printed(&mut shipei(&["migrate", "--data", data]))?;
    drop(server);
    let nameless = refusal(&mut shipei(&["relearn", "--data", data]))?;
    assert!(nameless.contains("<SERVICE|all>"), "{nameless}");
    assert_eq!(printed(&mut shipei(&["relearn", "all", "--data", data]))?.matches("forgotten").count(), 5);
    Ok(())
}

#[tokio::test]
async fn what_waiting_does_not_mend_ends_a_start_at_once() -> Result<()> {
    let place = KeptState::new()?;
    let url = place.schema.url();
    let serve = |url: &str| {
        refusal(&mut shipei(&["serve", "enrollment", "--database", &format!("enrollment={url}")]))
    };
    let no_tls = serve(&format!("{url}&sslmode=require"))?;
    assert!(no_tls.contains("server does not support TLS") && !no_tls.contains("trying again"), "{no_tls}");
    assert!(no_tls.contains("the database of enrollment (/"), "it does not say where: {no_tls}");

    let database = Database::open(url, PoolLimits::default()).await?;
    let role = shipei_store::crypto::random_name()?;
    let mut tx = database.begin_write().await?;
    shipei_store::execute!(tx, AssertSqlSafe(format!("CREATE ROLE r{role} LOGIN")))?;
    tx.commit().await?;
    let url = url.replace("postgres@", &format!("r{role}@"));
    let rightless = serve(&url.replace("schema=", "schema=x"))?;
    assert!(rightless.contains("lacks a right: CREATE on the database"), "{rightless}");
    let rightless =
        refusal(&mut shipei(&["migrate", "enrollment", "--database", &format!("enrollment={url}")]))?;
    assert!(rightless.contains("lacks a right: USAGE and CREATE on the schema"), "{rightless}");
    Ok(())
}

#[test]
fn why_a_server_ends_is_a_line_of_its_log_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().context("UTF-8")?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let ended = refusal(&mut shipei(&["serve", "--data", data, "--listen", &address, "--log-format=json"]))?;
    let lines: Vec<serde_json::Value> =
        ended.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [begins, ends] = &lines[..] else { panic!("two lines are JSON: {ended}") };
    assert_eq!((&begins["message"], &begins["version"]), (&"shipei begins".into(), &"0.1.0".into()));
    assert_eq!(ends["level"], "ERROR");
    assert!(ends["reason"].as_str().is_some_and(|reason| reason.contains("cannot listen on")), "{ends}");
    assert!(ended.contains("\nshipei: cannot listen on"), "{ended}");
    let human = refusal(&mut shipei(&["serve", "--data", data, "--listen", &address]))?;
    assert!(human.contains(" ERROR ") && !human.contains('\u{1b}'), "{human}");
    Ok(())
}

#[test]
fn replay_is_told_at_once_that_a_service_is_elsewhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(shipei(&["serve", "enrollment"]).arg("--data").arg(data))?;
    let season = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/seasons/edges");
    let mut replay = shipei(&["replay", season, "--server", &server.address, "--out"]);
    let elsewhere = refusal(replay.arg(folder.path()))?;
    assert!(
        elsewhere.contains("isn't at the address of --server; give --server SERVICE=ADDRESS"),
        "{elsewhere}"
    );
    Ok(())
}

#[test]
fn help_of_a_command_shows_what_it_uses() -> Result<()> {
    for command in ["migrate", "relearn"] {
        let help = printed(&mut shipei(&[command, "--help"]))?;
        assert!(help.contains("--database") && help.contains("--lock-timeout"), "{help}");
        assert!(!help.contains("--listen") && !help.contains("--rate-limit"), "{help}");
    }
    assert!(printed(&mut shipei(&["serve", "--help"]))?.contains("--rate-limit"));
    let log = refusal(shipei(&["config"]).env("SHIPEI_LOG", "shipei=loud"))?;
    assert!(log.contains("SHIPEI_LOG: "), "{log}");
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
    let unsaid = shipei(&["serve"]).env_remove("SHIPEI_OPEN").arg("--data").arg(&data).output()?;
    let open = String::from_utf8_lossy(&unsaid.stderr).into_owned();
    assert!(open.contains("--token-keys FILE|URL (SHIPEI_TOKEN_KEYS)") && open.contains("--open"), "{open}");
    let reached = refusal(shipei(&["serve", "--open", "--listen", "0.0.0.0:0"]).arg("--data").arg(&data))?;
    assert!(reached.contains("0.0.0.0:0 can be reached from other machines"), "{reached}");
    assert!(!unsaid.status.success() && !data.exists());
    Ok(())
}

#[test]
fn open_suite_says_so_loudly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = shipei(&["serve", "enrollment", "--open", "--listen", "127.0.0.1:0"]);
    let mut child =
        command.arg("--data").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = BufReader::new(child.stderr.take().context("piped")?);
    let warned = stderr.lines().map_while(Result::ok).find(|line| line.contains("the suite is open"));
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
