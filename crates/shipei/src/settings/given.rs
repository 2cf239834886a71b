//! What was said about a setting, and where.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A line of the file of settings.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => formatter.write_str("default"),
            Source::File(path, line) => write!(formatter, "file {}, line {line}", path.display()),
            Source::Environment(variable) => write!(formatter, "environment {variable}"),
            Source::Flag(flag) => write!(formatter, "flag --{flag}"),
        }
    }
}

/// What was said about a setting, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The values; exactly one unless it goes by service.
    pub values: Vec<String>,
    /// Where they stand.
    pub source: Source,
}

/// What was said, by the setting's key.
pub type Givens = BTreeMap<&'static str, Given>;
