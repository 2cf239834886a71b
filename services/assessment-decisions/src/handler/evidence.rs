//! EvidenceService: that a duty was done, as its bearer tells it, and what the one above sends back.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shipei_contracts::{
    common::v1::{ErrorReason, Role as CallerRole},
    decisions::v1::{self as proto, evidence_service_server::EvidenceService},
};
use shipei_mirror::{Member, Windows};
use shipei_rules::{
    duties::{self, DoneWhen, Duty, Told},
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionLevel,
};
use shipei_service_kit::{Error, Listing, ReadUnit, Refusal, Result, Unit, Whose, to_int32};
use shipei_store::{Tx, tree};
use tonic::Request;

use super::{Answer, Handler};
use crate::{
    convert::evidence as convert,
    domain::evidence::{self as domain, About, Bearer, Evidence, SentBack, Submit},
    error::{Decided, not_found},
    store::evidence as store,
};

/// The duty by which a county says which offline courses there are.
const COURSE_DETERMINED: &str = "TRAIN-COUNSELOR-OFFLINE-COURSE";

#[tonic::async_trait]
impl EvidenceService for Handler {
    async fn submit_evidence(
        &self,
        request: Request<proto::SubmitEvidenceRequest>,
    ) -> Answer<proto::SubmitEvidenceResponse> {
        self.kit.write(self, request, Self::submit_evidence).await
    }

    async fn send_back_evidence(
        &self,
        request: Request<proto::SendBackEvidenceRequest>,
    ) -> Answer<proto::SendBackEvidenceResponse> {
        self.kit.write(self, request, Self::send_back_evidence).await
    }

    async fn list_evidence(
        &self,
        request: Request<proto::ListEvidenceRequest>,
    ) -> Answer<proto::ListEvidenceResponse> {
        self.kit.read(self, request, Self::evidence).await
    }
}

/// Whether the caller may in one of the roles by which the call was let in; else why not in the first of them.
fn in_any_role(unit: &Unit, may: impl Fn(CallerRole) -> Decided<()>) -> Decided<()> {
    let mut answers = unit.roles().into_iter().map(&may);
    let first = answers.next().unwrap_or_else(|| may(CallerRole::Unspecified));
    if first.is_ok() || answers.any(|answer| answer.is_ok()) { Ok(()) } else { first }
}

