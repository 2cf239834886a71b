//! ProgrammeService: programmes, the versions of their schemes, and the duties of Annex 1.

use std::sync::Arc;

use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, programme_service_server::ProgrammeService},
};
use shipei_rules::{
    duties,
    ids::ProgrammeId,
    scheme::{Scheme, SchemeError},
};
use shipei_service_kit::{Fields, Listing, ReadUnit, Refusal, Result, Unit, page::PAGE_BYTES_MAX, to_int32};
use shipei_store::{StoreError, Tx, list::Listed};
use tonic::Request;

use super::{Answer, Handler, programme_head};
use crate::{
    convert,
    error::{already_exists, not_found},
    schemes::parsed,
    store::{
        Stamp, county,
        programme::{self as programmes, ProgrammeRow},
    },
};

#[tonic::async_trait]
impl ProgrammeService for Handler {
    async fn create_programme(
        &self,
        request: Request<pb::CreateProgrammeRequest>,
    ) -> Answer<pb::CreateProgrammeResponse> {
        self.kit.write(self, request, create).await
    }

    async fn revise_scheme(
        &self,
        request: Request<pb::ReviseSchemeRequest>,
    ) -> Answer<pb::ReviseSchemeResponse> {
        self.kit.write(self, request, revise).await
    }

    async fn get_programme(
        &self,
        request: Request<pb::GetProgrammeRequest>,
    ) -> Answer<pb::GetProgrammeResponse> {
        self.kit.read(self, request, get).await
    }

    async fn list_programmes(
        &self,
        request: Request<pb::ListProgrammesRequest>,
    ) -> Answer<pb::ListProgrammesResponse> {
        self.kit.read(self, request, list).await
    }

    async fn list_duties(&self, request: Request<pb::ListDutiesRequest>) -> Answer<pb::ListDutiesResponse> {
        self.kit.read(self, request, list_duties).await
    }
}

/// The scheme of a request, or INVALID_SCHEME with the line, the key and the cause.
async fn parse_scheme(text: &str) -> Result<Arc<Scheme>> {
    convert::scheme_text(text)?;
    Ok(parsed(text).await?.map_err(|error| invalid_scheme(&error))?)
}

fn invalid_scheme(error: &SchemeError) -> Refusal {
    let line = error.line.map(|line| line.to_string()).unwrap_or_default();
    let refusal = Refusal::new(ErrorReason::InvalidScheme).field("scheme_toml").because(error.to_string());
    refusal.with("line", line).with("key", error.key.as_str())
}

fn fault_of_key(key: &str, cause: &str) -> Refusal {
    invalid_scheme(&SchemeError { line: None, key: key.to_owned(), cause: cause.to_owned() })
}

async fn create(
    _: Handler,
    mut unit: Unit,
    request: pb::CreateProgrammeRequest,
) -> Result<(Unit, pb::CreateProgrammeResponse)> {
    let scheme = parse_scheme(&request.scheme_toml).await?;
    let (id, region_code) = (&scheme.id, scheme.region);
    // It names no programme beside its scheme.
    if !unit.reach.is_all_of(id.as_str()) {
        return Err(Refusal::new(ErrorReason::NotPermitted).field("scheme_toml").into());
    }
    let stamp = Stamp::of(&unit);
    if programmes::insert_programme(&mut unit.tx, id, region_code, &stamp).await? {
        let digest = crate::scheme_digest(&request.scheme_toml);
        programmes::insert_scheme(&mut unit.tx, id, 1, &request.scheme_toml, &digest, &stamp).await?;
        let created = pb::ProgrammeCreated {
            programme_id: id.to_string(),
            region_code: region_code.to_string(),
            scheme_toml: request.scheme_toml.clone(),
            scheme_version: 1,
        };
        unit.emit(region_code.as_str(), id.as_str(), &created);
    }
    let row = existing(&mut unit.tx, id).await?;
    let first = programmes::scheme_text(&mut unit.tx, id, 1).await?;
    if request.scheme_toml != row.scheme_toml && Some(&request.scheme_toml) != first.as_ref() {
        return Err(already_exists("scheme_toml").because("the programme has another scheme").into());
    }
    // Sent again after a revision it is the programme as it stands, under the scheme in force.
    let in_force = if row.scheme_toml == request.scheme_toml { scheme } else { stored_scheme(&row).await? };
    let warnings = convert::warnings_of(&in_force);
    let programme = Some(convert::programme_to(row, &in_force));
    Ok((unit, pb::CreateProgrammeResponse { programme, warnings }))
}

