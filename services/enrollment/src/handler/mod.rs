//! The gRPC services, one file each. An RPC is a short function: parse, look up, decide, save, tell, answer. Another
//! RPC is a method of its service's impl here and a function below it that does the work inside the unit.

mod bar;
mod correct;
mod county;
mod erase;
mod export;
mod extension;
pub(crate) mod facts;
mod honour;
mod import;
mod leave;
mod member;
mod merge;
mod person;
mod place;
mod programme;
mod region;
pub(crate) mod reveal;
mod transfer;

use std::sync::Arc;

use shipei_rules::{
    ids::ProgrammeId,
    region::{RegionCode, RegionLevel},
    scheme::Scheme,
};
use shipei_service_kit::{Kit, Result};
use shipei_store::{StoreError, Tx};

use crate::{
    domain::Member,
    error::not_found,
    schemes::{Schemes, parsed},
    store::{
        programme::{self as programmes, ProgrammeHead},
        region::{self as regions, RegionRow},
    },
};

/// What an RPC answers.
type Answer<Res> = std::result::Result<tonic::Response<Res>, tonic::Status>;

/// What every handler shares.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    kit: Kit,
    schemes: Schemes,
}

impl Handler {
    pub(crate) fn new(kit: Kit) -> Self {
        Self { kit, schemes: Schemes::default() }
    }

    /// The scheme in force of a programme that is in the database.
    async fn scheme(&self, tx: &mut Tx, head: &ProgrammeHead) -> Result<Arc<Scheme>> {
        let (id, version) = (&head.programme_id, head.scheme_version);
        if let Some(scheme) = self.schemes.cached(id, version) {
            return Ok(scheme);
        }
        let corrupt = || StoreError::corrupt_row("scheme_version", "scheme_toml", format!("{id}/{version}"));
        let text = programmes::scheme_text(tx, id, version).await?.ok_or_else(corrupt)?;
        let scheme = parsed(&text).await?.map_err(|_| corrupt())?;
        self.schemes.keep(id, version, &scheme);
        Ok(scheme)
    }
}

/// The programme, or NOT_FOUND.
async fn programme_head(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<ProgrammeHead> {
    let head = programmes::head(tx, programme_id).await?;
    Ok(head.ok_or_else(|| not_found("programme_id"))?)
}

/// The county, or NOT_FOUND.
async fn existing_county(tx: &mut Tx, programme_id: &ProgrammeId, code: RegionCode) -> Result<RegionRow> {
    let county = regions::county(tx, programme_id, code).await?;
    Ok(county.ok_or_else(|| not_found("county_code"))?)
}

/// The city, or NOT_FOUND.
async fn existing_city(tx: &mut Tx, programme_id: &ProgrammeId, code: RegionCode) -> Result<RegionRow> {
    let region = regions::region(tx, programme_id, code).await?;
    let city = region.filter(|region| region.level == RegionLevel::City.as_str());
    Ok(city.ok_or_else(|| not_found("city_code"))?)
}

/// The region that events about somebody belong to: theirs, or the programme's.
fn region_of(member: &Member, head: &ProgrammeHead) -> RegionCode {
    member.place.county_code.unwrap_or(head.region_code)
}
