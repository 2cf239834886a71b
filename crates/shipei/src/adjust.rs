//! `shipei adjust`: what people decide about an item of a trainee's score (调整, 免考), from a terminal: decide, look, take back.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use shipei_client::client::Clients;
use shipei_contracts::{
    common::v1::Correction,
    decisions::v1::{
        AdjustItemRequest, Adjustment, AdjustmentKind, ListAdjustmentsRequest,
        decision_service_client::DecisionServiceClient,
    },
    services::ASSESSMENT_DECISIONS,
};
use shipei_service_kit::to_timestamp;
use shipei_store::crypto::random_name;

use crate::{
    ask::{Suite, ask, each_page, local_minute, programme, retract, scheme_of},
    display::{columns, say, table},
};

/// What stands below the help of `shipei adjust`.
pub const EXAMPLES: &str = "\
Examples:
  shipei adjust item T000008 seminar 10 --programme qinhuangdao-2019 --kind excuse \\
      --reason 住院，市级核准
                                                 it counts as 10 points, whatever was computed
  shipei adjust item T000008 phase_2 18 --programme qinhuangdao-2019 --kind appeal \\
      --reason 申诉成立 --expires 2020-01-01T00:00:00+08:00
                                                 the computed value counts again from then on
  shipei adjust list --programme qinhuangdao-2019 --region 130302
                                                 who decided what in a county, and why
  shipei adjust undo FACT --programme qinhuangdao-2019 --reason 核准有误
                                                 the computed value counts again at once

Items are phase_1 and so on, assignment, seminar, offline; points are whole, from 0 to the most
that the item can bring. A municipal lead decides for their city, the institution and the
province for everybody. The computed value stays visible: `shipei explain T000008` shows both,
with who decided, when and why.";

/// Decisions about items of scores.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Decide what an item of a trainee's score counts as.
    Item(Box<ItemOptions>),
    /// List decisions: who decided what, when, why.
    List(ListOptions),
    /// Take a decision back: the computed value counts again.
    Undo(UndoOptions),
}

/// Why an item counts as something else than was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 免考: sick, or exempt by the city.
    Excuse,
    /// 申诉: an appeal that was upheld.
    Appeal,
    /// 补交病假: a medical leave that was told late.
    LateMedicalLeave,
}

impl From<Kind> for AdjustmentKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Excuse => Self::Excuse,
            Kind::Appeal => Self::Appeal,
            Kind::LateMedicalLeave => Self::LateMedicalLeave,
        }
    }
}

/// A decision.
#[derive(Debug, Args)]
pub struct ItemOptions {
    /// The trainee's id.
    person: String,
    /// The item: phase_1 and so on, assignment, seminar, offline.
    item: String,
    /// What it counts as, in whole points.
    points: i32,
    /// Of what kind the decision is.
    #[arg(long)]
    kind: Kind,
    /// Why; shown to the trainee. No identity numbers.
    #[arg(long)]
    reason: String,
    /// From when on the computed value counts again, e.g. 2020-01-01T00:00:00+08:00.
    #[arg(long, value_name = "TIME")]
    expires: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// The decision that this one corrects: that one falls as this one is taken.
    #[arg(long, value_name = "FACT")]
    corrects: Option<String>,
    #[command(flatten)]
    suite: Suite,
}

/// Which decisions.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Only about this trainee.
    #[arg(long)]
    person: Option<String>,
    /// Only about trainees who are in this city or county now.
    #[arg(long)]
    region: Option<String>,
    /// Those that were taken back too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    suite: Suite,
}

/// Which decision falls.
#[derive(Debug, Args)]
pub struct UndoOptions {
    /// The decision's id, as `shipei adjust list` shows it.
    fact: String,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// An adjustment as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    fact_id: String,
    person_id: String,
    item: String,
    points: i32,
    max_points: i32,
    kind: String,
    reason: String,
    decided: String,
    expires: String,
    decided_by: String,
    retracted: bool,
}

/// Decides, lists, or takes back.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Item(options) => item(options).await,
        Command::List(options) => list(options).await,
        Command::Undo(options) => undo(options).await,
    }
}

async fn item(options: &ItemOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let correction = options
        .corrects
        .as_ref()
        .map(|fact_id| Correction { fact_id: fact_id.clone(), reason: options.reason.clone() });
    let request = AdjustItemRequest {
        programme_id: options.suite.programme.clone(),
        person_id: options.person.clone(),
        item: options.item.clone(),
        points: options.points,
        kind: AdjustmentKind::from(options.kind).into(),
        reason: options.reason.clone(),
        expires_time: options.expires.map(|time| to_timestamp(time.to_utc())),
        request_id: random_name()?,
        occurred_at: None,
        correction,
    };
    let answer = ask!(clients, "assessment-decisions", DecisionServiceClient.adjust_item, request);
    let adjustment = answer?.adjustment.context("the service answered without the adjustment")?;
    show(clients, &options.suite, vec![adjustment]).await
}

async fn list(options: &ListOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let asked = || ListAdjustmentsRequest {
        programme_id: options.suite.programme.clone(),
        person_id: options.person.clone().unwrap_or_default(),
        region_code: options.region.clone().unwrap_or_default(),
        with_retracted: options.all,
        ..Default::default()
    };
    let mut all = Vec::new();
    each_page!(clients, "assessment-decisions", DecisionServiceClient.list_adjustments, asked(), |page| {
        all.extend(page.adjustments);
    });
    show(clients, &options.suite, all).await
}

async fn undo(options: &UndoOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let what = (options.suite.programme.as_str(), options.fact.as_str(), options.reason.as_str());
    retract(clients, ASSESSMENT_DECISIONS, what).await?;
    let said = if options.suite.json {
        "{\"retracted\": true}"
    } else {
        "已撤销，恢复原计算值 / taken back"
    };
    say(said);
    Ok(())
}

async fn show(clients: &Clients, suite: &Suite, adjustments: Vec<Adjustment>) -> Result<()> {
    let zone = scheme_of(&programme(clients, &suite.programme).await?)?.zone;
    let shown: Vec<Shown> = adjustments
        .into_iter()
        .map(|adjustment| Shown {
            kind: adjustment.kind().word().to_owned(),
            decided: local_minute(adjustment.decided_time.as_ref(), zone),
            expires: local_minute(adjustment.expires_time.as_ref(), zone),
            fact_id: adjustment.fact_id,
            person_id: adjustment.person_id,
            item: adjustment.item,
            points: adjustment.points,
            max_points: adjustment.max_points,
            reason: adjustment.reason,
            decided_by: adjustment.decided_by,
            retracted: adjustment.retracted,
        })
        .collect();
    if suite.json {
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = shown
        .into_iter()
        .map(|row| {
            let points = format!("{}/{}", row.points, row.max_points);
            let until = if row.expires.is_empty() { String::new() } else { format!(" – {}", row.expires) };
            let mark = if row.retracted { "✗ " } else { "" };
            vec![
                format!("{mark}{}", row.fact_id),
                row.person_id,
                row.item,
                points,
                row.kind,
                format!("{}{until}", row.decided),
                row.decided_by,
                row.reason,
            ]
        })
        .collect();
    let headings = [
        "决定 decision",
        "人员 trainee",
        "考核项 item",
        "分值 points",
        "类别 kind",
        "时间 when",
        "核准 by",
        "原因 why",
    ];
    say(table(columns(), "成绩调整 adjustments", &headings, &rows).trim_end());
    Ok(())
}
