//! The event log: what happened, in an order that a reader can follow without missing anything.
//!
//! An event's place is its partition and its number there. The number comes from the partition's head row, which the
//! appending transaction updates and thereby holds until it ends: numbers are dense and become visible in order, so
//! "everything after n" is complete. (A sequence is not: with 16 writers a reader by sequence missed 1,103 to 2,053
//! of 7,600 events; this way missed none, at the same speed.) So append LAST in a transaction, and in one call: heads
//! are taken in ascending order, and a second call could take them against another writer's order.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

pub use crate::append::{append, conclude};
use crate::link::Link;
use crate::list::{Piece, Unless};
use crate::partition::{PARTITIONS, Partition};
use crate::positions::{Marks, Positions};
use crate::{StoreError, Tx, fetch_all, fetch_one, fetch_optional, on, select_by_keys};

/// The most numbers that one read looks at, however few of their events it wants.
pub const EXAMINED_PER_READ: i64 = 4096;

/// An event to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Where it goes.
    pub partition: Partition,
    /// The full name of the message in `data`.
    pub kind: String,
    /// The programme that it belongs to; empty if to none.
    pub programme: String,
    /// The id of what it is about.
    pub subject: String,
    /// The region that it belongs to; empty if to none.
    pub region: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// The network address that it was called from; empty for a service's own work.
    pub address: String,
    /// What made it happen: a request or another event.
    pub cause: String,
    /// The trace that it was part of.
    pub trace: String,
    /// How many events its unit of work has.
    pub transaction_size: i64,
    /// Which of them it is, from 1 on.
    pub transaction_place: i64,
    /// The encoded message.
    pub data: Vec<u8>,
    /// The id of the fact that it tells; empty if it tells none.
    pub fact_id: String,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place.
    pub position: LogPosition,
    /// When it was appended; never before an earlier event of its partition.
    pub recorded_at: DateTime<Utc>,
    /// The full name of the message in `data`.
    pub kind: String,
    /// The programme that it belongs to; empty if to none.
    pub programme: String,
    /// The id of what it is about.
    pub subject: String,
    /// Which of that subject's events it is: 1, 2, 3.
    pub version: i64,
    /// The region that it belongs to; empty if to none.
    pub region: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// The network address that it was called from; empty for a service's own work.
    pub address: String,
    /// What made it happen.
    pub cause: String,
    /// The trace that it was part of.
    pub trace: String,
    /// How many events its unit of work has.
    pub transaction_size: i64,
    /// Which of them it is, from 1 on.
    pub transaction_place: i64,
    /// The encoded message.
    pub data: Vec<u8>,
    /// The id of the fact that it tells; empty if it tells none.
    pub fact_id: String,
    /// What it and all before it in its partition add up to.
    pub link: Link,
}

impl StoredEvent {
    /// What tells this event from another one that came to stand in its place after the log was restored from a back-up: the
    /// beginning of its link.
    pub fn mark(&self) -> u64 {
        self.link.mark()
    }
}

/// An event's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The partition.
    pub partition: Partition,
    /// The number in it: 1, 2, 3 without a gap.
    pub number: i64,
}

/// The columns of an event, but for its partition.
macro_rules! event_columns {
    () => {
        "number, type, programme, subject, version, region, occurred_at, recorded_at, actor, address, cause, trace, \
         transaction_size, transaction_place, data, fact_id, link"
    };
}
pub(crate) use event_columns;

/// What one read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBatch {
    /// The wanted events, by number.
    pub events: Vec<StoredEvent>,
    /// The number up to which the log was looked at: read on after it. Beyond the last event when later ones were
    /// not wanted; the same as `after` when there is nothing new.
    pub reached: i64,
    /// The mark of the event with the number `reached`; 0 when there is nothing new.
    pub mark: u64,
}

/// The positions of all heads: the end of the log as this transaction sees it.
pub async fn heads(tx: &mut Tx) -> Result<Positions, StoreError> {
    let mut positions = Positions::new();
    let sql = "SELECT partition, position FROM event_head WHERE partition < $1";
    for (partition, position) in fetch_all!(tx, (i64, i64), sql, i64::from(PARTITIONS))? {
        positions.set(head_partition(partition)?, position);
    }
    Ok(positions)
}

