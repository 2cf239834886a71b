//! A Postgres that goes silent: connections stay open and nothing comes back any more, as after a power cut at the other
//! end. Between the program and the server stands a proxy on a socket of its own.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

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

async fn proxy(listener: UnixListener, server: PathBuf, silent: watch::Receiver<bool>) {
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
    let proxying = tokio::spawn(proxy(listener, Path::new(server).join(SOCKET), silent));
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

/// How many more answers come through before a connection, and no other, goes silent for ever; below nothing all come through.
type AnswersLeft = Arc<AtomicI64>;

/// Copies answers until there are none left.
async fn copy_answers(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    left: AnswersLeft,
) {
    let mut buffer = vec![0; 8192];
    let mut is_silent = false;
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        is_silent |= left.load(Ordering::Relaxed) >= 0 && left.fetch_sub(1, Ordering::Relaxed) == 0;
        if !is_silent && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn proxy_of_answers(listener: UnixListener, server: PathBuf, left: AnswersLeft) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(upstream) = UnixStream::connect(&server).await else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = upstream.into_split();
        let (_, never) = watch::channel(false);
        tokio::spawn(copy(from_client, to_server, never));
        tokio::spawn(copy_answers(from_server, to_client, left.clone()));
    }
}

/// Whichever answer is the last one: of BEGIN, a statement, ROLLBACK, or what is asked of a connection that goes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_that_goes_silent_at_any_word_is_replaced() {
    let test = TestDatabase::postgres();
    let (before, folder_and_rest) = test.url().split_once("host=").unwrap();
    let (server, rest) = folder_and_rest.split_once('&').unwrap();
    let server = Path::new(server).join(SOCKET);
    // A pool of one: what is lost to it once is all of it.
    let limits = PoolLimits {
        connections: 1,
        acquire_timeout: Duration::from_millis(500),
        statement_timeout: Duration::from_millis(300),
        lock_timeout: Duration::from_millis(200),
    };
    let cases = (0..12).map(|answers| {
        let server = server.clone();
        async move {
            let folder = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
            let left = AnswersLeft::new(AtomicI64::new(-1));
            let proxying = tokio::spawn(proxy_of_answers(listener, server, left.clone()));
            let url = format!("{before}host={}&{rest}", folder.path().display());
            let database = Database::open(&url, limits).await.unwrap();
            let ask = || async {
                let mut tx = database.begin_read().await?;
                let (one,) = fetch_one!(tx, (i32,), "SELECT 1")?;
                tx.rollback().await?;
                Ok::<i32, StoreError>(one)
            };
            left.store(answers, Ordering::Relaxed);
            let healed = async {
                while left.load(Ordering::Relaxed) >= 0 || database.retry(ask).await.is_err() {
                    let _ = database.retry(ask).await;
                }
            };
            tokio::time::timeout(PATIENCE, healed)
                .await
                .unwrap_or_else(|_| panic!("after {answers} answers"));
            proxying.abort();
        }
    });
    futures::future::join_all(cases).await;
}
