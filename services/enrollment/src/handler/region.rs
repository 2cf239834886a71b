//! RegionService: the region tree, schools and classes. Each is created once, with an id that the caller chose: the
//! same again is what is there, other content is ALREADY_EXISTS. A county may come to lie in another city, from a date.

use chrono::Datelike as _;
use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, region_service_server::RegionService},
};
use shipei_rules::{
    divisions,
    ids::{ClassId, PersonId, text_of},
    region::{RegionCode, RegionLevel, YearMonth},
    scheme::Scheme,
};
use shipei_service_kit::{Fields, Listing, ReadUnit, Refusal, Result, Unit};
use tonic::Request;

use super::{Answer, Handler, bar::refuse_barred_tutor, existing_county, programme_head};
use crate::{
    convert,
    domain::{decide_region, decide_region_move, places::still_there},
    error::{already_exists, not_found},
    store::{
        Stamp,
        class::{self as classes, ClassRow},
        programme::{lock_programme, share_programme},
        region::{self as regions, RegionRow, SchoolRow},
    },
};

/// The month of the programme's year at which the national standard is asked.
const LAST_MONTH: u8 = 12;

#[tonic::async_trait]
impl RegionService for Handler {
    async fn create_region(
        &self,
        request: Request<pb::CreateRegionRequest>,
    ) -> Answer<pb::CreateRegionResponse> {
        self.kit.write(self, request, create_region).await
    }

    async fn move_region(&self, request: Request<pb::MoveRegionRequest>) -> Answer<pb::MoveRegionResponse> {
        self.kit.write(self, request, move_region).await
    }

    async fn list_regions(
        &self,
        request: Request<pb::ListRegionsRequest>,
    ) -> Answer<pb::ListRegionsResponse> {
        self.kit.read(self, request, list_regions).await
    }

    async fn create_school(
        &self,
        request: Request<pb::CreateSchoolRequest>,
    ) -> Answer<pb::CreateSchoolResponse> {
        self.kit.write(self, request, create_school).await
    }

    async fn list_schools(
        &self,
        request: Request<pb::ListSchoolsRequest>,
    ) -> Answer<pb::ListSchoolsResponse> {
        self.kit.read(self, request, list_schools).await
    }

    async fn create_class(
        &self,
        request: Request<pb::CreateClassRequest>,
    ) -> Answer<pb::CreateClassResponse> {
        self.kit.write(self, request, create_class).await
    }

    async fn replace_tutor(
        &self,
        request: Request<pb::ReplaceTutorRequest>,
    ) -> Answer<pb::ReplaceTutorResponse> {
        self.kit.write(self, request, replace_tutor).await
    }

    async fn get_class(&self, request: Request<pb::GetClassRequest>) -> Answer<pb::GetClassResponse> {
        self.kit.read(self, request, get_class).await
    }

    async fn list_classes(
        &self,
        request: Request<pb::ListClassesRequest>,
    ) -> Answer<pb::ListClassesResponse> {
        self.kit.read(self, request, list_classes).await
    }
}

/// Whether GB/T 2260 had this code with this name in the year in which the programme's reporting begins.
fn in_national_standard(row: &RegionRow, scheme: &Scheme) -> bool {
    let year = scheme.zone.day_of(scheme.reporting().from).year();
    let month = u16::try_from(year).ok().and_then(|year| YearMonth::new(year, LAST_MONTH));
    let division = month.and_then(|month| divisions::division(&row.code, month));
    division.is_some_and(|division| division.name == row.name)
}

