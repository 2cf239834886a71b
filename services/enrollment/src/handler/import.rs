//! ImportRoster: a stream of a header and then a file in chunks, or rows. All of it is received first, so that a
//! roster that is too long is refused before anything is taken; then it is carried out in parts of
//! [`part::ROWS_PER_PART`] rows, each one transaction with its events. A call that breaks off half way has taken whole
//! parts, and sent again it finds them UNCHANGED. A dry run does the same over snapshots and writes nothing. The file is
//! kept as it came and read part by part (`source`); what became of its rows is counted and listed (`results`).

mod part;
mod results;
mod source;

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use chrono::NaiveDate;
use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, import_roster_request::Part},
};
use shipei_rules::{
    calendar::Zone,
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::{Error, Fields, Parts, ReadUnit, Result, Unit};
use shipei_store::{
    DataKeys, Tx,
    crypto::{Vault, WrappedKey},
    tree::REGIONS_MAX,
};
use tonic::{Request, Streaming};

use self::{
    part::{Judgement, RosterPart},
    results::Results,
    source::{Source, receive},
};
use super::{Answer, Handler, bar::day_of, correct::refold, programme_head};
use crate::{
    convert,
    domain::Time,
    roster::{
        Candidate, Cells, Fault, IdentityDigest, Register, Rehearsal, Tree, Verdict, check_open,
        check_places, judge, read_row, template_columns, warnings,
    },
    store::{
        Stamp,
        bar::{self, Barred},
        person_key,
        place::successors_of,
        programme::{ProgrammeHead, lock_programme},
        roster::{self, NewPerson},
        things,
    },
};

/// What the events of an import are caused by.
const CAUSE: &str = "shipei.enrollment.v1.ImportRosterRequest";
/// What the sheet of a template is called.
const TEMPLATE_SHEET: &str = "花名册";

/// For whom rows are judged.
struct Import<'a> {
    handler: &'a Handler,
    head: ProgrammeHead,
    /// The region tree as the import begins.
    tree: Tree,
    /// The programme's calendar day.
    today: NaiveDate,
    /// The programme's time zone.
    zone: Zone,
    /// When it began.
    began: Time,
    /// The regions whose people the caller may report; none for everybody.
    reached: Option<BTreeSet<String>>,
}

pub(super) async fn import_roster(
    handler: &Handler,
    request: Request<Streaming<pb::ImportRosterRequest>>,
) -> Answer<pb::ImportRosterResponse> {
    let opening = handler.kit.begin_parts(&request).await?;
    let mut stream = request.into_inner();
    let Some(first) = stream.message().await? else { return Err(no_header().into()) };
    let mut parts = opening.admit(&first, CAUSE)?;
    let Some(Part::Header(header)) = first.part else { return Err(no_header().into()) };
    let import = Import::begin(handler, &header, &parts).await?;
    let received = receive(&mut stream).await?;
    let mut source = Source::open(received).await?;
    let mut results = Results::of(&source, &header)?;
    let mut rehearsal = Rehearsal::default();
    while let Some(rows) = source.next().await? {
        let (part, faulty) = import.read_part(&rows);
        let judgements = if header.dry_run {
            import.rehearse(&part, &mut rehearsal).await?
        } else {
            parts.write(|unit| import.take(unit, &part)).await?
        };
        results.add_part(&rows, &part, judgements, faulty)?;
    }
    Ok(parts.answer(results.answer()?))
}

fn no_header() -> Error {
    Error::invalid("header", "required in the first message")
}

/// The template, with the counties of the programme.
pub(super) async fn roster_template(
    _: Handler,
    mut unit: ReadUnit,
    request: pb::GetRosterTemplateRequest,
) -> Result<(ReadUnit, pb::GetRosterTemplateResponse)> {
    let mut fields = Fields::new();
    let id = convert::programme(&mut fields, &request.programme_id);
    let (id,) = fields.all((id,))?;
    programme_head(&mut unit.tx, &id).await?;
    let counties = roster::tree(&mut unit.tx, &id).await?.counties();
    let file = shipei_tables::template(
        TEMPLATE_SHEET,
        &template_columns(counties.iter().map(ToString::to_string).collect()),
    );
    let file = file.map_err(|error| Error::Internal(format!("a template: {error}")))?;
    Ok((unit, pb::GetRosterTemplateResponse { file }))
}

/// The keys of the people of a part.
struct PartKeys<'c> {
    /// Of those who have one, by id.
    kept: HashMap<String, WrappedKey>,
    /// What seals for whom, by id: somebody may stand in a part in several roles.
    vaults: HashMap<&'c str, Vault>,
    /// Those that are to be kept.
    made: Vec<(&'c PersonId, WrappedKey)>,
}

