//! A record as people read it, in one language: what DutyService answers, with the names of whose it is and what evidence says.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        DutyState, GetInstitutionRecordRequest, GetRecordRequest, GetRegionRecordRequest, JudgedDuty, Record,
        duty_service_client::DutyServiceClient,
    },
    common::v1::Role,
    decisions::v1::{Evidence, ListEvidenceRequest, evidence_service_client::EvidenceServiceClient},
    enrollment::v1::{GetPersonRequest, person_service_client::PersonServiceClient},
};
use shipei_rules::{calendar::Zone, region::RegionCode};
use shipei_service_kit::to_timestamp;

use crate::{
    ask::{ask, each_page, instant, local_minute, programme, region_names, scheme_of},
    display::percent,
    explain::Language,
};

/// Whose record, as of when.
pub(super) struct Asked<'a> {
    pub(super) programme_id: &'a str,
    /// A person or a region; none for the training institution.
    pub(super) subject: Option<&'a str>,
    pub(super) role: i32,
    pub(super) as_of: Option<DateTime<Utc>>,
}

/// A record.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sheet {
    /// The programme's title.
    pub(super) programme: String,
    pub(super) subject: String,
    /// The name of the person or the region; empty for the institution.
    pub(super) name: String,
    pub(super) role: String,
    #[serde(skip)]
    pub(super) role_said: &'static str,
    pub(super) as_of: String,
    pub(super) withdrawn: bool,
    pub(super) on_time: i32,
    pub(super) late: i32,
    pub(super) pending: i32,
    pub(super) missed: i32,
    pub(super) excused: i32,
    /// Of those that are not excused, how many are done on time; as it is said.
    pub(super) share: String,
    /// In the order in which they are to be done.
    pub(super) duties: Vec<Line>,
}

/// A duty.
#[derive(Debug, Default, Serialize)]
pub(super) struct Line {
    pub(super) code: String,
    pub(super) duty: String,
    /// The name of its window in the scheme's calendar.
    pub(super) window: String,
    /// `on_time`, `late`, `pending`, `missed` or `excused`.
    pub(super) state: &'static str,
    #[serde(skip)]
    pub(super) state_said: &'static str,
    /// The last day on which it is on time.
    pub(super) until: String,
    pub(super) done: String,
    /// The id of what shows it.
    pub(super) evidence: String,
    /// What its bearer told; or, of what was sent back, why.
    pub(super) told: String,
    pub(super) told_by_bearer: bool,
    pub(super) sent_back: bool,
    /// Its place in Annex 1, among those of the role.
    #[serde(skip)]
    pub(super) place: usize,
}

/// Duties of one stage, in the order of Annex 1.
pub(super) struct Stage<'a> {
    pub(super) title: &'a str,
    pub(super) lines: Vec<&'a Line>,
}

impl Sheet {
    /// Asks the services.
    pub(super) async fn ask(clients: &Clients, asked: &Asked<'_>, language: Language) -> Result<Self> {
        let programme = programme(clients, asked.programme_id).await?;
        let zone = scheme_of(&programme)?.zone;
        let record = record(clients, asked).await?;
        let (name, told) = (name(clients, asked, &record).await?, told(clients, asked, &record).await?);
        let whole = |number: i32| u64::try_from(number).unwrap_or_default();
        let owed = record.on_time + record.late + record.pending + record.missed;
        let mut duties: Vec<Line> = record
            .duties
            .iter()
            .enumerate()
            .map(|(place, duty)| Line { place, ..line(duty, &told, zone, language) })
            .collect();
        // What is to be done next comes first, and what is done last.
        let next: BTreeMap<&str, usize> =
            record.next.iter().enumerate().map(|(place, code)| (code.as_str(), place)).collect();
        duties.sort_by_key(|line| next.get(line.code.as_str()).copied().unwrap_or(usize::MAX));
        Ok(Self {
            programme: programme.title,
            subject: asked.subject.unwrap_or_default().to_owned(),
            name,
            role: record.role().word().to_owned(),
            role_said: role_said(record.role(), language),
            as_of: local_minute(record.as_of.as_ref(), zone),
            withdrawn: record.withdrawn,
            on_time: record.on_time,
            late: record.late,
            pending: record.pending,
            missed: record.missed,
            excused: record.excused,
            share: percent(whole(record.on_time), whole(owed)),
            duties,
        })
    }

