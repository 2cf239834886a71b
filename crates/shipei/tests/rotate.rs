//! `shipei rotate-keys` as an operator runs it: a suite that asks for tokens goes on while it gets another key.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shipei_store::crypto::{Keys, add_key};

/// The program without the environment of whoever runs the tests.
fn shipei(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHIPEI_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a command says, and whether it succeeded.
fn said(command: &mut Command) -> Result<(bool, String)> {
    let output = command.output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// A suite; ended as an operator ends it when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &str, checkpoints: &Path) -> Result<Server> {
        let mut command = shipei(&["serve", "--data", data, "--listen", "127.0.0.1:0", "--cipher", "sm4"]);
        command.arg("--audit-checkpoints").arg(checkpoints);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        ensure!(!address.is_empty(), "it did not start: {line}");
        Ok(Server { child, address })
    }

    /// Ends it, so that its last checkpoint is written.
    fn end(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(self.child.wait()?.success());
        Ok(())
    }
}

#[test]
fn a_suite_gets_another_key_while_it_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, checkpoints) = (folder.path().join("data"), folder.path().join("checkpoints"));
    let data = data.to_str().context("UTF-8")?;
    let key_file = Path::new(data).join("shipei.key");
    let token = said(&mut shipei(&["token", "--keys", data, "--role", "province", "--programme", "p-2019"]))?;
    ensure!(token.0, "{}", token.1);
    let server = Server::start(data, &checkpoints)?;
    let rotate = |arguments: &[&str], file: &Path| {
        let mut command = shipei(&["rotate-keys", "--server", &server.address, "--lang", "en"]);
        said(command.args(arguments).arg("--key-file").arg(file))
    };
    let ids = || Keys::load(&key_file).map(|keys| keys.map(|keys| keys.ids()).unwrap_or_default());
    let first = ids()?;

    // Who has another key file is nobody to the suite.
    let other = folder.path().join("other.key");
    Keys::load_or_create(&other)?;
    let (done, why) = rotate(&[], &other)?;
    assert!(!done && why.contains("TOKEN_INVALID"), "{why}");
    assert_eq!((ids()?, Keys::load(&other)?.map(|keys| keys.ids().len())), (first.clone(), Some(1)));

    let (done, why) = rotate(&["--json"], &key_file)?;
    ensure!(done, "{why}");
    let shown: Value =
        serde_json::from_str(why.lines().find(|line| line.starts_with('{')).unwrap_or_default())?;
    let second = ids()?;
    assert_eq!((second.len(), &second[1]), (2, &first[0]));
    assert_eq!((&shown["key"], &shown["rewrapped"]), (&Value::from(second[0].clone()), &Value::from(6)));
    assert_eq!((&shown["left"], &shown["went_on"]), (&Value::from(0), &Value::from(false)));
    let (done, why) = rotate(&["--drop-old"], &key_file)?;
    assert!(done && why.contains("1 dropped"), "{why}");
    assert_eq!(ids()?, second[..1]);

    // A rotation that was broken off behind its first step: nothing may be dropped, and the same words go on.
    add_key(&key_file)?;
    let third = ids()?;
    let (done, why) = rotate(&["--drop-old"], &key_file)?;
    assert!(!done && why.contains("still wrapped by"), "{why}");
    let (done, why) = rotate(&["--json"], &key_file)?;
    ensure!(done, "{why}");
    let shown: Value =
        serde_json::from_str(why.lines().find(|line| line.starts_with('{')).unwrap_or_default())?;
    assert_eq!((&shown["went_on"], &shown["rewrapped"]), (&Value::from(true), &Value::from(6)));
    assert_eq!(ids()?, third);
    assert!(rotate(&["--drop-old"], &key_file)?.0);
    server.end()?;

    // What was signed by keys that are gone is verified, and a start needs the last one only.
    let published = said(&mut shipei(&["audit", "key", "--data", data]))?.1;
    assert_eq!(published.lines().count(), 3, "{published}");
    let mut verify = shipei(&["audit", "verify", "--data", data, "--checkpoints"]);
    let (holds, why) = said(verify.arg(&checkpoints))?;
    assert!(holds, "{why}");
    let lines: usize = fs::read_dir(&checkpoints)?
        .map(|file| fs::read_to_string(file?.path()).map(|text| text.lines().count()))
        .sum::<std::io::Result<usize>>()?;
    assert!(lines >= 12, "{lines} checkpoints");
    Server::start(data, &checkpoints)?.end()
}
