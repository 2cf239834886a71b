//! Appending to the event log: numbers from the heads, versions from the subjects, then the rows. Heads first and in
//! ascending order, subjects behind them in the order of their ids: two that append can't wait for each other. With the
//! events go the request records of what made them ([`conclude`]), which come before the heads.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::event_log::{LogPosition, NewEvent, head_partition};
use crate::idempotency::{self, RequestRecord};
use crate::partition::Partition;
use crate::{StoreError, Tx, bulk_insert, fetch_all, fetch_one};

/// What [`conclude_one`] runs on SQLite: a round trip to SQLite's thread takes many times as long as a statement there.
macro_rules! conclude_on_sqlite {
    ($record:literal) => {
        concat!(
            $record,
            "UPDATE event_head SET position = position + 1,
                 recorded_at = CASE WHEN recorded_at > $2 THEN recorded_at ELSE $2 END WHERE partition = $1;
             INSERT INTO event_subject (programme, subject, version) VALUES ($3, $4, 1)
                 ON CONFLICT (programme, subject) DO UPDATE SET version = event_subject.version + 1;
             INSERT INTO event
                 (partition, number, type, programme, subject, version, region, occurred_at, recorded_at, actor, cause,
                  trace, transaction_size, transaction_place, data, fact_id)
             SELECT $1, h.position, $5, $3, $4, s.version, $6, $7, h.recorded_at, $8, $9, $10, $11, $12, $13, $14
             FROM event_head h, event_subject s WHERE h.partition = $1 AND s.programme = $3 AND s.subject = $4
             RETURNING number"
        )
    };
}

/// What [`conclude_one`] runs on Postgres. Each part waits for what it reads of the one before: record, head, subject.
macro_rules! conclude_on_postgres {
    ($record:literal, $when_recorded:literal) => {
        concat!(
            "WITH ",
            $record,
            "head AS (
                 UPDATE event_head SET position = event_head.position + 1,
                     recorded_at = GREATEST(event_head.recorded_at, $2) WHERE partition = $1",
            $when_recorded,
            " RETURNING position, recorded_at),
             taken AS (
                 INSERT INTO event_subject (programme, subject, version) SELECT $3, $4, 1 FROM head
                     ON CONFLICT (programme, subject) DO UPDATE SET version = event_subject.version + 1
                     RETURNING version)
             INSERT INTO event
                 (partition, number, type, programme, subject, version, region, occurred_at, recorded_at, actor, cause,
                  trace, transaction_size, transaction_place, data, fact_id)
             SELECT $1, head.position, $5, $3, $4, taken.version, $6, $7, head.recorded_at, $8, $9, $10, $11, $12, $13,
                 $14
             FROM head, taken RETURNING number"
        )
    };
}

const CONCLUDE_ON_SQLITE: &str = conclude_on_sqlite!("");
const CONCLUDE_WITH_RECORD_ON_SQLITE: &str = conclude_on_sqlite!(
    "INSERT INTO request_record (request_id, method, digest, outcome, recorded_at) VALUES ($15, $16, $17, $18, $19);
     "
);
const CONCLUDE_ON_POSTGRES: &str = conclude_on_postgres!("", "");
const CONCLUDE_WITH_RECORD_ON_POSTGRES: &str = conclude_on_postgres!(
    "record AS (
         INSERT INTO request_record (request_id, method, digest, outcome, recorded_at)
             VALUES ($15, $16, $17, $18, $19) RETURNING request_id),
     ",
    " AND EXISTS (SELECT 1 FROM record)"
);

/// One database's half of [`take_versions`].
macro_rules! take_versions_on {
    ($database:ty, $transaction:ident, $rows:expr) => {{
        let mut taken: Vec<(String, String, i64)> = Vec::new();
        for cut in crate::bulk::cuts($rows) {
            let mut query = crate::bulk::insert_query::<$database, _>(
                "INSERT INTO event_subject (programme, subject, version)",
                cut,
                |tuple, (subject, count)| {
                    tuple.push_bind(subject.programme.as_str());
                    tuple.push_bind(subject.subject.as_str());
                    tuple.push_bind(*count);
                },
                " ON CONFLICT (programme, subject) DO UPDATE SET version = event_subject.version + excluded.version
                  RETURNING programme, subject, version",
            );
            let rows: Result<Vec<(String, String, i64)>, sqlx::Error> =
                query.build_query_as().fetch_all(&mut **$transaction).await;
            taken.append(&mut $transaction.noted(rows)?);
        }
        taken
    }};
}

