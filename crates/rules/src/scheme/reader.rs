//! A strict reader over parsed TOML: every value knows its line and its path, every table its keys.
//!
//! serde's derive would say less: no line for a fault found after reading, no path, and ranges apart from the fields.
//! To read another kind of value, add a method to [`Value`]; faults go through [`Value::refuse`].

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};
use toml::de::{DeTable, DeValue};

use super::error::SchemeError;

/// The years that a scheme may speak of; far enough that no sum of instants overflows.
const YEARS: RangeInclusive<i32> = 1950..=2200;

/// Parses TOML and opens its root table, which may have exactly these keys. `visit` reads it.
pub(super) fn read<T>(
    text: &str,
    keys: &[&str],
    visit: impl FnOnce(&Section<'_>) -> Result<T, SchemeError>,
) -> Result<T, SchemeError> {
    let root = DeTable::parse(text).map_err(|error| SchemeError {
        line: error.span().map(|span| line_of(text, span.start)),
        key: String::new(),
        cause: error.message().to_owned(),
    })?;
    let section = Section { table: root.get_ref(), path: String::new(), offset: 0, text };
    section.expect_only(keys)?;
    visit(&section)
}

/// The line of a place. Counted from the beginning, so only for what is told of a fault.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A table of the scheme.
pub(super) struct Section<'t> {
    table: &'t DeTable<'t>,
    path: String,
    offset: usize,
    text: &'t str,
}

impl<'t> Section<'t> {
    /// Refuses a key that the scheme does not know, and names those that it does.
    fn expect_only(&self, keys: &[&str]) -> Result<(), SchemeError> {
        let mut unknown: Option<(usize, &str)> = None;
        for key in self.table.keys() {
            let offset = key.span().start;
            if !keys.contains(&key.get_ref().as_ref()) && unknown.is_none_or(|(first, _)| offset < first) {
                unknown = Some((offset, key.get_ref()));
            }
        }
        let Some((offset, key)) = unknown else { return Ok(()) };
        Err(SchemeError {
            line: Some(line_of(self.text, offset)),
            key: join(&self.path, key),
            cause: format!("there is no such key; the keys here are {}", keys.join(", ")),
        })
    }

    /// Where the table stands, e.g. `trainee.online[1]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The value of a key, if it is there.
    pub(super) fn optional(&self, key: &str) -> Option<Value<'t>> {
        let (written_key, value) = self.table.get_key_value(key)?;
        let offset = written_key.span().start;
        Some(Value { value: value.get_ref(), path: join(&self.path, key), offset, text: self.text })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str) -> Result<Value<'t>, SchemeError> {
        self.optional(key).ok_or_else(|| self.refuse_key(key, "is missing"))
    }

    /// Every key with its value, in the order of the text.
    pub(super) fn entries(&self) -> Vec<(&'t str, Value<'t>)> {
        let mut entries: Vec<(usize, &'t str)> =
            self.table.keys().map(|key| (key.span().start, key.get_ref().as_ref())).collect();
        entries.sort_unstable();
        entries.into_iter().filter_map(|(_, key)| Some((key, self.optional(key)?))).collect()
    }

    /// A fault of a key of this table, placed at the table.
    pub(super) fn refuse_key(&self, key: &str, cause: &str) -> SchemeError {
        let line = Some(line_of(self.text, self.offset));
        SchemeError { line, key: join(&self.path, key), cause: cause.to_owned() }
    }
}

/// A value of the scheme, with its place.
pub(super) struct Value<'t> {
    value: &'t DeValue<'t>,
    path: String,
    offset: usize,
    text: &'t str,
}

impl<'t> Value<'t> {
    /// A fault of this value.
    pub(super) fn refuse(&self, cause: impl Into<String>) -> SchemeError {
        let line = Some(line_of(self.text, self.offset));
        SchemeError { line, key: self.path.clone(), cause: cause.into() }
    }

    fn wrong_kind(&self, wanted: &str) -> SchemeError {
        self.refuse(format!("must be {wanted}, not {}", self.value.type_str()))
    }

