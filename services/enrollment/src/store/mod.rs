//! All SQL of this service, and no rules. One file for each kind of thing; a row that this program never writes is
//! `StoreError::CorruptRow`. Another table is a migration, a row type and its statements in the file of its kind.
//!
//! Creations are `INSERT .. ON CONFLICT DO NOTHING`: of two writers at once one gets the row, the other finds it and
//! compares. First times are `ON CONFLICT DO UPDATE .. WHERE` the new time is earlier. What a decision reads and must
//! not change meanwhile is locked first (`lock_programme`, `lock_person`), on Postgres; SQLite's writer is alone.

pub(crate) mod bar;
pub(crate) mod class;
pub(crate) mod county;
pub(crate) mod extension;
pub(crate) mod honour;
pub(crate) mod people;
pub(crate) mod person;
pub(crate) mod person_change;
pub(crate) mod person_erasure;
pub(crate) mod person_fact;
pub(crate) mod person_key;
pub(crate) mod person_merge;
pub(crate) mod place;
pub(crate) mod programme;
#[cfg(test)]
mod reach_tests;
pub(crate) mod region;
pub(crate) mod roster;
pub(crate) mod things;
pub(crate) mod transfer;

use shipei_rules::ids::text_of;
use shipei_service_kit::Unit;

use crate::domain::Time;

/// A column of an id that may be absent: `None` where the table has an empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maybe<T>(pub(crate) Option<T>);

impl<T: TryFrom<String>> TryFrom<String> for Maybe<T> {
    type Error = T::Error;

    fn try_from(text: String) -> Result<Self, T::Error> {
        match text.is_empty() {
            true => Ok(Self(None)),
            false => T::try_from(text).map(|id| Self(Some(id))),
        }
    }
}

impl<T: AsRef<str>> Maybe<T> {
    /// As a table has it.
    pub(crate) fn as_str(&self) -> &str {
        text_of(self.0.as_ref())
    }
}

/// What a region, a school or a class was created as, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Life {
    /// The name that it was created with.
    pub(crate) created_name: String,
    /// Since when it has its name of now; absent when it always had.
    pub(crate) named_at: Option<Time>,
    /// Since when it is no more.
    pub(crate) closed_at: Option<Time>,
    /// What it was merged into; empty when it was not.
    pub(crate) merged_into: String,
}

impl Life {
    /// Of what is created with a name.
    pub(crate) fn begun(name: &str) -> Self {
        Self { created_name: name.to_owned(), ..Self::default() }
    }
}

/// When a fact happened, when we learned of it, and who told us.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) occurred_at: Time,
    pub(crate) recorded_at: Time,
    pub(crate) actor: String,
}

impl Stamp {
    /// The stamp of what this unit writes.
    pub(crate) fn of(unit: &Unit) -> Self {
        Self { occurred_at: unit.occurred_at, recorded_at: unit.now, actor: unit.actor().to_owned() }
    }
}
