//! How 1, 2 and 4 instances of learning-progress and of assessment share the same work: each instance a process of its
//! own, as containers have it, all on this machine and one Postgres. The streams, their messages and the logs are the
//! same each time, so what changes is only who carries them out.

use std::{collections::BTreeMap, path::Path, process::Command, time::Instant};

use anyhow::{Context as _, Result, ensure};
use shipei_client::replay::watcher::Watcher as _;
use shipei_client::{
    client::{Clients, SERVICES},
    replay,
};
use shipei_service_kit::{Clock, CorsOrigins, ProcessBounds, TrustedProxies};
use shipei_store::PoolLimits;
use tokio::net::TcpListener;

use super::{
    Bench, CATCH_UP_MAX, UNMEASURED,
    load::Load,
    paths::{BEATS_EACH, WRITES_AT_ONCE},
    process::Process,
    report::{Rate, Scaled},
    setup,
    shape::Shape,
};
use crate::suite::{Options, Storage, Suite, TlsFiles};

/// The instances of each measurement.
const INSTANCES: [usize; 3] = [1, 2, 4];
/// The streams of heartbeats, however many instances there are.
const STREAMS: u64 = 4;
/// Learners of one message: a stream has some thousand learners in turn.
const LEARNERS_PER_MESSAGE: u64 = 250;
/// Counties of the programme: enough for every shard of assessment to have some.
const COUNTIES: usize = 64;
/// The most connections of one process to each database: four processes of two services stay far below what Postgres
/// has by itself (100).
const CONNECTIONS: u32 = 8;

const LEARNING: &str = shipei_learning_progress::NAME;
const ASSESSMENT: &str = shipei_assessment::NAME;

/// The names of the schemas that it makes: those of learning-progress and assessment for each number of instances, the others' once.
pub(super) fn schemas() -> Vec<String> {
    let once = SERVICES.iter().filter(|service| **service != LEARNING && **service != ASSESSMENT);
    let mut names: Vec<String> = once.map(|service| schema(service, 0)).collect();
    for instances in INSTANCES {
        names.extend([schema(LEARNING, instances), schema(ASSESSMENT, instances)]);
    }
    names
}

fn schema(service: &str, instances: usize) -> String {
    format!("scale{instances}_{}", service.replace('-', "_"))
}

/// Measures; every process ends with this.
pub(super) async fn measure(bench: &Bench, folder: &Path) -> Result<Vec<Scaled>> {
    let mut urls = BTreeMap::new();
    for service in SERVICES {
        urls.insert(service, bench.places.url(&schema(service, 0)));
    }
    let key_file = folder.join("scale.key");
    let others: Vec<String> = SERVICES
        .iter()
        .filter(|name| **name != LEARNING && **name != ASSESSMENT)
        .map(|name| (*name).to_owned())
        .collect();
    let suite = Suite::start(&Options {
        services: others,
        storage: Storage::Databases { urls: urls.clone(), key_file: key_file.clone() },
        peers: BTreeMap::new(),
        clock: Clock::system(),
        instance: "bench".to_owned(),
        redis: None,
        rate_limit: None,
        tokens: None,
        tls: TlsFiles::default(),
        limits: PoolLimits { connections: CONNECTIONS, ..PoolLimits::default() },
        bounds: ProcessBounds::default(),
        proxies: TrustedProxies::default(),
        cors: CorsOrigins::default(),
        checkpoints: None,
        cipher: Default::default(),
        migrate: true,
    })
    .await?;
    let address = suite.listen(TcpListener::bind("127.0.0.1:0").await?)?.to_string();
    let season = setup::season(&folder.join("scale-season"), bench.sizes.learners, COUNTIES)?;
    let mut scaled = Vec::new();
    for instances in INSTANCES {
        bench.progress.stage(&format!("{instances} instance(s) of learning-progress and of assessment"));
        let scaling = Scaling { bench, urls: &urls, key_file: &key_file, others: &address, instances };
        scaled.push(scaling.measure(&season).await?);
    }
    suite.stop().await;
    Ok(scaled)
}

