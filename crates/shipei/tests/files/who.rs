//! `shipei who` and `shipei stats` on the season of Qinhuangdao 2019: each list has whom the score files say it must have.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::server::{Server, said, shipei};

const PROGRAMME: &str = "qinhuangdao-2019";

/// A score file by its first column, each row by its headings.
fn scores(path: &Path) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    let headings: Vec<&str> = lines.next().context("headings")?.split(',').collect();
    let row = |line: &str| {
        let cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        let row = headings.iter().map(|heading| (*heading).to_owned()).zip(cells.iter().cloned());
        (cells[0].clone(), row.collect())
    };
    Ok(lines.map(row).collect())
}

fn ids(list: &Value) -> Vec<String> {
    let mut ids: Vec<String> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["person_id"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    ids
}

#[test]
fn lists_have_whom_the_scores_say() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let season = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seasons/qinhuangdao-2019");
    let done = shipei(&[
        "replay",
        &season.to_string_lossy(),
        "--out",
        &out.to_string_lossy(),
        "--data",
        &data.to_string_lossy(),
    ])?;
    assert!(done.status.success(), "{}", said(&done));
    let (trainees, tutors) = (scores(&out.join("trainees.csv"))?, scores(&out.join("tutors.csv"))?);
    let server = Server::start(&data)?;
    let ask = |arguments: &[&str]| -> Result<Value> {
        let output = server.shipei(&[arguments, &["--json"]].concat(), PROGRAMME)?;
        assert!(output.status.success(), "{}", said(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let of = |all: &BTreeMap<String, BTreeMap<String, String>>, column: &str, value: &str| -> Vec<String> {
        all.iter().filter(|(_, row)| row[column] == value).map(|(id, _)| id.clone()).collect()
    };

    let at_risk = ask(&["who", "is-at-risk"])?;
    assert_eq!(ids(&at_risk), of(&trainees, "passed", "false"));
    // The season is over: nobody can pass any more, and nothing is missing until a day to come.
    let rows = at_risk.as_array().context("a list")?;
    assert!(rows.iter().all(|row| row["can_still_pass"] == "否 no" && row["missing"] == ""));
    assert!(rows.iter().all(|row| row["name"] != ""));

    assert_eq!(ids(&ask(&["who", "may-be-excellent"])?), of(&tutors, "eligible", "true"));
    let reported = ask(&["who", "is-to-be-reported"])?;
    assert_eq!(ids(&reported), of(&tutors, "disqualified", "true"));
    let nobody = ask(&["who", "waits-for", "--tutor", "U0001"])?;
    assert!(nobody.as_array().context("a list")?.iter().all(|row| row["class_id"] == "L0001"));

    let whole = ask(&["stats"])?;
    let active = usize::try_from(whole["active"].as_i64().context("active")?)?;
    assert_eq!(active, trainees.len());
    let without = ids(&ask(&["who", "has-not-logged-in"])?).len();
    assert_eq!(usize::try_from(whole["logged_in"].as_i64().context("logged in")?)?, active - without);
    let passed = of(&trainees, "passed", "true").len();
    assert_eq!(usize::try_from(whole["passed"].as_i64().context("passed")?)?, passed);
    let by_county = ask(&["stats", "--by", "county"])?;
    let sum: i64 = by_county.as_array().into_iter().flatten().filter_map(|row| row["passed"].as_i64()).sum();
    assert_eq!(usize::try_from(sum)?, passed);

    let table = server.shipei(&["stats", "--by", "county"], PROGRAMME)?;
    assert!(said(&table).contains("海港区 130302"), "{}", said(&table));
    Ok(())
}
