//! From proto to typed values, by field name. What: [`Fields`] takes one field after another and remembers what
//! is wrong, so that a request's faults are reported all at once. Why: a caller who must fix three fields should
//! not need three calls. One more kind of field is one more method here that ends in `self.fault(..)`.
//!
//! ```ignore
//! let mut fields = Fields::new();
//! let id = fields.id("note_id", &request.note_id, NoteId::parse);
//! let kind = fields.choice::<Kind>("kind", request.kind);
//! let (id, kind) = fields.all((id, kind))?;
//! ```

use std::{fmt::Display, ops::RangeInclusive};

use chrono::{DateTime, Datelike as _, Utc};
use prost_types::Timestamp;
use shipei_contracts::common::v1::ErrorReason;

use crate::{
    answer::error::{Error, FieldViolation, Refusal, Result},
    clock::truncate,
};

/// The most violations that one answer names.
pub const VIOLATIONS_MAX: usize = 100;
/// The longest id that is looked at, bytes.
pub const ID_BYTES_MAX: usize = 128;
/// The years that a timestamp may be of.
pub const YEARS: RangeInclusive<i32> = 1900..=9999;

/// Collects what is wrong with one request.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<FieldViolation>,
    refusal: Option<Refusal>,
    prefix: String,
}

impl Fields {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A text that must be there (blanks are not a text), of at most `chars_max` characters. It comes trimmed.
    pub fn text(&mut self, field: &str, value: &str, chars_max: usize) -> Option<String> {
        let value = value.trim();
        if value.is_empty() {
            return self.fault(field, "required");
        }
        self.optional_text(field, value, chars_max)
    }

    /// A text that may be empty, of at most `chars_max` characters (else TEXT_TOO_LONG), without control characters but
    /// line ends and tabs, and without identity numbers. It comes trimmed.
    pub fn optional_text(&mut self, field: &str, value: &str, chars_max: usize) -> Option<String> {
        self.written_text(field, value.trim(), chars_max)
    }

    /// As [`Fields::optional_text`], kept as it was written: Chinese paragraphs begin with blanks.
    pub fn written_text(&mut self, field: &str, value: &str, chars_max: usize) -> Option<String> {
        if value.chars().take(chars_max.saturating_add(1)).count() > chars_max {
            let refusal =
                Refusal::new(ErrorReason::TextTooLong).with("characters_max", chars_max.to_string());
            return self.refuse(field, refusal);
        }
        if let Some(fault) = shipei_text::fault_of_text(value) {
            return self.fault(field, &fault.to_string());
        }
        Some(value.to_owned())
    }

    /// A name, a title: one line, which may be empty, of at most `chars_max` characters. It comes in its normal form.
    pub fn name(&mut self, field: &str, value: &str, chars_max: usize) -> Option<String> {
        let value = value.trim();
        if value.chars().take(chars_max.saturating_add(1)).count() <= chars_max
            && let Some(fault) = shipei_text::fault_of_line(value)
        {
            return self.fault(field, &fault.to_string());
        }
        self.optional_text(field, &shipei_text::normal(value), chars_max)
    }

