//! PersonService: people, their log-ins, training before the job, leaving and moving. The import of rosters is in
//! `import.rs`. Whoever changes somebody holds their row first, so that leaving and moving don't pass each other.

use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, person_service_server::PersonService},
};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::{Fields, ReadUnit, Refusal, Result, Unit, set_aside};
use shipei_store::Tx;
use tonic::{Request, Streaming};

use super::{Answer, Handler, import, programme_head, region_of};
use crate::{
    convert,
    domain::{
        Member, Move, Place, Surroundings, Time, decide_login, decide_move, destination_from, member_of_role,
        place_at, still_enrolled,
    },
    error::not_found,
    store::{
        Stamp,
        person::{self as people, PeopleFilter, PersonFact},
        region as regions,
    },
};

#[tonic::async_trait]
impl PersonService for Handler {
    async fn import_roster(
        &self,
        request: Request<Streaming<pb::ImportRosterRequest>>,
    ) -> Answer<pb::ImportRosterResponse> {
        import::import_roster(self, request).await
    }

    async fn get_person(&self, request: Request<pb::GetPersonRequest>) -> Answer<pb::GetPersonResponse> {
        self.kit.read(self, request, get_person).await
    }

    async fn get_roster_template(
        &self,
        request: Request<pb::GetRosterTemplateRequest>,
    ) -> Answer<pb::GetRosterTemplateResponse> {
        self.kit.read(self, request, import::roster_template).await
    }

    async fn list_people(&self, request: Request<pb::ListPeopleRequest>) -> Answer<pb::ListPeopleResponse> {
        self.kit.read(self, request, list_people).await
    }

    async fn record_login(
        &self,
        request: Request<pb::RecordLoginRequest>,
    ) -> Answer<pb::RecordLoginResponse> {
        self.kit.write(self, request, record_login).await
    }

    async fn record_pre_job_training(
        &self,
        request: Request<pb::RecordPreJobTrainingRequest>,
    ) -> Answer<pb::RecordPreJobTrainingResponse> {
        self.kit.write(self, request, record_pre_job).await
    }

    async fn withdraw_trainee(
        &self,
        request: Request<pb::WithdrawTraineeRequest>,
    ) -> Answer<pb::WithdrawTraineeResponse> {
        self.kit.write(self, request, withdraw).await
    }

    async fn transfer_trainee(
        &self,
        request: Request<pb::TransferTraineeRequest>,
    ) -> Answer<pb::TransferTraineeResponse> {
        self.kit.write(self, request, transfer).await
    }
}

/// The person as messages have them, or NOT_FOUND.
async fn person_of(
    handler: &Handler,
    tx: &mut Tx,
    id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<pb::Person> {
    let row = people::person(tx, id, person_id).await?;
    let row = row.ok_or_else(|| not_found("person_id"))?;
    convert::person_to(row, id, handler.kit.keys().vault())
}

/// The person of one of the roles, held until the unit ends.
async fn held_member(tx: &mut Tx, id: &ProgrammeId, person_id: &PersonId, roles: &[Role]) -> Result<Member> {
    people::lock_person(tx, id, person_id).await?;
    Ok(member_of_role(people::member(tx, id, person_id).await?, roles, "person_id")?)
}

async fn get_person(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::GetPersonRequest,
) -> Result<(ReadUnit, pb::GetPersonResponse)> {
    let (id, person_id) =
        convert::programme_and_person(&request.programme_id, "person_id", &request.person_id)?;
    programme_head(&mut unit.tx, &id).await?;
    let person = Some(person_of(&handler, &mut unit.tx, &id, &person_id).await?);
    Ok((unit, pb::GetPersonResponse { person }))
}

pub(super) async fn list_people(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListPeopleRequest,
) -> Result<(ReadUnit, pb::ListPeopleResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        convert::optional_role(&mut fields, request.role),
        fields.optional_id("region_code", &request.region_code, RegionCode::parse),
        fields.optional_id("class_id", &request.class_id, ClassId::parse),
    );
    let (id, role, region_code, class_id) = fields.all(parsed)?;
    let id = &id;
    let words = (role.map_or("", Role::as_str), text_of(region_code.as_ref()), text_of(class_id.as_ref()));
    let filter = [id.as_str(), words.0, words.1, words.2];
    let page = handler.kit.page::<pb::ListPeopleRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, id).await?;
    let filter = PeopleFilter { role, region_code, class_id: class_id.as_ref() };
    let rows =
        people::people(&mut unit.tx, &unit.reach, id, filter, unit.now, page.after(0), page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |row| vec![row.person_id.to_string()]);
    let mut people = Vec::with_capacity(rows.len());
    let mut broken = Vec::new();
    for row in rows {
        people.extend(set_aside(convert::person_to(row, id, handler.kit.keys().vault()), &mut broken)?);
    }
    Ok((unit, pb::ListPeopleResponse { people, next_page_token, broken }))
}

async fn record_login(
    handler: Handler,
    mut unit: Unit,
    request: pb::RecordLoginRequest,
) -> Result<(Unit, pb::RecordLoginResponse)> {
    let (id, person_id) =
        convert::programme_and_person(&request.programme_id, "person_id", &request.person_id)?;
    let (id, person_id) = (&id, &person_id);
    let head = programme_head(&mut unit.tx, id).await?;
    let member = held_member(&mut unit.tx, id, person_id, Role::ALL).await?;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    decide_login(&member, &scheme, unit.occurred_at)?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    people::note(&mut unit.tx, id, person_id, PersonFact::Login, "", (&stamp, &fact_id)).await?;
    let logged_in = pb::PersonLoggedIn { programme_id: id.to_string(), person_id: person_id.to_string() };
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &logged_in);
    let person = Some(person_of(&handler, &mut unit.tx, id, person_id).await?);
    Ok((unit, pb::RecordLoginResponse { person }))
}

