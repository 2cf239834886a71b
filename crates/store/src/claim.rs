//! Who serves a SQLite file: one process, known by a lock of the operating system on a file beside it, which goes with the
//! process however that ends. Why: Postgres notes its instances (`lease`), SQLite has one only, and what is done to its
//! file meanwhile (what a service learned is forgotten, a second one follows the same logs) would go unnoticed.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::{Database, StoreError, crypto};

/// What the lock's file is called, behind the name of the database's.
const SUFFIX: &str = ".lock";

/// The only owner may lock.
const MODE: u32 = 0o600;

/// A SQLite file that nobody else serves while this lives.
#[derive(Debug)]
pub struct Claim {
    _locked: Option<File>,
}

impl Database {
    /// Claims the SQLite file of this URL for this process; `None` when another one has it. A
    /// Postgres needs no claim, and always gives one.
    ///
    /// # Errors
    /// When the file system has no locks, or when the lock's file or its folder can't be made.
    pub fn claim(url: &str) -> Result<Option<Claim>, StoreError> {
        let Some(path) = Database::sqlite_path(url) else { return Ok(Some(Claim { _locked: None })) };
        let path = format!("{path}{SUFFIX}");
        let wrong =
            |error: std::io::Error| StoreError::Claim { path: path.clone(), reason: error.to_string() };
        crypto::make_private_folder(Path::new(&path).parent().unwrap_or(Path::new("."))).map_err(wrong)?;
        let file = OpenOptions::new().create(true).append(true).mode(MODE).open(&path).map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim { _locked: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[test]
    fn file_has_one_claim_at_a_time() {
        let (one, other) = (TestDatabase::sqlite(), TestDatabase::sqlite());
        let claim = Database::claim(one.url()).unwrap();
        assert!(claim.is_some());
        assert!(Database::claim(one.url()).unwrap().is_none());
        assert!(Database::claim(other.url()).unwrap().is_some());
        drop(claim);
        assert!(Database::claim(one.url()).unwrap().is_some());
        assert!(Database::claim("postgres://h/d").unwrap().is_some());
        assert!(Database::claim("sqlite:/proc/nowhere/at/all.sqlite").is_err());
    }
}
