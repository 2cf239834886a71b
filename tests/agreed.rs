//! What a season adds up to and where its duties stand, read through the API and held against the oracle's files (`oracle/law_statistics.py`,
//! `oracle/law_duties.py`), which share no code with the product.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use shipei_client::{
    client::Clients,
    replay::calls::timestamp,
    season::{
        line::Line,
        roster::{REGIONS, read},
    },
};
use shipei_contracts::{
    assessment::v1::{
        DutyState, GetInstitutionRecordRequest, GetRecordRequest, GetRegionRecordRequest,
        ListStatisticsRequest, Record, Statistics, StatisticsBy, duty_service_client::DutyServiceClient,
        statistics_service_client::StatisticsServiceClient,
    },
    common::v1::Role,
    enrollment::v1::{ListPeopleRequest, person_service_client::PersonServiceClient},
};

use crate::places::ask;

/// How many rows that differ are shown.
const SHOWN_MAX: usize = 12;

/// By what the oracle tells trainees apart, in its words.
const BY: [(&str, StatisticsBy); 8] = [
    ("all", StatisticsBy::Unspecified),
    ("city", StatisticsBy::City),
    ("county", StatisticsBy::County),
    ("school", StatisticsBy::School),
    ("class", StatisticsBy::Class),
    ("subject", StatisticsBy::Subject),
    ("education_stage", StatisticsBy::EducationStage),
    ("development_stage", StatisticsBy::DevelopmentStage),
];

