//! Which services there are. Everything that differs between them stands in a constant of each service's crate; who
//! needs all of them or their names finds them here. To add a service: its `SERVICE` in `SERVICES`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use shipei_service_kit::Service;

/// The services, each behind those that it follows.
const SERVICES: &[Service; 6] = &[
    shipei_enrollment::SERVICE,
    shipei_learning_progress::SERVICE,
    shipei_assignment_grading::SERVICE,
    shipei_offline_activity::SERVICE,
    shipei_assessment_decisions::SERVICE,
    shipei_assessment::SERVICE,
];

/// The names of the services, which are those of their logs.
pub fn service_names() -> Vec<&'static str> {
    SERVICES.iter().map(|service| service.name).collect()
}

/// Who of these services follows which log that is neither of these services nor at an address.
pub fn sources_missing(
    services: &[&str],
    addresses: &BTreeMap<String, String>,
) -> Vec<(&'static str, &'static str)> {
    let served = SERVICES.iter().filter(|service| services.contains(&service.name));
    let follows = served.flat_map(|service| service.follows.iter().map(|source| (service.name, *source)));
    follows.filter(|(_, source)| !services.contains(source) && !addresses.contains_key(*source)).collect()
}

/// The service of this name.
///
/// # Errors
/// When there is none.
pub fn service_of(name: &str) -> Result<&'static Service> {
    let service = SERVICES.iter().find(|service| service.name == name);
    service.with_context(|| format!("there is no service `{name}`; there are {}", service_names().join(", ")))
}

/// The services of these names; all for none.
///
/// # Errors
/// When there is none of a name.
pub fn services_of(names: &[String]) -> Result<Vec<&'static Service>> {
    if names.is_empty() {
        return Ok(SERVICES.iter().collect());
    }
    let mut services: Vec<&Service> = Vec::new();
    for name in names {
        let service = service_of(name)?;
        if services.iter().all(|known| known.name != service.name) {
            services.push(service);
        }
    }
    Ok(services)
}

/// What is said of a service that follows a log of which nobody knows where it is.
pub fn peer_missing(service: &str, source: &str) -> String {
    format!(
        "{service} follows the log of {source}: say where it runs with --peer {source}=ADDRESS (in a file of settings \
         `peers`, SHIPEI_PEERS in the environment)"
    )
}
