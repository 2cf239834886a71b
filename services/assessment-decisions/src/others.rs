//! What this service asks others for its own work: assessment for the scores that it freezes, enrollment for the names that stand
//! on certificates. It asks in its own name; who may have it done was found out before.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use shipei_contracts::{
    assessment::v1::{
        GetScoreDigestRequest, GetScoreDigestResponse, ListTraineeScoresRequest, ListTraineeScoresResponse,
        score_service_client::ScoreServiceClient,
    },
    enrollment::v1::{
        GetPersonRequest, ListRegionsRequest, ListSchoolsRequest, Person,
        person_service_client::PersonServiceClient, region_service_client::RegionServiceClient,
    },
    services::{ASSESSMENT, ENROLLMENT},
};
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::{Call, Error, Kit, Peers, Result, feed::wire::MESSAGE_BYTES_MAX};
use tonic::{Code, Status, transport::Channel};

/// How many scores, schools or regions are asked for at once.
const PAGE: i32 = 1_000;

/// The channels to them; none until the process is put together. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Others(Arc<OnceLock<Peers>>);

impl Others {
    /// Says where they are; once.
    pub(crate) fn are_at(&self, peers: &Peers) {
        let _ = self.0.set(peers.clone());
    }

    fn channel(&self, service: &str) -> Result<Channel> {
        let channel = self.0.get().and_then(|peers| peers.get(service)).cloned();
        channel.ok_or_else(|| Error::Unavailable(format!("it is not known where {service} runs (--peer)")))
    }

    fn scores(&self) -> Result<ScoreServiceClient<Channel>> {
        Ok(ScoreServiceClient::new(self.channel(ASSESSMENT)?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// The digest of the scores at the programme's end, and how many trainees have one.
    pub(crate) async fn score_digest(
        &self,
        (kit, call): (&Kit, &Call),
        programme: &ProgrammeId,
    ) -> Result<GetScoreDigestResponse> {
        let request = kit.asking(call, GetScoreDigestRequest { programme_id: programme.to_string() })?;
        let answer = self.scores()?.get_score_digest(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| away(ASSESSMENT, &status))
    }

    /// A page of trainees' scores at the programme's end, with everything that was decided.
    pub(crate) async fn score_page(
        &self,
        (kit, call): (&Kit, &Call),
        programme: &ProgrammeId,
        page_token: &str,
    ) -> Result<ListTraineeScoresResponse> {
        let request = ListTraineeScoresRequest {
            programme_id: programme.to_string(),
            final_scores: true,
            page_size: PAGE,
            page_token: page_token.to_owned(),
            ..ListTraineeScoresRequest::default()
        };
        let answer = self.scores()?.list_trainee_scores(kit.asking(call, request)?).await;
        let page = answer.map(tonic::Response::into_inner).map_err(|status| away(ASSESSMENT, &status))?;
        // A version with holes would be no version.
        if page.broken.is_empty() {
            Ok(page)
        } else {
            Err(Error::Unavailable("some scores can't be read".into()))
        }
    }

    /// Who somebody is; none when enrollment has nobody of this id any more.
    pub(crate) async fn person(
        &self,
        (kit, call): (&Kit, &Call),
        programme: &ProgrammeId,
        person: &PersonId,
    ) -> Result<Option<Person>> {
        let request = GetPersonRequest { programme_id: programme.to_string(), person_id: person.to_string() };
        let mut client = PersonServiceClient::new(self.channel(ENROLLMENT)?);
        match client.get_person(kit.asking(call, request)?).await {
            Ok(answer) => Ok(answer.into_inner().person),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(away(ENROLLMENT, &status)),
        }
    }

    /// The names of a county's schools by their codes.
    pub(crate) async fn school_names(
        &self,
        (kit, call): (&Kit, &Call),
        programme: &ProgrammeId,
        county: &str,
    ) -> Result<BTreeMap<String, String>> {
        let mut client = RegionServiceClient::new(self.channel(ENROLLMENT)?);
        let (mut schools, mut page_token) = (BTreeMap::new(), String::new());
        loop {
            let request = ListSchoolsRequest {
                programme_id: programme.to_string(),
                county_code: county.to_owned(),
                page_size: PAGE,
                page_token,
            };
            let page = client.list_schools(kit.asking(call, request)?).await;
            let page = page.map_err(|status| away(ENROLLMENT, &status))?.into_inner();
            schools.extend(page.schools.into_iter().map(|school| (school.school_code, school.name)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(schools);
            }
        }
    }

    /// The name of a region; its code when it has none.
    pub(crate) async fn region_name(
        &self,
        (kit, call): (&Kit, &Call),
        programme: &ProgrammeId,
        code: RegionCode,
    ) -> Result<String> {
        let mut client = RegionServiceClient::new(self.channel(ENROLLMENT)?);
        let mut page_token = String::new();
        loop {
            let request = ListRegionsRequest {
                programme_id: programme.to_string(),
                page_size: PAGE,
                page_token,
                ..ListRegionsRequest::default()
            };
            let page = client.list_regions(kit.asking(call, request)?).await;
            let page = page.map_err(|status| away(ENROLLMENT, &status))?.into_inner();
            if let Some(region) = page.regions.into_iter().find(|region| region.code == code.as_str()) {
                return Ok(region.name);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(code.as_str().to_owned());
            }
        }
    }
}

fn away(service: &str, status: &Status) -> Error {
    tracing::warn!(asked = service, code = ?status.code(), "another service does not answer as it should");
    Error::Unavailable(format!("{service} does not answer: {:?}", status.code()))
}
