//! What can go wrong in a service, without a word of gRPC. Domain code makes a [`Refusal`] with a stable reason
//! from the contracts; everything else is for the machinery. `status.rs` turns an [`Error`] into an answer.
//! A new refusal needs no change here: it is a new value of the proto enum `ErrorReason`.

use std::{collections::BTreeMap, time::Duration};

use shipei_contracts::common::v1::ErrorReason;
use shipei_store::StoreError;

/// The result of everything that a service does.
pub type Result<T> = std::result::Result<T, Error>;

/// A no, with its reason: what domain code answers when the request is understood and can't be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str_name())]
pub struct Refusal {
    /// The stable reason.
    pub reason: ErrorReason,
    /// More detail for an English reader; empty means the text of the reason. Nothing private.
    pub message: String,
    /// The request field that it is about, if it is about one.
    pub field: Option<String>,
    /// Facts for programs, e.g. which window; nothing private.
    pub metadata: BTreeMap<String, String>,
}

impl Refusal {
    /// A refusal that says no more than its reason.
    pub fn new(reason: ErrorReason) -> Self {
        Self { reason, message: String::new(), field: None, metadata: BTreeMap::new() }
    }

    /// With a detail for an English reader; nothing private.
    pub fn because(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// About this field of the request.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// With a fact for programs; nothing private.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// One field of a request that can't be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field, e.g. `rows[3].score`.
    pub field: String,
    /// What is wrong with it, in English; the value is not repeated.
    pub description: String,
}

/// Everything that can end a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request is wrong in itself; all wrong fields at once.
    #[error("{} field(s) have a value that cannot be", .0.len())]
    Invalid(Vec<FieldViolation>),
    /// The database failed, or holds what can't be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This service has not yet learned of a write that the caller's token names.
    #[error("not caught up with {source_name} partition {partition} number {number}")]
    NotCaughtUp {
        /// The service whose log is behind here.
        source_name: String,
        /// The partition of that log.
        partition: u32,
        /// The number that was waited for.
        number: i64,
        /// How long the caller should wait before it asks again.
        retry_after: Duration,
    },
    /// A peer or a resource can't be reached now.
    #[error("not available: {0}")]
    Unavailable(String),
    /// The caller's deadline passed.
    #[error("the deadline has passed")]
    DeadlineExceeded,
    /// A bug. The text goes to the log, never to the caller.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// One wrong field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldViolation { field: field.into(), description: description.into() }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_collects_its_parts() {
        let refusal = Refusal::new(ErrorReason::WindowClosed)
            .because("phase 3 is over")
            .field("occurred_at")
            .with("window", "phase_3");
        assert_eq!(refusal.metadata["window"], "phase_3");
        assert_eq!(refusal.field.as_deref(), Some("occurred_at"));
        assert_eq!(refusal.to_string(), "ERROR_REASON_WINDOW_CLOSED: phase 3 is over");
    }
}