impl Handler {
    async fn submit_evidence(
        self,
        mut unit: Unit,
        request: proto::SubmitEvidenceRequest,
    ) -> Result<(Unit, proto::SubmitEvidenceResponse)> {
        let command = convert::submit(request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        in_any_role(&unit, |role| domain::may_tell(role, command.duty))?;
        let member = member_of(&mut unit.tx, programme, &command.bearer, command.duty).await?;
        let level = level_of(&mut unit.tx, programme, &command.bearer).await?;
        domain::decide_bearer(&command, member.as_ref(), level, at)?;
        decide_about(&mut unit.tx, &command, member.as_ref(), at).await?;
        take_from_quota(&mut unit, &windows, &command).await?;

        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let region = domain::region_of(&command.bearer, member.as_ref(), windows.scheme.region, at);
        let new = Evidence {
            bearer: command.bearer,
            number: 0,
            duty: command.duty.code.to_owned(),
            text: command.text,
            link: command.link,
            file_sha256: command.file_sha256,
            about: command.about,
            done_at: at,
            actor: unit.actor().to_owned(),
            fact_id,
            stands,
            sent_back: None,
        };
        let recorded_at = unit.now;
        let new = store::insert(&mut unit.tx, programme, new, recorded_at).await?;
        let event = proto::EvidenceSubmitted {
            programme_id: programme.to_string(),
            person_id: new.bearer.person_id().to_owned(),
            region_code: new.bearer.region_code().to_owned(),
            duty: new.duty.clone(),
            number: to_int32(new.number),
            about_person_ids: new.about.iter().map(ToString::to_string).collect(),
        };
        let subject = domain::subject_of(&new.bearer, programme);
        unit.emit_fact(&new.fact_id, region.as_str(), subject, &event);
        let evidence = Some(convert::evidence_to_proto(new));
        Ok((unit, proto::SubmitEvidenceResponse { evidence }))
    }

    async fn send_back_evidence(
        self,
        mut unit: Unit,
        request: proto::SendBackEvidenceRequest,
    ) -> Result<(Unit, proto::SendBackEvidenceResponse)> {
        let command = convert::send_back(&request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let found = store::by_fact(&mut unit.tx, programme, &command.fact_id).await?;
        let found = found.filter(|found| found.bearer == command.bearer && found.stands);
        let Some(evidence) = found else { return Err(not_found("fact_id").into()) };
        let duty = duties::duty(&evidence.duty)
            .ok_or_else(|| Error::Internal(format!("evidence of no duty: {}", evidence.duty)))?;
        in_any_role(&unit, |role| domain::may_send_back(role, duty))?;

        let member = member_of(&mut unit.tx, programme, &evidence.bearer, duty).await?;
        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let sent_back =
            SentBack { at, reason: command.reason, actor: unit.actor().to_owned(), fact_id: fact_id.clone() };
        let recorded_at = unit.now;
        store::insert_sent_back(&mut unit.tx, programme, &evidence.fact_id, &sent_back, recorded_at).await?;
        let event = proto::EvidenceSentBack {
            programme_id: programme.to_string(),
            person_id: evidence.bearer.person_id().to_owned(),
            region_code: evidence.bearer.region_code().to_owned(),
            duty: evidence.duty.clone(),
            evidence_fact_id: evidence.fact_id.clone(),
        };
        let region = domain::region_of(&evidence.bearer, member.as_ref(), windows.scheme.region, at);
        unit.emit_fact(&fact_id, region.as_str(), domain::subject_of(&evidence.bearer, programme), &event);
        let sent_back = if stands { Some(sent_back) } else { evidence.sent_back.clone() };
        let evidence = Some(convert::evidence_to_proto(Evidence { sent_back, ..evidence }));
        Ok((unit, proto::SendBackEvidenceResponse { evidence }))
    }

    async fn evidence(
        self,
        mut unit: ReadUnit,
        request: proto::ListEvidenceRequest,
    ) -> Result<(ReadUnit, proto::ListEvidenceResponse)> {
        let filter = convert::evidence_filter(&request)?;
        let programme = &filter.programme;
        self.programmes.scheme(&mut unit.tx, programme).await?;
        let shown = if request.with_retracted { "all" } else { "" };
        let (person, region) = (text_of(filter.person.as_ref()), text_of(filter.region.as_ref()));
        let duty = filter.duty.map_or("", |duty| duty.code);
        let page = self.kit.page::<proto::ListEvidenceRequest>(
            &[programme.as_str(), person, region, duty, shown],
            request.page_size,
            &request.page_token,
        )?;
        let number = match page.is_first() {
            true => 0,
            false => page
                .after(2)
                .parse()
                .map_err(|_| Refusal::new(ErrorReason::InvalidPageToken).field("page_token"))?,
        };
        let asked = store::Asked {
            person: filter.person.as_ref(),
            region: filter.region,
            duty,
            with_retracted: request.with_retracted,
            now: unit.now,
        };
        let after = (page.after(0), page.after(1), number);
        let rows = store::list(&mut unit.tx, &unit.reach, programme, asked, after, page.limit()).await?;
        let Listing { entries: evidence, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::evidence_to_proto(row)))?;
        Ok((unit, proto::ListEvidenceResponse { evidence, next_page_token, broken }))
    }
}

/// The person who bears a duty, in its role; `None` for nobody.
async fn member_of(
    tx: &mut Tx,
    programme: &ProgrammeId,
    bearer: &Bearer,
    duty: &Duty,
) -> Result<Option<Member>> {
    match bearer {
        Bearer::Person(person) => shipei_mirror::member(tx, programme, duty.role, person).await,
        Bearer::Region(_) | Bearer::Institution => Ok(None),
    }
}

/// The level of the region that bears a duty; `None` for no region.
async fn level_of(tx: &mut Tx, programme: &ProgrammeId, bearer: &Bearer) -> Result<Option<RegionLevel>> {
    let Bearer::Region(region) = bearer else { return Ok(None) };
    let found = shipei_mirror::region(tx, programme, *region).await?;
    Ok(found.and_then(|found| RegionLevel::parse(&found.level)))
}

/// Looks up whom evidence is about, and decides about them.
async fn decide_about(
    tx: &mut Tx,
    command: &Submit,
    bearer: Option<&Member>,
    at: DateTime<Utc>,
) -> Result<()> {
    let programme = &command.programme;
    let people: Vec<&PersonId> = command.about.iter().collect();
    let DoneWhen::Told(told) = command.duty.done_when else { return Ok(()) };
    let mut members = Vec::new();
    for role in domain::about_roles(told) {
        members.append(&mut shipei_mirror::members(tx, programme, *role, &people).await?);
    }
    let (mut classes, mut counties) = (BTreeSet::<ClassId>::new(), Vec::new());
    let mut has_course = false;
    match (told, &command.bearer) {
        (Told::Trainees, Bearer::Person(tutor)) => {
            let held = shipei_mirror::classes_of_tutor(tx, programme, tutor).await?;
            let held = held.into_iter().filter(|class| class.tutors.at(at).as_ref() == Some(tutor));
            classes.extend(held.map(|class| class.class_id));
        }
        (Told::Tutors, Bearer::Region(city)) => {
            counties = tree::within(tx, programme.as_str(), city.as_str(), at).await?;
        }
        (Told::OfflineCourse, Bearer::Person(_)) => {
            if let Some(county) = bearer.and_then(|trainee| trainee.places.at(at).county_code) {
                has_course = store::region_has(tx, programme, (county, COURSE_DETERMINED), at).await?;
            }
        }
        _ => {}
    }
    let about: Vec<About<'_>> = members
        .iter()
        .map(|member| {
            let place = member.places.at(at);
            let is_own = match told {
                Told::Trainees => place.class_id.as_ref().is_some_and(|class| classes.contains(class)),
                // Who is recommended before they have a place belongs to nobody else.
                _ => {
                    place.county_code.is_none_or(|county| counties.iter().any(|code| code == county.as_str()))
                }
            };
            About { member, is_own }
        })
        .collect();
    domain::decide_about(command, &about, has_course, at)?;
    Ok(())
}

/// What a bearer may add in a day.
async fn take_from_quota(unit: &mut Unit, windows: &Windows, command: &Submit) -> Result<()> {
    let day = windows.scheme.zone.day_around(unit.occurred_at);
    let whose = Whose {
        programme: command.programme.as_str(),
        person: domain::subject_of(&command.bearer, &command.programme),
        day_from: day.from,
        day_until: day.until,
    };
    let bytes = command.text.len() + command.link.len();
    unit.take_from_quota("evidence", whose, bytes).await
}