pub(crate) fn head_partition(number: i64) -> Result<Partition, StoreError> {
    Partition::from_number(number).ok_or_else(|| StoreError::corrupt_row("event_head", "partition", number))
}

/// Which events somebody wants; an empty list wants all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Of these types.
    pub types: &'a [String],
    /// Of these regions and of what lay in them when the event happened (`crate::tree`).
    pub regions: &'a [String],
    /// Of these programmes.
    pub programmes: &'a [String],
}

/// As [`read_wanted`], of types and regions, with no other condition.
pub async fn read_after(
    tx: &mut Tx,
    partition: Partition,
    after: i64,
    limit: usize,
    types: &[String],
    regions: &[String],
) -> Result<ReadBatch, StoreError> {
    let wanted = Wanted { types, regions, programmes: &[] };
    read_wanted(tx, (partition, after), limit, wanted, &Unless(true, "")).await
}

/// Reads a partition's events after a number: at most `limit` of them, of those that are wanted and `reached` (a condition over
/// the table `event`).
///
/// # Errors
/// [`StoreError::EventsDropped`] when some of those that come behind the number are not kept any more.
pub async fn read_wanted<P: Piece<sqlx::Postgres> + Piece<sqlx::Sqlite>>(
    tx: &mut Tx,
    (partition, after): (Partition, i64),
    limit: usize,
    wanted: Wanted<'_>,
    reach: &P,
) -> Result<ReadBatch, StoreError> {
    let (head, dropped): (i64, i64) = fetch_one!(
        tx,
        (i64, i64),
        "SELECT h.position, COALESCE((SELECT t.number FROM event_trim t WHERE t.partition = h.partition), 0) \
         FROM event_head h WHERE h.partition = $1",
        partition.number()
    )?;
    if after < dropped {
        return Err(StoreError::EventsDropped { partition: partition.number(), number: dropped });
    }
    let reached = head.min(after.saturating_add(EXAMINED_PER_READ));
    if reached <= after || limit == 0 {
        return Ok(ReadBatch { events: Vec::new(), reached: after, mark: 0 });
    }
    let portion = Portion { partition, after, reached, limit, wanted };
    let rows: Vec<EventRow> = match tx.as_tx() {
        Tx::Postgres(transaction) => {
            let rows =
                portion.query::<sqlx::Postgres>(reach).build_query_as().fetch_all(&mut **transaction).await;
            transaction.noted(rows)?
        }
        Tx::Sqlite(transaction) => {
            let rows =
                portion.query::<sqlx::Sqlite>(reach).build_query_as().fetch_all(&mut **transaction).await;
            transaction.noted(rows)?
        }
    };
    let mut batch = ReadBatch { events: Vec::with_capacity(rows.len()), reached, mark: 0 };
    for row in rows {
        batch.events.push(row.into_event(partition));
    }
    if batch.events.len() == limit
        && let Some(last) = batch.events.last()
    {
        batch.reached = last.position.number;
    }
    batch.mark = match batch.events.last() {
        Some(last) if last.position.number == batch.reached => last.mark(),
        // What is there was not wanted, and marks the place all the same.
        _ => mark_at(tx, LogPosition { partition, number: batch.reached }).await?.unwrap_or_default(),
    };
    Ok(batch)
}

