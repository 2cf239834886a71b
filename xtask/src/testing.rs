//! Runs all tests. The end-to-end suite waits for clocks, disks and other processes half of its time, so the other test programs run
//! beside it, one after the other.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{cargo, shown, step};

/// The package of the end-to-end suite.
const SUITE: &str = "shipei-tests";

/// Builds all tests and runs them with these variables. What those print that failed is printed at the end once more: in half an hour
/// of lines nobody finds it, and what keeps the last lines only has it too.
pub(crate) fn run_all(variables: &[(&str, PathBuf)]) -> Result<()> {
    let programs = programs()?;
    step("tests");
    let (suite, others): (Vec<_>, Vec<_>) = programs.iter().partition(|program| program.package == SUITE);
    ensure!(!suite.is_empty(), "there is no test program of {SUITE}");
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| -> Result<_> {
            let mut failures = Vec::new();
            for program in others {
                failures.extend(run(program.command(variables), &program.name, Shown::Whole)?);
            }
            let mut examples = cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]);
            examples.envs(variables.iter().map(|(name, value)| (name, value)));
            failures.extend(run(examples, "examples of the documentation", Shown::Whole)?);
            Ok(failures)
        });
        for program in suite {
            failures.extend(run(program.command(variables), &program.name, Shown::Line)?);
        }
        failures.extend(
            beside.join().map_err(|_| anyhow::anyhow!("the tests beside the suite could not be run"))??,
        );
        Ok::<_, anyhow::Error>(())
    })?;
    if failures.is_empty() {
        return Ok(());
    }
    step("what failed, once more");
    let names: Vec<_> = failures.iter().map(|failed| failed.name.as_str()).collect();
    for line in failures.iter().flat_map(|failed| &failed.lines) {
        println!("{line}");
    }
    bail!("tests failed: {}", names.join(", "));
}

/// A program of tests.
#[derive(Debug)]
struct Program {
    package: String,
    name: String,
    /// The package's folder, in which its tests run.
    folder: PathBuf,
    executable: PathBuf,
}

impl Program {
    /// As cargo would run it.
    fn command(&self, variables: &[(&str, PathBuf)]) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.folder);
        command.env("CARGO_MANIFEST_DIR", &self.folder).env("CARGO_PKG_NAME", &self.package);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The one of which cargo tells in this line, if it does.
    fn read(line: &str) -> Option<Self> {
        let told: Value = serde_json::from_str(line).ok()?;
        let text = |pointer| told.pointer(pointer).and_then(Value::as_str);
        if text("/reason") != Some("compiler-artifact")
            || told.pointer("/profile/test") != Some(&Value::Bool(true))
        {
            return None;
        }
        let folder = Path::new(text("/manifest_path")?).parent()?.to_owned();
        let target = text("/target/name")?;
        // `path+file:///work/tests#shipei-tests@0.1.0`, and without a name where that is the folder's.
        let after = text("/package_id")?.rsplit_once('#')?.1;
        let package = match after.split_once('@') {
            Some((name, _)) => name,
            None => folder.file_name()?.to_str()?,
        };
        Some(Self {
            package: package.to_owned(),
            name: format!("{package} {target}"),
            executable: PathBuf::from(text("/executable")?),
            folder,
        })
    }
}

/// Builds what tests, and says where it is.
fn programs() -> Result<Vec<Program>> {
    step("build");
    let mut command =
        cargo(&["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let said = shown(&command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {said}"))?;
    ensure!(output.status.success(), "{said}: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(Program::read).collect())
}

/// How what tests print is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Each line when it comes.
    Line,
    /// All when it has ended, so that lines of two programs don't mix.
    Whole,
}

/// Runs tests; gives what is known of those that failed.
fn run(mut command: Command, name: &str, how: Shown) -> Result<Option<Failed>> {
    let began = Instant::now();
    if how == Shown::Whole {
        command.stderr(Stdio::piped());
    } else {
        println!("-- {name}");
    }
    let mut running =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run the tests of {name}"))?;
    let errors = running.stderr.take().map(|pipe| std::thread::spawn(|| read_lines(pipe, |_| ())));
    let mut failures = Failures::default();
    let lines = running.stdout.take().map(|pipe| {
        read_lines(pipe, |line| {
            if how == Shown::Line {
                println!("{line}");
            }
            failures.read(line);
        })
    });
    let status = running.wait()?;
    if how == Shown::Whole {
        let errors = errors.and_then(|reading| reading.join().ok()).unwrap_or_default();
        let lines = lines.unwrap_or_default();
        println!("-- {name} ({} s)\n{}", began.elapsed().as_secs(), [errors, lines].concat().join("\n"));
    }
    Ok((!status.success()).then(|| {
        failures.lines.push(format!("{name}: {status}"));
        Failed { name: name.to_owned(), lines: failures.lines }
    }))
}

/// All lines, whatever bytes they have.
fn read_lines(from: impl std::io::Read, mut each: impl FnMut(&str)) -> Vec<String> {
    let lines = BufReader::new(from).split(b'\n').map_while(Result::ok);
    lines
        .map(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            each(&line);
            line
        })
        .collect()
}

/// A program with tests that failed.
#[derive(Debug)]
struct Failed {
    name: String,
    lines: Vec<String>,
}

/// What a test program says of its failed tests: it stands between `failures:` and its result.
#[derive(Default)]
struct Failures {
    within: bool,
    lines: Vec<String>,
}

impl Failures {
    fn read(&mut self, line: &str) {
        self.within |= line == "failures:";
        if self.within {
            self.within = !line.starts_with("test result:");
            self.lines.push(line.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_kept_of_each_program() {
        let said = "\
running 2 tests
test a ... ok
test b ... FAILED

failures:

---- b stdout ----
it is 2

failures:
    b

test result: FAILED. 1 passed; 1 failed

running 1 test
test c ... ok

test result: ok. 1 passed; 0 failed";
        let mut failures = Failures::default();
        said.lines().for_each(|line| failures.read(line));
        let kept = failures.lines.join("\n");
        assert!(kept.starts_with("failures:\n\n---- b stdout ----\nit is 2\n"), "{kept}");
        assert!(kept.ends_with("test result: FAILED. 1 passed; 1 failed"), "{kept}");
    }

    #[test]
    fn programs_are_found_in_what_cargo_tells() {
        let told = |test: bool, id: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","manifest_path":"/w/crates/store/Cargo.toml",
                "target":{{"name":"sqlite"}},"profile":{{"test":{test}}},"executable":"/w/target/debug/deps/sqlite-1"}}"#
            )
        };
        let found = Program::read(&told(true, "path+file:///w/crates/store#shipei-store@0.1.0")).unwrap();
        assert_eq!(
            (found.name.as_str(), found.folder.as_path()),
            ("shipei-store sqlite", Path::new("/w/crates/store"))
        );
        assert_eq!(Program::read(&told(true, "path+file:///w/crates/store#0.1.0")).unwrap().package, "store");
        assert!(Program::read(&told(false, "path+file:///w/crates/store#0.1.0")).is_none());
        assert!(Program::read("   Compiling shipei-store").is_none());
    }
}