    /// An id by its own parser, e.g. `fields.id("note_id", &request.note_id, NoteId::parse)`.
    pub fn id<T, E: Display>(
        &mut self,
        field: &str,
        value: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Option<T> {
        if value.is_empty() {
            return self.fault(field, "required");
        }
        if value.len() > ID_BYTES_MAX {
            return self.fault(field, &format!("longer than {ID_BYTES_MAX} bytes"));
        }
        match parse(value) {
            Ok(id) => Some(id),
            Err(error) => self.fault(field, &error.to_string()),
        }
    }

    /// An id that may be empty: `Some(None)`.
    pub fn optional_id<T, E: Display>(
        &mut self,
        field: &str,
        value: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Option<Option<T>> {
        if value.is_empty() {
            return Some(None);
        }
        self.id(field, value, parse).map(Some)
    }

    /// A value of a proto enum, which must be known and not the unspecified one (0).
    pub fn choice<E: TryFrom<i32>>(&mut self, field: &str, value: i32) -> Option<E> {
        if value == 0 {
            return self.fault(field, "required");
        }
        match E::try_from(value) {
            Ok(choice) => Some(choice),
            Err(_) => self.fault(field, "not a known value"),
        }
    }

    /// A value of a proto enum that may be unspecified: `Some(None)`.
    pub fn optional_choice<E: TryFrom<i32>>(&mut self, field: &str, value: i32) -> Option<Option<E>> {
        if value == 0 {
            return Some(None);
        }
        self.choice(field, value).map(Some)
    }

    /// An integer within a range.
    pub fn integer<T: PartialOrd + Display + Copy>(
        &mut self,
        field: &str,
        value: T,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        if range.contains(&value) {
            return Some(value);
        }
        self.fault(field, &format!("must be from {} to {}", range.start(), range.end()))
    }

    /// An instant that must be there, truncated to microseconds.
    pub fn timestamp(&mut self, field: &str, value: Option<Timestamp>) -> Option<DateTime<Utc>> {
        let Some(value) = value else { return self.fault(field, "required") };
        match from_timestamp(&value) {
            Ok(instant) => Some(instant),
            Err(fault) => self.fault(field, fault),
        }
    }

    /// An instant that may be absent: `Some(None)`.
    pub fn optional_timestamp(
        &mut self,
        field: &str,
        value: Option<Timestamp>,
    ) -> Option<Option<DateTime<Utc>>> {
        let Some(value) = value else { return Some(None) };
        self.timestamp(field, Some(value)).map(Some)
    }

    /// A message field that must be there.
    pub fn required<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            return self.fault(field, "required");
        }
        value
    }

    /// A list of 1 to `items_max` items: each is taken by `item`, whose fields are named `field[index].…`. A
    /// longer list is TOO_MANY and its items are not looked at.
    pub fn list<T, V>(
        &mut self,
        field: &str,
        values: Vec<V>,
        items_max: usize,
        item: impl FnMut(&mut Self, V) -> Option<T>,
    ) -> Option<Vec<T>> {
        if values.is_empty() {
            return self.fault(field, "required");
        }
        self.optional_list(field, values, items_max, item)
    }

    /// As [`Fields::list`], and it may be empty.
    pub fn optional_list<T, V>(
        &mut self,
        field: &str,
        values: Vec<V>,
        items_max: usize,
        mut item: impl FnMut(&mut Self, V) -> Option<T>,
    ) -> Option<Vec<T>> {
        if values.len() > items_max {
            let refusal = Refusal::new(ErrorReason::TooMany).with("items_max", items_max.to_string());
            return self.refuse(field, refusal);
        }
        let mut taken = Vec::with_capacity(values.len());
        let mut complete = true;
        for (index, value) in values.into_iter().enumerate() {
            let outer = self.prefix.len();
            let prefix = format!("{field}[{index}].");
            self.prefix.push_str(&prefix);
            match item(self, value) {
                Some(value) => taken.push(value),
                None => complete = false,
            }
            self.prefix.truncate(outer);
        }
        complete.then_some(taken)
    }

    /// The fields of an inner message, named `field.…`.
    pub fn inner<T>(&mut self, field: &str, inner: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let outer = self.prefix.len();
        self.prefix.push_str(field);
        self.prefix.push('.');
        let value = inner(self);
        self.prefix.truncate(outer);
        value
    }

    /// A fault found by other means. Always None, so that it can end a parser. An empty `field` is the item that
    /// is being parsed.
    pub fn fault<T>(&mut self, field: &str, description: &str) -> Option<T> {
        if self.violations.len() < VIOLATIONS_MAX {
            let field = self.path(field);
            self.violations.push(FieldViolation { field, description: description.to_owned() });
        }
        None
    }

