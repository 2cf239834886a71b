//! The scheme in force of each programme, with the extensions that apply to all or to some, read once for each change; the
//! text of each scheme is parsed once in the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    ids::ProgrammeId,
    scheme::{Scheme, SchemeError},
};
use shipei_service_kit::{Error, Refusal, Result};
use shipei_store::{StoreError, Tx, fetch_one, fetch_optional};

use crate::windows::Windows;

/// Schemes, parsed once for each programme, version and change of its extensions.
#[derive(Debug, Clone, Default)]
pub struct Programmes {
    parsed: Arc<RwLock<BTreeMap<ProgrammeId, (Version, Windows)>>>,
}

/// The version of a scheme, and the sum of the changes of its extensions.
type Version = (i64, i64);

impl Programmes {
    /// The scheme in force and its version, with the windows that apply to everybody. An unknown programme is refused
    /// NOT_FOUND, field `programme_id`.
    pub async fn scheme(&self, tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(i64, Arc<Scheme>)> {
        let windows = self.windows(tx, programme_id).await?;
        Ok((windows.scheme_version, windows.scheme))
    }

    /// The scheme in force with its extensions. An unknown programme is refused NOT_FOUND, field `programme_id`.
    pub async fn windows(&self, tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Windows> {
        let version: Option<Version> = fetch_optional!(
            tx,
            (i64, i64),
            "SELECT p.scheme_version, COALESCE(w.changes, 0) FROM mirror_programme p \
             LEFT JOIN mirror_windows w ON w.programme_id = p.programme_id WHERE p.programme_id = $1",
            programme_id.as_str()
        )?;
        let Some(version) = version else {
            let refusal = Refusal::new(ErrorReason::NotFound).field("programme_id");
            return Err(refusal.because("there is no such programme").into());
        };
        if let Some(windows) = self.known(programme_id, version) {
            return Ok(windows);
        }
        let row: (i64, String) = fetch_one!(
            tx,
            (i64, String),
            "SELECT scheme_version, scheme_toml FROM mirror_programme WHERE programme_id = $1",
            programme_id.as_str()
        )?;
        let scheme = parsed(row.1)
            .await?
            .map_err(|_| StoreError::corrupt_row("mirror_programme", "scheme_toml", programme_id))?;
        let windows = Windows::load(tx, programme_id, (row.0, scheme)).await?;
        let kept = (version, windows.clone());
        self.parsed.write().unwrap_or_else(PoisonError::into_inner).insert(programme_id.clone(), kept);
        Ok(windows)
    }

    /// The region of a programme. An unknown one is refused NOT_FOUND, field `programme_id`.
    pub async fn region(&self, tx: &mut Tx, programme_id: &str) -> Result<String> {
        let region: Option<(String,)> = fetch_optional!(
            tx,
            (String,),
            "SELECT region_code FROM mirror_programme WHERE programme_id = $1",
            programme_id
        )?;
        let Some((region,)) = region else {
            let refusal = Refusal::new(ErrorReason::NotFound).field("programme_id");
            return Err(refusal.because("there is no such programme").into());
        };
        Ok(region)
    }

    fn known(&self, programme_id: &ProgrammeId, version: Version) -> Option<Windows> {
        let parsed = self.parsed.read().unwrap_or_else(PoisonError::into_inner);
        let known = parsed.get(programme_id).filter(|(known, _)| *known == version);
        known.map(|(_, windows)| windows.clone())
    }
}

/// The scheme of a text, parsed once in this process and not on a thread that others wait for.
async fn parsed(text: String) -> Result<std::result::Result<Arc<Scheme>, SchemeError>> {
    if let Some(scheme) = Scheme::shared(&text) {
        return Ok(Ok(scheme));
    }
    let parsing = tokio::task::spawn_blocking(move || Scheme::parse_shared(&text));
    parsing.await.map_err(|error| Error::Internal(format!("a scheme was not parsed: {error}")))
}
