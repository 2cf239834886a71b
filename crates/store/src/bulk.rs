//! Many rows in few statements, the same on both databases: multi-row VALUES and lists of keys.
//!
//! Why multi-row VALUES: 1,000 upserts take 11.5 ms on Postgres 15 (UNNEST 11.1, row by row 159) and 1.5 ms on SQLite
//! (row by row 18). Why cuts of powers of two: sqlx keeps a prepared statement for every distinct text, so a bulk
//! statement has eight texts at most, whatever the number of rows; a list of keys is filled up to the next power
//! by repeating its last key, which changes no answer and costs no further statement.

use sqlx::query_builder::{QueryBuilder, Separated};

/// The most rows in one INSERT, and the most keys in one SELECT.
pub const ROWS_PER_STATEMENT: usize = 128;

/// Inserts or upserts rows: gives `Result<u64, StoreError>`, the number of rows touched. No rows, no statement.
///
/// ```ignore
/// bulk_insert!(tx, "INSERT INTO t (a, b)", rows, |row| (row.a.as_str(), row.b),
///     " ON CONFLICT (a) DO UPDATE SET b = excluded.b")?;
/// // or with a block, where a value needs some lines:
/// bulk_insert!(tx, "INSERT INTO t (a, b)", rows, |tuple, row| { tuple.push_bind(&row.a); tuple.push_bind(row.b); })?;
/// ```
/// `rows` is a `Vec` or a slice. For an upsert its keys must differ from each other: Postgres refuses to touch a row
/// twice in one statement. Suffix and RETURNING: the rows of a RETURNING are not handed out.
#[macro_export]
macro_rules! bulk_insert {
    ($tx:expr, $insert:expr, $rows:expr, |$row:pat_param| ($($value:expr),+ $(,)?) $(, $suffix:expr)? $(,)?) => {
        $crate::bulk_insert!($tx, $insert, $rows, |tuple, $row| { $(tuple.push_bind($value);)+ } $(, $suffix)?)
    };
    ($tx:expr, $insert:expr, $rows:expr, |$tuple:ident, $row:pat_param| $push:block $(, $suffix:expr)? $(,)?) => {{
        let suffix: &str = "";
        $(let suffix: &str = { let _ = suffix; $suffix };)?
        let cuts = $crate::bulk::cuts(&$rows[..]);
        match $tx.as_tx() {
            $crate::Tx::Postgres(transaction) => {
                let outcome = $crate::__insert_cuts!($crate::sqlx::Postgres, transaction, $insert, cuts,
                    |$tuple, $row| $push, suffix);
                transaction.noted(outcome)
            }
            $crate::Tx::Sqlite(transaction) => {
                let outcome = $crate::__insert_cuts!($crate::sqlx::Sqlite, transaction, $insert, cuts,
                    |$tuple, $row| $push, suffix);
                transaction.noted(outcome)
            }
        }
    }};
}

/// One database's half of [`crate::bulk_insert!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __insert_cuts {
    ($database:ty, $transaction:ident, $insert:expr, $cuts:ident, |$tuple:ident, $row:pat_param| $push:block,
     $suffix:ident) => {
        async {
            let mut touched: u64 = 0;
            for cut in $cuts {
                let mut query =
                    $crate::bulk::insert_query::<$database, _>($insert, cut, |$tuple, $row| $push, $suffix);
                touched += query.build().execute(&mut **$transaction).await?.rows_affected();
            }
            Ok::<u64, $crate::StoreError>(touched)
        }
        .await
    };
}

/// Rows by a list of keys: gives `Result<Vec<Row>, StoreError>`. No keys, no statement.
///
/// ```ignore
/// let rows = select_by_keys!(tx, Row,
///     ["SELECT a, b FROM t WHERE programme_id = ", programme_id, " AND person_id IN "],
///     person_ids, |person_id| (person_id.as_str()), tx.for_update())?;
/// let rows = select_by_keys!(tx, Row, ["SELECT a, b FROM t WHERE (a, b) IN "], keys, |key| (key.a.as_str(), key.b))?;
/// ```
/// In the brackets SQL and [`crate::list::Piece`]s (bound values, conditions) alternate, without `$1`. `keys` is a `Vec` or a slice, and its keys should
/// differ from each other (a key met again in a later cut gives its rows again). The optional suffix (` FOR UPDATE`,
/// ` ORDER BY`) holds within each cut of 128 keys, so order the result yourself if there may be more.
#[macro_export]
macro_rules! select_by_keys {
    ($tx:expr, $row:ty, [$($part:expr),+ $(,)?], $keys:expr, |$key:pat_param| ($value:expr) $(, $suffix:expr)? $(,)?) => {
        $crate::__select_cuts!($tx, $row, [$($part),+], $keys, "(", ")", |tuple, $key| { tuple.push_bind($value); }
            $(, $suffix)?)
    };
    ($tx:expr, $row:ty, [$($part:expr),+ $(,)?], $keys:expr, |$key:pat_param| ($($value:expr),+ $(,)?)
     $(, $suffix:expr)? $(,)?) => {
        $crate::__select_cuts!($tx, $row, [$($part),+], $keys, "(VALUES (", "))",
            |tuple, $key| { $(tuple.push_bind($value);)+ } $(, $suffix)?)
    };
}

