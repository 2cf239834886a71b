//! The key file: the installation's keys, a line each. The first one is the current, those below are still taken, so that a key can
//! be replaced while everything runs.
//!
//! ```text
//! BASE64                  a key of 32 bytes; the first one wraps and signs
//! suite NAME              how the processes of the suite find each other in Redis, whatever becomes of its keys
//! checkpoints KEY         the public half of a key that is here no more: what it signed is still verified
//! tokens BASE64           what followed from such a key for page tokens and cursors: those that it made are still taken, since
//!                         who follows a log keeps its cursor for as long as nothing happens there
//! ```

use std::{fmt, fs, io, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    derive::{Key, hmac_sha256, tokens_key},
    private::{make_private_folder, sync_folder_of, write_private},
    random::{hex, random_bytes, random_name},
};
use crate::StoreError;

/// The most keys that a file may have.
pub const KEYS_MAX: usize = 16;
/// How often a process looks at it.
pub const KEY_FILE_READ_EVERY: Duration = Duration::from_secs(5);
/// The most keys of which only a part is left.
const DROPPED_MAX: usize = 256;
/// The largest file that is read, bytes.
const FILE_BYTES_MAX: usize = 64 * 1024;
/// The longest name of a suite, characters.
const SUITE_CHARS_MAX: usize = 64;
/// The bytes of a digest of the key from which a suite's name is made.
const SUITE_BYTES: usize = 6;

/// What is in a key file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    /// The current one first; never empty.
    pub(super) keys: Vec<Key>,
    pub(super) suite: String,
    /// Public halves, as their owner writes them.
    pub(super) checkpoints: Vec<String>,
    /// What verifies tokens.
    pub(super) tokens: Vec<Key>,
}

impl Contents {
    /// What a file has that holds one key and nothing else.
    pub(super) fn of_key(key: Key) -> Contents {
        let suite = hex(&hmac_sha256(&key, &[b"shipei suite 1"])[..SUITE_BYTES]);
        Contents { keys: vec![key], suite, checkpoints: Vec::new(), tokens: Vec::new() }
    }

    /// Reads a file's text.
    pub(super) fn parse(text: &str) -> Result<Contents, &'static str> {
        let (mut keys, mut suite) = (Vec::new(), None);
        let (mut checkpoints, mut tokens) = (Vec::new(), Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(' ') {
                None => keys.push(key_of(line)?),
                Some(("tokens", key)) => tokens.push(key_of(key)?),
                Some(("suite", name)) if is_name(name) => suite = Some(name.to_owned()),
                Some(("checkpoints", key)) if is_name(key) => checkpoints.push(key.to_owned()),
                Some(_) => {
                    return Err(
                        "a line must be a key of 32 bytes in base64, `suite NAME`, `checkpoints KEY` or `tokens BASE64`",
                    );
                }
            }
        }
        if keys.len() > KEYS_MAX || checkpoints.len().max(tokens.len()) > DROPPED_MAX {
            return Err("it has too many keys");
        }
        // Of the oldest key, which a newer one is put before.
        let oldest = keys.last().ok_or("it must hold 32 bytes in base64")?;
        let suite = suite.unwrap_or_else(|| Contents::of_key(*oldest).suite);
        Ok(Contents { keys, suite, checkpoints, tokens })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for key in &self.keys {
            text.push_str(&STANDARD.encode(key));
            text.push('\n');
        }
        text.push_str(&format!("suite {}\n", self.suite));
        for key in &self.checkpoints {
            text.push_str(&format!("checkpoints {key}\n"));
        }
        for key in &self.tokens {
            text.push_str(&format!("tokens {}\n", STANDARD.encode(key)));
        }
        text
    }
}

fn key_of(text: &str) -> Result<Key, &'static str> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or("a key must be 32 bytes in base64")
}

fn is_name(text: &str) -> bool {
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_';
    !text.is_empty() && text.len() <= SUITE_CHARS_MAX && text.chars().all(is_sign)
}

