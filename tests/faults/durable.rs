//! What was acknowledged is there after everything, Postgres included, was killed at once.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use prost_types::Timestamp;
use shipei::progress::Progress;
use shipei_client::{
    client::{Clients, explain, is_transient},
    season::Season,
};
use shipei_contracts::{
    assignment::v1::{
        SubmitAssignmentRequest, SubmitAssignmentResponse, assignment_service_client::AssignmentServiceClient,
    },
    enrollment::v1::{RecordLoginRequest, RecordLoginResponse, person_service_client::PersonServiceClient},
    learning::v1::{
        Heartbeat, HeartbeatOutcome, RecordHeartbeatRequest, SessionHeartbeats, StreamHeartbeatsRequest,
        study_service_client::StudyServiceClient,
    },
};
use tokio::sync::watch;
use tonic::Status;

use super::seed;
use crate::{
    cluster::{Cluster, Network, THREE},
    harness::{log_lengths, season_folder},
};

/// Rounds of writing and dying.
const ROUNDS: u32 = 3;
/// Writers of each kind at once.
const WRITERS: u64 = 4;
/// The fewest and the most calls that are acknowledged before everything dies.
const ACKNOWLEDGED: std::ops::Range<u64> = 60..400;
/// The longest that it may take until so many are.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// Messages of one stream of heartbeats.
const MESSAGES: i64 = 2_000;
/// Heartbeats of one message.
const BEATS: i64 = 20;
/// 2019-10-10 in Qinhuangdao: learning is open, phase 1 is under way.
const STUDY_FROM: i64 = 1_570_636_800;
/// The first minutes of 2019-11-01: assignments may be submitted, and nothing is graded yet.
const SUBMIT_AT: i64 = 1_572_537_601;

/// What was acknowledged in one round.
#[derive(Debug, Default)]
struct Acknowledged {
    logins: Mutex<Vec<(RecordLoginRequest, RecordLoginResponse)>>,
    submissions: Mutex<Vec<(SubmitAssignmentRequest, SubmitAssignmentResponse)>>,
    beats: Mutex<Vec<RecordHeartbeatRequest>>,
    messages: Mutex<Vec<StreamHeartbeatsRequest>>,
    /// Calls that were acknowledged; messages of streams, which are many, don't count.
    count: watch::Sender<u64>,
    /// What was answered that is no sign of death.
    refusals: Mutex<Vec<String>>,
}

impl Acknowledged {
    /// Notes a call that was acknowledged; false when it was not, and the writer should end.
    fn note<T>(&self, list: &Mutex<Vec<T>>, write: Result<T, Status>) -> bool {
        match write {
            Ok(write) => {
                list.lock().unwrap_or_else(PoisonError::into_inner).push(write);
                self.count.send_modify(|count| *count += 1);
                true
            }
            Err(status) => {
                if !is_transient(&status) {
                    self.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(explain(&status));
                }
                false
            }
        }
    }
}

impl Acknowledged {
    /// Has a write of each kind been acknowledged?
    fn has_every_kind(&self) -> bool {
        fn some<T>(list: &Mutex<Vec<T>>) -> bool {
            !list.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
        }
        some(&self.logins) && some(&self.submissions) && some(&self.beats) && some(&self.messages)
    }
}

fn taken<T>(list: Mutex<Vec<T>>) -> Vec<T> {
    list.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

/// One writer of each kind, each until its first failure.
struct Writer<'a> {
    clients: &'a Clients,
    programme: &'a str,
    /// Apart from every other writer and round.
    name: String,
    person: String,
    /// Whose heartbeats come by the stream: another learner, so that the two don't wait for each other.
    streamer: String,
    acknowledged: &'a Acknowledged,
}

