//! PlaceService: regions, schools and classes are called otherwise, merged and closed, from a time on. All nine RPCs are one
//! change of a place, which is a fact; what follows from those that stand is put in place by `store/place.rs`.

use shipei_contracts::{
    WriteRequest,
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, place_service_server::PlaceService},
};
use shipei_rules::{
    ids::{ClassId, ProgrammeId, SchoolCode},
    places::PlaceKind,
    region::RegionCode,
};
use shipei_service_kit::{Refusal, Result, Unit};
use shipei_store::Tx;
use tonic::Request;

use super::{Answer, Handler, programme_head};
use crate::{
    convert::{self, PlaceChange, PlaceRequest},
    domain::{
        Time,
        places::{PlaceThen, decide_close, decide_merge, still_there},
    },
    error::not_found,
    store::{
        Stamp, class as classes,
        place::{self as places, Act},
        programme::lock_programme,
        region as regions,
    },
};

#[tonic::async_trait]
impl PlaceService for Handler {
    async fn rename_region(
        &self,
        request: Request<pb::RenameRegionRequest>,
    ) -> Answer<pb::RenameRegionResponse> {
        self.kit.write(self, request, region).await
    }

    async fn merge_region(
        &self,
        request: Request<pb::MergeRegionRequest>,
    ) -> Answer<pb::MergeRegionResponse> {
        self.kit.write(self, request, region).await
    }

    async fn close_region(
        &self,
        request: Request<pb::CloseRegionRequest>,
    ) -> Answer<pb::CloseRegionResponse> {
        self.kit.write(self, request, region).await
    }

    async fn rename_school(
        &self,
        request: Request<pb::RenameSchoolRequest>,
    ) -> Answer<pb::RenameSchoolResponse> {
        self.kit.write(self, request, school).await
    }

    async fn merge_school(
        &self,
        request: Request<pb::MergeSchoolRequest>,
    ) -> Answer<pb::MergeSchoolResponse> {
        self.kit.write(self, request, school).await
    }

    async fn close_school(
        &self,
        request: Request<pb::CloseSchoolRequest>,
    ) -> Answer<pb::CloseSchoolResponse> {
        self.kit.write(self, request, school).await
    }

    async fn rename_class(
        &self,
        request: Request<pb::RenameClassRequest>,
    ) -> Answer<pb::RenameClassResponse> {
        self.kit.write(self, request, class).await
    }

    async fn merge_class(&self, request: Request<pb::MergeClassRequest>) -> Answer<pb::MergeClassResponse> {
        self.kit.write(self, request, class).await
    }

    async fn close_class(&self, request: Request<pb::CloseClassRequest>) -> Answer<pb::CloseClassResponse> {
        self.kit.write(self, request, class).await
    }
}

/// What is answered about a place of one kind: the place as it stands, and the fact.
trait PlaceAnswer<Place> {
    fn of(place: Place, fact_id: String) -> Self;
}

/// The answer to a request.
trait Answered: PlaceRequest + WriteRequest {
    type Response;
}

macro_rules! answered {
    ($($request:ident => $response:ident, $place:ident $field:ident;)+) => {$(
        impl Answered for pb::$request {
            type Response = pb::$response;
        }

        impl PlaceAnswer<pb::$place> for pb::$response {
            fn of(place: pb::$place, fact_id: String) -> Self {
                Self { $field: Some(place), fact_id }
            }
        }
    )+};
}

answered!(
    RenameRegionRequest => RenameRegionResponse, Region region;
    MergeRegionRequest => MergeRegionResponse, Region region;
    CloseRegionRequest => CloseRegionResponse, Region region;
    RenameSchoolRequest => RenameSchoolResponse, School school;
    MergeSchoolRequest => MergeSchoolResponse, School school;
    CloseSchoolRequest => CloseSchoolResponse, School school;
    RenameClassRequest => RenameClassResponse, Class class;
    MergeClassRequest => MergeClassResponse, Class class;
    CloseClassRequest => CloseClassResponse, Class class;
);

async fn region<Req: Answered>(_: Handler, unit: Unit, request: Req) -> Result<(Unit, Req::Response)>
where
    Req::Response: PlaceAnswer<pb::Region>,
{
    let asked = request.change()?;
    let (mut unit, fact_id) = change(unit, &asked).await?;
    let code = RegionCode::parse(&asked.code).map_err(|_| not_found("code"))?;
    let row = regions::region(&mut unit.tx, &asked.programme_id, code).await?;
    let region = convert::region_to(row.ok_or_else(|| not_found("code"))?)?;
    Ok((unit, Req::Response::of(region, fact_id)))
}

async fn school<Req: Answered>(_: Handler, unit: Unit, request: Req) -> Result<(Unit, Req::Response)>
where
    Req::Response: PlaceAnswer<pb::School>,
{
    let asked = request.change()?;
    let (mut unit, fact_id) = change(unit, &asked).await?;
    let code = SchoolCode::parse(&asked.code).map_err(|_| not_found("school_code"))?;
    let row = regions::school(&mut unit.tx, &asked.programme_id, &code).await?;
    let school = convert::school_to(row.ok_or_else(|| not_found("school_code"))?);
    Ok((unit, Req::Response::of(school, fact_id)))
}

async fn class<Req: Answered>(_: Handler, unit: Unit, request: Req) -> Result<(Unit, Req::Response)>
where
    Req::Response: PlaceAnswer<pb::Class>,
{
    let asked = request.change()?;
    let (mut unit, fact_id) = change(unit, &asked).await?;
    let class_id = ClassId::parse(&asked.code).map_err(|_| not_found("class_id"))?;
    let row = classes::class(&mut unit.tx, &asked.programme_id, &class_id).await?;
    let class = convert::class_to(row.ok_or_else(|| not_found("class_id"))?);
    Ok((unit, Req::Response::of(class, fact_id)))
}

