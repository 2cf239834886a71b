//! A cluster as operators run it: every service several times as processes of their own behind a real gRPC load
//! balancer, on a Postgres and a Redis of its own, which tests may stop, kill and start.
//!
//! All processes end when the [`Cluster`] is dropped. Whatever they print is in files beside its data; when a test fails
//! ([`Cluster::judge`]) the ends of those files are shown; with `SHIPEI_TEST_KEEP` set the files stay. One more thing to have in a cluster: a field here, made in
//! [`Cluster::start`].

mod balancer;
pub(crate) mod certificates;
mod process;
pub(crate) mod proxy;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use shipei::operate;
use shipei_client::client::{Clients, SERVICES};
use shipei_contracts::services::PROCESSES;
use shipei_service_kit::telemetry::Sometimes;
use shipei_store::testing::{Stop, TestPostgres};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::harness::program;
use balancer::Balancer;
use certificates::Certificates;
pub(crate) use process::until;
use process::{Kept, free_port, logs_of, tail};
use proxy::Proxy;

/// The database of a cluster, with a schema for each service.
const DATABASE: &str = "shipei";
/// The password of a Redis that speaks TLS.
const REDIS_PASSWORD: &str = "s3cret";
/// The longest that anything may take until it is healthy again.
const HEALTHY_MAX: Duration = Duration::from_secs(60);

/// How many instances of each process, in the order of [`PROCESSES`].
pub(crate) type Counts = [usize; 5];

/// Three learning-progress and three assessment instances, one of each other service.
pub(crate) const THREE: Counts = [1, 3, 1, 1, 3];

/// What lies between the services and Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nothing.
    Direct,
    /// A proxy that does harm when told to.
    Proxied,
    /// Nothing, but all that is said to Postgres and Redis is encrypted, and their certificates are checked.
    Encrypted,
}

/// A process that serves one service, or assessment with its decisions. It may be away.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Which service, by the first.
    pub(crate) service: &'static str,
    /// As `learning-progress-2`.
    pub(crate) name: String,
    port: u16,
    arguments: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Kept>>,
    starts: AtomicU32,
}

/// The running cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    // Fields end in this order: who is served before who serves.
    balancer: Balancer,
    instances: Vec<Instance>,
    proxy: Option<Proxy>,
    redis: Redis,
    postgres: TestPostgres,
    folder: TempDir,
}

#[derive(Debug)]
struct Redis {
    port: u16,
    process: Mutex<Option<Kept>>,
    /// What it speaks TLS with.
    certificates: Option<Certificates>,
}

