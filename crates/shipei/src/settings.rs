//! The settings by name, and what was said about each: in a file, in the environment, by flags; the later the stronger.
//!
//! A setting given in a stronger place replaces all of what a weaker one said, lists too. Values stay text here, with
//! where they come from; [`crate::config`] gives them a meaning and so can say where a mistake stands. To add a
//! setting: a [`Setting`] in `list`, a field there.

mod given;
mod list;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Arg, ArgMatches, Command, FromArgMatches, parser::ValueSource};
use toml::de::{DeTable, DeValue};

use self::list::Shape;
pub use self::{
    given::{Given, Givens, Source},
    list::{LOG_FORMAT, SETTINGS, Setting, hide_what_only_servers_use},
};
use crate::{
    environment::{CONFIG_VARIABLE, standard_collector},
    services::service_names,
};

/// The name of the setting for the file of settings, which can't stand in that file.
const CONFIG: &str = "config";

/// The key of the setting for the collector.
const OTLP: &str = "otlp";
/// The flags and variables of a command.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The file of settings, and who named it.
    config: Option<(PathBuf, Source)>,
    givens: Givens,
}

impl Flags {
    /// The file of settings, if one was named, and who named it.
    pub fn config(&self) -> Option<&(PathBuf, Source)> {
        self.config.as_ref()
    }

    /// What the file says, and over it what variables and flags say.
    ///
    /// # Errors
    /// When the file can't be read, or holds something that is no setting; file, line and key are named.
    pub fn with_file(&self) -> Result<Givens> {
        let mut givens = match &self.config {
            Some((path, source)) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {} ({source})", path.display()))?;
                read_file(path, &text)?
            }
            None => Givens::new(),
        };
        givens.extend(self.givens.clone());
        if !givens.contains_key(OTLP)
            && let Some((address, variable)) = standard_collector(|name| std::env::var(name).ok())?
        {
            let source = Source::Environment(variable);
            givens.insert(OTLP, Given { values: vec![address], source });
        }
        Ok(givens)
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(CONFIG).long(CONFIG).env(CONFIG_VARIABLE).hide_env_values(true).value_name("FILE").help(
            "Settings in a TOML file: `listen = \"127.0.0.1:7300\"` and so on. A variable is stronger than the file, \
             a flag stronger than both",
        );
        let settings = SETTINGS.iter().filter(|setting| setting.key != LOG_FORMAT);
        command.arg(file).args(settings.map(Setting::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(given) = given_in(matches, CONFIG, CONFIG, CONFIG_VARIABLE) {
            self.config = given.values.first().map(|path| (PathBuf::from(path), given.source.clone()));
        }
        for setting in &SETTINGS {
            if let Some(given) = given_in(matches, setting.key, setting.flag, setting.variable) {
                self.givens.insert(setting.key, given);
            }
        }
        Ok(())
    }
}

/// What a flag or its variable says. An empty variable says nothing.
fn given_in(matches: &ArgMatches, key: &str, flag: &'static str, variable: &'static str) -> Option<Given> {
    let raw = matches.try_get_raw(key).ok().flatten()?;
    let values: Vec<String> = raw
        .map(|value| value.to_string_lossy().trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect();
    match matches.value_source(key)? {
        ValueSource::CommandLine => Some(Given { values, source: Source::Flag(flag) }),
        ValueSource::EnvVariable if !values.is_empty() => {
            Some(Given { values, source: Source::Environment(variable) })
        }
        _ => None,
    }
}

/// Reads a file of settings. Its text stays out of the errors: it may hold passwords.
fn read_file(path: &Path, text: &str) -> Result<Givens> {
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let at = |offset: usize| format!("file {}, line {}", path.display(), line_of(offset));
    let root = DeTable::parse(text)
        .map_err(|error| anyhow!("{}: {}", at(error.span().map_or(0, |span| span.start)), error.message()))?;
    let mut givens = Givens::new();
    for (key, value) in root.get_ref() {
        let start = key.span().start;
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key.get_ref().as_ref()) else {
            let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
            bail!("{}: there is no setting `{}`; there are {}", at(start), key.get_ref(), known.join(", "));
        };
        if let (Shape::ByService, DeValue::Table(table)) = (setting.shape, value.get_ref())
            && let Some(unknown) = table.keys().find(|key| !service_names().contains(&key.get_ref().as_ref()))
        {
            let (place, service) = (at(unknown.span().start), unknown.get_ref());
            let services = service_names().join(", ");
            bail!(
                "{place}: `{}.{service}`: there is no service `{service}`; there are {services}",
                setting.key
            );
        }
        let Some(values) = values_of(setting.shape, value.get_ref()) else {
            bail!("{}: `{}` takes {}", at(start), setting.key, setting.shape.in_a_file());
        };
        givens.insert(setting.key, Given { values, source: Source::File(path.to_owned(), line_of(start)) });
    }
    Ok(givens)
}

/// The texts of a value, if it has the setting's form.
fn values_of(shape: Shape, value: &DeValue<'_>) -> Option<Vec<String>> {
    match (shape, value) {
        (Shape::Text, DeValue::String(text)) => Some(vec![text.trim().to_owned()]),
        (Shape::Number, DeValue::Integer(number)) => Some(vec![number.to_string()]),
        (Shape::Switch, DeValue::Boolean(switch)) => Some(vec![switch.to_string()]),
        (Shape::ByService, DeValue::String(text)) => {
            Some(text.split_whitespace().map(str::to_owned).collect())
        }
        (Shape::ByService, DeValue::Array(list)) => {
            list.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        }
        (Shape::ByService, DeValue::Table(table)) => {
            let item =
                |service: &str, item: &DeValue<'_>| item.as_str().map(|text| format!("{service}={text}"));
            table.iter().map(|(service, value)| item(service.get_ref(), value.get_ref())).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
