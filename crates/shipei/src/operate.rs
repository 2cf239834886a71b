//! The commands of operators: bring schemas up to date, ask for health.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use shipei_client::client;
use shipei_service_kit::event_feed::SOURCE_HEADER;
use shipei_store::Fit;
use tokio::time::timeout;
use tonic::{Code, Request};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    config::{Config, LISTEN_DEFAULT},
    display::say,
    services::service_names,
    suite,
};

/// How long an answer about health may take, the connection included.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// What stands below the help of `shipei migrate`.
pub const MIGRATE_EXAMPLES: &str = "\
Examples:
  shipei migrate --database postgres://shipei@db/shipei     all five, a schema for each
  shipei migrate assessment --config /etc/shipei.toml       one service; the URL is in the file
  shipei migrate --data shipei-data                         SQLite files (`serve` does it too)

Run it before the first process of a new version. Several at once take turns; a second time does
nothing. A schema is never made older: where it is newer than this shipei, nothing is changed.";

/// What stands below the help of `shipei relearn`.
pub const RELEARN_EXAMPLES: &str = "\
Examples:
  shipei relearn assessment --config /etc/shipei.toml      all scores again, from four logs
  shipei relearn learning-progress offline-activity        what they keep of enrollment

For a service that says EPOCH_CHANGED: a log that it follows was restored from a back-up, and
what it learned after that back-up may be wrong. Its instances must be stopped; started again,
they read the logs from the first event. What a service keeps itself is not touched, and scores
come out the same, digest for digest.";

/// What stands below the help of `shipei health`.
pub const HEALTH_EXAMPLES: &str = "\
Examples:
  shipei health                                      the whole process at 127.0.0.1:7300
  shipei health 127.0.0.1:7300 shipei.assessment.v1.ScoreService  one gRPC service
  shipei health https://shipei.example:7443 --ca-file ca.crt --source assessment
                                                  an instance of assessment behind a balancer

Prints SERVING and exits with 0, or NOT_SERVING (or why there is no answer) and exits with 1,
within 3 s.";

/// What stands below the help of `shipei config`.
pub const CONFIG_EXAMPLES: &str = "\
Examples:
  shipei config                                             the defaults and the environment
  shipei config assessment --config /etc/shipei.toml        before `serve` with the same words

What it prints is a file of settings; passwords are masked. A setting given in a stronger place
(the file, then the environment, then flags) replaces all that a weaker place said about it.";

/// Brings schemas up to date and says from which version to which.
pub async fn migrate(config: &Config, json: bool) -> Result<()> {
    let mut done = Vec::new();
    for service in &config.services {
        let before = suite::migrate(service, &config.storage, config.limits).await?;
        match before.fit {
            _ if json => {
                done.push(json!({ "service": service, "from": before.version, "to": before.needed }));
            }
            Fit::Current => say(&format!("{service}: version {}, up to date", before.version)),
            _ => say(&format!("{service}: from version {} to {}", before.version, before.needed)),
        }
    }
    if json {
        say(&Value::from(done).to_string());
    }
    Ok(())
}

/// Makes services forget what they learned from other logs.
pub async fn relearn(config: &Config) -> Result<()> {
    for service in &config.services {
        match suite::forget_learned(service, &config.storage, config.limits).await? {
            true => say(&format!("{service}: forgotten; it learns again when it is started")),
            false => say(&format!("{service}: follows no log")),
        }
    }
    Ok(())
}

/// Whom to ask for health, and for whose.
#[derive(Debug, clap::Args)]
pub struct Question {
    /// Where it listens: HOST:PORT, http://HOST:PORT or https://HOST:PORT.
    #[arg(default_value = LISTEN_DEFAULT)]
    pub address: String,
    /// The full name of a gRPC service; the whole server if none is named.
    #[arg(value_name = "GRPC_SERVICE", default_value = "", hide_default_value = true)]
    pub service: String,
    /// The authority (PEM) that signed the certificate of an https:// address.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Whose instance a load balancer is to ask (it is told by the metadata `shipei-source`).
    #[arg(long, value_name = "SERVICE", value_parser = PossibleValuesParser::new(service_names()))]
    pub source: Option<String>,
}

/// Whether a server, or a gRPC service of it, serves.
///
/// # Errors
/// When there is no answer in time.
pub async fn health(address: &str, service: &str) -> Result<bool> {
    let (address, service) = (address.to_owned(), service.to_owned());
    ask_health(&Question { address, service, ca_file: None, source: None }).await
}

/// As [`health`], over TLS and through a load balancer too.
///
/// # Errors
/// When there is no answer in time, or when its address or certificate can't be.
pub async fn ask_health(question: &Question) -> Result<bool> {
    let Question { address, service, ca_file, source } = question;
    let endpoint = client::endpoint_of(address, ca_file.as_deref())?;
    let asking = async {
        let channel = endpoint.connect().await.with_context(|| format!("cannot connect to {address}"))?;
        let mut request = Request::new(HealthCheckRequest { service: service.clone() });
        if let Some(source) = source {
            request.metadata_mut().insert(SOURCE_HEADER, source.parse()?);
        }
        let answer =
            HealthClient::new(channel).check(request).await.map_err(|status| match status.code() {
                Code::NotFound => anyhow!("{address} has no gRPC service `{service}`"),
                code => anyhow!("{address} answers {code:?}: {}", status.message()),
            })?;
        Ok(answer.into_inner().status() == ServingStatus::Serving)
    };
    match timeout(HEALTH_TIMEOUT, asking).await {
        Ok(answer) => answer,
        Err(_) => bail!("{address} did not answer within {} s", HEALTH_TIMEOUT.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What clap breaks by itself, less some columns for who has a narrow terminal.
    const HELP_COLUMNS: usize = 96;

    #[test]
    fn texts_below_the_help_fit_as_they_are() {
        // Clap breaks what is longer once more, in the middle of a sentence.
        let texts = [crate::serve::EXAMPLES, crate::bench::EXAMPLES, MIGRATE_EXAMPLES, RELEARN_EXAMPLES];
        let lists = [crate::explain::EXAMPLES, crate::stats::EXAMPLES, crate::who::EXAMPLES];
        let roles = [crate::duties::EXAMPLES, crate::evidence::EXAMPLES, crate::person::EXAMPLES];
        let operators = [
            HEALTH_EXAMPLES,
            CONFIG_EXAMPLES,
            crate::audit::EXAMPLES,
            crate::honours::EXAMPLES,
            crate::rotate::EXAMPLES,
            crate::erase::EXAMPLES,
            crate::bar::EXAMPLES,
        ];
        for line in texts.into_iter().chain(lists).chain(roles).chain(operators).flat_map(str::lines) {
            assert!(line.len() <= HELP_COLUMNS, "{line}");
        }
    }
}
