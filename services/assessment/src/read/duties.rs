//! Records: where the duties of somebody stand, of a county, of a city, of the training institution.

use shipei_contracts::{
    assessment::v1::{
        DutyState as StateNumber, GetInstitutionRecordRequest, GetInstitutionRecordResponse,
        GetRecordRequest, GetRecordResponse, GetRegionRecordRequest, GetRegionRecordResponse,
        JudgedDuty as JudgedMessage, Record,
    },
    common::v1::{ErrorReason, Role as RoleNumber},
};
use shipei_rules::{
    duties::{DoneWhen, DutyState},
    ids::{PersonId, text_of},
    region::{RegionCode, RegionLevel},
    vocabulary::Role,
};
use shipei_service_kit::{ReadUnit, Refusal, Result, to_int32, to_timestamp};

use super::{Reading, merged_or_not_found, not_found};
use crate::{
    Assessment,
    assemble::duties::{self, Asked, JudgedDuty},
    convert,
};

impl Assessment {
    pub(crate) async fn get_record(
        self,
        mut unit: ReadUnit,
        request: GetRecordRequest,
    ) -> Result<(ReadUnit, GetRecordResponse)> {
        let (programme_id, person_id, as_of) =
            convert::person(&request.programme_id, &request.person_id, request.as_of)?;
        let reading = Reading::begin(&mut unit, &self.schemes, &programme_id, as_of).await?;
        let tx = &mut unit.tx;
        let roles = shipei_mirror::roles_of(tx, &unit.reach, &programme_id, &person_id, unit.now).await?;
        let role = decide_role(&roles, convert::asked_role(request.role)?)?;
        let member = shipei_mirror::member(tx, &programme_id, role, &person_id).await?;
        let Some(member) = member else { return Err(not_found("person_id")) };
        if member.counts_for.is_some() {
            return Err(merged_or_not_found(tx, &programme_id, role, &person_id).await?);
        }
        let asked = reading.asked();
        let mut bearer = Bearer { role, person: Some(person_id), region: None };
        if member.absences.at(asked.as_of) {
            let record = Record { withdrawn: true, ..record(&reading, &bearer, Vec::new()) };
            return Ok((unit, GetRecordResponse { record: Some(record) }));
        }
        let judged = match role {
            Role::Trainee => duties::of_trainee(tx, asked, &member).await?,
            Role::ClassTutor => duties::of_tutor(tx, asked, &member).await?,
            Role::SubjectExpert => duties::of_expert(tx, asked, &member).await?,
            Role::TrainingInstitution => duties::of_institution(tx, asked).await?,
            Role::CountyCounselor | Role::MunicipalLead => {
                let Some(region) = member.places.at(asked.as_of).county_code else {
                    return Err(not_found("person_id"));
                };
                bearer.region = Some(region);
                match role {
                    Role::MunicipalLead => duties::of_city(tx, asked, region).await?,
                    _ => duties::of_county(tx, asked, region, Some(&member)).await?,
                }
            }
        };
        let record = Some(record(&reading, &bearer, judged));
        Ok((unit, GetRecordResponse { record }))
    }

    pub(crate) async fn get_region_record(
        self,
        mut unit: ReadUnit,
        request: GetRegionRecordRequest,
    ) -> Result<(ReadUnit, GetRegionRecordResponse)> {
        let (programme_id, region, as_of) =
            convert::region(&request.programme_id, &request.region_code, request.as_of)?;
        let reading = Reading::begin(&mut unit, &self.schemes, &programme_id, as_of).await?;
        let (tx, asked) = (&mut unit.tx, reading.asked());
        let found = shipei_mirror::region(tx, &programme_id, region).await?;
        let (role, judged) = match found.and_then(|found| RegionLevel::parse(&found.level)) {
            Some(RegionLevel::County) => {
                (Role::CountyCounselor, duties::of_county(tx, asked, region, None).await?)
            }
            Some(RegionLevel::City) => (Role::MunicipalLead, duties::of_city(tx, asked, region).await?),
            Some(RegionLevel::Province) | None => return Err(not_found("region_code")),
        };
        let bearer = Bearer { role, person: None, region: Some(region) };
        let record = Some(record(&reading, &bearer, judged));
        Ok((unit, GetRegionRecordResponse { record }))
    }

