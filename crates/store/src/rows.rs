//! Rows of a table as they are, whatever its columns: for who is shown everything that is kept of somebody. Why without a type for each
//! table: a column that is added later is shown without anybody thinking of it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::{AssertSqlSafe, Column as _, Row as _, SqlSafeStr as _, TypeInfo as _, ValueRef as _};

use crate::{StoreError, Tx, fetch_all};

/// More columns than the key of any table has.
const KEY_COLUMNS_MAX: i64 = 64;

/// What stands in a column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Absent,
    /// A text; an instant as RFC 3339 has it.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row: what stands in each column, by its name.
pub type Row = BTreeMap<String, Cell>;

/// Which rows of a table: those of a programme that have an id in one of some columns. Names are the program's own, never a caller's.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The table.
    pub table: &'static str,
    /// The columns, at least one.
    pub columns: &'static [&'static str],
    /// A condition instead of that one of the columns has the id: `$1` is the programme, `$2` the id.
    pub condition: Option<&'static str>,
    /// The programme.
    pub programme_id: &'a str,
    /// The id.
    pub id: &'a str,
}

/// Some of these rows in the order of the table's key, from an offset on.
pub async fn of(tx: &mut Tx, wanted: Wanted<'_>, offset: i64, limit: i64) -> Result<Vec<Row>, StoreError> {
    let key = key_of(tx, wanted.table).await?.join(", ");
    let has: Vec<String> = wanted.columns.iter().map(|column| format!("{column} = $2")).collect();
    let condition = wanted.condition.map_or_else(|| has.join(" OR "), str::to_owned);
    let sql = format!(
        "SELECT * FROM {} WHERE programme_id = $1 AND ({condition}) ORDER BY {key} LIMIT $3 OFFSET $4",
        wanted.table,
    );
    let sql = AssertSqlSafe(sql).into_sql_str();
    match tx {
        Tx::Postgres(transaction) => {
            let query = sqlx::query(sql).bind(wanted.programme_id).bind(wanted.id).bind(limit).bind(offset);
            let rows = query.fetch_all(&mut **transaction).await;
            transaction.noted(rows)?.iter().map(of_postgres).collect()
        }
        Tx::Sqlite(transaction) => {
            let query = sqlx::query(sql).bind(wanted.programme_id).bind(wanted.id).bind(limit).bind(offset);
            let rows = query.fetch_all(&mut **transaction).await;
            transaction.noted(rows)?.iter().map(of_sqlite).collect()
        }
    }
}

/// The columns of a table's primary key, in its order.
async fn key_of(tx: &mut Tx, table: &str) -> Result<Vec<String>, StoreError> {
    let sql = match tx.is_postgres() {
        true => {
            "SELECT a.attname::text FROM pg_index i \
             JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place) ON TRUE \
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
             WHERE i.indisprimary AND i.indrelid = to_regclass($1) ORDER BY k.place LIMIT $2"
        }
        false => "SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk LIMIT $2",
    };
    let columns = fetch_all!(tx, (String,), sql, table, KEY_COLUMNS_MAX)?;
    if columns.is_empty() {
        return Err(StoreError::corrupt_row("the schema", "primary key", table));
    }
    Ok(columns.into_iter().map(|(column,)| column).collect())
}

