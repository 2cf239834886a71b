//! docs/events.md, written from the contracts: each type of event of each log, and what it says. `cargo xtask events` writes it anew.

use std::{collections::BTreeMap, fmt::Write as _};

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
};
use prost_types::{Any, Timestamp};
use serde_json::{Map, Value};
use shipei_client::feed::cloud_event;
use shipei_contracts::{COMMENTED_DESCRIPTOR_SET, event::v1::Event};
use shipei_service_kit::prost::Message as _;

use crate::documents::page_is_current;

/// The files of events, each with the log that has them.
const LOGS: [(&str, &str); 6] = [
    ("enrollment", "shipei/enrollment/v1/events.proto"),
    ("learning-progress", "shipei/learning/v1/events.proto"),
    ("assignment-grading", "shipei/assignment/v1/events.proto"),
    ("offline-activity", "shipei/offline/v1/events.proto"),
    ("assessment-decisions", "shipei/decisions/v1/events.proto"),
    ("assessment", "shipei/assessment/v1/events.proto"),
];
/// Events that every log of facts has.
const OF_ALL: &str = "shipei/event/v1/events.proto";
/// Which part of a file its messages are, in paths of comments (FileDescriptorProto.message_type, DescriptorProto.field).
const MESSAGES: i32 = 4;
const FIELDS: i32 = 2;

/// An event of each type as a relay writes it, a line each.
const EXAMPLES: &str = include_str!("events_page/examples.ndjson");
/// In which order their attributes are shown.
const ATTRIBUTES: [&str; 18] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "sequence",
    "partitionkey",
    "recordedtime",
    "programmeid",
    "regioncode",
    "actor",
    "cause",
    "factid",
    "subjectversion",
    "transactionsize",
    "transactionplace",
];
/// How wide what is shown of one is.
const COLUMNS: usize = 130;

const HEAD: &str = "\
# Events

What each log tells, type by type. This page is written from the contracts (`cargo xtask events`); a test fails when it is not current.
How to follow a log, and what is promised, is in [streams.md](streams.md).

Every event stands in an envelope (`shipei.event.v1.Event`) with CloudEvents' attributes: `id` (partition and number, `17-42`), `source`, `type` (the
name below), `subject` (the id of what it is about), `time` (when it happened); and `recorded_time`, `partition`, `number`, `region_code`,
`programme_id`, `actor`, `cause`, `version` (which of its subject's events it is), `fact_id`. Names of people and numbers of identity cards are in none.
The examples are CloudEvents' JSON, as `shipei watch --json` and `shipei relay` write it; what is empty, 0 or false is not written.

## How they change

- A type keeps its name and what its fields mean. A field is added, never renumbered, and never gets another meaning; one that is no longer filled stays
  in the contract with a word on what is there instead. What can't be said so is a new type beside the old one.
- A consumer takes no offence at types and fields that it doesn't know. A value of an enumeration that it doesn't know is passed on as a number.
- That holds from 1.0 on: before it, types and fields may still change. `cargo xtask breaking`, which CI runs, asks `buf breaking` what would
  break: before 1.0, against the commit before, it says so; from 1.0 on, against the last release, it refuses it.
";

/// The comment of what stands at a path of a file, in one line.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.and_then(|location| location.leading_comments.clone()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn kind(field: &FieldDescriptor) -> String {
    let name = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(choices) => choices.full_name().to_owned(),
        Kind::Int32 | Kind::Sint32 => "int32".to_owned(),
        Kind::Int64 | Kind::Sint64 => "int64".to_owned(),
        Kind::Uint32 => "uint32".to_owned(),
        Kind::Uint64 => "uint64".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::Double | Kind::Float => "number".to_owned(),
        _ => "string".to_owned(),
    };
    let name = name.strip_prefix("google.protobuf.").unwrap_or(&name).to_owned();
    match field.cardinality() {
        Cardinality::Repeated => format!("list of {name}"),
        _ => name,
    }
}

/// The examples by type.
fn examples() -> BTreeMap<String, Map<String, Value>> {
    let lines = EXAMPLES
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")));
    let with_type = |example: Map<String, Value>| (text(&example, "type"), example);
    lines.map(with_type).collect()
}

