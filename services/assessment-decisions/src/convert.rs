//! From requests to commands, by field name, and from state to answers. No SQL, no decisions. To add a request: its command and
//! its function here; every text and list has a limit from this file.

pub(crate) mod evidence;

use shipei_contracts::decisions::v1::{self as proto, AdjustmentKind as ProtoKind};
use shipei_rules::{
    explanation::ItemKey,
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::{
    Result,
    convert::{Fields, to_int32, to_timestamp},
};

use crate::domain::{Adjust, Adjustment};

/// The most characters of a reason.
pub(crate) const REASON_CHARS_MAX: usize = 2_000;

/// Reads an AdjustItem. Any number is taken: one that the item can't bring is SCORE_OUT_OF_RANGE.
pub(crate) fn adjust(request: &proto::AdjustItemRequest) -> Result<Adjust> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let item = fields.id("item", &request.item, str::parse::<ItemKey>);
    let kind = fields.choice::<ProtoKind>("kind", request.kind).and_then(ProtoKind::known);
    let reason = fields.text("reason", &request.reason, REASON_CHARS_MAX);
    let expires_at = fields.optional_timestamp("expires_time", request.expires_time);
    let (programme, person, item, kind, reason, expires_at) =
        fields.all((programme, person, item, kind, reason, expires_at))?;
    Ok(Adjust { programme, person, item, points: request.points.into(), kind, reason, expires_at })
}

/// Which adjustments; no person and no region stand for all.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) programme: ProgrammeId,
    pub(crate) person: Option<PersonId>,
    pub(crate) region: Option<RegionCode>,
}

/// Reads a ListAdjustments.
pub(crate) fn filter(request: &proto::ListAdjustmentsRequest) -> Result<Filter> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.optional_id("person_id", &request.person_id, PersonId::parse);
    let region = fields.optional_id("region_code", &request.region_code, RegionCode::parse);
    let (programme, person, region) = fields.all((programme, person, region))?;
    Ok(Filter { programme, person, region })
}

/// An adjustment, for an answer.
pub(crate) fn adjustment_to_proto(adjustment: Adjustment) -> proto::Adjustment {
    proto::Adjustment {
        person_id: adjustment.person_id.into(),
        item: adjustment.item.to_string(),
        points: to_int32(adjustment.points),
        max_points: to_int32(adjustment.max_points),
        kind: ProtoKind::from(adjustment.kind).into(),
        reason: adjustment.reason,
        decided_time: Some(to_timestamp(adjustment.decided_at)),
        expires_time: adjustment.expires_at.map(to_timestamp),
        decided_by: adjustment.actor,
        number: to_int32(adjustment.number),
        fact_id: adjustment.fact_id,
        retracted: !adjustment.stands,
    }
}

/// Reads the programme of a request.
pub(crate) fn programme(text: &str) -> Result<ProgrammeId> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", text, ProgrammeId::parse);
    let (programme,) = fields.all((programme,))?;
    Ok(programme)
}

/// Reads a FinaliseProgramme: which programme, and why.
pub(crate) fn finalise(request: &proto::FinaliseProgrammeRequest) -> Result<(ProgrammeId, String)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let reason = fields.text("reason", &request.reason, REASON_CHARS_MAX);
    fields.all((programme, reason))
}

/// Reads a FreezeScores: which programme, which version.
pub(crate) fn freeze(request: &proto::FreezeScoresRequest) -> Result<(ProgrammeId, i64)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let version = fields.integer("version", request.version, 1..=i32::MAX);
    let (programme, version) = fields.all((programme, version))?;
    Ok((programme, version.into()))
}

/// ListScoreChanges.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    pub(crate) programme: ProgrammeId,
    pub(crate) from: i64,
    /// 0 for the newest.
    pub(crate) to: i64,
    pub(crate) region: Option<RegionCode>,
}

/// Reads a ListScoreChanges.
pub(crate) fn changes(request: &proto::ListScoreChangesRequest) -> Result<Changes> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let from = fields.integer("from_version", request.from_version, 1..=i32::MAX);
    let to = fields.integer("to_version", request.to_version, 0..=i32::MAX);
    let region = fields.optional_id("region_code", &request.region_code, RegionCode::parse);
    let (programme, from, to, region) = fields.all((programme, from, to, region))?;
    Ok(Changes { programme, from: from.into(), to: to.into(), region })
}

/// IssueCertificates.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) programme: ProgrammeId,
    pub(crate) county: RegionCode,
    /// 0 for the newest.
    pub(crate) version: i64,
    pub(crate) person: Option<PersonId>,
    /// An id, or nothing.
    pub(crate) after: String,
}

/// Reads an IssueCertificates.
pub(crate) fn issue(request: &proto::IssueCertificatesRequest) -> Result<Issue> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let county = fields.id("county_code", &request.county_code, RegionCode::parse);
    let version = fields.integer("version", request.version, 0..=i32::MAX);
    let person = fields.optional_id("person_id", &request.person_id, PersonId::parse);
    let after = fields.optional_id("after", &request.after, PersonId::parse);
    let (programme, county, version, person, after) =
        fields.all((programme, county, version, person, after))?;
    let after = after.map(String::from).unwrap_or_default();
    Ok(Issue { programme, county, version: version.into(), person, after })
}

/// Reads a ListCertificates: which programme, where, whose.
pub(crate) fn certificates(
    request: &proto::ListCertificatesRequest,
) -> Result<(ProgrammeId, Option<RegionCode>, Option<PersonId>)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let region = fields.optional_id("region_code", &request.region_code, RegionCode::parse);
    let person = fields.optional_id("person_id", &request.person_id, PersonId::parse);
    fields.all((programme, region, person))
}

/// Reads a RevokeCertificate: which one, and why.
pub(crate) fn revoke(
    request: &proto::RevokeCertificateRequest,
) -> Result<(ProgrammeId, RegionCode, i64, String)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let county = fields.id("county_code", &request.county_code, RegionCode::parse);
    let serial = fields.integer("serial", request.serial, 1..=i32::MAX);
    let reason = fields.text("reason", &request.reason, REASON_CHARS_MAX);
    let (programme, county, serial, reason) = fields.all((programme, county, serial, reason))?;
    Ok((programme, county, serial.into(), reason))
}
