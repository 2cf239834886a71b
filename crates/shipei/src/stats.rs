//! `shipei stats`: where a province, a city, a county, a school or a class stands, as tables and plots.

mod watch;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use shipei_client::{client::Clients, replay::scores::decimals};
use shipei_contracts::{
    assessment::v1::{
        GetStatisticsRequest, ListStatisticsRequest, Statistics, StatisticsBy,
        statistics_service_client::StatisticsServiceClient,
    },
    common::v1::EducationStage,
};

use crate::{
    ask::{Server, ask, each_page, region_names},
    display::{columns, histogram, percent, say, table},
};

/// What stands below the help of `shipei stats`.
pub const EXAMPLES: &str = "\
Examples:
  shipei stats --programme qinhuangdao-2019                    the whole programme, with plots
  shipei stats --programme qinhuangdao-2019 --by county        pass rate by county
  shipei stats --programme qinhuangdao-2019 --region 130302 --by class
  shipei stats --programme qinhuangdao-2019 --class L0003 --days
  shipei stats --programme qinhuangdao-2019 --by subject --stage compulsory --json
  shipei stats --programme qinhuangdao-2019 --region 130302 --watch     as it changes

Shares are of the trainees who have not withdrawn. Late weeks are those of classes in which work
waited too long for its mark; schools, subjects and stages have no tutor, and none.";

/// The width of a plot by day, columns.
const DAY_COLUMNS: u64 = 40;

/// By what rows are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Cities (市).
    City,
    /// Counties (县区).
    County,
    /// Schools (学校).
    School,
    /// Classes (班级).
    Class,
    /// Subjects (学科).
    Subject,
    /// Compulsory or not (学段).
    Stage,
    /// Stages of development (发展阶段).
    Development,
}

/// Compulsory education or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Compulsory (义务教育).
    Compulsory,
    /// Not compulsory (非义务教育).
    NonCompulsory,
}

/// Whose statistics, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// The programme.
    #[arg(long)]
    programme: String,
    /// A province, city or county, with what lies in it.
    #[arg(long, value_name = "CODE", group = "whose")]
    region: Option<String>,
    /// A school.
    #[arg(long, value_name = "CODE", group = "whose", conflicts_with = "by")]
    school: Option<String>,
    /// A class.
    #[arg(long, value_name = "ID", group = "whose", conflicts_with = "by")]
    class: Option<String>,
    /// A row for each of these.
    #[arg(long, conflicts_with = "days")]
    by: Option<By>,
    /// Only this education stage.
    #[arg(long)]
    stage: Option<Stage>,
    /// Day by day.
    #[arg(long)]
    days: bool,
    /// Show them anew whenever they have changed; with --json a line each time.
    #[arg(long, conflicts_with_all = ["by", "days"])]
    watch: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Options {
    fn stage(&self) -> EducationStage {
        match self.stage {
            None => EducationStage::Unspecified,
            Some(Stage::Compulsory) => EducationStage::Compulsory,
            Some(Stage::NonCompulsory) => EducationStage::NonCompulsory,
        }
    }
}

impl By {
    fn asked(self) -> StatisticsBy {
        match self {
            Self::City => StatisticsBy::City,
            Self::County => StatisticsBy::County,
            Self::School => StatisticsBy::School,
            Self::Class => StatisticsBy::Class,
            Self::Subject => StatisticsBy::Subject,
            Self::Stage => StatisticsBy::EducationStage,
            Self::Development => StatisticsBy::DevelopmentStage,
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::City => "市\ncity",
            Self::County => "县(区)\ncounty",
            Self::School => "学校\nschool",
            Self::Class => "班级\nclass",
            Self::Subject => "学科\nsubject",
            Self::Stage => "学段\nstage",
            Self::Development => "发展阶段\ndevelopment",
        }
    }
}

/// Shows statistics.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(options: &Options) -> Result<()> {
    let clients = options.server.connect().await?;
    match options.by {
        Some(by) => list(&clients, options, by).await,
        None if options.watch => watch::watch(&clients, options).await,
        None => one(&clients, options).await,
    }
}

