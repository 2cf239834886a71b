//! What a batch of events says of people, and how that becomes rows: who they are, what they teach, where they moved.

use chrono::{DateTime, Utc};
use shipei_contracts::enrollment::v1 as enrollment;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::Result;
use shipei_store::{Tx, bulk_insert, fetch_optional};

/// Programme, person and role.
pub(crate) type MemberKey = (String, String, &'static str);

/// What a batch of events says of one member in a role; absent fields leave the row as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberPatch {
    pub(crate) registered: Option<Registered>,
    /// The last transfer, or [`REGISTERED_AT`].
    pub(crate) placed_at: Option<DateTime<Utc>>,
    /// The largest number of a change of what they teach.
    pub(crate) changes: Option<i64>,
    /// Whether they are told to be the same person as another id, on either side.
    pub(crate) is_merged: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) at: DateTime<Utc>,
    pub(crate) place: enrollment::TraineePlace,
    pub(crate) education_stage: &'static str,
    pub(crate) development_stage: &'static str,
    pub(crate) subject: String,
}

/// Where a transfer leads, and when.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) at: DateTime<Utc>,
    pub(crate) new: enrollment::TraineePlace,
    pub(crate) fact_id: String,
}

/// A change of what somebody teaches.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) new: enrollment::Teaching,
    pub(crate) fact_id: String,
}

/// Registration is older than any transfer, whenever it was recorded.
pub(crate) const REGISTERED_AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

pub(crate) async fn save_members(tx: &mut Tx, members: Vec<(MemberKey, MemberPatch)>) -> Result<()> {
    let registers = members.iter().any(|(_, patch)| patch.registered.is_some());
    let merge = if registers { MERGE } else { MERGE_TIMES };
    bulk_insert!(
        tx,
        "INSERT INTO mirror_member (programme_id, person_id, as_role, role, removed, education_stage, development_stage, subject, county_code, \
         school_code, class_id, registered_at, placed_at, changes, is_merged)",
        members,
        |tuple, member| {
            let ((programme_id, person_id, as_role), patch) = member;
            tuple.push_bind(programme_id);
            tuple.push_bind(person_id);
            let registered = patch.registered.as_ref();
            tuple.push_bind(*as_role);
            tuple.push_bind(registered.map_or("", |_| as_role));
            // Whoever was removed before they were registered has a row already.
            tuple.push_bind(false);
            tuple.push_bind(registered.map_or("", |registered| registered.education_stage));
            tuple.push_bind(registered.map_or("", |registered| registered.development_stage));
            tuple.push_bind(registered.map_or("", |registered| registered.subject.as_str()));
            tuple.push_bind(registered.map_or("", |registered| registered.place.county_code.as_str()));
            tuple.push_bind(registered.map_or("", |registered| registered.place.school_code.as_str()));
            tuple.push_bind(registered.map_or("", |registered| registered.place.class_id.as_str()));
            tuple.push_bind(registered.map(|registered| registered.at));
            tuple.push_bind(patch.placed_at);
            tuple.push_bind(patch.changes);
            tuple.push_bind(patch.is_merged);
        },
        merge
    )?;
    Ok(())
}

/// Of transfers the last time is kept, of changes the largest number; who was ever merged is looked for among the merges.
macro_rules! merge_times {
    () => {
        "placed_at = CASE WHEN mirror_member.placed_at IS NULL OR excluded.placed_at > mirror_member.placed_at \
            THEN excluded.placed_at ELSE mirror_member.placed_at END, \
         changes = CASE WHEN mirror_member.changes IS NULL OR excluded.changes > mirror_member.changes \
            THEN excluded.changes ELSE mirror_member.changes END, \
         is_merged = mirror_member.is_merged OR excluded.is_merged"
    };
}

/// Nobody is registered by the batch: what indexes stand on is left alone.
const MERGE_TIMES: &str =
    concat!(" ON CONFLICT (programme_id, person_id, as_role) DO UPDATE SET ", merge_times!());

/// Registration fills what is empty.
const MERGE: &str = concat!(
    " ON CONFLICT (programme_id, person_id, as_role) DO UPDATE SET \
    role = CASE WHEN excluded.role <> '' AND NOT mirror_member.removed THEN excluded.role ELSE mirror_member.role END, \
    education_stage = CASE WHEN excluded.role <> '' THEN excluded.education_stage \
        ELSE mirror_member.education_stage END, \
    development_stage = CASE WHEN excluded.role <> '' THEN excluded.development_stage \
        ELSE mirror_member.development_stage END, \
    subject = CASE WHEN excluded.role <> '' THEN excluded.subject ELSE mirror_member.subject END, \
    county_code = CASE WHEN excluded.role <> '' THEN excluded.county_code ELSE mirror_member.county_code END, \
    school_code = CASE WHEN excluded.role <> '' THEN excluded.school_code ELSE mirror_member.school_code END, \
    class_id = CASE WHEN excluded.role <> '' THEN excluded.class_id ELSE mirror_member.class_id END, \
    registered_at = CASE WHEN excluded.role <> '' THEN excluded.registered_at ELSE mirror_member.registered_at END, ",
    merge_times!()
);

/// A change of what somebody teaches is kept once, by its number.
pub(crate) async fn save_teaching(tx: &mut Tx, changes: Vec<((MemberKey, i64), Change)>) -> Result<()> {
    bulk_insert!(
        tx,
        "INSERT INTO mirror_teaching (programme_id, person_id, as_role, change_number, since_at, subject, education_stage, \
         development_stage, fact_id)",
        changes,
        |(((programme_id, person_id, as_role), change_number), row)| (
            programme_id,
            person_id,
            *as_role,
            *change_number,
            row.since,
            row.new.subject.as_deref(),
            row.new.education_stage().word(),
            row.new.development_stage().word(),
            &row.fact_id
        ),
        " ON CONFLICT (person_id, programme_id, as_role, change_number) DO NOTHING"
    )?;
    Ok(())
}

/// A transfer is kept once, by the number of its move.
pub(crate) async fn save_transfers(
    tx: &mut Tx,
    transfers: Vec<((String, String, i64), Transfer)>,
) -> Result<()> {
    bulk_insert!(
        tx,
        "INSERT INTO mirror_transfer (programme_id, person_id, move_number, transferred_at, county_code, school_code, \
         class_id, fact_id)",
        transfers,
        |((programme_id, person_id, move_number), row)| (
            programme_id,
            person_id,
            *move_number,
            row.at,
            &row.new.county_code,
            &row.new.school_code,
            &row.new.class_id,
            &row.fact_id
        ),
        " ON CONFLICT (person_id, programme_id, move_number) DO NOTHING"
    )?;
    Ok(())
}

/// When somebody was registered in a role; `None` for nobody.
pub async fn registered_at(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
) -> Result<Option<DateTime<Utc>>> {
    let row = fetch_optional!(
        tx,
        (Option<DateTime<Utc>>,),
        "SELECT registered_at FROM mirror_member WHERE programme_id = $1 AND person_id = $2 AND as_role = $3",
        programme_id.as_str(),
        person_id.as_str(),
        role.as_str()
    )?;
    Ok(row.and_then(|(at,)| at))
}
