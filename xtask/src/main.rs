//! `cargo xtask test`, `ci`, `rights`, `events`, `breaking`, `packages` and `tools`: the whole test suite, and all that a change must
//! pass, on a machine with Rust and nothing else. What is missing comes from the package registries only (Debian, npm, PyPI).

mod breaking;
mod packages;
mod testing;
mod tools;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::OnceLock,
    time::Instant,
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
    let mut variables: Vec<(&str, PathBuf)> =
        tools.variables().into_iter().map(|(variable, path)| (variable, path.to_owned())).collect();
    if std::env::var_os(PROGRAM).is_none() {
        // Cargo makes it with the tests; tests that run it would build all of it once more, with the features of none.
        variables.push((PROGRAM, tools::target()?.join("debug/shipei")));
    }
    variables.push(("SHIPEI_TEST_PACKAGES", packages::build()?));
    testing::run_all(&variables)
}

/// The contracts' packages, and where they are.
fn packages() -> Result<()> {
    let folder = packages::build()?;
    println!("{}", folder.display());
    Ok(())
}

/// What every change must pass, the quick things first.
fn ci() -> Result<()> {
    step("format");
    run(cargo(&["fmt", "--all", "--check"]))?;
    step("clippy");
    // What is missing is fetched meanwhile: that waits for the network, and clippy for the processors. So is cargo-deny made: clippy
    // and it leave processors idle at different times.
    let installing = std::thread::spawn(|| {
        tools::install_all()?;
        tools::deny()
    });
    let linted = run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    // Waited for in any case: who breaks off an installation leaves a machine half installed.
    let deny = installing.join().map_err(|_| anyhow!("what is missing could not be installed"))??;
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
    dependencies(&deny)?;
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
fn dependencies(deny: &Path) -> Result<()> {
    step("dependencies");
    // Those of other platforms too, which no build has fetched: the check itself asks nobody.
    run(cargo(&["fetch", "--locked"]))?;
    let checks = |arguments: &[&str]| {
        let mut command = Command::new(deny);
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

/// Says what begins, and how long all before it took: who makes CI quicker has to know where its time goes.
fn step(name: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let passed = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    println!("== {name} (after {} min {:02} s)", passed / 60, passed % 60);
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
