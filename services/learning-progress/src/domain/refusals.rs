//! Heartbeats that came too early: before the county was opened, the learner logged in or the course was selected.
//!
//! A refused heartbeat leaves nothing behind but this. It decides one question: a heartbeat at the very instant at which
//! such a fact happened, was it before the fact or after? It was before when it was refused, and is refused again. In
//! every other case dates decide, so that what was refused is taken when it is sent again after the fact is known.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::ids::SessionId;
use shipei_rules::intervals::{push_number, take_number};

/// The most sessions of one learner that are remembered; of more, those refused last.
pub(crate) const REMEMBERED_MAX: usize = 32;

/// The last heartbeat of each session of a learner that was refused so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusals {
    refusals: Vec<Refusal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    session_id: SessionId,
    at: DateTime<Utc>,
    reason: ErrorReason,
}

impl Refusals {
    /// Remembers a refusal; tells whether that is new. Only refusals that a later fact can turn are.
    pub(crate) fn remember(
        &mut self,
        session_id: &SessionId,
        at: DateTime<Utc>,
        reason: ErrorReason,
    ) -> bool {
        if code_of(reason).is_none() {
            return false;
        }
        if let Some(known) = self.refusals.iter_mut().find(|known| known.session_id == *session_id) {
            let is_later = at > known.at;
            if is_later {
                (known.at, known.reason) = (at, reason);
            }
            return is_later;
        }
        if self.refusals.len() >= REMEMBERED_MAX {
            let oldest = self.refusals.iter().enumerate().min_by_key(|(_, known)| known.at);
            let Some((index, _)) = oldest.filter(|(_, known)| known.at < at) else { return false };
            self.refusals.swap_remove(index);
        }
        self.refusals.push(Refusal { session_id: session_id.clone(), at, reason });
        true
    }

    /// Why the heartbeat of a session at an instant was refused, if it was.
    pub(crate) fn of(&self, session_id: &SessionId, at: DateTime<Utc>) -> Option<ErrorReason> {
        let known = self.refusals.iter().find(|known| known.session_id == *session_id)?;
        (at <= known.at).then_some(known.reason)
    }

    /// For the database.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for refusal in &self.refusals {
            bytes.push(code_of(refusal.reason).unwrap_or_default());
            bytes.extend(refusal.at.timestamp_micros().to_be_bytes());
            push_number(&mut bytes, refusal.session_id.as_str().len() as u64);
            bytes.extend(refusal.session_id.as_str().as_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` when it did not write that.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut refusals = Vec::new();
        while let Some((code, rest)) = bytes.split_first() {
            let (micros, rest) = rest.split_first_chunk::<8>()?;
            bytes = rest;
            let length = usize::try_from(take_number(&mut bytes)?).ok()?;
            let (session_id, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            refusals.push(Refusal {
                session_id: SessionId::parse(std::str::from_utf8(session_id).ok()?).ok()?,
                at: DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?,
                reason: REASONS.iter().find(|(known, _)| known == code)?.1,
            });
        }
        Some(Self { refusals })
    }
}

const REASONS: [(u8, ErrorReason); 2] =
    [(1, ErrorReason::LearningNotOpen), (2, ErrorReason::CourseNotSelected)];

fn code_of(reason: ErrorReason) -> Option<u8> {
    REASONS.iter().find(|(_, known)| *known == reason).map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use shipei_mirror::testing::id;

    use super::*;

    #[test]
    fn last_refusal_of_each_session_is_remembered() {
        let start: DateTime<Utc> = "2019-09-16T00:00:00Z".parse().unwrap();
        let after = |seconds| start + TimeDelta::seconds(seconds);
        let mut refusals = Refusals::default();
        assert!(!refusals.remember(&id("s"), start, ErrorReason::Withdrawn));
        assert!(refusals.remember(&id("s"), after(1), ErrorReason::LearningNotOpen));
        assert!(!refusals.remember(&id("s"), start, ErrorReason::CourseNotSelected));
        assert!(refusals.remember(&id("t"), start, ErrorReason::CourseNotSelected));
        assert_eq!(refusals.of(&id("s"), after(1)), Some(ErrorReason::LearningNotOpen));
        assert_eq!(refusals.of(&id("s"), after(2)), None);
        assert_eq!(refusals.of(&id("t"), start), Some(ErrorReason::CourseNotSelected));
        assert_eq!(refusals.of(&id("u"), start), None);
        let bytes = refusals.to_bytes();
        assert_eq!(Refusals::from_bytes(&bytes), Some(refusals.clone()));
        assert_eq!(Refusals::from_bytes(&bytes[..bytes.len() - 1]), None);

        for serial in 0..40 {
            refusals.remember(
                &id(&format!("session-{serial}")),
                after(100 + serial),
                ErrorReason::LearningNotOpen,
            );
        }
        assert_eq!(refusals.refusals.len(), REMEMBERED_MAX);
        assert_eq!(refusals.of(&id("s"), after(1)), None);
        assert!(!refusals.remember(&id("early"), start, ErrorReason::LearningNotOpen));
        assert!(refusals.of(&id("session-39"), after(139)).is_some());
    }
}
