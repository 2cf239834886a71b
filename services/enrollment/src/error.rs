//! The refusals that more than one decision of this service makes, by name. Why here: a field name or a reason that
//! is spelled once can't differ between two RPCs. Another one is another function; it says which field it is about.

use chrono::{DateTime, SecondsFormat, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_service_kit::Refusal;

/// Nobody or nothing of that id, or somebody of another role.
pub(crate) fn not_found(field: &str) -> Refusal {
    Refusal::new(ErrorReason::NotFound).field(field)
}

/// The id in `field` is taken by something of other content.
pub(crate) fn already_exists(field: &str) -> Refusal {
    Refusal::new(ErrorReason::AlreadyExists).field(field)
}

/// A value that can't be here, given the state; `because` must not repeat it.
pub(crate) fn invalid_field(field: &str, because: &str) -> Refusal {
    Refusal::new(ErrorReason::InvalidField).field(field).because(because)
}

/// Who is named was erased.
pub(crate) fn person_erased(erased_at: DateTime<Utc>) -> Refusal {
    let at = erased_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    Refusal::new(ErrorReason::PersonErased).field("person_id").with("erased_at", at)
}

/// Who is named has left the programme, or their post.
pub(crate) fn withdrawn(field: &str) -> Refusal {
    Refusal::new(ErrorReason::Withdrawn).field(field)
}
