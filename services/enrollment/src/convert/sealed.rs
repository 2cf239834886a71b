//! What of a person is kept sealed: their identity number, by a key of their own, which is destroyed when they are erased.

use shipei_rules::{
    identity_number::IdentityNumber,
    ids::{PersonId, ProgrammeId},
};
use shipei_service_kit::Result;
use shipei_store::{
    DataKeys, StoreError,
    crypto::{Vault, WrappedKey},
};

use crate::store::{person::PersonRow, person_key::key_context};

/// What an identity number is sealed for: it opens for this person of this programme only.
fn identity_context(programme_id: &ProgrammeId, person_id: &PersonId) -> Vec<u8> {
    format!("enrollment.person.identity_number/{programme_id}/{person_id}").into_bytes()
}

/// A new person's key: what seals by it, and as it is kept.
pub(crate) fn new_key(
    keys: &DataKeys,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<(Vault, WrappedKey)> {
    Ok(keys.make_key(&key_context(programme_id.as_str(), person_id.as_str()))?)
}

/// What seals for a person whose key this is.
pub(crate) fn vault_of(
    keys: &DataKeys,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    wrapped: &WrappedKey,
) -> Result<Vault> {
    let corrupt = |_| StoreError::corrupt_row("person_key", "wrapped_key", person_id);
    let context = key_context(programme_id.as_str(), person_id.as_str());
    Ok(keys.open_key(&context, wrapped).map_err(corrupt)?)
}

/// The same, of a row.
pub(crate) fn vault_of_row(keys: &DataKeys, programme_id: &ProgrammeId, row: &PersonRow) -> Result<Vault> {
    let missing = || StoreError::corrupt_row("person_key", "wrapped_key", &row.person_id);
    vault_of(keys, programme_id, &row.person_id, &row.wrapped_key().ok_or_else(missing)?)
}

/// A person's identity number, sealed.
pub(crate) fn sealed_number(
    vault: &Vault,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    number: &IdentityNumber,
) -> Result<Vec<u8>> {
    Ok(vault.seal(&identity_context(programme_id, person_id), number.reveal().as_bytes())?)
}

/// The identity number of a row, whole.
pub(crate) fn opened_number(
    row: &PersonRow,
    programme_id: &ProgrammeId,
    keys: &DataKeys,
) -> Result<IdentityNumber> {
    let corrupt = || StoreError::corrupt_row("person", "sealed_identity_number", &row.person_id);
    let vault = vault_of_row(keys, programme_id, row)?;
    let number = opened_by(&vault, programme_id, &row.person_id, &row.sealed_identity_number);
    Ok(number.ok_or_else(corrupt)?)
}

/// An identity number that was sealed for a person; none when this is not one.
pub(crate) fn opened_by(
    vault: &Vault,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    sealed: &[u8],
) -> Option<IdentityNumber> {
    let plain = vault.open(&identity_context(programme_id, person_id), sealed).ok()?;
    IdentityNumber::parse(&String::from_utf8(plain).ok()?).ok()
}
