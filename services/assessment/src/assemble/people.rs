//! What was recorded for somebody under all of their ids.

use shipei_mirror::{Member, members, registered_at};
use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_service_kit::Result;
use shipei_store::Tx;

use crate::{
    facts::Instant,
    store::duties::{self, DutyFact},
};

/// When somebody did first what is done once, under any of their ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstTimes {
    /// First log-in.
    pub login_at: Option<Instant>,
    /// Attendance of the training before the job.
    pub pre_job_at: Option<Instant>,
}

/// The first times of a member with those of the ids that count for them.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn of_all_ids(tx: &mut Tx, programme_id: &ProgrammeId, member: &Member) -> Result<FirstTimes> {
    // Hardly anybody has more than one, and this is asked for everybody.
    let others = match member.merged.is_empty() {
        true => Vec::new(),
        false => {
            let merged: Vec<&PersonId> = member.merged.iter().collect();
            members(tx, programme_id, member.role, &merged).await?
        }
    };
    let all = || others.iter().chain([member]);
    Ok(FirstTimes {
        login_at: all().filter_map(|member| member.login_at).min(),
        pre_job_at: all().filter_map(|member| member.pre_job_at).min(),
    })
}

/// What shows that duties of a member were done, the earliest first.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn duty_facts(tx: &mut Tx, programme_id: &ProgrammeId, member: &Member) -> Result<Vec<DutyFact>> {
    let mut facts = Vec::new();
    for id in member.ids() {
        facts.append(&mut duties::of_bearer(tx, programme_id, (id.as_str(), "")).await?);
    }
    facts.sort_by(|one, other| (one.happened_at, &one.fact_id).cmp(&(other.happened_at, &other.fact_id)));
    Ok(facts)
}

/// When a member was first registered, under any of their ids.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn registered(tx: &mut Tx, programme_id: &ProgrammeId, member: &Member) -> Result<Option<Instant>> {
    let mut first = None;
    for id in member.ids() {
        let at = registered_at(tx, programme_id, id, member.role).await?;
        first = [first, at].into_iter().flatten().min();
    }
    Ok(first)
}
