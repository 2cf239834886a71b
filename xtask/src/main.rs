//! `cargo xtask test`, `ci`, `rights`, `events`, `breaking`, `packages` and `tools`: the whole test suite, and all that a change must
//! pass, on a machine with Rust and nothing else. What is missing comes from the package registries only (Debian, npm, PyPI).

mod breaking;
mod packages;
mod tools;

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, anyhow, bail};

const HELP: &str = "\
cargo xtask test   install what is missing (Postgres, redis-server, LibreOffice, buf, a Python client), then all tests on both databases
cargo xtask ci     format, clippy, buf lint and breaking, documentation, what comes from the registries, then `cargo xtask test`
cargo xtask rights write docs/rights.md anew from the contracts
cargo xtask events write docs/events.md anew from the contracts
cargo xtask breaking
                   what a change of the contracts would break for who has code of them
cargo xtask packages
                   make the contracts' packages for Python and Node in target/packages
cargo xtask tools  install what is missing, no more";

/// The program that tests run as processes.
const PROGRAM: &str = "SHIPEI_TEST_PROGRAM";

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("test") => test(),
        Some("ci") => ci(),
        Some("rights") => renew("rights::table", "SHIPEI_RENEW_RIGHTS"),
        Some("events") => renew("events_page", "SHIPEI_RENEW_EVENTS"),
        Some("breaking") => breaking::check(),
        Some("packages") => packages(),
        Some("tools") => tools::install_all().map(|_| ()),
        _ => {
            println!("{HELP}");
            return ExitCode::FAILURE;
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every test of the workspace, on SQLite and on Postgres.
fn test() -> Result<()> {
    let tools = tools::install_all()?;
    step("tests");
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if std::env::var_os(PROGRAM).is_none() {
        // Cargo makes it with the tests; tests that run it would build all of it once more, with the features of none.
        command.env(PROGRAM, tools::target()?.join("debug/shipei"));
    }
    for (variable, path) in tools.variables() {
        command.env(variable, path);
    }
    command.env("SHIPEI_TEST_PACKAGES", packages::build()?);
    run_tests(command)
}

/// The contracts' packages, and where they are.
fn packages() -> Result<()> {
    let folder = packages::build()?;
    println!("{}", folder.display());
    Ok(())
}

/// Runs tests, and says at the end once more what those that failed have printed: in half an hour of lines nobody finds it,
/// and what keeps the last lines only has it too.
fn run_tests(mut command: Command) -> Result<()> {
    let shown = shown(&command);
    let mut running =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {shown}"))?;
    let mut failures = Failures::default();
    for line in running.stdout.take().map(BufReader::new).into_iter().flat_map(|out| out.split(b'\n')) {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        failures.read(line);
    }
    let status = running.wait()?;
    if !status.success() {
        step("what failed, once more");
        for line in &failures.lines {
            println!("{line}");
        }
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// What a test program says of its failed tests: it stands between `failures:` and its result.
#[derive(Default)]
struct Failures {
    within: bool,
    lines: Vec<String>,
}

impl Failures {
    fn read(&mut self, line: String) {
        self.within |= line == "failures:";
        if self.within {
            self.within = !line.starts_with("test result:");
            self.lines.push(line);
        }
    }
}

/// What every change must pass, the quick things first.
fn ci() -> Result<()> {
    step("format");
    run(cargo(&["fmt", "--all", "--check"]))?;
    step("clippy");
    // What is missing is fetched meanwhile: that waits for the network, and clippy for the processors.
    let installing = std::thread::spawn(tools::install_all);
    let linted = run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    // Waited for in any case: who breaks off an installation leaves a machine half installed.
    installing.join().map_err(|_| anyhow!("what is missing could not be installed"))??;
    linted?;
    step("buf lint");
    let buf = tools::buf()?;
    let mut lint = Command::new(&buf);
    lint.arg("lint").current_dir(tools::root()?.join("proto"));
    run(lint)?;
    let mut format = Command::new(&buf);
    format.args(["format", "--diff", "--exit-code"]).current_dir(tools::root()?.join("proto"));
    run(format)?;
    step("buf breaking");
    breaking::check()?;
    step("documentation");
    let mut documentation = cargo(&["doc", "--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    run(documentation)?;
    dependencies()?;
    test()
}

/// A page of docs/ that a test writes from the contracts when it is told to.
fn renew(test: &str, variable: &str) -> Result<()> {
    let mut command = cargo(&["test", "--workspace", "--test", "suite", test]);
    command.env(variable, "1");
    run(command)
}

/// What comes from the registries, by `deny.toml`: licences, what is banned, where it comes from; and what is known against
/// it, where the database of that can be had.
fn dependencies() -> Result<()> {
    step("dependencies");
    // Those of other platforms too, which no build has fetched: the check itself asks nobody.
    run(cargo(&["fetch", "--locked"]))?;
    let deny = tools::deny()?;
    let checks = |arguments: &[&str]| {
        let mut command = Command::new(&deny);
        command.args(arguments).current_dir(tools::root()?);
        Ok::<_, anyhow::Error>(command)
    };
    run(checks(&["--offline", "check", "licenses", "bans", "sources"])?)?;
    let fetched = checks(&["fetch", "db"])?.output().context("cannot run cargo-deny")?;
    if !fetched.status.success() {
        println!("not checked: what is known against them, since that database can't be fetched from here");
        return Ok(());
    }
    run(checks(&["--offline", "check", "advisories"])?)
}

fn step(name: &str) {
    println!("== {name}");
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    // What cargo said of xtask's own package; build scripts that look at it would have their crates compiled anew.
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("CARGO_PKG_") || shown.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command, its output going where ours goes; anything but success is an error that names it.
fn run(mut command: Command) -> Result<()> {
    let shown = shown(&command);
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// A command as it would be typed.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
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
        said.lines().for_each(|line| failures.read(line.to_owned()));
        let kept = failures.lines.join("\n");
        assert!(kept.starts_with("failures:\n\n---- b stdout ----\nit is 2\n"), "{kept}");
        assert!(kept.ends_with("test result: FAILED. 1 passed; 1 failed"), "{kept}");
    }
}