impl Cluster {
    /// Starts everything, and returns when every instance is healthy.
    pub(crate) async fn start(counts: Counts, network: Network) -> Result<Cluster> {
        let keep = std::env::var_os("SHIPEI_TEST_KEEP").is_some();
        let folder = tempfile::Builder::new().prefix("shipei-cluster-").disable_cleanup(keep).tempdir()?;
        let postgres_port = free_port()?;
        let certificates = match network {
            Network::Encrypted => Some(Certificates::make(folder.path())?),
            _ => None,
        };
        let own = certificates.clone();
        let postgres = tokio::task::spawn_blocking(move || match own {
            Some(own) => TestPostgres::start_with_tls(
                postgres_port,
                &own.file("postgres-server.crt"),
                &own.file("postgres-server.key"),
            ),
            None => TestPostgres::start_on_port(postgres_port),
        })
        .await?;
        let proxy = match network {
            Network::Direct | Network::Encrypted => None,
            Network::Proxied => Some(Proxy::start(([127, 0, 0, 1], postgres_port).into()).await?),
        };
        let database_port = proxy.as_ref().map_or(postgres_port, |proxy| proxy.address.port());
        let redis = Redis { port: free_port()?, process: Mutex::new(None), certificates };
        let mut ports: BTreeMap<&'static str, Vec<u16>> = BTreeMap::new();
        for (services, count) in PROCESSES.into_iter().zip(counts) {
            ports.insert(services[0], (0..count).map(|_| free_port()).collect::<Result<_>>()?);
        }
        let balancer = Balancer::start(folder.path(), &ports)?;
        let key_file = folder.path().join("shipei.key").display().to_string();
        let database = match &redis.certificates {
            None => format!("postgres://postgres@127.0.0.1:{database_port}/{DATABASE}"),
            Some(certificates) => format!(
                "postgres://postgres@localhost:{database_port}/{DATABASE}?sslmode=verify-full&sslrootcert={}",
                certificates.authority().display()
            ),
        };
        let common = ["--key-file".to_owned(), key_file, "--database".to_owned(), database];
        // Where bytes vanish, patience decides how long a test takes.
        let patience: &[&str] = match network {
            Network::Direct | Network::Encrypted => &[],
            Network::Proxied => &["--statement-timeout", "8s", "--acquire-timeout", "5s"],
        };
        let mut instances = Vec::new();
        for services in PROCESSES {
            let service = services[0];
            for (number, port) in ports[service].iter().enumerate() {
                let name = format!("{service}-{}", number + 1);
                let mut arguments = vec!["serve".to_owned(), "--open".to_owned()];
                arguments.extend(services.iter().map(|service| (*service).to_owned()));
                arguments.extend_from_slice(&["--listen".to_owned(), format!("127.0.0.1:{port}")]);
                arguments.extend_from_slice(&["--instance".to_owned(), name.clone()]);
                arguments.extend(redis.flags());
                for peer in SERVICES.into_iter().filter(|peer| !services.contains(peer)) {
                    arguments
                        .extend_from_slice(&["--peer".to_owned(), format!("{peer}={}", balancer.address)]);
                }
                arguments.extend_from_slice(&common);
                arguments.extend(patience.iter().map(|word| (*word).to_owned()));
                instances.push(Instance {
                    service,
                    log: folder.path().join(format!("{name}.log")),
                    name,
                    port: *port,
                    arguments,
                    process: Mutex::new(None),
                    starts: AtomicU32::new(0),
                });
            }
        }
        let cluster = Cluster { balancer, instances, proxy, redis, postgres, folder };
        cluster.start_redis().await?;
        cluster.postgres_program("createdb", &[DATABASE])?;
        let mut migrate = vec!["migrate".to_owned()];
        migrate.extend(common);
        let migrated = tokio::process::Command::new(program()).args(migrate).output().await?;
        ensure!(migrated.status.success(), "migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        cluster.start_all().await?;
        Ok(cluster)
    }

    /// Every instance.
    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The proxy in front of Postgres.
    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("the cluster was started with a proxy")
    }

    /// The database server.
    pub(crate) fn postgres(&self) -> &TestPostgres {
        &self.postgres
    }

    /// A place for files.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new client whose calls go through the balancer.
    pub(crate) async fn clients(&self) -> Result<Clients> {
        Clients::connect(std::slice::from_ref(&self.balancer.address), None).await
    }

    /// Starts every instance that is away, at once, and waits until all are healthy.
    pub(crate) async fn start_all(&self) -> Result<()> {
        for instance in &self.instances {
            instance.start().await?;
        }
        for instance in &self.instances {
            instance.until_healthy().await?;
        }
        Ok(())
    }

    /// Ends every instance softly.
    pub(crate) async fn stop_all(&self) -> Result<()> {
        for instance in &self.instances {
            instance.stop().await?;
        }
        Ok(())
    }

    /// Kills every instance, Postgres and Redis, all at the same time.
    pub(crate) async fn kill_everything(&self) {
        let mut processes = Vec::new();
        for instance in &self.instances {
            processes.extend(instance.process.lock().await.take());
        }
        processes.extend(self.redis.process.lock().await.take());
        tokio::task::block_in_place(|| {
            std::thread::scope(|threads| {
                threads.spawn(|| self.postgres.kill());
                for process in processes {
                    threads.spawn(|| process.kill());
                }
            });
        });
    }

    /// Stops Postgres.
    pub(crate) fn stop_postgres(&self, how: Stop) {
        tokio::task::block_in_place(|| self.postgres.stop(how));
    }

    /// Starts Postgres again.
    pub(crate) fn start_postgres(&self) {
        tokio::task::block_in_place(|| self.postgres.start_again());
    }

