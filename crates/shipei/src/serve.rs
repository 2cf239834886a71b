//! `shipei serve`: all five services or some, until a signal ends them.

use anyhow::{Context as _, Result, bail};
use shipei_service_kit::{Checkpoints, Clock, CorsOrigins, TrustedProxies};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    config::{Access, Config},
    display::say,
    suite::{self, Suite},
};

/// What stands below the help of `shipei serve`.
pub const EXAMPLES: &str = "\
Examples:
  shipei serve --open                            all of them on SQLite in ./shipei-data;
                                                 nobody on this machine is asked for a token
  shipei serve --data shipei-demo                with the keys that the demo has made there,
                                                 or `shipei token --keys shipei-demo`
  shipei serve --database postgres://localhost/shipei --key-file /etc/shipei.key --migrate
                                                 all of them on Postgres, a schema each
  shipei serve assessment --listen 127.0.0.1:7305 \\
      --peer enrollment=127.0.0.1:7301 --peer learning-progress=127.0.0.1:7302 \\
      --peer assignment-grading=127.0.0.1:7303 --peer offline-activity=127.0.0.1:7304
                                                 one of five processes: scores, and what is
                                                 decided about them
  shipei serve --config /etc/shipei.toml --listen 0.0.0.0:7300 \\
      --issuer https://id.example/realms/edu --audience shipei \\
      --token-keys https://id.example/realms/edu/keys
                                                 for whom an identity provider knows

Who may call must be said: whose tokens are taken (--token-keys), or that nobody is asked
(--open). A service on Postgres starts on a schema of its own version only: run `shipei migrate`
before, or give --migrate. `shipei config` with the same flags shows what would be in force, and
where each value comes from.";

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When it can't start, or when a part of it has failed that it can't do without.
pub async fn run(config: &Config) -> Result<()> {
    config.access.require_said()?;
    let listener = TcpListener::bind(config.listen.socket_address())
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    raise_descriptors();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    if config.access == Access::Open {
        tracing::warn!(
            listen = %config.listen,
            "the suite is open: nobody is asked for a token, and whoever is on this machine may read and change everything"
        );
    }
    if !config.listen.is_loopback() && config.tls.listener.is_none() {
        tracing::warn!(
            listen = %config.listen,
            "tokens and data are sent in plain text: whoever listens in on this network can use them. Give --tls-certificate \
             and --tls-key, unless it is a network of nobody but these processes and a proxy that speaks TLS"
        );
    }
    let options = options_of(config)?;
    // A start may wait for a database; who wants to end it is not made to wait.
    let suite = tokio::select! {
        suite = Suite::start(&options) => suite?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let address = suite.listen(listener)?;
    // The first line of standard output is the address: a script that let the system choose the port reads it here.
    say(&format!("listening on {address}"));
    say(&format!("serving {}", config.served().join(", ")));
    say(&config.access.to_words());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = suite.ended() => {}
    }
    say("stopping");
    if !suite.stop().await {
        bail!("a part of it has failed; what and why stands in the log above");
    }
    Ok(())
}

fn options_of(config: &Config) -> Result<suite::Options> {
    Ok(suite::Options {
        services: config.served().into_iter().map(str::to_owned).collect(),
        storage: config.storage.clone(),
        peers: config.peers.clone(),
        clock: Clock::system(),
        instance: config.instance.clone(),
        redis: config.redis.clone(),
        rate_limit: config.rate_limit,
        tokens: match &config.access {
            Access::Tokens(tokens) => Some(tokens.clone()),
            Access::Open | Access::Unsaid { .. } => None,
        },
        tls: config.tls.clone(),
        limits: config.limits,
        bounds: config.bounds,
        proxies: TrustedProxies::new(&config.trusted_proxies)?,
        cors: CorsOrigins::new(&config.cors_origins)?,
        checkpoints: config.audit_checkpoints.clone().map(|destination| {
            let interval = config.audit_interval;
            Checkpoints { destination, interval }
        }),
        cipher: config.cipher,
        migrate: config.migrate,
    })
}

/// Lets the process have as many file descriptors as it may: every player is a connection, and the usual limit (1,024) is
/// meant for programs that still use select().
fn raise_descriptors() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => tracing::warn!(%error, "the limit of file descriptors stays as it is"),
    }
}
