//! The values of settings, read from what was said about them; an error names the place.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::settings::{Given, Givens};

/// The value of a setting that has one.
pub(super) fn one<T, E: ToString>(
    givens: &Givens,
    key: &str,
    default: T,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T> {
    let Some(Given { values, source }) = givens.get(key) else { return Ok(default) };
    let value = values.first().map_or("", String::as_str);
    read(value).map_err(|error| anyhow!("{source}: `{key}`: {}", error.to_string()))
}

/// The value of a setting that goes by service.
pub(super) fn many<T: Default>(
    givens: &Givens,
    key: &str,
    read: impl Fn(&[String]) -> Result<T, String>,
) -> Result<T> {
    let Some(Given { values, source }) = givens.get(key) else { return Ok(T::default()) };
    read(values).map_err(|error| anyhow!("{source}: `{key}`: {error}"))
}

/// `true` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "write true or false")
}

/// A path.
pub(super) fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("write a path") } else { Ok(PathBuf::from(text)) }
}
