//! The link of an event: what it and all before it in its partition add up to.
//!
//! A link is SHA-256(link before | digest of the content | number | version | when it was recorded); the first one has no
//! link before it. Numbers are 8 bytes, big-endian, instants microseconds since 2000: as Postgres says them, which makes
//! the link of an event that comes alone (`append`).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::crypto::hex;
use crate::partition::Partition;

/// The length of a link, bytes.
pub const LINK_BYTES: usize = 32;
/// 2000-01-01T00:00:00Z in microseconds since 1970.
const YEAR_2000_MICROS: i64 = 946_684_800_000_000;

/// What an event and all before it in its partition add up to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link([u8; LINK_BYTES]);

/// What an event gets when it is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number in the partition.
    pub number: i64,
    /// Which of its subject's events it is.
    pub version: i64,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
}

impl Link {
    /// Of an event that has no place yet.
    pub const NONE: Link = Link([0; LINK_BYTES]);

    /// The link behind another one, of an event with this content.
    pub(crate) fn after(before: Option<Link>, content: &[u8; LINK_BYTES], place: Place) -> Link {
        let mut digest = Sha256::new();
        if let Some(before) = before {
            digest.update(before.0);
        }
        digest.update(content);
        digest.update(place.number.to_be_bytes());
        digest.update(place.version.to_be_bytes());
        digest.update((place.recorded_at.timestamp_micros() - YEAR_2000_MICROS).to_be_bytes());
        Link(digest.finalize().into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; LINK_BYTES] {
        &self.0
    }

    /// Its beginning as a number.
    pub(crate) fn mark(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Of a row; what is no link there breaks the chain when it is walked, and nothing before.
    pub(crate) fn from_column(bytes: &[u8]) -> Link {
        bytes.try_into().map_or(Link::NONE, Link)
    }

    /// Of a head; none before the first event.
    pub(crate) fn of_head(partition: Partition, bytes: Option<Vec<u8>>) -> Result<Option<Link>, StoreError> {
        let Some(bytes) = bytes else { return Ok(None) };
        let bytes: Result<[u8; LINK_BYTES], Vec<u8>> = bytes.try_into();
        let link = bytes.map_err(|_| StoreError::corrupt_row("event_head", "link", partition.number()))?;
        Ok(Some(Link(link)))
    }
}

/// A text that is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link is 64 hexadecimal digits")]
pub struct NoLink;

impl FromStr for Link {
    type Err = NoLink;

    fn from_str(text: &str) -> Result<Link, NoLink> {
        let digits = text.as_bytes();
        if digits.len() != 2 * LINK_BYTES {
            return Err(NoLink);
        }
        let mut bytes = [0; LINK_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoLink)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoLink)?;
        }
        Ok(Link(bytes))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Link {
    /// In hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

/// Takes the digest of what an event says; of a new one and of a stored one the same.
macro_rules! content {
    ($event:expr, $partition:expr) => {{
        use sha2::Digest as _;
        let event = $event;
        let mut digest = sha2::Sha256::new();
        for number in [
            $partition.number(),
            event.occurred_at.timestamp_micros(),
            event.transaction_size,
            event.transaction_place,
        ] {
            digest.update(number.to_be_bytes());
        }
        for text in [
            &event.kind,
            &event.programme,
            &event.subject,
            &event.region,
            &event.actor,
            &event.address,
            &event.cause,
            &event.trace,
            &event.fact_id,
        ] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        }
        digest.update(&event.data);
        <[u8; $crate::link::LINK_BYTES]>::from(digest.finalize())
    }};
}
pub(crate) use content;
