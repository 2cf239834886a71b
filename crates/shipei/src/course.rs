//! `shipei course`: what was kept wrongly of a course is put right, and courses are retired, from a terminal; look, and take back.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use shipei_client::client::Clients;
use shipei_contracts::{
    common::v1::{Correction, EducationStage},
    learning::v1::{
        CorrectCourseRequest, Course, CourseCategory, CourseChange, CourseTerms, GetCourseRequest,
        RetireCourseRequest, course_service_client::CourseServiceClient,
    },
    services::LEARNING_PROGRESS,
};
use shipei_service_kit::to_timestamp;
use shipei_store::crypto::random_name;

use crate::{
    ask::{Suite, ask, local_minute, programme, retract, scheme_of},
    display::{columns, say, table},
};

/// What stands below the help of `shipei course`.
pub const EXAMPLES: &str = "\
Examples:
  shipei course show C001 --programme qinhuangdao-2019
                                                 the course, and what changed of it, why
  shipei course correct C001 --programme qinhuangdao-2019 --seconds 2730 --reason 片长有误
                                                 it had always been so
  shipei course correct C001 --programme qinhuangdao-2019 --main-line false \\
      --since 2019-10-20T00:00:00+08:00 --reason 方案调整
                                                 it is so from then on
  shipei course retire C001 --programme qinhuangdao-2019 --since 2019-10-20T00:00:00+08:00 \\
      --reason 课程下线                          nobody is asked for it from then on
  shipei course undo FACT --programme qinhuangdao-2019 --reason 更正有误

Study that was credited stays credited. Which phases it counts for and which courses are complete
is read anew of everybody, by what the course is at each time.";

/// Courses put right and retired.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a course and what changed of it.
    Show(ShowOptions),
    /// Say what is right of a course.
    Correct(Box<CorrectOptions>),
    /// Retire a course: from then on it is neither selected nor studied, and asked of nobody.
    Retire(RetireOptions),
    /// Take a change back: the course is what the others say.
    Undo(UndoOptions),
}

/// Which course.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// The course's id.
    course: String,
    #[command(flatten)]
    suite: Suite,
}

/// What is right of it; what is left out stays.
#[derive(Debug, Args)]
pub struct CorrectOptions {
    /// The course's id.
    course: String,
    /// Its title.
    #[arg(long)]
    title: Option<String>,
    /// Its category.
    #[arg(long)]
    category: Option<Category>,
    /// Whether the scheme prescribes it (主线课程).
    #[arg(long, value_name = "true|false")]
    main_line: Option<bool>,
    /// Its length in seconds.
    #[arg(long)]
    seconds: Option<i32>,
    /// Only for teachers of this subject; empty for all.
    #[arg(long)]
    subject: Option<String>,
    /// Only for this education stage.
    #[arg(long)]
    stage: Option<Stage>,
    /// From when on it is so; without it, it had always been so.
    #[arg(long, value_name = "TIME")]
    since: Option<chrono::DateTime<chrono::FixedOffset>>,
    #[command(flatten)]
    told: Told,
}

/// From when on.
#[derive(Debug, Args)]
pub struct RetireOptions {
    /// The course's id.
    course: String,
    /// From when on; without it from now on.
    #[arg(long, value_name = "TIME")]
    since: Option<chrono::DateTime<chrono::FixedOffset>>,
    #[command(flatten)]
    told: Told,
}

/// Why, and what it corrects.
#[derive(Debug, Args)]
struct Told {
    /// Why.
    #[arg(long)]
    reason: String,
    /// The change that this one corrects: that one falls as this one is taken.
    #[arg(long, value_name = "FACT")]
    corrects: Option<String>,
    #[command(flatten)]
    suite: Suite,
}

impl Told {
    fn correction(&self) -> Option<Correction> {
        let fact_id = self.corrects.clone()?;
        Some(Correction { fact_id, reason: self.reason.clone() })
    }
}

/// Which change falls.
#[derive(Debug, Args)]
pub struct UndoOptions {
    /// The change's id, as `shipei course show` has it.
    fact: String,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// The three categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Category {
    /// 公共课.
    Public,
    /// 专业课程.
    Professional,
    /// 信息技术与学科融合课程.
    ItIntegration,
}

impl From<Category> for CourseCategory {
    fn from(category: Category) -> Self {
        match category {
            Category::Public => Self::Public,
            Category::Professional => Self::Professional,
            Category::ItIntegration => Self::ItIntegration,
        }
    }
}

/// For whom a course is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// 义务教育.
    Compulsory,
    /// 非义务教育.
    NonCompulsory,
    /// For both.
    Both,
}

impl From<Stage> for EducationStage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Compulsory => Self::Compulsory,
            Stage::NonCompulsory => Self::NonCompulsory,
            Stage::Both => Self::Unspecified,
        }
    }
}

/// Shows, corrects, retires, or takes back.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Show(options) => {
            let clients = &options.suite.server.connect().await?;
            show(clients, &options.suite, &options.course).await
        }
        Command::Correct(options) => correct(options).await,
        Command::Retire(options) => retire(options).await,
        Command::Undo(options) => undo(options).await,
    }
}

