//! `shipei honours`: who is honoured, whether that counts and why not; and from a terminal, recommending excellent trainees
//! (推荐优秀参训教师) and choosing excellent tutors (遴选优秀辅导教师).

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use shipei_contracts::{
    assessment::v1::{
        HonourReason, ListChosenTutorsRequest, ListRecommendedTraineesRequest,
        honour_list_service_client::HonourListServiceClient,
    },
    decisions::v1::{SubmitEvidenceRequest, evidence_service_client::EvidenceServiceClient},
    enrollment::v1::{ChooseExcellentTutorRequest, honour_service_client::HonourServiceClient},
};
use shipei_store::crypto::random_name;

use crate::{
    ask::{Suite, ask, each_page, local_minute, programme, scheme_of},
    display::{columns, say, table},
};

/// What stands below the help of `shipei honours`.
pub const EXAMPLES: &str = "\
Examples:
  shipei honours recommend U0003 T000011 T000012 --programme qinhuangdao-2019 \\
      --text 学习认真
  shipei honours choose X001 U0003 --programme qinhuangdao-2019
  shipei honours trainees --programme qinhuangdao-2019 --region 130302
  shipei honours tutors --programme qinhuangdao-2019 --json

Whether a recommendation or a choice counts is judged as of the programme's end: whether who it
is about passed, or is eligible, and whether there is room in the scheme's quota ([honours]).
One that doesn't count is kept, and the list says why.";

/// What is asked or done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Recommend excellent trainees of one's classes.
    Recommend(RecommendOptions),
    /// Choose an excellent class tutor.
    Choose(ChooseOptions),
    /// List the trainees who were recommended, and whether it counts.
    Trainees(ListOptions),
    /// List the class tutors who were chosen, and whether it counts.
    Tutors(ListOptions),
}

/// Who recommends whom.
#[derive(Debug, Args)]
pub struct RecommendOptions {
    /// The class tutor.
    tutor: String,
    /// The trainees.
    #[arg(required = true)]
    trainees: Vec<String>,
    /// Why. No identity numbers.
    #[arg(long)]
    text: String,
    #[command(flatten)]
    suite: Suite,
}

/// Who chooses whom.
#[derive(Debug, Args)]
pub struct ChooseOptions {
    /// The subject expert.
    expert: String,
    /// The class tutor.
    tutor: String,
    #[command(flatten)]
    suite: Suite,
}

/// Whose honours.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Only of this county or city.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    #[command(flatten)]
    suite: Suite,
}

/// Somebody who was recommended or chosen, as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    person_id: String,
    class_id: String,
    county_code: String,
    total: i32,
    by: Vec<String>,
    at: String,
    counts: bool,
    reasons: Vec<String>,
}

/// Recommends, chooses, or lists.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Recommend(options) => recommend(options).await,
        Command::Choose(options) => choose(options).await,
        Command::Trainees(options) => trainees(options).await,
        Command::Tutors(options) => tutors(options).await,
    }
}

async fn recommend(options: &RecommendOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let request = SubmitEvidenceRequest {
        programme_id: options.suite.programme.clone(),
        person_id: options.tutor.clone(),
        duty: "ASSESS-TUTOR-RECOMMEND".to_owned(),
        text: options.text.clone(),
        about_person_ids: options.trainees.clone(),
        request_id: random_name()?,
        ..Default::default()
    };
    let answer = ask!(clients, "assessment-decisions", EvidenceServiceClient.submit_evidence, request)?;
    let fact_id = answer.evidence.map(|evidence| evidence.fact_id).unwrap_or_default();
    say_fact(&options.suite, "已推荐 recommended", &fact_id);
    Ok(())
}

async fn choose(options: &ChooseOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let request = ChooseExcellentTutorRequest {
        programme_id: options.suite.programme.clone(),
        expert_id: options.expert.clone(),
        tutor_id: options.tutor.clone(),
        request_id: random_name()?,
        ..Default::default()
    };
    let answer = ask!(clients, "enrollment", HonourServiceClient.choose_excellent_tutor, request)?;
    let fact_id = answer.choice.map(|choice| choice.fact_id).unwrap_or_default();
    say_fact(&options.suite, "已遴选 chosen", &fact_id);
    Ok(())
}

fn say_fact(suite: &Suite, said: &str, fact_id: &str) {
    match suite.json {
        true => say(&serde_json::json!({ "fact_id": fact_id }).to_string()),
        false => say(&format!("{said}: {fact_id}")),
    }
}

fn reasons(reasons: Vec<HonourReason>) -> Vec<String> {
    reasons.into_iter().map(|reason| format!("{} {}", reason.code, reason.text_zh)).collect()
}

async fn trainees(options: &ListOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let zone = scheme_of(&programme(clients, &options.suite.programme).await?)?.zone;
    let asked = || ListRecommendedTraineesRequest {
        programme_id: options.suite.programme.clone(),
        region_code: options.region.clone().unwrap_or_default(),
        ..Default::default()
    };
    let mut rows = Vec::new();
    each_page!(clients, "assessment", HonourListServiceClient.list_recommended_trainees, asked(), |page| {
        rows.extend(page.trainees.into_iter().map(|row| Shown {
            person_id: row.person_id,
            class_id: row.class_id,
            county_code: row.county_code,
            total: row.total,
            by: row.tutor_ids,
            at: local_minute(row.recommended_time.as_ref(), zone),
            counts: row.counts,
            reasons: reasons(row.reasons),
        }));
    });
    show(&options.suite, "推荐的优秀参训教师 recommended trainees", rows)
}

async fn tutors(options: &ListOptions) -> Result<()> {
    let clients = &options.suite.server.connect().await?;
    let zone = scheme_of(&programme(clients, &options.suite.programme).await?)?.zone;
    let asked = || ListChosenTutorsRequest {
        programme_id: options.suite.programme.clone(),
        region_code: options.region.clone().unwrap_or_default(),
        ..Default::default()
    };
    let mut rows = Vec::new();
    each_page!(clients, "assessment", HonourListServiceClient.list_chosen_tutors, asked(), |page| {
        rows.extend(page.tutors.into_iter().map(|row| Shown {
            person_id: row.person_id,
            class_id: String::new(),
            county_code: row.county_code,
            total: row.total,
            by: Vec::new(),
            at: local_minute(row.chosen_time.as_ref(), zone),
            counts: row.counts,
            reasons: reasons(row.reasons),
        }));
    });
    show(&options.suite, "遴选的优秀辅导教师 chosen tutors", rows)
}

fn show(suite: &Suite, title: &str, rows: Vec<Shown>) -> Result<()> {
    if suite.json {
        say(&serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let counts = if row.counts { "是 yes" } else { "否 no" };
            vec![
                row.person_id,
                row.class_id,
                row.county_code,
                row.total.to_string(),
                row.by.join("、"),
                row.at,
                counts.to_owned(),
                row.reasons.join("；"),
            ]
        })
        .collect();
    let headings = [
        "编号 id",
        "班级 class",
        "县(区) county",
        "总分 total",
        "推荐人 by",
        "时间 when",
        "有效 counts",
        "原因 why not",
    ];
    say(table(columns(), title, &headings, &rows).trim_end());
    Ok(())
}
