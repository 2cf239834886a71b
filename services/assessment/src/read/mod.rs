//! What the RPCs answer, from facts and as of any time, a page at a time. One file for each kind of score, one for the
//! digest, one for files; a new list is a statement in `store/lists.rs` and a function here.

mod counties;
mod digest;
mod duties;
mod export;
mod honours;
mod statistics;
mod trainees;
mod tutors;

use std::sync::Arc;

use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::{Programmes, Windows, member};
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    scheme::Scheme,
    vocabulary::Role,
};
use shipei_service_kit::{Error, ReadUnit, Refusal, Result};
use shipei_store::{StoreError, Tx};

use crate::{convert::AsOf, facts::Instant};

/// What every read begins with.
pub(crate) struct Reading {
    /// The programme.
    pub(crate) programme_id: ProgrammeId,
    /// The scheme in force.
    pub(crate) scheme: Arc<Scheme>,
    /// The scheme with the windows that apply to some.
    pub(crate) windows: Windows,
    /// As of when, by which version.
    pub(crate) at: AsOf,
}

impl Reading {
    /// As of the stated time, else now. An unknown programme is NOT_FOUND.
    pub(crate) async fn begin(
        unit: &mut ReadUnit,
        schemes: &Programmes,
        programme_id: &ProgrammeId,
        as_of: Option<Instant>,
    ) -> Result<Self> {
        let windows = schemes.windows(&mut unit.tx, programme_id).await?;
        let at = AsOf { as_of: as_of.unwrap_or(unit.now), scheme_version: windows.scheme_version };
        let scheme = Arc::clone(&windows.scheme);
        Ok(Self { programme_id: programme_id.clone(), scheme, windows, at })
    }
}

/// Whether what was read of several at once met a row that can't be read: then each is read alone, so that it spoils no other.
fn met_broken_row<T>(read: &Result<T>) -> bool {
    matches!(read, Err(Error::Store(StoreError::CorruptRow { .. })))
}

/// Nobody or nothing of that id.
fn not_found(field: &str) -> Error {
    Refusal::new(ErrorReason::NotFound).field(field).into()
}

/// Of an id of which there is nothing in a role: the one that it counts for, where both are one person, else nobody.
async fn merged_or_not_found(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    role: Role,
    person_id: &PersonId,
) -> Result<Error> {
    let member = member(tx, programme_id, role, person_id).await?;
    Ok(match member.and_then(|member| member.counts_for) {
        Some(kept_id) => {
            let refusal = Refusal::new(ErrorReason::PersonMerged).field("person_id");
            refusal.with("merged_id", person_id.as_str()).with("kept_id", kept_id.as_str()).into()
        }
        None => not_found("person_id"),
    })
}

/// The stated time as part of a page token's binding: a page of another time is a page of another list.
fn time_text(as_of: Option<Instant>) -> String {
    as_of.map_or_else(String::new, |as_of| as_of.to_rfc3339())
}
