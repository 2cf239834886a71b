//! What enrollment keeps sealed of people, as it is shown to themselves: identity numbers, of now and of before.

use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_service_kit::{
    Result,
    people::{Bytes, Readable, Reveals},
};
use shipei_store::{DataKeys, StoreError, Tx};

use crate::{convert, store::person_key::keys_of};

/// How it is shown.
#[derive(Debug)]
pub(crate) struct Revealing;

#[tonic::async_trait]
impl Reveals for Revealing {
    async fn readable(
        &self,
        tx: &mut Tx,
        keys: &DataKeys,
        (programme_id, person_id): (&str, &str),
        shown: Bytes<'_>,
    ) -> Result<Readable> {
        if shown.column != "sealed_identity_number" {
            // Digests and keys say nothing of anybody.
            return Ok(Readable::LeftOut);
        }
        if shown.bytes.is_empty() {
            // Erased.
            return Ok(Readable::Text(String::new()));
        }
        let corrupt = || StoreError::corrupt_row(shown.table, "sealed_identity_number", person_id);
        let id = ProgrammeId::parse(programme_id).map_err(|_| corrupt())?;
        let person_id = &PersonId::parse(person_id).map_err(|_| corrupt())?;
        let wrapped = keys_of(tx, &id, &[person_id]).await?;
        let wrapped = wrapped.get(person_id.as_str()).ok_or_else(corrupt)?;
        let vault = convert::vault_of(keys, &id, person_id, wrapped)?;
        let number = convert::opened_by(&vault, &id, person_id, shown.bytes).ok_or_else(corrupt)?;
        Ok(Readable::Text(number.reveal().to_owned()))
    }
}
