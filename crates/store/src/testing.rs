//! Databases for tests: a SQLite file in a temporary directory, or a schema in a private Postgres.
//!
//! The Postgres is started once for each test process, on a socket in a temporary directory, with the machine's own
//! binaries; its default collation is deliberately not byte order, so that a query that relies on it shows. It is
//! stopped and removed when the process ends, however it ends: a small shell waits for the end of a pipe that only
//! this process holds. A Postgres that can't start is a panic, never a skipped test. A test that has a server of its
//! own may stop, kill and start it through the same shell; one more thing to do to it is one more word there.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::crypto::random_name;
use crate::{Database, PoolLimits, StoreError};

/// Where distributions keep Postgres's binaries.
const POSTGRES_HOME: &str = "/usr/lib/postgresql";

/// Users that may run Postgres when we are root, which Postgres refuses to be.
const OTHER_USERS: [&str; 2] = ["postgres", "nobody"];

/// Connections that the test server takes.
const CONNECTIONS_MAX: u32 = 400;

/// Makes the cluster and starts it; then does what each line of its input says, and answers each with one line. When
/// the pipe ends it stops the server and removes everything.
///
/// `kill_all`: a postmaster that is stopped (SIGSTOP) can't start children any more, so that none is missed. Its lock files
/// go with it, as on a machine that starts anew: a dead process whose parent has not looked yet still has its number.
const KEEPER: &str = r#"
trap '' INT TERM HUP
bin="$1"; directory="$2"; settings="$3"
initialize() {
  "$bin/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --no-sync "$@" >"$directory/initdb.log" 2>&1
}
start() {
  "$bin/pg_ctl" -D "$directory/data" -w -t 60 -l "$directory/server.log" -o "$settings" start >"$directory/start.log" 2>&1
}
stop() {
  "$bin/pg_ctl" -D "$directory/data" -w -t 60 -m "$1" stop >"$directory/stop.log" 2>&1
}
ended() {
  ! [ -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}
kill_all() {
  read -r postmaster <"$directory/data/postmaster.pid" || return 1
  kill -s STOP "$postmaster" || return 1
  everybody="$postmaster"
  for status in $(grep -ls "^PPid:.$postmaster\$" /proc/[0-9]*/status); do
    child="${status#/proc/}"; everybody="$everybody ${child%/status}"
  done
  kill -s KILL $everybody
  for process in $everybody; do until ended "$process"; do sleep 0.01; done; done
  rm -f "$directory/data/postmaster.pid" "$directory"/.s.PGSQL.*
}
answer() {
  if "$@"; then echo ready; else echo "$*: $(tail -3 "$directory/server.log" | tr '\n' ' ')"; fi
}
initialize --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US || initialize --locale=C.UTF-8 \
  || { echo "initdb: $(tail -3 "$directory/initdb.log" | tr '\n' ' ')"; exit 1; }
answer start
while read -r words; do
  case "$words" in
    start | "stop fast" | "stop immediate" | kill_all) answer $words ;;
    *) echo "$words: not understood" ;;
  esac
done
stop immediate
rm -rf "$directory"
"#;

/// How a Postgres is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Transactions are rolled back, connections told, everything written.
    Fast,
    /// At once; the next start recovers from the write-ahead log.
    Immediate,
}

