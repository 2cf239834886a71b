//! A Postgres that goes silent: connections stay open and nothing comes back any more, as after a power cut at the other
//! end. Between the program and the server stands a proxy on a socket of its own.

use std::{sync::Arc, time::Duration};

use shipei_store::testing::TestDatabase;
use shipei_store::{Database, PoolLimits, StoreError, fetch_one};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// The name that Postgres gives its socket.
const SOCKET: &str = ".s.PGSQL.5432";
/// Connections of the pool.
const CONNECTIONS: u32 = 3;
/// No case may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Copies bytes one way while it is not silenced; then swallows them.
async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    silent: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !*silent.borrow() && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn proxy(listener: UnixListener, server: std::path::PathBuf, silent: watch::Receiver<bool>) {
    while let Ok((client, _)) = listener.accept().await {
        // A connection is as it was made: one that was silenced stays so, a new one works again.
        let (Ok(upstream), silent) = (UnixStream::connect(&server).await, silent.clone()) else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = upstream.into_split();
        tokio::spawn(copy(from_client, to_server, silent.clone()));
        tokio::spawn(copy(from_server, to_client, silent));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_database_is_given_up_and_its_connections_replaced() {
    let test = TestDatabase::postgres();
    let (before, folder_and_rest) = test.url().split_once("host=").unwrap();
    let (server, rest) = folder_and_rest.split_once('&').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
    let (silence, silent) = watch::channel(false);
    let proxying = tokio::spawn(proxy(listener, std::path::Path::new(server).join(SOCKET), silent));
    let limits = PoolLimits {
        connections: CONNECTIONS,
        acquire_timeout: Duration::from_millis(500),
        statement_timeout: Duration::from_millis(300),
        lock_timeout: Duration::from_millis(200),
    };
    let url = format!("{before}host={}&{rest}", folder.path().display());
    let database = Arc::new(Database::open(&url, limits).await.unwrap());
    let ask = || async {
        let mut tx = database.begin_read().await?;
        let (one,) = fetch_one!(tx, (i32,), "SELECT 1")?;
        tx.rollback().await?;
        Ok::<i32, StoreError>(one)
    };
    // Every connection is open, and not long idle, when the silence begins.
    let open_all = || async {
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(database.begin_read().await?);
        }
        for mut tx in open {
            fetch_one!(tx, (i32,), "SELECT 1")?;
            tx.rollback().await?;
        }
        Ok::<(), StoreError>(())
    };
    open_all().await.unwrap();

    silence.send_replace(true);
    // More attempts than there are connections: each silent one is found out, none is kept.
    for _ in 0..3 {
        let error = tokio::time::timeout(PATIENCE, database.retry(ask)).await.unwrap().unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }
    silence.send_replace(false);
    // None is lost to the silence: after the last one was found out there are as many as before.
    let healed = async { while open_all().await.is_err() {} };
    tokio::time::timeout(PATIENCE, healed).await.unwrap();
    proxying.abort();
}
