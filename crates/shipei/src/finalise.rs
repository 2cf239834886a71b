//! `shipei finalise`: makes the scores of a programme final (成绩定稿), part by part; broken off, it goes on where it was.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use shipei_certificates::{Hash, PublicKey, version::FinalVersion};
use shipei_contracts::decisions::v1::{
    self as decisions, FinaliseProgrammeRequest, FreezeScoresRequest, GetCertificateKeyRequest,
    certificate_service_client::CertificateServiceClient,
    final_version_service_client::FinalVersionServiceClient,
};
use shipei_store::crypto::{hex, random_name};

use crate::{
    ask::{Server, ask, instant},
    display::say,
    progress::bar,
};

/// What stands below the help of `shipei finalise`.
pub const EXAMPLES: &str = "\
Examples:
  shipei finalise --programme qinhuangdao-2019 --reason \"年度考核结束\"

The scores of all trainees as of the programme's end are frozen as the next version, with a hash
tree and a signature. What is told later changes provisional scores only. When nothing has changed
since the last version, that one is shown. Run it again when it was broken off: it goes on.";

/// What is to be final.
#[derive(Debug, Args)]
pub struct Options {
    /// The programme.
    #[arg(long)]
    programme: String,
    /// Why; it stands in the version.
    #[arg(long)]
    reason: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Makes the scores final.
///
/// # Errors
/// If a service refuses or can't be reached, or what it says was not signed.
pub async fn run(options: &Options) -> Result<()> {
    let clients = &options.server.connect().await?;
    let asked = FinaliseProgrammeRequest {
        programme_id: options.programme.clone(),
        reason: options.reason.clone(),
        request_id: random_name()?,
    };
    let begun = ask!(clients, "assessment-decisions", FinalVersionServiceClient.finalise_programme, asked)?;
    let mut version = begun.version.context("no version")?;
    let bar = bar("freezing scores");
    while !version.r#final {
        bar.set_length(u64::try_from(version.trainees).unwrap_or(0));
        bar.set_position(u64::try_from(version.frozen).unwrap_or(0));
        let asked = FreezeScoresRequest {
            programme_id: options.programme.clone(),
            version: version.version,
            request_id: random_name()?,
        };
        let frozen = ask!(clients, "assessment-decisions", FinalVersionServiceClient.freeze_scores, asked)?;
        version = frozen.version.context("no version")?;
    }
    bar.finish_and_clear();
    let key = ask!(
        clients,
        "assessment-decisions",
        CertificateServiceClient.get_certificate_key,
        GetCertificateKeyRequest {}
    )?;
    let key: PublicKey = key.key.parse()?;
    if !signed(&version)?.is_signed(&key, &version.signature) {
        bail!("the version is not signed by the published key");
    }
    let root = hex(&version.root);
    if options.json {
        let shown = serde_json::json!({
            "programme": version.programme_id, "version": version.version, "trainees": version.trainees,
            "scores_digest": version.scores_digest, "root": root, "key": key.to_string(),
        });
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    say(&format!(
        "version {} of {} is final: {} trainees\nroot {root}\nsigned with the key {key}",
        version.version, version.programme_id, version.trainees
    ));
    Ok(())
}

/// What the signature of a version is of.
fn signed(version: &decisions::FinalVersion) -> Result<FinalVersion> {
    Ok(FinalVersion {
        programme_id: version.programme_id.parse()?,
        number: version.version.try_into()?,
        as_of: instant(version.as_of.as_ref()).context("as of when")?,
        scheme_version: version.scheme_version.try_into()?,
        scores: version.trainees.try_into()?,
        scores_digest: version.scores_digest.clone(),
        root: Hash::from_bytes(&version.root).context("the root is no SHA-256")?,
    })
}
