//! A Redis for tests: the machine's own redis-server on a socket in a temporary directory. It ends when this is dropped
//! and when this process ends, however it ends: a small shell waits for the end of a pipe that only this process holds.
//! A Redis that can't start is a panic, never a skipped test.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use shipei_store::crypto::random_name;

/// Starts the server and, when the pipe ends, kills it and removes everything.
const KEEPER: &str = r#"
trap '' INT TERM HUP
redis-server --port 0 --unixsocket "$1/socket" --save "" --appendonly no --dir "$1" &
server=$!
exec >/dev/null
cat
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$1"
"#;
/// What redis-server says when it takes connections; versions differ in its first letter.
const READY: &str = "eady to accept connections";

/// A private Redis.
#[derive(Debug)]
pub struct TestRedis {
    directory: PathBuf,
    keeper: Option<Child>,
}

impl TestRedis {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no redis-server, or it does not start.
    pub fn start() -> TestRedis {
        let name = random_name().unwrap_or_else(|error| panic!("{error}"));
        let directory = std::env::temp_dir().join(format!("shipei-redis-{}", &name[..16]));
        std::fs::create_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let mut redis = TestRedis { directory, keeper: None };
        redis.start_again();
        redis
    }

    /// Starts it again at the same address, empty.
    ///
    /// # Panics
    /// As [`TestRedis::start`].
    pub fn start_again(&mut self) {
        self.kill();
        std::fs::create_dir_all(&self.directory)
            .unwrap_or_else(|error| panic!("{}: {error}", self.directory.display()));
        let mut command = Command::new("sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(&self.directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = command.spawn().unwrap_or_else(|error| panic!("can't start a Redis: {error}"));
        let stdout = keeper.stdout.take().map(BufReader::new);
        let mut lines = stdout.into_iter().flat_map(BufReader::lines).map_while(Result::ok);
        let ready = lines.any(|line| line.contains(READY));
        self.keeper = Some(keeper);
        assert!(ready, "redis-server did not start; is it installed?");
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.directory.join("socket").display())
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}
