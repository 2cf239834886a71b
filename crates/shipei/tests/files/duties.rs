//! `shipei duties`, `shipei evidence` on the season of Qinhuangdao 2019, as a tutor, a trainee, a county and an expert use them.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Server, said, shipei};

const PROGRAMME: &str = "qinhuangdao-2019";

/// The state of a duty of a record.
fn state<'a>(record: &'a Value, code: &str) -> &'a str {
    let duties = record["duties"].as_array().map(Vec::as_slice).unwrap_or_default();
    let duty = duties.iter().find(|duty| duty["code"] == code);
    duty.and_then(|duty| duty["state"].as_str()).unwrap_or_default()
}

#[test]
fn duties_are_shown_next_first_and_evidence_is_told_sent_back_and_taken_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let season = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seasons/qinhuangdao-2019");
    let (season, out) = (season.to_string_lossy().into_owned(), out.to_string_lossy().into_owned());
    let done = shipei(&["replay", &season, "--out", &out, "--data", &data.to_string_lossy()])?;
    assert!(done.status.success(), "{}", said(&done));
    let server = Server::start(&data)?;
    let run = |arguments: &[&str]| -> Result<String> {
        let output = server.shipei(arguments, PROGRAMME)?;
        assert!(output.status.success(), "{}", said(&output));
        Ok(said(&output))
    };
    let record = |subject: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&run(&[&["duties", "--lang", "en", "--json"], subject].concat())?)?)
    };

    // The trainee who has 891 of 1000 minutes, and took no part in the seminar.
    let trainee = record(&["T000008"])?;
    assert_eq!(trainee["role"], "trainee");
    for (code, expected) in [
        ("LOGIN-TRAINEE", "on_time"),
        ("TRAIN-TRAINEE-SELECT", "on_time"),
        ("TRAIN-TRAINEE-PUBLIC", "on_time"),
        ("TRAIN-TRAINEE-PROFESSIONAL", "missed"),
        ("TRAIN-TRAINEE-ASSIGNMENT", "on_time"),
        ("TRAIN-TRAINEE-SEMINAR", "missed"),
        ("OFFLINE-TRAINEE", "on_time"),
        ("ASSESS-TRAINEE", "missed"),
    ] {
        assert_eq!(state(&trainee, code), expected, "{code}");
    }
    let first = &trainee["duties"][0];
    assert_eq!((&first["state"], &first["done"]), (&"missed".into(), &"".into()), "{trainee}");
    // In November it was the next thing to do.
    let november = record(&["T000008", "--as-of", "2019-11-20T12:00:00+08:00"])?;
    assert_eq!(november["duties"][0]["code"], "TRAIN-TRAINEE-PROFESSIONAL");
    assert_eq!(november["duties"][0]["until"], "2019-11-30");
    assert_eq!(november["duties"][0]["state"], "pending");

    // A tutor whose second bulletin came a day late.
    let tutor = record(&["U0003"])?;
    assert_eq!(state(&tutor, "REPORT-TUTOR-TRAINING"), "on_time");
    assert_eq!(state(&tutor, "TRAIN-TUTOR-BULLETIN-1"), "on_time");
    assert_eq!(state(&tutor, "TRAIN-TUTOR-TOPICS"), "on_time");
    let text = run(&["duties", "U0003", "--lang", "zh"])?;
    let flat: String = text.split_whitespace().collect();
    assert!(flat.contains("班级辅导教师U0003") && flat.contains("9项：按时"), "{text}");

    let county = record(&["130302"])?;
    assert_eq!(
        (&county["role"], state(&county, "OFFLINE-COUNSELOR-PLAN")),
        (&"county_counselor".into(), "on_time")
    );
    let city = record(&["130300"])?;
    assert_eq!(
        (&city["role"], state(&city, "REPORT-MUNICIPAL-ROSTER")),
        (&"municipal_lead".into(), "on_time")
    );
    let lead = record(&["M001"])?;
    assert_eq!(lead["duties"], city["duties"]);
    let institution = record(&[])?;
    assert_eq!(state(&institution, "LOGIN-INSTITUTION-OPEN"), "on_time");
    assert_eq!(institution["duties"].as_array().map(Vec::len), Some(16));
    let expert = record(&["X001"])?;
    assert_eq!(state(&expert, "ASSESS-EXPERT-RECOMMEND"), "on_time");
    assert_eq!(state(&expert, "TRAIN-EXPERT-TOPIC"), "missed");

    // Told now, it is done late; sent back, it is not done; that taken back, it is again.
    let file = folder.path().join("总结.txt");
    std::fs::write(&file, "海港区总结")?;
    let submitted = run(&[
        "evidence",
        "submit",
        "TRAIN-EXPERT-TOPIC",
        "--of",
        "X001",
        "--text",
        "语文大单元教学研讨",
        "--link",
        "https://example.org/topics/7",
        "--file",
        &file.to_string_lossy(),
        "--json",
    ])?;
    let submitted: Value = serde_json::from_str(&submitted)?;
    let fact = submitted[0]["fact_id"].as_str().context("an id")?.to_owned();
    assert_eq!(submitted[0]["file_sha256"].as_str().map(str::len), Some(64), "{submitted}");
    wait_for(|| Ok(state(&record(&["X001"])?, "TRAIN-EXPERT-TOPIC") == "late"))?;
    // The record as a page: what was told, by which file, and how much was done on time.
    let page = |lang: &str| -> Result<String> {
        let file = folder.path().join("record.html");
        run(&["duties", "X001", "--lang", lang, "--html", &file.to_string_lossy()])?;
        Ok(std::fs::read_to_string(file)?)
    };
    let (zh, en) = (page("zh")?, page("en")?);
    for said in
        ["工作记录", "学科专家", "语文大单元教学研讨；https://example.org/topics/7；附件", "迟办", "附件1"]
    {
        assert!(zh.contains(said), "{said}: {zh}");
    }
    for said in ["Record of duties", "subject expert", "late 1", "done on time", "Preparation"] {
        assert!(en.contains(said), "{said}: {en}");
    }
    let expert = record(&["X001"])?;
    let share = expert["share"].as_str().context("a share")?;
    assert!(zh.contains(&format!("<b>{share}</b>")) && share.ends_with('%'), "{share}: {zh}");
    assert_eq!(expert["duties"].as_array().map(Vec::len), Some(10));
    run(&["evidence", "send-back", &fact, "--of", "X001", "--reason", "缺少照片"])?;
    wait_for(|| Ok(state(&record(&["X001"])?, "TRAIN-EXPERT-TOPIC") == "missed"))?;
    let text = run(&["duties", "X001", "--lang", "zh"])?;
    assert!(text.contains("已退回") && text.contains("缺少照片"), "{text}");
    assert!(page("zh")?.contains("缺少照片"), "why it was sent back");
    let listed: Value = serde_json::from_str(&run(&["evidence", "list", "--of", "X001", "--json"])?)?;
    assert_eq!(listed[0]["sent_back_reason"], "缺少照片");
    let back = listed[0]["sent_back_fact_id"].as_str().context("an id")?.to_owned();
    run(&["evidence", "undo", &back, "--reason", "退回有误"])?;
    wait_for(|| Ok(state(&record(&["X001"])?, "TRAIN-EXPERT-TOPIC") == "late"))?;
    run(&["evidence", "undo", &fact, "--reason", "误报"])?;
    wait_for(|| Ok(state(&record(&["X001"])?, "TRAIN-EXPERT-TOPIC") == "missed"))?;
    let listed: Value = serde_json::from_str(&run(&["evidence", "list", "--json"])?)?;
    assert_eq!(listed, serde_json::json!([]));

    let refused = server
        .shipei(&["evidence", "submit", "LOGIN-EXPERT", "--of", "X001", "--text", "已登录"], PROGRAMME)?;
    assert!(!refused.status.success() && said(&refused).contains("INVALID_FIELD"), "{}", said(&refused));
    let unknown = server.shipei(&["duties", "T999999"], PROGRAMME)?;
    assert!(!unknown.status.success() && said(&unknown).contains("NOT_FOUND"), "{}", said(&unknown));
    Ok(())
}

/// Asks again until it is so: assessment follows what is told to others within moments.
fn wait_for(mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..600 {
        if is_so()? {
            return Ok(());
        }
    }
    anyhow::bail!("it never came to that")
}
