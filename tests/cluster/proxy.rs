//! A network that goes wrong: a TCP proxy between the services and Postgres.
//!
//! What happens to bytes is said for each direction and may change at any time. A new kind of fault is a variant of
//! [`Fault`] and an arm in `pump`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// The most bytes that are taken at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// What happens to each piece of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It arrives later.
    Delay(Duration),
    /// It arrives as two pieces with a pause between.
    Halve(Duration),
    /// Its first half arrives, then the connection is cut.
    CutInHalf,
    /// It is taken and never arrives, nor does anything after it; the connection stays open. A connection that has lost
    /// bytes so is lost for good.
    Swallow,
}

#[derive(Debug, Clone, Copy)]
struct State {
    to_database: Fault,
    to_service: Fault,
    /// Grows when all connections are cut.
    cuts: u64,
}

/// What the faults have done so far.
#[derive(Debug, Default)]
struct Done {
    /// Connections that [`Fault::CutInHalf`] has cut.
    cut: AtomicU64,
    /// Connections that [`Fault::Swallow`] has taken bytes from.
    lost: AtomicU64,
}

/// The proxy; it ends when this is dropped, and its connections with it.
#[derive(Debug)]
pub(crate) struct Proxy {
    state: watch::Sender<State>,
    done: Arc<Done>,
    /// Where services connect.
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToDatabase,
    ToService,
}

impl Proxy {
    /// Listens on a port of its own in front of `database`.
    pub(crate) async fn start(database: SocketAddr) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = watch::Sender::new(State { to_database: Fault::None, to_service: Fault::None, cuts: 0 });
        let states = state.subscribe();
        let done: Arc<Done> = Arc::default();
        let shared = Arc::clone(&done);
        let accepting = tokio::spawn(async move {
            while let Ok((service, _)) = listener.accept().await {
                tokio::spawn(serve(service, database, states.clone(), Arc::clone(&shared)));
            }
        });
        Ok(Proxy { state, done, address, accepting })
    }

    /// From now on this happens to bytes on the way to the database, and on the way back.
    pub(crate) fn set(&self, to_database: Fault, to_service: Fault) {
        self.state.send_modify(|state| {
            state.to_database = to_database;
            state.to_service = to_service;
        });
    }

    /// Cuts every connection that there is.
    pub(crate) fn cut_all(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// How many connections [`Fault::CutInHalf`] has cut so far.
    pub(crate) fn cut(&self) -> u64 {
        self.done.cut.load(Ordering::Relaxed)
    }

    /// From how many connections, each way counted, [`Fault::Swallow`] has taken bytes so far.
    pub(crate) fn lost(&self) -> u64 {
        self.done.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection: until either side ends it, a fault cuts it, or the proxy ends.
async fn serve(
    service: TcpStream,
    database: SocketAddr,
    mut states: watch::Receiver<State>,
    done: Arc<Done>,
) {
    let Ok(database) = TcpStream::connect(database).await else { return };
    let _ = (service.set_nodelay(true), database.set_nodelay(true));
    let (from_service, to_service) = service.into_split();
    let (from_database, to_database) = database.into_split();
    let cuts = states.borrow_and_update().cuts;
    let to_database = pump(from_service, to_database, states.clone(), Direction::ToDatabase, &done);
    let to_service = pump(from_database, to_service, states.clone(), Direction::ToService, &done);
    tokio::select! {
        () = to_database => {}
        () = to_service => {}
        // An error is the end of the proxy itself.
        _ = states.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    states: watch::Receiver<State>,
    direction: Direction,
    done: &Done,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut lost = false;
    loop {
        let Ok(length @ 1..) = from.read(&mut chunk).await else { return };
        let state = *states.borrow();
        let fault = if direction == Direction::ToDatabase { state.to_database } else { state.to_service };
        if fault == Fault::Swallow && !lost {
            lost = true;
            done.lost.fetch_add(1, Ordering::Relaxed);
        }
        if lost {
            continue;
        }
        let (first, second) = chunk[..length].split_at(length / 2);
        let written = match fault {
            Fault::None | Fault::Swallow => to.write_all(&chunk[..length]).await,
            Fault::Delay(pause) => {
                tokio::time::sleep(pause).await;
                to.write_all(&chunk[..length]).await
            }
            Fault::Halve(pause) => match to.write_all(first).await {
                Ok(()) => {
                    tokio::time::sleep(pause).await;
                    to.write_all(second).await
                }
                failed => failed,
            },
            Fault::CutInHalf => {
                let _ = to.write_all(first).await;
                done.cut.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}
