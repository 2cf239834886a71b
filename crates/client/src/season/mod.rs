//! A season: a programme's whole life as files (`scheme.toml`, `roster/*.csv`, `season.ndjson`).
//!
//! The files are read as streams, so that memory does not grow with the season: once to check every line before
//! anything is sent, once to replay.

pub mod amendment;
pub mod line;
pub mod roster;
pub mod step;
mod values;
pub mod window;

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};

use line::{Event, Line};

/// The longest line that is read: a comment of one megabyte is refused by its service, not by the reader.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A season's folder.
#[derive(Debug, Clone)]
pub struct Season {
    folder: PathBuf,
}

/// What a check of the season's lines found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Lines that stand for something.
    pub lines: u64,
    /// Heartbeats that the study lines stand for.
    pub heartbeats: u64,
    /// Calls that the other lines stand for.
    pub calls: u64,
}

impl Season {
    /// Opens a folder that holds a season.
    pub fn open(folder: &Path) -> Result<Season> {
        for name in ["scheme.toml", "season.ndjson", "roster/people.csv"] {
            let path = folder.join(name);
            if !path.is_file() {
                bail!("{} is not a season: there is no {name} in it", folder.display());
            }
        }
        Ok(Season { folder: folder.to_owned() })
    }

    /// The scheme's text.
    pub fn scheme_toml(&self) -> Result<String> {
        let path = self.folder.join("scheme.toml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
    }

    /// A file of the roster.
    pub fn roster_file(&self, name: &str) -> PathBuf {
        self.folder.join("roster").join(name)
    }

    /// The lines, in order, with their numbers; blank lines are left out but counted.
    pub fn lines(&self) -> Result<Lines> {
        let path = self.folder.join("season.ndjson");
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Lines { path, reader: BufReader::with_capacity(1 << 20, file), number: 0, last_told: None })
    }

    /// Reads every line once: a malformed one is an error that names file, line and cause.
    pub fn check(&self) -> Result<Extent> {
        let mut extent = Extent::default();
        for numbered in self.lines()? {
            extent.lines += 1;
            match &numbered?.line.event {
                Event::StudySession(session) => extent.heartbeats += session.beats().unsigned_abs(),
                _ => extent.calls += 1,
            }
        }
        Ok(extent)
    }
}

/// A line with its number in the file, and a digest of its text for the request id.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The number in the file, from 1.
    pub number: u64,
    /// FNV-1a of the line's text.
    pub digest: u64,
    /// What it says.
    pub line: Line,
}

/// The lines of a season, read one by one.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    number: u64,
    last_told: Option<DateTime<Utc>>,
}

impl Lines {
    fn next_line(&mut self) -> Result<Option<Numbered>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = self.reader.read_until(b'\n', &mut bytes).context("cannot be read")?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes.len() > LINE_BYTES_MAX {
                bail!("longer than {LINE_BYTES_MAX} bytes");
            }
            let text = std::str::from_utf8(&bytes).context("not UTF-8")?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
            if text.is_empty() {
                continue;
            }
            let line = Line::parse(text)?;
            if self.last_told.is_some_and(|last| line.told() < last) {
                bail!(
                    "`at` (or `told`) is earlier than that of the line before; a season is in the order in which it was told"
                );
            }
            self.last_told = Some(line.told());
            return Ok(Some(Numbered { number: self.number, digest: digest(text), line }));
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Numbered>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().with_context(|| format!("{} line {}", self.path.display(), self.number)).transpose()
    }
}

/// FNV-1a, 64 bits: tells two versions of a season's line apart, no more.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
