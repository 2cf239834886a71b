//! The hot paths, driven through the public API as any client would.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;
use shipei_client::{
    client::{Clients, call, explain},
    replay::calls::timestamp,
};
use shipei_contracts::{
    assessment::v1::{
        GetScoreDigestRequest, ListTraineeScoresRequest, score_service_client::ScoreServiceClient,
    },
    assignment::v1::{SubmitAssignmentRequest, assignment_service_client::AssignmentServiceClient},
    common::v1::EducationStage,
    enrollment::v1::{RecordLoginRequest, person_service_client::PersonServiceClient},
    event::v1::{GetHeadRequest, SubscribeRequest, event_feed_client::EventFeedClient},
    learning::v1::{
        GetProgressRequest, Heartbeat, RecordHeartbeatRequest, SessionHeartbeats, StreamHeartbeatsRequest,
        study_service_client::StudyServiceClient,
    },
    offline::v1::{
        HoldActivityRequest, RecordAttendanceRequest, ScoreAttendeeRequest,
        offline_service_client::OfflineServiceClient,
    },
};
use tonic::{Status, transport::Channel};

use super::{
    drive::{alone, at_once},
    report::Rate,
    shape::{COUNTIES, Shape, activity, counselor, county_of, course, person},
};

/// Seconds between two beats.
const BEAT_SECONDS: u64 = 30;
/// Scores of one page.
const PAGE_SIZE: i32 = 1_000;
/// The logs that assessment follows.
const FOLLOWED: [&str; 4] = shipei_contracts::services::OF_FACTS;

/// When everybody logs in.
const LOGIN_AT: &str = "2019-09-11T08:00:00+08:00";
/// When the streamed sessions begin.
const STREAM_AT: &str = "2019-09-16T08:00:00+08:00";
/// When the single heartbeats begin: after all streamed ones that a measurement can have.
const SINGLE_AT: &str = "2019-10-28T08:00:00+08:00";
/// When assignments are submitted.
const SUBMIT_AT: &str = "2019-11-05T08:00:00+08:00";
/// When the offline activities are held and attended.
const ATTEND_AT: &str = "2019-11-06T08:00:00+08:00";
/// When attendees are scored, and how.
const SCORE_AT: &str = "2019-11-07T08:00:00+08:00";
const SCORE: i32 = 8;

/// The programme under load.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) clients: Clients,
    pub(crate) programme: String,
    pub(crate) final_time: Option<Timestamp>,
}

impl Load {
    /// Log-ins of these learners, so many at once.
    pub(crate) async fn logins(&self, learners: Range<u64>, workers: u64, time: Duration) -> Result<Rate> {
        let load = self.clone();
        at_once(learners, workers, time, move |number| {
            let load = load.clone();
            async move { load.login(number).await }
        })
        .await
    }

    /// Log-ins of these learners one after the other, by their median.
    pub(crate) async fn lone_logins(&self, learners: Range<u64>, time: Duration) -> Result<Rate> {
        alone(learners, time, |number| self.login(number)).await
    }

    async fn login(&self, learner: u64) -> Result<()> {
        let message = RecordLoginRequest {
            programme_id: self.programme.clone(),
            person_id: person(learner),
            request_id: format!("bench:login:{learner}"),
            occurred_at: Some(timestamp(instant(LOGIN_AT)?)),
            correction: None,
        };
        let answer = call(|| {
            let request = self.clients.unary(message.clone());
            let mut client = PersonServiceClient::new(self.clients.channel("enrollment"));
            async move { client.record_login(request).await }
        })
        .await
        .map_err(refused)?;
        // Learning-progress must know of it before the learner studies.
        self.clients.note(&answer);
        Ok(())
    }

    /// One practical assignment of each of these learners.
    pub(crate) async fn submissions(
        &self,
        learners: Range<u64>,
        workers: u64,
        time: Duration,
    ) -> Result<Rate> {
        let load = self.clone();
        at_once(learners, workers, time, move |number| {
            let load = load.clone();
            async move { load.submission(number).await }
        })
        .await
    }

    async fn submission(&self, learner: u64) -> Result<()> {
        let message = SubmitAssignmentRequest {
            programme_id: self.programme.clone(),
            person_id: person(learner),
            submission_id: format!("A{learner}"),
            kind: "lesson_plan".to_owned(),
            title: "one acknowledged write".to_owned(),
            text: String::new(),
            request_id: format!("bench:submission:{learner}"),
            occurred_at: Some(timestamp(instant(SUBMIT_AT)?)),
            correction: None,
        };
        call(|| {
            let request = self.clients.unary(message.clone());
            let mut client = AssignmentServiceClient::new(self.clients.channel("assignment-grading"));
            async move { client.submit_assignment(request).await }
        })
        .await
        .map_err(refused)?;
        Ok(())
    }

