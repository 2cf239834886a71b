//! Adjustments: what an item of a trainee's score counts as, whatever was computed.

use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::decisions::v1 as proto;
use shipei_rules::ids::text_of;
use shipei_service_kit::{Listing, ReadUnit, Refusal, Result, Unit, Whose, to_int32, to_timestamp};

use super::{Handler, trainee};
use crate::{
    convert,
    domain::{self, Adjustment},
    store,
};

impl Handler {
    pub(super) async fn adjust(
        self,
        mut unit: Unit,
        request: proto::AdjustItemRequest,
    ) -> Result<(Unit, proto::AdjustItemResponse)> {
        let command = convert::adjust(&request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let trainee = trainee(&mut unit.tx, programme, &command.person).await?;
        let scheme = windows.of_member(&trainee);
        let max_points = domain::decide_adjustment(&scheme, &trainee, &command, at)?;
        let day = scheme.zone.day_around(at);
        let whose = Whose {
            programme: programme.as_str(),
            person: trainee.person_id.as_str(),
            day_from: day.from,
            day_until: day.until,
        };
        unit.take_from_quota("adjustments", whose, command.reason.len()).await?;

        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let new = Adjustment {
            person_id: trainee.person_id.clone(),
            number: 0,
            item: command.item,
            points: command.points,
            max_points,
            kind: command.kind,
            reason: command.reason,
            decided_at: at,
            expires_at: command.expires_at,
            actor: unit.actor().to_owned(),
            fact_id,
            stands,
        };
        let recorded_at = unit.now;
        let new = store::insert_adjustment(&mut unit.tx, programme, new, recorded_at).await?;
        let event = proto::ItemAdjusted {
            programme_id: programme.to_string(),
            person_id: new.person_id.to_string(),
            item: new.item.to_string(),
            points: to_int32(new.points),
            kind: proto::AdjustmentKind::from(new.kind).into(),
            expires_time: new.expires_at.map(to_timestamp),
            number: to_int32(new.number),
        };
        // It stands where the trainee stood then; who is in no county is the programme's.
        let region = trainee.places.at(at).county_code.unwrap_or(windows.scheme.region);
        unit.emit_fact(&new.fact_id, region.as_str(), new.person_id.as_str(), &event);
        let adjustment = Some(convert::adjustment_to_proto(new));
        Ok((unit, proto::AdjustItemResponse { adjustment }))
    }

    pub(super) async fn adjustments(
        self,
        mut unit: ReadUnit,
        request: proto::ListAdjustmentsRequest,
    ) -> Result<(ReadUnit, proto::ListAdjustmentsResponse)> {
        let filter = convert::filter(&request)?;
        let programme = &filter.programme;
        self.programmes.scheme(&mut unit.tx, programme).await?;
        let shown = if request.with_retracted { "all" } else { "" };
        let (person, region) = (text_of(filter.person.as_ref()), text_of(filter.region.as_ref()));
        let page = self.kit.page::<proto::ListAdjustmentsRequest>(
            &[programme.as_str(), person, region, shown],
            request.page_size,
            &request.page_token,
        )?;
        let number = match page.is_first() {
            true => 0,
            false => page
                .after(1)
                .parse()
                .map_err(|_| Refusal::new(ErrorReason::InvalidPageToken).field("page_token"))?,
        };
        let asked = store::Asked {
            person: filter.person.as_ref(),
            region: filter.region,
            with_retracted: request.with_retracted,
            now: unit.now,
        };
        let after = (page.after(0), number);
        let rows =
            store::list_adjustments(&mut unit.tx, &unit.reach, programme, asked, after, page.limit()).await?;
        let Listing { entries: adjustments, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::adjustment_to_proto(row)))?;
        Ok((unit, proto::ListAdjustmentsResponse { adjustments, next_page_token, broken }))
    }
}
