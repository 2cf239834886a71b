//! OfflineService: its RPCs in two files, what changes ([`write`]) and what is asked ([`read`]), and what they
//! share here. A handler looks up, lets the domain decide, saves, emits, answers.

mod export;
pub(crate) mod facts;
mod read;
mod write;

use chrono::{DateTime, Utc};
use shipei_contracts::offline::v1::{self as proto, offline_service_server::OfflineService};
use shipei_mirror::{Member, Programmes};
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
    scheme::Scheme,
    vocabulary::Role,
};
use shipei_service_kit::{Kit, Result, Unit, Whose};
use shipei_store::Tx;
use tonic::{Request, Response, Status};

use crate::{error::not_found, store::Recorded};

/// What an RPC answers.
type Answer<T> = std::result::Result<Response<T>, Status>;

/// What every handler has at hand.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    kit: Kit,
    programmes: Programmes,
}

impl Handler {
    /// The handler of the gRPC service.
    pub(crate) fn new(kit: Kit) -> Handler {
        Handler { kit, programmes: Programmes::default() }
    }
}

/// Whose quota is taken from, of the day of that instant.
fn whose<'call>(
    programme: &'call ProgrammeId,
    person: &'call PersonId,
    scheme: &Scheme,
    at: DateTime<Utc>,
) -> Whose<'call> {
    let day = scheme.zone.day_around(at);
    Whose { programme: programme.as_str(), person: person.as_str(), day_from: day.from, day_until: day.until }
}

#[tonic::async_trait]
impl OfflineService for Handler {
    async fn submit_plan(
        &self,
        request: Request<proto::SubmitPlanRequest>,
    ) -> Answer<proto::SubmitPlanResponse> {
        self.kit.write(self, request, Self::plan).await
    }

    async fn hold_activity(
        &self,
        request: Request<proto::HoldActivityRequest>,
    ) -> Answer<proto::HoldActivityResponse> {
        self.kit.write(self, request, Self::hold).await
    }

    async fn record_attendance(
        &self,
        request: Request<proto::RecordAttendanceRequest>,
    ) -> Answer<proto::RecordAttendanceResponse> {
        self.kit.write(self, request, Self::attend).await
    }

    async fn score_attendee(
        &self,
        request: Request<proto::ScoreAttendeeRequest>,
    ) -> Answer<proto::ScoreAttendeeResponse> {
        self.kit.write(self, request, Self::score).await
    }

    async fn score_attendees(
        &self,
        request: Request<proto::ScoreAttendeesRequest>,
    ) -> Answer<proto::ScoreAttendeesResponse> {
        self.kit.write(self, request, Self::score_many).await
    }

    async fn submit_results(
        &self,
        request: Request<proto::SubmitResultsRequest>,
    ) -> Answer<proto::SubmitResultsResponse> {
        self.kit.write(self, request, Self::results).await
    }

    async fn list_plans(
        &self,
        request: Request<proto::ListPlansRequest>,
    ) -> Answer<proto::ListPlansResponse> {
        self.kit.read(self, request, Self::plans).await
    }

    async fn list_activities(
        &self,
        request: Request<proto::ListActivitiesRequest>,
    ) -> Answer<proto::ListActivitiesResponse> {
        self.kit.read(self, request, Self::activities).await
    }

    async fn list_attendances(
        &self,
        request: Request<proto::ListAttendancesRequest>,
    ) -> Answer<proto::ListAttendancesResponse> {
        self.kit.read(self, request, Self::attendances).await
    }

    async fn list_results(
        &self,
        request: Request<proto::ListResultsRequest>,
    ) -> Answer<proto::ListResultsResponse> {
        self.kit.read(self, request, Self::library).await
    }
}

/// Who told this write, and when.
fn recorded(unit: &Unit) -> Recorded {
    Recorded { at: unit.now, actor: unit.actor().to_owned() }
}

/// A county counselor; NOT_FOUND for nobody and for who has other roles only.
async fn counselor(tx: &mut Tx, programme: &ProgrammeId, person: &PersonId) -> Result<Member> {
    let found = shipei_mirror::member(tx, programme, Role::CountyCounselor, person).await?;
    Ok(found.ok_or_else(|| not_found("counselor_id"))?)
}

/// A trainee; NOT_FOUND for nobody and for who has other roles only.
async fn trainee(tx: &mut Tx, programme: &ProgrammeId, person: &PersonId) -> Result<Member> {
    let found = shipei_mirror::member(tx, programme, Role::Trainee, person).await?;
    Ok(found.ok_or_else(|| not_found("person_id"))?)
}

/// The code of a county that the programme has; NOT_FOUND for any other region.
async fn county(tx: &mut Tx, programme: &ProgrammeId, code: RegionCode) -> Result<RegionCode> {
    let region = shipei_mirror::region(tx, programme, code).await?;
    let region = region.filter(|region| region.is_county());
    Ok(region.ok_or_else(|| not_found("county_code"))?.region_code)
}