/// The number of the last event of a partition that was recorded before a time, of those up to `head`; 0 when there is none. Numbers
/// are dense and times never go back, so it is found by halves.
pub async fn last_before(
    tx: &mut Tx,
    (partition, head): (Partition, i64),
    at: DateTime<Utc>,
) -> Result<i64, StoreError> {
    // Everything up to `before` was recorded before, `from` and all behind it was not.
    let (mut before, mut from) = (0, head.saturating_add(1));
    while from - before > 1 {
        let middle = before + (from - before) / 2;
        let sql = "SELECT recorded_at FROM event WHERE partition = $1 AND number = $2";
        match fetch_optional!(tx, (DateTime<Utc>,), sql, partition.number(), middle)? {
            Some((recorded_at,)) if recorded_at >= at => from = middle,
            // What is not kept any more is older than what is.
            _ => before = middle,
        }
    }
    Ok(before)
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Extent {
    /// The partition's number.
    pub partition: i64,
    /// The number of its oldest event that is kept.
    pub first: i64,
    /// Of its newest.
    pub last: i64,
    /// When the oldest was recorded.
    pub oldest_at: DateTime<Utc>,
    /// When the newest was.
    pub newest_at: DateTime<Utc>,
}

/// What each partition holds that holds anything.
pub async fn extents(tx: &mut Tx) -> Result<Vec<Extent>, StoreError> {
    // By the ends of the primary key: nothing else is read.
    let sql = "SELECT o.partition, o.number AS first, n.number AS last, o.recorded_at AS oldest_at, n.recorded_at AS newest_at
        FROM event_head h
        JOIN event n ON n.partition = h.partition AND n.number = h.position
        JOIN event o ON o.partition = h.partition
            AND o.number = (SELECT MIN(e.number) FROM event e WHERE e.partition = h.partition)
        WHERE h.partition < $1 ORDER BY h.partition";
    fetch_all!(tx, Extent, sql, i64::from(PARTITIONS))
}

/// The number of the last event that was dropped in each partition in which some were: what is kept begins behind it.
///
/// # Errors
/// What the database does.
pub async fn dropped(tx: &mut Tx) -> Result<Positions, StoreError> {
    let mut positions = Positions::new();
    for (partition, number) in fetch_all!(tx, (i64, i64), "SELECT partition, number FROM event_trim")? {
        // That of the audit log is beyond those of readers.
        if let Some(partition) = Partition::from_number(partition) {
            positions.set(partition, number);
        }
    }
    Ok(positions)
}

/// The number of the last event that was dropped in one partition; 0 while all are kept.
///
/// # Errors
/// What the database does.
pub async fn dropped_of(tx: &mut Tx, partition: Partition) -> Result<i64, StoreError> {
    let sql = "SELECT number FROM event_trim WHERE partition = $1";
    Ok(fetch_optional!(tx, (i64,), sql, partition.number())?.map_or(0, |(number,)| number))
}

/// The mark of the event at a place; `None` when the log has no such event.
pub async fn mark_at(tx: &mut Tx, place: LogPosition) -> Result<Option<u64>, StoreError> {
    let row = fetch_optional!(
        tx,
        (Vec<u8>,),
        "SELECT link FROM event WHERE partition = $1 AND number = $2",
        place.partition.number(),
        place.number
    )?;
    Ok(row.map(|(link,)| Link::from_column(&link).mark()))
}

/// The marks of the events at these positions; `None` when the log lacks one of them, so that it can't be the log that
/// the positions come from.
pub async fn marks_at(tx: &mut Tx, positions: &Positions) -> Result<Option<Marks>, StoreError> {
    let places: Vec<(Partition, i64)> = positions.iter().collect();
    let mut rows: Vec<(i64, Vec<u8>)> = select_by_keys!(
        tx,
        (i64, Vec<u8>),
        ["SELECT partition, link FROM event WHERE (partition, number) IN "],
        places,
        |place| (place.0.number(), place.1)
    )?;
    if rows.len() != places.len() {
        // Behind the last event that was dropped a reader may go on: its link is kept. A number is there or dropped, never both.
        let ends = fetch_all!(tx, (i64, i64, Vec<u8>), "SELECT partition, number, link FROM event_trim")?;
        let wanted: BTreeSet<(i64, i64)> =
            places.iter().map(|(partition, number)| (partition.number(), *number)).collect();
        let of_ends =
            ends.into_iter().filter(|(partition, number, _)| wanted.contains(&(*partition, *number)));
        rows.extend(of_ends.map(|(partition, _, link)| (partition, link)));
    }
    if rows.len() != places.len() {
        return Ok(None);
    }
    let mut marks = Marks::default();
    for (partition, link) in rows {
        marks.set(head_partition(partition)?, Link::from_column(&link).mark());
    }
    Ok(Some(marks))
}

/// The event that told a fact.
pub async fn fact(tx: &mut Tx, fact_id: &str) -> Result<Option<StoredEvent>, StoreError> {
    let row = fetch_optional!(
        tx,
        PlacedRow,
        concat!(
            "SELECT partition, ",
            event_columns!(),
            " FROM event WHERE fact_id = $1 AND fact_id <> '' ORDER BY recorded_at LIMIT 1"
        ),
        fact_id
    )?;
    let Some(row) = row else { return Ok(None) };
    let partition = head_partition(row.partition)?;
    Ok(Some(row.event.into_event(partition)))
}

/// The name of this log's life: a log that begins anew has another one, and its readers can't go on.
pub async fn epoch(tx: &mut Tx) -> Result<String, StoreError> {
    let (epoch,): (String,) = fetch_one!(tx, (String,), "SELECT epoch FROM log_epoch WHERE id = 1")?;
    Ok(epoch)
}

/// Gives the log a name if it has none yet.
pub(crate) async fn ensure_epoch(tx: &mut Tx, epoch: &str) -> Result<(), StoreError> {
    on!(tx, |c| sqlx::query("INSERT INTO log_epoch (id, epoch) VALUES (1, $1) ON CONFLICT (id) DO NOTHING")
        .bind(epoch)
        .execute(&mut *c)
        .await
        .map(|_| ()))?;
    Ok(())
}

struct Portion<'a> {
    partition: Partition,
    after: i64,
    reached: i64,
    limit: usize,
    wanted: Wanted<'a>,
}

