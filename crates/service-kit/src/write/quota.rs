//! What one person may add in a day of what nothing else bounds. Why by day of the event: facts that are sent late count for
//! the day on which they happened, so a season sent again, or from elsewhere, meets no bound that it did not meet before.
//! To give a kind of thing a quota: `Unit::take_from_quota` behind its rules, before it is written.

use chrono::{DateTime, SecondsFormat, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_store::{
    Tx,
    daily_use::{self, Use},
};

use crate::answer::error::{Refusal, Result};

/// The most things of one kind that a person may add in a day, unless somebody says otherwise.
pub const THINGS_PER_DAY: u32 = 1_000;
/// The most bytes of their texts.
pub const BYTES_PER_DAY: u64 = 16 * 1024 * 1024;

/// What a person may add in a day of each kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// So many things.
    pub things: u32,
    /// With so many bytes of text in all.
    pub bytes: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { things: THINGS_PER_DAY, bytes: BYTES_PER_DAY }
    }
}

/// Whose quota, and of which day.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'call> {
    /// The programme.
    pub programme: &'call str,
    /// The person in it.
    pub person: &'call str,
    /// When the local day began on which it happened.
    pub day_from: DateTime<Utc>,
    /// When that ends.
    pub day_until: DateTime<Utc>,
}

impl Quota {
    /// Counts one more of `what` (a word of a few fixed ones) with so many bytes of text.
    ///
    /// # Errors
    /// QUOTA_SPENT, with the figures and the day's end; or a database that fails.
    pub(super) async fn take(
        self,
        tx: &mut Tx,
        what: &'static str,
        whose: Whose<'_>,
        bytes: usize,
    ) -> Result<()> {
        let taken = Use {
            programme_id: whose.programme,
            person_id: whose.person,
            what,
            day_from: whose.day_from,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        };
        let (things, bytes) = daily_use::add(tx, &taken).await?;
        let is_within = |used: i64, most: u64| u64::try_from(used).is_ok_and(|used| used <= most);
        if is_within(things, self.things.into()) && is_within(bytes, self.bytes) {
            return Ok(());
        }
        let refusal = Refusal::new(ErrorReason::QuotaSpent)
            .with("what", what)
            .with("things_max", self.things.to_string())
            .with("bytes_max", self.bytes.to_string())
            .with("until", whose.day_until.to_rfc3339_opts(SecondsFormat::Secs, true));
        Err(refusal.into())
    }
}
