//! The commands of those who keep lists: send a file, get a template, write a list to a file. What: `shipei import roster
//! FILE` sends a file as it is and says in words what became of its rows; the server finds out what kind of file it is.
//! Other lists are sent row by row (`lists`). What is written is in `export`.

mod counted;
mod export;
mod lists;
mod time_cell;

pub use export::{Exported, ExportedFormat, ExportedRole};

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use counted::{ROWS_SAID_MAX, bar};
use lists::List;
use shipei_client::client::{Clients, explain};
use shipei_contracts::enrollment::v1::{
    self as enrollment, RosterRowOutcome, import_roster_request::Part,
    person_service_client::PersonServiceClient,
};

use crate::{ask::Server, display::say};

/// What is said of a dry run.
const DRY_RUN: &str = "dry run, nothing was changed / 试运行，未作更改";
/// Bytes of one message of a file.
const CHUNK_BYTES: usize = 256 * 1024;

/// What stands below the help of `shipei import`.
pub const IMPORT_EXAMPLES: &str = "\
Examples:
  shipei import roster people.xlsx --programme qinhuangdao-2019 --server 127.0.0.1:7300 --dry-run
  shipei import roster people.xlsx --programme qinhuangdao-2019 --server 127.0.0.1:7300 \\
      --rejected rejected.xlsx

Takes .xlsx, and text in UTF-8, GB 18030 or UTF-16 with commas, tabs or semicolons. Rows that are
not taken are written to the second file with their causes in a last column: mend them there and
send that file. Sending a file twice does no harm.";

/// Where the suite is, and which programme.
#[derive(Debug, Args)]
pub struct Target {
    /// The programme.
    #[arg(long)]
    programme: String,
    #[command(flatten)]
    server: Server,
}

/// What is imported.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// A roster (花名册): people with their roles, counties, schools and classes.
    Roster {
        /// The file.
        file: PathBuf,
        /// Where to.
        #[command(flatten)]
        target: Target,
        /// Check everything, change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Where the rejected rows are written, with their causes, in the same format.
        #[arg(long, value_name = "OUT")]
        rejected: Option<PathBuf>,
    },
    /// Schools (学校).
    Schools(ListFile),
    /// Classes (班级).
    Classes(ListFile),
    /// Courses (课程).
    Courses(ListFile),
    /// Who attended offline activities (考勤).
    Attendance(ListFile),
    /// Scores of who attended (线下成绩).
    Scores(ListFile),
}

/// A file that is sent row by row.
#[derive(Debug, Args)]
pub struct ListFile {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Check everything, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where the rejected rows are written, with their causes, in the same format.
    #[arg(long, value_name = "OUT")]
    rejected: Option<PathBuf>,
}

/// What a template is for.
#[derive(Debug, Subcommand)]
pub enum TemplateCommand {
    /// A workbook to fill in as a roster, with drop-downs and an example.
    Roster {
        /// Where to.
        #[command(flatten)]
        target: Target,
        /// Where the workbook is written.
        #[arg(long, default_value = "roster.xlsx")]
        out: PathBuf,
    },
    /// Schools.
    Schools(TemplateFile),
    /// Classes.
    Classes(TemplateFile),
    /// Courses.
    Courses(TemplateFile),
    /// Who attended offline activities.
    Attendance(TemplateFile),
    /// Scores of who attended.
    Scores(TemplateFile),
}

/// Where a template is written.
#[derive(Debug, Args)]
pub struct TemplateFile {
    /// The workbook.
    #[arg(long)]
    out: PathBuf,
}

/// Which list is written to a file.
#[derive(Debug, Args)]
pub struct ExportOptions {
    /// The list.
    list: Exported,
    #[command(flatten)]
    target: Target,
    /// Only this county or city.
    #[arg(long, default_value = "")]
    region: String,
    /// Of people, only those with this role.
    #[arg(long)]
    role: Option<ExportedRole>,
    /// What the file is; if it is not said, a workbook when its name ends in .xlsx, else CSV.
    #[arg(long)]
    format: Option<ExportedFormat>,
    /// The file.
    #[arg(value_name = "FILE")]
    out: PathBuf,
}

