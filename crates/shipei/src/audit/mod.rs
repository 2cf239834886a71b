//! `shipei audit`: whether the logs are what was written (`verify`), and the key that their checkpoints are verified by (`key`).

mod verify;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use shipei_service_kit::CheckpointKey;

pub use verify::VerifyOptions;

use crate::{
    config::{self, Config},
    display::say,
};

/// What stands below the help of `shipei audit`.
pub const EXAMPLES: &str = "\
Examples:
  shipei audit verify --config /etc/shipei.toml              all six logs, event by event
  shipei audit verify enrollment --data shipei-data --lang zh
  shipei audit verify --config /etc/shipei.toml --checkpoints /mnt/audit
                                        also against what was written down elsewhere
  shipei audit key --config /etc/shipei.toml                 for who keeps the checkpoints

Each event carries a link, a digest of itself and of the link before it, so one that was removed,
changed or put in another's place breaks the chain. Who makes the chain anew is found by
checkpoints (setting audit_checkpoints) alone: keep them where the database's administrator
can't write. Exits with 1 when something does not hold.";

/// What can be asked of the audit.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify the chains of the logs, straight from their databases.
    Verify(VerifyOptions),
    /// Print the public key that checkpoints are verified by.
    Key(config::Options),
}

impl Command {
    /// The settings of the command.
    pub fn options(&self) -> &config::Options {
        match self {
            Command::Verify(options) => options.options(),
            Command::Key(options) => options,
        }
    }
}

/// Carries the command out; false when something does not hold.
///
/// # Errors
/// When a database or a file can't be read.
pub async fn run(command: &Command, config: &Config) -> Result<bool> {
    match command {
        Command::Verify(options) => verify::run(options, config).await,
        Command::Key(_) => {
            let keys = config.storage.load_keys()?.context("there is no key file")?;
            say(&CheckpointKey::of(&keys)?.to_string());
            Ok(true)
        }
    }
}
