//! ExtensionService: windows that end later, for all or for some. Enrollment keeps the fact; who may do what until when follows
//! from it in each service (`shipei_rules::windows`).

use shipei_contracts::enrollment::v1::{self as pb, extension_service_server::ExtensionService};
use shipei_rules::{ids::text_of, region::RegionCode};
use shipei_service_kit::{Error, Fields, Listing, ReadUnit, Result, Unit};
use tonic::Request;

use super::{Answer, Handler, programme_head};
use crate::{
    convert,
    error::{already_exists, not_found},
    store::{
        Stamp, class as classes,
        extension::{self as extensions, ExtensionRow},
        person,
        programme::ProgrammeHead,
        region as regions,
    },
};

#[tonic::async_trait]
impl ExtensionService for Handler {
    async fn grant_extension(
        &self,
        request: Request<pb::GrantExtensionRequest>,
    ) -> Answer<pb::GrantExtensionResponse> {
        self.kit.write(self, request, grant_extension).await
    }

    async fn list_extensions(
        &self,
        request: Request<pb::ListExtensionsRequest>,
    ) -> Answer<pb::ListExtensionsResponse> {
        self.kit.read(self, request, list_extensions).await
    }
}

async fn grant_extension(
    handler: Handler,
    mut unit: Unit,
    request: pb::GrantExtensionRequest,
) -> Result<(Unit, pb::GrantExtensionResponse)> {
    let (id, mut row) = convert::new_extension(&request)?;
    let id = &id;
    let head = programme_head(&mut unit.tx, id).await?;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    let window = scheme.windows.get(&row.window_name).ok_or_else(|| not_found("window"))?;
    let old_last_day = window.window.last.to_string();
    if row.last_day < old_last_day {
        return Err(Error::invalid("last_day", "before the window's own last day"));
    }
    let place_code = place_of(&mut unit, &head, &row).await?;
    extensions::lock_extension(&mut unit.tx, id, &row.extension_id).await?;
    if let Some(there) = extensions::extension(&mut unit.tx, id, &row.extension_id).await? {
        if !there.is_same(&row) {
            return Err(already_exists("extension_id").into());
        }
        return Ok((unit, pb::GrantExtensionResponse { extension: Some(convert::extension_to(there)) }));
    }
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    row.fact_id = fact_id;
    extensions::insert_extension(&mut unit.tx, id, &row, place_code, &stamp).await?;
    let granted = pb::ExtensionGranted {
        programme_id: id.to_string(),
        extension_id: row.extension_id.to_string(),
        window: row.window_name.clone(),
        old_last_day,
        new_last_day: row.last_day.clone(),
        region_code: row.region_code.as_str().to_owned(),
        class_id: row.class_id.as_str().to_owned(),
        person_id: row.person_id.as_str().to_owned(),
    };
    unit.emit_fact(&row.fact_id, place_code.as_str(), row.extension_id.as_str(), &granted);
    (row.occurred_at, row.actor) = (stamp.occurred_at, stamp.actor);
    Ok((unit, pb::GrantExtensionResponse { extension: Some(convert::extension_to(row)) }))
}

/// Where who has it stands, or NOT_FOUND.
async fn place_of(unit: &mut Unit, head: &ProgrammeHead, row: &ExtensionRow) -> Result<RegionCode> {
    let (tx, id) = (&mut unit.tx, &head.programme_id);
    if let Some(code) = row.region_code.0 {
        let region = regions::region(tx, id, code).await?;
        return Ok(region.ok_or_else(|| not_found("region_code"))?.code);
    }
    if let Some(class_id) = &row.class_id.0 {
        let class = classes::class(tx, id, class_id).await?;
        return Ok(class.ok_or_else(|| not_found("class_id"))?.region_code);
    }
    if let Some(person_id) = &row.person_id.0 {
        // It is theirs in all their roles.
        let roles = person::in_each_role(tx, &unit.reach, id, person_id, unit.now).await?;
        let first = roles.into_iter().next().ok_or_else(|| not_found("person_id"))?;
        return Ok(first.county_code.0.unwrap_or(head.region_code));
    }
    Ok(head.region_code)
}

async fn list_extensions(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListExtensionsRequest,
) -> Result<(ReadUnit, pb::ListExtensionsResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("region_code", &request.region_code, RegionCode::parse),
    );
    let (id, region) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(region.as_ref())];
    let page =
        handler.kit.page::<pb::ListExtensionsRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let (after, limit) = (page.after(0), page.limit());
    let rows = extensions::extensions(&mut unit.tx, &unit.reach, &id, region, unit.now, after, limit).await?;
    let Listing { entries: extensions, next_page_token, broken } =
        page.list(rows, |row| Ok(convert::extension_to(row)))?;
    Ok((unit, pb::ListExtensionsResponse { extensions, next_page_token, broken }))
}
