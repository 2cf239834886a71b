//! `shipei evidence`: that a duty of Annex 1 was done, as its bearer tells it (佐证), from a terminal: submit, look, send back, take back.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use shipei_client::client::Clients;
use shipei_contracts::{
    decisions::v1::{
        Evidence, ListEvidenceRequest, SendBackEvidenceRequest, SubmitEvidenceRequest,
        evidence_service_client::EvidenceServiceClient,
    },
    services::ASSESSMENT_DECISIONS,
};
use shipei_rules::region::RegionCode;
use shipei_store::crypto::random_name;

use crate::{
    ask::{Suite, ask, each_page, local_minute, programme, retract, scheme_of},
    display::{columns, say, table},
};

/// What stands below the help of `shipei evidence`.
pub const EXAMPLES: &str = "\
Examples:
  shipei evidence submit TRAIN-EXPERT-TOPIC --of X001 --programme qinhuangdao-2019 \\
      --text 语文大单元教学研讨 --link https://example.org/topics/7
  shipei evidence submit SUMMARY-COUNSELOR --of 130302 --programme qinhuangdao-2019 \\
      --text 海港区总结 --file 总结.pdf
  shipei evidence submit ASSESS-TUTOR-RECOMMEND --of U0003 --programme qinhuangdao-2019 \\
      --text 推荐优秀学员 --about T000011 --about T000012
  shipei evidence list --programme qinhuangdao-2019 --of 130302
  shipei evidence send-back FACT --of 130302 --programme qinhuangdao-2019 --reason 缺少照片
  shipei evidence undo FACT --programme qinhuangdao-2019 --reason 误报

`--of` is a person's id or a county's or city's code; without it the training institution's duty
is meant. Of a file only its digest is kept. `shipei duties` shows which duties want evidence.";

/// What is done with evidence.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell that a duty was done.
    Submit(Box<SubmitOptions>),
    /// List evidence, and why some was sent back.
    List(ListOptions),
    /// Send evidence back: the duty is not done by it.
    SendBack(SendBackOptions),
    /// Take evidence back, or its being sent back: it was told by mistake.
    Undo(UndoOptions),
}

/// What was done.
#[derive(Debug, Args)]
pub struct SubmitOptions {
    /// The duty's code, as `shipei duties` shows it.
    duty: String,
    /// Who bears it: a person's id, or a county's or city's six-digit code.
    #[arg(long, value_name = "WHO")]
    of: Option<String>,
    /// What was done: a title, a place, a summary. No identity numbers.
    #[arg(long)]
    text: String,
    /// Where it can be read.
    #[arg(long, value_name = "URL")]
    link: Option<String>,
    /// A file that shows it: its SHA-256 is kept.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Who is recommended or appointed; several times.
    #[arg(long, value_name = "ID")]
    about: Vec<String>,
    #[command(flatten)]
    suite: Suite,
}

/// Whose evidence.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Only of this person, county or city.
    #[arg(long, value_name = "WHO")]
    of: Option<String>,
    /// Only of this duty.
    #[arg(long)]
    duty: Option<String>,
    /// That which was taken back too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    suite: Suite,
}

/// What is sent back.
#[derive(Debug, Args)]
pub struct SendBackOptions {
    /// The evidence's id, as `shipei evidence list` shows it.
    fact: String,
    /// Who bears the duty, as in the evidence.
    #[arg(long, value_name = "WHO")]
    of: Option<String>,
    /// Why; shown to who submitted it.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// What falls.
#[derive(Debug, Args)]
pub struct UndoOptions {
    /// The id of the evidence, or of its being sent back.
    fact: String,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// Evidence as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    fact_id: String,
    of: String,
    duty: String,
    text: String,
    link: String,
    file_sha256: String,
    about: Vec<String>,
    done: String,
    submitted_by: String,
    sent_back: String,
    sent_back_reason: String,
    sent_back_fact_id: String,
    retracted: bool,
}

/// Submits, lists, sends back, or takes back.
///
/// # Errors
/// If a service refuses or can't be reached, or a file can't be read.
pub async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Submit(options) => submit(options).await,
        Command::List(options) => list(options).await,
        Command::SendBack(options) => send_back(options).await,
        Command::Undo(options) => undo(options).await,
    }
}