/// A private Postgres server. Stopped and removed when dropped or when this process ends.
#[derive(Debug)]
pub struct TestPostgres {
    binaries: PathBuf,
    directory: PathBuf,
    port: Option<u16>,
    keeper: Child,
    /// The way to the keeper; taken when this is dropped.
    talk: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl TestPostgres {
    /// The server of this test process, started by the first call. It is durable (fsync), as in production; set
    /// `SHIPEI_TEST_POSTGRES_FSYNC=off` where only speed counts.
    pub fn shared() -> &'static TestPostgres {
        static SHARED: OnceLock<TestPostgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let fsync = std::env::var("SHIPEI_TEST_POSTGRES_FSYNC").is_ok_and(|value| value == "off");
            TestPostgres::start(if fsync { &[("fsync", "off")] } else { &[] })
        })
    }

    /// Starts another server, with settings of postgresql.conf. It listens on a socket in its own directory.
    ///
    /// # Panics
    /// When there are no Postgres binaries or the server does not start.
    pub fn start(settings: &[(&str, &str)]) -> TestPostgres {
        TestPostgres::begin(None, settings, None)
    }

    /// Starts another server that listens on this port of 127.0.0.1 too, now and whenever it is started again.
    /// Whatever the environment says, what it has acknowledged is on disk (`fsync`, `synchronous_commit`).
    ///
    /// # Panics
    /// As [`TestPostgres::start`].
    pub fn start_on_port(port: u16) -> TestPostgres {
        TestPostgres::begin(Some(port), &[("fsync", "on"), ("synchronous_commit", "on")], None)
    }

    /// The same, and it speaks TLS with this certificate and its key (PEM files).
    ///
    /// # Panics
    /// When there are no Postgres binaries or the server does not start.
    pub fn start_with_tls(port: u16, certificate: &Path, key: &Path) -> TestPostgres {
        TestPostgres::begin(Some(port), &[("ssl", "on")], Some((certificate, key)))
    }

    fn begin(port: Option<u16>, settings: &[(&str, &str)], tls: Option<(&Path, &Path)>) -> TestPostgres {
        let binaries = find_binaries();
        let directory = temporary_directory("pg");
        let mut options = match port {
            None => "-c listen_addresses=".to_owned(),
            Some(port) => format!("-c listen_addresses=127.0.0.1 -c port={port}"),
        };
        options.push_str(&format!(
            " -c unix_socket_directories={} -c max_connections={CONNECTIONS_MAX}",
            directory.display()
        ));
        for (name, value) in settings {
            options.push_str(&format!(" -c {name}={value}"));
        }
        let owner = other_user(&directory);
        if let Some((certificate, key)) = tls {
            // Postgres takes a key that nobody but itself can read.
            for (setting, source) in [("ssl_cert_file", certificate), ("ssl_key_file", key)] {
                let own = directory.join(setting);
                give_private_copy(source, &own, owner)
                    .unwrap_or_else(|error| panic!("can't copy {}: {error}", source.display()));
                options.push_str(&format!(" -c {setting}={}", own.display()));
            }
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(&binaries).arg(&directory).arg(&options);
        command.current_dir(&directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0);
        if let Some((user, group)) = owner {
            chown(&directory, Some(user), Some(group)).unwrap_or_else(|error| {
                panic!("can't give {} to another user: {error}", directory.display())
            });
            command.uid(user).gid(group);
        }
        let mut keeper =
            command.spawn().unwrap_or_else(|error| panic!("can't start Postgres for tests: {error}"));
        let talk = keeper.stdin.take().zip(keeper.stdout.take().map(BufReader::new));
        let server = TestPostgres { binaries, directory, port, keeper, talk: Mutex::new(talk) };
        server.expect_ready("Postgres for tests did not start");
        server
    }

    /// Stops it and waits until it has stopped.
    ///
    /// # Panics
    /// When it does not stop, or does not run.
    pub fn stop(&self, how: Stop) {
        self.tell(match how {
            Stop::Fast => "stop fast",
            Stop::Immediate => "stop immediate",
        });
    }

    /// Kills all of its processes (SIGKILL) at once, and waits until they are gone.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self) {
        self.tell("kill_all");
    }

    /// Starts it again on the same data, socket and port, after [`TestPostgres::stop`] or [`TestPostgres::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        self.tell("start");
    }

    fn tell(&self, word: &str) {
        if let Some((input, _)) = self.talk.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            writeln!(input, "{word}").unwrap_or_else(|error| panic!("{word}: {error}"));
        }
        self.expect_ready(word);
    }

    /// Reads the keeper's answer to what it was told last.
    fn expect_ready(&self, what: &str) {
        let mut line = String::new();
        if let Some((_, output)) = self.talk.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let _ = output.read_line(&mut line);
        }
        assert!(line.trim() == "ready", "{what} ({}): {line}", self.binaries.display());
    }

    /// The URL of a schema of this server; it is created when the URL is opened.
    pub fn url(&self, schema: &str) -> String {
        let port = self.port.map(|port| format!("port={port}&")).unwrap_or_default();
        format!(
            "postgres://postgres@localhost/postgres?{port}host={}&schema={schema}",
            self.directory.display()
        )
    }

    /// One of the programs that came with this server, as `pg_dump`, ready to speak to it as its superuser.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command.env("PGHOST", &self.directory).env("PGUSER", "postgres").env_remove("PGDATABASE");
        if let Some(port) = self.port {
            command.env("PGPORT", port.to_string());
        }
        command
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        drop(self.talk.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.keeper.wait();
    }
}

