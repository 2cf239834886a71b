//! A file beside a SQLite file that is there as long as that is open. Why: what was written last stands in the write-ahead
//! log (`-wal`) until it is folded into the file, at the latest when the file is closed. If a process was killed and its
//! log is gone then, SQLite opens the file as it was some time ago and says nothing; with the mark there, and no log, it is
//! known that something is missing, and who operates it decides.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// What the mark is called, behind the name of the database's file.
const SUFFIX: &str = ".open";

/// The only owner may read it, as all that belongs to a database.
const MODE: u32 = 0o600;

/// What the mark says while the log holds what the file does not.
const OPEN: &str = "open: what was written last is in the -wal file\n";

/// What it says while the log is folded into the file, which may end with the mark there and the log not.
const CLOSING: &str = "closing\n";

/// The mark of a SQLite file. Dropped, it says that the file is being closed.
#[derive(Debug)]
pub(crate) struct OpenMark {
    /// The database's file.
    pub(crate) database: PathBuf,
}

impl OpenMark {
    /// Refuses a file whose log is missing.
    pub(crate) fn check(database: &Path) -> Result<(), StoreError> {
        // A file that was taken away, log and all, begins anew.
        if database.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Ok(());
        }
        // Another process may open or close it meanwhile, so the mark has to say it before and after the log was missed.
        let missing = says_open(database) && !log_of(database).exists() && says_open(database);
        if !missing {
            return Ok(());
        }
        let mark = beside(database, SUFFIX).display().to_string();
        Err(StoreError::LogMissing { path: database.display().to_string(), mark })
    }

    /// Marks a file as open. Its log must be there.
    pub(crate) fn set(database: &Path) -> io::Result<OpenMark> {
        write(database, OPEN)?;
        Ok(OpenMark { database: database.to_owned() })
    }

    /// To be called before the last connection is closed.
    pub(crate) fn begin_to_close(&self) {
        // If this fails, the worst is that an operator is asked about a log that is in the file.
        let _ = write(&self.database, CLOSING);
    }

    /// To be called when all connections of this process are closed. Another process may have the file open still.
    pub(crate) fn closed(&self) {
        if log_of(&self.database).exists() {
            let _ = write(&self.database, OPEN);
        } else {
            let _ = fs::remove_file(beside(&self.database, SUFFIX));
        }
    }
}

impl Drop for OpenMark {
    fn drop(&mut self) {
        if says_open(&self.database) {
            self.begin_to_close();
        }
    }
}

/// The write-ahead log of a SQLite file.
pub(crate) fn log_of(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// The file whose name is that of the database's file and more.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn says_open(database: &Path) -> bool {
    fs::read_to_string(beside(database, SUFFIX)).is_ok_and(|text| text == OPEN)
}

fn write(database: &Path, text: &str) -> io::Result<()> {
    let path = beside(database, SUFFIX);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
