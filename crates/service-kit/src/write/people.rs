//! What a service keeps of people, told table by table ([`PersonTable`]): which columns have the id of a person, and what of a row is
//! private, so that it is emptied when they are erased. Why a list and no code for each: a table that nobody lists is found by a
//! test over the databases themselves, and what the list says is all that erasing needs.

use std::fmt::Debug;

use shipei_store::{DataKeys, StoreError, Tx, execute};

use crate::answer::error::Result;

/// A table with rows about people, each by a column that has their id.
#[derive(Debug, Clone, Copy)]
pub struct PersonTable {
    /// Its name.
    pub table: &'static str,
    /// The columns that have the id of a person: a row is about each of them.
    pub people: &'static [&'static str],
    /// By what condition the rows of a person are found, where it is not that one of the columns has their id.
    pub condition: Option<&'static str>,
    /// Statements that empty what is private in the rows of a person: `$1` is the programme, `$2` the person.
    pub erasing: &'static [&'static str],
}

impl PersonTable {
    /// A table that holds nothing private of the people in these columns.
    pub const fn of(table: &'static str, people: &'static [&'static str]) -> Self {
        Self { table, people, condition: None, erasing: &[] }
    }

    /// The same, whose rows are found by a condition of its own: `$1` is the programme, `$2` the person.
    pub const fn found_by(self, condition: &'static str) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// The same with what is emptied.
    pub const fn erasing(self, erasing: &'static [&'static str]) -> Self {
        Self { erasing, ..self }
    }
}

/// Those of the store, which every service has.
pub const OF_EVERY_SERVICE: &[PersonTable] = &[PersonTable::of("daily_use", &["person_id"])];

/// A value that a service keeps sealed, or as bytes that mean something only to it.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    /// Its table.
    pub table: &'static str,
    /// Its column.
    pub column: &'a str,
    /// The row that it stands in.
    pub row: &'a shipei_store::rows::Row,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// How bytes of a service are shown to the person whom they are about.
#[derive(Debug)]
pub enum Readable {
    /// So.
    Text(String),
    /// Not at all: it says nothing of them that is not said beside it (a digest, a key).
    LeftOut,
    /// As bytes.
    AsTheyAre,
}

/// What a service does to show what it keeps of people.
#[tonic::async_trait]
pub trait Reveals: Debug + Send + Sync + 'static {
    /// What bytes say of a person.
    ///
    /// # Errors
    /// What the database does, and bytes that can't be opened.
    async fn readable(
        &self,
        tx: &mut Tx,
        keys: &DataKeys,
        whose: (&str, &str),
        bytes: Bytes<'_>,
    ) -> Result<Readable>;
}

/// A statement that empties why facts of a table were retracted, of rows that are about a person by a column, or by a condition over
/// `told`.
#[macro_export]
macro_rules! forget_why_retracted {
    ($table:literal, $person:literal) => {
        $crate::forget_why_retracted!($table, where "told.", $person, " = $2")
    };
    ($table:literal, where $($condition:tt)+) => {
        concat!(
            "UPDATE retraction SET reason = '' WHERE programme_id = $1 AND reason <> '' AND fact_id IN (SELECT told.fact_id FROM ",
            $table,
            " told WHERE told.programme_id = $1 AND ",
            $($condition)+,
            ")"
        )
    };
}

/// Empties what is private of somebody in these tables. The bytes are gone with the transaction ([`Tx::erases`]).
///
/// # Errors
/// What the database does.
pub async fn erase(
    tx: &mut Tx,
    tables: &[&[PersonTable]],
    (programme_id, person_id): (&str, &str),
) -> std::result::Result<(), StoreError> {
    for table in tables.concat() {
        for statement in table.erasing {
            execute!(tx, *statement, programme_id, person_id)?;
        }
    }
    tx.erases();
    Ok(())
}