/// The last writes of a transaction: request records ([`idempotency::record_all`]), then events ([`append`]). One event with
/// at most one record, as a command without company has, goes in one round trip.
pub async fn conclude(
    tx: &mut Tx,
    events: &[NewEvent],
    records: &[RequestRecord],
    recorded_at: DateTime<Utc>,
) -> Result<Vec<LogPosition>, StoreError> {
    if let ([event], [] | [_]) = (events, records) {
        let concluding = Box::pin(conclude_one(tx, event, records.first(), recorded_at));
        return Ok(vec![concluding.await?]);
    }
    idempotency::record_all(tx, records).await?;
    append(tx, events, recorded_at).await
}

async fn conclude_one(
    tx: &mut Tx,
    event: &NewEvent,
    record: Option<&RequestRecord>,
    recorded_at: DateTime<Utc>,
) -> Result<LogPosition, StoreError> {
    let sql = match (tx.is_postgres(), record.is_some()) {
        (true, true) => CONCLUDE_WITH_RECORD_ON_POSTGRES,
        (true, false) => CONCLUDE_ON_POSTGRES,
        (false, true) => CONCLUDE_WITH_RECORD_ON_SQLITE,
        (false, false) => CONCLUDE_ON_SQLITE,
    };
    let partition = event.partition;
    // All rows are asked for: SQLite would not go beyond the statement of the first one else. What is bound of a record
    // that there is not stands in no text.
    let numbers = fetch_all!(
        tx,
        (i64,),
        sql,
        partition.number(),
        recorded_at,
        event.programme.as_str(),
        event.subject.as_str(),
        event.kind.as_str(),
        event.region.as_str(),
        event.occurred_at,
        event.actor.as_str(),
        event.cause.as_str(),
        event.trace.as_str(),
        event.transaction_size,
        event.transaction_place,
        event.data.as_slice(),
        event.fact_id.as_str(),
        record.map(|record| record.request_id.as_str()),
        record.map(|record| record.method.as_str()),
        record.map(|record| record.digest.as_slice()),
        record.map(|record| record.outcome.as_slice()),
        record.map(|record| record.recorded_at),
    )?;
    let &[(number,)] = numbers.as_slice() else {
        return Err(StoreError::corrupt_row("event_head", "partition", partition.number()));
    };
    Ok(LogPosition { partition, number })
}

/// Appends events, in the order given within each partition, and gives their places in the order given.
/// Call it once in a transaction, as its last write ([`conclude`] does). Where the partition has an event of a later time already (clocks of
/// instances differ), they are recorded at that time.
pub async fn append(
    tx: &mut Tx,
    events: &[NewEvent],
    recorded_at: DateTime<Utc>,
) -> Result<Vec<LogPosition>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut counts: BTreeMap<Partition, i64> = BTreeMap::new();
    for event in events {
        *counts.entry(event.partition).or_default() += 1;
    }
    let mut heads = take_numbers(tx, &counts, recorded_at).await?;
    let mut versions = take_versions(tx, events).await?;
    let mut rows = Vec::with_capacity(events.len());
    let mut places = Vec::with_capacity(events.len());
    for event in events {
        let head = heads
            .get_mut(&event.partition)
            .ok_or_else(|| StoreError::corrupt_row("event_head", "partition", event.partition.number()))?;
        head.position += 1;
        let version = versions.entry(Subject::of(event)).or_default();
        *version += 1;
        rows.push((event, head.position, *version, head.recorded_at));
        places.push(LogPosition { partition: event.partition, number: head.position });
    }
    bulk_insert!(
        tx,
        "INSERT INTO event
         (partition, number, type, programme, subject, version, region, occurred_at, recorded_at, actor, cause, trace,
          transaction_size, transaction_place, data, fact_id)",
        rows,
        |(event, number, version, recorded_at)| (
            event.partition.number(),
            *number,
            event.kind.as_str(),
            event.programme.as_str(),
            event.subject.as_str(),
            *version,
            event.region.as_str(),
            event.occurred_at,
            *recorded_at,
            event.actor.as_str(),
            event.cause.as_str(),
            event.trace.as_str(),
            event.transaction_size,
            event.transaction_place,
            event.data.as_slice(),
            event.fact_id.as_str()
        )
    )?;
    Ok(places)
}

