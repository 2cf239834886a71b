//! `shipei certificates`: certificates (年度培训合格证书) are checked for glyphs, issued, printed as PDF, verified, revoked. What they say is
//! decided and signed by the service; here they are set on paper, since fonts are no matter of a server.

#[cfg(feature = "paper")]
mod glyphs;
mod issue;
#[cfg(feature = "paper")]
mod print;
mod verify;
mod whose;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use shipei_certificates::Number;
use shipei_contracts::decisions::v1::{
    GetCertificateKeyRequest, RevokeCertificateRequest, certificate_service_client::CertificateServiceClient,
};
use shipei_store::crypto::random_name;

use whose::Whose;

use crate::{
    ask::{Server, ask},
    display::say,
};

/// What stands below the help of `shipei certificates`.
pub const EXAMPLES: &str = "\
Examples:
  shipei certificates check --programme qinhuangdao-2019 --county 130302
                                        whose name no font on this machine can print
  shipei certificates issue --programme qinhuangdao-2019 --county 130302
                                        to all who passed by the newest final version
  shipei certificates print --programme qinhuangdao-2019 --county 130302 --by school --out DIR
  shipei certificates verify CODE       what a QR code says, and whether it holds
  shipei certificates verify CODE --key KEY    the same by the published key, asking nobody
  shipei certificates revoke qinhuangdao-2019-130302-000123 --reason \"姓名有误\"
  shipei certificates issue --programme qinhuangdao-2019 --county 130302 --person T000008
                                        anew, under another number

Fonts (Debian): apt install fonts-noto-cjk fonts-babelstone-han fonts-hanazono";

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(feature = "paper")]
    /// Name those of a county whose names no font on this machine can print.
    Check(Whose),
    /// Issue certificates to who passed by a final version and has none.
    Issue {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// Only this trainee, whose certificate may have been revoked before.
        #[arg(long, value_name = "ID")]
        person: Option<String>,
        /// The final version; the newest if it isn't said.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        version: i32,
        /// Don't look first whether all names can be printed on this machine.
        #[arg(long)]
        unchecked: bool,
    },
    #[cfg(feature = "paper")]
    /// Write the certificates that hold as PDF, A4, one a page.
    Print {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// Only this trainee.
        #[arg(long, value_name = "ID")]
        person: Option<String>,
        /// A file for the county, for each school, or for each person.
        #[arg(long, value_enum, default_value_t = print::By::County)]
        by: print::By,
        /// The folder for the files; made if it is not there.
        #[arg(long, value_name = "DIR")]
        out: std::path::PathBuf,
    },
    /// Say what the code of a certificate says, and whether it holds; fails when it does not.
    Verify {
        /// What a reader of QR codes gives.
        code: String,
        /// The published key: then nobody is asked, and nothing is said of revocation.
        // A key may begin with a hyphen, as one in 64 does.
        #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
        key: Option<String>,
        /// Where to ask, and how to show.
        #[command(flatten)]
        server: Server,
    },
    /// Revoke a certificate (作废).
    Revoke {
        /// Its number.
        number: Number,
        /// Why; kept with it.
        #[arg(long)]
        reason: String,
        /// Where to ask.
        #[command(flatten)]
        server: Server,
    },
    /// Print the key by which anybody can verify certificates offline.
    Key(Server),
}

/// Does what is asked. False when a certificate does not hold.
///
/// # Errors
/// If a service refuses or can't be reached, a font or a character is missing, or a file can't be written.
pub async fn run(command: &Command) -> Result<bool> {
    match command {
        #[cfg(feature = "paper")]
        Command::Check(whose) => glyphs::check(whose).await?,
        Command::Issue { whose, person, version, unchecked } => {
            issue::issue(whose, person.as_deref(), *version, *unchecked).await?;
        }
        #[cfg(feature = "paper")]
        Command::Print { whose, person, by, out } => print::print(whose, person.as_deref(), *by, out).await?,
        Command::Verify { code, key: Some(key), .. } => return verify::offline(code, key),
        Command::Verify { code, key: None, server } => {
            return verify::online(&server.connect().await?, code).await;
        }
        Command::Revoke { number, reason, server } => {
            let clients = server.connect().await?;
            let asked = RevokeCertificateRequest {
                programme_id: number.programme_id.to_string(),
                county_code: number.county_code.as_str().to_owned(),
                serial: number.serial.try_into().context("the serial number is too large")?,
                reason: reason.clone(),
                request_id: random_name()?,
            };
            ask!(clients, "assessment-decisions", CertificateServiceClient.revoke_certificate, asked)?;
            say(&format!("{number} is revoked"));
        }
        Command::Key(server) => {
            let clients = server.connect().await?;
            let asked = GetCertificateKeyRequest {};
            let answer =
                ask!(clients, "assessment-decisions", CertificateServiceClient.get_certificate_key, asked)?;
            say(&answer.key);
        }
    }
    Ok(true)
}
