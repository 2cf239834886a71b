//! Lists that are sent row by row: schools, classes, courses, attendance and scores of offline activities. What: the file is
//! read here as the server reads a roster, each good row is one call of the public API, some at once, and what a call
//! refuses is the row's fault. Why calls and not a file: each of these has an RPC that takes one row and may be sent twice.
//! Another list is another [`List`]: its columns, its message, its call.

use std::{collections::HashMap, path::Path};

use anyhow::{Context as _, Result};
use futures::stream::StreamExt as _;
use shipei_client::{
    client::{Clients, explain, is_transient},
    replay::calls::send,
};
use shipei_contracts::{
    common::v1::EducationStage, enrollment::v1 as enrollment, learning::v1 as learning,
    offline::v1 as offline,
};
use shipei_service_kit::status;
use shipei_tables::{Choices, Column, Rejected, Ruin, Table, ruin_of};
use tonic::Status;

use super::{
    counted::{Counted, bar},
    time_cell,
};

/// Calls under way at once.
const CALLS_UNDER_WAY_MAX: usize = 16;
/// The most bytes of cells of rejected rows.
const REJECTED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A list that is sent row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// Schools of counties.
    Schools,
    /// Classes and their tutors.
    Classes,
    /// Courses.
    Courses,
    /// Who attended an offline activity.
    Attendance,
    /// Scores of who attended.
    Scores,
}

