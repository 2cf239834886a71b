//! The refusals that this service makes again and again, each in one place.

use shipei_contracts::common::v1::ErrorReason;
use shipei_service_kit::Refusal;

/// A result of the domain.
pub(crate) type Decided<T> = std::result::Result<T, Refusal>;

/// Nobody or nothing of the id in this field.
pub(crate) fn not_found(field: &str) -> Refusal {
    Refusal::new(ErrorReason::NotFound).field(field)
}

/// A field that can't be taken, and why.
pub(crate) fn invalid(field: &str, why: impl Into<String>) -> Refusal {
    Refusal::new(ErrorReason::InvalidField).field(field).because(why)
}
