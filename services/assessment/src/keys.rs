//! Texts of events and rows as the ids by which the mirror is asked. A text that is none can't have been written by a service.

use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId},
    region::RegionCode,
};
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

/// Classes'.
pub(crate) fn classes(texts: &[&str]) -> Result<Vec<ClassId>, StoreError> {
    let class = |text: &&str| {
        ClassId::parse(text).map_err(|_| StoreError::corrupt_row("mirror_class", "class_id", text))
    };
    texts.iter().map(class).collect()
}

/// A region's.
pub(crate) fn region(text: &str) -> Result<RegionCode, StoreError> {
    RegionCode::parse(text).map_err(|_| StoreError::corrupt_row("mirror_region", "region_code", text))
}
