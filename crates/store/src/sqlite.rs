//! The connections to a SQLite file: their options, which of them are thrown away, and how a transaction begins on one.
//!
//! There is ONE writer connection (writers queue for it in order, instead of meeting in the file) and some readers, which
//! WAL lets read meanwhile. SQLite ends a transaction by itself when the disk is full or fails, sqlx doesn't notice, and a
//! connection of which that is so would refuse every further BEGIN: so whatever was not an error of a statement alone is
//! noted ([`SqliteTx::noted`]), such a transaction can't be committed, and connections from before it are replaced.

use std::fmt;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::error::{Extent, Fault};
use crate::limits::{PoolLimits, STATEMENTS_CACHED};
use crate::open_mark::{self, OpenMark};
use crate::sometimes::threw_connection_away;
use crate::{StoreError, crypto};

/// The page cache of the writing connection (negative: KiB).
const WRITER_CACHE: &str = "-8192";

/// The page cache of each reading connection. Caches fill up to their bound, so these bounds are what the memory of an
/// embedded suite at work comes to, however large a season grows; at rest it gives them back.
const READER_CACHE: &str = "-512";

/// And of each that reads the log, which is read from one end to the other and seldom twice.
const LOG_READER_CACHE: &str = "-256";

/// The most readers of a file; the cores of one machine, not its clients, are what they compete for.
const READERS_MAX: u32 = 4;

/// Readers for streams of the log, besides those.
const LOG_READERS: u32 = 2;

/// A reader that nobody has asked for so long is closed: with it go its page cache and its prepared statements. The next
/// call that needs one opens it, as the first call did.
const READER_IDLE_TIME: Duration = Duration::from_secs(5);

/// How long folding the log into the file waits for readers of older states of it; who writes waits behind it.
const FOLDING_TIME_MAX: Duration = Duration::from_millis(50);

/// Rows that SQLite's thread may be ahead of their reader.
const ROWS_AHEAD: usize = 512;

/// How long an opening waits before it tries again to open a file that is held by another.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Bytes that must be free to open a file: its log, the index of that, and a fresh database's first pages.
const BYTES_TO_BEGIN: u64 = 1024 * 1024;

/// The only owner may read what is kept. SQLite gives its log and the index of that the mode of the file.
const FILE_MODE: u32 = 0o600;

/// The files that SQLite makes beside a database.
const FILES_BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The pools of one file.
#[derive(Clone)]
pub(crate) struct SqlitePools {
    /// Before the pools, so that the mark is told first when all are dropped.
    state: Arc<State>,
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    /// For streams of the log.
    pub(crate) logs: SqlitePool,
}

/// What is known of the connections of one file.
struct State {
    file: PathBuf,
    lock_timeout: Duration,
    mark: OpenMark,
    trust: Arc<Trust>,
    /// When the last write was begun, in milliseconds since the trust.
    write_begun: AtomicU64,
    /// How many writes were begun.
    writes: AtomicU64,
    /// How many had been when it was last looked whether the writer rests,
    writes_seen: AtomicU64,
    /// and when its page cache was last given back.
    writes_given_back: AtomicU64,
    /// Whether the write-ahead log may hold what was erased.
    holds_erased: Arc<AtomicBool>,
}

/// From when on connections are as they should be.
#[derive(Debug)]
struct Trust {
    origin: Instant,
    /// Nanoseconds since the origin: connections that are not younger are thrown away.
    lost_at: AtomicU64,
    /// How many times it was lost.
    times_lost: AtomicU64,
}

/// A transaction on SQLite. Dropped without a commit it is rolled back.
pub struct SqliteTx {
    transaction: Transaction<'static, Sqlite>,
    trust: Arc<Trust>,
    /// A statement met what may have ended the transaction.
    failed: bool,
    /// Something is erased in it for good.
    erases: bool,
    holds_erased: Arc<AtomicBool>,
}

impl fmt::Debug for SqliteTx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SqliteTx").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Trust {
    fn new() -> Trust {
        Trust { origin: Instant::now(), lost_at: AtomicU64::new(0), times_lost: AtomicU64::new(0) }
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// An error was met after which nobody can tell what state a connection is in; what one of them met (a file that was
    /// moved, a page in the cache) the others may meet as well.
    fn lose(&self) {
        self.lost_at.fetch_max(self.nanoseconds(), Ordering::AcqRel);
        self.times_lost.fetch_add(1, Ordering::Relaxed);
    }

    fn holds_for(&self, age: Duration) -> bool {
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let lost_at = self.lost_at.load(Ordering::Acquire);
        lost_at == 0 || self.nanoseconds().saturating_sub(age) > lost_at
    }

    fn note<T, E: Fault>(&self, outcome: &Result<T, E>) -> Extent {
        let Err(error) = outcome else { return Extent::Statement };
        let extent = error.extent();
        if extent == Extent::Connection {
            self.lose();
        }
        extent
    }
}

