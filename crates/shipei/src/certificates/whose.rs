//! Whose certificates, where they are asked for, and how it shows that they come.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use shipei_certificate_pdf::Fonts;
use shipei_client::client::Clients;

use crate::token::TokenOptions;

/// Whose certificates.
#[derive(Debug, Args)]
pub struct Whose {
    /// The programme.
    #[arg(long)]
    pub(super) programme: String,
    /// The county.
    #[arg(long, value_name = "CODE")]
    pub(super) county: String,
    /// A folder of fonts that come before those of the system; several times.
    #[arg(long, value_name = "DIR")]
    fonts: Vec<PathBuf>,
    /// Where to ask.
    #[command(flatten)]
    pub(super) server: Server,
}

impl Whose {
    pub(super) fn find_fonts(&self) -> Result<Fonts> {
        Ok(Fonts::find(&self.fonts)?)
    }
}

/// A running suite.
#[derive(Debug, Args)]
pub struct Server {
    /// A running suite: ADDRESS for all services, or SERVICE=ADDRESS, several times.
    #[arg(long = "server", value_name = "[SERVICE=]ADDRESS", default_value = "127.0.0.1:7300")]
    servers: Vec<String>,
    /// The authority (PEM) that signed the certificate of an https:// address.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    token: TokenOptions,
}

impl Server {
    pub(super) async fn connect(&self) -> Result<Clients> {
        let clients = Clients::connect(&self.servers, self.ca_file.as_deref()).await?;
        Ok(clients.bearing(self.token.bearer()?))
    }
}