impl Writer<'_> {
    async fn write(&self) {
        futures::join!(self.log_in(), self.submit(), self.beat(), self.stream());
    }

    async fn log_in(&self) {
        let mut client = PersonServiceClient::new(self.clients.channel("enrollment"));
        for number in 0.. {
            let request = RecordLoginRequest {
                programme_id: self.programme.to_owned(),
                person_id: self.person.clone(),
                request_id: format!("durable:{}:{number}", self.name),
                occurred_at: at(STUDY_FROM + number),
                correction: None,
            };
            let answer = client.record_login(self.clients.unary(request.clone())).await;
            let answer = answer.map(|answer| (request, answer.into_inner()));
            if !self.acknowledged.note(&self.acknowledged.logins, answer) {
                return;
            }
        }
    }

    async fn submit(&self) {
        let mut client = AssignmentServiceClient::new(self.clients.channel("assignment-grading"));
        for number in 0.. {
            let request = SubmitAssignmentRequest {
                programme_id: self.programme.to_owned(),
                person_id: self.person.clone(),
                submission_id: format!("D-{}-{number}", self.name),
                kind: "lesson_plan".to_owned(),
                title: "作业".to_owned(),
                text: String::new(),
                request_id: format!("durable:{}:{number}", self.name),
                occurred_at: at(SUBMIT_AT + number),
                correction: None,
            };
            let answer = client.submit_assignment(self.clients.unary(request.clone())).await;
            let answer = answer.map(|answer| (request, answer.into_inner()));
            if !self.acknowledged.note(&self.acknowledged.submissions, answer) {
                return;
            }
        }
    }

    async fn beat(&self) {
        let mut client = StudyServiceClient::new(self.clients.channel("learning-progress"));
        for seq in 0.. {
            let request = RecordHeartbeatRequest {
                programme_id: self.programme.to_owned(),
                person_id: self.person.clone(),
                course_id: "P1".to_owned(),
                session_id: format!("U-{}", self.name),
                seq,
                occurred_at: at(STUDY_FROM + 30 * seq),
            };
            let answer = client.record_heartbeat(self.clients.unary(request.clone())).await;
            if !self.acknowledged.note(&self.acknowledged.beats, answer.map(|_| request)) {
                return;
            }
        }
    }

    async fn stream(&self) {
        let messages: Vec<StreamHeartbeatsRequest> =
            (0..MESSAGES).map(|number| self.message(number)).collect();
        let mut client = StudyServiceClient::new(self.clients.channel("learning-progress"));
        let sent = self.clients.request(futures::stream::iter(messages.clone()));
        let Ok(answers) = client.stream_heartbeats(sent).await else { return };
        let mut answers = answers.into_inner();
        for message in messages {
            let Ok(Some(answer)) = answers.message().await else { return };
            assert_eq!(answer.batch_number, message.batch_number);
            self.acknowledged.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
    }

    fn message(&self, number: i64) -> StreamHeartbeatsRequest {
        let beat = |seq| Heartbeat { seq, occurred_at: at(STUDY_FROM + 30 * seq) };
        StreamHeartbeatsRequest {
            programme_id: self.programme.to_owned(),
            batch_number: number,
            sessions: vec![SessionHeartbeats {
                person_id: self.streamer.clone(),
                course_id: "P2".to_owned(),
                session_id: format!("S-{}", self.name),
                heartbeats: (number * BEATS..(number + 1) * BEATS).map(beat).collect(),
            }],
            consistency_token: String::new(),
        }
    }
}

/// Writes until so many writes are acknowledged; then everything dies.
async fn write_and_die(cluster: &Cluster, programme: &str, round: u32, writes: u64) -> Result<Acknowledged> {
    let clients = cluster.clients().await?;
    let acknowledged = Acknowledged::default();
    let writers = (1..=WRITERS).map(|number| Writer {
        clients: &clients,
        programme,
        name: format!("{round}-{number}"),
        person: format!("T0{number}"),
        streamer: format!("T0{}", number + WRITERS),
        acknowledged: &acknowledged,
    });
    let writers: Vec<Writer<'_>> = writers.collect();
    let mut count = acknowledged.count.subscribe();
    let die = async {
        let enough = count.wait_for(|count| *count >= writes && acknowledged.has_every_kind());
        let reached = tokio::time::timeout(ACKNOWLEDGED_WITHIN, enough).await.is_ok();
        cluster.kill_everything().await;
        reached
    };
    let (_, reached) = futures::join!(futures::future::join_all(writers.iter().map(Writer::write)), die);
    drop(writers);
    let refusals = acknowledged.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(refusals.is_empty(), "a write was refused: {refusals:?}");
    ensure!(reached, "only {} of {writes} writes were acknowledged", *acknowledged.count.borrow());
    Ok(acknowledged)
}

