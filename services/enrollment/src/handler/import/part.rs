//! A part of an import: rows that share a transaction, and what is decided about each.

use shipei_rules::ids::PersonId;

use crate::roster::{Candidate, Fault, IdentityDigest, Verdict, Warning};

/// Rows of one transaction.
pub(super) const ROWS_PER_PART: usize = 1_000;

/// What becomes of a row, and what is worth a look in it if it is taken.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) verdict: std::result::Result<Verdict, Vec<Fault>>,
    pub(super) warnings: Vec<Warning>,
    /// The others with the same identity number, under other names, by id.
    pub(super) sharers: Vec<PersonId>,
}

/// Rows that can be, with the digests of their identity numbers.
#[derive(Default)]
pub(super) struct RosterPart {
    pub(super) candidates: Vec<Candidate>,
    pub(super) digests: Vec<IdentityDigest>,
    /// Of those who are to be class tutors, by which bars are found.
    pub(super) tutors: Vec<Option<IdentityDigest>>,
}
