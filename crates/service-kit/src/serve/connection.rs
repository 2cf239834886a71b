//! Connections: one that can be cut, and the in-memory way between services of one process. Why cut: tonic's
//! connections live in tasks of their own, and the hard phase of shutdown must end them too. Why in memory: the
//! services of one process speak the same gRPC contracts as between machines, so that both ways are one way.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::{Channel, Endpoint, Uri, server::Connected};

use super::connections::{ConnectionSlot, HANDSHAKE_TIME_MAX};

/// The bytes that fit into an in-memory connection, each way.
const DUPLEX_BYTES: usize = 256 * 1024;
/// What one stream may send before it is read, bytes.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// What all streams of a connection may send before it is read, bytes: some streams may stand still without
/// stopping the others.
pub const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
/// The same for what clients send to a server: bodies are read as they come, or refused.
pub const SERVER_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// See [`SERVER_STREAM_WINDOW_BYTES`].
pub const SERVER_CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// The most bytes of all headers of a message: the largest consistency token fits.
pub const HEADER_BYTES_MAX: u32 = 48 * 1024;
/// How often an idle connection is tried, and how long an answer may take.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// See [`KEEPALIVE_INTERVAL`].
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel to a server elsewhere, with the suite's settings. It connects when first used, and again when broken.
///
/// # Errors
/// When the address is no URI.
pub fn connect_lazily(address: &str) -> Result<Channel, tonic::transport::Error> {
    Ok(configure(Endpoint::from_shared(address.to_owned())?).connect_lazy())
}

pub(super) fn configure(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
}

/// The way to a server of this process. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct InMemory {
    connections: mpsc::Sender<DuplexStream>,
}

impl InMemory {
    pub(crate) fn new(connections: mpsc::Sender<DuplexStream>) -> Self {
        Self { connections }
    }

    /// A channel with a connection of its own. It connects when first used, and again when broken.
    pub fn channel(&self) -> Channel {
        let connections = self.connections.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let connections = connections.clone();
            async move {
                let (client, server) = tokio::io::duplex(DUPLEX_BYTES);
                let ended = |_| io::Error::new(io::ErrorKind::ConnectionRefused, "the server has ended");
                connections.send(server).await.map_err(ended)?;
                Ok::<_, io::Error>(TokioIo::new(client))
            }
        });
        configure(Endpoint::from_static("http://in-memory")).connect_with_connector_lazy(connector)
    }
}

/// What is read of one connection at a time, bytes: of the smallest frames that is some thousand, a millisecond of work. Whoever
/// sends without end would else hold a thread for as long as the runtime lets a task go on.
const BURST_BYTES_MAX: usize = 64 * 1024;

/// What a client says first, bytes: as many as the preface of HTTP/2 has; a request of HTTP/1.1 is longer.
const PREFACE_BYTES: usize = 24;

/// A connection that fails once it is cut, or when its client does not say in time what it speaks.
#[derive(Debug)]
pub(crate) struct Cuttable<Io> {
    io: Io,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Among those that are counted.
    slot: Option<ConnectionSlot>,
    /// Until the client has said what it speaks.
    handshake: Option<Handshake>,
    /// What was read since others had their turn, bytes.
    burst: usize,
}

#[derive(Debug)]
struct Handshake {
    until: Pin<Box<Sleep>>,
    makes_way: Pin<Box<WaitForCancellationFutureOwned>>,
    read: usize,
}