/// Who bears a duty, as a person's id and a region's code, one of which is empty.
fn bearer(of: Option<&str>) -> (String, String) {
    match of {
        None => Default::default(),
        Some(code) if RegionCode::parse(code).is_ok() => (String::new(), code.to_owned()),
        Some(person) => (person.to_owned(), String::new()),
    }
}

async fn submit(options: &SubmitOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let (person_id, region_code) = bearer(options.of.as_deref());
    let file_sha256 = match &options.file {
        None => Vec::new(),
        Some(file) => {
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            Sha256::digest(&bytes).to_vec()
        }
    };
    let request = SubmitEvidenceRequest {
        programme_id: options.suite.programme.clone(),
        person_id,
        region_code,
        duty: options.duty.clone(),
        text: options.text.clone(),
        link: options.link.clone().unwrap_or_default(),
        file_sha256,
        about_person_ids: options.about.clone(),
        request_id: random_name()?,
        ..Default::default()
    };
    let answer = ask!(clients, "assessment-decisions", EvidenceServiceClient.submit_evidence, request);
    let evidence = answer?.evidence.context("the service answered without the evidence")?;
    show(clients, &options.suite, vec![evidence]).await
}

async fn list(options: &ListOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let (person_id, region_code) = bearer(options.of.as_deref());
    let asked = || ListEvidenceRequest {
        programme_id: options.suite.programme.clone(),
        person_id: person_id.clone(),
        region_code: region_code.clone(),
        duty: options.duty.clone().unwrap_or_default(),
        with_retracted: options.all,
        ..Default::default()
    };
    let mut all = Vec::new();
    each_page!(clients, "assessment-decisions", EvidenceServiceClient.list_evidence, asked(), |page| {
        all.extend(page.evidence);
    });
    show(clients, &options.suite, all).await
}

async fn send_back(options: &SendBackOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let (person_id, region_code) = bearer(options.of.as_deref());
    let request = SendBackEvidenceRequest {
        programme_id: options.suite.programme.clone(),
        person_id,
        region_code,
        fact_id: options.fact.clone(),
        reason: options.reason.clone(),
        request_id: random_name()?,
        occurred_at: None,
    };
    let answer = ask!(clients, "assessment-decisions", EvidenceServiceClient.send_back_evidence, request);
    let evidence = answer?.evidence.context("the service answered without the evidence")?;
    show(clients, &options.suite, vec![evidence]).await
}

async fn undo(options: &UndoOptions) -> Result<()> {
    let suite = &options.suite;
    let clients = &suite.server.connect().await?;
    retract(clients, ASSESSMENT_DECISIONS, (&suite.programme, &options.fact, &options.reason)).await?;
    say(if suite.json { "{\"retracted\": true}" } else { "已撤销 / taken back" });
    Ok(())
}

async fn show(clients: &Clients, suite: &Suite, evidence: Vec<Evidence>) -> Result<()> {
    let zone = scheme_of(&programme(clients, &suite.programme).await?)?.zone;
    let shown: Vec<Shown> = evidence
        .into_iter()
        .map(|row| Shown {
            of: if row.person_id.is_empty() { row.region_code } else { row.person_id },
            done: local_minute(row.done_time.as_ref(), zone),
            sent_back: local_minute(row.sent_back_time.as_ref(), zone),
            fact_id: row.fact_id,
            duty: row.duty,
            text: row.text,
            link: row.link,
            file_sha256: row.file_sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            about: row.about_person_ids,
            submitted_by: row.submitted_by,
            sent_back_reason: row.sent_back_reason,
            sent_back_fact_id: row.sent_back_fact_id,
            retracted: row.retracted,
        })
        .collect();
    if suite.json {
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = shown
        .into_iter()
        .map(|row| {
            let mark = if row.retracted { "✗ " } else { "" };
            let parts = [row.text, row.link, row.about.join("、")];
            let what: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let sent_back = match row.sent_back.is_empty() {
                true => String::new(),
                false => format!("{} {} ({})", row.sent_back, row.sent_back_reason, row.sent_back_fact_id),
            };
            vec![
                format!("{mark}{}", row.fact_id),
                row.of,
                row.duty,
                what.join("\n"),
                row.done,
                row.submitted_by,
                sent_back,
            ]
        })
        .collect();
    let headings =
        ["编号 id", "责任方 of", "工作 duty", "内容 what", "完成 done", "提交 by", "退回 sent back"];
    say(table(columns(), "工作佐证 evidence", &headings, &rows).trim_end());
    Ok(())
}
