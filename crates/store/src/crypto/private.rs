//! Files and folders that nobody but their owner may look into.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The only owner may read such a file.
const FILE_MODE: u32 = 0o600;
/// The only owner may look into a folder of data.
const FOLDER_MODE: u32 = 0o700;

/// Makes a folder, and those above it, that nobody but its owner may look into: people's names will be in it. One that is
/// there stays as it is.
pub fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// The permissions of a file, if others than its owner can read or write it.
pub fn readable_by_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Makes a file that nobody but its owner may read, and that was not there.
pub(crate) fn make_private_empty(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).map(|_| ())
}

/// Writes such a file, as a whole and to the disk.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Brings the names in a file's folder to the disk.
pub(super) fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
