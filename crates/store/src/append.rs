//! Appending to the event log: numbers and links (`chain`) from the heads, versions from the subjects, then the rows. Heads first and in
//! ascending order, subjects behind them in the order of their ids: two that append can't wait for each other. With the
//! events go the request records of what made them ([`conclude`]), which come before the heads.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::event_log::{LogPosition, NewEvent};
use crate::idempotency::{self, RequestRecord};
use crate::link::{Link, Place, content};
use crate::partition::Partition;
use crate::{StoreError, Tx, bulk_insert, fetch_all, fetch_one, select_by_keys};

/// The columns of a new event. Both texts of [`conclude_one`] bind them in this order.
macro_rules! columns {
    () => {
        "partition, number, type, programme, subject, version, region, occurred_at, recorded_at, actor, address, cause,
         trace, transaction_size, transaction_place, data, fact_id, link"
    };
}

/// What [`conclude_one`] runs on SQLite, behind a look at head and subject, since SQLite has no SHA-256: one round trip to
/// its thread, which takes many times as long as a statement there.
macro_rules! conclude_on_sqlite {
    ($record:literal) => {
        concat!(
            $record,
            "UPDATE event_head SET position = $22, recorded_at = $2, link = $16 WHERE partition = $1;
             INSERT INTO event_subject (programme, subject, version) VALUES ($3, $4, $23)
                 ON CONFLICT (programme, subject) DO UPDATE SET version = excluded.version;
             INSERT INTO event (",
            columns!(),
            ") VALUES ($1, $22, $5, $3, $4, $23, $6, $7, $2, $8, $15, $9, $10, $11, $12, $13, $14, $16) RETURNING number"
        )
    };
}

/// What [`conclude_one`] runs on Postgres. Each part waits for what it reads of the one before: record, head, subject, and the
/// head again, whose link follows from all of them (as `chain` has it). Whoever waited for the head updates it as it is now.
macro_rules! conclude_on_postgres {
    ($record:literal, $when_recorded:literal) => {
        concat!(
            "WITH ",
            $record,
            "head AS (SELECT partition FROM event_head WHERE partition = $1",
            $when_recorded,
            " FOR UPDATE),
             taken AS (
                 INSERT INTO event_subject (programme, subject, version) SELECT $3, $4, 1 FROM head
                     ON CONFLICT (programme, subject) DO UPDATE SET version = event_subject.version + 1
                     RETURNING version),
             moved AS (
                 UPDATE event_head SET position = event_head.position + 1,
                     recorded_at = GREATEST(event_head.recorded_at, $2),
                     link = sha256(COALESCE(event_head.link, '') || $16 || int8send(event_head.position + 1)
                         || int8send(taken.version) || timestamptz_send(GREATEST(event_head.recorded_at, $2)))
                 FROM taken WHERE event_head.partition = $1
                 RETURNING event_head.position, event_head.recorded_at, event_head.link)
             INSERT INTO event (",
            columns!(),
            ") SELECT $1, moved.position, $5, $3, $4, taken.version, $6, $7, moved.recorded_at, $8, $15, $9, $10, $11, $12,
                 $13, $14, moved.link
             FROM moved, taken RETURNING number"
        )
    };
}

const CONCLUDE_ON_SQLITE: &str = conclude_on_sqlite!("");
const CONCLUDE_WITH_RECORD_ON_SQLITE: &str = conclude_on_sqlite!(
    "INSERT INTO request_record (request_id, method, digest, outcome, recorded_at, shows) VALUES ($17, $18, $19, $20, $21, $24);
     "
);
const CONCLUDE_ON_POSTGRES: &str = conclude_on_postgres!("", "");
const CONCLUDE_WITH_RECORD_ON_POSTGRES: &str = conclude_on_postgres!(
    "record AS (
         INSERT INTO request_record (request_id, method, digest, outcome, recorded_at, shows)
             VALUES ($17, $18, $19, $20, $21, $24) RETURNING request_id),
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
    let content = content!(event, event.partition);
    // On Postgres the statement finds out the rest, and the link with it.
    let mut place = Place { number: 0, version: 0, recorded_at };
    let mut link = content;
    if !tx.is_postgres() {
        let (head, version) = look(tx, event, recorded_at).await?;
        place = Place { number: head.position + 1, version: version + 1, recorded_at: head.recorded_at };
        link = *Link::after(head.link, &content, place).as_bytes();
    }
    // All rows are asked for: SQLite would not go beyond the statement of the first one else. What is bound of a record
    // that there is not stands in no text.
    let numbers = fetch_all!(
        tx,
        (i64,),
        sql,
        partition.number(),
        place.recorded_at,
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
        event.address.as_str(),
        link.as_slice(),
        record.map(|record| record.request_id.as_str()),
        record.map(|record| record.method.as_str()),
        record.map(|record| record.digest.as_slice()),
        record.map(|record| record.outcome.as_slice()),
        record.map(|record| record.recorded_at),
        place.number,
        place.version,
        record.map(|record| record.shows.as_str()),
    )?;
    let &[(number,)] = numbers.as_slice() else {
        return Err(StoreError::corrupt_row("event_head", "partition", partition.number()));
    };
    Ok(LogPosition { partition, number })
}

/// The head of an event's partition, with the time at which the event is recorded, and its subject's last version.
async fn look(tx: &mut Tx, event: &NewEvent, recorded_at: DateTime<Utc>) -> Result<(Head, i64), StoreError> {
    let (position, last_at, link, version): (i64, DateTime<Utc>, Option<Vec<u8>>, Option<i64>) = fetch_one!(
        tx,
        (i64, DateTime<Utc>, Option<Vec<u8>>, Option<i64>),
        "SELECT position, recorded_at, link,
             (SELECT version FROM event_subject WHERE programme = $2 AND subject = $3)
         FROM event_head WHERE partition = $1",
        event.partition.number(),
        event.programme.as_str(),
        event.subject.as_str()
    )?;
    let link = Link::of_head(event.partition, link)?;
    Ok((Head { position, recorded_at: last_at.max(recorded_at), link }, version.unwrap_or_default()))
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
    let partitions: BTreeSet<Partition> = events.iter().map(|event| event.partition).collect();
    let mut heads = lock_heads(tx, &partitions, recorded_at).await?;
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
        let place = Place { number: head.position, version: *version, recorded_at: head.recorded_at };
        let link = Link::after(head.link, &content!(event, event.partition), place);
        head.link = Some(link);
        rows.push((event, place, link));
        places.push(LogPosition { partition: event.partition, number: place.number });
    }
    move_heads(tx, &heads).await?;
    bulk_insert!(tx, concat!("INSERT INTO event (", columns!(), ")"), rows, |(event, place, link)| (
        event.partition.number(),
        place.number,
        event.kind.as_str(),
        event.programme.as_str(),
        event.subject.as_str(),
        place.version,
        event.region.as_str(),
        event.occurred_at,
        place.recorded_at,
        event.actor.as_str(),
        event.address.as_str(),
        event.cause.as_str(),
        event.trace.as_str(),
        event.transaction_size,
        event.transaction_place,
        event.data.as_slice(),
        event.fact_id.as_str(),
        link.as_bytes().as_slice()
    ))?;
    Ok(places)
}

