//! What is wrong with a scheme: the line, the key, the cause.
//!
//! A scheme is written by people who are no programmers, so an error says where to look and what to change. Only the
//! first error is reported: later ones often follow from it.

use std::fmt;

/// A scheme that can't be read or can't work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemeError {
    /// The line in the TOML text, from 1; `None` when no line can be named.
    pub line: Option<usize>,
    /// The path of the key, e.g. `trainee.online[1].window` (lists count from 0); empty for a fault of syntax.
    pub key: String,
    /// What is wrong, in a sentence without a full stop.
    pub cause: String,
}

impl fmt::Display for SchemeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.cause)
    }
}

impl std::error::Error for SchemeError {}