    /// A fault that has a reason of its own, e.g. SCORE_OUT_OF_RANGE; the first one is the answer, unless plain
    /// faults were found too. Always None.
    pub fn refuse<T>(&mut self, field: &str, refusal: Refusal) -> Option<T> {
        if self.refusal.is_none() {
            let field = self.path(field);
            self.refusal = Some(refusal.field(field));
        }
        None
    }

    /// Ends the parsing: the values, if nothing was wrong. Takes a tuple of up to twelve Options.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every wrong field; else [`Error::Refused`] with the first refusal.
    pub fn all<P: Parsed>(self, parsed: P) -> Result<P::Values> {
        self.finish()?;
        parsed.values().ok_or_else(|| Error::Internal("a field is missing without a fault".into()))
    }

    /// Ends the parsing.
    ///
    /// # Errors
    /// As [`Fields::all`].
    pub fn finish(self) -> Result<()> {
        if !self.violations.is_empty() {
            return Err(Error::Invalid(self.violations));
        }
        match self.refusal {
            Some(refusal) => Err(Error::Refused(refusal)),
            None => Ok(()),
        }
    }

    fn path(&self, field: &str) -> String {
        if field.is_empty() {
            return self.prefix.trim_end_matches('.').to_owned();
        }
        format!("{}{field}", self.prefix)
    }
}

/// A tuple of parsed fields.
pub trait Parsed {
    /// The same tuple without the Options.
    type Values;
    /// The values, if all are there.
    fn values(self) -> Option<Self::Values>;
}

macro_rules! parsed {
    ($($name:ident)+) => {
        impl<$($name),+> Parsed for ($(Option<$name>,)+) {
            type Values = ($($name,)+);
            #[expect(non_snake_case, reason = "the names of the types serve as the names of the values")]
            fn values(self) -> Option<Self::Values> {
                let ($($name,)+) = self;
                Some(($($name?,)+))
            }
        }
    };
}

parsed!(A);
parsed!(A B);
parsed!(A B C);
parsed!(A B C D);
parsed!(A B C D E);
parsed!(A B C D E F);
parsed!(A B C D E F G);
parsed!(A B C D E F G H);
parsed!(A B C D E F G H I);
parsed!(A B C D E F G H I J);
parsed!(A B C D E F G H I J K);
parsed!(A B C D E F G H I J K L);

/// A proto timestamp as an instant, truncated to microseconds.
///
/// # Errors
/// What is wrong with it, for a field violation.
pub fn from_timestamp(value: &Timestamp) -> std::result::Result<DateTime<Utc>, &'static str> {
    let Ok(nanos) = u32::try_from(value.nanos) else { return Err("nanos must be from 0 to 999999999") };
    if nanos > 999_999_999 {
        return Err("nanos must be from 0 to 999999999");
    }
    let Some(instant) = DateTime::from_timestamp(value.seconds, nanos) else { return Err("not an instant") };
    if !YEARS.contains(&instant.year()) {
        return Err("the year must be from 1900 to 9999");
    }
    Ok(truncate(instant))
}

/// An instant as a proto timestamp.
pub fn to_timestamp(instant: DateTime<Utc>) -> Timestamp {
    let nanos = instant.timestamp_subsec_nanos().min(999_999_999);
    Timestamp { seconds: instant.timestamp(), nanos: nanos.try_into().unwrap_or_default() }
}

