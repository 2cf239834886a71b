//! All SQL of this service. No rules. A statement stands once, in the words of both databases.

mod adjustment;
#[cfg(test)]
mod reach_tests;

pub(crate) mod certificate;
pub(crate) mod change;
pub(crate) mod evidence;
pub(crate) mod people;
pub(crate) mod version;

pub(crate) use adjustment::{Asked, insert_adjustment, list_adjustments};
