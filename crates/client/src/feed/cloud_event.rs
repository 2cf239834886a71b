//! An event as CloudEvents 1.0.2 writes it in JSON, with what else is known of it as extensions.

use chrono::{DateTime, SecondsFormat, Utc};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use prost_types::Timestamp;
use serde_json::{Map, Value};
use shipei_contracts::event::v1::Event;
use shipei_service_kit::convert::from_timestamp;

/// Why an event can't be written.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// This program is older than the service, or the data is damaged.
    #[error("the data of {id} ({kind}) can't be read by this program: {fault}")]
    Data {
        /// The event's id.
        id: String,
        /// Its type.
        kind: String,
        /// What is wrong.
        fault: String,
    },
}

/// The event in CloudEvents' JSON format. `data` is the event's message as protobuf's JSON has it; empty values are left out.
/// `sequence` is the number within the partition, `partitionkey` the partition: in this order a consumer can check that nothing is missing.
///
/// # Errors
/// When the data is of a type that this program doesn't know.
pub fn to_json(pool: &DescriptorPool, event: &Event) -> Result<Value, Unwritable> {
    let mut json = Map::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            json.insert(name.to_owned(), Value::from(value));
        }
    };
    put("specversion", &event.spec_version);
    put("id", &event.id);
    put("source", &event.source);
    put("type", &event.r#type);
    put("subject", &event.subject);
    put("time", &instant(event.time.as_ref()));
    put("datacontenttype", "application/json");
    put("sequence", &event.number.to_string());
    put("partitionkey", &event.partition.to_string());
    put("recordedtime", &instant(event.recorded_time.as_ref()));
    put("programmeid", &event.programme_id);
    put("regioncode", &event.region_code);
    put("actor", &event.actor);
    put("cause", &event.cause);
    put("factid", &event.fact_id);
    put("traceparent", &event.trace_parent);
    json.insert("subjectversion".to_owned(), Value::from(event.version));
    json.insert("transactionsize".to_owned(), Value::from(event.transaction_size));
    json.insert("transactionplace".to_owned(), Value::from(event.transaction_place));
    json.insert("data".to_owned(), data(pool, event)?);
    Ok(Value::Object(json))
}

fn data(pool: &DescriptorPool, event: &Event) -> Result<Value, Unwritable> {
    let unwritable = |fault: String| {
        let (id, kind) = (event.id.clone(), event.r#type.clone());
        Unwritable::Data { id, kind, fault }
    };
    let message =
        pool.get_message_by_name(&event.r#type).ok_or_else(|| unwritable("unknown type".to_owned()))?;
    let bytes = event.data.as_ref().map(|data| data.value.as_slice()).unwrap_or_default();
    let read = DynamicMessage::decode(message, bytes).map_err(|error| unwritable(error.to_string()))?;
    let options = SerializeOptions::new();
    read.serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| unwritable(error.to_string()))
}

/// RFC 3339 in UTC, as exact as it is; empty without an instant.
fn instant(at: Option<&Timestamp>) -> String {
    let at: Option<DateTime<Utc>> = at.and_then(|at| from_timestamp(at).ok());
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use prost_types::Any;
    use shipei_contracts::enrollment::v1::PersonLoggedIn;
    use shipei_service_kit::descriptors;
    use shipei_service_kit::prost::Message as _;

    use super::*;

    fn event() -> Event {
        let kind = "shipei.enrollment.v1.PersonLoggedIn";
        let data = PersonLoggedIn { programme_id: "p".into(), person_id: "T1".into() };
        Event {
            id: "17-42".into(),
            source: "enrollment".into(),
            spec_version: "1.0".into(),
            r#type: kind.into(),
            subject: "T1".into(),
            time: Some(Timestamp { seconds: 1_572_000_000, nanos: 250_000_000 }),
            partition: 17,
            number: 42,
            data: Some(Any { type_url: format!("type.googleapis.com/{kind}"), value: data.encode_to_vec() }),
            version: 3,
            ..Default::default()
        }
    }

    #[test]
    fn attributes_are_those_of_cloud_events() {
        let json = to_json(descriptors::pool(), &event()).unwrap();
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "17-42"),
            ("source", "enrollment"),
            ("type", "shipei.enrollment.v1.PersonLoggedIn"),
            ("time", "2019-10-25T10:40:00.250Z"),
            ("sequence", "42"),
            ("partitionkey", "17"),
        ] {
            assert_eq!(json[name], value, "{name}");
        }
        assert_eq!(json["data"]["personId"], "T1");
        // Names of attributes are lower-case letters and digits, and nothing empty is said.
        let names = json.as_object().unwrap().keys();
        assert!(names.clone().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())));
        assert!(!names.clone().any(|name| name == "cause"));
    }

    #[test]
    fn data_that_is_not_known_is_named() {
        let unknown = Event { r#type: "shipei.enrollment.v2.LoggedIn".into(), ..event() };
        let error = to_json(descriptors::pool(), &unknown).unwrap_err().to_string();
        assert!(error.contains("17-42") && error.contains("v2.LoggedIn"), "{error}");
    }
}