const fn code(name: &'static str, zh: &'static [&'static str]) -> Column {
    Column { name, zh, required: true, is_code: true }
}

const fn text(name: &'static str, zh: &'static [&'static str]) -> Column {
    Column { name, zh, required: true, is_code: false }
}

const SCHOOLS: [Column; 3] = [
    code("school_code", &["学校代码", "学校编号", "学校编码"]),
    text("name", &["学校名称", "学校", "名称"]),
    code("county_code", &["县区代码", "县区", "所属县区"]),
];
const CLASSES: [Column; 4] = [
    code("class_id", &["班级编号", "班级代码"]),
    text("name", &["班级名称", "班级", "名称"]),
    code("region_code", &["区划代码", "所属区划", "县区代码"]),
    Column {
        required: false, ..code("tutor_id", &["辅导教师编号", "班级辅导教师", "辅导教师"])
    },
];
const COURSES: [Column; 8] = [
    code("course_id", &["课程编号", "课程代码"]),
    text("title", &["课程名称", "课程"]),
    text("category", &["课程类别", "类别"]),
    text("main_line", &["主线课程", "是否主线课程", "是否主线"]),
    Column { required: false, ..code("minutes", &["时长（分钟）", "时长", "分钟"]) },
    Column { required: false, ..text("subject", &["学科"]) },
    Column { required: false, ..text("education_stage", &["教育阶段", "学段"]) },
    Column { required: false, ..code("length_seconds", &["课程秒数", "秒数", "秒"]) },
];
const ATTENDANCE: [Column; 4] = [
    code("activity_id", &["活动编号"]),
    code("person_id", &["人员编号", "编号", "学员编号"]),
    code("counselor_id", &["辅导员编号", "县区辅导员"]),
    Column { required: false, ..text(TIME, &["签到", "签到时间", "时间"]) },
];
const SCORES: [Column; 5] = [
    code("activity_id", &["活动编号"]),
    code("person_id", &["人员编号", "编号", "学员编号"]),
    code("score", &["成绩", "得分", "分数"]),
    code("counselor_id", &["辅导员编号", "县区辅导员"]),
    Column { required: false, ..text(TIME, &["评分时间", "评分", "时间"]) },
];
/// The column of when something happened: what is told afterwards counts from then.
const TIME: &str = "time";

/// One row as its call.
enum Call {
    School(enrollment::CreateSchoolRequest),
    Class(enrollment::CreateClassRequest),
    Course(learning::CreateCourseRequest),
    Attendance(offline::RecordAttendanceRequest),
    Score(offline::ScoreAttendeeRequest),
}

impl List {
    fn columns(self) -> &'static [Column] {
        match self {
            Self::Schools => &SCHOOLS,
            Self::Classes => &CLASSES,
            Self::Courses => &COURSES,
            Self::Attendance => &ATTENDANCE,
            Self::Scores => &SCORES,
        }
    }

    /// The call of a row, or what is wrong with it in English and Chinese.
    fn call(self, programme: &str, cells: &Cells, validate_only: bool) -> Result<Call, String> {
        let Cells { texts: cells, time } = cells;
        let programme_id = programme.to_owned();
        let get = |place: usize| cells.get(place).cloned().unwrap_or_default();
        let whole = |place: usize| {
            get(place).parse::<i32>().map_err(|_| self.fault(place, "no whole number", "应为整数"))
        };
        Ok(match self {
            Self::Schools => Call::School(enrollment::CreateSchoolRequest {
                programme_id,
                school_code: get(0),
                name: get(1),
                county_code: get(2),
                validate_only,
                ..Default::default()
            }),
            Self::Classes => Call::Class(enrollment::CreateClassRequest {
                programme_id,
                class_id: get(0),
                name: get(1),
                region_code: get(2),
                tutor_id: get(3),
                validate_only,
                ..Default::default()
            }),
            Self::Courses => {
                let category = category_of(&get(2)).ok_or_else(|| {
                    self.fault(
                        2,
                        "public, professional or it_integration",
                        "应为公共课、专业课程或信息技术与学科融合课程",
                    )
                })?;
                let education_stage = stage_of(&get(6)).ok_or_else(|| {
                    self.fault(6, "compulsory, non_compulsory or nothing", "应为义务教育、非义务教育或空")
                })?;
                let main_line =
                    truth_of(&get(3)).ok_or_else(|| self.fault(3, "true or false", "应为是或否"))?;
                let length_seconds = match (get(4).is_empty(), get(7).is_empty()) {
                    (false, true) => whole(4)?
                        .checked_mul(60)
                        .ok_or_else(|| self.fault(4, "too long a course", "课程时长过长"))?,
                    (true, false) => whole(7)?,
                    _ => return Err(self.fault(4, "either minutes or seconds", "应填写分钟或秒，二者之一")),
                };
                let course = learning::Course {
                    course_id: get(0),
                    title: get(1),
                    category: category.into(),
                    main_line,
                    length_seconds,
                    subject: get(5),
                    education_stage: education_stage.into(),
                    retired_time: None,
                };
                Call::Course(learning::CreateCourseRequest {
                    programme_id,
                    course: Some(course),
                    validate_only,
                    ..Default::default()
                })
            }
            Self::Attendance => Call::Attendance(offline::RecordAttendanceRequest {
                programme_id,
                activity_id: get(0),
                person_ids: vec![get(1)],
                counselor_id: get(2),
                occurred_at: *time,
                validate_only,
                all_or_none: true,
                ..Default::default()
            }),
            Self::Scores => Call::Score(offline::ScoreAttendeeRequest {
                programme_id,
                activity_id: get(0),
                person_id: get(1),
                score: whole(2)?,
                counselor_id: get(3),
                occurred_at: *time,
                validate_only,
                ..Default::default()
            }),
        })
    }

    /// How many columns from the first one name what a row is about.
    fn key_columns(self) -> usize {
        match self {
            Self::Schools | Self::Classes | Self::Courses => 1,
            Self::Attendance | Self::Scores => 2,
        }
    }

    /// Whether an earlier row is about the same with other content. The same row again does no harm.
    fn check_seen(
        self,
        seen: &mut HashMap<Vec<String>, (u64, Cells)>,
        line: u64,
        cells: &Cells,
    ) -> Result<(), String> {
        let key: Vec<String> = cells.texts.iter().take(self.key_columns()).cloned().collect();
        let (first, known) = seen.entry(key).or_insert_with(|| (line, cells.clone()));
        if known == cells {
            return Ok(());
        }
        let zh = format!("与第 {first} 行相同，但内容不同");
        Err(self.fault(0, &format!("the same as in line {first}, with other content"), &zh))
    }

    fn fault(self, place: usize, en: &str, zh: &str) -> String {
        let column = self.columns().get(place).map_or("", |column| column.name);
        format!("{column}: {zh} / {column}: {en}")
    }

    /// A workbook to fill in.
    pub(super) fn template(self) -> Result<Vec<u8>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let columns: Vec<(Column, Choices)> = self
            .columns()
            .iter()
            .map(|column| {
                let (meaning, example, choices) = explained(column.name);
                (*column, Choices { meaning: meaning.into(), example: example.into(), words: words(choices) })
            })
            .collect();
        shipei_tables::template(self.sheet(), &columns).context("writing the template")
    }

    fn sheet(self) -> &'static str {
        match self {
            Self::Schools => "学校",
            Self::Classes => "班级",
            Self::Courses => "课程",
            Self::Attendance => "考勤",
            Self::Scores => "线下成绩",
        }
    }
}