    /// Runs one of Postgres's own programs.
    pub(crate) fn postgres_program(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let output = tokio::task::block_in_place(|| self.postgres.program(name).args(arguments).output())?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts Redis; its data is as it was at no time: it keeps nothing.
    pub(crate) async fn start_redis(&self) -> Result<()> {
        let log = self.folder.path().join("redis.log");
        let port = self.redis.port.to_string();
        let folder = self.folder.path().display().to_string();
        let arguments = ["--bind", "127.0.0.1", "--save", "", "--dir", &folder];
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        match &self.redis.certificates {
            None => arguments.extend(["--port".to_owned(), port]),
            Some(certificates) => {
                let file = |name: &str| certificates.file(name).display().to_string();
                arguments.extend(["--port", "0", "--tls-port", &port].map(str::to_owned));
                arguments.extend(["--requirepass", REDIS_PASSWORD].map(str::to_owned));
                arguments.extend(["--tls-auth-clients", "no"].map(str::to_owned));
                arguments.extend(["--tls-cert-file".to_owned(), file("redis-server.crt")]);
                arguments.extend(["--tls-key-file".to_owned(), file("redis-server.key")]);
                arguments.extend(["--tls-ca-cert-file".to_owned(), file("ca.crt")]);
            }
        }
        *self.redis.process.lock().await = Some(Kept::start(&log, Path::new("redis-server"), &arguments)?);
        Ok(())
    }

    /// Asks an encrypted Redis.
    pub(crate) fn redis_says(&self, words: &[&str]) -> Result<String> {
        let certificates = self.redis.certificates.as_ref().context("a Redis with TLS")?;
        let mut command = std::process::Command::new("redis-cli");
        command.args(["-h", "localhost", "-p", &self.redis.port.to_string(), "--tls", "--cacert"]);
        command.arg(certificates.authority()).env("REDISCLI_AUTH", REDIS_PASSWORD).args(words);
        let output = tokio::task::block_in_place(|| command.output())?;
        ensure!(output.status.success(), "redis-cli: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Kills Redis.
    pub(crate) async fn kill_redis(&self) {
        drop(self.redis.process.lock().await.take());
    }

    /// Makes sure that these things happened in it: harm that came to nothing shows nothing.
    pub(crate) fn must_have_happened(&self, things: &[Sometimes]) -> Result<()> {
        let logs = logs_of(self.folder.path());
        let logs: Vec<Vec<u8>> = logs.iter().map(std::fs::read).collect::<Result<_, _>>()?;
        let text = String::from_utf8_lossy(&logs.concat()).into_owned();
        for thing in things {
            ensure!(text.contains(thing.words()), "it never happened that an instance {}", thing.words());
        }
        Ok(())
    }

    /// The result of a test on this cluster: when it failed, with the ends of all logs. An instance that panicked
    /// fails it too.
    pub(crate) fn judge<T>(&self, what: &str, result: Result<T>) -> Result<T> {
        let logs = logs_of(self.folder.path());
        let result = result.and_then(|value| {
            for log in &logs {
                let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
                ensure!(!text.contains("panicked at"), "{} panicked", log.display());
            }
            Ok(value)
        });
        result.with_context(|| {
            let tails = logs.iter().map(|log| format!("--- {}\n{}", log.display(), tail(log)));
            format!("{what}\n{}", tails.collect::<Vec<_>>().join("\n"))
        })
    }
}

impl Redis {
    /// How an instance is told where it is.
    fn flags(&self) -> Vec<String> {
        let Some(certificates) = &self.certificates else {
            return vec!["--redis".to_owned(), format!("redis://127.0.0.1:{}", self.port)];
        };
        let url = format!("rediss://:{REDIS_PASSWORD}@localhost:{}", self.port);
        let authority = certificates.authority().display().to_string();
        vec!["--redis".to_owned(), url, "--redis-ca-file".to_owned(), authority]
    }
}

impl Instance {
    /// Starts it, if it is away; returns at once.
    pub(crate) async fn start(&self) -> Result<()> {
        let mut process = self.process.lock().await;
        if process.is_none() {
            *process = Some(Kept::start(&self.log, program(), &self.arguments)?);
            self.starts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub(crate) async fn kill9(&self) {
        if let Some(process) = self.process.lock().await.take() {
            tokio::task::block_in_place(|| process.kill());
        }
    }

    /// Ends it softly (SIGTERM) and waits until it has ended.
    pub(crate) async fn stop(&self) -> Result<()> {
        if let Some(process) = self.process.lock().await.take() {
            process.terminate().await.with_context(|| self.name.clone())?;
        }
        Ok(())
    }

    /// Ends it softly, starts it again, and returns when it is healthy.
    pub(crate) async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await?;
        self.until_healthy().await
    }

    /// Returns when its health, asked at the instance itself, is SERVING.
    pub(crate) async fn until_healthy(&self) -> Result<()> {
        let address = format!("127.0.0.1:{}", self.port);
        until(&self.name, HEALTHY_MAX, || async { matches!(operate::health(&address, "").await, Ok(true)) })
            .await
    }

    /// How often it was started.
    pub(crate) fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }
}
