//! `shipei bar`: who is not to be appointed as a class tutor again (不再聘用): recorded, listed, lifted.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use shipei_contracts::{
    enrollment::v1::{BarTutorRequest, ListTutorBarsRequest, honour_service_client::HonourServiceClient},
    services::ENROLLMENT,
};
use shipei_store::crypto::random_name;

use crate::{
    ask::{Suite, ask, each_page, local_minute, programme, retract, scheme_of},
    display::{columns, say, table},
};

/// What stands below the help of `shipei bar`.
pub const EXAMPLES: &str = "\
Examples:
  shipei who is-to-be-reported --programme qinhuangdao-2019     whom the scores say it of
  shipei bar record U0003 --programme qinhuangdao-2019 --reason 批阅超期三周
  shipei bar list --programme qinhuangdao-2019 --region 130302
  shipei bar lift FACT --programme qinhuangdao-2019 --reason 经复核予以解除

Rosters of any other programme in the same database refuse the same identity number as a class
tutor from then on (TUTOR_BARRED), and so does giving that person a class. Nobody is barred but
by a decision, and who has been appointed by then stays.";

/// What is asked or done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record that a class tutor is not to be appointed again.
    Record(RecordOptions),
    /// List who is barred, and why.
    List(ListOptions),
    /// Lift a bar: it falls, as if it had never been, and stays readable in the log.
    Lift(LiftOptions),
}

/// Who is barred.
#[derive(Debug, Args)]
pub struct RecordOptions {
    /// The class tutor.
    tutor: String,
    /// Why. No identity numbers.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// Whose bars.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Only tutors of this county or city.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    #[command(flatten)]
    suite: Suite,
}

/// Which bar is lifted.
#[derive(Debug, Args)]
pub struct LiftOptions {
    /// The fact, as `shipei bar list` shows it.
    fact: String,
    /// Why. No identity numbers.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// A bar as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    tutor_id: String,
    reason: String,
    since: String,
    by: String,
    fact_id: String,
}

/// Records, lists, or lifts.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Record(options) => record(options).await,
        Command::List(options) => list(options).await,
        Command::Lift(options) => lift(options).await,
    }
}

async fn record(options: &RecordOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let request = BarTutorRequest {
        programme_id: options.suite.programme.clone(),
        tutor_id: options.tutor.clone(),
        reason: options.reason.clone(),
        request_id: random_name()?,
        ..Default::default()
    };
    let answer = ask!(clients, "enrollment", HonourServiceClient.bar_tutor, request)?;
    let fact_id = answer.bar.map(|bar| bar.fact_id).unwrap_or_default();
    match options.suite.json {
        true => say(&serde_json::json!({ "fact_id": fact_id }).to_string()),
        false => say(&format!("已记为不再聘用 barred: {fact_id}")),
    }
    Ok(())
}

async fn list(options: &ListOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let zone = scheme_of(&programme(clients, &options.suite.programme).await?)?.zone;
    let asked = || ListTutorBarsRequest {
        programme_id: options.suite.programme.clone(),
        region_code: options.region.clone().unwrap_or_default(),
        ..Default::default()
    };
    let mut rows = Vec::new();
    each_page!(clients, "enrollment", HonourServiceClient.list_tutor_bars, asked(), |page| {
        rows.extend(page.bars.into_iter().map(|bar| Shown {
            tutor_id: bar.tutor_id,
            reason: bar.reason,
            since: local_minute(bar.barred_time.as_ref(), zone),
            by: bar.barred_by,
            fact_id: bar.fact_id,
        }));
    });
    if options.suite.json {
        say(&serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| vec![row.tutor_id, row.reason, row.since, row.by, row.fact_id]).collect();
    let headings = ["编号 id", "原因 why", "时间 since", "决定 by", "事实 fact"];
    say(table(columns(), "不再聘用的辅导教师 barred tutors", &headings, &rows).trim_end());
    Ok(())
}

async fn lift(options: &LiftOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    retract(clients, ENROLLMENT, (&options.suite.programme, &options.fact, &options.reason)).await?;
    say(if options.suite.json { "{\"retracted\": true}" } else { "已解除 / lifted" });
    Ok(())
}