/// What a column is for, an example, what may be chosen.
fn explained(column: &str) -> (&'static str, &'static str, &'static [&'static str]) {
    match column {
        "school_code" => ("学校代码 / an id of the school", "130302S001", &[]),
        "class_id" => ("班级编号 / an id of the class", "L0001", &[]),
        "county_code" | "region_code" => ("六位区划代码 / six digits", "130302", &[]),
        "tutor_id" => ("班级辅导教师的编号 / the tutor's id", "U0001", &[]),
        "course_id" => ("课程编号 / an id of the course", "C001", &[]),
        "category" => ("课程类别 / category", "公共课", &["公共课", "专业课程", "信息技术与学科融合课程"]),
        "main_line" => ("是否主线课程 / whether the scheme prescribes it", "是", &["是", "否"]),
        "minutes" => {
            ("时长，分钟；按秒填写时为空 / length in minutes; empty where seconds are given", "90", &[])
        }
        "length_seconds" => {
            ("时长，秒；按分钟填写时为空 / length in seconds; empty where minutes are given", "", &[])
        }
        "education_stage" => ("空为全部 / empty for all", "义务教育", &["义务教育", "非义务教育"]),
        "activity_id" => ("活动编号 / the activity", "A130302-1", &[]),
        "person_id" => ("参训教师的编号 / the trainee", "T000001", &[]),
        "counselor_id" => ("县区辅导员的编号 / the counselor", "K130302", &[]),
        "score" => ("整数 / whole points", "8", &[]),
        TIME => (
            "何时，北京时间；空为导入之时 / when, in the time of China; empty for when it is sent",
            "2019-10-12 09:30",
            &[],
        ),
        _ => ("名称 / a name", "", &[]),
    }
}

fn category_of(word: &str) -> Option<learning::CourseCategory> {
    Some(match shipei_text::same_name_key(word).as_str() {
        "public" | "公共课" | "公共课程" => learning::CourseCategory::Public,
        "professional" | "专业课程" | "专业课" => learning::CourseCategory::Professional,
        "it_integration" | "信息技术与学科融合课程" | "融合课程" => {
            learning::CourseCategory::ItIntegration
        }
        _ => return None,
    })
}

fn stage_of(word: &str) -> Option<EducationStage> {
    Some(match shipei_text::same_name_key(word).as_str() {
        "" => EducationStage::Unspecified,
        "compulsory" | "义务教育" => EducationStage::Compulsory,
        "non_compulsory" | "非义务教育" => EducationStage::NonCompulsory,
        _ => return None,
    })
}

fn truth_of(word: &str) -> Option<bool> {
    match shipei_text::same_name_key(word).as_str() {
        "true" | "yes" | "1" | "是" => Some(true),
        "false" | "no" | "0" | "否" | "" => Some(false),
        _ => None,
    }
}

/// The cells of a row, and when it happened, if it says so.
#[derive(Debug, Clone, PartialEq)]
struct Cells {
    texts: Vec<String>,
    time: Option<prost_types::Timestamp>,
}

/// A row that is to be sent, or what is wrong with it already.
struct Line {
    number: u64,
    texts: Vec<String>,
    call: Result<Call, String>,
}

/// How a file is sent.
pub(super) struct Sending<'a> {
    pub(super) programme: &'a str,
    /// Whether everything is only looked at.
    pub(super) dry_run: bool,
    /// Where the rejected rows are written.
    pub(super) rejected: Option<&'a Path>,
}

