//! Who serves a SQLite file: one process, known by a lock of the operating system on that file, which goes with the process
//! however that ends. Why: Postgres notes its instances (`lease`), SQLite has one only, and what is done to its file
//! meanwhile (what a service learned is forgotten, a second one follows the same logs) would go unnoticed.
//!
//! It is a lock of the whole file (flock), of which SQLite's own locks, of ranges, know nothing. But closing any descriptor
//! of a file lets go of all locks of ranges that a process has on it: so what a claim opened stays open until the process
//! ends, and is used again by the next claim of the same file.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Database, StoreError, sqlite};

/// The files that were ever claimed by this process, by device and inode, and whether they are now.
static OPENED: Mutex<BTreeMap<(u64, u64), Opened>> = Mutex::new(BTreeMap::new());

struct Opened {
    file: File,
    claimed: bool,
}

/// A SQLite file that nobody else serves while this lives.
#[derive(Debug)]
pub struct Claim {
    file: Option<(u64, u64)>,
}

impl Database {
    /// Claims the SQLite file of this URL for this process, and makes it if it is not there; `None` when it is claimed
    /// already, by another process or by this one. A Postgres needs no claim, and always gives one.
    ///
    /// # Errors
    /// When the file system has no locks, or when the file or its folder can't be made.
    pub fn claim(url: &str) -> Result<Option<Claim>, StoreError> {
        let Some(path) = Database::sqlite_path(url) else { return Ok(Some(Claim { file: None })) };
        let wrong =
            |error: std::io::Error| StoreError::Claim { path: path.to_owned(), reason: error.to_string() };
        let place = Path::new(path);
        sqlite::make_private_file(place)?;
        let mut opened = opened();
        let metadata = place.metadata().map_err(wrong)?;
        let key = (metadata.dev(), metadata.ino());
        if let std::collections::btree_map::Entry::Vacant(entry) = opened.entry(key) {
            entry.insert(Opened { file: File::open(place).map_err(wrong)?, claimed: false });
        }
        let Some(entry) = opened.get_mut(&key).filter(|entry| !entry.claimed) else { return Ok(None) };
        match entry.file.try_lock() {
            Ok(()) => {
                entry.claimed = true;
                Ok(Some(Claim { file: Some(key) }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(key) = self.file else { return };
        if let Some(entry) = opened().get_mut(&key) {
            entry.claimed = false;
            // If it fails the lock goes with the process.
            let _ = entry.file.unlock();
        }
    }
}

fn opened() -> MutexGuard<'static, BTreeMap<(u64, u64), Opened>> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner)
}
