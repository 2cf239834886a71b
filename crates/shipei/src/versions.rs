//! `shipei versions`: the final versions of a programme (成绩定稿), and what changed from one to another.

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use shipei_contracts::decisions::v1::{
    FinalScore, FinalVersion, ListFinalVersionsRequest, ListScoreChangesRequest, ScoreChange,
    ScoreChangeCause, final_version_service_client::FinalVersionServiceClient,
};
use shipei_store::crypto::hex;

use crate::{
    ask::{Suite, ask, each_page, instant, local_minute, programme, scheme_of},
    display::{columns, say, table},
    explain::hundredths,
};

/// What stands below the help of `shipei versions`.
pub const EXAMPLES: &str = "\
Examples:
  shipei versions list --programme qinhuangdao-2019
                                        which versions there are, their roots, who made them and why
  shipei versions changes 1 2 --programme qinhuangdao-2019
                                        whose score is another one in version 2, and where it comes from
  shipei versions changes 1 --programme qinhuangdao-2019 --region 130302 --json
                                        from version 1 to the newest, of a county, as JSON lines";

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the final versions, the newest first.
    List(Suite),
    /// Say whose score changed from one version to a later one.
    Changes {
        /// The earlier version.
        from: i32,
        /// The later one; the newest if it isn't said.
        #[arg(default_value_t = 0)]
        to: i32,
        /// Only of this city or county.
        #[arg(long, default_value = "")]
        region: String,
        /// Which programme, where to ask, and how to show.
        #[command(flatten)]
        suite: Suite,
    },
}

/// Shows what is asked for.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(command: &Command) -> Result<()> {
    match command {
        Command::List(suite) => list(suite).await,
        Command::Changes { from, to, region, suite } => changes((*from, *to), region, suite).await,
    }
}

async fn list(suite: &Suite) -> Result<()> {
    let clients = &suite.server.connect().await?;
    let zone = scheme_of(&programme(clients, &suite.programme).await?)?.zone;
    let asked = ListFinalVersionsRequest { programme_id: suite.programme.clone() };
    let answer = ask!(clients, "assessment-decisions", FinalVersionServiceClient.list_final_versions, asked)?;
    if suite.json {
        for version in &answer.versions {
            say(&json_of(version).to_string());
        }
        return Ok(());
    }
    let row = |version: &FinalVersion| {
        let is_final = version.final_time.is_some();
        vec![
            version.version.to_string(),
            match is_final {
                true => local_minute(version.final_time.as_ref(), zone),
                false => format!("{}/{} 未完", version.frozen, version.trainees),
            },
            version.trainees.to_string(),
            version.scheme_version.to_string(),
            hex(&version.root).chars().take(16).collect(),
            version.decided_by.clone(),
            version.reason.clone(),
        ]
    };
    let rows: Vec<_> = answer.versions.iter().map(row).collect();
    let title = format!("{} 的定稿 final versions", suite.programme);
    let headings = ["版本", "定稿时间 final", "学员", "方案", "根 root", "由 by", "理由 why"];
    say(&table(columns(), &title, &headings, &rows));
    Ok(())
}

fn json_of(version: &FinalVersion) -> serde_json::Value {
    json!({
        "version": version.version, "final": version.r#final, "trainees": version.trainees,
        "scheme_version": version.scheme_version, "scores_digest": version.scores_digest,
        "root": hex(&version.root), "decided_by": version.decided_by, "reason": version.reason,
        "final_time": instant(version.final_time.as_ref()).map(|at| at.to_rfc3339()),
    })
}