/// The request ids of this test that a service has in its database.
fn recorded(cluster: &Cluster, schema: &str) -> Result<BTreeSet<String>> {
    let sql = format!("SELECT request_id FROM {schema}.request_record WHERE request_id LIKE 'durable:%'");
    let rows =
        cluster.postgres_program("psql", &["--dbname=shipei", "--tuples-only", "--no-align", "-c", &sql])?;
    Ok(rows.lines().map(str::to_owned).collect())
}

/// Everything acknowledged is there: in the database, in the logs, and in the answers when it is sent again.
async fn find_all(cluster: &Cluster, acknowledged: Acknowledged) -> Result<[usize; 4]> {
    let clients = cluster.clients().await?;
    let before = log_lengths(&clients).await?;
    let (logins, submissions) = (taken(acknowledged.logins), taken(acknowledged.submissions));
    let (beats, messages) = (taken(acknowledged.beats), taken(acknowledged.messages));
    let counts = [logins.len(), submissions.len(), beats.len(), messages.len()];

    let known = recorded(cluster, "enrollment")?;
    let mut client = PersonServiceClient::new(clients.channel("enrollment"));
    for (request, answer) in logins {
        ensure!(known.contains(&request.request_id), "log-in {} is lost", request.request_id);
        let again = client.record_login(clients.unary(request.clone())).await?.into_inner();
        ensure!(again == answer, "log-in {} was answered otherwise: {again:?}", request.request_id);
    }
    let known = recorded(cluster, "assignment_grading")?;
    let mut client = AssignmentServiceClient::new(clients.channel("assignment-grading"));
    for (request, answer) in submissions {
        ensure!(known.contains(&request.request_id), "submission {} is lost", request.submission_id);
        let again = client.submit_assignment(clients.unary(request.clone())).await?.into_inner();
        ensure!(again == answer, "submission {} was answered otherwise: {again:?}", request.submission_id);
    }
    let duplicate = HeartbeatOutcome::Duplicate;
    let mut client = StudyServiceClient::new(clients.channel("learning-progress"));
    for request in beats {
        let (session, seq) = (request.session_id.clone(), request.seq);
        let again = client.record_heartbeat(clients.unary(request)).await?.into_inner();
        ensure!(again.outcome() == duplicate, "heartbeat {seq} of {session} is lost: {again:?}");
    }
    let sent = clients.request(futures::stream::iter(messages.clone()));
    let mut answers = client.stream_heartbeats(sent).await?.into_inner();
    for message in messages {
        let answer = answers.message().await?.context("the stream ended early")?;
        let session = &answer.sessions[0];
        let found = session.outcomes.iter().all(|outcome| *outcome == i32::from(duplicate));
        ensure!(
            found && session.outcomes.len() == BEATS as usize,
            "message {} is lost: {session:?}",
            message.batch_number
        );
    }
    let after = log_lengths(&clients).await?;
    for source in ["enrollment", "learning-progress", "assignment-grading", "offline-activity"] {
        ensure!(after[source] == before[source], "what was sent again left events in the log of {source}");
    }
    Ok(counts)
}

async fn rounds(cluster: &Cluster, seed: u64) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let season = Season::open(&season_folder("edges"))?;
    let clients = cluster.clients().await?;
    let report = shipei_client::replay::replay(&clients, &season, &Progress::hidden()).await?;
    let programme = report.programme.programme_id;
    for round in 0..ROUNDS {
        let acknowledged = write_and_die(cluster, &programme, round, random.u64(ACKNOWLEDGED)).await?;
        cluster.start_postgres();
        cluster.start_redis().await?;
        cluster.start_all().await?;
        let counts = find_all(cluster, acknowledged).await?;
        eprintln!("seed {seed}, round {round}: log-ins, submissions, heartbeats, messages: {counts:?}");
        ensure!(counts.iter().all(|count| *count > 0), "a kind of writer wrote nothing: {counts:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_are_there_after_everything_was_killed() -> Result<()> {
    let seed = seed();
    let cluster = Cluster::start(THREE, Network::Direct).await?;
    let result = rounds(&cluster, seed).await;
    cluster.judge(&format!("seed {seed}"), result)
}
