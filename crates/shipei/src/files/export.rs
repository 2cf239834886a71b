//! Lists as files: the service writes them, from one snapshot, and the pieces are put together here. Another list is
//! another [`Exported`] and its line in [`Exported::asked`].

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use indicatif::{HumanBytes, ProgressBar};
use shipei_client::client::{Clients, explain};
use shipei_contracts::{
    assessment::v1 as assessment,
    assignment::v1 as assignment,
    common::v1::{FileFormat, Role},
    enrollment::v1 as enrollment,
    learning::v1 as learning,
    offline::v1 as offline,
    services,
};

use super::counted::spinner;

/// A list that is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Exported {
    /// The people of a programme (花名册); identity numbers are masked.
    People,
    /// Classes (班级).
    Classes,
    /// Schools (学校).
    Schools,
    /// The region tree (区划).
    Regions,
    /// Counties and how far each has come (县区).
    Counties,
    /// Remittances (汇款).
    Remittances,
    /// Excellent tutors as experts chose them (评优推选).
    TutorChoices,
    /// Courses (课程).
    Courses,
    /// Who selected which course (选课).
    Selections,
    /// What each learner has credited of each course (学习进度).
    Progress,
    /// Sessions of study (学习记录).
    Sessions,
    /// Submissions (作业).
    Submissions,
    /// Reviews and returns (批阅).
    Marks,
    /// Seminars (研讨).
    Seminars,
    /// Posts of seminars (研讨发言).
    Posts,
    /// Bulletins (简报).
    Bulletins,
    /// Plans of counties (方案).
    Plans,
    /// Offline activities (线下活动).
    Activities,
    /// Who attended offline activities, with their scores (考勤和线下成绩).
    Attendance,
    /// Results of counties (成果).
    Results,
    /// Scores of trainees (参训教师成绩).
    TraineeScores,
    /// Scores of class tutors (辅导教师成绩).
    TutorScores,
    /// Scores of counties, for their counselors (县区成绩).
    CountyScores,
}

/// The role whose people are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportedRole {
    /// Trainees (参训教师).
    Trainee,
    /// Class tutors (班级辅导教师).
    ClassTutor,
    /// County counselors (县区辅导员).
    CountyCounselor,
    /// Subject experts (学科专家).
    SubjectExpert,
    /// Municipal leads (市级负责人).
    MunicipalLead,
}

/// What a list is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportedFormat {
    /// A workbook.
    Xlsx,
    /// Text with commas, in UTF-8.
    Csv,
}

/// What is exported: the programme, of it a county or a city, and of people those of a role.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) programme: &'a str,
    pub(super) region: &'a str,
    pub(super) role: Option<ExportedRole>,
    pub(super) format: FileFormat,
}

/// The list, as its service names it.
enum Asked {
    Enrollment(enrollment::ExportList),
    Learning(learning::ExportList),
    Assignment(assignment::ExportList),
    Offline(offline::ExportList),
    Assessment(assessment::ExportList),
}

impl Exported {
    fn asked(self) -> Asked {
        match self {
            Self::People => Asked::Enrollment(enrollment::ExportList::People),
            Self::Classes => Asked::Enrollment(enrollment::ExportList::Classes),
            Self::Schools => Asked::Enrollment(enrollment::ExportList::Schools),
            Self::Regions => Asked::Enrollment(enrollment::ExportList::Regions),
            Self::Counties => Asked::Enrollment(enrollment::ExportList::Counties),
            Self::Remittances => Asked::Enrollment(enrollment::ExportList::Remittances),
            Self::TutorChoices => Asked::Enrollment(enrollment::ExportList::TutorChoices),
            Self::Courses => Asked::Learning(learning::ExportList::Courses),
            Self::Selections => Asked::Learning(learning::ExportList::Selections),
            Self::Progress => Asked::Learning(learning::ExportList::Progress),
            Self::Sessions => Asked::Learning(learning::ExportList::Sessions),
            Self::Submissions => Asked::Assignment(assignment::ExportList::Submissions),
            Self::Marks => Asked::Assignment(assignment::ExportList::Marks),
            Self::Seminars => Asked::Assignment(assignment::ExportList::Seminars),
            Self::Posts => Asked::Assignment(assignment::ExportList::Posts),
            Self::Bulletins => Asked::Assignment(assignment::ExportList::Bulletins),
            Self::Plans => Asked::Offline(offline::ExportList::Plans),
            Self::Activities => Asked::Offline(offline::ExportList::Activities),
            Self::Attendance => Asked::Offline(offline::ExportList::Attendances),
            Self::Results => Asked::Offline(offline::ExportList::Results),
            Self::TraineeScores => Asked::Assessment(assessment::ExportList::TraineeScores),
            Self::TutorScores => Asked::Assessment(assessment::ExportList::TutorScores),
            Self::CountyScores => Asked::Assessment(assessment::ExportList::CountyScores),
        }
    }
}

