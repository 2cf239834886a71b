//! Statements of lists, whose text holds only the conditions that are asked for.
//!
//! A list has conditions that may be absent: a filter that is empty, a reach that is everything. Written as
//! `($2 = '' OR class_id = $2)` they keep both databases from using an index, so the text is put together instead:
//! `fetch_list!` takes SQL and [`Piece`]s by turns. A piece is a value, which is bound, or a condition
//! ([`Equal`], or one of another crate), which writes itself into the text or leaves it out. To add a kind of condition:
//! a type with `impl Piece`.
//!
//! A list that is answered by pages is `fetch_page!` instead: a row that can't be read any more takes its own place
//! from the list and not the list, so each row is [`Listed`], with the key that the next page begins after.

use chrono::{DateTime, Utc};
use sqlx::{ColumnIndex, Decode, Encode, FromRow, QueryBuilder, Type};

use crate::StoreError;

/// What stands between two texts of a list's statement.
pub trait Piece<DB: sqlx::Database> {
    /// Adds itself to the statement.
    fn push_to(&self, query: &mut QueryBuilder<DB>);
}

impl<DB: sqlx::Database, P: Piece<DB> + ?Sized> Piece<DB> for &P {
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        (**self).push_to(query);
    }
}

impl<DB: sqlx::Database> Piece<DB> for str
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        query.push_bind(self);
    }
}

impl<DB: sqlx::Database> Piece<DB> for String
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        query.push_bind(self.as_str());
    }
}

impl<DB: sqlx::Database> Piece<DB> for [u8]
where
    for<'a> &'a [u8]: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        query.push_bind(self);
    }
}

impl<DB: sqlx::Database> Piece<DB> for i64
where
    for<'a> i64: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        query.push_bind(*self);
    }
}

impl<DB: sqlx::Database> Piece<DB> for DateTime<Utc>
where
    for<'a> DateTime<Utc>: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        query.push_bind(*self);
    }
}

/// A condition ` AND expression = value`, left out when the value is empty: an empty filter asks for everything.
#[derive(Debug, Clone, Copy)]
pub struct Equal<'a>(pub &'static str, pub &'a str);

impl<DB: sqlx::Database> Piece<DB> for Equal<'_>
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        let Self(expression, value) = *self;
        if value.is_empty() {
            return;
        }
        query.push(" AND ").push(expression).push(" = ").push_bind(value);
    }
}

/// A condition, left out when `all` are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Unless(pub bool, pub &'static str);

impl<DB: sqlx::Database> Piece<DB> for Unless {
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        let Self(all, condition) = *self;
        if !all {
            query.push(" AND ").push(condition);
        }
    }
}

/// A statement of SQL and pieces by turns.
#[doc(hidden)]
#[macro_export]
macro_rules! list_query {
    ($database:ty, $($sql:expr, $piece:expr),+) => {{
        let mut query = $crate::sqlx::QueryBuilder::<$database>::new("");
        $(
            query.push($sql);
            $crate::list::Piece::<$database>::push_to(&$piece, &mut query);
        )+
        query
    }};
}

/// The rows of a list: gives `Result<Vec<Row>, StoreError>`. SQL and pieces alternate, and it ends with a piece, since every
/// list ends with its LIMIT (or is bounded by its key).
///
/// ```ignore
/// let rows = fetch_list!(tx, Row, [
///     "SELECT a, b FROM t WHERE programme_id = ", programme_id,
///     " AND a > ", after,
///     "", Equal("b", b),
///     " ORDER BY a LIMIT ", limit,
/// ])?;
/// ```
#[macro_export]
macro_rules! fetch_list {
    ($tx:expr, $row:ty, [$($sql:expr, $piece:expr),+ $(,)?]) => {
        match $tx.as_tx() {
            $crate::Tx::Postgres(transaction) =>
                $crate::fetch_list!(@ $crate::sqlx::Postgres, transaction, $row, $($sql, $piece),+),
            $crate::Tx::Sqlite(transaction) =>
                $crate::fetch_list!(@ $crate::sqlx::Sqlite, transaction, $row, $($sql, $piece),+),
        }
    };
    (@ $database:ty, $transaction:ident, $row:ty, $($sql:expr, $piece:expr),+) => {
        async {
            let mut query = $crate::list_query!($database, $($sql, $piece),+);
            let rows: Vec<$row> = query.build_query_as::<$row>().fetch_all(&mut **$transaction).await?;
            Ok::<Vec<$row>, $crate::StoreError>(rows)
        }
        .await
    };
}

/// A row of a page: where it stands in the list, and what it holds as far as that can be read.
#[derive(Debug)]
pub struct Listed<Row> {
    key: Vec<String>,
    read: Result<Row, StoreError>,
}