/// Imports a file; false when rows were rejected.
///
/// # Errors
/// A file that can't be read, here or by the server, or a server that can't be reached.
pub async fn import(command: &ImportCommand) -> Result<bool> {
    let (list, options) = match command {
        ImportCommand::Roster { file, target, dry_run, rejected } => {
            return import_roster(file, target, *dry_run, rejected.as_deref()).await;
        }
        ImportCommand::Schools(options) => (List::Schools, options),
        ImportCommand::Classes(options) => (List::Classes, options),
        ImportCommand::Courses(options) => (List::Courses, options),
        ImportCommand::Attendance(options) => (List::Attendance, options),
        ImportCommand::Scores(options) => (List::Scores, options),
    };
    let ListFile { file, target, dry_run, rejected } = options;
    let clients = target.server.connect().await?;
    let sending =
        lists::Sending { programme: &target.programme, dry_run: *dry_run, rejected: rejected.as_deref() };
    let counted = lists::import(list, &clients, file, sending).await?;
    if *dry_run {
        say(DRY_RUN);
    }
    say(&format!(
        "taken {}, rejected {} / 已收 {}，拒收 {}",
        counted.taken, counted.rejected, counted.taken, counted.rejected
    ));
    for row in &counted.said {
        say(row);
    }
    Ok(counted.rejected == 0)
}

async fn import_roster(file: &Path, target: &Target, dry_run: bool, rejected: Option<&Path>) -> Result<bool> {
    let clients = target.server.connect().await?;
    let header = enrollment::RosterHeader {
        programme_id: target.programme.clone(),
        dry_run,
        return_rejected: rejected.is_some(),
    };
    let answer = send_roster(&clients, file, header).await?;
    if let Some(out) = rejected
        && !answer.rejected_file.is_empty()
    {
        std::fs::write(out, &answer.rejected_file)
            .with_context(|| format!("cannot write {}", out.display()))?;
    }
    say(report(&answer, rejected).trim_end());
    Ok(answer.rejected == 0)
}

/// Writes a template.
///
/// # Errors
/// A file that can't be written, or a server that can't be reached.
pub async fn template(command: &TemplateCommand) -> Result<()> {
    let (list, out) = match command {
        TemplateCommand::Roster { target, out } => return roster_template(target, out).await,
        TemplateCommand::Schools(file) => (List::Schools, &file.out),
        TemplateCommand::Classes(file) => (List::Classes, &file.out),
        TemplateCommand::Courses(file) => (List::Courses, &file.out),
        TemplateCommand::Attendance(file) => (List::Attendance, &file.out),
        TemplateCommand::Scores(file) => (List::Scores, &file.out),
    };
    std::fs::write(out, list.template()?).with_context(|| format!("cannot write {}", out.display()))?;
    say(&format!("{}", out.display()));
    Ok(())
}

/// Writes a list to a file.
///
/// # Errors
/// A file that can't be written, or a server that can't be reached.
pub async fn export(options: &ExportOptions) -> Result<()> {
    let ExportOptions { list, target, region, role, format, out } = options;
    let clients = target.server.connect().await?;
    let format = export::format_of(*format, out);
    let question = export::Question { programme: &target.programme, region, role: *role, format };
    let rows = export::export(*list, &clients, question, out).await?;
    say(&format!("{}: {rows} rows / {rows} 行", out.display()));
    Ok(())
}

async fn roster_template(target: &Target, out: &Path) -> Result<()> {
    let clients = target.server.connect().await?;
    let message = enrollment::GetRosterTemplateRequest { programme_id: target.programme.clone() };
    let channel = clients.channel("enrollment");
    let answer = clients
        .call(|| {
            let request = clients.unary(message.clone());
            let mut client = PersonServiceClient::new(channel.clone());
            async move { client.get_roster_template(request).await }
        })
        .await;
    let answer = answer.map_err(|status| anyhow::anyhow!("{}", explain(&status)))?;
    std::fs::write(out, answer.into_inner().file)
        .with_context(|| format!("cannot write {}", out.display()))?;
    say(&format!("{}", out.display()));
    Ok(())
}

