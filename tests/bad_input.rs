//! Everything that a season can hold, wrong: a clear error with a stable reason, and nothing else lost.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use shipei::progress::Progress;
use shipei_client::{
    client::Clients,
    replay::{self, Report},
    season::Season,
};
use shipei_contracts::enrollment::v1::{
    ListProgrammesRequest, programme_service_client::ProgrammeServiceClient,
};

use crate::harness::{Backend, KeptState, embedded, replay_folder_and_compare, season_folder};

/// A copy of the edges season that a test may spoil.
pub(crate) fn copy_of_edges(to: &Path) -> Result<()> {
    let from = season_folder("edges");
    fs::create_dir_all(to.join("roster"))?;
    for file in ["scheme.toml", "season.ndjson"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    for entry in fs::read_dir(from.join("roster"))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join("roster").join(entry.file_name()))?;
    }
    Ok(())
}

pub(crate) fn edit(path: &Path, change: impl Fn(String) -> String) -> Result<()> {
    fs::write(path, change(fs::read_to_string(path)?))?;
    Ok(())
}

async fn replay(clients: &Clients, season: &Path, out: &Path) -> Result<Report> {
    replay::replay_to(clients, &Season::open(season)?, out, &Progress::hidden()).await
}

async fn programmes(clients: &Clients) -> Result<usize> {
    let mut client = ProgrammeServiceClient::new(clients.channel("enrollment"));
    Ok(client
        .list_programmes(clients.unary(ListProgrammesRequest::default()))
        .await?
        .into_inner()
        .programmes
        .len())
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_line_stops_the_replay_before_anything_is_written() -> Result<()> {
    let cases = [
        ("{\"at\":", "not a JSON object"),
        ("{\"at\":\"2019-12-30T10:00:00\",\"type\":\"prejob.attended\",\"person\":\"U1\"}", "no offset"),
        ("{\"at\":\"2019-12-30T10:00:00+08:00\",\"type\":\"prejob.attended\"}", "missing field `person`"),
        (
            "{\"at\":\"2019-12-30T10:00:00+08:00\",\"type\":\"prejob.held\",\"person\":\"U1\"}",
            "unknown variant",
        ),
        (
            "{\"at\":\"2018-12-30T10:00:00+08:00\",\"type\":\"prejob.attended\",\"person\":\"U1\"}",
            "is earlier than that of the line before",
        ),
        (
            "{\"at\":\"2019-12-30T10:00:00+08:00\",\"type\":\"offline.scored\",\"counselor\":\"K1\",\"activity\":\"O1\",\"person\":\"T01\",\"score\":\"7\"}",
            "invalid type",
        ),
        (
            "{\"at\":\"2019-12-30T10:00:00+08:00\",\"type\":\"study.session\",\"person\":\"T01\",\"course\":\"P1\",\"session\":\"Z\",\"start\":\"2019-12-30T10:00:00+08:00\",\"end\":\"2019-12-30T11:00:00+08:00\",\"every_s\":0}",
            "every_s",
        ),
    ];
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, clients) = embedded(&place).await?;
    for (number, (line, cause)) in cases.into_iter().enumerate() {
        let season = place.out(&format!("season-{number}"));
        copy_of_edges(&season)?;
        edit(&season.join("season.ndjson"), |text| format!("{text}{line}\n"))?;
        let out = place.out("never");
        let error = format!("{:#}", replay(&clients, &season, &out).await.expect_err(line));
        ensure!(error.contains("season.ndjson line 378") && error.contains(cause), "{line}: {error}");
        ensure!(!out.exists(), "{line}: something was written");
    }
    ensure!(programmes(&clients).await? == 0, "a season that was not replayed left a programme");
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn line_that_a_service_refuses_is_named_with_its_reason_and_the_rest_goes_on() -> Result<()> {
    let long = "长".repeat(1_000_000);
    let lines: Vec<(String, &str)> = vec![
        (r#""type":"prejob.attended","person":"NOBODY""#.into(), "NOT_FOUND"),
        (r#""type":"prejob.attended","person":"T01""#.into(), "NOT_FOUND"),
        (r#""type":"tutor.chosen","expert":"K1","tutor":"U2""#.into(), "NOT_FOUND"),
        (r#""type":"tutor.chosen","expert":"X1","tutor":"T01""#.into(), "NOT_FOUND"),
        (r#""type":"trainee.withdrawn","person":"U1","reason":"调离""#.into(), "NOT_FOUND"),
        (r#""type":"learning.opened","county":"139999""#.into(), "NOT_FOUND"),
        (r#""type":"remittance.sent","county":"130302","ref":"R130302","amount_fen":5"#.into(), "ALREADY_EXISTS"),
        (r#""type":"remittance.sent","county":"130302","ref":"R9","amount_fen":-5"#.into(), "INVALID_FIELD"),
        (r#""type":"remittance.sent","county":"130302","ref":"","amount_fen":5"#.into(), "INVALID_FIELD"),
        (r#""type":"remittance.confirmed","county":"130302","ref":"R9""#.into(), "NOT_FOUND"),
        (r#""type":"remittance.confirmed","county":"130302","ref":"""#.into(), "NOT_FOUND"),
        (r#""type":"learning.opened","county":"""#.into(), "NOT_FOUND"),
        (r#""type":"course.selected","person":"张三","course":"S1""#.into(), "NOT_FOUND"),
        (r#""type":"offline.attended","counselor":"K1","activity":"没有","persons":["T 1"]"#.into(), "NOT_FOUND"),
        (r#""type":"study.session","person":"张三","course":"P2","session":"S9","start":"2019-12-30T10:00:00+08:00","end":"2019-12-30T10:10:00+08:00","every_s":120"#.into(), "NOT_FOUND"),
        (r#""type":"course.selected","person":"T01","course":"NONE""#.into(), "NOT_FOUND"),
        (r#""type":"course.selected","person":"T01","course":"S2""#.into(), "COURSE_NOT_APPLICABLE"),
        (r#""type":"assignment.reviewed","tutor":"U1","submission":"NONE","grade":"pass","comment":"好""#.into(), "NOT_FOUND"),
        (
            format!(r#""type":"assignment.reviewed","tutor":"U1","submission":"AT011","grade":"pass","comment":"{long}""#),
            "TEXT_TOO_LONG",
        ),
        (
            r#""type":"study.session","person":"T01","course":"P2","session":"T01a","start":"2019-12-30T10:00:00+08:00","end":"2019-12-30T10:10:00+08:00","every_s":120"#.into(),
            "ALREADY_EXISTS",
        ),
    ];
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, clients) = embedded(&place).await?;
    let season = place.out("season");
    copy_of_edges(&season)?;
    let mut wanted: BTreeMap<u64, String> = BTreeMap::new();
    edit(&season.join("season.ndjson"), |mut text| {
        for (line, _) in &lines {
            text.push_str(&format!("{{\"at\":\"2019-12-30T10:00:00+08:00\",{line}}}\n"));
        }
        text
    })?;
    for (place, (_, reason)) in lines.iter().enumerate() {
        wanted.insert(378 + place as u64, (*reason).to_owned());
    }
    let report = replay(&clients, &season, &place.out("scores")).await?;
    let got: BTreeMap<u64, String> =
        report.rejections.range(378..).map(|(line, reason)| (*line, reason.clone())).collect();
    ensure!(got == wanted, "{got:?}\ninstead of\n{wanted:?}");
    for file in ["trainees.csv", "tutors.csv", "counselors.csv"] {
        let expected = fs::read_to_string(season_folder("edges").join("expected").join(file))?;
        ensure!(fs::read_to_string(place.out("scores").join(file))? == expected, "{file} changed");
    }
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn roster_as_spreadsheets_write_it_gives_the_same_scores() -> Result<()> {
    for kind in ["bom and crlf", "gb 18030", "extra column and blank lines"] {
        let place = KeptState::new(Backend::Sqlite)?;
        let (suite, clients) = embedded(&place).await?;
        let season = place.out("season");
        copy_of_edges(&season)?;
        for entry in fs::read_dir(season.join("roster"))? {
            let path = entry?.path();
            let text = fs::read_to_string(&path)?;
            match kind {
                "bom and crlf" => fs::write(&path, format!("\u{feff}{}", text.replace('\n', "\r\n")))?,
                "gb 18030" => fs::write(&path, gb18030(&text)?)?,
                _ => {
                    let lines: Vec<String> = text
                        .lines()
                        .enumerate()
                        .map(|(at, line)| format!("{},{line}\n\n", if at == 0 { "备注" } else { "无" }))
                        .collect();
                    fs::write(&path, lines.concat())?;
                }
            }
        }
        let expected = season_folder("edges").join("expected");
        replay_folder_and_compare(&clients, &season, &expected, &place.out("scores")).await.context(kind)?;
        suite.stop().await;
    }
    Ok(())
}

/// GB 18030 bytes, by Python's codec and not by the one under test.
fn gb18030(text: &str) -> Result<Vec<u8>> {
    let script = "import sys; sys.stdout.buffer.write(sys.argv[1].encode('gb18030'))";
    let output = std::process::Command::new("python3").args(["-c", script, text]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn roster_without_a_column_names_the_column() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, clients) = embedded(&place).await?;
    let season = place.out("season");
    copy_of_edges(&season)?;
    edit(&season.join("roster/people.csv"), |text| text.replacen("id_number", "id", 1))?;
    let error =
        format!("{:#}", replay(&clients, &season, &place.out("never")).await.expect_err("no id_number"));
    ensure!(error.contains("people.csv") && error.contains("id_number"), "{error}");
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_roster_row_is_named_without_its_number_and_the_others_are_taken() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, clients) = embedded(&place).await?;
    let season = place.out("season");
    copy_of_edges(&season)?;
    edit(&season.join("roster/people.csv"), |text| {
        text.replacen("130302198001010118", "130302198001010119", 1)
    })?;
    let report = replay(&clients, &season, &place.out("scores")).await?;
    ensure!(report.row_refusals.len() == 1, "{:?}", report.row_refusals);
    let refusal = &report.row_refusals[0];
    ensure!(refusal.file == "people.csv" && refusal.line == 12, "{refusal:?}");
    ensure!(refusal.reason == "INVALID_IDENTITY_NUMBER" && refusal.field == "id_number", "{refusal:?}");
    ensure!(!format!("{refusal:?}").contains("19800101"), "{refusal:?} shows the number");
    let trainees = fs::read_to_string(place.out("scores").join("trainees.csv"))?;
    ensure!(!trainees.contains("T01,") && trainees.contains("T02,"), "{trainees}");
    ensure!(
        report.rejections.values().any(|reason| reason == "NOT_FOUND"),
        "T01's lines have nobody to belong to"
    );
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_scheme_names_line_and_key() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, clients) = embedded(&place).await?;
    let season = place.out("season");
    copy_of_edges(&season)?;
    edit(&season.join("scheme.toml"), |text| {
        text.replacen("window     = \"phase_1\"", "window     = \"phase_9\"", 1)
    })?;
    let error = format!("{:#}", replay(&clients, &season, &place.out("never")).await.expect_err("phase_9"));
    ensure!(
        error.contains("scheme.toml") && error.contains("phase_9") && error.contains("line 33"),
        "{error}"
    );
    ensure!(programmes(&clients).await? == 0, "a bad scheme left a programme");
    suite.stop().await;
    Ok(())
}
