//! The ids of everything that the suite names, as types that can't be mixed up.
//!
//! All of them follow one rule (1 to 64 ASCII letters, digits, `-`, `_`, `.`, `:`, and no identity number among them), so
//! that an id is safe in a log, a URL, a CSV and a database key on every platform. To add one more, add a line to the list at the end of the `ids!` call.
//!
//! An id is read once, where a request, an event or a row comes in, and is its type from there down to the statements, where it is
//! bound by `as_str()`. A row takes its ids back by `#[sqlx(try_from = "String")]`. What may be absent is an `Option`, whatever
//! empty text a table has in its place.

use std::fmt;

/// The most characters that an id may have.
pub const ID_LENGTH_MAX: usize = 64;

/// The text of what may be absent: empty when it is.
pub fn text_of(id: Option<&impl AsRef<str>>) -> &str {
    id.map_or("", AsRef::as_ref)
}

/// Why a text is no id. It does not repeat the text: somebody may have put an identity number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {cause}")]
pub struct InvalidId {
    /// The type that was to be parsed, e.g. `PersonId`.
    pub kind: &'static str,
    /// What is wrong, to be read after the kind.
    pub cause: &'static str,
}

fn check(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    match shipei_text::fault_of_id(text, ID_LENGTH_MAX) {
        None => Ok(()),
        Some(cause) => Err(InvalidId { kind, cause }),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Reads an id. Errors when the text is empty, longer than [`ID_LENGTH_MAX`], has a character that no id has, or holds an
            /// identity number.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(stringify!($name), text)?;
                Ok(Self(text.to_owned()))
            }

            /// Reads an id where an empty text says that there is none.
            pub fn parse_optional(text: &str) -> Result<Option<Self>, InvalidId> {
                if text.is_empty() { Ok(None) } else { Self::parse(text).map(Some) }
            }

            /// The id as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                check(stringify!($name), &text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    )+};
}

ids! {
    /// A programme (培训项目): one city's or province's training of one year.
    ProgrammeId,
    /// A person in a programme, whatever their role. Never an identity number.
    PersonId,
    /// A course.
    CourseId,
    /// A study session: one learner watching one course.
    SessionId,
    /// Time granted to a learner by hand.
    GrantId,
    /// The end of a window moved.
    ExtensionId,
    /// A class of trainees.
    ClassId,
    /// A school.
    SchoolCode,
    /// A submission of a practical assignment.
    SubmissionId,
    /// A class seminar (班级研修活动).
    SeminarId,
    /// An offline activity of a county.
    ActivityId,
    /// A remittance of training fees.
    RemittanceRef,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_with_allowed_characters_is_kept_as_written() {
        let id = PersonId::parse("T-01_a.b:C").unwrap();
        assert_eq!(id.as_str(), "T-01_a.b:C");
        assert_eq!(format!("{id} {id:?}"), "T-01_a.b:C PersonId(T-01_a.b:C)");
        assert!(ClassId::parse(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn absent_id_is_an_empty_text_and_no_other() {
        let id = ClassId::parse("L1").unwrap();
        assert_eq!(ClassId::parse_optional("L1"), Ok(Some(id.clone())));
        assert_eq!(ClassId::parse_optional(""), Ok(None));
        assert!(ClassId::parse_optional("a b").is_err());
        assert_eq!((text_of(Some(&id)), text_of(None::<&ClassId>)), ("L1", ""));
        assert_eq!((ClassId::try_from("L1".to_owned()), String::from(id.clone())), (Ok(id), "L1".to_owned()));
        assert!(ClassId::try_from(String::new()).is_err());
    }

    #[test]
    fn id_outside_the_rule_is_refused_without_repeating_it() {
        let number = "T-130302198001010118";
        for text in ["", "a b", "张三", "a/b", "a\n", &"x".repeat(65), number, "130302800101011"] {
            let error = PersonId::parse(text).unwrap_err();
            assert!(error.to_string().starts_with("PersonId "));
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }
}