impl ExportedRole {
    fn role(self) -> Role {
        match self {
            Self::Trainee => Role::Trainee,
            Self::ClassTutor => Role::ClassTutor,
            Self::CountyCounselor => Role::CountyCounselor,
            Self::SubjectExpert => Role::SubjectExpert,
            Self::MunicipalLead => Role::MunicipalLead,
        }
    }
}

/// The format: as it was named, else by the name of the file.
pub(super) fn format_of(named: Option<ExportedFormat>, out: &Path) -> FileFormat {
    let is_workbook = match named {
        Some(named) => named == ExportedFormat::Xlsx,
        None => out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xlsx")),
    };
    if is_workbook { FileFormat::Xlsx } else { FileFormat::Csv }
}

/// A file that has its name only when it is whole.
struct Unfinished<'a> {
    out: &'a Path,
    part: PathBuf,
    file: std::io::BufWriter<std::fs::File>,
    bytes: u64,
    rows: i32,
    bar: ProgressBar,
}

impl<'a> Unfinished<'a> {
    fn create(out: &'a Path) -> Result<Self> {
        let mut name = out.file_name().with_context(|| format!("{} is no file", out.display()))?.to_owned();
        name.push(".part");
        let part = out.with_file_name(name);
        let file =
            std::fs::File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
        let bar = spinner("{spinner} {pos} rows / 行 {msg} ({elapsed})")?;
        Ok(Self { out, part, file: std::io::BufWriter::new(file), bytes: 0, rows: 0, bar })
    }

    fn add(&mut self, chunk: &[u8], rows: i32) -> Result<()> {
        self.file.write_all(chunk).with_context(|| format!("cannot write {}", self.part.display()))?;
        self.bytes += chunk.len() as u64;
        self.rows = rows;
        self.bar.set_position(u64::try_from(rows).unwrap_or_default());
        self.bar.set_message(HumanBytes(self.bytes).to_string());
        Ok(())
    }

    fn finish(mut self) -> Result<i32> {
        self.file.flush().with_context(|| format!("cannot write {}", self.part.display()))?;
        std::fs::rename(&self.part, self.out)
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        Ok(self.rows)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        // Gone already when it has got its name.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// Asks one service for a list and puts its pieces together.
macro_rules! receive {
    ($clients:expr, $service:expr, $client:path, $message:expr, $file:expr) => {{
        let (message, channel) = ($message, $clients.channel($service));
        let answer = $clients
            .call(|| {
                let request = $clients.request(message.clone());
                let mut client =
                    <$client>::new(channel.clone()).max_decoding_message_size($clients.message_bytes_max());
                async move { client.export(request).await }
            })
            .await;
        let mut chunks = answer.map_err(|status| anyhow::anyhow!("{}", explain(&status)))?.into_inner();
        while let Some(piece) =
            chunks.message().await.map_err(|status| anyhow::anyhow!("{}", explain(&status)))?
        {
            $file.add(&piece.chunk, piece.rows)?;
        }
    }};
}

/// Writes a list to a file; how many rows.
pub(super) async fn export(
    list: Exported,
    clients: &Clients,
    question: Question<'_>,
    out: &Path,
) -> Result<i32> {
    let Question { programme, region, role, format } = question;
    if role.is_some() && list != Exported::People {
        bail!("--role is for people only");
    }
    let (programme_id, region_code, format) = (programme.to_owned(), region.to_owned(), format.into());
    let mut file = Unfinished::create(out)?;
    match list.asked() {
        Asked::Enrollment(list) => {
            use enrollment::export_service_client::ExportServiceClient as Client;
            let role = role.map_or(Role::Unspecified, ExportedRole::role).into();
            let list = list.into();
            let message = enrollment::ExportRequest { programme_id, list, region_code, format, role };
            receive!(clients, services::ENROLLMENT, Client<_>, message, file);
        }
        Asked::Learning(list) => {
            use learning::export_service_client::ExportServiceClient as Client;
            let message = learning::ExportRequest { programme_id, list: list.into(), region_code, format };
            receive!(clients, services::LEARNING_PROGRESS, Client<_>, message, file);
        }
        Asked::Assignment(list) => {
            use assignment::export_service_client::ExportServiceClient as Client;
            let message = assignment::ExportRequest { programme_id, list: list.into(), region_code, format };
            receive!(clients, services::ASSIGNMENT_GRADING, Client<_>, message, file);
        }
        Asked::Offline(list) => {
            use offline::export_service_client::ExportServiceClient as Client;
            let message = offline::ExportRequest { programme_id, list: list.into(), region_code, format };
            receive!(clients, services::OFFLINE_ACTIVITY, Client<_>, message, file);
        }
        Asked::Assessment(list) => {
            use assessment::export_service_client::ExportServiceClient as Client;
            let message = assessment::ExportRequest { programme_id, list: list.into(), region_code, format };
            receive!(clients, services::ASSESSMENT, Client<_>, message, file);
        }
    }
    file.finish()
}
