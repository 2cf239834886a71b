//! `shipei person`: two ids of one person are merged, from a terminal; look, and take back.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};
use shipei_client::client::{Clients, SERVICES, explain};
use shipei_contracts::{
    common::v1::Correction,
    enrollment::v1::{
        GetPersonRequest, MergePersonsRequest, Person, person_service_client::PersonServiceClient,
    },
    event::v1::{ExportPersonRequest, personal_data_service_client::PersonalDataServiceClient},
    services::ENROLLMENT,
};
use shipei_store::crypto::random_name;

use crate::{
    ask::{Suite, ask, retract},
    display::say,
    duties::role_number,
};

/// What stands below the help of `shipei person`.
pub const EXAMPLES: &str = "\
Examples:
  shipei person show T0002 --programme qinhuangdao-2019
                                                 who it is, and for which id it counts
  shipei person merge T0002 --into T0001 --programme qinhuangdao-2019 --reason 重复报名
                                                 what both did counts for T0001, nothing twice
  shipei person export T0001 --programme qinhuangdao-2019 --out T0001.json
                                                 all that is kept of them, in one file
  shipei person undo FACT --programme qinhuangdao-2019 --reason 并非同一人
                                                 they are two again, as if never merged

Who they are (class, county, subject, absence) is what the id that is kept says. Each fact stays
readable under the id that it was recorded for, and new ones of both are taken as before.";

/// People with two ids.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a person, and for which id theirs counts.
    Show(ShowOptions),
    /// Say that an id is another one's: what was recorded of both counts for the other.
    Merge(MergeOptions),
    /// Take a merge back.
    Undo(UndoOptions),
    /// Write everything that the suite keeps of a person to a file, for the person.
    Export(ExportOptions),
}

/// Who.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// Their id.
    person: String,
    #[command(flatten)]
    suite: Suite,
}

/// Of whom, and where to.
#[derive(Debug, Args)]
pub struct ExportOptions {
    /// Their id.
    person: String,
    /// The file, JSON; it must not be there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    suite: Suite,
}

/// Which ids, and why.
#[derive(Debug, Args)]
pub struct MergeOptions {
    /// The id that counts for the other one.
    merged: String,
    /// The id that is kept.
    #[arg(long, value_name = "ID")]
    into: String,
    /// In which role, e.g. class_tutor, of ids that have several in common.
    #[arg(long)]
    role: Option<String>,
    /// Why.
    #[arg(long)]
    reason: String,
    /// The merge that this one corrects: that one falls as this one is taken.
    #[arg(long, value_name = "FACT")]
    corrects: Option<String>,
    #[command(flatten)]
    suite: Suite,
}

/// Which merge falls.
#[derive(Debug, Args)]
pub struct UndoOptions {
    /// The merge's id, as `shipei person show` has it.
    fact: String,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// Shows, merges, or takes back.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(command: &Command) -> Result<()> {
    match command {
        Command::Show(options) => {
            let clients = &options.suite.server.connect().await?;
            show(clients, &options.suite, &options.person).await
        }
        Command::Merge(options) => merge(options).await,
        Command::Undo(options) => undo(options).await,
        Command::Export(options) => export(options).await,
    }
}

async fn merge(options: &MergeOptions) -> Result<()> {
    let suite = &options.suite;
    let clients = &suite.server.connect().await?;
    let correction = |fact_id| Correction { fact_id, reason: options.reason.clone() };
    let request = MergePersonsRequest {
        programme_id: suite.programme.clone(),
        person_id: options.into.clone(),
        merged_id: options.merged.clone(),
        reason: options.reason.clone(),
        role: role_number(options.role.as_deref())?,
        request_id: random_name()?,
        occurred_at: None,
        correction: options.corrects.clone().map(correction),
    };
    ask!(clients, "enrollment", PersonServiceClient.merge_persons, request)?;
    show(clients, suite, &options.merged).await
}