fn text(example: &Map<String, Value>, name: &str) -> String {
    example.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The event that an example is of: what it says can be said, in the words of the contract.
fn event_of(message: &MessageDescriptor, example: &Map<String, Value>) -> Event {
    let number = |name: &str| example.get(name).and_then(Value::as_i64).unwrap_or_default();
    let time = |name: &str| text(example, name).parse::<Timestamp>().ok();
    let data = DynamicMessage::deserialize(message.clone(), &example["data"])
        .unwrap_or_else(|error| panic!("the example of {}: {error}", message.full_name()));
    let type_url = format!("type.googleapis.com/{}", message.full_name());
    Event {
        id: text(example, "id"),
        source: text(example, "source"),
        spec_version: text(example, "specversion"),
        r#type: message.full_name().to_owned(),
        subject: text(example, "subject"),
        time: time("time"),
        recorded_time: time("recordedtime"),
        partition: text(example, "partitionkey").parse().expect("a partition"),
        number: text(example, "sequence").parse().expect("a number"),
        region_code: text(example, "regioncode"),
        actor: text(example, "actor"),
        cause: text(example, "cause"),
        data: Some(Any { type_url, value: data.encode_to_vec() }),
        programme_id: text(example, "programmeid"),
        version: number("subjectversion"),
        transaction_size: i32::try_from(number("transactionsize")).expect("a size"),
        transaction_place: i32::try_from(number("transactionplace")).expect("a place"),
        fact_id: text(example, "factid"),
        ..Default::default()
    }
}

/// Pairs of names and values, as many in a line as there is room for.
fn laid_out<'a>(pairs: impl Iterator<Item = (String, &'a Value)>, indent: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for (name, value) in pairs {
        let pair = format!("\"{name}\": {value}");
        if line.is_empty() {
            line = format!("{indent}{pair}");
        } else if line.chars().count() + pair.chars().count() + 2 <= COLUMNS {
            line = format!("{line}, {pair}");
        } else {
            let _ = writeln!(lines, "{line},");
            line = format!("{indent}{pair}");
        }
    }
    lines + &line
}

/// The example of a type, written by what writes events for other systems.
fn example_of(page: &mut String, message: &MessageDescriptor, example: &Map<String, Value>) {
    let json = cloud_event::to_json(message.parent_pool(), &event_of(message, example))
        .expect("an event that can be written");
    assert_eq!(&json, &Value::Object(example.clone()), "what is written of the example is something else");
    assert_eq!(
        example.len(),
        ATTRIBUTES.iter().filter(|name| example.contains_key(**name)).count() + 1,
        "{json}"
    );
    let attributes = ATTRIBUTES.iter().filter_map(|name| Some(((*name).to_owned(), example.get(*name)?)));
    let attributes = laid_out(attributes, "  ");
    let fields = message.fields().map(|field| field.json_name().to_owned());
    let data =
        laid_out(fields.filter_map(|name| example["data"].get(&name).map(|value| (name, value))), "    ");
    let _ = write!(page, "\n```json\n{{\n{attributes},\n  \"data\": {{\n{data}\n  }}\n}}\n```\n");
}

fn message_of(page: &mut String, file: &FileDescriptor, place: usize, message: &MessageDescriptor) {
    let path = [MESSAGES, i32::try_from(place).expect("a number of messages")];
    let _ = write!(page, "\n### {}\n\n{}\n\n", message.full_name(), comment(file, &path));
    if message.fields().len() == 0 {
        page.push_str("It says nothing more.\n");
        return;
    }
    page.push_str("| field | type | what it says |\n|---|---|---|\n");
    // In the order of the file, which is that of the reader.
    let declared = &message.descriptor_proto().field;
    for (place, field) in declared.iter().enumerate() {
        let field = message.get_field_by_name(field.name()).expect("a field of its own");
        let path = [path[0], path[1], FIELDS, i32::try_from(place).expect("a number of fields")];
        let _ = writeln!(page, "| `{}` | {} | {} |", field.name(), kind(&field), comment(file, &path));
    }
}

/// Whether it is what other messages consist of, and no event.
fn is_part(pool: &DescriptorPool, message: &MessageDescriptor) -> bool {
    let is_it = |field: FieldDescriptor| field.kind().as_message() == Some(message);
    pool.all_messages().any(|other| other.fields().any(is_it))
}

fn written() -> String {
    let pool = DescriptorPool::decode(COMMENTED_DESCRIPTOR_SET).expect("our own descriptors");
    let mut page = HEAD.to_owned();
    let mut examples = examples();
    let files = LOGS.map(|(log, file)| (format!("Of {log}"), file));
    for (title, file) in files.into_iter().chain([("Of every log of facts".to_owned(), OF_ALL)]) {
        let file = pool.get_file_by_name(file).unwrap_or_else(|| panic!("{file} is gone"));
        let _ = write!(page, "\n## {title}\n");
        let names: Vec<String> = file
            .file_descriptor_proto()
            .message_type
            .iter()
            .map(|message| message.name().to_owned())
            .collect();
        for (place, name) in names.iter().enumerate() {
            let full = format!("{}.{name}", file.package_name());
            let message = pool.get_message_by_name(&full).expect("a message of the file");
            message_of(&mut page, &file, place, &message);
            if let Some(example) = examples.remove(&full) {
                example_of(&mut page, &message, &example);
            } else {
                assert!(is_part(&pool, &message), "tests/events_page/examples.ndjson has no event of {full}");
            }
        }
    }
    assert!(examples.is_empty(), "no log has events of {:?}", examples.keys());
    page
}

#[test]
fn page_of_events_is_what_the_contracts_say() {
    let written = written();
    page_is_current("docs/events.md", &written, "SHIPEI_RENEW_EVENTS", "cargo xtask events");
    // Whatever has a comment in the contracts has it here.
    assert!(!written.contains("\n\n\n"), "an event says nothing of itself");
}