async fn send_roster(
    clients: &Clients,
    file: &Path,
    header: enrollment::RosterHeader,
) -> Result<enrollment::ImportRosterResponse> {
    let bytes: Arc<[u8]> =
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?.into();
    if bytes.is_empty() {
        bail!("{} is empty", file.display());
    }
    let bar = bar(bytes.len() as u64, "{bar:40} {bytes}/{total_bytes} {msg}")?;
    let channel = clients.channel("enrollment");
    let answer = clients
        .call(|| {
            bar.set_position(0);
            let sent = AtomicU64::new(0);
            let (shown, bytes) = (bar.clone(), bytes.clone());
            let chunks = (0..bytes.len()).step_by(CHUNK_BYTES).map(move |start| {
                let chunk = bytes[start..bytes.len().min(start + CHUNK_BYTES)].to_vec();
                let sent = sent.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
                shown.set_position(sent);
                if sent == bytes.len() as u64 {
                    shown.set_message("the rows are being judged");
                }
                Part::CsvChunk(chunk)
            });
            let parts = std::iter::once(Part::Header(header.clone())).chain(chunks);
            let messages = parts.map(|part| enrollment::ImportRosterRequest { part: Some(part) });
            let request = clients.request(tokio_stream::iter(messages));
            let mut client = PersonServiceClient::new(channel.clone())
                .max_decoding_message_size(clients.message_bytes_max());
            async move { client.import_roster(request).await }
        })
        .await;
    bar.finish_and_clear();
    let answer = answer.map_err(|status| anyhow::anyhow!("{}: {}", file.display(), explain(&status)))?;
    clients.note(&answer);
    Ok(answer.into_inner())
}

/// What became of the rows, in words.
fn report(answer: &enrollment::ImportRosterResponse, rejected: Option<&Path>) -> String {
    let mut lines = Vec::new();
    if answer.dry_run {
        lines.push(DRY_RUN.to_owned());
    }
    lines.push(format!(
        "new {}, unchanged {}, rejected {} / 新增 {}，未变 {}，拒收 {}",
        answer.created, answer.unchanged, answer.rejected, answer.created, answer.unchanged, answer.rejected
    ));
    for note in &answer.notes {
        lines.push(format!("{} / {}", note.message, note.message_zh));
    }
    if !answer.ignored_columns.is_empty() {
        let columns = answer.ignored_columns.join(", ");
        lines.push(format!("columns that mean nothing here / 未使用的列: {columns}"));
    }
    let worth_a_look = answer.results.iter().filter(|result| !result.message.is_empty());
    for result in worth_a_look.clone().take(ROWS_SAID_MAX) {
        lines.push(in_words(result));
    }
    let more = worth_a_look.count().saturating_sub(ROWS_SAID_MAX);
    if more > 0 {
        lines.push(format!("and {more} more rows / 另有 {more} 行"));
    }
    if let Some(out) = rejected.filter(|_| !answer.rejected_file.is_empty()) {
        lines.push(format!("rejected rows / 拒收的行: {}", out.display()));
    }
    if answer.rejected_rows_left_out > 0 {
        lines.push(format!("rejected rows that found no room in it: {}", answer.rejected_rows_left_out));
    }
    lines.join("\n")
}

fn in_words(result: &enrollment::RosterRowResult) -> String {
    let row = result.row;
    if result.outcome() != RosterRowOutcome::Rejected {
        return format!("line {row}: {} / {}", result.message, result.message_zh);
    }
    let part = |field: &str, message: &str| match field {
        "" => message.to_owned(),
        field => format!("{field}: {message}"),
    };
    let en: Vec<String> = result.faults.iter().map(|fault| part(&fault.field, &fault.message)).collect();
    let zh: Vec<String> = result.faults.iter().map(|fault| part(&fault.field, &fault.message_zh)).collect();
    format!("line {row}: {} / {}", en.join("; "), zh.join("；"))
}