async fn correct(options: &CorrectOptions) -> Result<()> {
    let suite = &options.told.suite;
    let clients = &suite.server.connect().await?;
    let terms = CourseTerms {
        title: options.title.clone(),
        category: options.category.map(CourseCategory::from).unwrap_or_default().into(),
        main_line: options.main_line,
        length_seconds: options.seconds,
        subject: options.subject.clone(),
        education_stage: options.stage.map(|stage| EducationStage::from(stage).into()),
        retired: None,
    };
    let request = CorrectCourseRequest {
        programme_id: suite.programme.clone(),
        course_id: options.course.clone(),
        terms: Some(terms),
        since_time: options.since.map(|since| to_timestamp(since.to_utc())),
        reason: options.told.reason.clone(),
        request_id: random_name()?,
        occurred_at: None,
        correction: options.told.correction(),
    };
    ask!(clients, "learning-progress", CourseServiceClient.correct_course, request)?;
    show(clients, suite, &options.course).await
}

async fn retire(options: &RetireOptions) -> Result<()> {
    let suite = &options.told.suite;
    let clients = &suite.server.connect().await?;
    let request = RetireCourseRequest {
        programme_id: suite.programme.clone(),
        course_id: options.course.clone(),
        since_time: options.since.map(|since| to_timestamp(since.to_utc())),
        reason: options.told.reason.clone(),
        request_id: random_name()?,
        occurred_at: None,
        correction: options.told.correction(),
    };
    ask!(clients, "learning-progress", CourseServiceClient.retire_course, request)?;
    show(clients, suite, &options.course).await
}

async fn undo(options: &UndoOptions) -> Result<()> {
    let suite = &options.suite;
    let clients = &suite.server.connect().await?;
    retract(clients, LEARNING_PROGRESS, (&suite.programme, &options.fact, &options.reason)).await?;
    say(if suite.json { "{\"retracted\": true}" } else { "已撤销 / taken back" });
    Ok(())
}

/// A course as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    course_id: String,
    title: String,
    category: &'static str,
    main_line: bool,
    length_seconds: i32,
    subject: String,
    education_stage: &'static str,
    retired: String,
    changes: Vec<ShownChange>,
}

/// A change of it as JSON.
#[derive(Debug, Serialize)]
struct ShownChange {
    fact_id: String,
    since: String,
    change: String,
    recorded: String,
    reason: String,
}

async fn show(clients: &Clients, suite: &Suite, course_id: &str) -> Result<()> {
    let zone = scheme_of(&programme(clients, &suite.programme).await?)?.zone;
    let request = GetCourseRequest { programme_id: suite.programme.clone(), course_id: course_id.to_owned() };
    let answer = ask!(clients, "learning-progress", CourseServiceClient.get_course, request)?;
    let course: Course = answer.course.context("the service answered without the course")?;
    let change = |change: CourseChange| ShownChange {
        since: local_minute(change.since_time.as_ref(), zone),
        change: said(&change.terms.unwrap_or_default()),
        recorded: local_minute(change.recorded_time.as_ref(), zone),
        fact_id: change.fact_id,
        reason: change.reason,
    };
    let shown = Shown {
        category: course.category().word(),
        education_stage: course.education_stage().word(),
        retired: local_minute(course.retired_time.as_ref(), zone),
        course_id: course.course_id,
        title: course.title,
        main_line: course.main_line,
        length_seconds: course.length_seconds,
        subject: course.subject,
        changes: answer.changes.into_iter().map(change).collect(),
    };
    if suite.json {
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let line = if shown.main_line { "主线 main line" } else { "" };
    let retired =
        if shown.retired.is_empty() { String::new() } else { format!("停用 retired {}", shown.retired) };
    let length = format!("{} 秒 s", shown.length_seconds);
    let facts = [shown.category, line, &length, &shown.subject, shown.education_stage, &retired];
    let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    say(&format!("{} {}: {}", shown.course_id, shown.title, facts.join(", ")));
    let row = |change: ShownChange| {
        let since = if change.since.is_empty() { "一直 always".to_owned() } else { change.since };
        vec![change.fact_id, since, change.change, change.recorded, change.reason]
    };
    let rows: Vec<Vec<String>> = shown.changes.into_iter().map(row).collect();
    if !rows.is_empty() {
        let headings = ["更正 change", "自 since", "内容 what", "登记 recorded", "原因 why"];
        say(table(columns(), "课程更正 changes", &headings, &rows).trim_end());
    }
    Ok(())
}

/// What a change says, in words.
fn said(terms: &CourseTerms) -> String {
    let mut said = Vec::new();
    said.extend(terms.title.as_ref().map(|title| format!("title={title}")));
    said.extend(
        Some(terms.category().word()).filter(|word| !word.is_empty()).map(|word| format!("category={word}")),
    );
    said.extend(terms.main_line.map(|main_line| format!("main_line={main_line}")));
    said.extend(terms.length_seconds.map(|seconds| format!("seconds={seconds}")));
    said.extend(terms.subject.as_ref().map(|subject| format!("subject={subject}")));
    said.extend(terms.education_stage.map(|_| format!("stage={}", terms.education_stage().word())));
    said.extend(terms.retired.map(|retired| format!("retired={retired}")));
    said.join(" ")
}