    /// One activity in each of the season's counties, which all of its learners attended.
    pub(crate) async fn activities(&self, learners: u64) -> Result<()> {
        let at = Some(timestamp(instant(ATTEND_AT)?));
        let mut client = OfflineServiceClient::new(self.clients.channel("offline-activity"));
        for (number, county) in (0..).zip(COUNTIES) {
            let message = HoldActivityRequest {
                programme_id: self.programme.clone(),
                counselor_id: counselor(county),
                county_code: county.to_owned(),
                education_stage: EducationStage::Compulsory.into(),
                activity_id: activity(county),
                theme: "one activity".to_owned(),
                request_id: format!("bench:activity:{county}"),
                occurred_at: at,
                correction: None,
            };
            client.hold_activity(self.clients.unary(message)).await.map_err(refused)?;
            let attendees = (number..learners).step_by(COUNTIES.len()).map(person).collect();
            let message = RecordAttendanceRequest {
                programme_id: self.programme.clone(),
                counselor_id: counselor(county),
                activity_id: activity(county),
                person_ids: attendees,
                request_id: format!("bench:attendance:{county}"),
                occurred_at: at,
                correction: None,
                validate_only: false,
                all_or_none: true,
            };
            client.record_attendance(self.clients.unary(message)).await.map_err(refused)?;
        }
        Ok(())
    }

    /// A score for each of these attendees.
    pub(crate) async fn attendee_scores(
        &self,
        learners: Range<u64>,
        workers: u64,
        time: Duration,
    ) -> Result<Rate> {
        let load = self.clone();
        at_once(learners, workers, time, move |number| {
            let load = load.clone();
            async move { load.attendee_score(number).await }
        })
        .await
    }

    async fn attendee_score(&self, learner: u64) -> Result<()> {
        let county = county_of(learner);
        let message = ScoreAttendeeRequest {
            programme_id: self.programme.clone(),
            counselor_id: counselor(county),
            activity_id: activity(county),
            person_id: person(learner),
            score: SCORE,
            request_id: format!("bench:score:{learner}"),
            occurred_at: Some(timestamp(instant(SCORE_AT)?)),
            correction: None,
            validate_only: false,
        };
        call(|| {
            let request = self.clients.unary(message.clone());
            let mut client = OfflineServiceClient::new(self.clients.channel("offline-activity"));
            async move { client.score_attendee(request).await }
        })
        .await
        .map_err(refused)?;
        Ok(())
    }

    /// Heartbeats over one stream: messages until the time is over, then the answers to all that were sent.
    pub(crate) async fn stream(&self, shape: Shape, time: Duration) -> Result<Rate> {
        let from = instant(STREAM_AT)?;
        let (programme, token) = (self.programme.clone(), self.clients.token());
        let began = Instant::now();
        let messages = shape
            .messages()
            .take_while(move |number| *number == shape.first_message || began.elapsed() < time)
            .map(move |number| message(&programme, &token, shape, from, number));
        let mut client = StudyServiceClient::new(self.clients.channel("learning-progress"))
            .max_decoding_message_size(self.clients.message_bytes_max());
        let request = self.clients.request(tokio_stream::iter(messages));
        let mut answers = client.stream_heartbeats(request).await.map_err(refused)?.into_inner();
        let mut count = 0;
        while let Some(answer) = answers.message().await.map_err(refused)? {
            for session in &answer.sessions {
                let first = session.refused.first().map(|refusal| refusal.reason());
                ensure!(first.is_none(), "a heartbeat was refused: {first:?}");
                count += session.outcomes.len() as u64;
            }
        }
        Ok(Rate { count, took: began.elapsed() })
    }

    /// Heartbeats one at a time, learner after learner, so many calls at once.
    pub(crate) async fn single_beats(
        &self,
        learners: u64,
        numbers: Range<u64>,
        workers: u64,
        time: Duration,
    ) -> Result<Rate> {
        let from = instant(SINGLE_AT)?;
        let load = self.clone();
        at_once(numbers, workers, time, move |number| {
            let load = load.clone();
            let (learner, seq) = (number % learners, number / learners);
            async move {
                let message = RecordHeartbeatRequest {
                    programme_id: load.programme.clone(),
                    person_id: person(learner),
                    course_id: course(0),
                    session_id: format!("U{learner}"),
                    seq: seq.cast_signed(),
                    occurred_at: Some(beat_time(from, seq)),
                };
                call(|| {
                    let request = load.clients.unary(message.clone());
                    let mut client = StudyServiceClient::new(load.clients.channel("learning-progress"));
                    async move { client.record_heartbeat(request).await }
                })
                .await
                .map_err(refused)?;
                Ok(())
            }
        })
        .await
    }

    /// Pages of scores as of the programme's end, over and over.
    pub(crate) async fn scores(&self, scores_max: u64, time: Duration) -> Result<Rate> {
        let began = Instant::now();
        let mut count = 0;
        let mut page_token = String::new();
        while began.elapsed() < time && count < scores_max {
            let page = self.page(&self.clients, PAGE_SIZE, &page_token).await?;
            ensure!(page.0 > 0 || !page_token.is_empty(), "there are no scores");
            count += page.0;
            page_token = page.1;
        }
        Ok(Rate { count, took: began.elapsed() })
    }

