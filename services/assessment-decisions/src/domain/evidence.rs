//! Evidence that a duty of Annex 1 was done: who may tell it of whom, what it must name, and who may send it back.
//!
//! Order of refusals: who is not to tell it, whose duty it is not, who is away, whom it is about.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::{ErrorReason, Role as CallerRole};
use shipei_mirror::Member;
use shipei_rules::{
    duties::{DoneWhen, Duty, Told},
    ids::{PersonId, ProgrammeId, text_of},
    region::{RegionCode, RegionLevel},
    vocabulary::Role,
};
use shipei_service_kit::Refusal;

use crate::error::{Decided, invalid, not_found};

/// Who bears a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// A trainee, a class tutor or a subject expert.
    Person(PersonId),
    /// A county, for its counselors, or a city, for its lead.
    Region(RegionCode),
    /// The training institution.
    Institution,
}

impl Bearer {
    /// The person, if it is one.
    pub(crate) fn person_id(&self) -> &str {
        match self {
            Self::Person(person) => person.as_str(),
            _ => "",
        }
    }

    /// The region, if it is one.
    pub(crate) fn region_code(&self) -> &str {
        match self {
            Self::Region(region) => region.as_str(),
            _ => "",
        }
    }
}

/// SubmitEvidence: what somebody tells.
#[derive(Debug, Clone)]
pub(crate) struct Submit {
    pub(crate) programme: ProgrammeId,
    pub(crate) bearer: Bearer,
    pub(crate) duty: &'static Duty,
    pub(crate) text: String,
    pub(crate) link: String,
    pub(crate) file_sha256: Vec<u8>,
    /// By id, each once.
    pub(crate) about: Vec<PersonId>,
}

/// Evidence as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) bearer: Bearer,
    /// Among the bearer's; 0 until it is kept.
    pub(crate) number: i64,
    /// The duty's code.
    pub(crate) duty: String,
    pub(crate) text: String,
    pub(crate) link: String,
    pub(crate) file_sha256: Vec<u8>,
    pub(crate) about: Vec<PersonId>,
    pub(crate) done_at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) fact_id: String,
    /// Whether it was not retracted.
    pub(crate) stands: bool,
    /// Its first being sent back that stands.
    pub(crate) sent_back: Option<SentBack>,
}

/// That evidence was sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentBack {
    pub(crate) at: DateTime<Utc>,
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) fact_id: String,
}

/// Whether a role stands above another in the tree: 参训教师 < 班级辅导教师 < 县(区)辅导员 < 市级负责人 < 承培机构, and 学科专家 < 承培机构.
fn is_above(role: Role, below: Role) -> bool {
    const LADDER: [Role; 5] = [
        Role::Trainee,
        Role::ClassTutor,
        Role::CountyCounselor,
        Role::MunicipalLead,
        Role::TrainingInstitution,
    ];
    let step = |role| LADDER.iter().position(|known| *known == role);
    match (step(role), step(below)) {
        (Some(upper), Some(lower)) => upper > lower,
        (Some(_), None) => role == Role::TrainingInstitution,
        _ => false,
    }
}

/// Who may tell that a duty was done: who bears it, and the institution and the province of everybody. (A service, and who says
/// nothing of themself to an open server, are let in as what they are for; the contract says who.)
///
/// # Errors
/// NOT_PERMITTED.
pub(crate) fn may_tell(caller: CallerRole, duty: &Duty) -> Decided<()> {
    match caller.known() {
        None | Some(Role::TrainingInstitution) => Ok(()),
        Some(role) if role == duty.role => Ok(()),
        Some(_) => Err(Refusal::new(ErrorReason::NotPermitted).field("duty")),
    }
}

/// Who may send back evidence of a duty: the one above whose duty it is.
///
/// # Errors
/// NOT_PERMITTED.
pub(crate) fn may_send_back(caller: CallerRole, duty: &Duty) -> Decided<()> {
    match caller.known() {
        Some(role) if !is_above(role, duty.role) => {
            Err(Refusal::new(ErrorReason::NotPermitted).field("fact_id"))
        }
        _ => Ok(()),
    }
}

