//! `shipei person`: two ids of one trainee are merged, and two again.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Server, said, with_county};

#[tokio::test]
async fn ids_are_merged_and_two_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let programme = with_county(&server.1).await?;
    let file = folder.path().join("people.csv");
    let rows = "编号,姓名,身份证号,角色,县区,学校代码,学段,学科,发展阶段,班级\n\
                T1,张三,130302198001010118,参训教师,130302,,义务教育,语文,,\n\
                T2,章三,130302198001010126,参训教师,130302,,义务教育,语文/数学,,\n";
    std::fs::write(&file, rows)?;
    let done = server.shipei(&["import", "roster", &file.to_string_lossy()], &programme)?;
    assert!(done.status.success(), "{}", said(&done));
    let ask = |arguments: &[&str]| -> Result<Value> {
        let output = server.shipei(&[&["person"], arguments, &["--json"]].concat(), &programme)?;
        assert!(output.status.success(), "{}", said(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let shown = ask(&["show", "T2"])?;
    assert_eq!((&shown["counts_for_id"], &shown["subject"]), (&"".into(), &"数学、语文".into()));
    let merged = ask(&["merge", "T2", "--into", "T1", "--reason", "同一人两次报名"])?;
    assert_eq!((&merged["person_id"], &merged["counts_for_id"]), (&"T2".into(), &"T1".into()));
    let fact = merged["merge_fact_id"].as_str().context("a fact")?.to_owned();
    let shown = server.shipei(&["person", "show", "T2"], &programme)?;
    assert!(said(&shown).contains("counts for T1"), "{}", said(&shown));
    let again = server.shipei(&["person", "merge", "T2", "--into", "T1", "--reason", "又"], &programme)?;
    let text = said(&again);
    assert!(
        !again.status.success() && text.contains("PERSON_MERGED") && text.contains("T2 counts for T1"),
        "{text}"
    );
    // The other way round instead, both or neither.
    let other = ["merge", "T1", "--into", "T2", "--reason", "保留另一个编号", "--corrects", fact.as_str()];
    let other = ask(&other)?;
    assert_eq!((&other["person_id"], &other["counts_for_id"]), (&"T1".into(), &"T2".into()));
    assert_eq!(ask(&["show", "T2"])?["counts_for_id"], "");
    let fact = other["merge_fact_id"].as_str().context("a fact")?.to_owned();
    ask(&["undo", &fact, "--reason", "并非同一人"])?;
    assert_eq!(ask(&["show", "T1"])?["counts_for_id"], "");
    Ok(())
}