async fn record_pre_job(
    handler: Handler,
    mut unit: Unit,
    request: pb::RecordPreJobTrainingRequest,
) -> Result<(Unit, pb::RecordPreJobTrainingResponse)> {
    let (id, person_id) =
        convert::programme_and_person(&request.programme_id, "person_id", &request.person_id)?;
    let (id, person_id) = (&id, &person_id);
    let head = programme_head(&mut unit.tx, id).await?;
    let roles = [Role::ClassTutor, Role::CountyCounselor];
    let member = held_member(&mut unit.tx, id, person_id, &roles).await?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    people::note(&mut unit.tx, id, person_id, PersonFact::PreJob, "", (&stamp, &fact_id)).await?;
    let attended =
        pb::PreJobTrainingAttended { programme_id: id.to_string(), person_id: person_id.to_string() };
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &attended);
    let person = Some(person_of(&handler, &mut unit.tx, id, person_id).await?);
    Ok((unit, pb::RecordPreJobTrainingResponse { person }))
}

async fn withdraw(
    handler: Handler,
    mut unit: Unit,
    request: pb::WithdrawTraineeRequest,
) -> Result<(Unit, pb::WithdrawTraineeResponse)> {
    let (id, person_id, reason) = convert::withdrawal(&request)?;
    let (id, person_id) = (&id, &person_id);
    let head = programme_head(&mut unit.tx, id).await?;
    let member = held_member(&mut unit.tx, id, person_id, &[Role::Trainee]).await?;
    still_enrolled(&member, unit.occurred_at)?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    people::note(&mut unit.tx, id, person_id, PersonFact::Withdrawal, &reason, (&stamp, &fact_id)).await?;
    let withdrawn = pb::TraineeWithdrawn { programme_id: id.to_string(), person_id: person_id.to_string() };
    unit.emit_fact(&fact_id, region_of(&member, &head).as_str(), person_id.as_str(), &withdrawn);
    let person = Some(person_of(&handler, &mut unit.tx, id, person_id).await?);
    Ok((unit, pb::WithdrawTraineeResponse { person }))
}

async fn transfer(
    handler: Handler,
    mut unit: Unit,
    request: pb::TransferTraineeRequest,
) -> Result<(Unit, pb::TransferTraineeResponse)> {
    let (id, person_id, wanted) = convert::transfer(&request)?;
    let (id, person_id) = (&id, &person_id);
    programme_head(&mut unit.tx, id).await?;
    let member = held_member(&mut unit.tx, id, person_id, &[Role::Trainee]).await?;
    let at = unit.occurred_at;
    still_enrolled(&member, at)?;
    let moves = people::moves(&mut unit.tx, id, person_id).await?;
    let old = place_at(&member.roster_place, &moves, at);
    let new = destination_from(&old, &wanted);
    let around = surroundings(&mut unit.tx, id, &new, at).await?;
    decide_move(&old, &new, &wanted, &around)?;
    if new != old {
        let moved = Move { at, old, new };
        let fact_id = unit.new_fact_id()?;
        let move_number = save_move(&mut unit, (id, person_id), &moves, &moved, &fact_id).await?;
        let transferred = pb::TraineeTransferred {
            programme_id: id.to_string(),
            person_id: person_id.to_string(),
            old: Some(convert::place_to(&moved.old)),
            new: Some(convert::place_to(&moved.new)),
            move_number,
        };
        // A trainee stands in a county, always.
        let county_code = text_of(moved.new.county_code.as_ref());
        unit.emit_fact(&fact_id, county_code, person_id.as_str(), &transferred);
    }
    let person = Some(person_of(&handler, &mut unit.tx, id, person_id).await?);
    Ok((unit, pb::TransferTraineeResponse { person }))
}

/// What there is at the destination as of the move.
async fn surroundings(tx: &mut Tx, id: &ProgrammeId, new: &Place, at: Time) -> Result<Surroundings> {
    let county_and_above = match new.county_code {
        Some(code) => regions::county_and_above(tx, id, code, at).await?,
        None => Vec::new(),
    };
    let school = match &new.school_code {
        Some(code) => regions::school(tx, id, code).await?,
        None => None,
    };
    let class = match &new.class_id {
        Some(class_id) => regions::class(tx, id, class_id).await?,
        None => None,
    };
    Ok(Surroundings {
        county_and_above,
        school_county: school.map(|school| school.county_code),
        class_region: class.map(|class| class.region_code),
    })
}

/// Keeps a move, and puts the trainee there unless a later move is known already, or it was retracted before it came; its
/// number.
async fn save_move(
    unit: &mut Unit,
    (id, person_id): (&ProgrammeId, &PersonId),
    moves: &[Move],
    moved: &Move,
    fact_id: &str,
) -> Result<i64> {
    let number = people::moves_count(&mut unit.tx, id, person_id).await?.saturating_add(1);
    if number > people::MOVES_MAX {
        let moves_max = people::MOVES_MAX.to_string();
        return Err(Refusal::new(ErrorReason::TooMany).with("transfers_max", moves_max).into());
    }
    let stamp = Stamp::of(unit);
    let stands = !unit.is_retracted(id.as_str(), fact_id).await?;
    people::insert_move(&mut unit.tx, id, person_id, number, moved, (&stamp, fact_id)).await?;
    if stands && moves.last().is_none_or(|last| last.at <= moved.at) {
        people::put_in_place(&mut unit.tx, id, person_id, &moved.new).await?;
    }
    Ok(number)
}
