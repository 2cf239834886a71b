//! CountyService: the roster is reported, the city compiles, money is remitted, learning is opened (Annex 1). Of
//! every step the first one that stands counts; a later one is kept, and counts when those before it fall.

use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, county_service_server::CountyService},
};
use shipei_rules::{
    ids::{ProgrammeId, RemittanceRef, text_of},
    region::RegionCode,
    scheme::Scheme,
    vocabulary::Role,
    windows::{self, Extension, For},
};
use shipei_service_kit::{Fields, Listing, ReadUnit, Refusal, Result, Unit};
use shipei_store::{StoreError, Tx};
use tonic::Request;

use super::{Answer, Handler, existing_city, existing_county, member::member, programme_head};
use crate::{
    convert,
    domain::{Time, decide_invoice, decide_opening, decide_report, still_enrolled},
    error::{already_exists, not_found},
    store::{
        Stamp,
        county::{self as counties, CountyFact, RemittanceFact, RemittanceRow},
        extension as extensions,
        place::{When, standing, successors_of},
        programme::lock_programme,
    },
};

/// The window in which rosters are reported.
const REPORTING: &str = "reporting";

#[tonic::async_trait]
impl CountyService for Handler {
    async fn report_roster(
        &self,
        request: Request<pb::ReportRosterRequest>,
    ) -> Answer<pb::ReportRosterResponse> {
        self.kit.write(self, request, report_roster).await
    }

    async fn compile_roster(
        &self,
        request: Request<pb::CompileRosterRequest>,
    ) -> Answer<pb::CompileRosterResponse> {
        self.kit.write(self, request, compile_roster).await
    }

    async fn send_remittance(
        &self,
        request: Request<pb::SendRemittanceRequest>,
    ) -> Answer<pb::SendRemittanceResponse> {
        self.kit.write(self, request, send_remittance).await
    }

    async fn confirm_remittance(
        &self,
        request: Request<pb::ConfirmRemittanceRequest>,
    ) -> Answer<pb::ConfirmRemittanceResponse> {
        self.kit.write(self, request, confirm_remittance).await
    }

    async fn issue_invoice(
        &self,
        request: Request<pb::IssueInvoiceRequest>,
    ) -> Answer<pb::IssueInvoiceResponse> {
        self.kit.write(self, request, issue_invoice).await
    }

    async fn open_learning(
        &self,
        request: Request<pb::OpenLearningRequest>,
    ) -> Answer<pb::OpenLearningResponse> {
        self.kit.write(self, request, open_learning).await
    }

    async fn get_county(&self, request: Request<pb::GetCountyRequest>) -> Answer<pb::GetCountyResponse> {
        self.kit.read(self, request, get_county).await
    }

    async fn list_counties(
        &self,
        request: Request<pb::ListCountiesRequest>,
    ) -> Answer<pb::ListCountiesResponse> {
        self.kit.read(self, request, list_counties).await
    }

    async fn list_remittances(
        &self,
        request: Request<pb::ListRemittancesRequest>,
    ) -> Answer<pb::ListRemittancesResponse> {
        self.kit.read(self, request, list_remittances).await
    }
}

async fn report_roster(
    handler: Handler,
    mut unit: Unit,
    request: pb::ReportRosterRequest,
) -> Result<(Unit, pb::ReportRosterResponse)> {
    let (id, county, counselor_id) = convert::programme_region_person(
        &request.programme_id,
        ("county_code", &request.county_code),
        ("counselor_id", &request.counselor_id),
    )?;
    let id = &id;
    let head = programme_head(&mut unit.tx, id).await?;
    existing_county(&mut unit.tx, id, county).await?;
    let mut counselor =
        member(&mut unit.tx, id, &counselor_id, Role::CountyCounselor, "counselor_id").await?;
    // Where they stood then: their county may have been merged since.
    let successors = successors_of(&mut unit.tx, id, [&counselor.roster_place]).await?;
    counselor.place = standing(&successors, &counselor.roster_place, When::At(unit.occurred_at))?;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    let scheme = of_county(&mut unit.tx, id, county, &scheme, unit.occurred_at).await?;
    decide_report(&counselor, county, &scheme, unit.occurred_at)?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    let (fact, by) = (CountyFact::Reported, Some(&counselor.person_id));
    counties::note(&mut unit.tx, (id, county), fact, by, (&stamp, &fact_id)).await?;
    let reported = pb::RosterReported {
        programme_id: id.to_string(),
        county_code: county.to_string(),
        counselor_id: counselor.person_id.into(),
    };
    unit.emit_fact(&fact_id, county.as_str(), county.as_str(), &reported);
    let county = Some(state_of(&mut unit.tx, id, county).await?);
    Ok((unit, pb::ReportRosterResponse { county }))
}

