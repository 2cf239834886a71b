//! Issuing, once everybody's name has been found to be printable.

use anyhow::{Result, bail};
use shipei_client::client::Clients;
use shipei_contracts::decisions::v1::{
    IssueCertificatesRequest, certificate_service_client::CertificateServiceClient,
};
use shipei_store::crypto::random_name;

use super::whose::Whose;
use crate::{ask::ask, display::say, progress::bar};

/// Issues certificates.
pub(super) async fn issue(whose: &Whose, person: Option<&str>, version: i32, unchecked: bool) -> Result<()> {
    let clients = &whose.server.connect().await?;
    if !unchecked {
        let unprintable = unprintable(clients, whose, person).await?;
        if !unprintable.is_empty() {
            bail!(
                "{}\nnothing was issued: install a font that has them, correct the names, or say --unchecked",
                unprintable.join("\n")
            );
        }
    }
    let bar = bar("issuing certificates");
    let (mut issued, mut skipped, mut after) = (0_u64, Vec::new(), String::new());
    loop {
        let asked = IssueCertificatesRequest {
            programme_id: whose.programme.clone(),
            county_code: whose.county.clone(),
            version,
            person_id: person.unwrap_or_default().to_owned(),
            after,
            request_id: random_name()?,
        };
        let mut answer =
            ask!(clients, "assessment-decisions", CertificateServiceClient.issue_certificates, asked)?;
        issued += u64::try_from(answer.issued).unwrap_or(0);
        bar.set_length(issued + u64::try_from(answer.left).unwrap_or(0));
        bar.set_position(issued);
        skipped.append(&mut answer.skipped);
        after = answer.next_after;
        if after.is_empty() {
            break;
        }
    }
    bar.finish_and_clear();
    say(&format!("issued {issued} certificates in {}", whose.county));
    for person in skipped {
        say(&format!("{person}: passed, and is not in the roster any more; no certificate"));
    }
    Ok(())
}

/// A line for each name or school that can't be printed.
#[cfg(feature = "paper")]
async fn unprintable(clients: &Clients, whose: &Whose, only: Option<&str>) -> Result<Vec<String>> {
    Ok(super::glyphs::unprintable(clients, whose, only).await?.1)
}

#[cfg(not(feature = "paper"))]
async fn unprintable(_: &Clients, _: &Whose, _: Option<&str>) -> Result<Vec<String>> {
    bail!(
        "this program was built without the feature `paper` and knows no fonts: say --unchecked, or issue with another"
    )
}
