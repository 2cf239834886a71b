//! The settings by name, and what was said about each: in a file, in the environment, by flags; the later the stronger.
//!
//! A setting given in a stronger place replaces all of what a weaker one said, lists too. Values stay text here, with
//! where they come from; [`crate::config`] gives them a meaning and so can say where a mistake stands. To add a
//! setting: a [`Setting`] here, a field there.

mod given;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, parser::ValueSource};
use toml::de::{DeTable, DeValue};

pub use self::given::{Given, Givens, Source};
use crate::{
    environment::{CONFIG_VARIABLE, standard_collector},
    services::service_names,
};

/// The name of the setting for the file of settings, which can't stand in that file.
const CONFIG: &str = "config";

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    Switch,
    /// Texts, each for all services or for one.
    ByService,
}

impl Shape {
    /// What a file must hold.
    fn in_a_file(self) -> &'static str {
        match self {
            Shape::Text => "a text in quotes",
            Shape::Number => "a whole number",
            Shape::Switch => "true or false",
            Shape::ByService => "a text, a list of texts or a table of texts by service",
        }
    }
}

/// A setting: a key of the file, a variable and a flag.
#[derive(Debug)]
pub struct Setting {
    /// The key in a file.
    pub key: &'static str,
    flag: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    shape: Shape,
    value: &'static str,
    heading: &'static str,
    help: &'static str,
}

const NETWORK: &str = "Network";
const STORAGE: &str = "Storage";
const LIMITS: &str = "Limits for each service's database";
const MANY: &str = "Many instances";

