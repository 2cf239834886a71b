//! `shipei explain` on the season of Qinhuangdao 2019, as a teacher, a tutor and a county see it.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Server, said, shipei};

const PROGRAMME: &str = "qinhuangdao-2019";

#[test]
fn score_sheet_says_what_is_missing_and_until_when() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let season = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seasons/qinhuangdao-2019");
    let (season, out) = (season.to_string_lossy().into_owned(), out.to_string_lossy().into_owned());
    let done = shipei(&["replay", &season, "--out", &out, "--data", &data.to_string_lossy()])?;
    assert!(done.status.success(), "{}", said(&done));
    let server = Server::start(&data)?;
    let explain = |subject: &str, more: &[&str]| -> Result<String> {
        let arguments = [&["explain", subject], more].concat();
        let output = server.shipei(&arguments, PROGRAMME)?;
        assert!(output.status.success(), "{}", said(&output));
        Ok(said(&output))
    };

    let sheet: Value = serde_json::from_str(&explain("T000008", &["--lang", "zh", "--json"])?)?;
    assert_eq!(sheet["total"], "39");
    assert_eq!(sheet["verdict"], "未合格（80分及格）");
    let items = sheet["items"].as_array().context("items")?;
    let why = |key: &str| -> String {
        let item = items.iter().find(|item| item["key"] == key);
        item.and_then(|item| item["why"].as_str()).unwrap_or_default().to_owned()
    };
    assert!(
        why("phase_2").contains("已学891分钟，还差109分钟（或1门主线课）；11月30日截止"),
        "{}",
        why("phase_2")
    );
    assert!(why("seminar").ends_with("12月20日截止"), "{}", why("seminar"));
    assert_eq!(why("phase_1"), "");
    let rows = sheet["time_line"]["rows"].as_array().context("a time line")?;
    assert_eq!(rows.len(), items.len());
    assert!(rows.iter().all(|row| row["from"].as_i64() < row["until"].as_i64()));

    // As of a day before, nothing is too late, and what is of today is not said.
    let before = ["--lang", "en", "--as-of", "2019-10-20T12:00:00+08:00"];
    let text = explain("T000008", &before)?;
    assert!(text.contains("total 10   not passed (80 to pass)"), "{text}");
    let sheet: Value = serde_json::from_str(&explain("T000008", &[&before[..], &["--json"]].concat())?)?;
    assert_eq!(sheet["items"][1]["state"], "pending");
    let why = sheet["items"][1]["why"].as_str().unwrap_or_default();
    assert!(why.ends_with("until 30 Nov") && !why.contains("891"), "{why}");

    let page = folder.path().join("T000008.html");
    explain("T000008", &["--lang", "zh", "--html", &page.to_string_lossy()])?;
    let page = std::fs::read_to_string(page)?;
    for part in ["<b>39</b>", "胡艳", "还差109分钟", "11月30日截止", "<svg", "@page"] {
        assert!(page.contains(part), "{part}");
    }

    let tutor = explain("U0003", &["--lang", "zh"])?;
    assert!(tutor.contains("未按时批阅的周数：3（满3周不得评优）") && tutor.contains("不再聘用"), "{tutor}");
    let county: Value = serde_json::from_str(&explain("130302", &["--lang", "en", "--json"])?)?;
    assert_eq!((&county["total"], &county["verdict"]), (&"93.25".into(), &"of 100".into()));
    let counselor: Value = serde_json::from_str(&explain("K1303021", &["--json"])?)?;
    assert_eq!(counselor["total"], county["total"]);

    let unknown = server.shipei(&["explain", "T999999"], PROGRAMME)?;
    assert!(!unknown.status.success());
    assert_eq!(
        said(&unknown).trim(),
        "shipei: T999999: NOT_FOUND: there is nothing of that id here (person_id)"
    );
    Ok(())
}