/// The end of a partition: its last number, when that was recorded, and its link.
#[derive(Clone, Copy)]
struct Head {
    position: i64,
    recorded_at: DateTime<Utc>,
    link: Option<Link>,
}

#[derive(sqlx::FromRow)]
struct HeadRow {
    partition: i64,
    position: i64,
    recorded_at: DateTime<Utc>,
    link: Option<Vec<u8>>,
}

/// Locks the heads in ascending order (on Postgres the sort is below the lock); gives each with the time of what is appended.
async fn lock_heads(
    tx: &mut Tx,
    partitions: &BTreeSet<Partition>,
    recorded_at: DateTime<Utc>,
) -> Result<BTreeMap<Partition, Head>, StoreError> {
    let partitions: Vec<Partition> = partitions.iter().copied().collect();
    let locking = if tx.is_postgres() { " ORDER BY partition FOR UPDATE" } else { "" };
    let rows: Vec<HeadRow> = select_by_keys!(
        tx,
        HeadRow,
        ["SELECT partition, position, recorded_at, link FROM event_head WHERE partition IN "],
        partitions,
        |partition| (partition.number()),
        locking
    )?;
    let mut heads = BTreeMap::new();
    for HeadRow { partition: number, position, recorded_at: last_at, link } in rows {
        let partition = partitions.iter().find(|partition| partition.number() == number);
        let partition =
            *partition.ok_or_else(|| StoreError::corrupt_row("event_head", "partition", number))?;
        let link = Link::of_head(partition, link)?;
        heads.insert(partition, Head { position, recorded_at: last_at.max(recorded_at), link });
    }
    Ok(heads)
}

/// Puts the heads where the last events are.
async fn move_heads(tx: &mut Tx, heads: &BTreeMap<Partition, Head>) -> Result<(), StoreError> {
    let rows: Vec<(&Partition, &Head)> = heads.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO event_head (partition, position, recorded_at, link)",
        rows,
        |(partition, head)| (
            partition.number(),
            head.position,
            head.recorded_at,
            head.link.as_ref().map(|link| link.as_bytes().as_slice())
        ),
        " ON CONFLICT (partition) DO UPDATE
          SET position = excluded.position, recorded_at = excluded.recorded_at, link = excluded.link"
    )?;
    Ok(())
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