    /// The duties by stage, in the order of Annex 1.
    pub(super) fn stages(&self, language: Language) -> Vec<Stage<'_>> {
        let mut lines: Vec<&Line> = self.duties.iter().collect();
        lines.sort_by_key(|line| line.place);
        let mut stages: Vec<Stage<'_>> = Vec::new();
        for line in lines {
            let title = stage_said(&line.window, language);
            match stages.last_mut() {
                Some(stage) if stage.title == title => stage.lines.push(line),
                _ => stages.push(Stage { title, lines: vec![line] }),
            }
        }
        stages
    }
}

async fn record(clients: &Clients, asked: &Asked<'_>) -> Result<Record> {
    let programme_id = asked.programme_id.to_owned();
    let as_of = asked.as_of.map(to_timestamp);
    let record = match asked.subject {
        None => {
            let request = GetInstitutionRecordRequest { programme_id, as_of };
            ask!(clients, "assessment", DutyServiceClient.get_institution_record, request)?.record
        }
        Some(code) if RegionCode::parse(code).is_ok() => {
            let request = GetRegionRecordRequest { programme_id, region_code: code.to_owned(), as_of };
            ask!(clients, "assessment", DutyServiceClient.get_region_record, request)?.record
        }
        Some(person) => {
            let person_id = person.to_owned();
            let request = GetRecordRequest { programme_id, person_id, as_of, role: asked.role };
            ask!(clients, "assessment", DutyServiceClient.get_record, request)?.record
        }
    };
    record.context("the service answered without the record")
}

/// What the person or the region is called, with the region of a counselor or a lead; empty for the institution.
async fn name(clients: &Clients, asked: &Asked<'_>, record: &Record) -> Result<String> {
    let mut name = String::new();
    if !record.person_id.is_empty() {
        let (programme_id, person_id) = (asked.programme_id.to_owned(), record.person_id.clone());
        let request = GetPersonRequest { programme_id, person_id };
        let answer = ask!(clients, "enrollment", PersonServiceClient.get_person, request)?;
        name = answer.person.map(|person| person.name).unwrap_or_default();
    }
    if !record.region_code.is_empty() {
        let regions = region_names(clients, asked.programme_id).await?;
        let region = regions.get(&record.region_code).unwrap_or(&record.region_code);
        name = if name.is_empty() { region.clone() } else { format!("{name} {region}") };
    }
    Ok(name)
}

/// What was told of duties, by the fact of the evidence that shows them; of those whose evidence was sent back, by their code.
async fn told(clients: &Clients, asked: &Asked<'_>, record: &Record) -> Result<BTreeMap<String, Evidence>> {
    let mut found = BTreeMap::new();
    // A county's record is its counselors', who tell of it as the county's.
    let person_id = if record.region_code.is_empty() { record.person_id.as_str() } else { "" };
    let is_told = |duty: &&JudgedDuty| duty.told_by_bearer && (duty.sent_back || !duty.evidence.is_empty());
    for duty in record.duties.iter().filter(is_told) {
        let request = || ListEvidenceRequest {
            programme_id: asked.programme_id.to_owned(),
            person_id: person_id.to_owned(),
            region_code: record.region_code.clone(),
            duty: duty.code.clone(),
            ..Default::default()
        };
        each_page!(clients, "assessment-decisions", EvidenceServiceClient.list_evidence, request(), |page| {
            for evidence in page.evidence {
                // Of several that were sent back the last says why.
                if duty.sent_back && !evidence.sent_back_reason.is_empty() {
                    found.insert(duty.code.clone(), evidence.clone());
                }
                found.insert(evidence.fact_id.clone(), evidence);
            }
        });
    }
    Ok(found)
}

