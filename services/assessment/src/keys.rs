//! Texts of events and rows as the ids by which the mirror is asked. A text that is none can't have been written by a service.

use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_store::StoreError;

/// A programme's.
pub(crate) fn programme(text: &str) -> Result<ProgrammeId, StoreError> {
    ProgrammeId::parse(text).map_err(|_| StoreError::corrupt_row("mirror_programme", "programme_id", text))
}

/// People's.
pub(crate) fn people(texts: &[&str]) -> Result<Vec<PersonId>, StoreError> {
    let person = |text: &&str| {
        PersonId::parse(text).map_err(|_| StoreError::corrupt_row("mirror_member", "person_id", text))
    };
    texts.iter().map(person).collect()
}
