//! What each person has added in a day, by kind of thing: the rows that quotas are read from. Why counted apart from the
//! things: to count those of a day each time would cost as much as there are.

use chrono::{DateTime, Utc};

use crate::{StoreError, Tx, fetch_one};

/// One more thing.
#[derive(Debug, Clone, Copy)]
pub struct Use<'call> {
    /// The programme.
    pub programme_id: &'call str,
    /// The person in it.
    pub person_id: &'call str,
    /// The kind of thing.
    pub what: &'call str,
    /// When the day began.
    pub day_from: DateTime<Utc>,
    /// The bytes of its texts.
    pub bytes: i64,
}

/// Counts it; gives how many things and bytes of the kind the person has in that day, with this one. Two that add at once
/// wait for each other.
pub async fn add(tx: &mut Tx, one: &Use<'_>) -> Result<(i64, i64), StoreError> {
    fetch_one!(
        tx,
        (i64, i64),
        "INSERT INTO daily_use (programme_id, person_id, what, day_from, things, bytes) VALUES ($1, $2, $3, $4, 1, $5) \
         ON CONFLICT (programme_id, person_id, what, day_from) DO UPDATE SET \
             things = daily_use.things + 1, bytes = daily_use.bytes + excluded.bytes \
         RETURNING things, bytes",
        one.programme_id,
        one.person_id,
        one.what,
        one.day_from,
        one.bytes
    )
}
