//! Sends a window's heartbeats over the stream, learner by learner, and gathers what was refused.
//!
//! A stream that breaks is opened again and everything that was not answered is sent again: a heartbeat that was
//! taken before is a duplicate then, which changes nothing.

use std::{collections::BTreeMap, time::Duration};

use shipei_contracts::{
    common::v1::ErrorReason,
    learning::v1::{
        Heartbeat, HeartbeatOutcome, SessionHeartbeats, StreamHeartbeatsRequest, StreamHeartbeatsResponse,
        study_service_client::StudyServiceClient,
    },
    services::LEARNING_PROGRESS,
};
use shipei_service_kit::status;
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::calls::timestamp;
use crate::{
    client::{Clients, is_transient},
    season::window::Beat,
};

/// Heartbeats of one message: enough to share a commit, few enough to be answered soon.
const BEATS_PER_MESSAGE: usize = 4_000;
/// How often a broken stream is opened again without a single answer in between.
const STREAM_ATTEMPTS_MAX: u32 = 60;
/// The wait before a broken stream is opened again.
const STREAM_BACK_OFF: Duration = Duration::from_millis(250);

/// A message and the lines that its heartbeats come from.
struct Message {
    request: StreamHeartbeatsRequest,
    /// For each SessionHeartbeats, the line of each beat.
    lines: Vec<Vec<u64>>,
    beats: u64,
}

/// Sends the heartbeats of many learners. `refused` gets line and reason, `answered` the number of beats answered.
pub async fn send_study(
    clients: &Clients,
    programme: &str,
    study: BTreeMap<String, Vec<Beat>>,
    refused: impl Fn(u64, &str),
    answered: impl Fn(u64),
) -> Result<(), Status> {
    let messages = messages_of(programme, &clients.token(), study);
    let mut done = 0;
    let mut attempts = 1;
    while done < messages.len() {
        let before = done;
        let outcome = send_from(clients, &messages, &mut done, &refused, &answered).await;
        clients.note_attempt(attempts, outcome.as_ref().err());
        if done > before {
            attempts = 1;
        }
        let Err(status) = outcome else { continue };
        attempts += 1;
        if !is_transient(&status) || attempts > STREAM_ATTEMPTS_MAX {
            return Err(status);
        }
        tokio::time::sleep(status::retry_after(&status).unwrap_or(STREAM_BACK_OFF)).await;
    }
    Ok(())
}

/// One stream: sends what is not done yet, until it is or the stream breaks.
async fn send_from(
    clients: &Clients,
    messages: &[Message],
    done: &mut usize,
    refused: &impl Fn(u64, &str),
    answered: &impl Fn(u64),
) -> Result<(), Status> {
    let mut client = StudyServiceClient::new(clients.channel(LEARNING_PROGRESS))
        .max_decoding_message_size(clients.message_bytes_max());
    let requests: Vec<StreamHeartbeatsRequest> =
        messages[*done..].iter().map(|message| message.request.clone()).collect();
    let response = client.stream_heartbeats(clients.request(tokio_stream::iter(requests))).await?;
    let mut answers = response.into_inner();
    while *done < messages.len() {
        let Some(answer) = answers.next().await else {
            return Err(Status::unavailable("the stream ended before every message was answered"));
        };
        let message = &messages[*done];
        take_answer(message, &answer?, refused)?;
        *done += 1;
        answered(message.beats);
    }
    Ok(())
}

fn take_answer(
    message: &Message,
    answer: &StreamHeartbeatsResponse,
    refused: &impl Fn(u64, &str),
) -> Result<(), Status> {
    if answer.batch_number != message.request.batch_number || answer.sessions.len() != message.lines.len() {
        return Err(Status::internal("the answer does not belong to the message"));
    }
    for (lines, result) in message.lines.iter().zip(&answer.sessions) {
        if result.outcomes.len() != lines.len() {
            return Err(Status::internal("a heartbeat was not answered"));
        }
        for refusal in &result.refused {
            let line = usize::try_from(refusal.index).ok().and_then(|index| lines.get(index));
            let Some(line) = line else { return Err(Status::internal("a refusal of no heartbeat")) };
            // Of what a season's heartbeat says only an id can be what can't be.
            let reason = match refusal.reason() {
                ErrorReason::InvalidField => ErrorReason::NotFound,
                reason => reason,
            };
            refused(*line, status::reason_name(reason));
        }
        let refusals =
            result.outcomes.iter().filter(|outcome| **outcome == i32::from(HeartbeatOutcome::Refused));
        if refusals.count() != result.refused.len() {
            return Err(Status::internal("a refusal without a reason"));
        }
    }
    Ok(())
}

/// Packs the heartbeats: consecutive beats of one session are one SessionHeartbeats, a learner is never split over
/// two messages that could be answered out of order (one stream keeps its order anyway).
fn messages_of(programme: &str, token: &str, study: BTreeMap<String, Vec<Beat>>) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for beats in study.into_values() {
        for beat in beats {
            let full = messages.last().is_none_or(|message| message.beats >= BEATS_PER_MESSAGE as u64);
            if full {
                let batch_number = messages.len() as i64 + 1;
                let request = StreamHeartbeatsRequest {
                    programme_id: programme.to_owned(),
                    batch_number,
                    sessions: Vec::new(),
                    consistency_token: token.to_owned(),
                };
                messages.push(Message { request, lines: Vec::new(), beats: 0 });
            }
            if let Some(message) = messages.last_mut() {
                push_beat(message, &beat);
            }
        }
    }
    messages
}

fn push_beat(message: &mut Message, beat: &Beat) {
    let session = &beat.session;
    let same = message.request.sessions.last().is_some_and(|last| {
        last.session_id == session.session
            && last.person_id == session.person
            && last.course_id == session.course
    });
    if !same {
        message.request.sessions.push(SessionHeartbeats {
            person_id: session.person.clone(),
            course_id: session.course.clone(),
            session_id: session.session.clone(),
            heartbeats: Vec::new(),
        });
        message.lines.push(Vec::new());
    }
    if let (Some(last), Some(lines)) = (message.request.sessions.last_mut(), message.lines.last_mut()) {
        last.heartbeats.push(Heartbeat { seq: beat.seq, occurred_at: Some(timestamp(beat.at)) });
        lines.push(beat.line);
        message.beats += 1;
    }
}
