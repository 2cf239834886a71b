//! How many frames of HTTP/2 a client may send that ask for work and carry nothing. What goes through: the bytes that a
//! connection has read, before anybody looks at them; only the heads of frames are looked at. Why: each PING wants an
//! answer, and thousands of them cost a thread its time while nothing else is counted. Who sends more than anybody needs
//! is read from more slowly, and not cut: clients that measure a network's delay send many for a moment (gRPC's BDP
//! estimate: one each round trip).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tonic::transport::server::Connected;

/// So many such frames may come in a second without being held up.
const FRAMES_PER_SECOND: u32 = 2_000;
/// And so many at once, after a pause.
const FRAMES_AT_ONCE: u32 = 4_000;
/// What comes before the first frame (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The bytes of a frame's head: length, type, flags, stream (RFC 9113, 4.1).
const HEAD_BYTES: usize = 9;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// A connection that is read from more slowly while its client sends more such frames than anybody needs.
#[derive(Debug)]
pub(super) struct Paced<Io> {
    io: Io,
    frames: Frames,
    held: Option<Pin<Box<Sleep>>>,
}

impl<Io> Paced<Io> {
    /// A connection of which nothing was read yet, not encrypted any more.
    pub(super) fn new(io: Io) -> Self {
        Self { io, frames: Frames::new(Instant::now()), held: None }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Paced<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(held) = &mut self.held {
            ready!(held.as_mut().poll(context));
            self.held = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let time = self.frames.have_come(&buffer.filled()[before..], Instant::now());
        self.held = time.map(|time| Box::pin(tokio::time::sleep(time)));
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Paced<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<Io: Connected> Connected for Paced<Io> {
    type ConnectInfo = Io::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

/// The frames of one connection.
#[derive(Debug)]
struct Frames {
    place: Place,
    /// How many more may come now.
    room: u32,
    /// When `room` was counted.
    counted: Instant,
}

/// Where in the bytes of a connection the next one stands.
#[derive(Debug)]
enum Place {
    /// So many bytes of the preface have come.
    Preface(usize),
    /// In the head of a frame, of which so many bytes have come.
    Head([u8; HEAD_BYTES], usize),
    /// So many bytes before the next head.
    Payload(usize),
    /// Not HTTP/2.
    Other,
}

impl Frames {
    fn new(now: Instant) -> Self {
        Self { place: Place::Preface(0), room: FRAMES_AT_ONCE, counted: now }
    }

    /// These bytes have come now. Gives how long nothing more shall be read.
    fn have_come(&mut self, mut bytes: &[u8], now: Instant) -> Option<Duration> {
        let mut asking = 0;
        while !bytes.is_empty() {
            let taken = self.step(bytes, &mut asking);
            bytes = &bytes[taken..];
        }
        if asking == 0 { None } else { self.hold(asking, now) }
    }

    /// Goes over the first of these bytes, and says over how many.
    fn step(&mut self, bytes: &[u8], asking: &mut u32) -> usize {
        match &mut self.place {
            Place::Preface(come) => {
                let taken = bytes.len().min(PREFACE.len() - *come);
                if bytes[..taken] != PREFACE[*come..*come + taken] {
                    self.place = Place::Other;
                    return bytes.len();
                }
                *come += taken;
                if *come == PREFACE.len() {
                    self.place = Place::Head([0; HEAD_BYTES], 0);
                }
                taken
            }
            Place::Head(head, come) => {
                let taken = bytes.len().min(HEAD_BYTES - *come);
                head[*come..*come + taken].copy_from_slice(&bytes[..taken]);
                *come += taken;
                if *come == HEAD_BYTES {
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    *asking += u32::from(matches!(head[3], PRIORITY | SETTINGS | PING));
                    self.place = match usize::try_from(length) {
                        Ok(0) => Place::Head([0; HEAD_BYTES], 0),
                        Ok(length) => Place::Payload(length),
                        Err(_) => Place::Other,
                    };
                }
                taken
            }
            Place::Payload(left) => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                if *left == 0 {
                    self.place = Place::Head([0; HEAD_BYTES], 0);
                }
                taken
            }
            Place::Other => bytes.len(),
        }
    }

    /// Counts so many more, and gives how long it takes until there is room again.
    fn hold(&mut self, asking: u32, now: Instant) -> Option<Duration> {
        let passed = now.duration_since(self.counted).as_millis();
        let regained = u32::try_from(passed * u128::from(FRAMES_PER_SECOND) / 1000).unwrap_or(u32::MAX);
        if regained > 0 {
            self.counted = now;
            self.room = self.room.saturating_add(regained).min(FRAMES_AT_ONCE);
        }
        let over = asking.saturating_sub(self.room);
        self.room = self.room.saturating_sub(asking);
        (over > 0).then(|| Duration::from_secs(1) * over / FRAMES_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: u8 = 0;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD_BYTES + payload, 7);
        frame
    }

    fn connection(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
        PREFACE.iter().copied().chain(frames.into_iter().flatten()).collect()
    }

    fn held(bytes: &[u8], piece: usize) -> Duration {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        bytes.chunks(piece).filter_map(|piece| frames.have_come(piece, now)).sum()
    }

    #[test]
    fn pings_beyond_what_anybody_needs_are_held_up_however_they_are_cut() {
        let allowed = usize::try_from(FRAMES_AT_ONCE).unwrap();
        let pings = |count| connection((0..count).map(|_| frame(PING, 8)));
        for piece in [1, 2, 7, 8, 9, 10, 64, 1000, 1 << 20] {
            assert_eq!(held(&pings(allowed), piece), Duration::ZERO, "{piece}");
            assert_eq!(held(&pings(allowed + 2_000), piece), Duration::from_secs(1), "{piece}");
        }
    }

    #[test]
    fn room_comes_back_with_time_and_not_beyond_its_measure() {
        let mut now = Instant::now();
        let mut frames = Frames::new(now);
        let pings: Vec<u8> = (0..FRAMES_AT_ONCE).flat_map(|_| frame(PING, 8)).collect();
        assert_eq!(frames.have_come(&connection([]), now), None);
        assert_eq!(frames.have_come(&pings, now), None);
        now += Duration::from_secs(1);
        assert_eq!(frames.have_come(&pings, now), Some(Duration::from_secs(1)));
        now += Duration::from_secs(3600);
        assert_eq!(frames.have_come(&pings, now), None);
        assert!(frames.have_come(&frame(PING, 8), now).is_some());
    }

    #[test]
    fn data_however_much_is_not_held_up_whatever_is_in_it() {
        let many = 3 * usize::try_from(FRAMES_AT_ONCE).unwrap();
        // Its payload is full of what would be heads of PING.
        let data =
            connection([frame(DATA, 0), vec![0, 0x40, 0, DATA, 0, 0, 0, 0, 1], frame(PING, 0x4000 - 9)]);
        assert_eq!(held(&data, 5), Duration::ZERO);
        assert_eq!(held(&connection((0..many).map(|_| frame(DATA, 1))), 4096), Duration::ZERO);
    }

    #[test]
    fn what_is_not_http_2_is_not_looked_at() {
        let pings: Vec<u8> = (0..2 * FRAMES_AT_ONCE).flat_map(|_| frame(PING, 8)).collect();
        for first in ["POST /shipei", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"] {
            assert_eq!(held(&[first.as_bytes(), &pings].concat(), 11), Duration::ZERO);
        }
    }
}
