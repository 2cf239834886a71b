//! HonourService: provincial experts choose excellent tutors. Whoever is chosen is recorded; whether the choice takes
//! effect is assessment's to say. Who is not to be appointed again is in `bar`.

use shipei_contracts::enrollment::v1::{self as pb, honour_service_server::HonourService};
use shipei_rules::{ids::text_of, region::RegionCode, vocabulary::Role};
use shipei_service_kit::{Fields, Listing, ReadUnit, Result, Unit};
use tonic::Request;

use super::{Answer, Handler, bar, member::member, programme_head, region_of};
use crate::{
    convert,
    domain::still_enrolled,
    store::{Stamp, honour},
};

#[tonic::async_trait]
impl HonourService for Handler {
    async fn choose_excellent_tutor(
        &self,
        request: Request<pb::ChooseExcellentTutorRequest>,
    ) -> Answer<pb::ChooseExcellentTutorResponse> {
        self.kit.write(self, request, choose).await
    }

    async fn list_tutor_choices(
        &self,
        request: Request<pb::ListTutorChoicesRequest>,
    ) -> Answer<pb::ListTutorChoicesResponse> {
        self.kit.read(self, request, list).await
    }

    async fn bar_tutor(&self, request: Request<pb::BarTutorRequest>) -> Answer<pb::BarTutorResponse> {
        self.kit.write(self, request, bar::bar_tutor).await
    }

    async fn list_tutor_bars(
        &self,
        request: Request<pb::ListTutorBarsRequest>,
    ) -> Answer<pb::ListTutorBarsResponse> {
        self.kit.read(self, request, bar::list).await
    }
}

async fn choose(
    _: Handler,
    mut unit: Unit,
    request: pb::ChooseExcellentTutorRequest,
) -> Result<(Unit, pb::ChooseExcellentTutorResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        convert::person(&mut fields, "expert_id", &request.expert_id),
        convert::person(&mut fields, "tutor_id", &request.tutor_id),
    );
    let (id, expert_id, tutor_id) = fields.all(parsed)?;
    let id = &id;
    let head = programme_head(&mut unit.tx, id).await?;
    let expert = member(&mut unit.tx, id, &expert_id, Role::SubjectExpert, "expert_id").await?;
    still_enrolled(&expert, unit.occurred_at, "expert_id")?;
    let tutor = member(&mut unit.tx, id, &tutor_id, Role::ClassTutor, "tutor_id").await?;
    let (stamp, fact_id) = (Stamp::of(&unit), unit.new_fact_id()?);
    let told = (&stamp, fact_id.as_str());
    honour::note_choice(&mut unit.tx, id, &tutor.person_id, &expert.person_id, told).await?;
    let chosen = pb::TutorChosen {
        programme_id: id.to_string(),
        tutor_id: tutor.person_id.to_string(),
        expert_id: expert.person_id.to_string(),
    };
    unit.emit_fact(&fact_id, region_of(&tutor, &head).as_str(), tutor.person_id.as_str(), &chosen);
    let row = honour::choice(&mut unit.tx, id, &tutor.person_id, &expert.person_id).await?;
    Ok((unit, pb::ChooseExcellentTutorResponse { choice: row.map(convert::choice_to) }))
}

pub(super) async fn list(
    handler: Handler,
    mut unit: ReadUnit,
    request: pb::ListTutorChoicesRequest,
) -> Result<(ReadUnit, pb::ListTutorChoicesResponse)> {
    let mut fields = Fields::new();
    let parsed = (
        convert::programme(&mut fields, &request.programme_id),
        fields.optional_id("city_code", &request.city_code, RegionCode::parse),
    );
    let (id, city) = fields.all(parsed)?;
    let filter = [id.as_str(), text_of(city.as_ref())];
    let page =
        handler.kit.page::<pb::ListTutorChoicesRequest>(&filter, request.page_size, &request.page_token)?;
    programme_head(&mut unit.tx, &id).await?;
    let after = (page.after(0), page.after(1));
    let rows = honour::choices(&mut unit.tx, &unit.reach, &id, city, after, page.limit()).await?;
    let Listing { entries: choices, next_page_token, broken } =
        page.list(rows, |row| Ok(convert::choice_to(row)))?;
    Ok((unit, pb::ListTutorChoicesResponse { choices, next_page_token, broken }))
}
