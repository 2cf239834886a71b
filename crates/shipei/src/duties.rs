//! `shipei duties`: what somebody has to do next, and where all their duties of Annex 1 stand (工作流程): a person's, a county's, a
//! city's, the training institution's. `sheet` asks the services and puts what they answer into words of one language; `terminal` shows
//! it in the order in which it is to be done, and `page` as a record that is printed, in the order of Annex 1.

mod page;
mod sheet;
mod terminal;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    ask::Server,
    display::{columns, say},
    explain::Language,
};

/// What stands below the help of `shipei duties`.
pub const EXAMPLES: &str = "\
Examples:
  shipei duties U0003 --programme qinhuangdao-2019         a trainee, a class tutor, an expert
  shipei duties 130302 --programme qinhuangdao-2019        a county: what its counselors owe
  shipei duties 130300 --programme qinhuangdao-2019        a city: what its lead owes
  shipei duties --programme qinhuangdao-2019 --json        the training institution
  shipei duties X001 --programme qinhuangdao-2019 --html X001.html
                                                     one page that prints well on A4

What can still be done on time comes first, the next deadline first; then what was missed, then
what was done or excused. Most of it the services' own facts show; of the rest, marked with ✎,
its bearer tells that it was done: `shipei evidence submit`. The share is that of the duties
done on time among those that are not excused.";

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
    /// Write one HTML page instead, which needs no other file.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

/// Shows a record.
///
/// # Errors
/// If a service refuses or can't be reached, or the page can't be written.
pub async fn run(options: &Options) -> Result<()> {
    let clients = options.server.connect().await?;
    let language = options.lang.unwrap_or_else(Language::of_terminal);
    let asked = sheet::Asked {
        programme_id: &options.programme,
        subject: options.subject.as_deref(),
        role: role_number(options.role.as_deref())?,
        as_of: options.as_of.map(|time| time.to_utc()),
    };
    let sheet = sheet::Sheet::ask(&clients, &asked, language).await?;
    if let Some(file) = &options.html {
        let page = page::page(&sheet, language)?;
        std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
        say(&format!("{} {}", language.pick("已写入", "written to"), file.display()));
    } else if options.json {
        say(&serde_json::to_string_pretty(&sheet)?);
    } else {
        say(terminal::text(&sheet, language, columns()).trim_end());
    }
    Ok(())
}

/// A role as messages have it; 0 for none.
pub(crate) fn role_number(word: Option<&str>) -> Result<i32> {
    let Some(word) = word else { return Ok(0) };
    let role = shipei_rules::vocabulary::Role::parse(word).with_context(|| format!("{word} is no role"))?;
    Ok(shipei_contracts::common::v1::Role::from(role).into())
}