async fn create_region(
    handler: Handler,
    mut unit: Unit,
    request: pb::CreateRegionRequest,
) -> Result<(Unit, pb::CreateRegionResponse)> {
    let (id, level, mut row) = convert::new_region(&request)?;
    let id = &id;
    let head = programme_head(&mut unit.tx, id).await?;
    let parent = match row.parent_code.0 {
        None => None,
        Some(parent) => regions::region(&mut unit.tx, id, parent).await?,
    };
    let parent = parent.map(|parent| parent.level()).transpose()?;
    decide_region(level, parent, row.parent_code.0.is_some())?;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    row.in_national_standard = in_national_standard(&row, &scheme);
    let stamp = Stamp::of(&unit);
    if regions::insert_region(&mut unit.tx, id, &row, &stamp).await? {
        let [parent_code, province_code] = regions::above(&mut unit.tx, id, row.parent_code.0).await?;
        let created = pb::RegionCreated {
            programme_id: id.to_string(),
            code: row.code.to_string(),
            name: row.name.clone(),
            level: row.level.clone(),
            parent_code: text_of(parent_code.as_ref()).to_owned(),
            province_code: text_of(province_code.as_ref()).to_owned(),
        };
        // Under its own code, so that whoever follows knows where it lies before anything that happens in it.
        unit.emit(row.code.as_str(), row.code.as_str(), &created);
    } else {
        let kept = regions::region(&mut unit.tx, id, row.code).await?.ok_or_else(|| not_found("code"))?;
        let created = (&kept.life.created_name, &kept.level, &kept.created_parent_code);
        if created != (&row.name, &row.level, &row.parent_code) {
            return Err(already_exists("code").into());
        }
        row = kept;
    }
    Ok((unit, pb::CreateRegionResponse { region: Some(convert::region_to(row)?) }))
}

async fn move_region(
    _: Handler,
    mut unit: Unit,
    request: pb::MoveRegionRequest,
) -> Result<(Unit, pb::MoveRegionResponse)> {
    let (id, code, parent_code) = convert::region_move(&request)?;
    let id = &id;
    // Two moves of one county at once come one after the other.
    lock_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    let row = regions::region(&mut unit.tx, id, code).await?.ok_or_else(|| not_found("code"))?;
    let parent = regions::region(&mut unit.tx, id, parent_code).await?;
    decide_region_move(row.level()?, parent.map(|parent| parent.level()).transpose()?)?;
    let moves = regions::region_moves(&mut unit.tx, id, code).await?;
    let last = moves.iter().rev().find(|moved| moved.occurred_at <= unit.occurred_at);
    let old_parent = last.map_or(row.created_parent_code.0, |moved| Some(moved.new_parent_code));
    if let Some(old_parent) = old_parent.filter(|old_parent| *old_parent != parent_code) {
        let move_number = i64::try_from(moves.len()).unwrap_or(i64::MAX).saturating_add(1);
        if move_number > regions::REGION_MOVES_MAX {
            let moves_max = regions::REGION_MOVES_MAX.to_string();
            return Err(Refusal::new(ErrorReason::LimitReached).with("kept_max", moves_max).into());
        }
        let stamp = Stamp::of(&unit);
        let moved = (move_number, old_parent, parent_code);
        regions::insert_region_move(&mut unit.tx, id, &row, moved, &stamp).await?;
        let [_, province_code] = regions::above(&mut unit.tx, id, Some(parent_code)).await?;
        let moved = pb::RegionMoved {
            programme_id: id.to_string(),
            code: code.to_string(),
            move_number,
            old_parent_code: old_parent.to_string(),
            new_parent_code: parent_code.to_string(),
            province_code: text_of(province_code.as_ref()).to_owned(),
        };
        unit.emit(code.as_str(), code.as_str(), &moved);
    }
    let row = regions::region(&mut unit.tx, id, code).await?.ok_or_else(|| not_found("code"))?;
    Ok((unit, pb::MoveRegionResponse { region: Some(convert::region_to(row)?) }))
}

pub(super) async fn list_regions(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListRegionsRequest,
) -> Result<(ReadUnit, pb::ListRegionsResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("parent_code", &request.parent_code, RegionCode::parse),
        fields.optional_choice::<pb::RegionLevel>("level", request.level),
    );
    let (id, parent_code, level) = fields.all(parsed)?;
    let level = convert::level_of(level);
    let filter = [id.as_str(), text_of(parent_code.as_ref()), level.map_or("", RegionLevel::as_str)];
    let page = handler.kit.page::<pb::ListRegionsRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let (after, limit) = (page.after(0), page.limit());
    let filter = (parent_code, level);
    let rows = regions::regions(&mut unit.tx, &unit.reach, &id, filter, unit.now, after, limit).await?;
    let Listing { entries: regions, next_page_token, broken } = page.list(rows, convert::region_to)?;
    Ok((unit, pb::ListRegionsResponse { regions, next_page_token, broken }))
}

