//! Printing: the certificates that hold, as PDF files.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use shipei_certificate_pdf::Printed;
use shipei_certificates::{Certificate, PublicKey};
use shipei_contracts::decisions::v1::{
    GetCertificateKeyRequest, IssuedCertificate, ListCertificatesRequest,
    certificate_service_client::CertificateServiceClient,
};

use super::whose::Whose;
use crate::{
    ask::{ask, each_page},
    display::say,
    progress::bar,
};

/// The most pages of a file: what a printer takes, and what keeps memory small.
const PAGES_MAX: usize = 1_000;

/// What a file is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// A county.
    County,
    /// A school.
    School,
    /// A person.
    Person,
}

/// Writes the files.
pub(super) async fn print(whose: &Whose, person: Option<&str>, by: By, out: &Path) -> Result<()> {
    let clients = &whose.server.connect().await?;
    let mut fonts = whose.find_fonts()?;
    let key = ask!(
        clients,
        "assessment-decisions",
        CertificateServiceClient.get_certificate_key,
        GetCertificateKeyRequest {}
    )?;
    let key: PublicKey = key.key.parse()?;
    let mut groups: BTreeMap<String, Vec<(Certificate, String)>> = BTreeMap::new();
    let asked = || ListCertificatesRequest {
        programme_id: whose.programme.clone(),
        region_code: whose.county.clone(),
        person_id: person.unwrap_or_default().to_owned(),
        ..Default::default()
    };
    let mut count = 0;
    each_page!(
        clients,
        "assessment-decisions",
        CertificateServiceClient.list_certificates,
        asked(),
        |page| {
            if let Some(row) = page.broken.first() {
                bail!(
                    "certificate {} of {} can't be read any more; nothing is printed",
                    row.key,
                    whose.programme
                );
            }
            for issued in page.certificates {
                let IssuedCertificate { code, person_id, revoked_time: None, erased, .. } = issued else {
                    continue;
                };
                if erased {
                    eprintln!("not printed: {person_id}, whose data was erased");
                    eprintln!("未打印 {person_id}：个人信息已删除");
                    continue;
                }
                // What is printed is what was signed.
                let certificate = key.verify(&code)?;
                let name = match by {
                    By::County => whose.county.clone(),
                    By::School => file_name(&certificate.school),
                    By::Person => format!("{}-{person_id}", certificate.number),
                };
                groups.entry(name).or_default().push((certificate, code));
                count += 1;
            }
        }
    );
    ensure!(count > 0, "no certificate there holds: issue them first");
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let bar = bar("setting pages");
    bar.set_length(count);
    for (name, certificates) in groups {
        let parts = certificates.chunks(PAGES_MAX).enumerate();
        for (at, part) in parts {
            let name = if at == 0 { format!("{name}.pdf") } else { format!("{name}-{}.pdf", at + 1) };
            let printed: Vec<Printed<'_>> =
                part.iter().map(|(certificate, code)| Printed { certificate, code }).collect();
            let pdf = match shipei_certificate_pdf::print(&mut fonts, &printed, || bar.inc(1)) {
                Ok(pdf) => pdf,
                Err(error) => bail!("{name}: {error}"),
            };
            let file = out.join(name);
            std::fs::write(&file, pdf).with_context(|| format!("cannot write {}", file.display()))?;
            bar.suspend(|| say(&format!("{}: {} certificates", file.display(), part.len())));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// A school's name as that of a file.
fn file_name(school: &str) -> String {
    let safe = |character: char| if "/\\:*?\"<>|.".contains(character) { '_' } else { character };
    let name: String = school.chars().take(60).map(safe).collect();
    if name.is_empty() { "school".to_owned() } else { name }
}
