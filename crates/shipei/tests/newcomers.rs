//! What helps somebody who has just come: a scheme that is looked at, completions, manual pages, and settings whose mistakes
//! are named.

use std::process::{Command, Output, Stdio};

use anyhow::{Result, ensure};

/// The program without the environment of whoever runs the tests.
fn shipei(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("SHIPEI_") || name.starts_with("OTEL_"))
    {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn printed(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "it failed: {}", text(&output.stderr));
    Ok(text(&output.stdout))
}

#[test]
fn scheme_is_taken_or_refused_and_what_is_odd_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("scheme.toml");
    let model = include_str!("../../rules/data/qinhuangdao-2019.toml");
    let check = |arguments: &[&str]| {
        let path = file.to_string_lossy().into_owned();
        shipei(&[&["scheme", "check", &path], arguments].concat()).output()
    };
    std::fs::write(&file, model)?;
    ensure!(printed(&check(&[])?)?.contains("nothing is odd"));
    std::fs::write(&file, model.replace("pass_total       = 80", "pass_total = 500"))?;
    let words = printed(&check(&[])?)?;
    ensure!(words.contains("nobody can pass") && words.contains("合格线为500分"), "{words}");
    let json: serde_json::Value = serde_json::from_str(&printed(&check(&["--json"])?)?)?;
    ensure!(json["warnings"][0]["key"] == "trainee.pass_total", "{json}");
    std::fs::write(&file, model.replace("pass_total", "pas_total"))?;
    let refused = check(&[])?;
    ensure!(!refused.status.success() && text(&refused.stderr).contains("pas_total"), "{refused:?}");
    Ok(())
}

#[test]
fn completions_and_manual_name_every_command() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&shipei(&["completions", shell]).output()?)?;
        ensure!(script.contains("migrate") && script.contains("scheme"), "{shell}");
    }
    let pages = folder.path().join("man");
    printed(&shipei(&["man", &pages.to_string_lossy()]).output()?)?;
    for page in ["shipei.1", "shipei-serve.1", "shipei-scheme-check.1"] {
        ensure!(pages.join(page).exists(), "{page}");
    }
    Ok(())
}

#[test]
fn variable_that_is_no_setting_is_named_and_the_standard_one_is_heard() -> Result<()> {
    let output = shipei(&["config"])
        .env("SHIPEI_LISTN", "127.0.0.1:1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")
        .output()?;
    let shown = printed(&output)?;
    ensure!(shown.contains("SHIPEI_LISTN is in the environment, but there is no such setting"), "{shown}");
    ensure!(shown.contains("otlp = \"http://c:4317\" # environment OTEL_EXPORTER_OTLP_ENDPOINT"), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&printed(&shipei(&["config", "--json"]).output()?)?)?;
    let listen = json.as_array().and_then(|all| all.iter().find(|setting| setting["key"] == "listen"));
    ensure!(listen.is_some_and(|listen| listen["value"] == "127.0.0.1:7300"), "{json}");
    Ok(())
}
