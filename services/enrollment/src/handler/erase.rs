//! Somebody is erased: who they were is forgotten, what they did stays. It is no fact, since nobody can take it back.

use shipei_contracts::{
    enrollment::v1 as pb,
    event::v1::{Accessed, AuditKind},
};
use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::{Fields, Listing, ReadUnit, Result, Unit, to_timestamp};
use shipei_store::Tx;

use super::{Handler, programme_head};
use crate::{
    convert,
    domain::{decide_retention, roles_due},
    error::{not_found, person_erased},
    store::{
        people::PEOPLE,
        person as people,
        person_erasure::{self as erasures, DueRow},
        programme::share_programme,
    },
};

pub(super) async fn erase(
    handler: Handler,
    mut unit: Unit,
    request: pb::ErasePersonRequest,
) -> Result<(Unit, pb::ErasePersonResponse)> {
    let (id, person_id, ground) = convert::erasure(&request)?;
    let (id, person_id) = (&id, &person_id);
    // Name and number are read by who enrolls the person in another role.
    share_programme(&mut unit.tx, id).await?;
    let head = programme_head(&mut unit.tx, id).await?;
    people::lock_person(&mut unit.tx, id, person_id).await?;
    if let Some(erased_at) = erasures::erased_at(&mut unit.tx, id, person_id).await? {
        return Ok((unit, pb::ErasePersonResponse { erased_time: Some(to_timestamp(erased_at)) }));
    }
    let roles = erasures::roles_ever(&mut unit.tx, id, person_id).await?;
    let (_, county_code) = *roles.first().ok_or_else(|| not_found("person_id"))?;
    if ground == pb::ErasureGround::RetentionPassed {
        let scheme = handler.scheme(&mut unit.tx, &head).await?;
        let roles: Vec<Role> = roles.iter().map(|(role, _)| *role).collect();
        decide_retention(&roles, &scheme, unit.now)?;
    }
    let (now, actor) = (unit.now, unit.actor().to_owned());
    let why = (ground.as_str_name(), now, actor.as_str());
    erasures::erase(&mut unit.tx, (id, person_id), why).await?;
    unit.erase(&[PEOPLE], (id.as_str(), person_id.as_str()), person_erased(now)).await?;
    let region = county_code.unwrap_or(head.region_code);
    let erased = pb::PersonErased {
        programme_id: id.to_string(),
        person_id: person_id.to_string(),
        ground: ground.into(),
    };
    unit.emit(region.as_str(), person_id.as_str(), &erased);
    let accessed =
        Accessed { kind: AuditKind::Erased.into(), ids: vec![person_id.to_string()], ..Accessed::default() };
    unit.audit(id.as_str(), region.as_str(), accessed);
    Ok((unit, pb::ErasePersonResponse { erased_time: Some(to_timestamp(now)) }))
}

pub(super) async fn list_due(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListDueForErasureRequest,
) -> Result<(ReadUnit, pb::ListDueForErasureResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("region_code", &request.region_code, RegionCode::parse),
    );
    let (id, region_code) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(region_code.as_ref())];
    let page =
        handler.kit.page::<pb::ListDueForErasureRequest>(&filter, request.page_size, &request.page_token)?;
    let head = programme_head(&mut unit.tx, &id).await?;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    let roles = roles_due(&scheme, unit.now);
    let (after, limit) = (page.after(0), page.limit());
    let asked = (roles.as_slice(), region_code);
    let rows = erasures::due(&mut unit.tx, &unit.reach, &id, asked, unit.now, after, limit).await?;
    let to_due = |row: DueRow| Ok(pb::DueForErasure { person_id: row.person_id.into() });
    let Listing { entries: due, next_page_token, broken } = page.list(rows, to_due)?;
    let from = |role: &Role| {
        let day = scheme.erasable_from(*role).to_string();
        pb::ErasableFrom { role: convert::role_to(*role).into(), day }
    };
    let calendar = Role::ALL.iter().map(from).collect();
    Ok((unit, pb::ListDueForErasureResponse { due, next_page_token, broken, calendar }))
}

/// A reason as it is kept of somebody: nothing private is written of who was erased.
pub(super) async fn reason_of(
    tx: &mut Tx,
    id: &ProgrammeId,
    people: &[&PersonId],
    reason: String,
) -> Result<String> {
    for person_id in people {
        if erasures::erased_at(tx, id, person_id).await?.is_some() {
            return Ok(String::new());
        }
    }
    Ok(reason)
}
