//! Who studies at this moment: `GetPresence`. What is marked present is in `pipeline/batch.rs`.

use std::time::Duration;

use shipei_contracts::learning::v1::{
    CountyPresence, GetPresenceRequest, GetPresenceResponse, PresentTrainee,
};
use shipei_rules::region::RegionCode;
use shipei_service_kit::{Error, ReadUnit, Result, soft_state::presence::Known, to_int32, to_timestamp};
use tonic::{Request, Response, Status};

use super::{StudyHandler, not_found};
use crate::convert;

/// How long a heartbeat counts: players send one each 30 s, and one or two may be late or lost.
pub(crate) const PRESENCE_WINDOW: Duration = Duration::from_secs(120);
/// The most trainees that one answer names.
const TRAINEES_MAX: usize = 1_000;

/// The name of a county's trainees among the groups of [`shipei_service_kit::soft_state::presence`].
pub(crate) fn group_of(programme_id: &str, county_code: &str) -> String {
    format!("{programme_id}/{county_code}")
}

impl StudyHandler {
    /// Counties first, from the database; then who is there, when nothing of the database is held any more: Redis may be
    /// slow.
    pub(super) async fn presence(
        &self,
        request: Request<GetPresenceRequest>,
    ) -> std::result::Result<Response<GetPresenceResponse>, Status> {
        let asked = request.get_ref().clone();
        let mut response = self.kit.read(self, request, Self::counties).await?;
        let answer = response.get_mut();
        let group = |county_code: &str| group_of(&asked.programme_id, county_code);
        let groups: Vec<String> = answer.counties.iter().map(|county| group(&county.county_code)).collect();
        let (counts, mut known) = self.presence.count(&groups).await;
        for (county, count) in answer.counties.iter_mut().zip(&counts) {
            county.trainees = to_int32(*count);
        }
        answer.total = to_int32(counts.iter().sum());
        if asked.include_trainees {
            let (members, known_of) = self.presence.members(&group(&asked.region_code), TRAINEES_MAX).await;
            for (person_id, last_time) in members {
                answer.trainees.push(PresentTrainee { person_id, last_time: Some(to_timestamp(last_time)) });
            }
            if known_of == Known::ByOne {
                known = Known::ByOne;
            }
        }
        answer.complete = known == Known::ByAll;
        Ok(response)
    }

    /// The counties that are asked for, and nobody in them.
    async fn counties(
        self,
        mut unit: ReadUnit,
        request: GetPresenceRequest,
    ) -> Result<(ReadUnit, GetPresenceResponse)> {
        let (programme, region) = convert::region(&request.programme_id, &request.region_code)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let (tx, now) = (&mut unit.tx, unit.now);
        let codes = shipei_mirror::open_counties(tx, &unit.reach, &programme, region, now).await?;
        if let Some(region) = region.filter(|_| codes.is_empty()) {
            let known = shipei_mirror::region(&mut unit.tx, &programme, region).await?;
            known.ok_or_else(|| not_found("region_code"))?;
        }
        if request.include_trainees && region.is_none_or(|region| codes != [region]) {
            let fault = "must be a county in which learning is open, for its trainees to be named";
            return Err(Error::invalid("region_code", fault));
        }
        let nobody = |county: RegionCode| CountyPresence { county_code: county.into(), trainees: 0 };
        let window_seconds = i32::try_from(PRESENCE_WINDOW.as_secs()).unwrap_or(i32::MAX);
        let counties = codes.into_iter().map(nobody).collect();
        Ok((unit, GetPresenceResponse { counties, window_seconds, ..Default::default() }))
    }
}