async fn create_school(
    _: Handler,
    mut unit: Unit,
    request: pb::CreateSchoolRequest,
) -> Result<(Unit, pb::CreateSchoolResponse)> {
    let (id, mut row) = convert::new_school(&request)?;
    let id = &id;
    share_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    let county = existing_county(&mut unit.tx, id, row.county_code).await?;
    let stamp = Stamp::of(&unit);
    match regions::school(&mut unit.tx, id, &row.school_code).await? {
        // The same again is what is there, whatever became of it.
        Some(kept) => row = school_created_so(kept, &row)?,
        None => {
            still_there(&county.life, unit.occurred_at, "county_code")?;
            regions::insert_school(&mut unit.tx, id, &row, &stamp).await?;
            let kept = regions::school(&mut unit.tx, id, &row.school_code).await?;
            row = school_created_so(kept.ok_or_else(|| not_found("school_code"))?, &row)?;
        }
    }
    Ok((unit, pb::CreateSchoolResponse { school: Some(convert::school_to(row)) }))
}

/// The school that is there, if it was created as `row`.
fn school_created_so(kept: SchoolRow, row: &SchoolRow) -> Result<SchoolRow> {
    match (&kept.life.created_name, kept.created_county_code) == (&row.name, row.county_code) {
        true => Ok(kept),
        false => Err(already_exists("school_code").into()),
    }
}

pub(super) async fn list_schools(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListSchoolsRequest,
) -> Result<(ReadUnit, pb::ListSchoolsResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("county_code", &request.county_code, RegionCode::parse),
    );
    let (id, county_code) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(county_code.as_ref())];
    let page = handler.kit.page::<pb::ListSchoolsRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let (after, limit) = (page.after(0), page.limit());
    let rows = regions::schools(&mut unit.tx, &unit.reach, &id, county_code, unit.now, after, limit).await?;
    let Listing { entries: schools, next_page_token, broken } =
        page.list(rows, |row| Ok(convert::school_to(row)))?;
    Ok((unit, pb::ListSchoolsResponse { schools, next_page_token, broken }))
}

/// Creates a class. Its tutor need not be enrolled, or there may be none: a class that was refused would lose all its
/// trainees. Until somebody of that id is a class tutor of the programme, nobody may review, open or publish for it;
/// who joins later is the tutor from then on, because everything that asks compares ids.
async fn create_class(
    handler: Handler,
    mut unit: Unit,
    request: pb::CreateClassRequest,
) -> Result<(Unit, pb::CreateClassResponse)> {
    let (id, row) = convert::new_class(&request)?;
    let id = &id;
    share_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    let region = regions::region(&mut unit.tx, id, row.region_code).await?;
    let region = region.ok_or_else(|| not_found("region_code"))?;
    let stamp = Stamp::of(&unit);
    if classes::class(&mut unit.tx, id, &row.class_id).await?.is_none() {
        still_there(&region.life, unit.occurred_at, "region_code")?;
        refuse_barred_tutor(&handler, &mut unit, id, row.tutor_id.0.as_ref()).await?;
    }
    if classes::insert_class(&mut unit.tx, id, &row, &stamp).await? {
        let created = pb::ClassCreated {
            programme_id: id.to_string(),
            class_id: row.class_id.to_string(),
            region_code: row.region_code.to_string(),
            tutor_id: row.tutor_id.as_str().to_owned(),
        };
        unit.emit(row.region_code.as_str(), row.class_id.as_str(), &created);
    }
    let kept = classes::class(&mut unit.tx, id, &row.class_id).await?;
    let created = |kept: &ClassRow| {
        (kept.life.created_name.clone(), kept.created_region_code, kept.created_tutor_id.clone())
    };
    match kept.filter(|kept| created(kept) == (row.name, row.created_region_code, row.created_tutor_id)) {
        Some(kept) => Ok((unit, pb::CreateClassResponse { class: Some(convert::class_to(kept)) })),
        None => Err(already_exists("class_id").into()),
    }
}

