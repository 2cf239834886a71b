//! docs/events.md, written from the contracts: each type of event of each log, and what it says. `cargo xtask events` writes it anew.

use std::fmt::Write as _;

use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use shipei_contracts::COMMENTED_DESCRIPTOR_SET;

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

const HEAD: &str = "\
# Events

What each log tells, type by type. This page is written from the contracts (`cargo xtask events`); a test fails when it is not current.
How to follow a log, and what is promised, is in [streams.md](streams.md).

Every event stands in an envelope (`shipei.event.v1.Event`) with CloudEvents' attributes: `id` (partition and number, `17-42`), `source`, `type` (the
name below), `subject` (the id of what it is about), `time` (when it happened); and `recorded_time`, `partition`, `number`, `region_code`,
`programme_id`, `actor`, `cause`, `version` (which of its subject's events it is), `fact_id`. Names of people and numbers of identity cards are in none.

## How they change

- A type keeps its name and what its fields mean. A field is added, never renumbered, and never gets another meaning; one that is no longer filled stays
  in the contract with a word on what is there instead. What can't be said so is a new type beside the old one.
- A consumer takes no offence at types and fields that it doesn't know. A value of an enumeration that it doesn't know is passed on as a number.
- That holds from 1.0 on: before it, types and fields may still change.
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

fn written() -> String {
    let pool = DescriptorPool::decode(COMMENTED_DESCRIPTOR_SET).expect("our own descriptors");
    let mut page = HEAD.to_owned();
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
        }
    }
    page
}

#[test]
fn page_of_events_is_what_the_contracts_say() {
    let written = written();
    page_is_current("docs/events.md", &written, "SHIPEI_RENEW_EVENTS", "cargo xtask events");
    // Whatever has a comment in the contracts has it here.
    assert!(!written.contains("\n\n\n"), "an event says nothing of itself");
}