async fn changes((from, to): (i32, i32), region: &str, suite: &Suite) -> Result<()> {
    let clients = &suite.server.connect().await?;
    let asked = || ListScoreChangesRequest {
        programme_id: suite.programme.clone(),
        from_version: from,
        to_version: to,
        region_code: region.to_owned(),
        ..Default::default()
    };
    let (mut rows, mut passed, mut failed) = (Vec::new(), 0_u64, 0_u64);
    each_page!(
        clients,
        "assessment-decisions",
        FinalVersionServiceClient.list_score_changes,
        asked(),
        |page| {
            for change in &page.changes {
                let is = |score: &Option<FinalScore>| score.as_ref().is_some_and(|score| score.passed);
                match (is(&change.old), is(&change.new)) {
                    (false, true) => passed += 1,
                    (true, false) => failed += 1,
                    _ => {}
                }
                match suite.json {
                    true => say(&change_json(change).to_string()),
                    false => rows.push(change_row(change)),
                }
            }
        }
    );
    if suite.json {
        return Ok(());
    }
    let to = if to == 0 { "最新 newest".to_owned() } else { to.to_string() };
    let title = format!("{}：定稿 {from} → {to} 的变化 changes", suite.programme);
    let headings = ["学员", "县区", "班级", "总分 total", "合格 passed", "项目 items"];
    say(&table(columns(), &title, &headings, &rows));
    say(&format!(
        "{} 人有变化，其中 {passed} 人由不合格变为合格，{failed} 人由合格变为不合格\n\
         {} changed; {passed} pass now, {failed} don't any more",
        rows.len(),
        rows.len()
    ));
    Ok(())
}

fn cause_in_words(cause: ScoreChangeCause) -> &'static str {
    match cause {
        ScoreChangeCause::Unspecified => "?",
        ScoreChangeCause::Facts => "事实 facts",
        ScoreChangeCause::Decision => "裁定 decision",
        ScoreChangeCause::Scheme => "方案 scheme",
    }
}

fn change_row(change: &ScoreChange) -> Vec<String> {
    let total = |score: &Option<FinalScore>| score.as_ref().map_or("-".to_owned(), |it| it.total.to_string());
    let passed = |score: &Option<FinalScore>| match score {
        Some(score) if score.passed => "是",
        Some(_) => "否",
        None => "-",
    };
    let there = change.new.as_ref().or(change.old.as_ref());
    let items = change.items.iter().map(|item| {
        let (old, new) = (hundredths(item.old_hundredths), hundredths(item.new_hundredths));
        format!("{} {old}→{new} {}", item.name, cause_in_words(item.cause()))
    });
    vec![
        change.person_id.clone(),
        there.map(|score| score.county_code.clone()).unwrap_or_default(),
        there.map(|score| score.class_id.clone()).unwrap_or_default(),
        format!("{}→{}", total(&change.old), total(&change.new)),
        format!("{}→{}", passed(&change.old), passed(&change.new)),
        items.collect::<Vec<_>>().join("; "),
    ]
}

fn change_json(change: &ScoreChange) -> serde_json::Value {
    let score = |score: &Option<FinalScore>| {
        score.as_ref().map(|it| {
            json!({ "total": it.total, "passed": it.passed, "county": it.county_code, "class": it.class_id })
        })
    };
    let items = change.items.iter().map(|item| {
        json!({
            "item": item.name, "old_hundredths": item.old_hundredths, "new_hundredths": item.new_hundredths,
            "cause": item.cause().as_str_name().trim_start_matches("SCORE_CHANGE_CAUSE_").to_lowercase(),
        })
    });
    json!({
        "person": change.person_id, "old": score(&change.old), "new": score(&change.new),
        "items": items.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use shipei_contracts::decisions::v1::ItemChange;

    use super::*;

    #[test]
    fn change_is_shown_by_its_items() {
        let score = |total, passed| FinalScore {
            total,
            passed,
            county_code: "130302".to_owned(),
            class_id: "C1".to_owned(),
            ..Default::default()
        };
        let item = ItemChange {
            name: "seminar".to_owned(),
            old_hundredths: 0,
            new_hundredths: 1_050,
            cause: ScoreChangeCause::Decision.into(),
        };
        let person_id = "T1".to_owned();
        let change = ScoreChange {
            person_id,
            old: Some(score(75, false)),
            new: Some(score(85, true)),
            items: vec![item],
        };
        assert_eq!(
            change_row(&change),
            ["T1", "130302", "C1", "75→85", "否→是", "seminar 0→10.50 裁定 decision"]
        );
        assert_eq!(change_json(&change)["items"][0]["cause"], "decision");
        let gone = ScoreChange { new: None, items: Vec::new(), ..change };
        assert_eq!(change_row(&gone), ["T1", "130302", "C1", "75→-", "否→-", ""]);
    }
}