async fn compile_roster(
    _: Handler,
    mut unit: Unit,
    request: pb::CompileRosterRequest,
) -> Result<(Unit, pb::CompileRosterResponse)> {
    let (id, city, lead_id) = convert::programme_region_person(
        &request.programme_id,
        ("city_code", &request.city_code),
        ("lead_id", &request.lead_id),
    )?;
    let id = &id;
    programme_head(&mut unit.tx, id).await?;
    existing_city(&mut unit.tx, id, city).await?;
    let lead = member(&mut unit.tx, id, &lead_id, Role::MunicipalLead, "lead_id").await?;
    still_enrolled(&lead, unit.occurred_at, "lead_id")?;
    if lead.place.county_code != Some(city) {
        return Err(not_found("lead_id").because("the city has no such lead").into());
    }
    // In the order of codes, so that two compilations at once don't wait for each other in a circle.
    let county_codes =
        counties::reported_counties(&mut unit.tx, &unit.reach, id, city, unit.occurred_at).await?;
    if county_codes.is_empty() {
        return Err(Refusal::new(ErrorReason::NotReported).field("city_code").into());
    }
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    for code in &county_codes {
        let (fact, by) = (CountyFact::Compiled, Some(&lead.person_id));
        counties::note(&mut unit.tx, (id, *code), fact, by, (&stamp, &fact_id)).await?;
    }
    let compiled = pb::RosterCompiled {
        programme_id: id.to_string(),
        city_code: city.to_string(),
        lead_id: lead.person_id.into(),
        county_codes: county_codes.iter().map(ToString::to_string).collect(),
    };
    unit.emit_fact(&fact_id, city.as_str(), city.as_str(), &compiled);
    Ok((unit, pb::CompileRosterResponse { county_codes: compiled.county_codes }))
}

async fn send_remittance(
    _: Handler,
    mut unit: Unit,
    request: pb::SendRemittanceRequest,
) -> Result<(Unit, pb::SendRemittanceResponse)> {
    let (id, county, reference, amount_fen) = convert::remittance(&request)?;
    let (id, reference) = (&id, &reference);
    programme_head(&mut unit.tx, id).await?;
    existing_county(&mut unit.tx, id, county).await?;
    counties::lock_remittance(&mut unit.tx, id, county, reference).await?;
    let there = counties::remittance(&mut unit.tx, id, county, reference).await?;
    if let Some(row) = there {
        let other_time = request.occurred_at.is_some() && row.occurred_at != unit.occurred_at;
        if row.amount_fen != amount_fen || other_time {
            return Err(already_exists("ref").into());
        }
        return Ok((unit, pb::SendRemittanceResponse { remittance: Some(convert::remittance_to(row)) }));
    }
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    let key = (id, county, reference);
    counties::insert_remittance(&mut unit.tx, key, amount_fen, (&stamp, &fact_id)).await?;
    let sent = pb::RemittanceSent {
        programme_id: id.to_string(),
        county_code: county.to_string(),
        r#ref: reference.to_string(),
        amount_fen,
    };
    unit.emit_fact(&fact_id, county.as_str(), reference.as_str(), &sent);
    let row = counties::remittance(&mut unit.tx, id, county, reference).await?;
    Ok((unit, pb::SendRemittanceResponse { remittance: row.map(convert::remittance_to) }))
}