impl SqliteTx {
    /// Looks at what a statement ended with; gives it back as it is.
    pub fn noted<T, E: Fault>(&mut self, outcome: Result<T, E>) -> Result<T, E> {
        if self.trust.note(&outcome) > Extent::Statement {
            self.failed = true;
        }
        outcome
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn erases(&mut self) {
        self.erases = true;
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::TransactionEnded);
        }
        let committed = self.transaction.commit().await;
        if self.erases {
            // Also where nobody knows whether it was kept.
            self.holds_erased.store(true, Ordering::Release);
        }
        self.trust.note(&committed);
        committed.map_err(StoreError::of_commit)
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        if self.failed {
            // Dropped, it is rolled back if there is anything left of it.
            return Ok(());
        }
        let undone = self.transaction.rollback().await;
        self.trust.note(&undone);
        Ok(undone?)
    }
}

impl Deref for SqliteTx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for SqliteTx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

impl SqlitePools {
    pub(crate) async fn begin_write(&self) -> Result<SqliteTx, StoreError> {
        self.state.writes.fetch_add(1, Ordering::Relaxed);
        self.begin_writing().await
    }

    async fn begin_writing(&self) -> Result<SqliteTx, StoreError> {
        let begun = self.begin(&self.writer, "BEGIN IMMEDIATE").await?;
        let now = u64::try_from(self.state.trust.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state.write_begun.store(now, Ordering::Relaxed);
        Ok(begun)
    }

    pub(crate) async fn begin_read(&self) -> Result<SqliteTx, StoreError> {
        self.begin(&self.readers, "BEGIN DEFERRED").await
    }

    pub(crate) async fn begin_read_of_log(&self) -> Result<SqliteTx, StoreError> {
        self.begin(&self.logs, "BEGIN DEFERRED").await
    }

    async fn begin(&self, pool: &SqlitePool, statement: &'static str) -> Result<SqliteTx, StoreError> {
        let trust = self.state.trust.clone();
        let begun = pool.begin_with(statement).await;
        trust.note(&begun);
        let holds_erased = self.state.holds_erased.clone();
        Ok(SqliteTx { transaction: begun?, trust, failed: false, erases: false, holds_erased })
    }

    /// Whether a write would be possible. A writer at work is an answer too, unless the work takes longer than any may.
    pub(crate) async fn check_writable(&self, attempt_time_max: Duration) -> Result<(), StoreError> {
        if self.writer.num_idle() > 0 || self.writer.size() == 0 {
            return self.begin_writing().await?.rollback().await;
        }
        let begun = Duration::from_millis(self.state.write_begun.load(Ordering::Relaxed));
        match self.state.trust.origin.elapsed().saturating_sub(begun) > attempt_time_max {
            true => Err(StoreError::no_answer()),
            false => Ok(()),
        }
    }

    /// Gives back the writer's page cache if nobody has written since this was last asked; says whether it did. What is at
    /// work keeps its cache, and who rests doesn't hold on to memory that others of the machine can use.
    pub(crate) async fn give_back_at_rest(&self) -> Result<bool, StoreError> {
        let State { writes, writes_seen, writes_given_back, .. } = &*self.state;
        let begun = writes.load(Ordering::Relaxed);
        let rests = writes_seen.swap(begun, Ordering::Relaxed) == begun;
        if !rests || writes_given_back.load(Ordering::Relaxed) == begun {
            return Ok(false);
        }
        let Some(mut writer) = self.writer.try_acquire() else { return Ok(false) };
        let given_back = sqlx::raw_sql("PRAGMA shrink_memory").execute(&mut *writer).await;
        self.state.trust.note(&given_back);
        given_back?;
        writes_given_back.store(begun, Ordering::Relaxed);
        Ok(true)
    }

    /// Folds the write-ahead log into the file and empties it, if it may hold what was erased; says whether nothing of that is left.
    pub(crate) async fn forget_erased(&self) -> Result<bool, StoreError> {
        if !self.state.holds_erased.swap(false, Ordering::AcqRel) {
            return Ok(true);
        }
        let folded = self.fold_log().await;
        if !matches!(folded, Ok(true)) {
            self.state.holds_erased.store(true, Ordering::Release);
        }
        folded
    }

    async fn fold_log(&self) -> Result<bool, StoreError> {
        let mut writer = self.writer.acquire().await?;
        let waits = |time: Duration| AssertSqlSafe(format!("PRAGMA busy_timeout = {}", time.as_millis()));
        let folded = async {
            sqlx::raw_sql(waits(FOLDING_TIME_MAX)).execute(&mut *writer).await?;
            let folded: Result<(i64, i64, i64), _> =
                sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *writer).await;
            sqlx::raw_sql(waits(self.state.lock_timeout)).execute(&mut *writer).await?;
            folded
        };
        let folded = folded.await;
        self.state.trust.note(&folded);
        let (is_busy, ..) = folded?;
        Ok(is_busy == 0)
    }

    /// Bytes that may still be written beside the file.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.state.file)
    }

    pub(crate) async fn close(&self) {
        self.logs.close().await;
        self.readers.close().await;
        // Behind the last connection SQLite folds the log into the file.
        self.state.mark.begin_to_close();
        self.writer.close().await;
        self.state.mark.closed();
    }
}

