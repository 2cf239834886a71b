//! From requests to typed values, by field name, and from rows to messages. No SQL, no decisions. A new request is a
//! function that ends in `fields.all(..)`, so that all its faults are reported at once.

mod correct;
mod extension;
mod moves;
mod places;
mod sealed;

pub(crate) use correct::{Right, barred_digest, find, identity_digest, right, teaching_to};
pub(crate) use extension::{extension_to, new_extension};
pub(crate) use moves::{transfer, transfers};
pub(crate) use places::{PlaceChange, PlaceRequest, class_to, kind_from, kind_to, region_to, school_to};
pub(crate) use sealed::{new_key, opened_by, opened_number, sealed_number, vault_of, vault_of_row};
use shipei_contracts::{common::v1 as common, enrollment::v1 as pb};
use shipei_rules::{
    duties::Duty,
    ids::{ClassId, PersonId, ProgrammeId, RemittanceRef, SchoolCode, text_of},
    region::{RegionCode, RegionLevel},
    scheme::Scheme,
    vocabulary::{DevelopmentStage, EducationStage, Role},
};
use shipei_service_kit::{Error, Fields, Refusal, Result, to_int32, to_timestamp};
use shipei_store::DataKeys;

use crate::{
    domain::{Merge, Place},
    store::{
        Life, Maybe,
        bar::BarRow,
        class::ClassRow,
        county::{CountyRow, RemittanceRow},
        honour::ChoiceRow,
        person::PersonRow,
        programme::ProgrammeRow,
        region::{RegionRow, SchoolRow},
    },
};

/// The longest name, title or subject, characters.
pub(crate) const NAME_CHARACTERS_MAX: usize = 500;
/// The longest reason for leaving, characters.
pub(crate) const REASON_CHARACTERS_MAX: usize = 10_000;
/// The longest reason why a tutor is not to be appointed again, characters: a page of such is an answer that can be sent.
const BAR_REASON_CHARACTERS_MAX: usize = 500;
/// The longest scheme, bytes.
pub(crate) const SCHEME_BYTES_MAX: usize = 64 * 1024;
/// The largest remittance, fen: ten thousand million yuan.
pub(crate) const AMOUNT_FEN_MAX: i64 = 1_000_000_000_000;

/// The programme that a request names.
pub(crate) fn programme(fields: &mut Fields, value: &str) -> Option<ProgrammeId> {
    fields.id("programme_id", value, ProgrammeId::parse)
}

/// A person that a request names.
pub(crate) fn person(fields: &mut Fields, field: &str, value: &str) -> Option<PersonId> {
    fields.id(field, value, PersonId::parse)
}

/// A region that a request names.
pub(crate) fn region(fields: &mut Fields, field: &str, value: &str) -> Option<RegionCode> {
    fields.id(field, value, RegionCode::parse)
}

/// A name, which may be empty: lists of counties have gaps, no rule reads a name, and without a region, a school or a
/// class all its people would be lost.
pub(crate) fn name(fields: &mut Fields, field: &str, value: &str) -> Option<String> {
    fields.name(field, value, NAME_CHARACTERS_MAX)
}

/// Programme and person.
pub(crate) fn programme_and_person(
    programme_id: &str,
    field: &str,
    person_id: &str,
) -> Result<(ProgrammeId, PersonId)> {
    let mut fields = Fields::new();
    let ids = (programme(&mut fields, programme_id), person(&mut fields, field, person_id));
    fields.all(ids)
}

/// Programme and region.
pub(crate) fn programme_and_region(
    programme_id: &str,
    field: &str,
    code: &str,
) -> Result<(ProgrammeId, RegionCode)> {
    let mut fields = Fields::new();
    let ids = (programme(&mut fields, programme_id), region(&mut fields, field, code));
    fields.all(ids)
}

/// Programme, region and the person who acts there.
pub(crate) fn programme_region_person(
    programme_id: &str,
    (region_field, code): (&str, &str),
    (person_field, person_id): (&str, &str),
) -> Result<(ProgrammeId, RegionCode, PersonId)> {
    let mut fields = Fields::new();
    let ids = (
        programme(&mut fields, programme_id),
        region(&mut fields, region_field, code),
        person(&mut fields, person_field, person_id),
    );
    fields.all(ids)
}

/// Programme, county and reference of a remittance.
pub(crate) fn remittance_key(
    programme_id: &str,
    county_code: &str,
    reference: &str,
) -> Result<(ProgrammeId, RegionCode, RemittanceRef)> {
    let mut fields = Fields::new();
    let ids = (
        programme(&mut fields, programme_id),
        region(&mut fields, "county_code", county_code),
        fields.id("ref", reference, RemittanceRef::parse),
    );
    fields.all(ids)
}