    pub(crate) async fn get_institution_record(
        self,
        mut unit: ReadUnit,
        request: GetInstitutionRecordRequest,
    ) -> Result<(ReadUnit, GetInstitutionRecordResponse)> {
        let (programme_id, as_of) = convert::programme_as_of(&request.programme_id, request.as_of)?;
        let reading = Reading::begin(&mut unit, &self.schemes, &programme_id, as_of).await?;
        let judged = duties::of_institution(&mut unit.tx, reading.asked()).await?;
        let bearer = Bearer { role: Role::TrainingInstitution, person: None, region: None };
        let record = Some(record(&reading, &bearer, judged));
        Ok((unit, GetInstitutionRecordResponse { record }))
    }
}

/// Whose record is meant of somebody: in the role that is asked for, else in the only one.
fn decide_role(roles: &[Role], asked: Option<Role>) -> Result<Role> {
    match (roles, asked) {
        (_, Some(asked)) if roles.contains(&asked) => Ok(asked),
        ([], _) | (_, Some(_)) => Err(not_found("person_id")),
        ([role], None) => Ok(*role),
        (_, None) => {
            let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            Err(Refusal::new(ErrorReason::RoleRequired).field("role").with("roles", words.join(", ")).into())
        }
    }
}

impl Reading {
    fn asked(&self) -> Asked<'_> {
        Asked { programme_id: &self.programme_id, windows: &self.windows, as_of: self.at.as_of }
    }
}

/// Whose record it is.
struct Bearer {
    role: Role,
    person: Option<PersonId>,
    region: Option<RegionCode>,
}

/// What is to be done next: what can be done on time before what was missed, each by its deadline.
fn next(judged: &[JudgedDuty]) -> Vec<String> {
    let mut open: Vec<&JudgedDuty> = judged
        .iter()
        .filter(|judged| matches!(judged.state, DutyState::Pending | DutyState::Missed))
        .collect();
    open.sort_by_key(|judged| (judged.state, judged.period.until));
    open.into_iter().map(|judged| judged.duty.code.to_owned()).collect()
}

fn record(reading: &Reading, bearer: &Bearer, judged: Vec<JudgedDuty>) -> Record {
    let count = |state: DutyState| {
        let number = judged.iter().filter(|judged| judged.state == state).count();
        i32::try_from(number).unwrap_or(i32::MAX)
    };
    Record {
        person_id: text_of(bearer.person.as_ref()).to_owned(),
        region_code: text_of(bearer.region.as_ref()).to_owned(),
        role: RoleNumber::from(bearer.role).into(),
        on_time: count(DutyState::OnTime),
        late: count(DutyState::Late),
        pending: count(DutyState::Pending),
        missed: count(DutyState::Missed),
        excused: count(DutyState::Excused),
        next: next(&judged),
        duties: judged.into_iter().map(message).collect(),
        withdrawn: false,
        as_of: Some(to_timestamp(reading.at.as_of)),
        scheme_version: to_int32(reading.at.scheme_version),
    }
}

fn message(judged: JudgedDuty) -> JudgedMessage {
    let JudgedDuty { duty, period, state, done, sent_back, excused_by } = judged;
    let state = match state {
        DutyState::OnTime => StateNumber::OnTime,
        DutyState::Late => StateNumber::Late,
        DutyState::Pending => StateNumber::Pending,
        DutyState::Missed => StateNumber::Missed,
        DutyState::Excused => StateNumber::Excused,
    };
    JudgedMessage {
        code: duty.code.to_owned(),
        window: duty.stage.to_owned(),
        duty_zh: duty.duty_zh.to_owned(),
        duty_en: duty.duty_en.to_owned(),
        state: state.into(),
        from_time: Some(to_timestamp(period.from)),
        until_time: Some(to_timestamp(period.until)),
        done_time: done.as_ref().map(|done| to_timestamp(done.at)),
        evidence: done.map(|done| done.by).or(excused_by).unwrap_or_default(),
        told_by_bearer: matches!(duty.done_when, DoneWhen::Told(_)),
        sent_back,
    }
}