/// The body of [`crate::select_by_keys!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __select_cuts {
    ($tx:expr, $row:ty, $parts:tt, $keys:expr, $open:literal, $close:literal, |$tuple:ident, $key:pat_param| $push:block
     $(, $suffix:expr)?) => {{
        let suffix: &str = "";
        $(let suffix: &str = { let _ = suffix; $suffix };)?
        let keys = &$keys[..];
        match $tx.as_tx() {
            $crate::Tx::Postgres(transaction) => {
                let outcome = $crate::__select_cuts!(@ $crate::sqlx::Postgres, transaction, $row,
                    $parts, keys, $open, $close, |$tuple, $key| $push, suffix);
                transaction.noted(outcome)
            }
            $crate::Tx::Sqlite(transaction) => {
                let outcome = $crate::__select_cuts!(@ $crate::sqlx::Sqlite, transaction, $row,
                    $parts, keys, $open, $close, |$tuple, $key| $push, suffix);
                transaction.noted(outcome)
            }
        }
    }};
    (@ $database:ty, $transaction:ident, $row:ty, [$head:expr $(, $bind:expr, $sql:expr)*], $keys:ident, $open:literal,
     $close:literal, |$tuple:ident, $key:pat_param| $push:block, $suffix:ident) => {
        async {
            let mut rows: Vec<$row> = Vec::new();
            for cut in $keys.chunks($crate::bulk::ROWS_PER_STATEMENT) {
                let mut query = $crate::sqlx::QueryBuilder::<$database>::new($head);
                $(
                    $crate::list::Piece::<$database>::push_to(&$bind, &mut query);
                    query.push($sql);
                )*
                $crate::bulk::push_keys(&mut query, cut, $open, $close, |$tuple, $key| $push);
                query.push($suffix);
                rows.append(&mut query.build_query_as::<$row>().fetch_all(&mut **$transaction).await?);
            }
            Ok::<Vec<$row>, $crate::StoreError>(rows)
        }
        .await
    };
}

/// Cuts rows into runs of 128, and what is left into runs of 64, 32, .. 1.
#[doc(hidden)]
pub fn cuts<R>(rows: &[R]) -> impl Iterator<Item = &[R]> + Send
where
    R: Sync,
{
    let mut left = rows;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let length =
            if left.len() >= ROWS_PER_STATEMENT { ROWS_PER_STATEMENT } else { 1 << left.len().ilog2() };
        let (cut, rest) = left.split_at(length);
        left = rest;
        Some(cut)
    })
}

/// The INSERT of one cut.
#[doc(hidden)]
pub fn insert_query<DB: sqlx::Database, R>(
    insert: &str,
    cut: &[R],
    mut push: impl FnMut(&mut Separated<'_, DB, &'static str>, &R),
    suffix: &str,
) -> QueryBuilder<DB> {
    let mut query = QueryBuilder::new(insert);
    query.push(" ");
    query.push_values(cut, |mut tuple, row| push(&mut tuple, row));
    query.push(suffix);
    query
}

/// The list of one cut's keys, filled up to a power of two with the last key.
#[doc(hidden)]
pub fn push_keys<DB: sqlx::Database, K>(
    query: &mut QueryBuilder<DB>,
    cut: &[K],
    open: &'static str,
    close: &'static str,
    mut push: impl FnMut(&mut Separated<'_, DB, &'static str>, &K),
) {
    let Some(last) = cut.last() else { return };
    let between = if close == "))" { "), (" } else { ", " };
    query.push(open);
    for place in 0..cut.len().next_power_of_two() {
        if place > 0 {
            query.push(between);
        }
        push(&mut query.separated(", "), cut.get(place).unwrap_or(last));
    }
    query.push(close);
}
