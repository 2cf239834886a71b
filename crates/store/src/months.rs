//! The months of the event log on Postgres: each is a table of its own below `event`, made ahead, so that an old month
//! is dropped in an instant and gives its disk back, where deleting its rows would take hours and leave holes. On SQLite
//! the log is one table.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};
use sqlx::AssertSqlSafe;

use crate::{Database, StoreError, Tx, execute, fetch_all};

/// The advisory lock under which months are made: instances start together.
const MONTHS_LOCK: i64 = 0x6d6f_6e74_6873;
/// What the table of a month is called before its year.
const PREFIX: &str = "event_y";

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// The month that holds an instant.
    pub fn of(at: DateTime<Utc>) -> Month {
        Month { first: at.date_naive().with_day(1).unwrap_or_default() }
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Month {
        Month { first: self.first.checked_add_months(Months::new(1)).unwrap_or(self.first) }
    }

    /// Its first instant.
    fn begins(self) -> DateTime<Utc> {
        self.first.and_time(NaiveTime::MIN).and_utc()
    }

    fn table(self) -> String {
        format!("{PREFIX}{}", self.first.format("%Ym%m"))
    }

    fn from_table(name: &str) -> Option<Month> {
        let (year, month) = name.strip_prefix(PREFIX)?.split_once('m')?;
        let first = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)?;
        Some(Month { first })
    }
}

/// Makes the table of a month, if it is not there; gives whether it was made. False on SQLite.
pub async fn prepare(database: &Database, month: Month) -> Result<bool, StoreError> {
    if !database.is_postgres() {
        return Ok(false);
    }
    let mut tx = database.begin_write().await?;
    execute!(tx, "SELECT pg_advisory_xact_lock($1)", MONTHS_LOCK)?;
    if list(&mut tx).await?.contains(&month) {
        return Ok(false);
    }
    let (table, from, to) = (month.table(), month.first, month.next().first);
    // Made apart and attached: that lets others write meanwhile, where making it in place would not.
    execute!(tx, AssertSqlSafe(format!("CREATE TABLE {table} (LIKE event INCLUDING ALL)")))?;
    let bounds = format!("FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00')");
    execute!(tx, AssertSqlSafe(format!("ALTER TABLE event ATTACH PARTITION {table} FOR VALUES {bounds}")))?;
    tx.commit().await?;
    Ok(true)
}

/// The months that have tables, in order; none on SQLite.
pub async fn list(tx: &mut Tx) -> Result<Vec<Month>, StoreError> {
    if !tx.is_postgres() {
        return Ok(Vec::new());
    }
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT relname::TEXT FROM pg_class
         WHERE relnamespace = current_schema()::REGNAMESPACE AND relispartition AND relkind = 'r'
           AND relname LIKE 'event\\_y%' ORDER BY relname"
    )?;
    Ok(rows.iter().filter_map(|(name,)| Month::from_table(name)).collect())
}

/// Drops the oldest month with its events, and keeps the link of the last one in each partition, from which the chain of what
/// is left can be verified; gives whether there was one. A reader that stands in it can't go on.
///
/// # Errors
/// [`StoreError::NotTheOldest`] for another month, whose events would be missing in the middle.
pub async fn drop_month(database: &Database, month: Month) -> Result<bool, StoreError> {
    if !database.is_postgres() {
        return Ok(false);
    }
    let mut tx = database.begin_write().await?;
    execute!(tx, "SELECT pg_advisory_xact_lock($1)", MONTHS_LOCK)?;
    let months = list(&mut tx).await?;
    if !months.contains(&month) {
        return Ok(false);
    }
    if months.first() != Some(&month) {
        return Err(StoreError::NotTheOldest(month.table()));
    }
    let table = month.table();
    let trimming = format!(
        "INSERT INTO event_trim (partition, number, link)
         SELECT DISTINCT ON (partition) partition, number, link FROM {table} ORDER BY partition, number DESC
         ON CONFLICT (partition) DO UPDATE SET number = excluded.number, link = excluded.link"
    );
    execute!(tx, AssertSqlSafe(trimming))?;
    // Who waits for the table has everybody behind it wait too: better to try again in an hour.
    execute!(tx, "SET LOCAL lock_timeout = '2s'")?;
    execute!(tx, AssertSqlSafe(format!("DROP TABLE {table}")))?;
    tx.commit().await?;
    Ok(true)
}

/// Drops the months that ended before a time, the oldest first; gives how many.
///
/// # Errors
/// What the database does; what was dropped before stays so.
pub async fn drop_before(database: &Database, at: DateTime<Utc>) -> Result<usize, StoreError> {
    let mut dropped = 0;
    loop {
        let mut tx = database.begin_read().await?;
        let oldest = list(&mut tx).await?.first().copied();
        tx.rollback().await?;
        let Some(oldest) = oldest.filter(|month| month.next().begins() <= at) else { return Ok(dropped) };
        // Another instance may have done it.
        dropped += usize::from(drop_month(database, oldest).await?);
    }
}
