//! Messages as JSON and as protobuf, by their descriptor. Why not the generated types: the JSON of a contract follows from its
//! descriptor, so that a new RPC needs nothing here.

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::error::Category;
use shipei_contracts::common::v1::ErrorReason;
use tonic::Status;

use crate::answer::error::Refusal;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Json,
    Proto,
}

/// What precedes the name of a field that is not known, in what the JSON reader says.
const UNKNOWN_FIELD: &str = "unrecognized field name '";
/// The longest name of a field that is said again.
const FIELD_NAME_MAX: usize = 64;

impl Codec {
    /// The codec that a content type ends with.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "proto" => Some(Self::Proto),
            _ => None,
        }
    }

    /// A message as protobuf. No message at all is the empty one.
    pub(super) fn to_proto(self, message: &MessageDescriptor, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
        match self {
            Self::Proto => Ok(bytes),
            Self::Json if bytes.is_empty() => Ok(bytes),
            Self::Json => {
                let mut reader = serde_json::Deserializer::from_slice(&bytes);
                let options = DeserializeOptions::new().deny_unknown_fields(true);
                DynamicMessage::deserialize_with_options(message.clone(), &mut reader, &options)
                    .and_then(|read| reader.end().map(|()| read.encode_to_vec()))
                    .map_err(|error| malformed(&error))
            }
        }
    }

    /// An answer of ours as the caller reads it.
    pub(super) fn of_proto(self, message: &MessageDescriptor, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
        if self == Self::Proto {
            return Ok(bytes);
        }
        let unreadable = |_| Status::internal("an answer is not what its contract says");
        let read = DynamicMessage::decode(message.clone(), bytes.as_slice()).map_err(unreadable)?;
        json(&read).map_err(|_| Status::internal("an answer can't be written as JSON"))
    }
}

/// A message as canonical JSON of protobuf.
pub(super) fn json(message: &DynamicMessage) -> serde_json::Result<Vec<u8>> {
    let mut writer = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut writer, &SerializeOptions::new())?;
    Ok(writer.into_inner())
}

/// Why a text is no message, without what it holds: that may be somebody's name or number.
fn malformed(error: &serde_json::Error) -> Status {
    let place = format!("line {} column {}", error.line(), error.column());
    let because = match error.classify() {
        Category::Data => match unknown_field(&error.to_string()) {
            Some(name) => format!("{place}: the message has no field {name}"),
            None => format!("{place}: the value is not of its field's type"),
        },
        Category::Eof => format!("{place}: the JSON ends too early"),
        Category::Syntax | Category::Io => format!("{place}: this is no JSON"),
    };
    Refusal::new(ErrorReason::MalformedRequest).because(because).into()
}

/// The name of a field that is not known, if it can be no personal data.
fn unknown_field(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(UNKNOWN_FIELD)?.1.split_once('\'')?;
    let is_name = |character: char| character.is_ascii_alphabetic() || character == '_';
    (name.len() <= FIELD_NAME_MAX && name.chars().all(is_name)).then_some(name)
}
