//! What befell people: log-ins, training before the job, leaving, coming back, removals.

use shipei_rules::{ids::ProgrammeId, vocabulary::Role};
use shipei_store::{StoreError, Tx, execute};

use super::Stamp;
use crate::domain::Member;

/// What happens to a person and counts once: in one of their roles, but log-in and training, which count in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PersonFact {
    Login,
    PreJob,
    Withdrawal,
    Return,
    Removal,
}

impl PersonFact {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::PreJob => "pre_job",
            Self::Withdrawal => "withdrawal",
            Self::Return => "return",
            Self::Removal => "removal",
        }
    }

    /// The role in which it counts, of somebody whom it befalls in `role`; empty for all of them.
    fn role(self, role: Role) -> &'static str {
        match self {
            Self::Login | Self::PreJob => "",
            Self::Withdrawal | Self::Return | Self::Removal => role.as_str(),
        }
    }
}

/// Notes a fact about a member; the first one of its kind that stands counts.
pub(crate) async fn note(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    member: &Member,
    fact: PersonFact,
    reason: &str,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO person_fact (programme_id, person_id, role, kind, reason, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        programme_id.as_str(),
        member.person_id.as_str(),
        fact.role(member.role),
        fact.as_str(),
        reason,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}