/// A remittance that is sent.
pub(crate) fn remittance(
    request: &pb::SendRemittanceRequest,
) -> Result<(ProgrammeId, RegionCode, RemittanceRef, i64)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        region(&mut fields, "county_code", &request.county_code),
        fields.id("ref", &request.r#ref, RemittanceRef::parse),
        fields.integer("amount_fen", request.amount_fen, 0..=AMOUNT_FEN_MAX),
    );
    fields.all(parsed)
}

/// A scheme's text as it is: the digest is of these very bytes.
pub(crate) fn scheme_text(text: &str) -> Result<()> {
    let mut fields = Fields::new();
    if text.is_empty() {
        fields.fault::<()>("scheme_toml", "required");
    }
    if text.len() > SCHEME_BYTES_MAX {
        let bytes_max = SCHEME_BYTES_MAX.to_string();
        fields.refuse::<()>(
            "scheme_toml",
            Refusal::new(common::ErrorReason::TextTooLong).with("bytes_max", bytes_max),
        );
    } else {
        let _ = fields.optional_text("scheme_toml", text, SCHEME_BYTES_MAX);
    }
    fields.finish()
}

/// A region that is created, without what only the programme can say.
pub(crate) fn new_region(request: &pb::CreateRegionRequest) -> Result<(ProgrammeId, RegionLevel, RegionRow)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        region(&mut fields, "code", &request.code),
        name(&mut fields, "name", &request.name),
        fields.choice::<pb::RegionLevel>("level", request.level),
        fields.optional_id("parent_code", &request.parent_code, RegionCode::parse),
    );
    let (programme_id, code, name, level, parent_code) = fields.all(parsed)?;
    let level = match level {
        pb::RegionLevel::Province => RegionLevel::Province,
        pb::RegionLevel::City => RegionLevel::City,
        pb::RegionLevel::County => RegionLevel::County,
        pb::RegionLevel::Unspecified => return Err(Error::invalid("level", "required")),
    };
    let life = Life::begun(&name);
    let row = RegionRow {
        code,
        name,
        level: level.as_str().to_owned(),
        parent_code: Maybe(parent_code),
        created_parent_code: Maybe(parent_code),
        in_national_standard: false,
        life,
    };
    Ok((programme_id, level, row))
}

/// A county that comes to lie in another region.
pub(crate) fn region_move(request: &pb::MoveRegionRequest) -> Result<(ProgrammeId, RegionCode, RegionCode)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        region(&mut fields, "code", &request.code),
        region(&mut fields, "parent_code", &request.parent_code),
    );
    fields.all(parsed)
}

/// A school that is created.
pub(crate) fn new_school(request: &pb::CreateSchoolRequest) -> Result<(ProgrammeId, SchoolRow)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        fields.id("school_code", &request.school_code, SchoolCode::parse),
        name(&mut fields, "name", &request.name),
        region(&mut fields, "county_code", &request.county_code),
    );
    let (programme_id, school_code, name, county_code) = fields.all(parsed)?;
    let life = Life::begun(&name);
    Ok((programme_id, SchoolRow { school_code, name, county_code, created_county_code: county_code, life }))
}

/// A class that is created.
pub(crate) fn new_class(request: &pb::CreateClassRequest) -> Result<(ProgrammeId, ClassRow)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        fields.id("class_id", &request.class_id, ClassId::parse),
        name(&mut fields, "name", &request.name),
        region(&mut fields, "region_code", &request.region_code),
        fields.optional_id("tutor_id", &request.tutor_id, PersonId::parse),
    );
    let (programme_id, class_id, name, region_code, tutor_id) = fields.all(parsed)?;
    let (tutor_id, created_tutor_id) = (Maybe(tutor_id.clone()), Maybe(tutor_id));
    let (life, created_region_code) = (Life::begun(&name), region_code);
    let row = ClassRow { class_id, name, region_code, created_region_code, tutor_id, created_tutor_id, life };
    Ok((programme_id, row))
}

/// A class, its tutor from then on (none for nobody), and why.
pub(crate) fn tutor_change(
    request: &pb::ReplaceTutorRequest,
) -> Result<(ProgrammeId, ClassId, Option<PersonId>, String)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        fields.id("class_id", &request.class_id, ClassId::parse),
        fields.optional_id("tutor_id", &request.tutor_id, PersonId::parse),
        fields.text("reason", &request.reason, REASON_CHARACTERS_MAX),
    );
    fields.all(parsed)
}

/// Who leaves, and why.
pub(crate) fn withdrawal(request: &pb::WithdrawTraineeRequest) -> Result<(ProgrammeId, PersonId, String)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        person(&mut fields, "person_id", &request.person_id),
        fields.optional_text("reason", &request.reason, REASON_CHARACTERS_MAX),
    );
    fields.all(parsed)
}

