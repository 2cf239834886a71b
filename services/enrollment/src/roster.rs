//! A roster's rows, judged one by one: pure. What: [`read_row`] takes the cells of a row, [`check_places`] asks whether
//! what it names is there, [`judge`] compares it with who is enrolled already. Why each by itself: a county sends thousands
//! of rows, the good ones are taken and each bad one is named with all its faults, in English and in Chinese. No message
//! repeats a cell: somebody may have put an identity number there. A row is refused for what nothing can be done with, and
//! taken with a warning for what is only odd ([`warnings`]): who is not taken loses the whole season, and with a tutor the
//! whole class does. A new column is a line of [`COLUMNS`] and a step of [`read_row`].

mod enrolled;
mod read;
mod rehearsal;
mod tree;
mod words;

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    identity_number::IdentityNumber,
    ids::PersonId,
    vocabulary::{DevelopmentStage, EducationStage, Role},
};
use shipei_tables::Ruin;

use crate::domain::Place;

pub(crate) use enrolled::{
    Enrolled, Holder, IdentityDigest, Known, Register, Verdict, Written, check_open, check_places, judge,
    warnings, with_zeros,
};
pub(crate) use read::{plain_number, read_row, showable_person_id};
pub(crate) use rehearsal::Rehearsal;
pub(crate) use tree::{Tree, TreeRegion};
pub use words::COLUMNS;
pub(crate) use words::{WIDTH, at, template_columns};

/// The most rows of one import.
pub const MAX_ROSTER_ROWS: usize = 500_000;

/// One row as it was sent.
#[derive(Clone, Default)]
pub(crate) struct Cells {
    /// The line of the file, or the number of the row from 1.
    pub(crate) row: i64,
    /// The cells, in the order of [`COLUMNS`].
    pub(crate) cells: [String; WIDTH],
    /// What a spreadsheet has made of them.
    pub(crate) ruins: [Option<Ruin>; WIDTH],
    /// What is wrong with the row before anybody asks what its cells mean.
    pub(crate) faults: Vec<Fault>,
    /// All cells of the file's row, to be handed back if it is not taken.
    pub(crate) texts: Vec<String>,
}

/// A row that can be, whatever is enrolled already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The line of the file, or the number of the row from 1.
    pub(crate) row: i64,
    /// Their id.
    pub(crate) person_id: PersonId,
    /// Their name.
    pub(crate) name: String,
    /// Their identity number, checked.
    pub(crate) identity_number: IdentityNumber,
    /// What they are.
    pub(crate) role: Role,
    /// Where the roster puts them.
    pub(crate) place: Place,
    /// A trainee's education stage.
    pub(crate) education_stage: Option<EducationStage>,
    /// The subject taught or led; empty for none.
    pub(crate) subject: String,
    /// Where a teacher stands in the profession.
    pub(crate) development_stage: Option<DevelopmentStage>,
    /// The other id of the same person in the same role, if the row says so.
    pub(crate) same_person_as: Option<PersonId>,
    /// What is odd about its cells.
    pub(crate) warnings: Vec<Warning>,
}

/// Why a row is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The stable reason.
    pub(crate) reason: ErrorReason,
    /// The column; empty for the row as a whole.
    pub(crate) field: &'static str,
    /// The cause, without any content of the row.
    pub(crate) en: String,
    /// The same for a Chinese reader.
    pub(crate) zh: String,
}

impl Fault {
    /// A fault of a column.
    pub(crate) fn new(
        reason: ErrorReason,
        field: &'static str,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) -> Self {
        Self { reason, field, en: en.into(), zh: zh.into() }
    }

    /// A value that can't be.
    pub(crate) fn invalid(field: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self::new(ErrorReason::InvalidField, field, en, zh)
    }

    /// Something that is not there.
    pub(crate) fn missing(field: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self::new(ErrorReason::NotFound, field, en, zh)
    }
}

/// Something about a row that was taken that is worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The column.
    pub(crate) field: &'static str,
    /// What is odd, without any content of the row but ids.
    pub(crate) en: String,
    /// The same for a Chinese reader.
    pub(crate) zh: String,
}

impl Warning {
    pub(crate) fn new(field: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { field, en: en.into(), zh: zh.into() }
    }
}

/// What one identity number of two people says about a row, by the ids of the others.
pub(crate) fn same_number_warning(person_id: &str, others: &[&PersonId]) -> Warning {
    let others: Vec<&str> = others.iter().map(|other| other.as_str()).collect();
    Warning::new(
        at_name(at::ID_NUMBER),
        format!("{person_id} has the same identity number as {}", others.join(", ")),
        format!("{person_id} 与 {} 的身份证号相同", others.join("、")),
    )
}

/// The name of the column at a place.
pub(crate) fn at_name(place: usize) -> &'static str {
    COLUMNS.get(place).map_or("", |column| column.name)
}

#[cfg(test)]
mod tests;
