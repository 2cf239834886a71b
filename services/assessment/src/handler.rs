//! The gRPC service: each RPC is one line, what it answers is in `read/`.

use shipei_contracts::assessment::v1::{
    GetCountyScoreRequest, GetCountyScoreResponse, GetInstitutionRecordRequest, GetInstitutionRecordResponse,
    GetRecordRequest, GetRecordResponse, GetRegionRecordRequest, GetRegionRecordResponse,
    GetScoreDigestRequest, GetScoreDigestResponse, GetStatisticsRequest, GetStatisticsResponse,
    GetTraineeScoreRequest, GetTraineeScoreResponse, GetTutorScoreRequest, GetTutorScoreResponse,
    ListChosenTutorsRequest, ListChosenTutorsResponse, ListCountyScoresRequest, ListCountyScoresResponse,
    ListRecommendedTraineesRequest, ListRecommendedTraineesResponse, ListStatisticsRequest,
    ListStatisticsResponse, ListTraineeScoresRequest, ListTraineeScoresResponse, ListTutorScoresRequest,
    ListTutorScoresResponse, WatchStatisticsRequest, WatchStatisticsResponse,
    duty_service_server::DutyService, honour_list_service_server::HonourListService,
    score_service_server::ScoreService, statistics_service_server::StatisticsService,
};
use shipei_service_kit::export::Chunks;
use tonic::{Request, Response, Status};

use crate::Assessment;

#[tonic::async_trait]
impl ScoreService for Assessment {
    async fn get_trainee_score(
        &self,
        request: Request<GetTraineeScoreRequest>,
    ) -> Result<Response<GetTraineeScoreResponse>, Status> {
        self.kit.read(self, request, Self::get_trainee_score).await
    }

    async fn list_trainee_scores(
        &self,
        request: Request<ListTraineeScoresRequest>,
    ) -> Result<Response<ListTraineeScoresResponse>, Status> {
        self.kit.read(self, request, Self::list_trainee_scores).await
    }

    async fn get_tutor_score(
        &self,
        request: Request<GetTutorScoreRequest>,
    ) -> Result<Response<GetTutorScoreResponse>, Status> {
        self.kit.read(self, request, Self::get_tutor_score).await
    }

    async fn list_tutor_scores(
        &self,
        request: Request<ListTutorScoresRequest>,
    ) -> Result<Response<ListTutorScoresResponse>, Status> {
        self.kit.read(self, request, Self::list_tutor_scores).await
    }

    async fn get_county_score(
        &self,
        request: Request<GetCountyScoreRequest>,
    ) -> Result<Response<GetCountyScoreResponse>, Status> {
        self.kit.read(self, request, Self::get_county_score).await
    }

    async fn list_county_scores(
        &self,
        request: Request<ListCountyScoresRequest>,
    ) -> Result<Response<ListCountyScoresResponse>, Status> {
        self.kit.read(self, request, Self::list_county_scores).await
    }

    async fn get_score_digest(
        &self,
        request: Request<GetScoreDigestRequest>,
    ) -> Result<Response<GetScoreDigestResponse>, Status> {
        self.kit.read(self, request, Self::get_score_digest).await
    }
}

#[tonic::async_trait]
impl StatisticsService for Assessment {
    async fn get_statistics(
        &self,
        request: Request<GetStatisticsRequest>,
    ) -> Result<Response<GetStatisticsResponse>, Status> {
        self.kit.read(self, request, Self::get_statistics).await
    }

    type WatchStatisticsStream = Chunks<WatchStatisticsResponse>;

    async fn watch_statistics(
        &self,
        request: Request<WatchStatisticsRequest>,
    ) -> Result<Response<Self::WatchStatisticsStream>, Status> {
        self.kit.observe(&self.shutdown, self, request, Self::watched_statistics).await
    }

    async fn list_statistics(
        &self,
        request: Request<ListStatisticsRequest>,
    ) -> Result<Response<ListStatisticsResponse>, Status> {
        self.kit.read(self, request, Self::list_statistics).await
    }
}

#[tonic::async_trait]
impl DutyService for Assessment {
    async fn get_record(
        &self,
        request: Request<GetRecordRequest>,
    ) -> Result<Response<GetRecordResponse>, Status> {
        self.kit.read(self, request, Self::get_record).await
    }

    async fn get_region_record(
        &self,
        request: Request<GetRegionRecordRequest>,
    ) -> Result<Response<GetRegionRecordResponse>, Status> {
        self.kit.read(self, request, Self::get_region_record).await
    }

    async fn get_institution_record(
        &self,
        request: Request<GetInstitutionRecordRequest>,
    ) -> Result<Response<GetInstitutionRecordResponse>, Status> {
        self.kit.read(self, request, Self::get_institution_record).await
    }
}

#[tonic::async_trait]
impl HonourListService for Assessment {
    async fn list_recommended_trainees(
        &self,
        request: Request<ListRecommendedTraineesRequest>,
    ) -> Result<Response<ListRecommendedTraineesResponse>, Status> {
        self.kit.read(self, request, Self::list_recommended_trainees).await
    }

    async fn list_chosen_tutors(
        &self,
        request: Request<ListChosenTutorsRequest>,
    ) -> Result<Response<ListChosenTutorsResponse>, Status> {
        self.kit.read(self, request, Self::list_chosen_tutors).await
    }
}
