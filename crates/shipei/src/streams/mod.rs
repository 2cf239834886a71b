//! The event logs from the terminal: follow them (`shipei watch`) and take them elsewhere (`shipei relay`).

pub mod relay;
pub mod watch;

use anyhow::Result;
use clap::{Args, builder::PossibleValuesParser};
use shipei_client::{client::SERVICES, feed::Wanted};

use crate::{ask::Server, services::service_names};

/// Which logs, and what of them.
#[derive(Debug, Args)]
pub struct Logs {
    /// The services whose logs; all of them without any.
    #[arg(value_name = "SOURCE", value_parser = PossibleValuesParser::new(service_names()))]
    sources: Vec<String>,
    /// Only events of this programme; may be given several times.
    #[arg(long, value_name = "ID")]
    programme: Vec<String>,
    /// Only events of this region and of what lies in it; may be given several times.
    #[arg(long, value_name = "CODE")]
    region: Vec<String>,
    /// Only events of this type (the full name of a message); may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only this partition, 0 to 63; may be given several times, to share the work.
    #[arg(long, value_name = "N")]
    partition: Vec<u32>,
    #[command(flatten)]
    server: Server,
}

impl Logs {
    /// The logs.
    fn sources(&self) -> Vec<&'static str> {
        let is_named =
            |name: &&&str| self.sources.is_empty() || self.sources.iter().any(|named| named == **name);
        SERVICES.iter().filter(is_named).copied().collect()
    }

    /// What of them.
    fn wanted(&self) -> Wanted {
        Wanted {
            types: self.types.clone(),
            region_codes: self.region.clone(),
            programme_ids: self.programme.clone(),
            partitions: self.partition.clone(),
        }
    }

    async fn connect(&self) -> Result<shipei_client::client::Clients> {
        self.server.connect().await
    }
}