/// Reads a key file; none when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Contents>, StoreError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| unfit(path, error))?,
    };
    if text.len() > FILE_BYTES_MAX {
        return Err(unfit(path, "it is too large"));
    }
    Contents::parse(&text).map(Some).map_err(|reason| unfit(path, reason))
}

/// Writes the whole file aside and links it into place, so that nobody ever reads half a key and the first one wins. False
/// when another was first.
pub(super) fn create(path: &Path) -> Result<bool, StoreError> {
    let contents = Contents::of_key(random_bytes()?);
    let aside = path.with_extension(format!("new-{}", random_name()?));
    let creating = || {
        if let Some(folder) = path.parent() {
            make_private_folder(folder)?;
        }
        write_private(&aside, &contents.text())?;
        let linked = fs::hard_link(&aside, path);
        fs::remove_file(&aside)?;
        // The file's name is to be on the disk before anything that only its key can open.
        sync_folder_of(path)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            linked => Ok(linked.is_ok()),
        }
    };
    creating().map_err(|error| unfit(path, error))
}

/// Puts a new key before those of the file, which are still taken: the suite's processes wrap and sign by it once they have looked.
///
/// # Errors
/// When the file is not there, can't be written, or has [`KEYS_MAX`] keys.
pub fn add_key(path: &Path) -> Result<(), StoreError> {
    let mut contents = read(path)?.ok_or_else(|| unfit(path, "it is not there"))?;
    if contents.keys.len() >= KEYS_MAX {
        return Err(unfit(path, format!("it has {KEYS_MAX} keys already: drop the older ones")));
    }
    contents.keys.insert(0, random_bytes()?);
    replace(path, &contents)
}

/// Leaves the current key only, and of the others what verifies their tokens; `public` are their public halves for checkpoints, which
/// stay too.
///
/// # Errors
/// When the file is not there or can't be written.
pub fn drop_older_keys(path: &Path, public: &[String]) -> Result<(), StoreError> {
    let mut contents = read(path)?.ok_or_else(|| unfit(path, "it is not there"))?;
    let dropped = contents.keys.split_off(1);
    contents.tokens.extend(dropped.iter().map(tokens_key));
    for key in public {
        if !contents.checkpoints.contains(key) {
            contents.checkpoints.push(key.clone());
        }
    }
    replace(path, &contents)
}

/// Puts a whole new file into the place of the old one.
fn replace(path: &Path, contents: &Contents) -> Result<(), StoreError> {
    let aside_name = format!("new-{}", random_name()?);
    let replacing = || {
        // A link stays a link: what it leads to is replaced.
        let path = fs::canonicalize(path)?;
        let aside = path.with_extension(aside_name);
        write_private(&aside, &contents.text())?;
        if let Err(error) = fs::rename(&aside, &path) {
            fs::remove_file(&aside)?;
            return Err(error);
        }
        sync_folder_of(&path)
    };
    replacing().map_err(|error| unfit(path, error))
}

fn unfit(path: &Path, reason: impl fmt::Display) -> StoreError {
    StoreError::KeyFile { path: path.display().to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::KEY_BYTES;

    #[test]
    fn text_is_read_as_it_is_written() {
        let mut contents = Contents::of_key([1; KEY_BYTES]);
        let alone = STANDARD.encode([1; KEY_BYTES]);
        assert!(Contents::parse(&alone).unwrap() == contents);
        // The suite's name is that of its first key, however many come.
        contents.keys.insert(0, [2; KEY_BYTES]);
        assert!(
            Contents::parse(&format!("{}\n\n {alone} \n", STANDARD.encode([2; KEY_BYTES]))).unwrap()
                == contents
        );
        contents.checkpoints.push("abc_-9".to_owned());
        contents.tokens.push([3; KEY_BYTES]);
        assert!(Contents::parse(&contents.text()).unwrap() == contents);
        let many = format!("{alone}\n").repeat(KEYS_MAX + 1);
        for wrong in
            ["", "\n", "suite a", "short", "suite a b", "password x", "checkpoints ", "tokens short", &many]
        {
            assert!(Contents::parse(wrong).is_err(), "{wrong}");
        }
    }
}
