//! What callers see while instances die under them is what callers one after the other would have seen: writes with
//! request ids, sent again where nobody knows what became of them, and reads, at all instances of a service.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use prost_types::Timestamp;
use shipei::progress::Progress;
use shipei_client::{
    client::{Clients, is_transient},
    season::Season,
};
use shipei_contracts::enrollment::v1::{
    GetPersonRequest, Person, RecordLoginRequest, person_service_client::PersonServiceClient,
};

use tokio::sync::watch;

use super::seed;
use crate::{
    cluster::{Cluster, Counts, Network},
    harness::season_folder,
    linear::{Seen, is_linearizable},
};

const PROGRAMME: &str = "qinhuangdao-2019";
/// Three instances of enrollment, of which one at a time is killed.
const ENROLLMENT_THREE: Counts = [3, 1, 1, 1, 1];
/// Whom the calls are about: a history each.
const PEOPLE: [&str; 6] = ["T01", "T02", "T03", "T04", "T05", "T06"];
/// Callers at once, of each person.
const CALLERS: usize = 4;
/// How often an instance is killed, and what each caller does meanwhile.
const KILLS: usize = 6;
const CALLS_PER_KILL: usize = 2;
/// 2019-09-11 in Qinhuangdao, the first day for logging in.
const FROM: i64 = 1_568_131_200;
/// Later than all log-ins of this test; each is earlier than the one before, so that each changes what is kept.
const UNTIL: i64 = FROM + 12 * 60 * 60;

#[derive(Debug, Clone)]
enum Call {
    /// Logs in at a time; answered with the first log-in that is known then.
    LogIn {
        request_id: String,
        at: i64,
        first: Option<i64>,
    },
    Look {
        first: i64,
    },
}

/// What is kept of a person: the first log-in, and what each request was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kept {
    first: i64,
    answers: BTreeMap<String, i64>,
}

fn step(kept: &Kept, call: &Call) -> Option<Kept> {
    match call {
        Call::Look { first } => (*first == kept.first).then(|| kept.clone()),
        Call::LogIn { request_id, at, first } => {
            let mut next = kept.clone();
            let answer = match kept.answers.get(request_id) {
                // Carried out before: answered the same, and nothing changes.
                Some(answer) => *answer,
                None => {
                    next.first = kept.first.min(*at);
                    next.answers.insert(request_id.clone(), next.first);
                    next.first
                }
            };
            first.is_none_or(|first| first == answer).then_some(next)
        }
    }
}

fn first_of(person: Option<Person>) -> Result<i64> {
    let login = person.context("a person")?.login_time;
    Ok(login.map_or(UNTIL, |login| login.seconds))
}

/// The histories, and the time that they are told in.
struct Histories {
    begun: Instant,
    next: AtomicI64,
    of: Vec<Mutex<Vec<Seen<Call>>>>,
    /// Calls go out when an instance has just been killed.
    kills: watch::Sender<usize>,
}

