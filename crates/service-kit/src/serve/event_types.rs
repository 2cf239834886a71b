//! Which types of events the log of each source has, read off the contracts: a consumer who asks for another would wait without
//! end.

use std::collections::{BTreeMap, BTreeSet};

use prost::Name as _;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use shipei_contracts::event::v1::FactRetracted;

use crate::write::kit::Kit;

/// The file of a package in which its events are.
const EVENTS_FILE: &str = "/events.proto";

/// The types of each source's events, by the contracts: the messages of the files `events.proto` in the packages of its gRPC
/// services. A source without such a file is not in it. One that keeps
/// facts retracts them too.
pub(super) fn of(
    pool: &DescriptorPool,
    services: &BTreeMap<&'static str, &'static str>,
    kits: &BTreeMap<&'static str, Kit>,
) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut types: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (service, source) in services {
        let Some(service) = pool.get_service_by_name(service) else { continue };
        let is_event = |message: &MessageDescriptor| {
            message.package_name() == service.package_name()
                && message.parent_file().name().ends_with(EVENTS_FILE)
        };
        let events = pool.all_messages().filter(is_event).map(|message| message.full_name().to_owned());
        let events: BTreeSet<String> = events.collect();
        if !events.is_empty() {
            types.entry(*source).or_default().extend(events);
        }
    }
    for (source, kit) in kits {
        if let (Some(types), Some(_)) = (types.get_mut(source), kit.facts()) {
            types.insert(FactRetracted::full_name());
        }
    }
    types
}