/// Who comes back or is removed, and why.
pub(crate) fn person_and_reason(
    programme_id: &str,
    person_id: &str,
    reason: &str,
) -> Result<(ProgrammeId, PersonId, String)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, programme_id),
        person(&mut fields, "person_id", person_id),
        fields.text("reason", reason, REASON_CHARACTERS_MAX),
    );
    fields.all(parsed)
}

/// Who is erased, and on what ground.
pub(crate) fn erasure(
    request: &pb::ErasePersonRequest,
) -> Result<(ProgrammeId, PersonId, pb::ErasureGround)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        person(&mut fields, "person_id", &request.person_id),
        fields.choice::<pb::ErasureGround>("ground", request.ground),
    );
    fields.all(parsed)
}

/// Which tutor, and why.
pub(crate) fn tutor_and_reason(
    programme_id: &str,
    tutor_id: &str,
    reason: &str,
) -> Result<(ProgrammeId, PersonId, String)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, programme_id),
        person(&mut fields, "tutor_id", tutor_id),
        fields.text("reason", reason, BAR_REASON_CHARACTERS_MAX),
    );
    fields.all(parsed)
}

/// Two ids of one person, and why.
pub(crate) fn merge(request: &pb::MergePersonsRequest) -> Result<(ProgrammeId, Merge, Option<Role>, String)> {
    let mut fields = Fields::new();
    let kept_id = person(&mut fields, "person_id", &request.person_id);
    let mut merged_id = person(&mut fields, "merged_id", &request.merged_id);
    if merged_id.is_some() && merged_id == kept_id {
        merged_id = fields.fault("merged_id", "it is the id that is kept");
    }
    let parsed = (
        programme(&mut fields, &request.programme_id),
        kept_id,
        merged_id,
        optional_role(&mut fields, request.role),
        fields.text("reason", &request.reason, REASON_CHARACTERS_MAX),
    );
    let (programme_id, kept_id, merged_id, role, reason) = fields.all(parsed)?;
    Ok((programme_id, Merge { merged_id, kept_id }, role, reason))
}

/// A role filter: absent for all; a role that no person has is a fault.
pub(crate) fn optional_role(fields: &mut Fields, value: i32) -> Option<Option<Role>> {
    match fields.optional_choice::<common::Role>("role", value)? {
        None => Some(None),
        Some(role) => match role.known() {
            Some(role) => Some(Some(role)),
            None => fields.fault("role", "not a role of the notice"),
        },
    }
}

/// The one of a person's roles that is meant; absent for the only one.
pub(crate) fn asked_role(value: i32) -> Result<Option<Role>> {
    let mut fields = Fields::new();
    let role = optional_role(&mut fields, value);
    let (role,) = fields.all((role,))?;
    Ok(role)
}

/// A role as messages have it.
pub(crate) fn role_to(role: Role) -> common::Role {
    role.into()
}

/// An education stage as messages have it.
pub(crate) fn education_stage_to(stage: Option<EducationStage>) -> common::EducationStage {
    stage.into()
}

/// A development stage as messages have it.
pub(crate) fn development_stage_to(stage: Option<DevelopmentStage>) -> common::DevelopmentStage {
    stage.into()
}

/// The level that a filter names; none for any.
pub(crate) fn level_of(level: Option<pb::RegionLevel>) -> Option<RegionLevel> {
    match level {
        Some(pb::RegionLevel::Province) => Some(RegionLevel::Province),
        Some(pb::RegionLevel::City) => Some(RegionLevel::City),
        Some(pb::RegionLevel::County) => Some(RegionLevel::County),
        Some(pb::RegionLevel::Unspecified) | None => None,
    }
}

/// What is odd about a scheme, for an answer.
pub(crate) fn warnings_of(scheme: &Scheme) -> Vec<pb::SchemeWarning> {
    let odd = scheme.oddities().into_iter();
    odd.map(|odd| pb::SchemeWarning { key: odd.key, message: odd.en, message_zh: odd.zh }).collect()
}

/// A programme as messages have it.
pub(crate) fn programme_to(row: ProgrammeRow, scheme: &Scheme) -> pb::Programme {
    pb::Programme {
        programme_id: row.programme_id.into(),
        title: scheme.title.clone(),
        region_code: row.region_code.into(),
        time_zone: scheme.zone.to_string(),
        scheme_version: to_int32(row.scheme_version),
        scheme_toml: row.scheme_toml,
        scheme_digest: row.digest,
        final_time: Some(to_timestamp(scheme.final_as_of())),
        created_time: Some(to_timestamp(row.occurred_at)),
    }
}

