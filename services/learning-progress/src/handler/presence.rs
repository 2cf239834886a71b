//! Who studies at this moment: `GetPresence`. What is marked present is in `pipeline/batch.rs`.

use std::time::Duration;

use shipei_contracts::learning::v1::{
    CountyPresence, GetPresenceRequest, GetPresenceResponse, PresentTrainee,
};
use shipei_mirror::RegionRange;
use shipei_service_kit::{Error, ReadUnit, Result, soft_state::presence::Known, to_timestamp};

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
    pub(super) async fn presence(
        self,
        mut unit: ReadUnit,
        request: GetPresenceRequest,
    ) -> Result<(ReadUnit, GetPresenceResponse)> {
        let (programme, region) = convert::region(&request.programme_id, &request.region_code)?;
        let programme_id = programme.as_str();
        self.programmes.scheme(&mut unit.tx, programme_id).await?;
        let region_code = region.as_ref().map_or("", |region| region.as_str());
        let codes =
            shipei_mirror::open_counties(&mut unit.tx, programme_id, &RegionRange::of(region_code)).await?;
        if codes.is_empty() && !region_code.is_empty() {
            let known = shipei_mirror::region(&mut unit.tx, programme_id, region_code).await?;
            known.ok_or_else(|| not_found("region_code"))?;
        }
        if request.include_trainees && codes != [region_code] {
            let fault = "must be a county in which learning is open, for its trainees to be named";
            return Err(Error::invalid("region_code", fault));
        }
        let groups: Vec<String> = codes.iter().map(|code| group_of(programme_id, code)).collect();
        let (counts, mut known) = self.presence.count(&groups).await;
        let mut trainees = Vec::new();
        if request.include_trainees {
            let group = group_of(programme_id, region_code);
            let (members, members_known) = self.presence.members(&group, TRAINEES_MAX).await;
            if members_known == Known::ByOne {
                known = Known::ByOne;
            }
            for (person_id, last_time) in members {
                trainees.push(PresentTrainee { person_id, last_time: Some(to_timestamp(last_time)) });
            }
        }
        let total = counts.iter().sum();
        let counties = codes.into_iter().zip(counts);
        let counties = counties.map(|(county_code, trainees)| CountyPresence { county_code, trainees });
        let response = GetPresenceResponse {
            counties: counties.collect(),
            total,
            trainees,
            window_seconds: i64::try_from(PRESENCE_WINDOW.as_secs()).unwrap_or(i64::MAX),
            complete: known == Known::ByAll,
        };
        Ok((unit, response))
    }
}
