//! The commands of operators: bring schemas up to date, ask for health.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use shipei_store::Fit;
use tokio::time::timeout;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    config::Config,
    suite::{self, with_scheme},
};

/// How long an answer about health may take, the connection included.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// What stands below the help of `shipei migrate`.
pub const MIGRATE_EXAMPLES: &str = "\
Examples:
  shipei migrate --database postgres://shipei@db/shipei     all five, a schema for each
  shipei migrate assessment --config /etc/shipei.toml       one service; the URL is in the file
  shipei migrate --data shipei-data                         SQLite files (`serve` does this by itself)

Run it before the first process of a new version. Several at once take turns; a second time does nothing.
A schema is never made older: where it is newer than this shipei, nothing is changed.";

/// What stands below the help of `shipei relearn`.
pub const RELEARN_EXAMPLES: &str = "\
Examples:
  shipei relearn assessment --config /etc/shipei.toml      all scores again, from the other four logs
  shipei relearn learning-progress offline-activity        what they keep of enrollment

For a service that says EPOCH_CHANGED: a log that it follows was restored from a back-up, and what it learned after
that back-up may be wrong. Its instances must be stopped; started again, they read the logs from the first event. What
a service keeps itself is not touched, and scores come out the same, digest for digest.";

/// What stands below the help of `shipei health`.
pub const HEALTH_EXAMPLES: &str = "\
Examples:
  shipei health 127.0.0.1:7300                                            the whole process
  shipei health 127.0.0.1:7300 shipei.assessment.v1.ScoreService          one gRPC service

Prints SERVING and exits with 0, or NOT_SERVING (or why there is no answer) and exits with 1, within 3 s.";

/// What stands below the help of `shipei config`.
pub const CONFIG_EXAMPLES: &str = "\
Examples:
  shipei config                                             the defaults, and what the environment says
  shipei config assessment --config /etc/shipei.toml        before `shipei serve` with the same words

What it prints is a file of settings; passwords are masked. A setting given in a stronger place (the file, then the
environment, then flags) replaces all that a weaker place said about it.";

/// Brings schemas up to date and says from which version to which.
pub async fn migrate(config: &Config) -> Result<()> {
    for service in &config.services {
        let before = suite::migrate(service, &config.storage, config.limits).await?;
        match before.fit {
            Fit::Current => println!("{service}: version {}, up to date", before.version),
            _ => println!("{service}: from version {} to {}", before.version, before.needed),
        }
    }
    Ok(())
}

/// Makes services forget what they learned from other logs.
pub async fn relearn(config: &Config) -> Result<()> {
    for service in &config.services {
        match suite::forget_learned(service, &config.storage, config.limits).await? {
            true => println!("{service}: forgotten; it learns again when it is started"),
            false => println!("{service}: follows no log"),
        }
    }
    Ok(())
}

/// Whether a server, or a gRPC service of it, serves.
///
/// # Errors
/// When there is no answer in time.
pub async fn health(address: &str, service: &str) -> Result<bool> {
    let endpoint =
        Endpoint::from_shared(with_scheme(address)).with_context(|| format!("{address} is no address"))?;
    let asking = async {
        let channel = endpoint.connect().await.with_context(|| format!("cannot connect to {address}"))?;
        let request = HealthCheckRequest { service: service.to_owned() };
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