impl<Row> Listed<Row> {
    /// Reads a row of this table by the columns of its key. A column of an instant ends with `_at`, here as everywhere.
    ///
    /// # Errors
    /// [`StoreError::CorruptRow`] when its key can't be read: nobody could go on behind it.
    pub fn read<'r, R>(table: &'static str, columns: &[&'static str], row: &'r R) -> Result<Self, StoreError>
    where
        R: sqlx::Row,
        Row: FromRow<'r, R>,
        for<'c> &'c str: ColumnIndex<R>,
        String: Decode<'r, R::Database> + Type<R::Database>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        i32: Decode<'r, R::Database> + Type<R::Database>,
        DateTime<Utc>: Decode<'r, R::Database> + Type<R::Database>,
    {
        let mut key = Vec::with_capacity(columns.len());
        for column in columns {
            let part = if column.ends_with("_at") {
                row.try_get::<DateTime<Utc>, _>(column).map(|at| at.timestamp_micros().to_string())
            } else {
                let text = row.try_get::<String, _>(column);
                let number = |_| row.try_get::<i64, _>(column).map(|number| number.to_string());
                let small = |_| row.try_get::<i32, _>(column).map(|number| number.to_string());
                text.or_else(number).or_else(small)
            };
            key.push(part.map_err(|_| StoreError::corrupt_row(table, *column, key.join("/")))?);
        }
        let read = Row::from_row(row).map_err(|error| match error {
            sqlx::Error::ColumnDecode { index, .. } | sqlx::Error::ColumnNotFound(index) => {
                StoreError::corrupt_row(table, index.trim_matches('"').to_owned(), key.join("/"))
            }
            error => error.into(),
        });
        Ok(Self { key, read })
    }

    /// A row that could be read, and where it stands.
    pub fn of(key: Vec<String>, row: Row) -> Self {
        Self { key, read: Ok(row) }
    }

    /// The same row as something else.
    #[must_use]
    pub fn map<Other>(self, other: impl FnOnce(Row) -> Other) -> Listed<Other> {
        Listed { key: self.key, read: self.read.map(other) }
    }

    /// The same row as something else, which it may turn out not to be.
    #[must_use]
    pub fn and_then<Other>(self, read: impl FnOnce(Row) -> Result<Other, StoreError>) -> Listed<Other> {
        Listed { key: self.key, read: self.read.and_then(read) }
    }

    /// What it holds, when it can be read.
    pub fn readable(&self) -> Option<&Row> {
        self.read.as_ref().ok()
    }

    /// Its key, and what it holds.
    pub fn into_parts(self) -> (Vec<String>, Result<Row, StoreError>) {
        (self.key, self.read)
    }
}

/// The rows of a list of which none may be missing.
///
/// # Errors
/// [`StoreError::CorruptRow`] of the first that can't be read.
pub fn all<Row>(rows: Vec<Listed<Row>>) -> Result<Vec<Row>, StoreError> {
    rows.into_iter().map(|row| row.read).collect()
}

/// The rows of a list that is answered by pages: gives `Result<Vec<Listed<Row>>, StoreError>`. As [`fetch_list!`], with the table
/// and the columns that it is ordered by, as the statement names them in its answer.
///
/// ```ignore
/// let rows = fetch_page!(tx, Row, "t" by ["a"], [
///     "SELECT a, b FROM t WHERE programme_id = ", programme_id,
///     " AND a > ", after,
///     " ORDER BY a LIMIT ", limit,
/// ])?;
/// ```
#[macro_export]
macro_rules! fetch_page {
    ($tx:expr, $row:ty, $table:literal by [$($key:literal),+], [$($sql:expr, $piece:expr),+ $(,)?]) => {
        match $tx.as_tx() {
            $crate::Tx::Postgres(transaction) =>
                $crate::fetch_page!(@ $crate::sqlx::Postgres, transaction, $row, $table, [$($key),+], $($sql, $piece),+),
            $crate::Tx::Sqlite(transaction) =>
                $crate::fetch_page!(@ $crate::sqlx::Sqlite, transaction, $row, $table, [$($key),+], $($sql, $piece),+),
        }
    };
    (@ $database:ty, $transaction:ident, $row:ty, $table:literal, $key:expr, $($sql:expr, $piece:expr),+) => {
        async {
            let mut query = $crate::list_query!($database, $($sql, $piece),+);
            let rows = query.build().fetch_all(&mut **$transaction).await?;
            rows.iter().map(|row| $crate::list::Listed::<$row>::read($table, &$key, row)).collect::<Result<Vec<_>, _>>()
        }
        .await
    };
}
