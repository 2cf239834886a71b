//! `shipei duties`: what somebody has to do next, and where all their duties of Annex 1 stand (工作流程): a person's, a county's, a
//! city's, the training institution's. It shows what DutyService answers, in the order in which it is to be done.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        DutyState, GetInstitutionRecordRequest, GetRecordRequest, GetRegionRecordRequest, JudgedDuty, Record,
        duty_service_client::DutyServiceClient,
    },
    common::v1::Role,
};
use shipei_rules::{calendar::Zone, region::RegionCode};
use shipei_service_kit::to_timestamp;

use crate::{
    ask::{Server, ask, instant, local_minute, programme, scheme_of},
    display::{columns, percent, say, table},
    explain::Language,
};

/// What stands below the help of `shipei duties`.
pub const EXAMPLES: &str = "\
Examples:
  shipei duties U0003 --programme qinhuangdao-2019         a trainee, a class tutor, an expert
  shipei duties 130302 --programme qinhuangdao-2019        a county: what its counselors owe
  shipei duties 130300 --programme qinhuangdao-2019        a city: what its lead owes
  shipei duties --programme qinhuangdao-2019 --json        the training institution

What can still be done on time comes first, the next deadline first; then what was missed, then
what was done. Most of it the services' own facts show; of the rest, marked with ✎, its bearer
tells that it was done: `shipei evidence submit`.";

/// Whose duties, and how they are shown.
#[derive(Debug, Args)]
pub struct Options {
    /// A person's id, or a county's or city's six-digit code; the training institution if it isn't said.
    subject: Option<String>,
    /// In which role, e.g. class_tutor, of somebody who has several.
    #[arg(long)]
    role: Option<String>,
    /// The programme.
    #[arg(long)]
    programme: String,
    /// As of when, e.g. 2019-11-30T23:59:59+08:00; now if it isn't said.
    #[arg(long, value_name = "TIME")]
    as_of: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// The language; what LANG says if it isn't given.
    #[arg(long)]
    lang: Option<Language>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// A record as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    subject: String,
    role: String,
    as_of: String,
    withdrawn: bool,
    on_time: i32,
    late: i32,
    pending: i32,
    missed: i32,
    /// In the order in which they are to be done.
    duties: Vec<ShownDuty>,
}

/// A duty as JSON.
#[derive(Debug, Serialize)]
struct ShownDuty {
    code: String,
    duty: String,
    state: &'static str,
    until: String,
    done: String,
    evidence: String,
    told_by_bearer: bool,
    sent_back: bool,
}

/// Shows a record.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(options: &Options) -> Result<()> {
    let clients = &options.server.connect().await?;
    let language = options.lang.unwrap_or_else(Language::of_terminal);
    let zone = scheme_of(&programme(clients, &options.programme).await?)?.zone;
    let record = record(clients, options).await?;
    let shown = shown(options, &record, zone, language);
    if options.json {
        say(&serde_json::to_string_pretty(&shown)?);
    } else {
        say(text(&record, &shown, language, columns()).trim_end());
    }
    Ok(())
}

async fn record(clients: &Clients, options: &Options) -> Result<Record> {
    let programme_id = options.programme.clone();
    let as_of = options.as_of.map(|time| to_timestamp(time.to_utc()));
    let record = match options.subject.as_deref() {
        None => {
            let request = GetInstitutionRecordRequest { programme_id, as_of };
            ask!(clients, "assessment", DutyServiceClient.get_institution_record, request)?.record
        }
        Some(code) if RegionCode::parse(code).is_ok() => {
            let request = GetRegionRecordRequest { programme_id, region_code: code.to_owned(), as_of };
            ask!(clients, "assessment", DutyServiceClient.get_region_record, request)?.record
        }
        Some(person) => {
            let role = role_number(options.role.as_deref())?;
            let request = GetRecordRequest { programme_id, person_id: person.to_owned(), as_of, role };
            ask!(clients, "assessment", DutyServiceClient.get_record, request)?.record
        }
    };
    record.context("the service answered without the record")
}

/// A role as messages have it; 0 for none.
pub(crate) fn role_number(word: Option<&str>) -> Result<i32> {
    let Some(word) = word else { return Ok(0) };
    let role = shipei_rules::vocabulary::Role::parse(word).with_context(|| format!("{word} is no role"))?;
    Ok(Role::from(role).into())
}

