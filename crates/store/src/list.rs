//! Statements of lists, whose text holds only the conditions that are asked for.
//!
//! A list has conditions that may be absent: a filter that is empty, a reach that is everything. Written as
//! `($2 = '' OR class_id = $2)` they keep both databases from using an index, so the text is put together instead:
//! `fetch_list!` takes SQL and [`Piece`]s by turns. A piece is a value, which is bound, or a condition
//! ([`Equal`], or one of another crate), which writes itself into the text or leaves it out. To add a kind of condition:
//! a type with `impl Piece`.

use chrono::{DateTime, Utc};
use sqlx::{Encode, QueryBuilder, Type};

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
            let mut query = $crate::sqlx::QueryBuilder::<$database>::new("");
            $(
                query.push($sql);
                $crate::list::Piece::<$database>::push_to(&$piece, &mut query);
            )+
            let rows: Vec<$row> = query.build_query_as::<$row>().fetch_all(&mut **$transaction).await?;
            Ok::<Vec<$row>, $crate::StoreError>(rows)
        }
        .await
    };
}
