//! How a server is told who may call: everybody on this machine, or who brings a token of an issuer.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use shipei_service_kit::{
    KeySource, TokenSettings,
    identity::mint::{AUDIENCE_DEFAULT, ISSUER_DEFAULT},
};
use tonic::transport::Uri;

use super::values::{one, path, switch};
use crate::{settings::Givens, token::KEY_SET_FILE};

/// The longest name of an issuer or an audience, bytes.
const NAME_BYTES_MAX: usize = 512;

/// How callers are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// They are not: whoever is on this machine may do everything.
    Open,
    /// By tokens.
    Tokens(TokenSettings),
    /// Nobody said: a server does not start.
    Unsaid {
        /// Where keys would have been found.
        keys: PathBuf,
    },
}

impl Access {
    /// Refuses to serve where nobody said who may call.
    ///
    /// # Errors
    /// In that case.
    pub fn require_said(&self) -> Result<()> {
        let Access::Unsaid { keys } = self else { return Ok(()) };
        bail!(
            "nobody said who may call. Say where the keys of whoever issues tokens are: --token-keys FILE|URL \
             (SHIPEI_TOKEN_KEYS); for trying it out, `shipei token --help` shows how to make some, which are then found in \
             {}. Or say with --open (SHIPEI_OPEN=true) that whoever is on this machine may do everything",
            keys.display()
        )
    }

    /// What is said of it when a server starts.
    pub fn to_words(&self) -> String {
        match self {
            Access::Open => {
                "open: nobody is asked for a token, whoever is on this machine may do everything (--open)"
                    .to_owned()
            }
            Access::Tokens(settings) => {
                let TokenSettings { issuer, audience, keys } = settings;
                format!(
                    "callers bring tokens from {issuer} for {audience}, keys from {}",
                    source_in_words(keys)
                )
            }
            Access::Unsaid { .. } => "nobody said who may call".to_owned(),
        }
    }
}

/// Where keys are, as it was written.
pub(super) fn source_in_words(source: &KeySource) -> String {
    match source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Address { uri, .. } => uri.to_string(),
    }
}

/// What the settings say of it.
pub(super) fn read(givens: &Givens, data: &Path) -> Result<Access> {
    let open = one(givens, "open", false, switch)?;
    let authority = one(givens, "token_keys_ca_file", None, |text| path(text).map(Some))?;
    let said = one(givens, "token_keys", None, |text| source(text, authority.clone()).map(Some))?;
    let issuer = one(givens, "issuer", ISSUER_DEFAULT.to_owned(), name)?;
    let audience = one(givens, "audience", AUDIENCE_DEFAULT.to_owned(), name)?;
    if open {
        if said.is_some() {
            bail!(
                "`open` and `token_keys` are both given: either nobody is asked for a token, or everybody is"
            );
        }
        return Ok(Access::Open);
    }
    if authority.is_some() && !matches!(said, Some(KeySource::Address { .. })) {
        bail!("`token_keys_ca_file` is given, but `token_keys` is no https:// address");
    }
    let beside = data.join(KEY_SET_FILE);
    match said {
        Some(keys) => Ok(Access::Tokens(TokenSettings { issuer, audience, keys })),
        None if beside.exists() => {
            Ok(Access::Tokens(TokenSettings { issuer, audience, keys: KeySource::File(beside) }))
        }
        None => Ok(Access::Unsaid { keys: beside }),
    }
}

fn source(text: &str, authority: Option<PathBuf>) -> Result<KeySource, &'static str> {
    if !text.contains("://") {
        return path(text).map(KeySource::File);
    }
    let wrong = "write a file, or http://HOST/PATH or https://HOST/PATH";
    let uri: Uri = text.parse().map_err(|_| wrong)?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if is_web && plain { Ok(KeySource::Address { uri, authority }) } else { Err(wrong) }
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(format!("write a name or an address of up to {NAME_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}