/// One number of instances.
struct Scaling<'bench> {
    bench: &'bench Bench,
    urls: &'bench BTreeMap<&'static str, String>,
    key_file: &'bench Path,
    /// Where enrollment, assignment-grading and offline-activity are.
    others: &'bench str,
    instances: usize,
}

impl Scaling<'_> {
    async fn measure(&self, season: &shipei_client::season::Season) -> Result<Scaled> {
        let learning = self.start(LEARNING, &[])?;
        let clients = self.clients(&learning[0].address, self.others).await?;
        let report = replay::replay(&clients, season, &self.bench.progress).await?;
        ensure!(report.row_refusals.is_empty() && report.rejections.is_empty(), "the season was refused");
        let load = Load {
            clients,
            programme: report.programme.programme_id,
            final_time: report.programme.final_time,
        };
        load.logins(0..self.bench.sizes.learners, WRITES_AT_ONCE, UNMEASURED).await?;
        let study = self.study(&load, &learning).await?;

        let began = Instant::now();
        let assessment = self.start(ASSESSMENT, &learning[..1])?;
        let clients = self.clients(&learning[0].address, &assessment[0].address).await?;
        let asking = Load { clients: clients.clone(), ..load };
        let count = tokio::time::timeout(CATCH_UP_MAX, asking.wait_for_assessment_of(&clients));
        let count = count.await.context("assessment did not catch up")??;
        Ok(Scaled { instances: self.instances, study, scored: Rate { count, took: began.elapsed() } })
    }

    /// The same streams, spread over the instances.
    async fn study(&self, load: &Load, learning: &[Process]) -> Result<Rate> {
        let learners = self.bench.sizes.learners / STREAMS;
        let began = Instant::now();
        let mut streams = Vec::new();
        for stream in 0..STREAMS {
            let instance = &learning[usize::try_from(stream)? % learning.len()];
            let clients = self.clients(&instance.address, self.others).await?;
            clients.note_token(load.clients.token().as_bytes());
            let load = Load { clients, ..load.clone() };
            let shape = Shape {
                first_learner: stream * learners,
                learners,
                per_message: LEARNERS_PER_MESSAGE.min(learners),
                beats_each: BEATS_EACH,
                first_message: 0,
            };
            let time = self.bench.sizes.time;
            streams.push(async move { load.stream(shape, time).await });
        }
        let rates = futures::future::try_join_all(streams).await?;
        Ok(Rate { count: rates.iter().map(|rate| rate.count).sum(), took: began.elapsed() })
    }

    async fn clients(&self, learning: &str, assessment: &str) -> Result<Clients> {
        let address = |service: &&str| match *service {
            LEARNING => learning,
            ASSESSMENT => assessment,
            _ => self.others,
        };
        let servers: Vec<String> =
            SERVICES.iter().map(|service| format!("{service}={}", address(service))).collect();
        Clients::connect(&servers, None).await
    }

    /// Starts the instances of a service, all at once, and gives them when they listen.
    fn start(&self, service: &'static str, learning: &[Process]) -> Result<Vec<Process>> {
        let url = self.bench.places.url(&schema(service, self.instances));
        let starting: Vec<Result<Process>> = (0..self.instances)
            .map(|_| {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["serve", service, "--open", "--listen", "127.0.0.1:0", "--migrate"]);
                command.arg("--key-file").arg(self.key_file);
                command.args(["--pool-connections", &CONNECTIONS.to_string()]);
                // In the environment, where a password is seen by fewer.
                let database = |(other, known): (&&str, &String)| {
                    format!("{other}={}", if **other == *service { &url } else { known })
                };
                let databases: Vec<String> = self.urls.iter().map(database).collect();
                command.env("SHIPEI_DATABASE", databases.join(" "));
                for peer in SERVICES.iter().filter(|peer| **peer != service) {
                    let address = match learning.first() {
                        Some(process) if *peer == LEARNING => process.address.as_str(),
                        _ => self.others,
                    };
                    command.arg("--peer").arg(format!("{peer}={address}"));
                }
                Process::spawn(command)
            })
            .collect();
        let mut processes = starting.into_iter().collect::<Result<Vec<Process>>>()?;
        for process in &mut processes {
            process.wait_until_it_listens().with_context(|| format!("an instance of {service}"))?;
        }
        Ok(processes)
    }
}
