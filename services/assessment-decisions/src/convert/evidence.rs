//! From requests about evidence to commands, and from evidence to answers.

use shipei_contracts::decisions::v1 as proto;
use shipei_rules::{
    duties::{self, DoneWhen, Duty},
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::{Fields, Result, to_int32, to_timestamp};

use super::REASON_CHARS_MAX;
use crate::domain::evidence::{Bearer, Evidence, Submit};

/// The most characters of a link.
const LINK_CHARS_MAX: usize = 1_000;
/// The bytes of a SHA-256.
const SHA256_BYTES: usize = 32;
/// The most people that one piece of evidence is about.
const ABOUT_MAX: usize = 100;

/// Reads a SubmitEvidence.
pub(crate) fn submit(request: proto::SubmitEvidenceRequest) -> Result<Submit> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let bearer = bearer(&mut fields, &request.person_id, &request.region_code);
    let duty = told_duty(&mut fields, &request.duty);
    let text = fields.text("text", &request.text, REASON_CHARS_MAX);
    let link = link(&mut fields, &request.link);
    let file_sha256 = match request.file_sha256.len() {
        0 | SHA256_BYTES => Some(request.file_sha256),
        _ => fields.fault("file_sha256", "must have 32 bytes, or none"),
    };
    let about =
        fields.optional_list("about_person_ids", request.about_person_ids, ABOUT_MAX, |fields, id| {
            fields.id("", &id, PersonId::parse)
        });
    let (programme, bearer, duty, text, link, file_sha256, mut about) =
        fields.all((programme, bearer, duty, text, link, file_sha256, about))?;
    about.sort();
    about.dedup();
    Ok(Submit { programme, bearer, duty, text, link, file_sha256, about })
}

/// Who bears a duty: a person, a region, or neither.
fn bearer(fields: &mut Fields, person_id: &str, region_code: &str) -> Option<Bearer> {
    let person = fields.optional_id("person_id", person_id, PersonId::parse);
    let region = fields.optional_id("region_code", region_code, RegionCode::parse);
    match (person?, region?) {
        (Some(_), Some(_)) => fields.fault("region_code", "a duty is borne by a person or by a region"),
        (Some(person), None) => Some(Bearer::Person(person)),
        (None, Some(region)) => Some(Bearer::Region(region)),
        (None, None) => Some(Bearer::Institution),
    }
}

/// A duty of which nothing but its bearer tells that it was done.
fn told_duty(fields: &mut Fields, code: &str) -> Option<&'static Duty> {
    let Some(duty) = duties::duty(code) else { return fields.fault("duty", "Annex 1 has no such duty") };
    match duty.done_when {
        DoneWhen::Told(_) => Some(duty),
        DoneWhen::Fact(_) => {
            fields.fault("duty", "facts of the services show by themselves whether it was done")
        }
    }
}

fn link(fields: &mut Fields, link: &str) -> Option<String> {
    let link = fields.name("link", link, LINK_CHARS_MAX)?;
    let is_address = link.starts_with("https://") || link.starts_with("http://");
    if link.is_empty() || is_address && !link.contains(char::is_whitespace) {
        return Some(link);
    }
    fields.fault("link", "must be an http or https address, without blanks")
}

/// SendBackEvidence: which evidence of whom, and why.
#[derive(Debug, Clone)]
pub(crate) struct SendBack {
    pub(crate) programme: ProgrammeId,
    pub(crate) bearer: Bearer,
    pub(crate) fact_id: String,
    pub(crate) reason: String,
}

/// Reads a SendBackEvidence.
pub(crate) fn send_back(request: &proto::SendBackEvidenceRequest) -> Result<SendBack> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let bearer = bearer(&mut fields, &request.person_id, &request.region_code);
    let fact_id = fields.id("fact_id", &request.fact_id, |id| Ok::<_, &str>(id.to_owned()));
    let reason = fields.text("reason", &request.reason, REASON_CHARS_MAX);
    let (programme, bearer, fact_id, reason) = fields.all((programme, bearer, fact_id, reason))?;
    Ok(SendBack { programme, bearer, fact_id, reason })
}

/// Which evidence; absent parts are any.
#[derive(Debug, Clone)]
pub(crate) struct EvidenceFilter {
    pub(crate) programme: ProgrammeId,
    pub(crate) person: Option<PersonId>,
    pub(crate) region: Option<RegionCode>,
    pub(crate) duty: Option<&'static Duty>,
}

/// Reads a ListEvidence.
pub(crate) fn evidence_filter(request: &proto::ListEvidenceRequest) -> Result<EvidenceFilter> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.optional_id("person_id", &request.person_id, PersonId::parse);
    let region = fields.optional_id("region_code", &request.region_code, RegionCode::parse);
    let duty = match request.duty.as_str() {
        "" => Some(None),
        code => told_duty(&mut fields, code).map(Some),
    };
    let (programme, person, region, duty) = fields.all((programme, person, region, duty))?;
    Ok(EvidenceFilter { programme, person, region, duty })
}

/// Evidence, for an answer.
pub(crate) fn evidence_to_proto(evidence: Evidence) -> proto::Evidence {
    let mut message = proto::Evidence {
        person_id: evidence.bearer.person_id().to_owned(),
        region_code: evidence.bearer.region_code().to_owned(),
        duty: evidence.duty,
        number: to_int32(evidence.number),
        text: evidence.text,
        link: evidence.link,
        file_sha256: evidence.file_sha256,
        about_person_ids: evidence.about.into_iter().map(String::from).collect(),
        done_time: Some(to_timestamp(evidence.done_at)),
        submitted_by: evidence.actor,
        fact_id: evidence.fact_id,
        retracted: !evidence.stands,
        ..proto::Evidence::default()
    };
    if let Some(sent_back) = evidence.sent_back {
        message.sent_back_time = Some(to_timestamp(sent_back.at));
        message.sent_back_reason = sent_back.reason;
        message.sent_back_by = sent_back.actor;
        message.sent_back_fact_id = sent_back.fact_id;
    }
    message
}
