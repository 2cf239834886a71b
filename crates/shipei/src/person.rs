//! `shipei person`: two ids of one person are merged, from a terminal; look, and take back.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use shipei_client::client::Clients;
use shipei_contracts::{
    common::v1::Correction,
    enrollment::v1::{
        GetPersonRequest, MergePersonsRequest, Person, person_service_client::PersonServiceClient,
    },
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
}

/// Who.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// Their id.
    person: String,
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
        let facts = [identity_number.as_str(), role, county_code, class_id, subject, &counts];
        let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        say(&format!("{} {}: {}", shown.person_id, shown.name, facts.join(", ")));
    }
    Ok(())
}
