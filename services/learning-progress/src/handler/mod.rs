//! The gRPC services, one file each. A handler looks up, asks the domain, keeps, emits and answers. To add an RPC: its
//! method in the proto, its fields in `convert`, its decision in `domain`, its SQL in `store`, its handler here.

mod correction;
mod course;
mod course_change;
mod export;
pub(crate) mod facts;
mod presence;
mod study;
mod study_read;
mod study_stream;

pub(crate) use presence::{PRESENCE_WINDOW, group_of};

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::{Member, Programmes};
use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_rules::vocabulary::Role;
use shipei_service_kit::{Kit, Refusal, Result, Shutdown, soft_state::presence::Presence};
use shipei_store::Tx;

use crate::catalogue::Catalogues;
use crate::pipeline::Pipeline;

/// Answers for courses and selections.
#[derive(Debug, Clone)]
pub(crate) struct CourseHandler {
    pub(crate) kit: Kit,
    pub(crate) programmes: Programmes,
    pub(crate) catalogues: Catalogues,
}

/// Answers for study.
#[derive(Debug, Clone)]
pub(crate) struct StudyHandler {
    pub(crate) kit: Kit,
    pub(crate) programmes: Programmes,
    pub(crate) catalogues: Catalogues,
    pub(crate) pipeline: Pipeline,
    pub(crate) presence: Presence,
    pub(crate) shutdown: Shutdown,
    /// How many streams there were; a stream's number chooses its lane.
    pub(crate) streams: Arc<AtomicUsize>,
}

/// A trainee of the programme; NOT_FOUND when there is nobody of that id, or who has other roles only.
async fn trainee(tx: &mut Tx, programme: &ProgrammeId, person: &PersonId) -> Result<Member> {
    let member = shipei_mirror::member(tx, programme, Role::Trainee, person).await?;
    Ok(member.ok_or_else(|| not_found("person_id"))?)
}

pub(crate) fn not_found(field: &str) -> Refusal {
    Refusal::new(ErrorReason::NotFound).field(field)
}
