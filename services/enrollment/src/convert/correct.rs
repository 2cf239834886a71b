//! What is right of a person, and whom a search is for: from requests to typed values.

use shipei_contracts::{
    common::v1::{DevelopmentStage, EducationStage, ErrorReason},
    enrollment::v1 as pb,
};
use shipei_rules::{
    identity_number::IdentityNumber,
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
    subjects,
    teaching::{Teaching, TeachingChange},
};
use shipei_service_kit::{Fields, Refusal, Result};
use shipei_store::DataKeys;

use super::{NAME_CHARACTERS_MAX, REASON_CHARACTERS_MAX, name, person, programme};
use crate::{
    roster::{IdentityDigest, plain_number},
    store::person::Sought,
};

/// What is right of a person; what is absent stays.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) name: Option<String>,
    pub(crate) identity_number: Option<IdentityNumber>,
    /// Without a number.
    pub(crate) teaching: TeachingChange,
    pub(crate) reason: String,
}

impl Right {
    /// Whether nothing is said.
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.identity_number.is_none() && !self.is_of_teaching()
    }

    /// Whether anything is said of what they teach, or of their stage.
    pub(crate) fn is_of_teaching(&self) -> bool {
        let TeachingChange { subject, education_stage, development_stage, .. } = &self.teaching;
        subject.is_some() || education_stage.is_some() || development_stage.is_some()
    }
}

/// Who, and what is right of them.
pub(crate) fn right(request: &pb::CorrectPersonRequest) -> Result<(ProgrammeId, PersonId, Right)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        person(&mut fields, "person_id", &request.person_id),
        given(request.name.as_ref(), |text| name(&mut fields, "name", text)),
    );
    let number = given(request.id_number.as_ref(), |text| identity_number(&mut fields, text));
    let subject = given(request.subject.as_ref(), |text| {
        fields.name("subject", text, NAME_CHARACTERS_MAX).map(|text| subjects::written(&text))
    });
    let education_stage =
        fields.optional_choice::<EducationStage>("education_stage", request.education_stage);
    let development_stage =
        fields.optional_choice::<DevelopmentStage>("development_stage", request.development_stage);
    let since = fields.optional_timestamp("since_time", request.since_time);
    let reason = fields.text("reason", &request.reason, REASON_CHARACTERS_MAX);
    let rest = (number, subject, education_stage, development_stage, since, reason);
    let (programme_id, person_id, name) = parsed;
    let (number, subject, education_stage, development_stage, since, reason) = rest;
    let parsed =
        (programme_id, person_id, name, number, subject, education_stage, development_stage, since, reason);
    let (
        programme_id,
        person_id,
        name,
        identity_number,
        subject,
        education_stage,
        development_stage,
        since,
        reason,
    ) = fields.all(parsed)?;
    let teaching = TeachingChange {
        since,
        number: 0,
        subject,
        education_stage: education_stage.and_then(EducationStage::known),
        development_stage: development_stage.and_then(DevelopmentStage::known),
    };
    let right = Right { name, identity_number, teaching, reason };
    if right.is_empty() {
        let mut fields = Fields::new();
        for field in ["name", "id_number", "subject", "education_stage", "development_stage"] {
            let _: Option<()> = fields.fault(field, "give what is right");
        }
        fields.finish()?;
    }
    Ok((programme_id, person_id, right))
}

/// A value that may be unset: `Some(None)`.
fn given<T>(value: Option<&String>, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(text) => read(text).map(Some),
    }
}

fn identity_number(fields: &mut Fields, text: &str) -> Option<IdentityNumber> {
    match IdentityNumber::parse(&plain_number(text)) {
        Ok(number) => Some(number),
        Err(error) => {
            let refusal = Refusal::new(ErrorReason::InvalidIdentityNumber).because(error.to_string());
            fields.refuse("id_number", refusal)
        }
    }
}

/// Whom a search is for, and where.
pub(crate) fn find(
    request: &pb::FindPersonsRequest,
    keys: &DataKeys,
) -> Result<(ProgrammeId, Sought, Option<RegionCode>)> {
    let mut fields = Fields::new();
    let programme_id = programme(&mut fields, &request.programme_id);
    let sought = match (request.id_number.as_str(), request.name.as_str()) {
        ("", "") => fields.fault("id_number", "required, or a name"),
        ("", name) => {
            let name = fields.name("name", name, NAME_CHARACTERS_MAX);
            name.and_then(|name| match shipei_text::same_name_key(&name) {
                key if key.is_empty() => fields.fault("name", "blank"),
                key => Some(Sought::Name(key)),
            })
        }
        (number, "") => {
            let number = identity_number(&mut fields, number);
            let digest = |id| number.as_ref().map(|number| identity_digest(keys, id, number));
            programme_id.as_ref().and_then(digest).map(Sought::Number)
        }
        _ => fields.fault("name", "either a number or a name"),
    };
    let region = fields.optional_id("region_code", &request.region_code, RegionCode::parse);
    fields.all((programme_id, sought, region))
}

/// The keyed digest by which an identity number is found in a programme.
pub(crate) fn identity_digest(
    keys: &DataKeys,
    programme_id: &ProgrammeId,
    number: &IdentityNumber,
) -> IdentityDigest {
    let context = format!("enrollment.identity_number/{programme_id}");
    keys.lookup().digest(context.as_bytes(), number.reveal().as_bytes())
}

/// The keyed digest by which an identity number is found in the bars of all programmes.
pub(crate) fn barred_digest(keys: &DataKeys, number: &IdentityNumber) -> IdentityDigest {
    keys.lookup().digest(b"enrollment.barred_number", number.reveal().as_bytes())
}

/// What a change says of what somebody teaches, as events have it: of `teaching`, only what changes.
pub(crate) fn teaching_to(teaching: &Teaching, change: &TeachingChange) -> pb::Teaching {
    let education_stage = change.education_stage.and(teaching.education_stage);
    let development_stage = change.development_stage.and(teaching.development_stage);
    pb::Teaching {
        subject: change.subject.as_ref().map(|_| teaching.subject.clone()),
        education_stage: super::education_stage_to(education_stage).into(),
        development_stage: super::development_stage_to(development_stage).into(),
    }
}
