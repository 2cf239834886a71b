//! Whether there is room on the disk for more. What: below a reserve that an operator names, calls that write are refused,
//! while reads, streams and what is learned from other logs go on; when there is a quarter more than the reserve again,
//! calls are taken again. Why a reserve: a database on a full disk can't even forget something, and whoever mends it needs
//! room to work in. Where nobody can tell what is free (Postgres, whose disk is another machine's) nothing is refused here.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use shipei_contracts::common::v1::ErrorReason;
use shipei_store::Database;
use tokio::time::Instant;

use crate::{
    answer::error::{Refusal, Result},
    write::quota::Quota,
};

/// What is kept free on the disk of a database for which nobody says otherwise, bytes.
pub const DISK_RESERVE_BYTES: u64 = 256 * 1024 * 1024;
/// How long what was seen of the disk is believed: a hostile writer fills some dozens of megabytes in it.
const BELIEVED: Duration = Duration::from_millis(250);
/// Calls are taken again when so much more than the reserve is free: one in so many parts of it.
const MARGIN_PART: u64 = 4;

/// What the writers of a service may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteBounds {
    /// What is kept free on the disk of its database, bytes.
    pub disk_reserve_bytes: u64,
    /// What one person may add in a day.
    pub quota: Quota,
}

impl Default for WriteBounds {
    fn default() -> Self {
        Self { disk_reserve_bytes: DISK_RESERVE_BYTES, quota: Quota::default() }
    }
}

/// What is known of the room of one service.
#[derive(Debug)]
pub(crate) struct Room {
    bounds: OnceLock<WriteBounds>,
    is_short: AtomicBool,
    /// When the disk was looked at, in milliseconds since the origin, and one: 0 is never.
    seen: AtomicU64,
    origin: Instant,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            bounds: OnceLock::new(),
            is_short: AtomicBool::new(false),
            seen: AtomicU64::new(0),
            origin: Instant::now(),
        }
    }

    /// Says what its writers may fill; once.
    pub(crate) fn bound(&self, bounds: WriteBounds) {
        // Who asked before has got the default.
        let _ = self.bounds.set(bounds);
    }

    pub(crate) fn bounds(&self) -> WriteBounds {
        self.bounds.get().copied().unwrap_or_default()
    }

    /// Looks at the disk, unless that was done just before; gives whether there is too little room.
    pub(crate) fn look(&self, source: &str, database: &Database) -> bool {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let seen = self.seen.load(Ordering::Relaxed);
        let believed = u64::try_from(BELIEVED.as_millis()).unwrap_or(u64::MAX);
        if seen == 0 || now.saturating_sub(seen) > believed {
            self.seen.store(now, Ordering::Relaxed);
            self.learn(source, database.free_bytes());
        }
        self.is_short.load(Ordering::Relaxed)
    }

    /// So much is free, as far as anybody can tell.
    fn learn(&self, source: &str, free: Option<u64>) {
        let reserve = self.bounds().disk_reserve_bytes;
        let was_short = self.is_short.load(Ordering::Relaxed);
        let enough = if was_short { reserve.saturating_add(reserve / MARGIN_PART) } else { reserve };
        let is_short = free.is_some_and(|free| free < enough);
        if self.is_short.swap(is_short, Ordering::Relaxed) == is_short {
            return;
        }
        match is_short {
            true => {
                tracing::error!(of = source, free, reserve, "the disk is nearly full: writes are refused")
            }
            false => tracing::info!(of = source, free, "there is room on the disk: writes are taken again"),
        }
    }

    /// Refuses a write while there is too little room.
    pub(crate) fn check(&self, source: &str, database: &Database) -> Result<()> {
        match self.look(source, database) {
            true => Err(Refusal::new(ErrorReason::DiskNearlyFull).into()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_taken_again_only_when_there_is_more_than_the_reserve() {
        let room = Room::new();
        room.bound(WriteBounds { disk_reserve_bytes: 1_000, ..WriteBounds::default() });
        for (free, is_short) in [
            (Some(1_000), false),
            (Some(999), true),
            (Some(1_000), true),
            (Some(1_249), true),
            (Some(1_250), false),
            (Some(1_001), false),
            (Some(0), true),
            (None, false),
        ] {
            room.learn("notes", free);
            assert_eq!(room.is_short.load(Ordering::Relaxed), is_short, "{free:?}");
        }
    }

    #[test]
    fn reserve_of_nothing_refuses_nothing() {
        let room = Room::new();
        room.bound(WriteBounds { disk_reserve_bytes: 0, ..WriteBounds::default() });
        room.learn("notes", Some(0));
        assert!(!room.is_short.load(Ordering::Relaxed));
    }
}
