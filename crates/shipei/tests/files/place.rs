//! `shipei region`, `shipei school`, `shipei class`: renamed, merged, closed, taken back.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Server, said, with_county};

#[tokio::test]
async fn places_are_renamed_merged_closed_and_given_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let programme = with_county(&server.1).await?;
    for (what, rows) in [
        ("schools", "学校代码,学校名称,县区代码\nS1,一小,130302\nS2,二小,130302\n"),
        ("classes", "班级编号,班级名称,区划代码,辅导教师编号\nL1,一班,130302,\nL2,二班,130302,\n"),
    ] {
        let file = folder.path().join(format!("{what}.csv"));
        std::fs::write(&file, rows)?;
        let done = server.shipei(&["import", what, &file.to_string_lossy()], &programme)?;
        assert!(done.status.success(), "{}", said(&done));
    }
    let ask = |arguments: &[&str]| -> Result<Value> {
        let output = server.shipei(&[arguments, &["--json"]].concat(), &programme)?;
        assert!(output.status.success(), "{}", said(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let since = "2019-10-01T00:00:00+08:00";
    let region =
        ask(&["region", "rename", "130302", "--name", "海港新区", "--since", since, "--reason", "更名"])?;
    assert_eq!((&region["name"], &region["named"]), (&"海港新区".into(), &"2019-10-01 00:00".into()));
    let merge =
        ["school", "merge", "S1", "--county", "130302", "--into", "S2", "--since", since, "--reason", "并校"];
    let school = ask(&merge)?;
    assert_eq!((&school["merged_into"], &school["closed"]), (&"S2".into(), &"2019-10-01 00:00".into()));
    let again = server.shipei(&merge, &programme)?;
    assert!(said(&again).contains("原已如此"), "{}", said(&again));
    let fact = school["fact_id"].as_str().context("a fact")?.to_owned();
    ask(&["school", "undo", &fact, "--reason", "通知有误"])?;
    let closed = ask(&["class", "close", "L2", "--reason", "无学员"])?;
    assert_ne!(closed["closed"], "");
    let refused = server.shipei(&["class", "merge", "L1", "--into", "L2", "--reason", "并班"], &programme)?;
    assert!(!refused.status.success() && said(&refused).contains("PLACE_CLOSED"), "{}", said(&refused));
    // The list has the name of now, and since when.
    let out = folder.path().join("regions.csv");
    let done = server.shipei(&["export", "regions", &out.to_string_lossy()], &programme)?;
    assert!(done.status.success(), "{}", said(&done));
    let list = std::fs::read_to_string(&out)?;
    assert!(list.contains("海港新区") && list.contains("2019-10-01"), "{list}");
    Ok(())
}