impl Histories {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn note(&self, person: usize, seen: Seen<Call>) {
        self.of[person].lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
}

async fn call(
    clients: &Clients,
    histories: &Histories,
    person: usize,
    caller: usize,
    seed: u64,
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed ^ u64::try_from(person * CALLERS + caller)?);
    let mut client = PersonServiceClient::new(clients.channel("enrollment"));
    // What nobody knows the outcome of, to be sent again.
    let mut unknown: Option<RecordLoginRequest> = None;
    let mut kills = histories.kills.subscribe();
    for number in 0..KILLS * CALLS_PER_KILL {
        kills.wait_for(|kills| kills * CALLS_PER_KILL > number).await?;
        if random.u8(..3) == 0 {
            let request =
                GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: PEOPLE[person].to_owned() };
            let begun = histories.now();
            match client.get_person(clients.unary(request)).await {
                Ok(answer) => {
                    let call = Call::Look { first: first_of(answer.into_inner().person)? };
                    histories.note(person, Seen { begun, answered: Some(histories.now()), call });
                }
                Err(status) => ensure!(is_transient(&status), "{status:?}"),
            }
            continue;
        }
        let request = unknown.take().unwrap_or_else(|| RecordLoginRequest {
            programme_id: PROGRAMME.to_owned(),
            person_id: PEOPLE[person].to_owned(),
            request_id: format!("linear:{person}:{caller}:{number}"),
            occurred_at: Some(Timestamp {
                seconds: UNTIL - histories.next.fetch_add(1, Ordering::Relaxed),
                nanos: 0,
            }),
            ..Default::default()
        });
        let (request_id, at) =
            (request.request_id.clone(), request.occurred_at.context("a stated time")?.seconds);
        let begun = histories.now();
        let (answered, first) = match client.record_login(clients.unary(request.clone())).await {
            Ok(answer) => (Some(histories.now()), Some(first_of(answer.into_inner().person)?)),
            Err(status) => {
                ensure!(is_transient(&status), "{status:?}");
                unknown = Some(request);
                (None, None)
            }
        };
        histories.note(person, Seen { begun, answered, call: Call::LogIn { request_id, at, first } });
    }
    Ok(())
}

async fn seen_while_dying(cluster: &Cluster, seed: u64) -> Result<()> {
    let season = Season::open(&season_folder("edges"))?;
    let clients = cluster.clients().await?;
    shipei_client::replay::replay(&clients, &season, &Progress::hidden()).await?;
    let mut starts = Vec::new();
    let mut client = PersonServiceClient::new(clients.channel("enrollment"));
    for person in PEOPLE {
        let request = GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: person.to_owned() };
        starts.push(first_of(client.get_person(clients.unary(request)).await?.into_inner().person)?);
    }

    let histories = Histories {
        begun: Instant::now(),
        next: AtomicI64::new(1),
        of: PEOPLE.iter().map(|_| Mutex::default()).collect(),
        kills: watch::Sender::new(0),
    };
    let calling = async {
        let calls = (0..PEOPLE.len()).flat_map(|person| {
            let (clients, histories) = (&clients, &histories);
            (0..CALLERS).map(move |caller| call(clients, histories, person, caller, seed))
        });
        futures::future::join_all(calls).await.into_iter().collect::<Result<Vec<()>>>()
    };
    let killing = async {
        let mut random = fastrand::Rng::with_seed(seed);
        let instances: Vec<_> =
            cluster.instances().iter().filter(|instance| instance.service == "enrollment").collect();
        for _ in 0..KILLS {
            let instance = instances[random.usize(..instances.len())];
            instance.kill9().await;
            histories.kills.send_modify(|kills| *kills += 1);
            instance.start().await?;
            // The others are there all the time.
            instance.until_healthy().await?;
        }
        anyhow::Ok(())
    };
    let (called, killed) = futures::join!(calling, killing);
    killed?;
    called?;
    let (mut calls, mut unknown) = (0, 0);
    for ((person, history), first) in PEOPLE.iter().zip(histories.of).zip(starts) {
        let history = history.into_inner().unwrap_or_else(PoisonError::into_inner);
        calls += history.len();
        unknown += history.iter().filter(|seen| seen.answered.is_none()).count();
        let start = Kept { first, answers: BTreeMap::new() };
        ensure!(is_linearizable(start, &history, step), "{person}, first {first}: {history:#?}");
    }
    ensure!(calls > 2 * unknown, "of {calls} calls {unknown} were of unknown outcome: nothing was shown");
    eprintln!("seed {seed}: {KILLS} kills, {calls} calls, {unknown} of them of unknown outcome");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_callers_see_while_instances_die_could_be_seen_one_after_the_other() -> Result<()> {
    let seed = seed();
    let cluster = Cluster::start(ENROLLMENT_THREE, Network::Direct).await?;
    let result = seen_while_dying(&cluster, seed).await;
    cluster.judge(&format!("seed {seed}"), result)
}