/// Opens the pools of a file; it is created if it is not there, its folder too.
pub(crate) async fn open(path: &str, limits: PoolLimits) -> Result<SqlitePools, StoreError> {
    if path.is_empty() || path.contains(":memory:") || path.contains('?') {
        return Err(StoreError::BadUrl("sqlite: needs the path of a file, without options".to_owned()));
    }
    let file = Path::new(path);
    make_private_file(file)?;
    if let Some(free) = free_bytes(file)
        && free < BYTES_TO_BEGIN
    {
        return Err(StoreError::DiskFull { path: path.to_owned(), free, needed: BYTES_TO_BEGIN });
    }
    OpenMark::check(file)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(limits.lock_timeout)
        .statement_cache_capacity(STATEMENTS_CACHED)
        .row_buffer_size(ROWS_AHEAD)
        // What is deleted or made shorter is overwritten, in pages that become free too: with FAST those keep their bytes, and
        // a row of a long text, or of a key, would be readable in the file for as long as nobody needs its page.
        .pragma("secure_delete", "ON")
        .pragma("cache_size", WRITER_CACHE)
        .pragma("temp_store", "MEMORY");
    let trust = Arc::new(Trust::new());
    let pool = |idle_time: Option<Duration>| {
        let trust = trust.clone();
        SqlitePoolOptions::new()
            .acquire_timeout(limits.acquire_timeout)
            .max_lifetime(None)
            .idle_timeout(idle_time)
            .test_before_acquire(false)
            .before_acquire(move |connection, state| {
                // What was sent before it was given back has been done: sqlx has asked it for an answer since.
                let good = !connection.is_in_transaction() && trust.holds_for(state.age);
                if !good {
                    threw_connection_away();
                }
                Box::pin(std::future::ready(Ok(good)))
            })
    };
    // Whoever opens a fresh file at the same moment may hold it while it becomes a WAL file, and for that SQLite does
    // not wait by itself.
    let until = tokio::time::Instant::now() + limits.lock_timeout;
    let writer = loop {
        let opening = pool(None).min_connections(1).max_connections(1).connect_with(options.clone());
        match opening.await.map_err(StoreError::from) {
            Err(error) if error.is_retryable() && tokio::time::Instant::now() < until => {
                tokio::time::sleep(crypto::jitter(BUSY_PAUSE)).await;
            }
            opened => break opened?,
        }
    };
    // The log is made by the first transaction.
    writer.begin().await?.rollback().await?;
    let mark = OpenMark::set(file).map_err(|error| StoreError::Database(sqlx::Error::Io(error)))?;
    let reading = |cache| options.clone().pragma("cache_size", cache).pragma("query_only", "ON");
    let readers = limits.connections.clamp(1, READERS_MAX);
    let reader = || pool(Some(READER_IDLE_TIME));
    let readers = reader().max_connections(readers).connect_lazy_with(reading(READER_CACHE));
    let logs = reader().max_connections(LOG_READERS).connect_lazy_with(reading(LOG_READER_CACHE));
    let state = Arc::new(State {
        file: file.to_owned(),
        lock_timeout: limits.lock_timeout,
        mark,
        trust,
        write_begun: AtomicU64::new(0),
        writes: AtomicU64::new(0),
        writes_seen: AtomicU64::new(0),
        writes_given_back: AtomicU64::new(0),
        // What a process before this one left there, if it was killed.
        holds_erased: Arc::new(AtomicBool::new(true)),
    });
    Ok(SqlitePools { state, writer, readers, logs })
}

/// Makes an empty file for a database that only its owner may read, and its folder; a file that is there, and what SQLite
/// has made beside it, becomes so. A file of another owner stays as it is.
pub(crate) fn make_private_file(file: &Path) -> Result<(), StoreError> {
    let wrong = |error: std::io::Error| StoreError::BadUrl(format!("its file can't be made: {error}"));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    crypto::make_private_folder(folder)
        .map_err(|error| StoreError::BadUrl(format!("the directory can't be created: {error}")))?;
    if !file.exists() {
        // Made aside and moved into place: a descriptor of the file itself that is closed, at whatever time, would let go
        // of the locks that SQLite has on it in this process.
        let name = crypto::random_name()?;
        let aside = open_mark::beside(file, &format!(".new-{}", &name[..8]));
        crypto::make_private_empty(&aside).map_err(wrong)?;
        let linked = fs::hard_link(&aside, file);
        fs::remove_file(&aside).map_err(wrong)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(wrong(error)),
            _ => return Ok(()),
        }
    }
    for path in
        FILES_BESIDE.map(|suffix| open_mark::beside(file, suffix)).iter().map(|path| &**path).chain([file])
    {
        let Ok(metadata) = path.metadata() else { continue };
        if metadata.permissions().mode() & 0o777 & !FILE_MODE != 0 {
            match fs::set_permissions(path, fs::Permissions::from_mode(FILE_MODE)) {
                Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => {
                    return Err(wrong(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Bytes that this process may still write to the disk of a file; `None` when nobody can tell.
fn free_bytes(file: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(file).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
