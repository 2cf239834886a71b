//! `shipei person`: two ids of one trainee are merged, and two again; what is kept of somebody is written to a file. `shipei erase`:
//! who is due, and that nothing goes before it is said.

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

#[tokio::test]
async fn who_is_due_is_erased_when_it_is_said_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let programme = with_county(&server.1).await?;
    let file = folder.path().join("people.csv");
    let rows = "编号,姓名,身份证号,角色,县区,学校代码,学段,学科,发展阶段,班级\n\
                T1,张三,130302198001010118,参训教师,130302,,义务教育,语文,,\n\
                T2,李四,130302198001010126,参训教师,130302,,义务教育,语文,,\n\
                K1,王五,13030219800101002X,县区辅导员,130302,,,,,\n";
    std::fs::write(&file, rows)?;
    let done = server.shipei(&["import", "roster", &file.to_string_lossy()], &programme)?;
    assert!(done.status.success(), "{}", said(&done));

    let copy = folder.path().join("T1.json");
    let export = ["person", "export", "T1", "--out", &copy.to_string_lossy()];
    let done = server.shipei(&export, &programme)?;
    assert!(done.status.success(), "{}", said(&done));
    let kept: Value = serde_json::from_slice(&std::fs::read(&copy)?)?;
    let person = &kept["kept"]["enrollment"]["person"][0];
    assert_eq!(
        (&person["name"], &person["sealed_identity_number"]),
        (&"张三".into(), &"130302198001010118".into())
    );
    assert_eq!(kept["kept"]["assessment"]["mirror_member"][0]["person_id"], "T1");
    let again = server.shipei(&export, &programme)?;
    assert!(!again.status.success() && said(&again).contains("cannot make"), "{}", said(&again));

    let ask = |arguments: &[&str]| -> Result<Value> {
        let output = server.shipei(&[&["erase"], arguments, &["--json"]].concat(), "")?;
        assert!(output.status.success(), "{}", said(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let due = ask(&["--due", &programme])?;
    assert_eq!((&due["due"], &due["erased"]), (&serde_json::json!(["K1", "T1", "T2"]), &false.into()));
    let of_one = ["T2", "--programme", &programme, "--ground", "request-granted"];
    let nothing = server.shipei(&[&["erase"], &of_one[..], &["--lang", "en"]].concat(), "")?;
    assert!(said(&nothing).contains("nothing was erased"), "{}", said(&nothing));
    let shown = server.shipei(&["person", "show", "T2"], &programme)?;
    assert!(said(&shown).contains("李四"), "{}", said(&shown));
    ask(&[&of_one[..], &["--for-good"]].concat())?;
    let shown = server.shipei(&["person", "show", "T2"], &programme)?;
    assert!(!said(&shown).contains("李四") && said(&shown).contains("erased"), "{}", said(&shown));
    assert_eq!(
        ask(&["--due", &programme, "--region", "130302", "--for-good"])?["due"],
        serde_json::json!(["K1", "T1"])
    );
    assert_eq!(ask(&["--due", &programme])?["due"], serde_json::json!([]));
    let told = server.shipei(&["audit", "list", "--kind", "erased", "--json"], &programme)?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    assert_eq!(told.as_array().map(Vec::len), Some(3));
    // Neither whom, nor why, nor where: it is asked what is meant.
    assert!(!server.shipei(&["erase", "T2"], "")?.status.success());
    Ok(())
}