impl<'c> PartKeys<'c> {
    fn vault(&mut self, keys: &DataKeys, id: &ProgrammeId, person_id: &'c PersonId) -> Result<&Vault> {
        match self.vaults.entry(person_id.as_str()) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                let vault = match self.kept.get(person_id.as_str()) {
                    Some(wrapped) => convert::vault_of(keys, id, person_id, wrapped)?,
                    None => {
                        let (vault, wrapped) = convert::new_key(keys, id, person_id)?;
                        self.made.push((person_id, wrapped));
                        vault
                    }
                };
                Ok(place.insert(vault))
            }
        }
    }
}

impl<'a> Import<'a> {
    async fn begin(handler: &'a Handler, header: &pb::RosterHeader, parts: &Parts) -> Result<Self> {
        let Ok(id) = ProgrammeId::parse(&header.programme_id) else {
            return Err(Error::invalid("header.programme_id", "required, and an id"));
        };
        let mut tx = handler.kit.database().begin_read().await?;
        let head = programme_head(&mut tx, &id).await?;
        let scheme = handler.scheme(&mut tx, &head).await?;
        let tree = roster::tree(&mut tx, &id).await?;
        let reached = match parts.reach() {
            reach if reach.is_all_of(id.as_str()) => None,
            reach => {
                let codes = things::regions(&mut tx, reach, &id, parts.now(), REGIONS_MAX).await?;
                Some(codes.into_iter().collect())
            }
        };
        tx.rollback().await?;
        let today = scheme.zone.day_of(parts.now());
        Ok(Self { handler, head, tree, today, zone: scheme.zone, began: parts.now(), reached })
    }

    /// The rows that can be, and the faults of the others, by their place in the part.
    fn read_part(&self, rows: &[Cells]) -> (RosterPart, Vec<Option<Vec<Fault>>>) {
        let (id, keys) = (&self.head.programme_id, self.handler.kit.keys());
        let mut part = RosterPart::default();
        let mut faulty = Vec::with_capacity(rows.len());
        for cells in rows {
            match read_row(cells, &self.tree, self.today) {
                Ok(candidate) => {
                    part.digests.push(convert::identity_digest(keys, id, &candidate.identity_number));
                    let is_tutor = candidate.role == Role::ClassTutor;
                    part.tutors
                        .push(is_tutor.then(|| convert::barred_digest(keys, &candidate.identity_number)));
                    part.candidates.push(candidate);
                    faulty.push(None);
                }
                Err(faults) => faulty.push(Some(faults)),
            }
        }
        (part, faulty)
    }

    /// Judges one part over a snapshot. `rehearsal` remembers whom earlier parts would have added.
    async fn rehearse(&self, part: &RosterPart, rehearsal: &mut Rehearsal) -> Result<Vec<Judgement>> {
        let mut register = Register::default();
        rehearsal.add_met(&part.candidates, &part.digests, &mut register);
        let mut tx = self.handler.kit.database().begin_read().await?;
        let judgements = self.judge_part(&mut tx, part, &mut register, self.began).await?;
        tx.rollback().await?;
        for ((candidate, digest), judgement) in part.candidates.iter().zip(&part.digests).zip(&judgements) {
            if judgement.verdict == Ok(Verdict::New) {
                rehearsal.remember(candidate, *digest);
            }
        }
        Ok(judgements)
    }

    /// Takes the good rows of one part. The programme is held, so that two imports at once don't add one person
    /// twice.
    async fn take(&self, mut unit: Unit, part: &RosterPart) -> Result<(Unit, Vec<Judgement>)> {
        lock_programme(&mut unit.tx, &self.head.programme_id).await?;
        let mut register = Register::default();
        let judgements = self.judge_part(&mut unit.tx, part, &mut register, unit.occurred_at).await?;
        let id = &self.head.programme_id;
        let judged = part.candidates.iter().zip(&part.digests).zip(&judgements);
        let new: Vec<_> = judged
            .filter(|(_, judgement)| judgement.verdict == Ok(Verdict::New))
            .map(|(candidate, _)| candidate)
            .collect();
        let ids: Vec<&PersonId> = new.iter().map(|(candidate, _)| &candidate.person_id).collect();
        // Of who is there in another role, or was.
        let kept = person_key::keys_of(&mut unit.tx, id, &ids).await?;
        let mut keys = PartKeys { kept, vaults: HashMap::new(), made: Vec::new() };
        let mut people = Vec::with_capacity(new.len());
        for (candidate, digest) in new {
            people.push(self.seal(candidate, *digest, &register, &mut keys)?);
        }
        person_key::insert_keys(&mut unit.tx, id, &keys.made).await?;
        let stamp = Stamp::of(&unit);
        let places = people.iter().map(|person| &person.candidate.place);
        let successors = successors_of(&mut unit.tx, id, places).await?;
        roster::insert_people(&mut unit.tx, id, (&people, &successors), &stamp).await?;
        for person in people {
            if person.has_another_role {
                // A number that was put right since, also where the row has the old one.
                refold(&mut unit.tx, id, &person.candidate.person_id).await?;
            }
            self.tell(&mut unit, person.candidate);
        }
        Ok((unit, judgements))
    }

