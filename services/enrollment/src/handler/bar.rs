//! Who is not to be appointed as a class tutor again (不再聘用): decided by people in one programme, asked for wherever another programme
//! takes a tutor: in its rosters, when a class gets one, and when a number is put right.

use shipei_contracts::{common::v1::ErrorReason, enrollment::v1 as pb};
use shipei_rules::{
    calendar::Zone,
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::{Fields, Listing, ReadUnit, Refusal, Result, Unit};

use super::{Handler, member::member, programme_head, region_of};
use crate::{
    convert,
    error::{not_found, person_erased},
    roster::IdentityDigest,
    store::{
        Stamp,
        bar::{self, Barred},
        person as people,
    },
};

pub(super) async fn bar_tutor(
    handler: Handler,
    mut unit: Unit,
    request: pb::BarTutorRequest,
) -> Result<(Unit, pb::BarTutorResponse)> {
    let (id, tutor_id, reason) =
        convert::tutor_and_reason(&request.programme_id, &request.tutor_id, &request.reason)?;
    let id = &id;
    let head = programme_head(&mut unit.tx, id).await?;
    let tutor = member(&mut unit.tx, id, &tutor_id, Role::ClassTutor, "tutor_id").await?;
    let kept = people::person(&mut unit.tx, id, &tutor_id, Role::ClassTutor).await?;
    let kept = kept.ok_or_else(|| not_found("tutor_id"))?;
    if let Some(erased_at) = kept.erased_at {
        return Err(person_erased(erased_at).into());
    }
    let keys = handler.kit.keys();
    let digest = convert::barred_digest(keys, &convert::opened_number(&kept, id, keys)?);
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    bar::insert(&mut unit.tx, id, (&tutor_id, &digest), &reason, (&stamp, &fact_id)).await?;
    let barred = pb::TutorBarred { programme_id: id.to_string(), tutor_id: tutor_id.to_string() };
    unit.emit_fact(&fact_id, region_of(&tutor, &head).as_str(), tutor_id.as_str(), &barred);
    let row = bar::by_fact(&mut unit.tx, id, &tutor_id, &fact_id).await?;
    Ok((unit, pb::BarTutorResponse { bar: row.map(convert::bar_to) }))
}

pub(super) async fn list(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListTutorBarsRequest,
) -> Result<(ReadUnit, pb::ListTutorBarsResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("region_code", &request.region_code, RegionCode::parse),
    );
    let (id, region) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(region.as_ref())];
    let page =
        handler.kit.page::<pb::ListTutorBarsRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let after = (page.after(0), page.after(1));
    let rows = bar::bars(&mut unit.tx, &unit.reach, &id, region, after, page.limit()).await?;
    let Listing { entries: bars, next_page_token, broken } =
        page.list(rows, |row| Ok(convert::bar_to(row)))?;
    Ok((unit, pb::ListTutorBarsResponse { bars, next_page_token, broken }))
}

/// Refuses TUTOR_BARRED to give a class to a tutor whom another programme has barred since. Who is not enrolled yet is asked for when
/// they are.
pub(super) async fn refuse_barred_tutor(
    handler: &Handler,
    unit: &mut Unit,
    id: &ProgrammeId,
    tutor_id: Option<&PersonId>,
) -> Result<()> {
    let Some(tutor_id) = tutor_id else { return Ok(()) };
    let kept = people::person(&mut unit.tx, id, tutor_id, Role::ClassTutor).await?;
    // Of who is erased there is no number by which they could be found.
    let Some(kept) = kept.filter(|kept| kept.erased_at.is_none()) else { return Ok(()) };
    let keys = handler.kit.keys();
    let digest = convert::barred_digest(keys, &convert::opened_number(&kept, id, keys)?);
    refuse_barred(handler, unit, id, &digest, "tutor_id").await
}

/// Refuses TUTOR_BARRED for a number of which another programme says so.
pub(super) async fn refuse_barred(
    handler: &Handler,
    unit: &mut Unit,
    id: &ProgrammeId,
    digest: &IdentityDigest,
    field: &str,
) -> Result<()> {
    let found = bar::barred(&mut unit.tx, id, &[*digest], unit.occurred_at).await?;
    let Some(barred) = found.get(digest) else { return Ok(()) };
    let head = programme_head(&mut unit.tx, id).await?;
    let zone = handler.scheme(&mut unit.tx, &head).await?.zone;
    let refusal = Refusal::new(ErrorReason::TutorBarred).field(field);
    let refusal = refusal.with("barred_by", barred.programme_id.as_str());
    Err(refusal.with("barred_at", day_of(barred, zone)).into())
}

/// The day since which somebody is barred.
pub(super) fn day_of(barred: &Barred, zone: Zone) -> String {
    zone.day_of(barred.since).to_string()
}
