//! `StudyService`: heartbeats in (through the pipeline), progress and sessions out.

use shipei_contracts::learning::v1::study_service_server::StudyService;
use shipei_contracts::learning::v1::{
    GetPresenceRequest, GetPresenceResponse, GetProgressRequest, GetProgressResponse, GrantTimeRequest,
    GrantTimeResponse, ListSessionsRequest, ListSessionsResponse, RecordHeartbeatRequest,
    RecordHeartbeatResponse, StreamHeartbeatsRequest, VoidSessionRequest, VoidSessionResponse,
};
use shipei_service_kit::{Error, Refusal, Result, kit::respond};
use tonic::{Request, Response, Status, Streaming};

use super::StudyHandler;
use super::study_stream::Answers;
use crate::convert;
use crate::pipeline::{Line, Sender};

#[tonic::async_trait]
impl StudyService for StudyHandler {
    type StreamHeartbeatsStream = Answers;

    async fn record_heartbeat(
        &self,
        request: Request<RecordHeartbeatRequest>,
    ) -> std::result::Result<Response<RecordHeartbeatResponse>, Status> {
        Ok(self.record(request).await?)
    }

    async fn stream_heartbeats(
        &self,
        request: Request<Streaming<StreamHeartbeatsRequest>>,
    ) -> std::result::Result<Response<Answers>, Status> {
        Ok(self.open_stream(request).await?)
    }

    async fn get_progress(
        &self,
        request: Request<GetProgressRequest>,
    ) -> std::result::Result<Response<GetProgressResponse>, Status> {
        self.kit.read(self, request, Self::progress).await
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> std::result::Result<Response<ListSessionsResponse>, Status> {
        self.kit.read(self, request, Self::sessions).await
    }

    async fn void_session(
        &self,
        request: Request<VoidSessionRequest>,
    ) -> std::result::Result<Response<VoidSessionResponse>, Status> {
        self.kit.write(self, request, Self::void).await
    }

    async fn grant_time(
        &self,
        request: Request<GrantTimeRequest>,
    ) -> std::result::Result<Response<GrantTimeResponse>, Status> {
        self.kit.write(self, request, Self::grant).await
    }

    async fn get_presence(
        &self,
        request: Request<GetPresenceRequest>,
    ) -> std::result::Result<Response<GetPresenceResponse>, Status> {
        self.presence(request).await
    }
}

impl StudyHandler {
    /// One beat: it shares its transaction with whatever else waits, and is answered when it is on disk.
    async fn record(
        &self,
        request: Request<RecordHeartbeatRequest>,
    ) -> Result<Response<RecordHeartbeatResponse>> {
        let admitted = self.kit.admit(&request).await?.without_look_ups()?;
        let mut token = admitted.token();
        let sender = Sender::of(&admitted, "shipei.learning.v1.RecordHeartbeatRequest");
        let message = convert::single_beat(&request.into_inner(), &sender, admitted.now())?;
        let lane = message.sessions.iter().find_map(|session| session.keys.as_ref());
        let lane = lane.map_or(0, |keys| self.pipeline.lane_of(&keys.person));

        let pending = self.pipeline.submit(&Line::new(lane), message).await?;
        let answer = pending.await.map_err(|_| Error::Unavailable("the service is ending".to_owned()))??;
        token.merge(&answer.token);
        let beat = answer.sessions.into_iter().flatten().next();
        let beat = beat.ok_or_else(|| Error::Internal("a beat without an answer".to_owned()))?;
        let worth = beat.map_err(Refusal::new)?;
        Ok(respond(convert::worth_to_proto(&worth), &token))
    }
}
