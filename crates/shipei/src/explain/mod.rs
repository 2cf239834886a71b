//! `shipei explain`: one score as a person asks for it (成绩说明书): each item with its points, clause, evidence and what is
//! missing until when, and where study time went. What goes through: `facts` asks the services, `compose` and
//! `study` put what they said into words of one language, and `terminal` or `page` show that. Another thing to show is a
//! field of `sheet::Sheet`, filled there and shown in both.

mod compose;
mod facts;
mod page;
mod sheet;
mod study;
mod terminal;
mod words;

pub(crate) use compose::hundredths;

use std::path::PathBuf;

use crate::{
    ask::Server,
    display::{columns, say},
};
use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use facts::Facts;

/// What stands below the help of `shipei explain`.
pub const EXAMPLES: &str = "\
Examples:
  shipei explain T000008 --programme qinhuangdao-2019      a trainee, in the terminal's language
  shipei explain L010 --programme qinhuangdao-2019 --lang zh a class tutor
  shipei explain 130302 --programme qinhuangdao-2019       a county, and with it its counselors
  shipei explain T000008 --programme qinhuangdao-2019 --html T000008.html
                                                     one page that prints well on A4
  shipei explain T000008 --programme qinhuangdao-2019 --json | jq .items

It asks enrollment for the name, assessment for the score, learning-progress for study time
that was not credited and why, and assessment-decisions for why an item counts as something
else than was computed. Nothing is kept.";

/// The language of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// What the terminal speaks; English where it doesn't say.
    pub(crate) fn of_terminal() -> Self {
        let said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| {
            let value = std::env::var(name).ok()?;
            (!value.is_empty()).then_some(value)
        });
        if said.is_some_and(|value| value.starts_with("zh")) { Self::Zh } else { Self::En }
    }

    /// The one of two texts that is in this language.
    pub(crate) fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// Whose score is explained, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// A trainee's or a class tutor's id, a county counselor's, or a county's six-digit code.
    subject: String,
    /// In which role, e.g. class_tutor, of somebody who has several; as a trainee if it isn't said.
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

/// Explains one score.
///
/// # Errors
/// If a service refuses or can't be reached, or the page can't be written.
pub async fn run(options: &Options) -> Result<()> {
    let clients = options.server.connect().await?;
    let as_of = options.as_of.map(|time| time.to_utc());
    let facts =
        Facts::ask(&clients, &options.programme, (&options.subject, options.role.as_deref()), as_of).await?;
    let language = options.lang.unwrap_or_else(Language::of_terminal);
    let sheet = sheet::Sheet::of(&facts, language);
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
