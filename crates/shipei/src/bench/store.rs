//! The statements of the raw limit: plain rows in plain tables, in the same kind of database as the services'.
//!
//! They are what a writer of the same facts could not do without: no checks, no event log, no request records. The
//! only file of the bench with SQL in it.

use anyhow::Result;
use shipei_store::{Database, bulk_insert, execute, fetch_all, fetch_one, sqlx::AssertSqlSafe};

/// Rows of one page of a raw read.
pub(crate) const PAGE_ROWS: i64 = 1_000;

/// One table each for sessions, for learners, and for single writes.
const TABLES: [&str; 3] = [
    "CREATE TABLE raw_session (session_id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY, person_id TEXT NOT NULL,
     course_id TEXT NOT NULL, last_at BIGINT NOT NULL, last_seq BIGINT NOT NULL, credited_seconds BIGINT NOT NULL)",
    "CREATE TABLE raw_learner (person_id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY, credited_until BIGINT NOT NULL,
     day_seconds BIGINT NOT NULL)",
    "CREATE TABLE raw_write (number BIGINT NOT NULL PRIMARY KEY, person_id TEXT NOT NULL, body TEXT NOT NULL)",
];

/// What is kept of a person of a roster, at least.
const PEOPLE: &str = "CREATE TABLE raw_person (person_id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY, name TEXT NOT NULL,
     number_sealed TEXT NOT NULL, number_digest TEXT NOT NULL, role TEXT NOT NULL, county_code TEXT NOT NULL,
     school_code TEXT NOT NULL, education_stage TEXT NOT NULL, subject TEXT NOT NULL, class_id TEXT NOT NULL)";

/// What a message of heartbeats leaves of one learner.
#[derive(Debug, Clone)]
pub(crate) struct Study {
    /// The learner.
    pub(crate) person: String,
    /// The course.
    pub(crate) course: String,
    /// The session.
    pub(crate) session: String,
    /// The last beat's number, which stands for its time too.
    pub(crate) last_seq: i64,
}

/// Makes the tables.
pub(crate) async fn create_tables(database: &Database) -> Result<()> {
    create(database, &TABLES).await
}

/// Makes the table of people.
pub(crate) async fn create_people(database: &Database) -> Result<()> {
    create(database, &[PEOPLE]).await
}

async fn create(database: &Database, tables: &[&str]) -> Result<()> {
    let mut tx = database.begin_write().await?;
    for table in tables {
        let text = if tx.is_postgres() { (*table).to_owned() } else { table.replace(" COLLATE \"C\"", "") };
        execute!(tx, AssertSqlSafe(text))?;
    }
    tx.commit().await?;
    Ok(())
}

/// A message's worth of study in one transaction: a session's row and a learner's row each.
pub(crate) async fn upsert_study(database: &Database, rows: &[Study]) -> Result<()> {
    let mut tx = database.begin_write().await?;
    bulk_insert!(
        tx,
        "INSERT INTO raw_session (session_id, person_id, course_id, last_at, last_seq, credited_seconds)",
        rows,
        |row| (
            row.session.as_str(),
            row.person.as_str(),
            row.course.as_str(),
            row.last_seq,
            row.last_seq,
            row.last_seq
        ),
        " ON CONFLICT (session_id) DO UPDATE SET last_at = excluded.last_at, last_seq = excluded.last_seq,
          credited_seconds = excluded.credited_seconds"
    )?;
    bulk_insert!(
        tx,
        "INSERT INTO raw_learner (person_id, credited_until, day_seconds)",
        rows,
        |row| (row.person.as_str(), row.last_seq, row.last_seq),
        " ON CONFLICT (person_id) DO UPDATE SET credited_until = excluded.credited_until,
          day_seconds = excluded.day_seconds"
    )?;
    tx.commit().await?;
    Ok(())
}

/// One row, one transaction.
pub(crate) async fn insert_one(database: &Database, number: i64, person: &str) -> Result<()> {
    let mut tx = database.begin_write().await?;
    execute!(
        tx,
        "INSERT INTO raw_write (number, person_id, body) VALUES ($1, $2, $3)",
        number,
        person,
        "one acknowledged write"
    )?;
    tx.commit().await?;
    Ok(())
}

/// These people in one transaction.
pub(crate) async fn insert_people(database: &Database, people: &[String]) -> Result<()> {
    let mut tx = database.begin_write().await?;
    bulk_insert!(
        tx,
        "INSERT INTO raw_person (person_id, name, number_sealed, number_digest, role, county_code, school_code,
         education_stage, subject, class_id)",
        people,
        |person| (
            person.as_str(),
            "测试",
            "sealed: as long as a sealed number is, some 46 bytes",
            "digest: 32 bytes and a little more",
            "trainee",
            "130302",
            "130302S0",
            "compulsory",
            "语文",
            "L0001"
        ),
        ""
    )?;
    tx.commit().await?;
    Ok(())
}

/// The page of learners after this one: how many, and the last of them.
pub(crate) async fn read_learners(database: &Database, after: &str) -> Result<(u64, String)> {
    let mut tx = database.begin_read().await?;
    let rows = fetch_all!(
        tx,
        (String, i64, i64),
        "SELECT person_id, credited_until, day_seconds FROM raw_learner WHERE person_id > $1
         ORDER BY person_id LIMIT $2",
        after,
        PAGE_ROWS
    )?;
    tx.rollback().await?;
    let last = rows.last().map(|row| row.0.clone()).unwrap_or_default();
    Ok((rows.len() as u64, last))
}

/// What the database calls itself, and how it commits.
pub(crate) async fn describe(database: &Database) -> Result<String> {
    let mut tx = database.begin_read().await?;
    let text = if tx.is_postgres() {
        let (version,) = fetch_one!(tx, (String,), "SHOW server_version")?;
        let (fsync,) = fetch_one!(tx, (String,), "SHOW fsync")?;
        let (commit,) = fetch_one!(tx, (String,), "SHOW synchronous_commit")?;
        format!("PostgreSQL {version} (fsync {fsync}, synchronous_commit {commit})")
    } else {
        let (version,) = fetch_one!(tx, (String,), "SELECT sqlite_version()")?;
        format!("SQLite {version} (WAL, synchronous FULL)")
    };
    tx.rollback().await?;
    Ok(text)
}

/// Removes a schema that the bench made; its name is one of ours. On SQLite there is nothing to do.
pub(crate) async fn drop_schema(database: &Database, schema: &str) -> Result<()> {
    if database.is_postgres() {
        let mut tx = database.begin_write().await?;
        execute!(tx, AssertSqlSafe(format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE")))?;
        tx.commit().await?;
    }
    Ok(())
}

/// How many schemas of a bench there are.
#[cfg(test)]
pub(crate) async fn bench_schemas(database: &Database) -> Result<i64> {
    let mut tx = database.begin_read().await?;
    let (count,) =
        fetch_one!(tx, (i64,), "SELECT COUNT(*) FROM pg_namespace WHERE nspname LIKE 'shipei_bench_%'")?;
    tx.rollback().await?;
    Ok(count)
}