    async fn judge_part(
        &self,
        tx: &mut Tx,
        part: &RosterPart,
        register: &mut Register,
        at: Time,
    ) -> Result<Vec<Judgement>> {
        let id = &self.head.programme_id;
        let known = roster::known(tx, id, &part.candidates).await?;
        roster::add_enrolled(tx, id, &part.candidates, &part.digests, register).await?;
        let tutors: BTreeSet<IdentityDigest> = part.tutors.iter().flatten().copied().collect();
        let barred = bar::barred(tx, id, &tutors.into_iter().collect::<Vec<_>>(), at).await?;
        let mut judgements = Vec::with_capacity(part.candidates.len());
        for ((candidate, digest), tutor) in part.candidates.iter().zip(&part.digests).zip(&part.tutors) {
            if let Some(fault) = self.fault_of_reach(candidate) {
                // Nothing else is said of who is not the caller's to report.
                judgements.push(Judgement { verdict: Err(vec![fault]), warnings: vec![], sharers: vec![] });
                continue;
            }
            let mut faults = check_places(candidate, &self.tree, &known);
            let verdict = judge(candidate, *digest, register);
            match &verdict {
                // Who is there already may be of a place that has ended since, and was appointed.
                Ok(Verdict::New) => {
                    faults.extend(check_open(candidate, &known, at));
                    let bar = tutor.and_then(|tutor| barred.get(&tutor));
                    faults.extend(bar.map(|bar| self.fault_of_bar(bar)));
                }
                Ok(_) => {}
                Err(fault) => faults.push(fault.clone()),
            }
            let verdict = verdict.ok().filter(|_| faults.is_empty()).ok_or(faults);
            if verdict == Ok(Verdict::New) {
                register.add_candidate(candidate, *digest);
            }
            let warnings = warnings(candidate, *digest, &known, register);
            let sharers = register.others_with(*digest, &candidate.person_id);
            let sharers = sharers.into_iter().cloned().collect();
            judgements.push(Judgement { verdict, warnings, sharers });
        }
        Ok(judgements)
    }

    /// Whom another programme has barred can't be a class tutor.
    fn fault_of_bar(&self, barred: &Barred) -> Fault {
        let (by, day) = (&barred.programme_id, day_of(barred, self.zone));
        Fault::new(
            ErrorReason::TutorBarred,
            "role",
            format!("not to be appointed as a class tutor again: barred by {by} since {day}"),
            format!("不再聘用为班级辅导教师：{by} 自 {day} 起不再聘用"),
        )
    }

    /// A county reports its own people, a city those of its counties.
    fn fault_of_reach(&self, candidate: &Candidate) -> Option<Fault> {
        let reached = self.reached.as_ref()?;
        let county = candidate.place.county_code.as_ref();
        if county.is_some_and(|county| reached.contains(county.as_str())) {
            return None;
        }
        let (en, zh) = ("lies outside of what the caller may report", "不在调用者可上报的范围之内");
        Some(Fault::new(ErrorReason::NotPermitted, "county_code", en, zh))
    }

    fn seal<'c>(
        &self,
        candidate: &'c Candidate,
        digest: IdentityDigest,
        register: &Register,
        keys: &mut PartKeys<'c>,
    ) -> Result<NewPerson<'c>> {
        let (id, person_id) = (&self.head.programme_id, &candidate.person_id);
        let vault = keys.vault(self.handler.kit.keys(), id, person_id)?;
        let sealed_identity_number =
            convert::sealed_number(vault, id, person_id, &candidate.identity_number)?;
        let name = register.name(&candidate.person_id).unwrap_or(&candidate.name).to_owned();
        let has_another_role = register.has_another_role(&candidate.person_id);
        Ok(NewPerson { candidate, name, has_another_role, sealed_identity_number, digest })
    }

    fn tell(&self, unit: &mut Unit, candidate: &Candidate) {
        let place = convert::place_to(&candidate.place);
        let registered = pb::PersonRegistered {
            programme_id: self.head.programme_id.to_string(),
            person_id: candidate.person_id.to_string(),
            role: convert::role_to(candidate.role).into(),
            county_code: place.county_code,
            school_code: place.school_code,
            education_stage: convert::education_stage_to(candidate.education_stage).into(),
            subject: candidate.subject.clone(),
            development_stage: convert::development_stage_to(candidate.development_stage).into(),
            class_id: place.class_id,
        };
        let region = candidate.place.county_code.unwrap_or(self.head.region_code);
        unit.emit(region.as_str(), candidate.person_id.as_str(), &registered);
    }
}
