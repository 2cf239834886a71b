//! BulletinService: a class's numbered bulletins.

use shipei_contracts::assignment::v1::{self as proto, bulletin_service_server::BulletinService};
use shipei_rules::ids::text_of;
use shipei_service_kit::{Listing, ReadUnit, Result, Unit, to_int32};
use tonic::Request;

use super::{Answer, Handler, after_number, class, recorded, tutor, whose};
use crate::{
    convert,
    domain::{self, Bulletin},
    error::already_exists,
    store,
};

#[tonic::async_trait]
impl BulletinService for Handler {
    async fn publish_bulletin(
        &self,
        request: Request<proto::PublishBulletinRequest>,
    ) -> Answer<proto::PublishBulletinResponse> {
        self.kit.write(self, request, Self::publish).await
    }

    async fn list_bulletins(
        &self,
        request: Request<proto::ListBulletinsRequest>,
    ) -> Answer<proto::ListBulletinsResponse> {
        self.kit.read(self, request, Self::bulletins).await
    }
}

impl Handler {
    async fn publish(
        self,
        mut unit: Unit,
        request: proto::PublishBulletinRequest,
    ) -> Result<(Unit, proto::PublishBulletinResponse)> {
        let command = convert::publish(&request)?;
        let programme = &command.programme;
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let tutor = tutor(&mut unit.tx, &command.programme, &command.tutor).await?;
        let class = class(&mut unit.tx, &command.programme, &command.class).await?;
        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let new = Bulletin {
            class_id: class.class_id.clone(),
            number: command.number,
            tutor_id: tutor.person_id.clone(),
            title: command.title,
            text: command.text,
            published_at: unit.occurred_at,
            fact_id,
            stands,
        };
        let scheme = windows.of_class(&class, &[&tutor.person_id]);
        domain::decide_bulletin(&scheme, &tutor, &class, &new)?;
        let whose = whose(programme, &new.tutor_id, &scheme, new.published_at);
        unit.take_from_quota("bulletins", whose, new.title.len() + new.text.len()).await?;
        let recorded = recorded(&unit);
        if !store::insert_bulletin(&mut unit.tx, programme, &new, &recorded).await? {
            // A bulletin has no id of the caller's choosing: the same again is told by its request id, earlier.
            return Err(already_exists("number").into());
        }
        let event = proto::BulletinPublished {
            programme_id: programme.to_string(),
            class_id: new.class_id.to_string(),
            number: to_int32(new.number),
            tutor_id: new.tutor_id.to_string(),
        };
        unit.emit_fact(
            &new.fact_id,
            class.regions.at(unit.occurred_at).as_str(),
            new.class_id.as_str(),
            &event,
        );
        let bulletin = Some(convert::bulletin_to_proto(new));
        Ok((unit, proto::PublishBulletinResponse { bulletin }))
    }

    pub(super) async fn bulletins(
        self,
        mut unit: ReadUnit,
        request: proto::ListBulletinsRequest,
    ) -> Result<(ReadUnit, proto::ListBulletinsResponse)> {
        let (programme, class) = convert::class_filter(&request.programme_id, &request.class_id)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let class = class.as_ref();
        let page = self.kit.page::<proto::ListBulletinsRequest>(
            &[programme.as_str(), text_of(class), if request.with_retracted { "all" } else { "" }],
            request.page_size,
            &request.page_token,
        )?;
        let after = (page.after(0), after_number(&page, 1)?, page.after(2));
        let class = (class, request.with_retracted);
        let rows =
            store::list_bulletins(&mut unit.tx, &unit.reach, &programme, class, after, page.limit()).await?;
        let Listing { entries: bulletins, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::bulletin_to_proto(row)))?;
        Ok((unit, proto::ListBulletinsResponse { bulletins, next_page_token, broken }))
    }
}
