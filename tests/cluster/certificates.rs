//! The certificates that operators make (`deploy/tls/make-certificates`), for a cluster whose traffic is encrypted.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// A folder of them.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes an authority and certificates for Postgres and Redis on `localhost`.
    pub(crate) fn make(folder: &Path) -> Result<Certificates> {
        let folder = folder.join("certificates");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tls/make-certificates");
        let output = Command::new("bash").arg(&script).arg(&folder).output();
        let output = output.with_context(|| format!("cannot run {}", script.display()))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(Certificates { folder })
    }

    /// The authority that signed them.
    pub(crate) fn authority(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// One of the files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