async fn confirm_remittance(
    _: Handler,
    mut unit: Unit,
    request: pb::ConfirmRemittanceRequest,
) -> Result<(Unit, pb::ConfirmRemittanceResponse)> {
    let (id, county, reference) =
        convert::remittance_key(&request.programme_id, &request.county_code, &request.r#ref)?;
    let (id, reference) = (&id, &reference);
    programme_head(&mut unit.tx, id).await?;
    existing_county(&mut unit.tx, id, county).await?;
    let sent = existing_remittance(&mut unit.tx, id, county, reference).await?;
    if unit.occurred_at < sent.occurred_at {
        return Err(not_found("ref").into());
    }
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    let (key, fact) = ((id, county, reference), RemittanceFact::Confirmed);
    counties::note_of_remittance(&mut unit.tx, key, fact, (&stamp, &fact_id)).await?;
    let confirmed = pb::RemittanceConfirmed {
        programme_id: id.to_string(),
        county_code: county.to_string(),
        r#ref: reference.to_string(),
    };
    unit.emit_fact(&fact_id, county.as_str(), reference.as_str(), &confirmed);
    let row = existing_remittance(&mut unit.tx, id, county, reference).await?;
    Ok((unit, pb::ConfirmRemittanceResponse { remittance: Some(convert::remittance_to(row)) }))
}

async fn issue_invoice(
    _: Handler,
    mut unit: Unit,
    request: pb::IssueInvoiceRequest,
) -> Result<(Unit, pb::IssueInvoiceResponse)> {
    let (id, county, reference) =
        convert::remittance_key(&request.programme_id, &request.county_code, &request.r#ref)?;
    let (id, reference) = (&id, &reference);
    programme_head(&mut unit.tx, id).await?;
    existing_county(&mut unit.tx, id, county).await?;
    // A remittance that nobody sent is not confirmed either (seasons/README.md: "of a confirmed remittance, else").
    let sent = counties::remittance(&mut unit.tx, id, county, reference).await?;
    decide_invoice(sent.and_then(|row| row.confirmed_at), unit.occurred_at)?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    let (key, fact) = ((id, county, reference), RemittanceFact::Invoiced);
    counties::note_of_remittance(&mut unit.tx, key, fact, (&stamp, &fact_id)).await?;
    let issued = pb::InvoiceIssued {
        programme_id: id.to_string(),
        county_code: county.to_string(),
        r#ref: reference.to_string(),
    };
    unit.emit_fact(&fact_id, county.as_str(), reference.as_str(), &issued);
    let row = existing_remittance(&mut unit.tx, id, county, reference).await?;
    Ok((unit, pb::IssueInvoiceResponse { remittance: Some(convert::remittance_to(row)) }))
}

async fn open_learning(
    _: Handler,
    mut unit: Unit,
    request: pb::OpenLearningRequest,
) -> Result<(Unit, pb::OpenLearningResponse)> {
    let (id, county) =
        convert::programme_and_region(&request.programme_id, "county_code", &request.county_code)?;
    let id = &id;
    // A revision of the scheme at the same moment comes before or after, never between.
    lock_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    existing_county(&mut unit.tx, id, county).await?;
    let (reported, remitted) = counties::reported_and_remitted(&mut unit.tx, id, county).await?;
    decide_opening(reported, remitted, unit.occurred_at)?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    counties::note(&mut unit.tx, (id, county), CountyFact::Opened, None, (&stamp, &fact_id)).await?;
    let opened = pb::LearningOpened { programme_id: id.to_string(), county_code: county.to_string() };
    unit.emit_fact(&fact_id, county.as_str(), county.as_str(), &opened);
    let county = Some(state_of(&mut unit.tx, id, county).await?);
    Ok((unit, pb::OpenLearningResponse { county }))
}

/// The scheme with the end of the reporting window that a county has as of an instant.
async fn of_county(
    tx: &mut Tx,
    id: &ProgrammeId,
    county: RegionCode,
    scheme: &Scheme,
    at: Time,
) -> Result<Scheme> {
    let Some(last_day) = extensions::last_day_of(tx, id, REPORTING, county, at).await? else {
        return Ok(scheme.clone());
    };
    let last = last_day.parse();
    let last = last.map_err(|_| StoreError::corrupt_row("extension", "last_day", &last_day))?;
    let extension = Extension { window: REPORTING.to_owned(), last, to: For::Programme };
    Ok(scheme.extended(&windows::ends_for_all(scheme, &[extension])))
}

async fn state_of(tx: &mut Tx, id: &ProgrammeId, county: RegionCode) -> Result<pb::County> {
    let row = counties::county_state(tx, id, county).await?;
    Ok(convert::county_to(row.ok_or_else(|| not_found("county_code"))?))
}

async fn existing_remittance(
    tx: &mut Tx,
    id: &ProgrammeId,
    county: RegionCode,
    reference: &RemittanceRef,
) -> Result<RemittanceRow> {
    let row = counties::remittance(tx, id, county, reference).await?;
    Ok(row.ok_or_else(|| not_found("ref"))?)
}

async fn get_county(
    _: Handler,
    mut unit: ReadUnit,
    request: pb::GetCountyRequest,
) -> Result<(ReadUnit, pb::GetCountyResponse)> {
    let (id, county) =
        convert::programme_and_region(&request.programme_id, "county_code", &request.county_code)?;
    programme_head(&mut unit.tx, &id).await?;
    let county = Some(state_of(&mut unit.tx, &id, county).await?);
    Ok((unit, pb::GetCountyResponse { county }))
}

pub(super) async fn list_counties(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListCountiesRequest,
) -> Result<(ReadUnit, pb::ListCountiesResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("city_code", &request.city_code, RegionCode::parse),
    );
    let (id, city) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(city.as_ref())];
    let page =
        handler.kit.page::<pb::ListCountiesRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let (after, limit) = (page.after(0), page.limit());
    let rows = counties::counties(&mut unit.tx, &unit.reach, &id, city, unit.now, after, limit).await?;
    let Listing { entries: counties, next_page_token, broken } =
        page.list(rows, |row| Ok(convert::county_to(row)))?;
    Ok((unit, pb::ListCountiesResponse { counties, next_page_token, broken }))
}

pub(super) async fn list_remittances(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListRemittancesRequest,
) -> Result<(ReadUnit, pb::ListRemittancesResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("county_code", &request.county_code, RegionCode::parse),
    );
    let (id, county) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(county.as_ref())];
    let page =
        handler.kit.page::<pb::ListRemittancesRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let (after, limit) = ((page.after(0), page.after(1)), page.limit());
    let rows = counties::remittances(&mut unit.tx, &unit.reach, &id, county, after, limit).await?;
    let Listing { entries: remittances, next_page_token, broken } =
        page.list(rows, |row| Ok(convert::remittance_to(row)))?;
    Ok((unit, pb::ListRemittancesResponse { remittances, next_page_token, broken }))
}