/// The end of a partition: its last number, and when that was recorded.
#[derive(Clone, Copy)]
struct Head {
    position: i64,
    recorded_at: DateTime<Utc>,
}

/// Takes numbers from the heads, locking them in ascending order; gives each head's position before, and the time of what
/// is appended.
async fn take_numbers(
    tx: &mut Tx,
    counts: &BTreeMap<Partition, i64>,
    recorded_at: DateTime<Utc>,
) -> Result<BTreeMap<Partition, Head>, StoreError> {
    let mut before = BTreeMap::new();
    if counts.len() <= 2 || !tx.is_postgres() {
        for (partition, count) in counts {
            let (position, recorded_at): (i64, DateTime<Utc>) = fetch_one!(
                tx,
                (i64, DateTime<Utc>),
                "UPDATE event_head SET position = event_head.position + $2,
                     recorded_at = CASE WHEN event_head.recorded_at > $3 THEN event_head.recorded_at ELSE $3 END
                 WHERE partition = $1 RETURNING position, recorded_at",
                partition.number(),
                count,
                recorded_at
            )?;
            before.insert(*partition, Head { position: position - count, recorded_at });
        }
        return Ok(before);
    }
    // Many partitions over a network: two round trips instead of one for each. Only Postgres needs it, and only
    // Postgres has arrays. The sort is below the lock, so locks are taken in ascending order.
    let partitions: Vec<i64> = counts.keys().map(|partition| partition.number()).collect();
    let counts: Vec<i64> = counts.values().copied().collect();
    let Tx::Postgres(transaction) = tx else {
        return Ok(before);
    };
    let locked = sqlx::query(
        "SELECT partition FROM event_head WHERE partition = ANY($1) ORDER BY partition FOR UPDATE",
    )
    .bind(&partitions)
    .execute(&mut **transaction)
    .await;
    transaction.noted(locked)?;
    let heads: Result<Vec<(i64, i64, DateTime<Utc>)>, sqlx::Error> = sqlx::query_as(
        "UPDATE event_head SET position = event_head.position + taken.count,
             recorded_at = GREATEST(event_head.recorded_at, $3)
         FROM UNNEST($1::BIGINT[], $2::BIGINT[]) AS taken (partition, count)
         WHERE event_head.partition = taken.partition
         RETURNING event_head.partition, event_head.position - taken.count, event_head.recorded_at",
    )
    .bind(&partitions)
    .bind(&counts)
    .bind(recorded_at)
    .fetch_all(&mut **transaction)
    .await;
    for (partition, position, recorded_at) in transaction.noted(heads)? {
        before.insert(head_partition(partition)?, Head { position, recorded_at });
    }
    Ok(before)
}

/// What an event is about, within its programme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    programme: String,
    subject: String,
}

impl Subject {
    fn of(event: &NewEvent) -> Subject {
        Subject { programme: event.programme.clone(), subject: event.subject.clone() }
    }
}

/// Takes versions for the events' subjects, in the order of their ids and behind the heads, which every appending
/// transaction takes first; gives each subject's version before.
async fn take_versions(tx: &mut Tx, events: &[NewEvent]) -> Result<BTreeMap<Subject, i64>, StoreError> {
    let mut counts: BTreeMap<Subject, i64> = BTreeMap::new();
    for event in events {
        *counts.entry(Subject::of(event)).or_default() += 1;
    }
    let rows: Vec<(&Subject, i64)> = counts.iter().map(|(subject, count)| (subject, *count)).collect();
    let taken = match tx.as_tx() {
        Tx::Postgres(transaction) => take_versions_on!(sqlx::Postgres, transaction, &rows),
        Tx::Sqlite(transaction) => take_versions_on!(sqlx::Sqlite, transaction, &rows),
    };
    let mut before = BTreeMap::new();
    for (programme, subject, version) in taken {
        let subject = Subject { programme, subject };
        let count = counts.get(&subject).copied().unwrap_or_default();
        before.insert(subject, version - count);
    }
    Ok(before)
}
