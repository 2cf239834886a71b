//! Lists as files: every page of a list, a row each, as a workbook or as CSV. Another list is another [`Exported`].

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use shipei_contracts::{
    assessment::v1::{self as assessment, score_service_client::ScoreServiceClient},
    common::v1::{DevelopmentStage, EducationStage, Role},
    enrollment::v1::{self as enrollment, person_service_client::PersonServiceClient},
};
use shipei_tables::{Encoding, Export, Format};

use shipei_client::client::{Clients, explain};

/// Rows of one page.
const PAGE_SIZE: i32 = 1_000;

/// A list that is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Exported {
    /// The people of a programme; identity numbers are masked.
    People,
    /// The scores of the trainees, as they stand.
    Scores,
}

/// What is exported: the programme, and of it a county or a city.
pub(super) struct Question<'a> {
    pub(super) programme: &'a str,
    pub(super) region: &'a str,
}

/// Reads a page: its rows, and the token of the next one.
macro_rules! page {
    ($clients:expr, $service:literal, $client:path, $method:ident, $message:expr) => {{
        let (message, channel) = ($message, $clients.channel($service));
        let answer = $clients
            .call(|| {
                let request = $clients.unary(message.clone());
                let mut client =
                    <$client>::new(channel.clone()).max_decoding_message_size($clients.message_bytes_max());
                async move { client.$method(request).await }
            })
            .await;
        answer.map_err(|status| anyhow::anyhow!("{}", explain(&status)))?.into_inner()
    }};
}

/// Writes a list to a file, .xlsx or CSV by its name; how many rows.
pub(super) async fn export(
    list: Exported,
    clients: &Clients,
    question: Question<'_>,
    out: &Path,
) -> Result<u64> {
    let format = match out.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if extension.eq_ignore_ascii_case("xlsx") => Format::Xlsx,
        _ => Format::Text(Encoding::Utf8, ','),
    };
    let header = match list {
        Exported::People => {
            vec![
                "人员编号",
                "姓名",
                "身份证号（已隐去）",
                "角色",
                "县区代码",
                "学校代码",
                "学段",
                "学科",
                "发展阶段",
                "班级编号",
                "首次登录",
                "退出",
            ]
        }
        Exported::Scores => vec!["人员编号", "县区代码", "班级编号", "总分", "合格", "明细"],
    };
    let mut table = Export::begin(format, header)?;
    let mut rows = 0;
    let mut page_token = String::new();
    loop {
        let (lines, next) = match list {
            Exported::People => people(clients, &question, page_token).await?,
            Exported::Scores => scores(clients, &question, page_token).await?,
        };
        for line in &lines {
            table.row(line.iter().map(String::as_str))?;
            rows += 1;
        }
        page_token = next;
        if page_token.is_empty() {
            break;
        }
    }
    std::fs::write(out, table.finish()?).with_context(|| format!("cannot write {}", out.display()))?;
    Ok(rows)
}

type Page = (Vec<Vec<String>>, String);

async fn people(clients: &Clients, question: &Question<'_>, page_token: String) -> Result<Page> {
    let message = enrollment::ListPeopleRequest {
        programme_id: question.programme.to_owned(),
        region_code: question.region.to_owned(),
        page_size: PAGE_SIZE,
        page_token,
        ..Default::default()
    };
    let page = page!(clients, "enrollment", PersonServiceClient<_>, list_people, message);
    let lines = page.people.into_iter().map(|person| {
        vec![
            role_zh(person.role()).to_owned(),
            stage_zh(person.education_stage()).to_owned(),
            development_zh(person.development_stage()).to_owned(),
            instant(person.login_time),
            instant(person.withdrawn_time),
            person.person_id,
            person.name,
            person.masked_identity_number,
            person.county_code,
            person.school_code,
            person.subject,
            person.class_id,
        ]
    });
    // In the order of the header.
    let order = [5, 6, 7, 0, 8, 9, 1, 10, 2, 11, 3, 4];
    let lines = lines.map(|line| order.iter().filter_map(|at| line.get(*at).cloned()).collect());
    Ok((lines.collect(), page.next_page_token))
}

async fn scores(clients: &Clients, question: &Question<'_>, page_token: String) -> Result<Page> {
    let message = assessment::ListTraineeScoresRequest {
        programme_id: question.programme.to_owned(),
        region_code: question.region.to_owned(),
        page_size: PAGE_SIZE,
        page_token,
        ..Default::default()
    };
    let page = page!(clients, "assessment", ScoreServiceClient<_>, list_trainee_scores, message);
    let lines = page.scores.into_iter().map(|score| {
        let items: Vec<String> = score.items.iter().map(in_points).collect();
        let passed = if score.passed { "是" } else { "否" };
        vec![
            score.person_id,
            score.county_code,
            score.class_id,
            score.total.to_string(),
            passed.to_owned(),
            items.join("；"),
        ]
    });
    Ok((lines.collect(), page.next_page_token))
}

fn role_zh(role: Role) -> &'static str {
    match role {
        Role::Trainee => "参训教师",
        Role::ClassTutor => "班级辅导教师",
        Role::CountyCounselor => "县区辅导员",
        Role::SubjectExpert => "省级专家团队",
        Role::MunicipalLead => "市级负责人",
        Role::TrainingInstitution => "远程培训机构",
        Role::Unspecified | Role::Province | Role::Service => "",
    }
}

fn stage_zh(stage: EducationStage) -> &'static str {
    match stage {
        EducationStage::Compulsory => "义务教育",
        EducationStage::NonCompulsory => "非义务教育",
        EducationStage::Unspecified => "",
    }
}

fn development_zh(stage: DevelopmentStage) -> &'static str {
    match stage {
        DevelopmentStage::Novice => "新手",
        DevelopmentStage::Developing => "发展",
        DevelopmentStage::Proficient => "熟练",
        DevelopmentStage::Expert => "专家",
        DevelopmentStage::Unspecified => "",
    }
}

/// An item of a score and its points: `第一阶段网络研修 10.00`.
fn in_points(item: &assessment::ScoreItem) -> String {
    format!("{} {}.{:02}", item.name_zh, item.hundredths / 100, item.hundredths % 100)
}

/// An instant, in UTC; empty for none.
fn instant(time: Option<prost_types::Timestamp>) -> String {
    let instant = time.and_then(|time| chrono::DateTime::from_timestamp(time.seconds, 0));
    instant.map_or_else(String::new, |instant| instant.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