/// Gives a class another tutor from a moment on. As with a class that is created, the tutor need not be enrolled.
async fn replace_tutor(
    handler: Handler,
    mut unit: Unit,
    request: pb::ReplaceTutorRequest,
) -> Result<(Unit, pb::ReplaceTutorResponse)> {
    let (id, class_id, tutor_id, reason) = convert::tutor_change(&request)?;
    let (id, class_id) = (&id, &class_id);
    // Two changes of one class at once come one after the other.
    lock_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    let row = classes::class(&mut unit.tx, id, class_id).await?.ok_or_else(|| not_found("class_id"))?;
    still_there(&row.life, unit.occurred_at, "class_id")?;
    let changes = classes::tutor_changes(&mut unit.tx, id, class_id).await?;
    let last = changes.iter().rev().find(|change| change.occurred_at <= unit.occurred_at);
    let old_tutor_id = last.map_or(&row.created_tutor_id, |change| &change.new_tutor_id).0.clone();
    let mut fact_id = String::new();
    if old_tutor_id != tutor_id {
        refuse_barred_tutor(&handler, &mut unit, id, tutor_id.as_ref()).await?;
        let recorded = classes::tutor_changes_count(&mut unit.tx, id, class_id).await?;
        let change_number = recorded.saturating_add(1);
        if change_number > classes::TUTOR_CHANGES_MAX {
            let changes_max = classes::TUTOR_CHANGES_MAX.to_string();
            return Err(Refusal::new(ErrorReason::LimitReached).with("kept_max", changes_max).into());
        }
        let stamp = Stamp::of(&unit);
        fact_id = unit.new_fact_id()?;
        // Who retracts it meanwhile comes before or after, never between.
        unit.is_retracted(id.as_str(), &fact_id).await?;
        let change = (change_number, old_tutor_id.as_ref(), tutor_id.as_ref());
        classes::insert_tutor_change(&mut unit.tx, id, class_id, change, &reason, (&stamp, &fact_id)).await?;
        let replaced = pb::TutorReplaced {
            programme_id: id.to_string(),
            class_id: class_id.to_string(),
            change_number,
            old_tutor_id: text_of(old_tutor_id.as_ref()).to_owned(),
            new_tutor_id: text_of(tutor_id.as_ref()).to_owned(),
        };
        unit.emit_fact(&fact_id, row.region_code.as_str(), class_id.as_str(), &replaced);
    }
    let row = classes::class(&mut unit.tx, id, class_id).await?.ok_or_else(|| not_found("class_id"))?;
    Ok((unit, pb::ReplaceTutorResponse { class: Some(convert::class_to(row)), fact_id }))
}

async fn get_class(
    _: Handler,
    mut unit: ReadUnit,
    request: pb::GetClassRequest,
) -> Result<(ReadUnit, pb::GetClassResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.id("class_id", &request.class_id, ClassId::parse),
    );
    let (id, class_id) = fields.all(parsed)?;
    programme_head(&mut unit.tx, &id).await?;
    let row = classes::class(&mut unit.tx, &id, &class_id).await?;
    let row = row.ok_or_else(|| not_found("class_id"))?;
    Ok((unit, pb::GetClassResponse { class: Some(convert::class_to(row)) }))
}

pub(super) async fn list_classes(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListClassesRequest,
) -> Result<(ReadUnit, pb::ListClassesResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("tutor_id", &request.tutor_id, PersonId::parse),
        fields.optional_id("region_code", &request.region_code, RegionCode::parse),
    );
    let (id, tutor_id, region_code) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(tutor_id.as_ref()), text_of(region_code.as_ref())];
    let page = handler.kit.page::<pb::ListClassesRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let (after, limit) = (page.after(0), page.limit());
    let filter = (tutor_id.as_ref(), region_code);
    let rows = classes::classes(&mut unit.tx, &unit.reach, &id, filter, unit.now, after, limit).await?;
    let Listing { entries: classes, next_page_token, broken } =
        page.list(rows, |row| Ok(convert::class_to(row)))?;
    Ok((unit, pb::ListClassesResponse { classes, next_page_token, broken }))
}