    /// A text, which may be empty.
    pub(super) fn any_text(&self) -> Result<&'t str, SchemeError> {
        self.value.as_str().ok_or_else(|| self.wrong_kind("a text in quotation marks"))
    }

    /// A text with at least one character that is not blank.
    pub(super) fn text(&self) -> Result<&'t str, SchemeError> {
        let text = self.any_text()?;
        if text.trim().is_empty() {
            return Err(self.refuse("must not be empty"));
        }
        Ok(text)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, SchemeError> {
        self.value.as_bool().ok_or_else(|| self.wrong_kind("true or false"))
    }

    /// A whole number in a range.
    pub(super) fn integer(&self, range: RangeInclusive<i64>) -> Result<i64, SchemeError> {
        let written = self.value.as_integer().ok_or_else(|| self.wrong_kind("a whole number"))?;
        let outside = || self.refuse(format!("must be from {} to {}", range.start(), range.end()));
        let number = i64::from_str_radix(written.as_str(), written.radix()).map_err(|_| outside())?;
        if range.contains(&number) { Ok(number) } else { Err(outside()) }
    }

    /// A calendar day, `"2019-09-15"` or TOML's own date `2019-09-15`.
    pub(super) fn day(&self) -> Result<NaiveDate, SchemeError> {
        let written = self.value.as_datetime().map(ToString::to_string);
        let text = match &written {
            Some(date) => date,
            None => self.text()?,
        };
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
        match day {
            Some(day) if YEARS.contains(&day.year()) => Ok(day),
            Some(_) => {
                Err(self.refuse(format!("its year must be from {} to {}", YEARS.start(), YEARS.end())))
            }
            None => Err(self.refuse(format!("\"{text}\" is no calendar day like \"2019-09-15\""))),
        }
    }

    /// A table with exactly these keys at most.
    pub(super) fn section(&self, keys: &[&str]) -> Result<Section<'t>, SchemeError> {
        let section = self.open_section()?;
        section.expect_only(keys)?;
        Ok(section)
    }

    /// A table with any keys.
    pub(super) fn open_section(&self) -> Result<Section<'t>, SchemeError> {
        let table = self.value.as_table().ok_or_else(|| self.wrong_kind("a table"))?;
        Ok(Section { table, path: self.path.clone(), offset: self.offset, text: self.text })
    }

    /// A list of at most [`super::LIST_LENGTH_MAX`] values, perhaps none.
    pub(super) fn list(&self) -> Result<Vec<Value<'t>>, SchemeError> {
        let array = self.value.as_array().ok_or_else(|| self.wrong_kind("a list"))?;
        if array.len() > super::LIST_LENGTH_MAX {
            return Err(self.refuse(format!("must not have more than {} entries", super::LIST_LENGTH_MAX)));
        }
        let mut values = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            values.push(Value {
                value: value.get_ref(),
                path: format!("{}[{index}]", self.path),
                offset: value.span().start,
                text: self.text,
            });
        }
        Ok(values)
    }

    /// A list of words that `read_one` understands; `what` names one of them in the fault. A word twice is as good as
    /// once.
    pub(super) fn word_list<T: PartialEq>(
        &self,
        what: &str,
        read_one: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, SchemeError> {
        self.read_words(what, read_one, |_, _| Ok(()))
    }

    /// A [`Value::word_list`] whose length divides, so that a word twice has no one meaning (weighed twice, or once?).
    pub(super) fn distinct_list<T: PartialEq>(
        &self,
        what: &str,
        read_one: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, SchemeError> {
        self.read_words(what, read_one, |value, word| {
            Err(value.refuse(format!("\"{word}\" stands here twice")))
        })
    }

    fn read_words<T: PartialEq>(
        &self,
        what: &str,
        read_one: impl Fn(&str) -> Option<T>,
        twice: impl Fn(&Value<'_>, &str) -> Result<(), SchemeError>,
    ) -> Result<Vec<T>, SchemeError> {
        let mut read = Vec::new();
        for value in self.list()? {
            let word = value.text()?;
            let one = read_one(word).ok_or_else(|| value.refuse(format!("there is no {what} \"{word}\"")))?;
            if read.contains(&one) {
                twice(&value, word)?;
            } else {
                read.push(one);
            }
        }
        Ok(read)
    }
}
