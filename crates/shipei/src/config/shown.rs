//! The settings that are in force as an operator reads them: a file of settings or JSON, with where each value comes from
//! and without secrets. A new setting needs an arm in [`Config::shown`].

use std::{
    fmt::Write as _,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use serde_json::{Map, Value, json};
use shipei_service_kit::{KeySource, TokenSettings, telemetry::LogFormat};

use super::{Access, Config, DAY_SECONDS, MEGABYTE, MEGABYTE_BYTES, access::source_in_words};
use crate::{
    redis::masked,
    settings::{SETTINGS, Setting, Source},
    suite::TlsFiles,
};

/// The value of a setting, secrets masked.
enum Shown {
    /// One value.
    Value(Value),
    /// It may be without one, and is.
    NotSet,
    /// One by service.
    ByService(Vec<(String, String)>),
}

impl Config {
    /// All settings as a file of settings, with where each comes from and without secrets.
    pub fn to_toml(&self) -> String {
        let mut lines = format!("# For {}.\n", self.services.join(", "));
        if let Some((path, source)) = &self.file {
            let _ = writeln!(lines, "# The file is {} ({source}).", path.display());
        }
        for variable in &self.unknown_variables {
            let _ = writeln!(lines, "# {variable} is in the environment, but there is no such setting.");
        }
        let mut tables = String::new();
        for setting in &SETTINGS {
            let (key, source) = (setting.key, self.source(setting));
            match self.shown(key) {
                Shown::Value(value) => {
                    let _ = writeln!(lines, "{key} = {} # {source}", in_toml(&value));
                }
                Shown::NotSet => {
                    let _ = writeln!(lines, "# {key} is not set # {source}");
                }
                Shown::ByService(values) => {
                    let _ = writeln!(tables, "\n[{key}] # {source}");
                    for (service, value) in values {
                        let _ = writeln!(tables, "{service} = {}", in_toml(&value.into()));
                    }
                }
            }
        }
        lines + &tables
    }

    /// The same as JSON: a list of settings.
    pub fn to_json(&self) -> String {
        let setting = |setting: &Setting| {
            let value = match self.shown(setting.key) {
                Shown::Value(value) => value,
                Shown::NotSet => Value::Null,
                Shown::ByService(values) => {
                    let values = values.into_iter().map(|(service, value)| (service, Value::from(value)));
                    Value::Object(values.collect::<Map<_, _>>())
                }
            };
            json!({ "key": setting.key, "value": value, "source": self.source(setting).to_string() })
        };
        SETTINGS.iter().map(setting).collect::<Value>().to_string()
    }

    fn source(&self, setting: &Setting) -> &Source {
        self.sources.get(setting.key).unwrap_or(&Source::Default)
    }

    fn shown(&self, key: &str) -> Shown {
        let optional =
            |value: Option<String>| value.map_or(Shown::NotSet, |value| Shown::Value(value.into()));
        let redis = self.redis.as_ref();
        Shown::Value(match key {
            "listen" => self.listen.to_string().into(),
            "tls_certificate" | "tls_key" | "tls_client_ca_file" | "peers_ca_file" => {
                let TlsFiles { listener, peers } = &self.tls;
                let listener = listener.as_ref();
                let file = match key {
                    "tls_certificate" => listener.map(|files| &files.certificate),
                    "tls_key" => listener.map(|files| &files.key),
                    "tls_client_ca_file" => listener.and_then(|files| files.client_authority.as_ref()),
                    _ => peers.authority.as_ref(),
                };
                return optional(file.map(|file| file.display().to_string()));
            }
            "tls_client_required" => {
                self.tls.listener.as_ref().is_some_and(|files| files.client_required).into()
            }
            "open" => matches!(self.access, Access::Open).into(),
            "token_keys" | "token_keys_ca_file" | "issuer" | "audience" => {
                let Access::Tokens(TokenSettings { issuer, audience, keys }) = &self.access else {
                    return Shown::NotSet;
                };
                return optional(match (key, keys) {
                    ("issuer", _) => Some(issuer.clone()),
                    ("audience", _) => Some(audience.clone()),
                    ("token_keys", keys) => Some(source_in_words(keys)),
                    (_, KeySource::Address { authority, .. }) => {
                        authority.as_ref().map(|file| file.display().to_string())
                    }
                    (_, KeySource::File(_)) => None,
                });
            }
            "cors_origins" => self.cors_origins.join(",").into(),
            "trusted_proxies" => self.trusted_proxies.join(",").into(),
            "audit_checkpoints" => {
                return optional(self.audit_checkpoints.as_ref().map(ToString::to_string));
            }
            "audit_interval" => time(self.audit_interval).into(),
            "data" => self.data.display().to_string().into(),
            "key_file" => self.key_file.display().to_string().into(),
            "cipher" => self.cipher.to_string().into(),
            "migrate" => self.migrate.into(),
            "log_format" => match self.log_format {
                LogFormat::Human => "human".into(),
                LogFormat::Json => "json".into(),
            },
            "pool_connections" => self.limits.connections.into(),
            "acquire_timeout" => time(self.limits.acquire_timeout).into(),
            "statement_timeout" => time(self.limits.statement_timeout).into(),
            "lock_timeout" => time(self.limits.lock_timeout).into(),
            "memory_budget" => (self.bounds.budget_bytes / MEGABYTE).into(),
            "connections" => self.bounds.connections.all.into(),
            "connections_by_address" => self.bounds.connections.by_address.into(),
            "calls_by_caller" => self.bounds.callers.calls.map_or(0, NonZeroUsize::get).into(),
            "streams_by_caller" => self.bounds.callers.streams.map_or(0, NonZeroUsize::get).into(),
            "request_records_days" => (self.bounds.request_records_kept.as_secs() / DAY_SECONDS).into(),
            "log_kept_days" => (self.bounds.log_kept.map_or(0, |kept| kept.as_secs() / DAY_SECONDS)).into(),
            "disk_reserve" => (self.bounds.writes.disk_reserve_bytes / MEGABYTE_BYTES).into(),
            "quota_things" => self.bounds.writes.quota.things.into(),
            "quota_megabytes" => (self.bounds.writes.quota.bytes / MEGABYTE_BYTES).into(),
            "rate_limit" => self.rate_limit.map_or(0, NonZeroU32::get).into(),
            // Another one each time, unless somebody gave it.
            "instance" => {
                return optional(self.sources.contains_key(key).then(|| self.instance.clone()));
            }
            "redis" => return optional(redis.map(|redis| masked(&redis.url))),
            "redis_ca_file" => {
                let file = redis.and_then(|redis| redis.ca_file.as_ref());
                return optional(file.map(|file| file.display().to_string()));
            }
            "otlp" => return optional(self.otlp.as_deref().map(masked)),
            "peers" => return Shown::ByService(self.peers.clone().into_iter().collect()),
            "database" => {
                let url =
                    |service: &&str| Some(((*service).to_owned(), masked(&self.storage.url(service).ok()?)));
                return Shown::ByService(self.services.iter().filter_map(url).collect());
            }
            unknown => unreachable!("`{unknown}` is a setting that is not shown"),
        })
    }
}

/// A value as TOML writes it.
fn in_toml(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        other => other.to_string(),
    }
}

/// A time as a setting is written.
fn time(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{}s", time.as_secs()) } else { format!("{}ms", time.as_millis()) }
}