/// A count, points or seconds as messages carry them; what does not fit is the bound that it passed.
pub fn to_int32(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use shipei_contracts::common::v1::Role;

    use super::*;

    fn parse_id(text: &str) -> std::result::Result<String, String> {
        if text.starts_with('T') { Ok(text.to_owned()) } else { Err("must begin with T".to_owned()) }
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let mut fields = Fields::new();
        let id = fields.id("trainee_id", "X1", parse_id);
        let name = fields.text("name", "  ", 10);
        let role = fields.choice::<Role>("role", 99);
        let score = fields.integer("score", 101, 0..=100);
        let at = fields.timestamp("at", Some(Timestamp { seconds: -3_000_000_000, nanos: 0 }));
        let rows =
            fields.list("rows", vec![1, 200, 3], 5, |fields, value| fields.integer("score", value, 0..=100));
        let Err(Error::Invalid(violations)) = fields.all((id, name, role, score, at, rows)) else {
            panic!("must be invalid");
        };
        let names: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(names, ["trainee_id", "name", "role", "score", "at", "rows[1].score"]);
        assert_eq!(violations[3].description, "must be from 0 to 100");
    }

    #[test]
    fn good_fields_come_typed() {
        let mut fields = Fields::new();
        let id = fields.id("trainee_id", "T1", parse_id);
        let none = fields.optional_id("other_id", "", parse_id);
        let role = fields.choice::<Role>("role", 1);
        let at = fields.timestamp("at", Some(Timestamp { seconds: 5, nanos: 1_999 }));
        let text = fields.optional_text("text", " 教师 ", 2);
        let (id, none, role, at, text) = fields.all((id, none, role, at, text)).unwrap();
        assert_eq!((id.as_str(), none, role, text.as_str()), ("T1", None, Role::Trainee, "教师"));
        assert_eq!(to_timestamp(at), Timestamp { seconds: 5, nanos: 1_000 });
    }

    #[test]
    fn long_text_and_long_list_have_reasons_of_their_own() {
        let mut fields = Fields::new();
        let text = fields.text("comment", "三个字", 2);
        let Err(Error::Refused(refusal)) = fields.all((text,)) else { panic!("must be refused") };
        assert_eq!(refusal.reason, ErrorReason::TextTooLong);
        assert_eq!(refusal.field.as_deref(), Some("comment"));

        let mut fields = Fields::new();
        let list = fields.list("rows", vec![1, 2, 3], 2, |_, value| Some(value));
        let Err(Error::Refused(refusal)) = fields.all((list,)) else { panic!("must be refused") };
        assert_eq!(refusal.reason, ErrorReason::TooMany);
    }

    #[test]
    fn name_is_one_line_and_no_text_holds_an_identity_number() {
        let mut fields = Fields::new();
        assert_eq!(fields.name("name", " 张\u{200B}三\u{FEFF}", 10).as_deref(), Some("张三"));
        assert_eq!(fields.name("name", "", 10).as_deref(), Some(""));
        assert_eq!(fields.text("text", "第一行\n第二行", 10).as_deref(), Some("第一行\n第二行"));
        for (field, value) in [("line", "张\n三"), ("mark", "张\u{202E}三"), ("nul", "a\0")] {
            assert_eq!(fields.name(field, value, 10), None);
        }
        assert_eq!(fields.name("number", "张三 130302198001010119", 100), None);
        assert_eq!(fields.text("nul of a text", "a\0", 10), None);
        assert_eq!(fields.text("number of a text", "130302 19800101 0118", 100), None);
        let Err(Error::Invalid(violations)) = fields.finish() else { panic!("must be invalid") };
        assert_eq!(violations.len(), 6);
        assert!(violations.iter().all(|violation| !violation.description.contains("1303")));
    }

    #[test]
    fn timestamp_before_1970_keeps_its_instant() {
        let stated = Timestamp { seconds: -1, nanos: 500_000_000 };
        let instant = from_timestamp(&stated).unwrap();
        assert_eq!(instant.timestamp_micros(), -500_000);
        assert_eq!(to_timestamp(instant), stated);
        assert!(from_timestamp(&Timestamp { seconds: 0, nanos: -1 }).is_err());
        assert!(from_timestamp(&Timestamp { seconds: i64::MAX, nanos: 0 }).is_err());
    }

    #[test]
    fn inner_fields_are_named_by_their_path() {
        let mut fields = Fields::new();
        let inner = fields.inner("period", |fields| fields.timestamp("start", None));
        let Err(Error::Invalid(violations)) = fields.all((inner,)) else { panic!("must be invalid") };
        assert_eq!(violations[0].field, "period.start");
    }
}