/// The statistics of a programme agree with the oracle's.
pub(crate) async fn statistics_agree(clients: &Clients, programme: &str, expected: &Path) -> Result<()> {
    let wanted = rows(&expected.join("statistics.csv"), 3)?;
    let mut found = BTreeMap::new();
    for (word, by) in BY {
        let mut page_token = String::new();
        loop {
            let request = ListStatisticsRequest {
                programme_id: programme.to_owned(),
                by: by.into(),
                page_size: 7,
                page_token,
                ..Default::default()
            };
            let page = ask!(clients, StatisticsServiceClient, "assessment", list_statistics, request);
            ensure!(!page.catching_up, "assessment has caught up");
            for statistics in &page.statistics {
                for (figure, value) in figures(statistics) {
                    if value != 0 {
                        let key = format!("{word},{},{figure}", statistics.key);
                        ensure!(found.insert(key, value.to_string()).is_none(), "twice: {word} {figure}");
                    }
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    same("statistics", &wanted, &found)
}

/// The figures of a row under the oracle's names.
fn figures(statistics: &Statistics) -> Vec<(String, i32)> {
    let named = [
        ("active", statistics.active),
        ("logged_in", statistics.logged_in),
        ("logged_in_on_time", statistics.logged_in_on_time),
        ("submitted", statistics.submitted),
        ("marked", statistics.marked),
        ("excellent", statistics.excellent),
        ("graded_pass", statistics.graded_pass),
        ("graded_fail", statistics.graded_fail),
        ("seminar_earned", statistics.seminar_earned),
        ("passed", statistics.passed),
        ("passed_share", statistics.passed_share),
        ("average_hundredths", statistics.average_hundredths),
        ("attended", statistics.attended),
        ("attendance_scored", statistics.attendance_scored),
        ("late_weeks", statistics.late_weeks.unwrap_or_default()),
    ];
    let mut figures: Vec<(String, i32)> = named.map(|(name, value)| (name.to_owned(), value)).into();
    figures.extend(statistics.phases.iter().map(|phase| (phase.phase.clone(), phase.earned)));
    figures.extend(statistics.totals.iter().map(|total| (format!("total:{}", total.value), total.count)));
    let offline = statistics.offline_scores.iter();
    figures.extend(offline.map(|score| (format!("offline:{}", score.value), score.count)));
    figures
}

/// The records of everybody as of a time agree with the oracle's `file`.
pub(crate) async fn duties_agree(
    clients: &Clients,
    programme: &str,
    season: &Path,
    (expected, as_of): (&Path, DateTime<Utc>),
) -> Result<()> {
    let mut wanted = rows(expected, 3)?;
    let mut found = BTreeMap::new();
    let (programme_id, as_of) = (programme.to_owned(), Some(timestamp(as_of)));
    for (person_id, role) in people(clients, programme).await? {
        let (programme_id, role) = (programme_id.clone(), role.into());
        let request = GetRecordRequest { programme_id, person_id: person_id.clone(), as_of, role };
        let answer = ask!(clients, DutyServiceClient, "assessment", get_record, request);
        note(&mut found, &person_id, &answer.record.context("a record")?);
    }
    for row in read(&season.join("roster/regions.csv"), &REGIONS)?.rows() {
        if row.get("level") == "province" {
            continue;
        }
        let (programme_id, region_code) = (programme_id.clone(), row.get("code").to_owned());
        let request = GetRegionRecordRequest { programme_id, region_code: region_code.clone(), as_of };
        let answer = ask!(clients, DutyServiceClient, "assessment", get_region_record, request);
        note(&mut found, &region_code, &answer.record.context("a record")?);
    }
    let request = GetInstitutionRecordRequest { programme_id, as_of };
    let answer = ask!(clients, DutyServiceClient, "assessment", get_institution_record, request);
    note(&mut found, "", &answer.record.context("a record")?);
    // Of what happened at one instant the oracle names everything, and the record one.
    for (key, wanted) in &mut wanted {
        let names = wanted.split(',').nth(2).unwrap_or_default().to_owned();
        let shown = found.get(key).and_then(|found: &String| found.split(',').nth(2)).unwrap_or_default();
        // And of a fact that a season doesn't name it says that it is shown by itself.
        if names.split(' ').any(|name| name == shown) || (names == "*" && !shown.is_empty()) {
            *wanted = wanted.replace(&format!(",{names},"), &format!(",{shown},"));
        }
    }
    same("duties", &wanted, &found)
}

/// Everybody but who counts for somebody else, in each of their roles.
async fn people(clients: &Clients, programme: &str) -> Result<Vec<(String, Role)>> {
    let mut people = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListPeopleRequest {
            programme_id: programme.to_owned(),
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = ask!(clients, PersonServiceClient, "enrollment", list_people, request);
        let own = page.people.into_iter().filter(|person| person.counts_for_id.is_empty());
        people.extend(own.map(|person| (person.person_id.clone(), person.role())));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(people);
        }
    }
}

/// A record under the oracle's words.
fn note(found: &mut BTreeMap<String, String>, bearer: &str, record: &Record) {
    let role = record.role().word();
    if record.withdrawn {
        found.insert(format!("{role},{bearer},"), "withdrawn,,,false".to_owned());
    }
    for duty in &record.duties {
        let state = match duty.state() {
            DutyState::OnTime => "on_time",
            DutyState::Late => "late",
            DutyState::Pending => "pending",
            DutyState::Missed => "missed",
            DutyState::Excused => "excused",
            DutyState::Unspecified => "",
        };
        let is_done = matches!(duty.state(), DutyState::OnTime | DutyState::Late);
        let micros = |at: &prost_types::Timestamp| at.seconds * 1_000_000 + i64::from(at.nanos / 1_000);
        let done = duty.done_time.as_ref().map(|at| micros(at).to_string()).unwrap_or_default();
        let by = if is_done { duty.evidence.as_str() } else { "" };
        let value = format!("{state},{done},{by},{}", duty.sent_back);
        found.insert(format!("{role},{bearer},{}", duty.code), value);
    }
}

/// The rows of a file by their first columns.
fn rows(file: &Path, columns: usize) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    let mut rows = BTreeMap::new();
    for line in text.lines().skip(1) {
        let (border, _) = line.match_indices(',').nth(columns - 1).context("too few columns")?;
        rows.insert(line[..border].to_owned(), line[border + 1..].to_owned());
    }
    ensure!(!rows.is_empty(), "{} is empty", file.display());
    Ok(rows)
}

fn same(what: &str, wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Result<()> {
    let mut differ = Vec::new();
    for key in wanted.keys().chain(found.keys().filter(|key| !wanted.contains_key(*key))) {
        let (wanted, found) = (wanted.get(key), found.get(key));
        if wanted != found {
            let said = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
            differ.push(format!("  {key}: the oracle says {}, the product {}", said(wanted), said(found)));
        }
    }
    let count = differ.len();
    differ.truncate(SHOWN_MAX);
    ensure!(count == 0, "{count} rows of {what} differ:\n{}", differ.join("\n"));
    Ok(())
}

/// The lines of a season that are not blank.
pub(crate) fn lines_of(season: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(season.join("season.ndjson"))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(ToOwned::to_owned).collect())
}

/// When a line's fact happened.
pub(crate) fn moment_of(line: &str) -> Result<DateTime<Utc>> {
    Ok(Line::parse(line)?.at)
}

/// The same season, of which only so many lines have been told.
pub(crate) fn cut(season: &Path, out: PathBuf, lines: usize) -> Result<PathBuf> {
    fs::create_dir_all(out.join("roster"))?;
    fs::copy(season.join("scheme.toml"), out.join("scheme.toml"))?;
    for file in fs::read_dir(season.join("roster"))? {
        let file = file?;
        fs::copy(file.path(), out.join("roster").join(file.file_name()))?;
    }
    let kept: Vec<String> = lines_of(season)?.into_iter().take(lines).collect();
    fs::write(out.join("season.ndjson"), kept.join("\n") + "\n")?;
    Ok(out)
}