/// A fresh database of its own. The SQLite file goes when this is dropped, the Postgres schema with its server.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    directory: Option<PathBuf>,
}

impl TestDatabase {
    /// A SQLite file in a temporary directory.
    pub fn sqlite() -> TestDatabase {
        let directory = temporary_directory("sqlite");
        TestDatabase { url: format!("sqlite:{}/test.db", directory.display()), directory: Some(directory) }
    }

    /// A schema in [`TestPostgres::shared`].
    ///
    /// # Panics
    /// When Postgres can't be started.
    pub fn postgres() -> TestDatabase {
        let name = random_name().unwrap_or_else(|error| panic!("{error}"));
        TestDatabase { url: TestPostgres::shared().url(&format!("t{name}")), directory: None }
    }

    /// Its URL, for [`Database::open`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens it with the default limits; no migration has run.
    pub async fn open(&self) -> Result<Database, StoreError> {
        Database::open(&self.url, PoolLimits::default()).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

fn give_private_copy(source: &Path, copy: &Path, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    fs::copy(source, copy)?;
    fs::set_permissions(copy, fs::Permissions::from_mode(0o600))?;
    match owner {
        Some((user, group)) => chown(copy, Some(user), Some(group)),
        None => Ok(()),
    }
}

fn temporary_directory(kind: &str) -> PathBuf {
    let name = random_name().unwrap_or_else(|error| panic!("{error}"));
    let directory = std::env::temp_dir().join(format!("shipei-{kind}-{}", &name[..16]));
    fs::create_dir(&directory)
        .unwrap_or_else(|error| panic!("can't create {}: {error}", directory.display()));
    directory
}

/// The newest version under /usr/lib/postgresql, else what is in PATH.
fn find_binaries() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir(POSTGRES_HOME).into_iter().flatten().flatten() {
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let binaries = entry.path().join("bin");
        if let Some(version) = version
            && binaries.join("initdb").exists()
        {
            found.push((version, binaries));
        }
    }
    if let Some((_, binaries)) = found.into_iter().max() {
        return binaries;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|directory| directory.join("initdb").exists() && directory.join("pg_ctl").exists())
        .unwrap_or_else(|| {
            panic!("Postgres was asked for, but there is no initdb in {POSTGRES_HOME} or PATH")
        })
}

/// The user and group to run Postgres as, when we are root.
fn other_user(own_file: &Path) -> Option<(u32, u32)> {
    let uid = fs::metadata(own_file).map(|metadata| metadata.uid()).ok()?;
    if uid != 0 {
        return None;
    }
    let mut accounts = String::new();
    fs::File::open("/etc/passwd").and_then(|mut file| file.read_to_string(&mut accounts)).ok()?;
    for user in OTHER_USERS {
        for account in accounts.lines() {
            let fields: Vec<&str> = account.split(':').collect();
            if let [name, _, uid, gid, ..] = fields[..]
                && name == user
            {
                return Some((uid.parse().ok()?, gid.parse().ok()?));
            }
        }
    }
    panic!("Postgres refuses to run as root, and there is no user {OTHER_USERS:?} to run it as");
}