fn line(duty: &JudgedDuty, told: &BTreeMap<String, Evidence>, zone: Zone, language: Language) -> Line {
    let (state, zh, en) = match duty.state() {
        DutyState::OnTime => ("on_time", "按时", "on time"),
        DutyState::Late => ("late", "迟办", "late"),
        DutyState::Pending => ("pending", "待办", "pending"),
        DutyState::Missed => ("missed", "逾期未办", "missed"),
        DutyState::Excused => ("excused", "核准免办", "excused"),
        DutyState::Unspecified => ("", "", ""),
    };
    let state_said = match duty.sent_back {
        true => language.pick("已退回", "sent back"),
        false => language.pick(zh, en),
    };
    let evidence = told.get(if duty.sent_back { &duty.code } else { &duty.evidence });
    let told = match evidence {
        Some(evidence) if duty.sent_back => evidence.sent_back_reason.clone(),
        Some(evidence) => words_of(evidence, language),
        None => String::new(),
    };
    Line {
        code: duty.code.clone(),
        duty: language.pick(&duty.duty_zh, &duty.duty_en).to_owned(),
        window: duty.window.clone(),
        state,
        state_said,
        until: instant(duty.until_time.as_ref()).map(|until| last_day(until, zone)).unwrap_or_default(),
        done: local_minute(duty.done_time.as_ref(), zone),
        evidence: duty.evidence.clone(),
        told,
        told_by_bearer: duty.told_by_bearer,
        sent_back: duty.sent_back,
        place: 0,
    }
}

/// What evidence says: its text, whom it is about, where it can be read, and that a file shows it.
fn words_of(evidence: &Evidence, language: Language) -> String {
    let about = evidence.about_person_ids.join("、");
    let file: String = evidence.file_sha256.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let file = match file.is_empty() {
        true => String::new(),
        false => format!("{} {file}…", language.pick("附件", "file")),
    };
    let parts = [evidence.text.as_str(), about.as_str(), evidence.link.as_str(), file.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(language.pick("；", "; "))
}

/// The last day on which something is on time.
fn last_day(until: DateTime<Utc>, zone: Zone) -> String {
    zone.day_of(until - TimeDelta::microseconds(1)).to_string()
}

fn role_said(role: Role, language: Language) -> &'static str {
    match role {
        Role::Trainee => language.pick("参训教师", "trainee"),
        Role::ClassTutor => language.pick("班级辅导教师", "class tutor"),
        Role::CountyCounselor => language.pick("县（区）辅导员", "county counselor"),
        Role::SubjectExpert => language.pick("学科专家", "subject expert"),
        Role::MunicipalLead => language.pick("市级负责人", "municipal lead"),
        Role::TrainingInstitution => language.pick("承培机构", "training institution"),
        Role::Province | Role::Service | Role::Unspecified => "",
    }
}

/// What a window of the notice is called; of another scheme's own windows the name.
fn stage_said(window: &str, language: Language) -> &str {
    match window {
        "preparation" => language.pick("准备", "Preparation"),
        "reporting" => language.pick("上报信息", "Reporting"),
        "login" => language.pick("登录平台", "Logging in"),
        "phase_1" => language.pick("培训第一阶段", "Training, phase 1"),
        "phase_2" => language.pick("培训第二阶段", "Training, phase 2"),
        "phase_3" => language.pick("培训第三阶段", "Training, phase 3"),
        "phase_4" => language.pick("培训第四阶段", "Training, phase 4"),
        "offline" => language.pick("线下研修", "Offline activity"),
        "assessment" => language.pick("考核", "Assessment"),
        "summary" => language.pick("总结", "Summary"),
        other => other,
    }
}
