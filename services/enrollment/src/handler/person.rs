//! PersonService: people, their log-ins and training before the job; moving is in `transfer.rs`, leaving in `leave.rs`, what is put
//! right in `correct.rs`, the import of rosters in `import.rs`. Whoever changes somebody holds their row first, so that leaving and moving don't pass each other.

use shipei_contracts::{
    enrollment::v1::{self as pb, person_service_server::PersonService},
    event::v1::{Accessed, AuditKind},
};
use shipei_rules::{
    ids::{ClassId, text_of},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::{Fields, Listing, ReadUnit, Result, Unit};
use tonic::{Request, Streaming};

use super::{
    Answer, Handler, correct, erase, import, leave,
    member::{held_members, person_of},
    merge, programme_head, region_of, transfer,
};
use crate::{
    convert,
    domain::decide_login,
    error::{not_found, person_erased},
    store::{
        Stamp,
        person::{self as people, PeopleFilter},
        person_fact::{self, PersonFact},
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

    async fn unmask_person(
        &self,
        request: Request<pb::UnmaskPersonRequest>,
    ) -> Answer<pb::UnmaskPersonResponse> {
        self.kit.unmask(self, request, unmask_person).await
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
        self.kit.write(self, request, leave::withdraw).await
    }

    async fn return_trainee(
        &self,
        request: Request<pb::ReturnTraineeRequest>,
    ) -> Answer<pb::ReturnTraineeResponse> {
        self.kit.write(self, request, leave::come_back).await
    }

    async fn record_departure(
        &self,
        request: Request<pb::RecordDepartureRequest>,
    ) -> Answer<pb::RecordDepartureResponse> {
        self.kit.write(self, request, leave::depart).await
    }

    async fn remove_person(
        &self,
        request: Request<pb::RemovePersonRequest>,
    ) -> Answer<pb::RemovePersonResponse> {
        self.kit.write(self, request, leave::remove).await
    }

    async fn merge_persons(
        &self,
        request: Request<pb::MergePersonsRequest>,
    ) -> Answer<pb::MergePersonsResponse> {
        self.kit.write(self, request, merge::merge).await
    }

    async fn transfer_trainees(
        &self,
        request: Request<pb::TransferTraineesRequest>,
    ) -> Answer<pb::TransferTraineesResponse> {
        self.kit.write(self, request, transfer::transfer_many).await
    }

    async fn correct_person(
        &self,
        request: Request<pb::CorrectPersonRequest>,
    ) -> Answer<pb::CorrectPersonResponse> {
        self.kit.write(self, request, correct::correct_person).await
    }

    async fn erase_person(
        &self,
        request: Request<pb::ErasePersonRequest>,
    ) -> Answer<pb::ErasePersonResponse> {
        let answer = self.kit.write(self, request, erase::erase).await?;
        // At once where nobody reads an older state; otherwise whoever watches over the database does it, and says what fails.
        let _ = self.kit.database().forget_erased().await;
        Ok(answer)
    }

    async fn list_due_for_erasure(
        &self,
        request: Request<pb::ListDueForErasureRequest>,
    ) -> Answer<pb::ListDueForErasureResponse> {
        self.kit.read(self, request, erase::list_due).await
    }

    async fn find_persons(
        &self,
        request: Request<pb::FindPersonsRequest>,
    ) -> Answer<pb::FindPersonsResponse> {
        self.kit.show(self, request, correct::find_persons).await
    }

    async fn transfer_trainee(
        &self,
        request: Request<pb::TransferTraineeRequest>,
    ) -> Answer<pb::TransferTraineeResponse> {
        self.kit.write(self, request, transfer::transfer).await
    }
}

async fn get_person(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::GetPersonRequest,
) -> Result<(ReadUnit, pb::GetPersonResponse)> {
    let (id, person_id) =
        convert::programme_and_person(&request.programme_id, "person_id", &request.person_id)?;
    programme_head(&mut unit.tx, &id).await?;
    let rows = people::in_each_role(&mut unit.tx, &unit.reach, &id, &person_id, unit.now).await?;
    let keys = handler.kit.keys();
    let mut roles = rows.into_iter().map(|row| convert::person_to(row, &id, keys));
    let person = Some(roles.next().ok_or_else(|| not_found("person_id"))??);
    let other_roles = roles.collect::<Result<_>>()?;
    Ok((unit, pb::GetPersonResponse { person, other_roles }))
}

async fn unmask_person(
    handler: Handler,
    mut unit: Unit,
    request: pb::UnmaskPersonRequest,
) -> Result<(Unit, pb::UnmaskPersonResponse)> {
    let (id, person_id) =
        convert::programme_and_person(&request.programme_id, "person_id", &request.person_id)?;
    programme_head(&mut unit.tx, &id).await?;
    let rows = people::in_each_role(&mut unit.tx, &unit.reach, &id, &person_id, unit.now).await?;
    let row = rows.into_iter().next().ok_or_else(|| not_found("person_id"))?;
    if let Some(erased_at) = row.erased_at {
        return Err(person_erased(erased_at).into());
    }
    let keys = handler.kit.keys();
    let identity_number = convert::opened_number(&row, &id, keys)?.reveal().to_owned();
    let county = row.county_code.clone();
    let person = Some(convert::person_to(row, &id, keys)?);
    let accessed = Accessed {
        kind: AuditKind::Unmasked.into(),
        ids: vec![person_id.to_string()],
        ..Accessed::default()
    };
    unit.audit(id.as_str(), county.as_str(), accessed);
    Ok((unit, pb::UnmaskPersonResponse { person, identity_number }))
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
    let after = (page.after(0), page.after(1));
    let rows = people::people(&mut unit.tx, &unit.reach, id, filter, unit.now, after, page.limit()).await?;
    let keys = handler.kit.keys();
    let Listing { entries: people, next_page_token, broken } =
        page.list(rows, |row| convert::person_to(row, id, keys))?;
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
    let members = held_members(&mut unit, id, person_id, Role::ALL).await?;
    let scheme = handler.scheme(&mut unit.tx, &head).await?;
    // It counts in all roles, of those from which they are not away.
    let there = members.iter().find(|member| !member.absences.at(unit.occurred_at));
    let member = there.or(members.first()).ok_or_else(|| not_found("person_id"))?;
    decide_login(member, &scheme, unit.occurred_at)?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    person_fact::note(&mut unit.tx, id, member, PersonFact::Login, "", (&stamp, &fact_id)).await?;
    let logged_in = pb::PersonLoggedIn { programme_id: id.to_string(), person_id: person_id.to_string() };
    unit.emit_fact(&fact_id, region_of(member, &head).as_str(), person_id.as_str(), &logged_in);
    let person = Some(person_of(&handler, &mut unit, id, person_id, member.role).await?);
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
    // Somebody who is both needs it once.
    let members = held_members(&mut unit, id, person_id, &[Role::ClassTutor, Role::CountyCounselor]).await?;
    let member = members.first().ok_or_else(|| not_found("person_id"))?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    person_fact::note(&mut unit.tx, id, member, PersonFact::PreJob, "", (&stamp, &fact_id)).await?;
    let attended =
        pb::PreJobTrainingAttended { programme_id: id.to_string(), person_id: person_id.to_string() };
    unit.emit_fact(&fact_id, region_of(member, &head).as_str(), person_id.as_str(), &attended);
    let person = Some(person_of(&handler, &mut unit, id, person_id, member.role).await?);
    Ok((unit, pb::RecordPreJobTrainingResponse { person }))
}