fn of_postgres(row: &sqlx::postgres::PgRow) -> Result<Row, StoreError> {
    let mut cells = Row::new();
    for column in row.columns() {
        let place = column.ordinal();
        let cell = if row.try_get_raw(place)?.is_null() {
            Cell::Absent
        } else {
            match column.type_info().name() {
                "INT8" => Cell::Integer(row.try_get(place)?),
                "BOOL" => Cell::Boolean(row.try_get(place)?),
                "BYTEA" => Cell::Bytes(row.try_get(place)?),
                "TIMESTAMPTZ" => {
                    let at: DateTime<Utc> = row.try_get(place)?;
                    Cell::Text(at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
                }
                _ => Cell::Text(row.try_get(place)?),
            }
        };
        cells.insert(column.name().to_owned(), cell);
    }
    Ok(cells)
}

fn of_sqlite(row: &sqlx::sqlite::SqliteRow) -> Result<Row, StoreError> {
    let mut cells = Row::new();
    for column in row.columns() {
        let place = column.ordinal();
        let value = row.try_get_raw(place)?;
        let kind = value.type_info().name().to_owned();
        // The value itself is a number.
        let is_boolean = column.type_info().name() == "BOOLEAN";
        let cell = match kind.as_str() {
            _ if value.is_null() => Cell::Absent,
            _ if is_boolean => Cell::Boolean(row.try_get(place)?),
            "INTEGER" => Cell::Integer(row.try_get(place)?),
            "BLOB" => Cell::Bytes(row.try_get(place)?),
            // An instant is a text there.
            _ => Cell::Text(instant(row.try_get_unchecked(place)?)),
        };
        cells.insert(column.name().to_owned(), cell);
    }
    Ok(cells)
}

/// A text, an instant among them as Postgres gives it.
fn instant(text: String) -> String {
    let is_instant = text.len() > 20 && text.ends_with("+00:00");
    match DateTime::parse_from_rfc3339(&text) {
        Ok(at) if is_instant => at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::{Migration, MigrationType, Migrator};

    use super::*;
    use crate::{execute, testing::TestDatabase};

    const TABLE: &str = "CREATE TABLE told (programme_id TEXT COLLATE \"C\" NOT NULL, a_id TEXT COLLATE \"C\" NOT NULL, \
        b_id TEXT COLLATE \"C\" NOT NULL, number BIGINT NOT NULL, is_so BOOLEAN NOT NULL, sealed BYTEA, told_at TIMESTAMPTZ NOT NULL, \
        PRIMARY KEY (number, programme_id))";

    #[tokio::test]
    async fn rows_are_shown_as_they_are_on_both() {
        for test in [TestDatabase::sqlite(), TestDatabase::postgres()] {
            let database = test.open().await.unwrap();
            let migration =
                Migration::new(100, "test".into(), MigrationType::Simple, TABLE.into_sql_str(), false);
            database.migrate(&Migrator::with_migrations(vec![migration])).await.unwrap();
            let mut tx = database.begin_write().await.unwrap();
            let at: DateTime<Utc> = "2019-10-01T08:00:00.5Z".parse().unwrap();
            for (programme, a, b, number) in
                [("P", "x", "y", 3_i64), ("P", "y", "x", 1), ("P", "y", "z", 2), ("Q", "x", "x", 1)]
            {
                let sealed: Option<&[u8]> = (number == 1).then_some(&b"\x01\x02"[..]);
                execute!(
                    tx,
                    "INSERT INTO told VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    programme,
                    a,
                    b,
                    number,
                    number == 3,
                    sealed,
                    at
                )
                .unwrap();
            }
            let columns = &["a_id", "b_id"];
            let wanted = Wanted { table: "told", columns, condition: None, programme_id: "P", id: "x" };
            let rows = of(&mut tx, wanted, 0, 10).await.unwrap();
            let text = |text: &str| Cell::Text(text.to_owned());
            let row = |a: &str, b: &str, number, is_so, sealed| {
                let cells = [
                    ("programme_id", text("P")),
                    ("a_id", text(a)),
                    ("b_id", text(b)),
                    ("number", Cell::Integer(number)),
                    ("is_so", Cell::Boolean(is_so)),
                    ("sealed", sealed),
                    ("told_at", text("2019-10-01T08:00:00.500Z")),
                ];
                cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect::<Row>()
            };
            let first = row("y", "x", 1, false, Cell::Bytes(vec![1, 2]));
            let second = row("x", "y", 3, true, Cell::Absent);
            assert_eq!(rows, [first, second.clone()]);
            assert_eq!(of(&mut tx, wanted, 1, 1).await.unwrap(), [second]);
            assert!(of(&mut tx, wanted, 2, 1).await.unwrap().is_empty());
            let wanted = Wanted { condition: Some("b_id = $2 AND number > 1"), id: "z", ..wanted };
            assert_eq!(of(&mut tx, wanted, 0, 10).await.unwrap(), [row("y", "z", 2, false, Cell::Absent)]);
        }
    }
}
