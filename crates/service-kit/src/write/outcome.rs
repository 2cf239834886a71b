//! How the outcome of a write is kept under its request id: one byte that says which, then a message. An answer is
//! kept as the response without what its request says (`kept.rs`), a refusal as the message below, whose tags must never change meaning.

use std::collections::BTreeMap;

use prost::Message;
use shipei_contracts::common::v1::ErrorReason;
use tonic::Code;

use crate::answer::{
    error::Refusal,
    status::{code_of, is_turned_by_later_writes},
};

const ANSWERED: u8 = 1;
const REFUSED: u8 = 2;

/// What a write came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Carried out; the response as it is kept.
    Answered(Vec<u8>),
    /// The domain said no.
    Refused(Refusal),
}

#[derive(Clone, PartialEq, Message)]
struct RecordedRefusal {
    #[prost(enumeration = "ErrorReason", tag = "1")]
    reason: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(string, optional, tag = "3")]
    field: Option<String>,
    #[prost(btree_map = "string, string", tag = "4")]
    metadata: BTreeMap<String, String>,
}

impl Outcome {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Answered(response) => {
                let mut bytes = Vec::with_capacity(response.len() + 1);
                bytes.push(ANSWERED);
                bytes.extend_from_slice(response);
                bytes
            }
            Self::Refused(refusal) => {
                let recorded = RecordedRefusal {
                    reason: refusal.reason as i32,
                    message: refusal.message.clone(),
                    field: refusal.field.clone(),
                    metadata: refusal.metadata.clone(),
                };
                let mut bytes = vec![REFUSED];
                bytes.extend(recorded.encode_to_vec());
                bytes
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&ANSWERED, response) => Some(Self::Answered(response.to_vec())),
            (&REFUSED, recorded) => {
                let recorded = RecordedRefusal::decode(recorded).ok()?;
                let reason = ErrorReason::try_from(recorded.reason).ok()?;
                let RecordedRefusal { message, field, metadata, .. } = recorded;
                Some(Self::Refused(Refusal { reason, message, field, metadata }))
            }
            _ => None,
        }
    }
}

/// A refusal that passes by itself must not become the answer for ever.
pub(crate) fn is_worth_recording(outcome: &Outcome) -> bool {
    let Outcome::Refused(refusal) = outcome else { return true };
    code_of(refusal.reason) != Code::Unavailable
}

/// Is it the answer for good? A refusal that a later write can turn (here, or in a service that this one has not caught up
/// with yet) is judged anew when the same request comes again.
pub(crate) fn is_for_good(outcome: &Outcome) -> bool {
    let Outcome::Refused(refusal) = outcome else { return true };
    !is_turned_by_later_writes(refusal.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_survives_its_bytes() {
        let refusal = Refusal::new(ErrorReason::WindowClosed).because("over").field("f").with("window", "w");
        for outcome in [Outcome::Answered(vec![]), Outcome::Answered(vec![8, 1]), Outcome::Refused(refusal)] {
            assert_eq!(Outcome::decode(&outcome.encode()), Some(outcome));
        }
        assert_eq!(Outcome::decode(&[]), None);
        assert_eq!(Outcome::decode(&[9, 1]), None);
    }

    #[test]
    fn passing_refusal_is_not_recorded() {
        let refused = |reason| Outcome::Refused(Refusal::new(reason));
        assert!(is_worth_recording(&refused(ErrorReason::WindowClosed)));
        assert!(!is_worth_recording(&refused(ErrorReason::Unavailable)));
    }

    #[test]
    fn refusal_that_a_later_write_can_turn_is_not_for_good() {
        let of = |reason| is_for_good(&Outcome::Refused(Refusal::new(reason)));
        assert!(of(ErrorReason::CommentRequired) && is_for_good(&Outcome::Answered(Vec::new())));
        for turned in [
            ErrorReason::NotFound,
            ErrorReason::LearningNotOpen,
            ErrorReason::WindowClosed,
            ErrorReason::Withdrawn,
            ErrorReason::Superseded,
            ErrorReason::AlreadyGraded,
        ] {
            assert!(!of(turned), "{turned:?}");
        }
    }
}
