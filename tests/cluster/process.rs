//! A process of a cluster: its output in a file, and an end that is certain.
//!
//! A small shell stands between the test and the process. It does what its input says (a signal), and kills the
//! process, with everything that the process started, when the input ends: when the guard is dropped or when the test's
//! own process dies, however it dies. It is the parent, so the number that it signals can't be anybody else's.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use shipei_service_kit::telemetry::{LOG_DEFAULT, LOG_VARIABLE, SOMETIMES_TARGET};

/// Runs the program in a session of its own, waits for a signal's name, sends it, and ends as the program ends.
const KEEPER: &str = r#"
log="$1"; shift
setsid "$@" </dev/null >>"$log" 2>&1 &
child=$!
read -r signal || signal=KILL
if [ "$signal" = KILL ]; then kill -s KILL -- "-$child" 2>/dev/null; fi
kill -s "$signal" "$child" 2>/dev/null
wait "$child" 2>/dev/null
"#;

/// The longest that a process may take to end after a signal.
const END_MAX: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much of a log's end is shown.
const TAIL_BYTES: u64 = 2_000;

/// A process that ends with this guard.
#[derive(Debug)]
pub(crate) struct Kept {
    keeper: Child,
}

impl Kept {
    /// Starts a program; what it prints is appended to `log`, with what happens only sometimes.
    pub(crate) fn start(log: &Path, program: &Path, arguments: &[String]) -> Result<Kept> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(log).arg(program).args(arguments);
        command.env(LOG_VARIABLE, format!("{LOG_DEFAULT},{SOMETIMES_TARGET}=debug"));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let keeper = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Kept { keeper })
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) async fn terminate(mut self) -> Result<()> {
        let input = self.keeper.stdin.as_mut().context("the keeper has an input")?;
        input.write_all(b"TERM\n").context("the keeper is gone")?;
        let mut ended = || matches!(self.keeper.try_wait(), Ok(Some(_)));
        until("the end after SIGTERM", END_MAX, || std::future::ready(ended())).await
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A port of 127.0.0.1 that nobody has, below those that the system gives to outgoing connections: a server that was
/// killed finds it free again.
pub(crate) fn free_port() -> Result<u16> {
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1_000 {
        let port = fastrand::u16(12_000..32_000);
        if !taken.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port below the ephemeral range")
}

/// Returns when `condition` holds.
pub(crate) async fn until<F, Fut>(what: &str, patience: Duration, mut condition: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + patience;
    while !condition().await {
        ensure!(Instant::now() < deadline, "{what}: not within {} s", patience.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| error.to_string())
}

/// The logs of a folder.
pub(crate) fn logs_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut logs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    logs
}
