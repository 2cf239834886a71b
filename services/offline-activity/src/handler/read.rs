//! The RPCs that ask: plans, activities, attendances, results.

use chrono::{DateTime, Utc};
use shipei_contracts::{common::v1::ErrorReason, offline::v1 as proto};
use shipei_rules::ids::text_of;
use shipei_service_kit::{Error, Listing, Page, ReadUnit, Refusal, Result};

use super::Handler;
use crate::{convert, error::not_found, store};

/// The beginning of time, before everything that a list by time holds.
const BEGINNING: DateTime<Utc> = match DateTime::from_timestamp(-62_135_596_800, 0) {
    Some(beginning) => beginning,
    None => DateTime::<Utc>::UNIX_EPOCH,
};

impl Handler {
    pub(super) async fn plans(
        self,
        mut unit: ReadUnit,
        request: proto::ListPlansRequest,
    ) -> Result<(ReadUnit, proto::ListPlansResponse)> {
        let filter = convert::filter(&request.programme_id, &request.county_code, 0)?;
        let (programme, county) = (&filter.programme, filter.county);
        self.programmes.scheme(&mut unit.tx, programme).await?;
        let page = self.kit.page::<proto::ListPlansRequest>(
            &[programme.as_str(), text_of(county.as_ref())],
            request.page_size,
            &request.page_token,
        )?;
        let after = (page.after(0), page.after(1));
        let rows =
            store::list_plans(&mut unit.tx, &unit.reach, programme, county, after, page.limit()).await?;
        let Listing { entries: plans, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::plan_to_proto(row)))?;
        Ok((unit, proto::ListPlansResponse { plans, next_page_token, broken }))
    }

    pub(super) async fn activities(
        self,
        mut unit: ReadUnit,
        request: proto::ListActivitiesRequest,
    ) -> Result<(ReadUnit, proto::ListActivitiesResponse)> {
        let filter = convert::filter(&request.programme_id, &request.county_code, request.education_stage)?;
        let (programme, county) = (&filter.programme, filter.county);
        self.programmes.scheme(&mut unit.tx, programme).await?;
        let page = self.kit.page::<proto::ListActivitiesRequest>(
            &[programme.as_str(), text_of(county.as_ref()), filter.stage, shown(request.with_retracted)],
            request.page_size,
            &request.page_token,
        )?;
        let after = match page.is_first() {
            true => (BEGINNING, ""),
            false => (after_instant(&page)?, page.after(1)),
        };
        let chosen = (county, filter.stage, request.with_retracted);
        let rows =
            store::list_activities(&mut unit.tx, &unit.reach, programme, chosen, after, page.limit()).await?;
        let Listing { entries: activities, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::activity_to_proto(row)))?;
        Ok((unit, proto::ListActivitiesResponse { activities, next_page_token, broken }))
    }

    pub(super) async fn attendances(
        self,
        mut unit: ReadUnit,
        request: proto::ListAttendancesRequest,
    ) -> Result<(ReadUnit, proto::ListAttendancesResponse)> {
        let (programme, activity) = convert::activity_key(&request)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        if store::activity(&mut unit.tx, &programme, &activity).await?.is_none() {
            return Err(not_found("activity_id").into());
        }
        let page = self.kit.page::<proto::ListAttendancesRequest>(
            &[programme.as_str(), activity.as_str(), shown(request.with_retracted)],
            request.page_size,
            &request.page_token,
        )?;
        let rows = store::list_attendances(
            &mut unit.tx,
            &unit.reach,
            &programme,
            (&activity, request.with_retracted),
            page.after(0),
            page.limit(),
        )
        .await?;
        let Listing { entries: attendances, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::attendance_to_proto(row)))?;
        Ok((unit, proto::ListAttendancesResponse { attendances, next_page_token, broken }))
    }

    pub(super) async fn library(
        self,
        mut unit: ReadUnit,
        request: proto::ListResultsRequest,
    ) -> Result<(ReadUnit, proto::ListResultsResponse)> {
        let filter = convert::filter(&request.programme_id, &request.county_code, 0)?;
        let (programme, county) = (&filter.programme, filter.county);
        self.programmes.scheme(&mut unit.tx, programme).await?;
        let page = self.kit.page::<proto::ListResultsRequest>(
            &[programme.as_str(), text_of(county.as_ref()), shown(request.with_retracted)],
            request.page_size,
            &request.page_token,
        )?;
        let number = match page.is_first() {
            true => i64::MIN,
            false => page.after(2).parse().map_err(|_| invalid_page_token())?,
        };
        let after = (page.after(0), page.after(1), number);
        let county = (county, request.with_retracted);
        let rows =
            store::list_results(&mut unit.tx, &unit.reach, programme, county, after, page.limit()).await?;
        let Listing { entries: results, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::results_to_proto(row)))?;
        Ok((unit, proto::ListResultsResponse { results, next_page_token, broken }))
    }
}

/// What binds a page to a list with or without what was retracted.
fn shown(with_retracted: bool) -> &'static str {
    if with_retracted { "all" } else { "" }
}

/// The instant that a page of a list by time begins after.
fn after_instant(page: &Page) -> Result<DateTime<Utc>> {
    let micros = page.after(0).parse().map_err(|_| invalid_page_token())?;
    DateTime::from_timestamp_micros(micros).ok_or_else(invalid_page_token)
}

fn invalid_page_token() -> Error {
    Refusal::new(ErrorReason::InvalidPageToken).field("page_token").into()
}
