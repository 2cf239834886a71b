//! Schemes that were parsed, by programme and version. Why: every log-in and report needs the windows, a scheme's
//! text is some hundred lines, and a version never changes, so it is parsed once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use shipei_rules::scheme::{Scheme, SchemeError};

/// The most schemes that are kept parsed; beyond it, all are forgotten and parsed again when needed.
pub(crate) const SCHEMES_CACHED_MAX: usize = 256;

type Parsed = HashMap<(String, i64), Arc<Scheme>>;

/// Parsed schemes. Clones are the same cache.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schemes {
    parsed: Arc<Mutex<Parsed>>,
}

impl Schemes {
    /// The scheme of a version, if it was parsed before.
    pub(crate) fn cached(&self, programme_id: &str, version: i64) -> Option<Arc<Scheme>> {
        let parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        parsed.get(&(programme_id.to_owned(), version)).cloned()
    }

    /// Parses the text of a version that is in the database, and remembers it.
    ///
    /// # Errors
    /// When the text is no scheme.
    pub(crate) fn parse(
        &self,
        programme_id: &str,
        version: i64,
        text: &str,
    ) -> Result<Arc<Scheme>, SchemeError> {
        if let Some(scheme) = self.cached(programme_id, version) {
            return Ok(scheme);
        }
        let scheme = Arc::new(Scheme::parse(text)?);
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.len() >= SCHEMES_CACHED_MAX {
            parsed.clear();
        }
        parsed.insert((programme_id.to_owned(), version), Arc::clone(&scheme));
        Ok(scheme)
    }
}
