//! The keys of people, each wrapped: what seals a person's identity number, and is destroyed when they are erased.

use std::collections::HashMap;

use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_service_kit::{Piece, Wrapped};
use shipei_store::{DataKeys, StoreError, Tx, bulk_insert, crypto::WrappedKey, fetch_all, select_by_keys};

/// More than there are keys of an installation.
const KEY_IDS_MAX: i64 = 1_000;

#[derive(Debug, sqlx::FromRow)]
struct KeyRow {
    programme_id: String,
    person_id: String,
    key_id: String,
    wrapped_key: Vec<u8>,
}

/// What a person's key is wrapped for.
pub(crate) fn key_context(programme_id: &str, person_id: &str) -> Vec<u8> {
    format!("enrollment.person_key/{programme_id}/{person_id}").into_bytes()
}

/// The keys of those of these people who have one.
pub(crate) async fn keys_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<HashMap<String, WrappedKey>, StoreError> {
    let rows = select_by_keys!(
        tx,
        KeyRow,
        [
            "SELECT programme_id, person_id, key_id, wrapped_key FROM person_key WHERE programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    let keys = rows.into_iter();
    Ok(keys.map(|row| (row.person_id, WrappedKey { key_id: row.key_id, bytes: row.wrapped_key })).collect())
}

/// Keeps the keys of people who had none.
pub(crate) async fn insert_keys(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    keys: &[(&PersonId, WrappedKey)],
) -> Result<(), StoreError> {
    bulk_insert!(tx, "INSERT INTO person_key (programme_id, person_id, key_id, wrapped_key)", keys, |(
        person_id,
        key,
    )| (
        programme_id.as_str(),
        person_id.as_str(),
        key.key_id.as_str(),
        key.bytes.as_slice()
    ))?;
    Ok(())
}

/// People's keys, as the kit wraps them anew.
#[derive(Debug)]
pub(crate) struct PersonKeys;

#[tonic::async_trait]
impl Wrapped for PersonKeys {
    async fn counts(&self, tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError> {
        fetch_all!(
            tx,
            (String, i64),
            "SELECT key_id, COUNT(*) FROM person_key GROUP BY key_id ORDER BY key_id LIMIT $1",
            KEY_IDS_MAX
        )
    }

    async fn wrap_anew(
        &self,
        tx: &mut Tx,
        keys: &DataKeys,
        after: &[String],
        limit: i64,
    ) -> Result<Piece, StoreError> {
        let after = |part: usize| after.get(part).map_or("", String::as_str);
        let rows =
            wrapped_otherwise(tx, (after(0), after(1)), &keys.installation().wrap().current(), limit).await?;
        let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < limit;
        let last = rows.last().map(|row| vec![row.programme_id.clone(), row.person_id.clone()]);
        let (mut anew, mut lost) = (Vec::with_capacity(rows.len()), 0);
        for KeyRow { programme_id, person_id, key_id, wrapped_key } in rows {
            let wrapped = WrappedKey { key_id, bytes: wrapped_key };
            match keys.wrap_anew(&key_context(&programme_id, &person_id), &wrapped) {
                Ok(wrapped) => anew.push((programme_id, person_id, wrapped)),
                // One that is lost is no reason to leave the others; it is still counted by its key.
                Err(_) => lost += 1,
            }
        }
        // None was inserted: they are there, and held.
        bulk_insert!(
            tx,
            "INSERT INTO person_key (programme_id, person_id, key_id, wrapped_key)",
            anew,
            |(programme_id, person_id, key)| (
                programme_id.as_str(),
                person_id.as_str(),
                key.key_id.as_str(),
                key.bytes.as_slice()
            ),
            " ON CONFLICT (programme_id, person_id) DO UPDATE SET key_id = excluded.key_id, wrapped_key = excluded.wrapped_key"
        )?;
        let rewrapped = i64::try_from(anew.len()).unwrap_or(i64::MAX);
        Ok(Piece { rewrapped, lost, last: last.filter(|_| !is_last) })
    }
}

/// Keys that another key of the installation has wrapped, held, so that none is put back that is destroyed meanwhile.
macro_rules! wrapped_otherwise {
    ($held:literal) => {
        concat!(
            "SELECT programme_id, person_id, key_id, wrapped_key FROM person_key \
             WHERE (programme_id, person_id) > ($1, $2) AND key_id <> $3 ORDER BY programme_id, person_id LIMIT $4",
            $held
        )
    };
}

async fn wrapped_otherwise(
    tx: &mut Tx,
    (programme_id, person_id): (&str, &str),
    current: &str,
    limit: i64,
) -> Result<Vec<KeyRow>, StoreError> {
    let statement = if tx.is_postgres() { wrapped_otherwise!(" FOR UPDATE") } else { wrapped_otherwise!("") };
    fetch_all!(tx, KeyRow, statement, programme_id, person_id, current, limit)
}
