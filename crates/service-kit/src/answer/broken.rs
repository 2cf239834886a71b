//! Rows that can't be read, in lists: each spoils its own entry. It is named in the answer and in the log, and whoever asks for
//! it alone is told CORRUPT_ROW.

use shipei_contracts::common::v1::BrokenRow;
use shipei_store::StoreError;

use super::error::{Error, Result};

/// The entry of a row, or none when the row is broken, which `broken` then names.
///
/// # Errors
/// Whatever else went wrong.
pub fn set_aside<Entry>(read: Result<Entry>, broken: &mut Vec<BrokenRow>) -> Result<Option<Entry>> {
    match read {
        Ok(entry) => Ok(Some(entry)),
        Err(Error::Store(error @ StoreError::CorruptRow { .. })) => {
            tracing::error!(%error, "a list leaves out a row that can't be read");
            if let StoreError::CorruptRow { table, column, key } = error {
                broken.push(BrokenRow { key, table: table.to_owned(), column: column.into_owned() });
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
