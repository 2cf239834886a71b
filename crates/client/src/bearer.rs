//! The token that a client brings: a text, or a file that somebody renews (as Kubernetes and agents of identity providers do).
//! It is shown nowhere.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// How long what a file said is good without another look.
const READ_EVERY: Duration = Duration::from_secs(10);

/// A token, or where it stands. Clones share it.
#[derive(Clone)]
pub struct Bearer {
    file: Option<PathBuf>,
    current: Arc<Mutex<(Instant, MetadataValue<Ascii>)>>,
}

impl Bearer {
    /// This token.
    ///
    /// # Errors
    /// When it can't be one.
    pub fn of_text(token: &str) -> Result<Self> {
        Ok(Self { file: None, current: Arc::new(Mutex::new((Instant::now(), value(token)?))) })
    }

    /// The token that stands in a file.
    ///
    /// # Errors
    /// When it can't be read, or holds none.
    pub fn of_file(file: &Path) -> Result<Self> {
        let current = Arc::new(Mutex::new((Instant::now(), read(file)?)));
        Ok(Self { file: Some(file.to_owned()), current })
    }

    /// Puts it into the metadata of a call. What a file said before counts where it can't be read now.
    pub fn put_into(&self, metadata: &mut MetadataMap) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file
            && current.0.elapsed() >= READ_EVERY
        {
            if let Ok(value) = read(file) {
                current.1 = value;
            }
            current.0 = Instant::now();
        }
        metadata.insert("authorization", current.1.clone());
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bearer(..)")
    }
}

fn read(file: &Path) -> Result<MetadataValue<Ascii>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("--token-file: cannot read {}", file.display()))?;
    value(&text).with_context(|| format!("--token-file {}", file.display()))
}

fn value(token: &str) -> Result<MetadataValue<Ascii>> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("it holds no token: a token is one word");
    }
    let mut value = MetadataValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_brought_and_not_shown() {
        let bearer = Bearer::of_text(" a.b.c\n").unwrap();
        let mut metadata = MetadataMap::new();
        bearer.put_into(&mut metadata);
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer a.b.c");
        assert!(!format!("{bearer:?} {metadata:?}").contains("a.b.c"));
        for bad in ["", "a b", "张"] {
            assert!(Bearer::of_text(bad).is_err(), "{bad}");
        }
        assert!(Bearer::of_file(Path::new("/nowhere")).is_err());
    }
}