/// What all services keep of somebody, by service and table.
async fn export(options: &ExportOptions) -> Result<()> {
    let suite = &options.suite;
    let clients = &suite.server.connect().await?;
    // Of its owner alone, and made before anything is asked for, so that nobody is told of a look for nothing.
    let mut file = create_private(&options.out)?;
    let (mut kept, mut rows) = (Map::new(), 0);
    for source in SERVICES {
        let mut tables: Map<String, Value> = Map::new();
        let mut page_token = String::new();
        loop {
            let message = ExportPersonRequest {
                source: source.to_owned(),
                programme_id: suite.programme.clone(),
                person_id: options.person.clone(),
                page_token,
            };
            let answered = clients.call(|| {
                let request = Clients::about_log(source, clients.unary(message.clone()));
                let mut client = PersonalDataServiceClient::new(clients.channel(source))
                    .max_decoding_message_size(clients.message_bytes_max());
                async move { client.export_person(request).await }
            });
            let answer = answered.await.map_err(|status| anyhow!("{source}: {}", explain(&status)))?;
            let answer = answer.into_inner();
            for row in answer.rows {
                let of_table = tables.entry(row.table).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(of_table) = of_table {
                    of_table.push(serde_json::from_str(&row.json).context("a row is no JSON")?);
                    rows += 1;
                }
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        kept.insert(source.to_owned(), Value::Object(tables));
    }
    let whole = json!({ "programme_id": suite.programme, "person_id": options.person, "kept": kept });
    let cannot = || format!("cannot write {}", options.out.display());
    file.write_all(serde_json::to_string_pretty(&whole)?.as_bytes()).with_context(cannot)?;
    match suite.json {
        true => say(&json!({ "file": options.out, "rows": rows }).to_string()),
        false => say(&format!("{}: {rows} 条 rows", options.out.display())),
    }
    Ok(())
}

/// A new file that only its owner may read.
fn create_private(path: &Path) -> Result<File> {
    let options = &mut OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    options.open(path).with_context(|| format!("cannot make {}", path.display()))
}

async fn undo(options: &UndoOptions) -> Result<()> {
    let suite = &options.suite;
    let clients = &suite.server.connect().await?;
    retract(clients, ENROLLMENT, (&suite.programme, &options.fact, &options.reason)).await?;
    say(if suite.json { "{\"retracted\": true}" } else { "已撤销 / taken back" });
    Ok(())
}

/// A person as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    person_id: String,
    name: String,
    identity_number: String,
    role: &'static str,
    county_code: String,
    class_id: String,
    subject: String,
    counts_for_id: String,
    merge_fact_id: String,
    /// Whether who they were was erased.
    erased: bool,
    /// The same person in their other roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_roles: Vec<Shown>,
}

impl From<Person> for Shown {
    fn from(person: Person) -> Self {
        Self {
            role: person.role().word(),
            person_id: person.person_id,
            name: person.name,
            identity_number: person.masked_identity_number,
            county_code: person.county_code,
            class_id: person.class_id,
            subject: person.subject,
            counts_for_id: person.counts_for_id,
            merge_fact_id: person.merge_fact_id,
            erased: person.erased_time.is_some(),
            other_roles: Vec::new(),
        }
    }
}

async fn show(clients: &Clients, suite: &Suite, person_id: &str) -> Result<()> {
    let request = GetPersonRequest { programme_id: suite.programme.clone(), person_id: person_id.to_owned() };
    let answer = ask!(clients, "enrollment", PersonServiceClient.get_person, request)?;
    let person = answer.person.context("the service answered without the person")?;
    let other_roles = answer.other_roles.into_iter().map(Shown::from).collect();
    let shown = Shown { other_roles, ..Shown::from(person) };
    if suite.json {
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    for shown in [&shown].into_iter().chain(&shown.other_roles) {
        let counts = match shown.counts_for_id.as_str() {
            "" => String::new(),
            kept => format!("计入 counts for {kept} ({})", shown.merge_fact_id),
        };
        let Shown { identity_number, role, county_code, class_id, subject, .. } = shown;
        let erased = if shown.erased { "个人信息已删除 erased" } else { "" };
        let facts = [identity_number.as_str(), erased, role, county_code, class_id, subject, &counts];
        let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        say(&format!("{} {}: {}", shown.person_id, shown.name, facts.join(", ")));
    }
    Ok(())
}