/// Every setting, in the order in which they are shown.
pub const SETTINGS: [Setting; 25] = [
    Setting {
        key: "listen",
        flag: "listen",
        variable: "SHIPEI_LISTEN",
        shape: Shape::Text,
        value: "HOST:PORT",
        heading: NETWORK,
        help: "Where to listen; port 0 takes a free one. Loopback only, unless --open-network is given [default: 127.0.0.1:7300]",
    },
    Setting {
        key: "open_network",
        flag: "open-network",
        variable: "SHIPEI_OPEN_NETWORK",
        shape: Shape::Switch,
        value: "true|false",
        heading: NETWORK,
        help: "Let --listen be reachable from other machines. Access rights are declared but not enforced yet: say this only of a private network where everybody may do everything",
    },
    Setting {
        key: "cors_origins",
        flag: "cors-origins",
        variable: "SHIPEI_CORS_ORIGINS",
        shape: Shape::Text,
        value: "ORIGINS",
        heading: NETWORK,
        help: "The pages that may call from a browser, by their origin, with commas between them: https://board.county.example,http://localhost:5173 [default: none]",
    },
    Setting {
        key: "peers",
        flag: "peer",
        variable: "SHIPEI_PEERS",
        shape: Shape::ByService,
        value: "SERVICE=ADDRESS",
        heading: NETWORK,
        help: "A service that runs elsewhere, several times: enrollment=http://10.0.0.7:7300",
    },
    Setting {
        key: "data",
        flag: "data",
        variable: "SHIPEI_DATA",
        shape: Shape::Text,
        value: "DIR",
        heading: STORAGE,
        help: "The folder for SQLite files and the key file [default: shipei-data]",
    },
    Setting {
        key: "database",
        flag: "database",
        variable: "SHIPEI_DATABASE",
        shape: Shape::ByService,
        value: "[SERVICE=]URL",
        heading: STORAGE,
        help: "Databases elsewhere: a postgres:// URL for all services (a schema for each), or SERVICE=URL, several times",
    },
    Setting {
        key: "key_file",
        flag: "key-file",
        variable: "SHIPEI_KEY_FILE",
        shape: Shape::Text,
        value: "FILE",
        heading: STORAGE,
        help: "The secret (32 bytes in base64) for identity numbers and tokens; the same for every process of a suite. Made if it is not there and nothing is sealed yet [default: shipei.key in --data]",
    },
    Setting {
        key: "migrate",
        flag: "migrate",
        variable: "SHIPEI_MIGRATE",
        shape: Shape::Switch,
        value: "true|false",
        heading: STORAGE,
        help: "Bring schemas up to date before serving. Without it a service on Postgres refuses an older schema; SQLite files are always brought up to date",
    },
    Setting {
        key: "pool_connections",
        flag: "pool-connections",
        variable: "SHIPEI_POOL_CONNECTIONS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most connections [default: 10]",
    },
    Setting {
        key: "acquire_timeout",
        flag: "acquire-timeout",
        variable: "SHIPEI_ACQUIRE_TIMEOUT",
        shape: Shape::Text,
        value: "TIME",
        heading: LIMITS,
        help: "How long a call waits for a free connection, as 500ms, 10s or 2m [default: 10s]",
    },
    Setting {
        key: "statement_timeout",
        flag: "statement-timeout",
        variable: "SHIPEI_STATEMENT_TIMEOUT",
        shape: Shape::Text,
        value: "TIME",
        heading: LIMITS,
        help: "How long a statement may run on Postgres [default: 30s]",
    },
    Setting {
        key: "lock_timeout",
        flag: "lock-timeout",
        variable: "SHIPEI_LOCK_TIMEOUT",
        shape: Shape::Text,
        value: "TIME",
        heading: LIMITS,
        help: "How long a statement waits for a lock [default: 5s]",
    },
    Setting {
        key: "memory_budget",
        flag: "memory-budget",
        variable: "SHIPEI_MEMORY_BUDGET",
        shape: Shape::Number,
        value: "MEGABYTES",
        heading: LIMITS,
        help: "What bodies and answers under way may take of the process's memory, together; who finds it spent is told when to come back [default: 128]",
    },
    Setting {
        key: "connections",
        flag: "connections",
        variable: "SHIPEI_CONNECTIONS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most connections of clients; those that say nothing make way for others [default: 4096]",
    },
    Setting {
        key: "connections_by_address",
        flag: "connections-by-address",
        variable: "SHIPEI_CONNECTIONS_BY_ADDRESS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most connections of one address; behind a load balancer all come from its own [default: as many as of all]",
    },
    Setting {
        key: "request_records_days",
        flag: "request-records-days",
        variable: "SHIPEI_REQUEST_RECORDS_DAYS",
        shape: Shape::Number,
        value: "DAYS",
        heading: LIMITS,
        help: "How long a request is known by its request_id; sent again later it is a new one [default: 30]",
    },
    Setting {
        key: "disk_reserve",
        flag: "disk-reserve",
        variable: "SHIPEI_DISK_RESERVE",
        shape: Shape::Number,
        value: "MEGABYTES",
        heading: LIMITS,
        help: "What is kept free on the disk of --data: with less, calls that write are refused, and reads go on; 0 keeps nothing [default: 256]",
    },
    Setting {
        key: "quota_things",
        flag: "quota-things",
        variable: "SHIPEI_QUOTA_THINGS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most posts that one person may add in a day, and so of submissions, seminars, summaries, bulletins, plans, activities and results [default: 1000]",
    },
    Setting {
        key: "quota_megabytes",
        flag: "quota-megabytes",
        variable: "SHIPEI_QUOTA_MEGABYTES",
        shape: Shape::Number,
        value: "MEGABYTES",
        heading: LIMITS,
        help: "The most text in them, of each kind [default: 16]",
    },
    Setting {
        key: "instance",
        flag: "instance",
        variable: "SHIPEI_INSTANCE",
        shape: Shape::Text,
        value: "NAME",
        heading: MANY,
        help: "The name of this process among the instances of a service, in leases, logs and metrics [default: the machine's name and a random part]",
    },
    Setting {
        key: "redis",
        flag: "redis",
        variable: "SHIPEI_REDIS",
        shape: Shape::Text,
        value: "URL",
        heading: MANY,
        help: "A Redis for what instances share and may lose (wakes, who is studying now, rate limits): redis://HOST:6379 or, over TLS, rediss://:PASSWORD@HOST:6379. Without it instances poll and count for themselves",
    },
    Setting {
        key: "redis_ca_file",
        flag: "redis-ca-file",
        variable: "SHIPEI_REDIS_CA_FILE",
        shape: Shape::Text,
        value: "FILE",
        heading: MANY,
        help: "The authority (PEM) that signed the certificate of a rediss:// address [default: the system's]",
    },
    Setting {
        key: "rate_limit",
        flag: "rate-limit",
        variable: "SHIPEI_RATE_LIMIT",
        shape: Shape::Number,
        value: "NUMBER",
        heading: MANY,
        help: "The most calls of one caller (by `shipei-caller`, else by address) to one service in a minute, over all instances; 0 is no limit [default: 0]",
    },
    Setting {
        key: "otlp",
        flag: "otlp",
        variable: "SHIPEI_OTLP",
        shape: Shape::Text,
        value: "URL",
        heading: MANY,
        help: "An OpenTelemetry collector for traces and metrics, by OTLP over gRPC: http://HOST:4317. Without it nothing is sent",
    },
    Setting {
        // Also of the commands that have no other setting: `main` defines the flag.
        key: LOG_FORMAT,
        flag: "log-format",
        variable: "SHIPEI_LOG_FORMAT",
        shape: Shape::Text,
        value: "",
        heading: "",
        help: "",
    },
];

/// The key of the setting for the collector.
const OTLP: &str = "otlp";
/// The key of the one setting that all commands have.
pub const LOG_FORMAT: &str = "log_format";

impl Setting {
    fn argument(&self) -> Arg {
        // The values of variables stay out of the help: they may hold passwords.
        let argument = Arg::new(self.key).long(self.flag).env(self.variable).hide_env_values(true);
        let argument = argument.value_name(self.value).help_heading(self.heading).help(self.help);
        match self.shape {
            Shape::Text | Shape::Number => argument,
            Shape::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            Shape::ByService => argument.action(ArgAction::Append).value_delimiter(' '),
        }
    }
}

/// Leaves what only a server is told out of the help of other commands. They take it all the same, so that one file and
/// one environment do for all.
pub fn hide_what_only_servers_use(argument: Arg) -> Arg {
    let hidden = SETTINGS.iter().any(|setting| {
        argument.get_id() == setting.key
            && (matches!(setting.heading, NETWORK | MANY) || setting.key == "migrate")
    });
    argument.hide(hidden)
}

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