/// Sends a file row by row. What makes a row depend on another of its file is looked at here, so that neither the calls that
/// are under way at once nor a dry run, which keeps nothing, can answer otherwise than one row after the other would.
pub(super) async fn import(
    list: List,
    clients: &Clients,
    file: &Path,
    sending: Sending<'_>,
) -> Result<Counted> {
    let Sending { programme, dry_run, rejected } = sending;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let named = |error| anyhow::anyhow!("{}: {error}", file.display());
    let table = Table::open(bytes, list.columns()).map_err(named)?;
    let mut lines = Vec::new();
    let mut seen = HashMap::new();
    table
        .visit(|row| {
            let call = match row.faults.first() {
                Some(fault) => Err(format!("{} / {}", fault.zh, fault.en)),
                None => cells_of(list, row).and_then(|cells| {
                    list.check_seen(&mut seen, row.line, &cells)?;
                    list.call(programme, &cells, dry_run)
                }),
            };
            lines.push(Line { number: row.line, texts: row.texts().to_vec(), call });
            true
        })
        .map_err(named)?;
    let bar = bar(lines.len() as u64, "{bar:40} {pos}/{len} {msg}")?;
    let mut results = futures::stream::iter(lines)
        .map(|line| {
            let bar = &bar;
            async move {
                let result = match line.call {
                    Err(fault) => Ok(Err(fault)),
                    Ok(call) => sent(clients, call).await,
                };
                bar.inc(1);
                result.map(|result| (line.number, line.texts, result))
            }
        })
        .buffered(CALLS_UNDER_WAY_MAX);
    let mut file_of_rejected = Rejected::of(&table, REJECTED_BYTES_MAX)?;
    let mut counted = Counted::default();
    while let Some(result) = results.next().await {
        let (number, texts, result) = result?;
        match result {
            Ok(()) => counted.taken += 1,
            Err(cause) => {
                file_of_rejected.add(number, &texts, &cause)?;
                counted.reject(number, cause);
            }
        }
    }
    drop(results);
    bar.finish_and_clear();
    if let Some(out) = rejected.filter(|_| file_of_rejected.rows > 0) {
        std::fs::write(out, file_of_rejected.finish()?)
            .with_context(|| format!("cannot write {}", out.display()))?;
    }
    Ok(counted)
}

/// The cells of the columns that were asked for, ids and numbers without what can't be seen around them.
fn cells_of(list: List, row: &shipei_tables::Row) -> Result<Cells, String> {
    let (mut cells, mut time) = (Vec::new(), None);
    for (place, column) in list.columns().iter().enumerate() {
        let cell = row.get(place);
        if column.name == TIME {
            let is_date = row.ruin(place) == Some(Ruin::Date);
            time = time_cell::instant(cell, is_date)
                .map_err(|()| list.fault(place, "no date and time", "应为日期和时间，如 2019-10-12 09:30"))?;
            continue;
        }
        if !column.is_code {
            cells.push(cell.to_owned());
            continue;
        }
        if let Some(ruin) = row.ruin(place).or_else(|| ruin_of(cell)) {
            return Err(list.fault(place, ruin.en(), ruin.zh()));
        }
        cells.push(shipei_text::clean_code(cell).into_owned());
    }
    Ok(Cells { texts: cells, time })
}

/// Makes one call: what the service refuses is the row's fault, what fails ends the import.
async fn sent(clients: &Clients, call: Call) -> Result<Result<(), String>> {
    use enrollment::region_service_client::RegionServiceClient as Region;
    use learning::course_service_client::CourseServiceClient as Course;
    use offline::offline_service_client::OfflineServiceClient as Offline;
    let answer = match call {
        Call::School(message) => send!(clients, "enrollment", Region<_>, create_school, message),
        Call::Class(message) => send!(clients, "enrollment", Region<_>, create_class, message),
        Call::Course(message) => send!(clients, "learning-progress", Course<_>, create_course, message),
        Call::Attendance(message) => {
            send!(clients, "offline-activity", Offline<_>, record_attendance, message)
        }
        Call::Score(message) => send!(clients, "offline-activity", Offline<_>, score_attendee, message),
    };
    match answer {
        Ok(()) => Ok(Ok(())),
        Err(status) if status::reason_of(&status).is_some() && !is_transient(&status) => {
            Ok(Err(in_words(&status)))
        }
        Err(status) => Err(anyhow::anyhow!("{}", explain(&status))),
    }
}

fn in_words(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    let details = status.get_error_details();
    let zh = details.localized_message().map(|message| message.message.clone()).unwrap_or_default();
    format!("{zh} / {}", explain(status))
}