/// The duties of a record in the order in which they are to be done; those that are done last, in the order of Annex 1.
fn in_order(record: &Record) -> Vec<&JudgedDuty> {
    let places: BTreeMap<&str, usize> =
        record.next.iter().enumerate().map(|(place, code)| (code.as_str(), place)).collect();
    let mut duties: Vec<&JudgedDuty> = record.duties.iter().collect();
    duties.sort_by_key(|duty| places.get(duty.code.as_str()).copied().unwrap_or(usize::MAX));
    duties
}

fn shown(options: &Options, record: &Record, zone: Zone, language: Language) -> Shown {
    let duties = in_order(record).into_iter().map(|duty| ShownDuty {
        code: duty.code.clone(),
        duty: language.pick(&duty.duty_zh, &duty.duty_en).to_owned(),
        state: state_word(duty.state()),
        until: instant(duty.until_time.as_ref()).map(|until| last_day(until, zone)).unwrap_or_default(),
        done: local_minute(duty.done_time.as_ref(), zone),
        evidence: duty.evidence.clone(),
        told_by_bearer: duty.told_by_bearer,
        sent_back: duty.sent_back,
    });
    Shown {
        subject: options.subject.clone().unwrap_or_default(),
        role: record.role().word().to_owned(),
        as_of: local_minute(record.as_of.as_ref(), zone),
        withdrawn: record.withdrawn,
        on_time: record.on_time,
        late: record.late,
        pending: record.pending,
        missed: record.missed,
        duties: duties.collect(),
    }
}

/// The last day on which something is on time.
fn last_day(until: DateTime<Utc>, zone: Zone) -> String {
    zone.day_of(until - TimeDelta::microseconds(1)).to_string()
}

fn state_word(state: DutyState) -> &'static str {
    match state {
        DutyState::OnTime => "on_time",
        DutyState::Late => "late",
        DutyState::Pending => "pending",
        DutyState::Missed => "missed",
        DutyState::Unspecified => "",
    }
}

fn text(record: &Record, shown: &Shown, language: Language, columns: u16) -> String {
    let whose = match record.role() {
        Role::Trainee => language.pick("参训教师", "trainee"),
        Role::ClassTutor => language.pick("班级辅导教师", "class tutor"),
        Role::CountyCounselor => language.pick("县(区)辅导员", "county counselor"),
        Role::SubjectExpert => language.pick("学科专家", "subject expert"),
        Role::MunicipalLead => language.pick("市级负责人", "municipal lead"),
        Role::TrainingInstitution => language.pick("培训机构", "training institution"),
        Role::Province | Role::Service | Role::Unspecified => "",
    };
    let head = format!(
        "{} · {whose} {}   {} {}",
        language.pick("工作记录", "record"),
        shown.subject,
        language.pick("截至", "as of"),
        shown.as_of
    );
    if shown.withdrawn {
        return format!(
            "{head}\n{}\n",
            language.pick("已退出或离岗，无工作任务", "has left: nothing is owed")
        );
    }
    let all = shown.duties.len();
    let whole = |number: i32| u64::try_from(number).unwrap_or_default();
    let share = percent(whole(shown.on_time), u64::try_from(all).unwrap_or_default());
    let counts = match language {
        Language::Zh => format!(
            "{all}项：按时{}（{share}），迟办{}，待办{}，逾期未办{}",
            shown.on_time, shown.late, shown.pending, shown.missed
        ),
        Language::En => format!(
            "{all} duties: {} on time ({share}), {} late, {} pending, {} missed",
            shown.on_time, shown.late, shown.pending, shown.missed
        ),
    };
    let rows: Vec<Vec<String>> = shown.duties.iter().map(|duty| row(duty, language)).collect();
    let headings = match language {
        Language::Zh => ["状态", "工作", "截止", "完成", "依据"],
        Language::En => ["state", "duty", "last day", "done", "shown by"],
    };
    table(columns, &format!("{head}\n{counts}\n"), &headings, &rows)
}

fn row(duty: &ShownDuty, language: Language) -> Vec<String> {
    let (mark, zh) = match duty.state {
        "on_time" => ("✓", "按时"),
        "late" => ("◐", "迟办"),
        "pending" => ("…", "待办"),
        _ => ("✗", "逾期"),
    };
    let state = match (duty.sent_back, language) {
        (true, _) => language.pick("已退回", "sent back").to_owned(),
        (false, Language::Zh) => zh.to_owned(),
        (false, Language::En) => duty.state.replace('_', " "),
    };
    let told = if duty.told_by_bearer { " ✎" } else { "" };
    vec![
        format!("{mark} {state}"),
        format!("{}{told}\n{}", duty.duty, duty.code),
        duty.until.clone(),
        duty.done.clone(),
        duty.evidence.clone(),
    ]
}