/// A duty as messages have it; `None` when the scheme's calendar lacks its window.
pub(crate) fn duty_to(duty: &Duty, scheme: &Scheme) -> Option<pb::Duty> {
    let period = duty.period(scheme)?;
    Some(pb::Duty {
        code: duty.code.to_owned(),
        role: role_to(duty.role).into(),
        window: duty.stage.to_owned(),
        duty_zh: duty.duty_zh.to_owned(),
        duty_en: duty.duty_en.to_owned(),
        done_when: duty.done_when_words.strip_prefix("fact:").unwrap_or(duty.done_when_words).to_owned(),
        from_time: Some(to_timestamp(period.from)),
        until_time: Some(to_timestamp(period.until)),
    })
}

/// A county as messages have it.
pub(crate) fn county_to(row: CountyRow) -> pb::County {
    pb::County {
        county_code: row.county_code.into(),
        name: row.name,
        reported_time: row.reported_at.map(to_timestamp),
        compiled_time: row.compiled_at.map(to_timestamp),
        remitted_time: row.remitted_at.map(to_timestamp),
        opened_time: row.opened_at.map(to_timestamp),
        active_trainees: to_int32(row.active_trainees),
        reported_fact_id: row.reported_fact_id.unwrap_or_default(),
        compiled_fact_id: row.compiled_fact_id.unwrap_or_default(),
        opened_fact_id: row.opened_fact_id.unwrap_or_default(),
    }
}

/// A remittance as messages have it.
pub(crate) fn remittance_to(row: RemittanceRow) -> pb::Remittance {
    pb::Remittance {
        county_code: row.county_code.into(),
        r#ref: row.r#ref.into(),
        amount_fen: row.amount_fen,
        sent_time: Some(to_timestamp(row.occurred_at)),
        confirmed_time: row.confirmed_at.map(to_timestamp),
        invoiced_time: row.invoiced_at.map(to_timestamp),
        fact_id: row.fact_id,
        confirmed_fact_id: row.confirmed_fact_id.unwrap_or_default(),
        invoiced_fact_id: row.invoiced_fact_id.unwrap_or_default(),
    }
}

/// A choice as messages have it.
pub(crate) fn choice_to(row: ChoiceRow) -> pb::TutorChoice {
    pb::TutorChoice {
        tutor_id: row.tutor_id.into(),
        expert_id: row.expert_id.into(),
        chosen_time: Some(to_timestamp(row.occurred_at)),
        fact_id: row.fact_id,
    }
}

pub(crate) fn bar_to(row: BarRow) -> pb::TutorBar {
    pb::TutorBar {
        tutor_id: row.tutor_id.into(),
        reason: row.reason,
        barred_time: Some(to_timestamp(row.occurred_at)),
        barred_by: row.actor,
        fact_id: row.fact_id,
    }
}

/// A place as messages have it; empty parts are none.
pub(crate) fn place_to(place: &Place) -> pb::TraineePlace {
    pb::TraineePlace {
        county_code: text_of(place.county_code.as_ref()).to_owned(),
        school_code: text_of(place.school_code.as_ref()).to_owned(),
        class_id: text_of(place.class_id.as_ref()).to_owned(),
    }
}

/// A person as messages have it, the identity number masked; of who was erased neither number nor name.
pub(crate) fn person_to(row: PersonRow, programme_id: &ProgrammeId, keys: &DataKeys) -> Result<pb::Person> {
    let masked = match row.erased_at {
        Some(_) => String::new(),
        None => opened_number(&row, programme_id, keys)?.masked(),
    };
    Ok(pb::Person {
        masked_identity_number: masked,
        erased_time: row.erased_at.map(to_timestamp),
        role: role_to(row.role()?).into(),
        education_stage: education_stage_to(row.education_stage()?).into(),
        development_stage: development_stage_to(row.development_stage()?).into(),
        login_time: row.login_at.map(to_timestamp),
        pre_job_time: row.pre_job_at.map(to_timestamp),
        withdrawn_time: row.withdrawn_at.map(to_timestamp),
        login_fact_id: row.login_fact_id.unwrap_or_default(),
        pre_job_fact_id: row.pre_job_fact_id.unwrap_or_default(),
        withdrawn_fact_id: row.withdrawn_fact_id.unwrap_or_default(),
        counts_for_id: row.counts_for_id.unwrap_or_default(),
        merge_fact_id: row.merge_fact_id.unwrap_or_default(),
        county_code: row.county_code.as_str().to_owned(),
        school_code: row.school_code.as_str().to_owned(),
        class_id: row.class_id.as_str().to_owned(),
        person_id: row.person_id.into(),
        name: row.name,
        subject: row.subject,
    })
}
