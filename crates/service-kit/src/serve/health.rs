//! What a server says of its health: of each gRPC service whether its database answers, of all, and of each source whether it
//! takes writes.

use std::{collections::BTreeMap, time::Duration};

use shipei_store::Database;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{clock, shutdown::Shutdown, write::kit::Kit};

/// How often health asks each database.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// How long a database may take to answer health.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// The name that stands for the whole server in health.
const OVERALL: &str = "";

/// Asks each database now and then, until shutdown.
pub(super) async fn watch_health(
    mut health: HealthReporter,
    services: BTreeMap<&'static str, &'static str>,
    kits: BTreeMap<&'static str, Kit>,
    shutdown: Shutdown,
) {
    while !shutdown.has_begun() {
        tokio::select! {
            () = shutdown.begun() => {}
            () = tokio::time::sleep(HEALTH_INTERVAL) => {
                clock::look();
                tell_health(&health, &services, &kits).await;
                for (source, kit) in &kits {
                    if let Err(error) = kit.database().forget_erased().await {
                        tracing::debug!(of = kit.source(), %error, "what was erased is still in the write-ahead log");
                    }
                    if let Err(error) = kit.database().give_back_at_rest().await {
                        tracing::warn!(source, %error, "memory is not given back");
                    }
                }
            }
        }
    }
    let writes = kits.keys().map(|source| writes_of(source));
    for name in services.keys().chain([&OVERALL]).map(|name| (*name).to_owned()).chain(writes) {
        health.set_service_status(&name, ServingStatus::NotServing).await;
        // Ends the streams that watch it, after they have told this last status.
        health.clear_service_status(&name).await;
    }
}

/// Asks each database and tells health what came of it.
pub(super) async fn tell_health(
    health: &HealthReporter,
    services: &BTreeMap<&'static str, &'static str>,
    kits: &BTreeMap<&'static str, Kit>,
) {
    let silent = silent_of(kits.iter().map(|(source, kit)| (*source, answers(kit.database())))).await;
    for source in &silent {
        tracing::warn!(source, "the database does not answer");
    }
    for (name, source) in services {
        health.set_service_status(name, status_of(!silent.contains(source))).await;
    }
    health.set_service_status(OVERALL, status_of(silent.is_empty())).await;
    for (source, kit) in kits {
        let writes = !silent.contains(source) && !kit.is_short_of_disk();
        health.set_service_status(writes_of(source), status_of(writes)).await;
    }
}

/// The name in health of what a service takes: a service nearly out of disk serves, and takes nothing.
fn writes_of(source: &str) -> String {
    format!("{source}/writes")
}

/// Which sources' databases don't answer. They are asked at once: they are most often one server, and when it is silent
/// each question takes all the time that it may.
async fn silent_of(
    asked: impl Iterator<Item = (&'static str, impl Future<Output = bool>)>,
) -> Vec<&'static str> {
    let answered = asked.map(async |(source, answers)| (source, answers.await));
    let answered = futures::future::join_all(answered).await;
    answered.into_iter().filter(|(_, answers)| !answers).map(|(source, _)| source).collect()
}

async fn answers(database: &Database) -> bool {
    matches!(tokio::time::timeout(HEALTH_TIMEOUT, database.check_writable()).await, Ok(Ok(())))
}

fn status_of(serves: bool) -> ServingStatus {
    if serves { ServingStatus::Serving } else { ServingStatus::NotServing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn databases_are_asked_at_once() {
        let sources = ["one", "two", "three", "four", "five"];
        // Nobody has an answer before all are asked.
        let asked_all = tokio::sync::Barrier::new(sources.len());
        let asked_all = &asked_all;
        let asked = sources.map(|source| {
            let answering = async move {
                asked_all.wait().await;
                source == "two"
            };
            (source, answering)
        });
        let silent = tokio::time::timeout(Duration::from_secs(60), silent_of(asked.into_iter())).await;
        assert_eq!(silent.unwrap(), ["one", "three", "four", "five"]);
    }
}