async fn revise(
    _: Handler,
    mut unit: Unit,
    request: pb::ReviseSchemeRequest,
) -> Result<(Unit, pb::ReviseSchemeResponse)> {
    let mut fields = Fields::new();
    let id = convert::programme(&mut fields, &request.programme_id);
    let (id,): (ProgrammeId,) = fields.all((id,))?;
    let id = &id;
    let scheme = parse_scheme(&request.scheme_toml).await?;
    programmes::lock_programme(&mut unit.tx, id).await?;
    let mut row = existing(&mut unit.tx, id).await?;
    if scheme.id != *id {
        return Err(fault_of_key("id", "must be the programme's").into());
    }
    if scheme.region != row.region_code {
        return Err(fault_of_key("region", "a programme stays in its region").into());
    }
    if row.scheme_toml != request.scheme_toml {
        if county::any_opened(&mut unit.tx, id).await? {
            return Err(Refusal::new(ErrorReason::SchemeInForce).field("programme_id").into());
        }
        put_in_force(&mut unit, id, &row, &request.scheme_toml).await?;
        row = existing(&mut unit.tx, id).await?;
    }
    let programme = Some(convert::programme_to(row, &scheme));
    Ok((unit, pb::ReviseSchemeResponse { programme, warnings: convert::warnings_of(&scheme) }))
}

async fn put_in_force(
    unit: &mut Unit,
    id: &ProgrammeId,
    old: &ProgrammeRow,
    scheme_toml: &str,
) -> Result<()> {
    let version = old.scheme_version + 1;
    let stamp = Stamp::of(unit);
    let digest = crate::scheme_digest(scheme_toml);
    programmes::insert_scheme(&mut unit.tx, id, version, scheme_toml, &digest, &stamp).await?;
    programmes::put_in_force(&mut unit.tx, id, version).await?;
    let revised = pb::SchemeRevised {
        programme_id: id.to_string(),
        scheme_toml: scheme_toml.to_owned(),
        scheme_version: to_int32(version),
        old_scheme_version: to_int32(old.scheme_version),
    };
    unit.emit(old.region_code.as_str(), id.as_str(), &revised);
    Ok(())
}

async fn existing(tx: &mut Tx, id: &ProgrammeId) -> Result<ProgrammeRow> {
    Ok(programmes::programme(tx, id).await?.ok_or_else(|| not_found("programme_id"))?)
}

/// The scheme in a row.
async fn stored_scheme(row: &ProgrammeRow) -> Result<Arc<Scheme>> {
    let key = || format!("{}/{}", row.programme_id, row.scheme_version);
    let corrupt = |_| StoreError::corrupt_row("scheme_version", "scheme_toml", key());
    Ok(parsed(&row.scheme_toml).await?.map_err(corrupt)?)
}

async fn get(
    _: Handler,
    mut unit: ReadUnit,
    request: pb::GetProgrammeRequest,
) -> Result<(ReadUnit, pb::GetProgrammeResponse)> {
    let mut fields = Fields::new();
    let id = convert::programme(&mut fields, &request.programme_id);
    let (id,) = fields.all((id,))?;
    let row = existing(&mut unit.tx, &id).await?;
    let scheme = stored_scheme(&row).await?;
    let programme = Some(convert::programme_to(row, &scheme));
    Ok((unit, pb::GetProgrammeResponse { programme }))
}

async fn list(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListProgrammesRequest,
) -> Result<(ReadUnit, pb::ListProgrammesResponse)> {
    let page = handler.kit.page::<pb::ListProgrammesRequest>(&[], request.page_size, &request.page_token)?;
    let rows =
        programmes::programmes(&mut unit.tx, &unit.reach, unit.now, page.after(0), page.limit()).await?;
    // Schemes are parsed for no more rows than a page can hold, and for the one with which it is too full.
    let (mut read, mut bytes) = (Vec::new(), 0);
    for row in rows {
        if bytes > PAGE_BYTES_MAX {
            break;
        }
        let (key, row) = row.into_parts();
        let entry = match row {
            Ok(row) => {
                bytes += row.scheme_toml.len();
                stored_scheme(&row).await.map(|scheme| convert::programme_to(row, &scheme))
            }
            Err(error) => Err(error.into()),
        };
        read.push(Listed::of(key, entry));
    }
    let Listing { entries: programmes, next_page_token, broken } = page.list(read, |entry| entry)?;
    Ok((unit, pb::ListProgrammesResponse { programmes, next_page_token, broken }))
}

async fn list_duties(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListDutiesRequest,
) -> Result<(ReadUnit, pb::ListDutiesResponse)> {
    let mut fields = Fields::new();
    let id = convert::programme(&mut fields, &request.programme_id);
    let role = convert::optional_role(&mut fields, request.role);
    let (id, role) = fields.all((id, role))?;
    let filter = [id.as_str(), role.map_or("", |role| role.as_str())];
    let page = handler.kit.page::<pb::ListDutiesRequest>(&filter, request.page_size, &request.page_token)?;
    let head = programme_head(&mut unit.tx, &id).await?;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    let wanted = duties::all().iter().filter(|duty| role.is_none_or(|role| duty.role == role));
    let mut due: Vec<pb::Duty> = wanted.filter_map(|duty| convert::duty_to(duty, &scheme)).collect();
    if let Some(last) = due.iter().position(|duty| duty.code == page.after(0)) {
        due.drain(..=last);
    }
    let (duties, next_page_token) = page.cut(due, |duty| vec![duty.code.clone()]);
    Ok((unit, pb::ListDutiesResponse { duties, next_page_token }))
}
