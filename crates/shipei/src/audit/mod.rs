//! `shipei audit`: who looked at what and who was refused (`list`), whether the logs are what was written (`verify`), and the key that
//! their checkpoints are verified by (`key`).

mod list;
mod verify;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use shipei_service_kit::CheckpointKey;

pub use list::ListOptions;
pub use verify::VerifyOptions;

use crate::{
    config::{self, Config},
    display::say,
};

/// What stands below the help of `shipei audit`.
pub const EXAMPLES: &str = "\
Examples:
  shipei audit list --programme qinhuangdao-2019             who looked at what, who was refused
  shipei audit list --programme qinhuangdao-2019 --kind denial --from 2019-11-01T00:00:00+08:00
  shipei audit verify --config /etc/shipei.toml              all six logs, event by event
  shipei audit verify enrollment --data shipei-data --lang zh
  shipei audit verify --config /etc/shipei.toml --checkpoints /mnt/audit
                                        also against what was written down elsewhere
  shipei audit key --config /etc/shipei.toml                 for who keeps the checkpoints

Each event carries a link, a digest of itself and of the link before it, so one that was
removed, changed or put in another's place breaks the chain. Who makes the chain anew is found
by checkpoints (setting audit_checkpoints) alone: keep them where the database's administrator
can't write. Exits with 1 when something does not hold.";

/// What can be asked of the audit.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List who exported, who looked for people, and who was refused (审计日志).
    List(ListOptions),
    /// Verify the chains of the logs, straight from their databases.
    Verify(VerifyOptions),
    /// Print the public keys that checkpoints are verified by, the one that signs first.
    Key(config::Options),
}

/// Carries the command out; false when something does not hold.
///
/// # Errors
/// When a database or a file can't be read, or a service refuses.
pub async fn run(command: &Command) -> Result<bool> {
    match command {
        Command::List(options) => list::run(options).await.map(|()| true),
        Command::Verify(options) => verify::run(options, &Config::load(options.options())?).await,
        Command::Key(options) => {
            let keys = Config::load(options)?.storage.load_keys()?.context("there is no key file")?;
            for key in CheckpointKey::all_of(&keys)? {
                say(&key.to_string());
            }
            Ok(true)
        }
    }
}
