//! A stored event as the contract has it.

use shipei_contracts::event::v1::Event;
use shipei_store::StoredEvent;

use crate::{answer::convert::to_timestamp, call::consistency::partition_number};

/// What the type URLs of event data begin with.
const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// An event of this log, for its consumers.
pub(crate) fn to_event(source: &str, stored: StoredEvent) -> Event {
    let partition = partition_number(stored.position.partition);
    let number = stored.position.number;
    let type_url = format!("{TYPE_URL_PREFIX}{}", stored.kind);
    Event {
        id: format!("{partition}-{number}"),
        source: source.to_owned(),
        spec_version: "1.0".to_owned(),
        r#type: stored.kind,
        subject: stored.subject,
        time: Some(to_timestamp(stored.occurred_at)),
        recorded_time: Some(to_timestamp(stored.recorded_at)),
        partition,
        number,
        region_code: stored.region,
        actor: stored.actor,
        cause: stored.cause,
        trace_parent: stored.trace,
        data: Some(prost_types::Any { type_url, value: stored.data }),
        programme_id: stored.programme,
        version: stored.version,
        transaction_size: i32::try_from(stored.transaction_size).unwrap_or(i32::MAX),
        transaction_place: i32::try_from(stored.transaction_place).unwrap_or(i32::MAX),
        fact_id: stored.fact_id,
    }
}
