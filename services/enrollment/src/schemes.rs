//! Schemes that are in force, by programme and version. Why: every log-in and report needs the windows, and a version never
//! changes, so neither its text is read again nor parsed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use shipei_rules::{
    ids::ProgrammeId,
    scheme::{Scheme, SchemeError},
};
use shipei_service_kit::{Error, Result};

/// The most schemes that are kept; beyond it, all are forgotten and read again when needed.
pub(crate) const SCHEMES_CACHED_MAX: usize = 256;

type Known = HashMap<(ProgrammeId, i64), Arc<Scheme>>;

/// Known schemes. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schemes {
    known: Arc<Mutex<Known>>,
}

impl Schemes {
    /// The scheme of a version, if it is known.
    pub(crate) fn cached(&self, programme_id: &ProgrammeId, version: i64) -> Option<Arc<Scheme>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(programme_id.clone(), version)).cloned()
    }

    /// Remembers the scheme of a version that is in the database.
    pub(crate) fn keep(&self, programme_id: &ProgrammeId, version: i64, scheme: &Arc<Scheme>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SCHEMES_CACHED_MAX {
            known.clear();
        }
        known.insert((programme_id.clone(), version), Arc::clone(scheme));
    }
}

/// The scheme of a text, parsed once and not on a thread that others wait for.
pub(crate) async fn parsed(text: &str) -> Result<std::result::Result<Arc<Scheme>, SchemeError>> {
    if let Some(scheme) = Scheme::shared(text) {
        return Ok(Ok(scheme));
    }
    let text = text.to_owned();
    let parsing = tokio::task::spawn_blocking(move || Scheme::parse_shared(&text));
    parsing.await.map_err(|error| Error::Internal(format!("a scheme was not parsed: {error}")))
}
