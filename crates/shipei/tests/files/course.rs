//! `shipei course`, and lengths in seconds in a file of courses.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Server, said, with_county};

#[tokio::test]
async fn course_is_put_right_retired_and_given_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let programme = with_county(&server.1).await?;
    let file = folder.path().join("courses.csv");
    let rows = "课程编号,课程名称,课程类别,主线课程,时长（分钟）,课程秒数\nC1,师德,公共课,是,,2730\nC2,信息,公共课,是,45,\n\
                C3,两者,公共课,是,45,60\n";
    std::fs::write(&file, rows)?;
    let done = server.shipei(&["import", "courses", &file.to_string_lossy()], &programme)?;
    assert!(!done.status.success(), "one row is rejected");
    assert!(said(&done).contains("应填写分钟或秒"), "{}", said(&done));
    let ask = |arguments: &[&str]| -> Result<Value> {
        let output = server.shipei(&[&["course"], arguments, &["--json"]].concat(), &programme)?;
        assert!(output.status.success(), "{}", said(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    assert_eq!(ask(&["show", "C1"])?["length_seconds"], 2_730);
    assert_eq!(ask(&["show", "C2"])?["length_seconds"], 2_700);
    let corrected =
        ask(&["correct", "C2", "--seconds", "2731", "--title", "信息技术", "--reason", "片长有误"])?;
    assert_eq!((&corrected["title"], &corrected["length_seconds"]), (&"信息技术".into(), &2_731.into()));
    let since = "2019-10-20T00:00:00+08:00";
    let retired = ask(&["retire", "C2", "--since", since, "--reason", "课程下线"])?;
    assert_eq!(retired["retired"], "2019-10-20 00:00");
    let fact = retired["changes"][1]["fact_id"].as_str().context("a fact")?.to_owned();
    assert_eq!(retired["changes"][1]["reason"], "课程下线");
    ask(&["undo", &fact, "--reason", "仍在使用"])?;
    let shown = ask(&["show", "C2"])?;
    assert_eq!((&shown["retired"], shown["changes"].as_array().map(Vec::len)), (&"".into(), Some(1)));
    let table = server.shipei(&["course", "show", "C2"], &programme)?;
    assert!(said(&table).contains("seconds=2731"), "{}", said(&table));
    let future = ["course", "retire", "C2", "--since", "2999-01-01T00:00:00Z", "--reason", "预告"];
    let refused = server.shipei(&future, &programme)?;
    assert!(!refused.status.success() && said(&refused).contains("IN_THE_FUTURE"), "{}", said(&refused));
    Ok(())
}
