//! The refusals that this service makes again and again, each in one place. A new one is a function here when more
//! than one decision needs it, else it stands where it is decided.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::calendar::{Period, Position};
use shipei_service_kit::Refusal;

/// A result of the domain.
pub(crate) type Decided<T> = std::result::Result<T, Refusal>;

/// Nobody or nothing of the id in this field.
pub(crate) fn not_found(field: &str) -> Refusal {
    Refusal::new(ErrorReason::NotFound).field(field)
}

/// The id in this field is taken by something else.
pub(crate) fn already_exists(field: &str) -> Refusal {
    Refusal::new(ErrorReason::AlreadyExists).field(field)
}

/// Refuses an instant outside a period; `window` says to the caller which one.
pub(crate) fn inside(period: Period, at: DateTime<Utc>, window: &str) -> Decided<()> {
    let reason = match period.position(at) {
        Position::Inside => return Ok(()),
        Position::Before => ErrorReason::WindowNotOpen,
        Position::After => ErrorReason::WindowClosed,
    };
    let (first_day, last_day) = period.days();
    Err(Refusal::new(reason)
        .with("window", window)
        .with("first_day", first_day.to_string())
        .with("last_day", last_day.to_string())
        .with("from", period.from.to_rfc3339())
        .with("until", period.until.to_rfc3339()))
}