    /// Returns when learning-progress has learned of everything that these clients wrote.
    pub(crate) async fn wait_for_learning(&self) -> Result<()> {
        let message = GetProgressRequest { programme_id: self.programme.clone(), person_id: person(0) };
        call(|| {
            let request = self.clients.unary(message.clone());
            let mut client = StudyServiceClient::new(self.clients.channel("learning-progress"));
            async move { client.get_progress(request).await }
        })
        .await
        .map_err(refused)?;
        Ok(())
    }

    /// Returns when assessment has applied and scored what the four logs hold now; gives how many events that are.
    pub(crate) async fn wait_for_assessment(&self, channel: &Channel) -> Result<u64> {
        // Clients of their own: a token of four logs would weigh kilobytes in each call of the measurements.
        self.wait_for_assessment_of(&Clients::of_channel(channel)).await
    }

    /// The same, asked by these clients, which carry the token of all logs from then on.
    pub(crate) async fn wait_for_assessment_of(&self, clients: &Clients) -> Result<u64> {
        let mut events = 0;
        for source in FOLLOWED {
            let (count, token) = self.head(source).await?;
            events += count;
            clients.note_token(token.as_bytes());
        }
        self.page(clients, 1, "").await?;
        // Reads answer from the facts as soon as these are there; the digest answers when everybody has been scored.
        let message = GetScoreDigestRequest { programme_id: self.programme.clone() };
        call(|| {
            let request = clients.unary(message.clone());
            let mut client = ScoreServiceClient::new(clients.channel("assessment"));
            async move { client.get_score_digest(request).await }
        })
        .await
        .map_err(refused)?;
        Ok(events)
    }

    /// Reads the four logs from the first event to the last, side by side, and does nothing with them.
    pub(crate) async fn read_logs(&self) -> Result<Rate> {
        let began = Instant::now();
        let logs = FOLLOWED.map(|source| self.read_log(source));
        let count = futures::future::try_join_all(logs).await?.into_iter().sum();
        Ok(Rate { count, took: began.elapsed() })
    }

    async fn read_log(&self, source: &'static str) -> Result<u64> {
        let (end, _) = self.head(source).await?;
        let request = SubscribeRequest { source: source.to_owned(), ..Default::default() };
        let mut client = EventFeedClient::new(self.clients.channel(source))
            .max_decoding_message_size(self.clients.message_bytes_max());
        let mut events = client.subscribe(self.clients.request(request)).await.map_err(refused)?.into_inner();
        let mut count = 0;
        while count < end {
            let response = events.message().await.map_err(refused)?;
            count += response.with_context(|| format!("the log of {source} ended"))?.events.len() as u64;
        }
        Ok(count)
    }

    /// How many events a log has, and its end as a token.
    async fn head(&self, source: &'static str) -> Result<(u64, String)> {
        let head = call(|| {
            let request = self.clients.unary(GetHeadRequest { source: source.to_owned() });
            let mut client = EventFeedClient::new(self.clients.channel(source));
            async move { client.get_head(request).await }
        })
        .await
        .map_err(refused)?
        .into_inner();
        let events = head.positions.iter().map(|position| position.number.unsigned_abs()).sum();
        Ok((events, head.consistency_token))
    }

    async fn page(&self, clients: &Clients, page_size: i32, page_token: &str) -> Result<(u64, String)> {
        let message = ListTraineeScoresRequest {
            programme_id: self.programme.clone(),
            as_of: self.final_time,
            page_size,
            page_token: page_token.to_owned(),
            ..Default::default()
        };
        let answer = call(|| {
            let request = clients.unary(message.clone());
            let mut client = ScoreServiceClient::new(clients.channel("assessment"))
                .max_decoding_message_size(clients.message_bytes_max());
            async move { client.list_trainee_scores(request).await }
        })
        .await
        .map_err(refused)?
        .into_inner();
        Ok((answer.scores.len() as u64, answer.next_page_token))
    }
}

fn message(
    programme: &str,
    token: &str,
    shape: Shape,
    from: DateTime<Utc>,
    number: u64,
) -> StreamHeartbeatsRequest {
    let first = shape.first_beat(number);
    let sessions = shape.learners_of(number).map(|learner| {
        let (session_id, course_id, seq) = shape.place(learner, first);
        let heartbeats = (0..shape.beats_each)
            .map(|beat| Heartbeat {
                seq: seq + beat.cast_signed(),
                occurred_at: Some(beat_time(from, first + beat)),
            })
            .collect();
        SessionHeartbeats { person_id: person(learner), course_id, session_id, heartbeats }
    });
    StreamHeartbeatsRequest {
        programme_id: programme.to_owned(),
        batch_number: number.cast_signed(),
        sessions: sessions.collect(),
        consistency_token: token.to_owned(),
    }
}

fn beat_time(from: DateTime<Utc>, beat: u64) -> Timestamp {
    timestamp(from + TimeDelta::seconds((beat * BEAT_SECONDS).cast_signed()))
}

fn instant(text: &str) -> Result<DateTime<Utc>> {
    Ok(DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc))
}

fn refused(status: Status) -> anyhow::Error {
    anyhow!("{}", explain(&status))
}
