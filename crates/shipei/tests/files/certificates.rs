//! From scores to paper on the season of Qinhuangdao 2019: final, issued, printed, verified by whoever has the code, revoked, issued
//! anew; and nothing that empties or deletes scores touches a certificate.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Server, said, shipei};

const PROGRAMME: &str = "qinhuangdao-2019";
const COUNTY: &str = "130302";

/// What a command says that succeeds.
fn done(server: &Server, arguments: &[&str], programme: &str) -> Result<String> {
    let output = server.shipei(arguments, programme)?;
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    Ok(said(&output))
}

fn issue(server: &Server, more: &[&str]) -> Result<String> {
    done(server, &[&["certificates", "issue", "--county", COUNTY], more].concat(), PROGRAMME)
}

/// The codes on the pages of a PDF file cannot be read as text; those of a folder of one file a person are asked for.
fn text_of(pdf: &Path) -> Result<String> {
    let output = Command::new("pdftotext").arg(pdf).arg("-").output().context("poppler-utils")?;
    Ok(String::from_utf8(output.stdout)?.split_whitespace().collect())
}

#[tokio::test]
async fn certificates_go_from_final_scores_to_paper_and_stay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let season = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seasons/qinhuangdao-2019");
    let (season, scores) = (season.to_string_lossy().into_owned(), out.to_string_lossy().into_owned());
    let replayed = shipei(&["replay", &season, "--out", &scores, "--data", &data.to_string_lossy()])?;
    assert!(replayed.status.success(), "{}", said(&replayed));
    let server = Server::start(&data)?;

    // Nothing can be issued before scores are final.
    let early = server.shipei(&["certificates", "issue", "--county", COUNTY], PROGRAMME)?;
    assert!(said(&early).contains("NOT_FOUND") && said(&early).contains("version"), "{}", said(&early));
    let finalise = ["finalise", "--reason", "年度考核结束", "--json"];
    let first: Value = serde_json::from_str(&done(&server, &finalise, PROGRAMME)?)?;
    let again: Value = serde_json::from_str(&done(&server, &finalise, PROGRAMME)?)?;
    assert_eq!((&first["version"], &first), (&1.into(), &again), "nothing has changed");

    // Who passed is known from the scores that the season expects.
    let expected = std::fs::read_to_string(Path::new(&season).join("expected/trainees.csv"))?;
    let roster = std::fs::read_to_string(out.join("trainees.csv"))?;
    assert_eq!(expected, roster);
    let check = done(&server, &["certificates", "check", "--county", COUNTY], PROGRAMME)?;
    assert!(check.contains("NotoSerifCJK"), "{check}");
    let issued = issue(&server, &[])?;
    let count: usize = issued.split_whitespace().find_map(|word| word.parse().ok()).context("a count")?;
    assert!(count > 0, "{issued}");
    assert!(issue(&server, &[])?.contains("issued 0 "), "sent again it does nothing");

    // Printed, every number stands there once.
    let papers = folder.path().join("papers");
    let paper = papers.to_string_lossy().into_owned();
    done(&server, &["certificates", "print", "--county", COUNTY, "--out", &paper], PROGRAMME)?;
    let text = text_of(&papers.join(format!("{COUNTY}.pdf")))?;
    for serial in 1..=count {
        let number = format!("{PROGRAMME}-{COUNTY}-{serial:06}");
        assert_eq!(text.matches(&number).count(), 1, "{number}");
    }
    let by_school = folder.path().join("schools").to_string_lossy().into_owned();
    let by_school = done(
        &server,
        &["certificates", "print", "--county", COUNTY, "--by", "school", "--out", &by_school],
        PROGRAMME,
    )?;
    assert!(by_school.lines().count() > 1, "{by_school}");

    // The code gives every field back, here and offline; a changed one nothing.
    let (code, person) = first_certificate(&server.1).await?;
    let valid = done(&server, &["certificates", "verify", &code], "")?;
    assert!(
        valid.starts_with("VALID") && valid.contains(&format!("编号：{PROGRAMME}-{COUNTY}-000001")),
        "{valid}"
    );
    assert!(valid.contains("its score is in final version 1"), "{valid}");
    let key = done(&server, &["certificates", "key"], "")?;
    let signed = shipei(&["certificates", "verify", &code, "--key", key.trim()])?;
    assert!(signed.status.success() && said(&signed).starts_with("SIGNED"), "{}", said(&signed));
    let at = code.len() / 2;
    let other = if &code[at..=at] == "A" { "B" } else { "A" };
    let changed = format!("{}{other}{}", &code[..at], &code[at + 1..]);
    let forged = server.shipei(&["certificates", "verify", &changed], "")?;
    assert!(!forged.status.success() && said(&forged).starts_with("FORGED"), "{}", said(&forged));
    let forged = shipei(&["certificates", "verify", &changed, "--key", key.trim()])?;
    assert!(!forged.status.success() && said(&forged).starts_with("FORGED"), "{}", said(&forged));

    // Revoked, it holds no more; another one takes its place.
    let number = format!("{PROGRAMME}-{COUNTY}-000001");
    done(&server, &["certificates", "revoke", &number, "--reason", "姓名有误"], "")?;
    let revoked = server.shipei(&["certificates", "verify", &code], "")?;
    assert!(!revoked.status.success() && said(&revoked).starts_with("REVOKED"), "{}", said(&revoked));
    assert!(issue(&server, &[])?.contains("issued 0 "), "who had one gets another only when asked for");
    assert!(issue(&server, &["--person", &person])?.contains("issued 1 "));
    let twice =
        server.shipei(&["certificates", "issue", "--county", COUNTY, "--person", &person], PROGRAMME)?;
    assert!(said(&twice).contains("a certificate that holds"), "{}", said(&twice));

    // Scores are deleted and learned again; versions and certificates are what they were.
    drop(server);
    for file in std::fs::read_dir(&data)?.flatten().map(|entry| entry.path()) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("assessment.") {
            std::fs::remove_file(file)?;
        }
    }
    let relearned = shipei(&["relearn", "assessment-decisions", "--data", &data.to_string_lossy()])?;
    assert!(relearned.status.success(), "{}", said(&relearned));
    let server = Server::start(&data)?;
    // What lies in the county is learned again, too.
    first_certificate(&server.1).await?;
    let second = format!("{PROGRAMME}-{COUNTY}-{:06}", count + 1);
    let revoked = server.shipei(&["certificates", "verify", &code], "")?;
    assert!(said(&revoked).starts_with("REVOKED"), "{}", said(&revoked));
    done(
        &server,
        &["certificates", "print", "--county", COUNTY, "--person", &person, "--out", &paper],
        PROGRAMME,
    )?;
    assert!(text_of(&papers.join(format!("{COUNTY}.pdf")))?.contains(&second));
    Ok(())
}

/// The code of the first certificate of the county, and whose it is; asked when all that enrollment told is known.
async fn first_certificate(address: &str) -> Result<(String, String)> {
    use shipei_contracts::{
        decisions::v1::{ListCertificatesRequest, certificate_service_client::CertificateServiceClient},
        event::v1::{GetHeadRequest, event_feed_client::EventFeedClient},
    };
    let clients = shipei_client::client::Clients::connect(&[address.to_owned()], None).await?;
    let mut feed = EventFeedClient::new(clients.channel("enrollment"));
    let head = feed.get_head(clients.unary(GetHeadRequest { source: "enrollment".to_owned() })).await?;
    clients.note_token(head.into_inner().consistency_token.as_bytes());
    let request = ListCertificatesRequest {
        programme_id: PROGRAMME.to_owned(),
        page_size: 1,
        region_code: COUNTY.to_owned(),
        ..Default::default()
    };
    let mut client = CertificateServiceClient::new(clients.channel("assessment-decisions"));
    let page = client.list_certificates(clients.unary(request)).await?.into_inner();
    let one = page.certificates.into_iter().next().context("a certificate")?;
    Ok((one.code, one.person_id))
}