/// Records what becomes of a place and tells it; gives the fact's id, empty when it was so already.
async fn change(mut unit: Unit, asked: &PlaceChange) -> Result<(Unit, String)> {
    let (id, kind, field) = (&asked.programme_id, asked.kind, asked.field());
    // Two changes at once come one after the other, and nobody is enrolled or moved meanwhile.
    lock_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    let at = unit.occurred_at;
    let place = place_then(&mut unit.tx, id, (kind, &asked.code), at).await?;
    let place = place.filter(|place| asked.county_code.is_none_or(|county| county == place.region_code));
    let place = place.ok_or_else(|| not_found(field))?;
    let old_name = places::names(&mut unit.tx, id, kind, &place.code).await?;
    let old_name = old_name.into_iter().rfind(|(since, _)| *since <= at).map(|(_, name)| name);
    let old_name = old_name.unwrap_or_else(|| place.life.created_name.clone());
    let has_ended = place.life.closed_at.is_some_and(|closed_at| closed_at <= at);
    let is_so = match &asked.act {
        Act::Rename(name) => !has_ended && old_name == *name,
        Act::Merge(into) => has_ended && place.life.merged_into == *into,
        Act::Close => has_ended && place.life.merged_into.is_empty(),
    };
    if is_so {
        return Ok((unit, String::new()));
    }
    decide(&mut unit.tx, asked, &place, at).await?;
    let recorded = places::changes_count(&mut unit.tx, id, kind).await?;
    let number = recorded.saturating_add(1);
    if number > places::PLACE_CHANGES_MAX {
        let changes_max = places::PLACE_CHANGES_MAX.to_string();
        return Err(Refusal::new(ErrorReason::LimitReached).with("kept_max", changes_max).into());
    }
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    // Who retracts it meanwhile comes before or after, never between.
    unit.is_retracted(id.as_str(), &fact_id).await?;
    let (what, why) = ((kind, asked.code.as_str(), number), (&asked.act, asked.reason.as_str()));
    places::insert_change(&mut unit.tx, id, what, why, (&stamp, &fact_id)).await?;
    tell(&mut unit, asked, (&place, old_name), number, &fact_id);
    Ok((unit, fact_id))
}

async fn decide(tx: &mut Tx, asked: &PlaceChange, place: &PlaceThen, at: Time) -> Result<()> {
    let (id, kind, field) = (&asked.programme_id, asked.kind, asked.field());
    match &asked.act {
        Act::Rename(_) => still_there(&place.life, at, field)?,
        Act::Merge(into) => {
            let into = place_then(tx, id, (kind, into), at).await?;
            let into = into.ok_or_else(|| not_found(asked.target_field()))?;
            let around = regions::and_above(tx, id, place.region_code, at).await?;
            decide_merge(kind, place, &into, &around, at, (field, asked.target_field()))?;
        }
        Act::Close => {
            let occupants = places::occupants(tx, id, (kind, &asked.code), at).await?;
            decide_close(place, occupants, at, field)?;
        }
    }
    Ok(())
}

fn tell(
    unit: &mut Unit,
    asked: &PlaceChange,
    (place, old_name): (&PlaceThen, String),
    change_number: i64,
    fact_id: &str,
) {
    let programme_id = asked.programme_id.to_string();
    let (kind, code) = (convert::kind_to(asked.kind).into(), asked.code.clone());
    let (region, subject) = (place.region_code, asked.code.as_str());
    match &asked.act {
        Act::Rename(name) => {
            let new_name = name.clone();
            let renamed = pb::PlaceRenamed { programme_id, kind, code, change_number, old_name, new_name };
            unit.emit_fact(fact_id, region.as_str(), subject, &renamed);
        }
        Act::Merge(into_code) => {
            let into_code = into_code.clone();
            let merged = pb::PlaceMerged { programme_id, kind, code, change_number, into_code };
            unit.emit_fact(fact_id, region.as_str(), subject, &merged);
        }
        Act::Close => {
            let closed = pb::PlaceClosed { programme_id, kind, code, change_number };
            unit.emit_fact(fact_id, region.as_str(), subject, &closed);
        }
    }
}

/// A place as of a time; `None` when there is none of this code.
async fn place_then(
    tx: &mut Tx,
    id: &ProgrammeId,
    (kind, code): (PlaceKind, &str),
    at: Time,
) -> Result<Option<PlaceThen>> {
    let of_region = |life, level, region_code| PlaceThen { code: code.to_owned(), life, level, region_code };
    Ok(match kind {
        PlaceKind::Region => {
            let Ok(code) = RegionCode::parse(code) else { return Ok(None) };
            let Some(row) = regions::region(tx, id, code).await? else { return Ok(None) };
            let level = row.level()?;
            Some(of_region(row.life, Some(level), code))
        }
        PlaceKind::School => {
            let Ok(code) = SchoolCode::parse(code) else { return Ok(None) };
            let Some(row) = regions::school(tx, id, &code).await? else { return Ok(None) };
            let county = places::region_at(tx, id, row.created_county_code, at).await?;
            Some(of_region(row.life, None, county))
        }
        PlaceKind::Class => {
            let Ok(class_id) = ClassId::parse(code) else { return Ok(None) };
            let Some(row) = classes::class(tx, id, &class_id).await? else { return Ok(None) };
            let region = places::region_at(tx, id, row.created_region_code, at).await?;
            Some(of_region(row.life, None, region))
        }
    })
}