async fn one(clients: &Clients, options: &Options) -> Result<()> {
    let named = |value: &Option<String>| value.clone().unwrap_or_default();
    let message = GetStatisticsRequest {
        programme_id: options.programme.clone(),
        region_code: named(&options.region),
        school_code: named(&options.school),
        class_id: named(&options.class),
        education_stage: options.stage().into(),
        by_day: options.days,
    };
    let answer = ask!(clients, "assessment", StatisticsServiceClient.get_statistics, message)?;
    let statistics = answer.statistics.context("assessment answered without statistics")?;
    if options.json {
        say(&serde_json::to_string_pretty(&as_json(&statistics))?);
        return Ok(());
    }
    show(options, &statistics);
    say_if_behind(answer.catching_up);
    Ok(())
}

/// The figures of one place as a table, with plots.
fn show(options: &Options, statistics: &Statistics) {
    let width = columns();
    let title = match statistics.key.is_empty() {
        true => format!("{} 全部 all", options.programme),
        false => format!("{} {}", options.programme, statistics.key),
    };
    say(&table(width, &title, &["指标\nwhat", "人数\ntrainees", "比例\nshare"], &figures(statistics)));
    say(&format!("平均分 average {}\n", decimals(statistics.average_hundredths)));
    say(&histogram("总分分布 totals", &by_tens(statistics)));
    if !statistics.offline_scores.is_empty() {
        let scores = statistics.offline_scores.iter();
        let buckets: Vec<(String, u64)> =
            scores.map(|score| (score.value.to_string(), count(score.count))).collect();
        say(&histogram("线下成绩分布 offline scores", &buckets));
    }
    if options.days {
        say(&days(width, statistics));
    }
}

async fn list(clients: &Clients, options: &Options, by: By) -> Result<()> {
    let (mut rows, mut catching_up) = (Vec::new(), false);
    let message = || ListStatisticsRequest {
        programme_id: options.programme.clone(),
        region_code: options.region.clone().unwrap_or_default(),
        by: by.asked().into(),
        education_stage: options.stage().into(),
        ..Default::default()
    };
    each_page!(clients, "assessment", StatisticsServiceClient.list_statistics, message(), |page| {
        rows.extend(page.statistics);
        catching_up |= page.catching_up;
    });
    if options.json {
        say(&serde_json::to_string_pretty(&rows.iter().map(as_json).collect::<Vec<_>>())?);
        return Ok(());
    }
    let names = match by {
        By::City | By::County => region_names(clients, &options.programme).await?,
        _ => BTreeMap::new(),
    };
    let phases = rows.first().map_or(0, |row| row.phases.len());
    let phase_headings: Vec<String> =
        (1..=phases).map(|phase| format!("第{phase}阶段\nphase {phase}")).collect();
    let mut headings = vec![by.heading(), "学员\ntrainees", "登录\nlog-in"];
    headings.extend(phase_headings.iter().map(String::as_str));
    headings.extend(["作业\nwork", "研修\nseminar", "优秀\nexcellent", "平均分\naverage", "合格率\npassed"]);
    let has_weeks = rows.iter().any(|row| row.late_weeks.is_some());
    if has_weeks {
        headings.push("超期周\nlate weeks");
    }
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let share = |part: i32| percent(count(part), count(row.active));
            let title = match names.get(&row.key) {
                Some(name) => format!("{name} {}", row.key),
                None => row.key.clone(),
            };
            let mut line = vec![title, row.active.to_string(), share(row.logged_in)];
            line.extend(row.phases.iter().map(|phase| share(phase.earned)));
            line.extend([row.submitted, row.seminar_earned, row.excellent].map(share));
            line.extend([decimals(row.average_hundredths), share(row.passed)]);
            line.extend(row.late_weeks.map(|weeks| weeks.to_string()));
            line
        })
        .collect();
    say(&table(columns(), &format!("{} 统计 statistics", options.programme), &headings, &lines));
    say_if_behind(catching_up);
    Ok(())
}

fn say_if_behind(catching_up: bool) {
    if catching_up {
        say("正在追赶日志，稍后再看 / assessment is catching up with the logs: look again in a moment");
    }
}

