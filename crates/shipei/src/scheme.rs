//! `shipei scheme check`: reads a scheme as a service would, and says what is odd about it, before anybody is told of it.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use clap::Subcommand;
use serde_json::json;
use shipei_rules::scheme::Scheme;

use crate::display::say;

/// The name of a file that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// What stands below the help of `shipei scheme check`.
pub const CHECK_EXAMPLES: &str = "\
Examples:
  shipei scheme check scheme.toml
  shipei scheme check scheme.toml --json | jq .warnings

It needs no server. A scheme that can't be computed is refused with line, key and cause (exit
code 1), as CreateProgramme refuses it; what is odd and can be computed is said and taken (0).";

/// What is done with a scheme.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether a scheme (TOML) is taken, and what is odd about it.
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// The file; `-` reads standard input.
        file: PathBuf,
        /// Print JSON: `id`, `title`, `warnings` with `key`, `message`, `message_zh`.
        #[arg(long)]
        json: bool,
    },
}

/// Runs `shipei scheme`.
///
/// # Errors
/// When the file can't be read, or is no scheme.
pub fn run(command: &Command) -> Result<()> {
    let Command::Check { file, json } = command;
    let text = read(file)?;
    let scheme = Scheme::parse(text.trim_start_matches('\u{feff}'))
        .map_err(|error| anyhow!("{}: {error}", file.display()))?;
    say(&if *json { as_json(&scheme) } else { in_words(&scheme) });
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    if file.as_os_str() == STANDARD_INPUT {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn in_words(scheme: &Scheme) -> String {
    let oddities = scheme.oddities();
    let mut text = format!("{} ({}) is a scheme", scheme.id.as_str(), scheme.title);
    match oddities.len() {
        0 => text.push_str("; nothing is odd about it"),
        number => text.push_str(&format!("; odd about it ({number}):")),
    }
    for odd in &oddities {
        text.push_str(&format!("\n  {}: {}\n    {}", odd.key, odd.en, odd.zh));
    }
    text
}

fn as_json(scheme: &Scheme) -> String {
    let oddities = scheme.oddities();
    let warnings: Vec<_> = oddities
        .iter()
        .map(|odd| json!({ "key": odd.key, "message": odd.en, "message_zh": odd.zh }))
        .collect();
    json!({ "id": scheme.id.as_str(), "title": scheme.title, "warnings": warnings }).to_string()
}
