//! Files of JSON lines: `FOLDER/SOURCE/PARTITION/DAY.ndjson`, the way into a warehouse (DuckDB, Spark and others read them as they are).
//! A file is only appended to, by one relay, and a line that was cut by a crash is taken off before more is written.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{Bookmark, Destination, Record, Written};

/// The file that holds a log's bookmark.
const BOOKMARK: &str = "bookmark.json";
/// The file that one relay of a folder holds.
const LOCK: &str = "relay.lock";
/// The bytes that are read at once, from a file's end back.
const CHUNK_BYTES: u64 = 64 * 1024;

/// A folder of JSON lines.
#[derive(Debug)]
pub struct Ndjson {
    folder: PathBuf,
    /// Held while this lives.
    _lock: File,
}

impl Ndjson {
    /// Opens a folder, and makes it if it is not there.
    ///
    /// # Errors
    /// When another relay writes into it, or it can't be written.
    pub fn open(folder: &Path, source: &str) -> Result<Self> {
        let own = folder.join(source);
        fs::create_dir_all(&own).with_context(|| format!("cannot make {}", own.display()))?;
        let file = own.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&file)?;
        if lock.try_lock().is_err() {
            bail!("another relay writes into {}; stop it, or give this one another folder", own.display());
        }
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }
}

impl Destination for Ndjson {
    async fn state(&mut self, source: &str) -> Result<(Bookmark, BTreeMap<u32, i64>)> {
        let own = self.folder.join(source);
        let bookmark = match fs::read(own.join(BOOKMARK)) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{BOOKMARK} of {source}"))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Bookmark::default(),
            Err(error) => return Err(error).context(BOOKMARK),
        };
        let mut has = BTreeMap::new();
        for entry in fs::read_dir(&own)? {
            let path = entry?.path();
            let named = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let Some(partition) = named
                && path.is_dir()
                && let Some(number) = last_number(&path)?
            {
                has.insert(partition, number);
            }
        }
        Ok((bookmark, has))
    }

    async fn write(
        &mut self,
        source: &str,
        records: &[Record],
        _before: &Bookmark,
        bookmark: &Bookmark,
    ) -> Result<Written> {
        // Nobody else writes here: the folder is locked.
        let own = self.folder.join(source);
        let mut files: BTreeMap<(u32, &str), String> = BTreeMap::new();
        for record in records {
            let text = files.entry((record.partition, &record.day)).or_default();
            text.push_str(&record.json);
            text.push('\n');
        }
        for ((partition, day), text) in files {
            let folder = own.join(format!("{partition:02}"));
            let file = folder.join(format!("{day}.ndjson"));
            append(&folder, &file, text.as_bytes()).with_context(|| file.display().to_string())?;
        }
        let file = own.join(BOOKMARK);
        let aside = own.join(format!("{BOOKMARK}.new"));
        let mut new = File::create(&aside)?;
        serde_json::to_writer(&mut new, bookmark)?;
        new.sync_data()?;
        fs::rename(&aside, &file)?;
        Ok(Written::Kept)
    }
}

/// Appends, and returns when it is on the disk.
fn append(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.append(true);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            let file = options.create(true).open(path)?;
            // The file's name is to be on the disk with what is in it.
            File::open(folder)?.sync_all()?;
            file
        }
        Err(error) => return Err(error.into()),
    };
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(())
}

/// The number of the last whole line of a partition's last file. What stands behind it was cut by a crash and is taken off.
fn last_number(folder: &Path) -> Result<Option<i64>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            files.push(path);
        }
    }
    // Days in their names, so the last one is the newest. One that was made and not written holds nothing.
    files.sort();
    for path in files.iter().rev() {
        let number = last_number_of_file(path).with_context(|| path.display().to_string())?;
        if number.is_some() {
            return Ok(number);
        }
    }
    Ok(None)
}

fn last_number_of_file(path: &Path) -> Result<Option<i64>> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut tail = Vec::new();
    let mut from = length;
    // As far back as two line ends, the second one of which stands before the last whole line.
    while from > 0 && tail.iter().filter(|byte| **byte == b'\n').count() < 2 {
        let bytes = CHUNK_BYTES.min(from);
        from -= bytes;
        let mut chunk = vec![0; usize::try_from(bytes)?];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut chunk)?;
        chunk.append(&mut tail);
        tail = chunk;
    }
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        file.set_len(0)?;
        return Ok(None);
    };
    let whole = from + u64::try_from(end)? + 1;
    if whole < length {
        tracing::warn!(path = %path.display(), bytes = length - whole, "a line that was cut by a crash is taken off");
        file.set_len(whole)?;
        file.sync_all()?;
    }
    let line = &tail[..end];
    let line = &line[line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)..];
    let json: Value = serde_json::from_slice(line).context("the last line is no JSON: no relay wrote it")?;
    let number = json["sequence"].as_str().and_then(|number| number.parse().ok());
    number.map(Some).context("the last line has no `sequence`: no relay wrote it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: u32, number: i64, day: &str) -> Record {
        let json = format!(r#"{{"sequence":"{number}","data":"{}"}}"#, "x".repeat(100));
        Record { partition, number, day: day.into(), kind: "K".into(), subject: "S".into(), json }
    }

    #[tokio::test]
    async fn what_a_crash_cut_is_taken_off_and_the_rest_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Ndjson::open(folder.path(), "enrollment").unwrap();
        assert!(Ndjson::open(folder.path(), "enrollment").unwrap_err().to_string().contains("another relay"));
        assert_eq!(files.state("enrollment").await.unwrap(), (Bookmark::default(), BTreeMap::new()));
        let bookmark = Bookmark { cursor: "c".into(), written: BTreeMap::from([(3, 2), (5, 1)]) };
        let records = [record(3, 1, "2019-10-25"), record(3, 2, "2019-10-26"), record(5, 1, "2019-10-26")];
        files.write("enrollment", &records, &Bookmark::default(), &bookmark).await.unwrap();
        assert_eq!(files.state("enrollment").await.unwrap(), (bookmark.clone(), bookmark.written.clone()));
        let later = folder.path().join("enrollment/03/2019-10-26.ndjson");
        let whole = fs::read(&later).unwrap();
        // Cut anywhere within a third line.
        let third = format!("{}\n", record(3, 3, "2019-10-26").json);
        for cut in [1, 50, third.len() - 1] {
            fs::write(&later, [&whole, &third.as_bytes()[..cut]].concat()).unwrap();
            assert_eq!(files.state("enrollment").await.unwrap().1, bookmark.written);
            assert_eq!(fs::read(&later).unwrap(), whole);
        }
        // A file that was made and has nothing whole yet: the one before says how far it is.
        fs::write(&later, &third[..9]).unwrap();
        assert_eq!(files.state("enrollment").await.unwrap().1, BTreeMap::from([(3, 1), (5, 1)]));
        fs::write(&later, "no JSON\n").unwrap();
        assert!(format!("{:#}", files.state("enrollment").await.unwrap_err()).contains("no relay wrote it"));
    }

    #[tokio::test]
    async fn line_longer_than_what_is_read_at_once_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Ndjson::open(folder.path(), "s").unwrap();
        let long = |number| Record {
            json: format!(r#"{{"sequence":"{number}","data":"{}"}}"#, "x".repeat(200_000)),
            ..record(0, number, "2019-10-25")
        };
        files.write("s", &[long(1), long(2)], &Bookmark::default(), &Bookmark::default()).await.unwrap();
        assert_eq!(files.state("s").await.unwrap().1, BTreeMap::from([(0, 2)]));
    }
}