/// Waits until a client says something; None when it doesn't in time, or has to make way. What HTTP/2 needs for a connection
/// is 13 kB: nobody has it who says nothing.
pub(crate) async fn first_word(
    accepted: io::Result<(TcpStream, ConnectionSlot)>,
    cut: CancellationToken,
) -> Option<io::Result<Cuttable<TcpStream>>> {
    let (io, slot) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => return Some(Err(error)),
    };
    let until = Instant::now() + HANDSHAKE_TIME_MAX;
    let said = {
        let (makes_way, mut first) = (slot.cut(), [0]);
        tokio::select! {
            () = cut.cancelled() => return None,
            () = makes_way.cancelled() => return None,
            // Looked at, not taken: one that is closed can be read too, and thousands that close at once without a word
            // would else be given all that HTTP/2 needs.
            said = tokio::time::timeout_at(until, io.peek(&mut first)) => said,
        }
    };
    match said {
        Ok(Ok(1..)) => Some(Ok(Cuttable::counted(io, cut, slot, until))),
        // One that ended or broke before it said anything is nobody's loss.
        Ok(Ok(0) | Err(_)) | Err(_) => None,
    }
}

impl<Io> Cuttable<Io> {
    pub(crate) fn new(io: Io, cut: CancellationToken) -> Self {
        Self { io, cut: Box::pin(cut.cancelled_owned()), slot: None, handshake: None, burst: 0 }
    }

    /// One that is counted, and has to say until then what it speaks.
    fn counted(io: Io, cut: CancellationToken, slot: ConnectionSlot, until: Instant) -> Self {
        let handshake = Handshake {
            until: Box::pin(tokio::time::sleep_until(until)),
            makes_way: Box::pin(slot.cut().cancelled_owned()),
            read: 0,
        };
        Self { slot: Some(slot), handshake: Some(handshake), ..Self::new(io, cut) }
    }

    /// What ends a handshake that is not complete.
    fn check_handshake(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(handshake) = &mut self.handshake else { return Ok(()) };
        if handshake.makes_way.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "too many connections say nothing"));
        }
        if handshake.until.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not say what it speaks"));
        }
        Ok(())
    }

    /// So many bytes have come.
    fn has_read(&mut self, bytes: usize) {
        self.burst += bytes;
        let Some(handshake) = &mut self.handshake else { return };
        handshake.read += bytes;
        if handshake.read >= PREFACE_BYTES {
            self.handshake = None;
            if let Some(slot) = &self.slot {
                slot.has_spoken();
            }
        }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server has ended")),
            Poll::Pending => Ok(()),
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Cuttable<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        self.check_handshake(context)?;
        if self.burst >= BURST_BYTES_MAX {
            self.burst = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(context, buffer);
        match outcome.is_ready() {
            true => self.has_read(buffer.filled().len() - before),
            false => self.burst = 0,
        }
        outcome
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Cuttable<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<Io: Connected> Connected for Cuttable<Io> {
    type ConnectInfo = Io::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;
    use crate::serve::connections::{ConnectionLimits, Connections};

    /// A client that sends without end.
    struct Endless;

    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let room = buffer.remaining();
            buffer.put_slice(&vec![0; room]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn who_sends_without_end_gives_others_their_turn() {
        let mut connection = Cuttable::new(Endless, CancellationToken::new());
        let mut context = Context::from_waker(noop_waker_ref());
        for turn in 0..3 {
            let mut read = 0;
            loop {
                let mut space = [0; 8 * 1024];
                let mut buffer = ReadBuf::new(&mut space);
                match Pin::new(&mut connection).poll_read(&mut context, &mut buffer) {
                    Poll::Ready(outcome) => {
                        outcome.unwrap();
                        read += buffer.filled().len();
                    }
                    Poll::Pending => break,
                }
            }
            assert_eq!(read, BURST_BYTES_MAX, "turn {turn}");
        }
    }

    #[tokio::test]
    async fn who_ends_without_a_word_is_given_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connections = Connections::new(ConnectionLimits::default());
        for said in ["", "P"] {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            drop(client);
            let (io, from) = listener.accept().await.unwrap();
            let slot = connections.enter(from.ip()).unwrap();
            let connection = first_word(Ok((io, slot)), CancellationToken::new()).await;
            assert_eq!(connection.is_some(), !said.is_empty(), "{said}");
        }
    }
}