/// Whether a duty of this role is a person's, a region's or the institution's, as it was told.
///
/// # Errors
/// NOT_FOUND for a person who is not of the role and a region that is not of its level, INVALID_FIELD for a bearer of another kind,
/// WITHDRAWN.
pub(crate) fn decide_bearer(
    command: &Submit,
    member: Option<&Member>,
    level: Option<RegionLevel>,
    at: DateTime<Utc>,
) -> Decided<()> {
    let role = command.duty.role;
    match (&command.bearer, role) {
        (Bearer::Person(_), Role::Trainee | Role::ClassTutor | Role::SubjectExpert) => {
            let member = member.filter(|member| member.role == role).ok_or_else(|| not_found("person_id"))?;
            if member.absences.at(at) {
                return Err(Refusal::new(ErrorReason::Withdrawn).with("person_id", member.person_id.as_str()));
            }
            Ok(())
        }
        (Bearer::Region(_), Role::CountyCounselor) if level == Some(RegionLevel::County) => Ok(()),
        (Bearer::Region(_), Role::MunicipalLead) if level == Some(RegionLevel::City) => Ok(()),
        (Bearer::Region(_), Role::CountyCounselor | Role::MunicipalLead) => Err(not_found("region_code")),
        (Bearer::Institution, Role::TrainingInstitution) => Ok(()),
        (_, Role::Trainee | Role::ClassTutor | Role::SubjectExpert) => {
            Err(invalid("person_id", "the duty is a person's"))
        }
        (_, Role::CountyCounselor | Role::MunicipalLead) => {
            Err(invalid("region_code", "the duty is a county's or a city's"))
        }
        (_, Role::TrainingInstitution) => Err(invalid(
            "duty",
            "the duty is the training institution's, which is neither a person nor a region",
        )),
    }
}

/// In which roles somebody may be whom evidence of a duty is about, each of them named; none, where it is about nobody.
pub(crate) fn about_roles(told: Told) -> &'static [Role] {
    match told {
        Told::Deed | Told::OfflineCourse => &[],
        Told::Tutors => &[Role::ClassTutor],
        Told::Staff => &[Role::ClassTutor, Role::SubjectExpert],
        Told::Trainees => &[Role::Trainee],
    }
}

/// What is known of somebody whom evidence is about, in one of their roles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) member: &'a Member,
    /// Whether they belong to who tells it: a tutor to the city, a trainee to a class of the tutor.
    pub(crate) is_own: bool,
}

/// Whether evidence names whom its duty asks for. `found` has those of them who are members in one of its roles; `has_course` says whether the trainee's
/// county had determined an offline course by then.
///
/// # Errors
/// INVALID_FIELD for too many or too few, NOT_FOUND for nobody, NOT_CLASS_MEMBER, COURSE_NOT_APPLICABLE.
pub(crate) fn decide_about(
    command: &Submit,
    found: &[About<'_>],
    has_course: bool,
    at: DateTime<Utc>,
) -> Decided<()> {
    let DoneWhen::Told(told) = command.duty.done_when else { return Ok(()) };
    if told == Told::OfflineCourse && !has_course {
        return Err(Refusal::new(ErrorReason::CourseNotApplicable)
            .because("the county has not determined an offline course"));
    }
    let wanted = about_roles(told);
    if wanted.is_empty() && !command.about.is_empty() {
        return Err(invalid("about_person_ids", "the duty is about nobody"));
    }
    for person in &command.about {
        let is_there = |about: &&About<'_>| {
            let member = about.member;
            member.person_id == *person && wanted.contains(&member.role) && !member.absences.at(at)
        };
        let about = found.iter().find(is_there);
        let Some(about) = about else { return Err(not_found("about_person_ids")) };
        match told {
            Told::Trainees if !about.is_own => {
                return Err(Refusal::new(ErrorReason::NotClassMember)
                    .field("about_person_ids")
                    .with("person_id", person.as_str()));
            }
            Told::Tutors if !about.is_own => return Err(not_found("about_person_ids")),
            _ => {}
        }
    }
    let is_named = |role: &Role| found.iter().any(|about| about.member.role == *role);
    if !wanted.iter().all(is_named) {
        return Err(invalid(
            "about_person_ids",
            "who is recommended or appointed is to be named, one of each at least",
        ));
    }
    Ok(())
}

/// The region in which evidence stands: where a person stood then, the region itself, or the programme's.
pub(crate) fn region_of(
    bearer: &Bearer,
    member: Option<&Member>,
    programme: RegionCode,
    at: DateTime<Utc>,
) -> RegionCode {
    match bearer {
        Bearer::Person(_) => member.and_then(|member| member.places.at(at).county_code).unwrap_or(programme),
        Bearer::Region(region) => *region,
        Bearer::Institution => programme,
    }
}

/// What an event of a bearer's evidence is about: the bearer, or the programme.
pub(crate) fn subject_of<'a>(bearer: &'a Bearer, programme: &'a ProgrammeId) -> &'a str {
    match bearer {
        Bearer::Person(person) => person.as_str(),
        Bearer::Region(region) => text_of(Some(region)),
        Bearer::Institution => programme.as_str(),
    }
}

#[cfg(test)]
mod tests;
