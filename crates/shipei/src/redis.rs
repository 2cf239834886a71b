//! Where a Redis is, and how an address is shown that may hold a password.

use std::{fmt, path::PathBuf};

/// What stands where a secret was.
const MASK: &str = "***";

/// Where a Redis is.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// Its URL, which may hold a password.
    pub url: String,
    /// The authority of its certificate; the system's when absent.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for RedisAddress {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RedisAddress").field(&masked(&self.url)).finish()
    }
}

/// The options of a URL whose values may be shown; whatever else there is, mistyped ones too, may be a password.
const OPTIONS_SHOWN: [&str; 11] = [
    "schema",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "application_name",
];

/// A URL without its passwords: neither `user:PASSWORD@` nor `?password=PASSWORD`.
pub(crate) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // The last @: a password may hold one, and to mask too much does no harm.
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => (format!("{name}:{MASK}@"), host),
            None => (format!("{user}@"), host),
        },
        None => (String::new(), rest),
    };
    let Some((place, query)) = host.split_once('?') else { return format!("{scheme}://{user}{host}") };
    let options = query.split('&').map(|option| match option.split_once('=') {
        Some((name, _)) if OPTIONS_SHOWN.contains(&name) => option.to_owned(),
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    });
    format!("{scheme}://{user}{place}?{}", options.collect::<Vec<_>>().join("&"))
}
