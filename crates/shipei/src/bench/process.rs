//! A process of this program that a measurement starts: where it listens, what processor time and memory it took.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// How long a tick of the processor times in `/proc` is: Linux shows programs 100 a second on every machine.
const TICK: Duration = Duration::from_millis(10);
/// Where user and system time stand in `/proc/PID/stat`, counted after the program's name.
const USER_TIME_FIELD: usize = 11;
const SYSTEM_TIME_FIELD: usize = 12;

/// A `shipei serve` or the like; ended when dropped.
pub(super) struct Process {
    child: Child,
    pub(super) address: String,
}

impl Process {
    /// Starts it; it says on its first line where it listens.
    pub(super) fn spawn(mut command: Command) -> Result<Process> {
        command.env("SHIPEI_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Process { child: command.spawn().context("this program starts")?, address: String::new() })
    }

    pub(super) fn wait_until_it_listens(&mut self) -> Result<()> {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().context("its output is piped")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        self.address = address.with_context(|| format!("it did not start: {line}"))?.to_owned();
        Ok(())
    }

    /// The processor time that it has taken so far.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let fields = text.rsplit_once(") ").context("a process has a name")?.1;
        let field = |number: usize| -> Result<u32> {
            fields.split(' ').nth(number).and_then(|text| text.parse().ok()).context("processor time")
        };
        Ok(TICK * (field(USER_TIME_FIELD)? + field(SYSTEM_TIME_FIELD)?))
    }

    /// Its memory now and at most so far, MiB.
    pub(super) fn memory_mib(&self) -> Result<(u64, u64)> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let value = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).context("memory")?;
            let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kib / 1_024)
        };
        Ok((value("VmRSS:")?, value("VmHWM:")?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
