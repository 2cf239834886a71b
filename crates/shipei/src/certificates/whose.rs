//! Whose certificates, where they are asked for, and how it shows that they come.

use clap::Args;

use crate::ask::Server;

/// Whose certificates.
#[derive(Debug, Args)]
pub struct Whose {
    /// The programme.
    #[arg(long)]
    pub(super) programme: String,
    /// The county.
    #[arg(long, value_name = "CODE")]
    pub(super) county: String,
    #[cfg(feature = "paper")]
    /// A folder of fonts that come before those of the system; several times.
    #[arg(long, value_name = "DIR")]
    fonts: Vec<std::path::PathBuf>,
    /// Where to ask.
    #[command(flatten)]
    pub(super) server: Server,
}

#[cfg(feature = "paper")]
impl Whose {
    pub(super) fn find_fonts(&self) -> anyhow::Result<shipei_certificate_pdf::Fonts> {
        Ok(shipei_certificate_pdf::Fonts::find(&self.fonts)?)
    }
}
