//! Verifying a code: by asking, which knows of revocation and gives the way to the root of the final version, or by the published
//! key alone.

use anyhow::{Context as _, Result, ensure};
use shipei_certificates::{Certificate, CodeError, Hash, PublicKey, Side, Step, tree::follow};
use shipei_client::client::Clients;
use shipei_contracts::decisions::v1::{
    self as decisions, CertificateStatus, VerifyCertificateRequest,
    certificate_service_client::CertificateServiceClient,
};

use crate::{
    ask::{ask, instant},
    display::say,
};

/// Verifies by the published key. False when the code was not signed by it.
pub(super) fn offline(code: &str, key: &str) -> Result<bool> {
    let key: PublicKey = key.parse()?;
    match key.verify(code) {
        Ok(it) => {
            say("SIGNED: compare every line with the paper; whether it was revoked only a server knows");
            say(&lines(&it));
            Ok(true)
        }
        Err(error @ (CodeError::Malformed | CodeError::OtherKey | CodeError::Signature)) => {
            say(&format!("FORGED: {error}"));
            Ok(false)
        }
    }
}

/// Verifies by asking. False when the certificate does not hold.
pub(super) async fn online(clients: &Clients, code: &str) -> Result<bool> {
    let asked = VerifyCertificateRequest { code: code.trim().to_owned() };
    let answer = ask!(clients, "assessment-decisions", CertificateServiceClient.verify_certificate, asked)?;
    let status = answer.status();
    let said = match status {
        CertificateStatus::Valid => "VALID: compare every line with the paper".to_owned(),
        CertificateStatus::Revoked => {
            let at = instant(answer.revoked_time.as_ref()).map(|at| at.to_rfc3339());
            format!("REVOKED {}", at.unwrap_or_default())
        }
        CertificateStatus::Unknown => "UNKNOWN: signed, and not kept here".to_owned(),
        CertificateStatus::Forged | CertificateStatus::Unspecified => {
            "FORGED: nothing on the paper is confirmed".to_owned()
        }
    };
    say(&said);
    let Some(it) = &answer.certificate else { return Ok(false) };
    say(&of_answer(it));
    if !answer.path.is_empty() || status == CertificateStatus::Valid {
        ensure!(leads_to_root(it, &answer.path)?, "its score is not in the final version that it names");
        say(&format!(
            "its score is in final version {}, by {} steps of the tree",
            it.version,
            answer.path.len()
        ));
    }
    Ok(status == CertificateStatus::Valid)
}

/// Whether the way that a server gave leads from the certificate's score to the root that was signed.
fn leads_to_root(it: &decisions::Certificate, path: &[decisions::TreeStep]) -> Result<bool> {
    let hash = |bytes: &[u8]| Hash::from_bytes(bytes).context("a hash is no SHA-256");
    let mut steps = Vec::with_capacity(path.len());
    for step in path {
        let side = if step.left { Side::Left } else { Side::Right };
        steps.push(Step { side, hash: hash(&step.hash)? });
    }
    Ok(follow(hash(&it.leaf)?, &steps) == hash(&it.root)?)
}

fn of_answer(it: &decisions::Certificate) -> String {
    lines_of(&[
        ("编号", &it.number),
        ("姓名", &it.name),
        ("县区", &it.county),
        ("学校", &it.school),
        ("项目", &it.programme_title),
        ("年度", &it.year.to_string()),
        ("学段", &it.education_stage),
        ("学科", &it.subject),
        ("成绩", &it.total.to_string()),
        ("发证日期", &it.issued_on),
    ])
}

fn lines(it: &Certificate) -> String {
    lines_of(&[
        ("编号", &it.number.to_string()),
        ("姓名", &it.name),
        ("县区", &it.county),
        ("学校", &it.school),
        ("项目", &it.programme_title),
        ("年度", &it.year.to_string()),
        ("学段", &it.education_stage),
        ("学科", &it.subject),
        ("成绩", &it.total.to_string()),
        ("发证日期", &it.issued_on.to_string()),
    ])
}

fn lines_of(fields: &[(&str, &str)]) -> String {
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}：{value}")).collect();
    lines.join("\n")
}