impl Portion<'_> {
    fn query<DB: sqlx::Database>(&self, reach: &impl Piece<DB>) -> sqlx::QueryBuilder<DB>
    where
        for<'a> &'a str: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
        for<'a> i64: sqlx::Encode<'a, DB> + sqlx::Type<DB>,
    {
        let mut query =
            sqlx::QueryBuilder::new(concat!("SELECT ", event_columns!(), " FROM event WHERE partition = "));
        query.push_bind(self.partition.number());
        query.push(" AND number > ").push_bind(self.after);
        query.push(" AND number <= ").push_bind(self.reached);
        let Wanted { types, regions, programmes } = self.wanted;
        for (column, values) in [("type", types), ("programme", programmes)] {
            if values.is_empty() {
                continue;
            }
            query.push(" AND ").push(column).push(" IN (");
            let mut list = query.separated(", ");
            for value in values {
                list.push_bind(value.as_str());
            }
            query.push(")");
        }
        reach.push_to(&mut query);
        if !regions.is_empty() {
            query.push(
                " AND EXISTS (SELECT 1 FROM region_within w WHERE w.programme_id = event.programme AND w.region_code = event.region
                 AND w.from_at <= event.occurred_at AND w.until_at > event.occurred_at AND w.within_code IN (",
            );
            let mut list = query.separated(", ");
            for code in regions {
                list.push_bind(code.as_str());
            }
            query.push("))");
        }
        query.push(" ORDER BY number LIMIT ");
        query.push_bind(i64::try_from(self.limit).unwrap_or(i64::MAX));
        query
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct EventRow {
    number: i64,
    r#type: String,
    programme: String,
    subject: String,
    version: i64,
    region: String,
    occurred_at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
    actor: String,
    address: String,
    cause: String,
    trace: String,
    transaction_size: i64,
    transaction_place: i64,
    data: Vec<u8>,
    fact_id: String,
    link: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct PlacedRow {
    partition: i64,
    #[sqlx(flatten)]
    event: EventRow,
}

impl EventRow {
    pub(crate) fn into_event(self, partition: Partition) -> StoredEvent {
        StoredEvent {
            position: LogPosition { partition, number: self.number },
            recorded_at: self.recorded_at,
            kind: self.r#type,
            programme: self.programme,
            subject: self.subject,
            version: self.version,
            region: self.region,
            occurred_at: self.occurred_at,
            actor: self.actor,
            address: self.address,
            cause: self.cause,
            trace: self.trace,
            transaction_size: self.transaction_size,
            transaction_place: self.transaction_place,
            data: self.data,
            fact_id: self.fact_id,
            link: Link::from_column(&self.link),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_of_a_key_never_changes() {
        // Values of FNV-1a 64: "" cbf29ce484222325, "a" af63dc4c8601ec8c, "foobar" 85944171f73967e8.
        assert_eq!(Partition::of("").number(), 0x25);
        assert_eq!(Partition::of("a").number(), 0x8c % 64);
        assert_eq!(Partition::of("foobar").number(), 0xe8 % 64);
        assert_eq!(Partition::from_number(64), None);
        assert_eq!(Partition::all().count(), 64);
    }
}