/// The figures of one place, each with its share.
fn figures(statistics: &Statistics) -> Vec<Vec<String>> {
    let active = statistics.active;
    let mut rows = vec![vec!["参训教师 trainees".to_owned(), active.to_string(), String::new()]];
    let mut add = |what: String, part: i32, whole: i32| {
        rows.push(vec![what, part.to_string(), percent(count(part), count(whole))]);
    };
    add("已登录 logged in".to_owned(), statistics.logged_in, active);
    add("按时登录 logged in on time".to_owned(), statistics.logged_in_on_time, active);
    for (number, phase) in (1..).zip(&statistics.phases) {
        add(format!("第{number}阶段 phase {number}"), phase.earned, active);
    }
    add("已交作业 submitted".to_owned(), statistics.submitted, active);
    add("已批阅 marked".to_owned(), statistics.marked, active);
    add("作业优秀 excellent work".to_owned(), statistics.excellent, active);
    add("班级研修 seminar".to_owned(), statistics.seminar_earned, active);
    add("线下已评分 offline scored".to_owned(), statistics.attendance_scored, statistics.attended);
    add("合格 passed".to_owned(), statistics.passed, active);
    if let Some(weeks) = statistics.late_weeks {
        rows.push(vec!["班级批阅超期周 late weeks of classes".to_owned(), weeks.to_string(), String::new()]);
    }
    rows
}

fn by_tens(statistics: &Statistics) -> Vec<(String, u64)> {
    let most = statistics.totals.iter().map(|total| total.value).max().unwrap_or(0).max(100);
    let mut buckets: BTreeMap<i32, u64> = (0..=most / 10).map(|tens| (tens, 0)).collect();
    for total in &statistics.totals {
        *buckets.entry(total.value / 10).or_default() += count(total.count);
    }
    let label = |tens: i32| match tens {
        10 if most == 100 => "100".to_owned(),
        tens => format!("{}-{}", tens * 10, tens * 10 + 9),
    };
    buckets.into_iter().map(|(tens, count)| (label(tens), count)).collect()
}

/// Who had passed by each day, and what happened on it.
fn days(width: u16, statistics: &Statistics) -> String {
    let active = count(statistics.active).max(1);
    let mut passed = 0;
    let mut rows = Vec::new();
    for day in &statistics.days {
        passed += count(day.passed);
        let phases: i32 = day.phases.iter().map(|phase| phase.earned).sum();
        let bar = usize::try_from(passed * DAY_COLUMNS / active).unwrap_or_default();
        let what =
            [day.logged_in, phases, day.submitted, day.seminar_earned, day.attendance_scored, day.late_weeks];
        let mut row = vec![day.day.clone()];
        row.extend(what.map(|count| count.to_string()));
        row.extend([passed.to_string(), "█".repeat(bar)]);
        rows.push(row);
    }
    let headings = [
        "日期\nday",
        "登录\nlog-in",
        "达标\nphases",
        "作业\nwork",
        "研修\nseminar",
        "线下\noffline",
        "超期周\nlate weeks",
        "累计合格\npassed",
        "",
    ];
    table(width, "每日 day by day", &headings, &rows)
}

/// The message under the names of its fields.
fn as_json(statistics: &Statistics) -> Value {
    let phases = |phases: &[shipei_contracts::assessment::v1::PhaseStatistics]| -> Value {
        phases.iter().map(|phase| (phase.phase.clone(), Value::from(phase.earned))).collect()
    };
    let values = |values: &[shipei_contracts::assessment::v1::ValueCount]| -> Value {
        values.iter().map(|value| (value.value.to_string(), Value::from(value.count))).collect()
    };
    let days: Vec<Value> = statistics
        .days
        .iter()
        .map(|day| {
            json!({
                "day": day.day, "logged_in": day.logged_in, "phases": phases(&day.phases),
                "submitted": day.submitted, "seminar_earned": day.seminar_earned,
                "attendance_scored": day.attendance_scored, "passed": day.passed,
                "late_weeks": day.late_weeks,
            })
        })
        .collect();
    json!({
        "key": statistics.key, "active": statistics.active, "logged_in": statistics.logged_in,
        "logged_in_on_time": statistics.logged_in_on_time, "phases": phases(&statistics.phases),
        "submitted": statistics.submitted, "marked": statistics.marked, "excellent": statistics.excellent,
        "graded_pass": statistics.graded_pass, "graded_fail": statistics.graded_fail,
        "seminar_earned": statistics.seminar_earned, "passed": statistics.passed,
        "passed_share": decimals(statistics.passed_share), "average": decimals(statistics.average_hundredths),
        "totals": values(&statistics.totals), "offline_scores": values(&statistics.offline_scores),
        "attended": statistics.attended, "attendance_scored": statistics.attendance_scored,
        "late_weeks": statistics.late_weeks, "days": days,
    })
}

fn count(value: i32) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
