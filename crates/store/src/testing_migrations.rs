//! Whether migrations bring a database of any earlier schema, with what it holds, to the newest. What: the schemas that there
//! ever were ([`earlier_schemas`]), a fill of every table by its columns ([`fill`]), and a comparison of what was there
//! before with what is there after ([`expect_kept`]); and the checksums of all migrations as lines of a file
//! ([`checksums`]), by which a change of one that was applied is noticed. Only tests use it; panics say what failed. A type
//! of columns that is new here is one more line of `literal`.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::migration::{STORE_VERSION_MAX, combined};
use crate::{Database, StoreError, Tx, execute, fetch_all};

/// The last version of what several services share.
const SHARED_VERSION_MAX: i64 = 99;
/// How many rows a table is given.
const ROWS: usize = 3;
/// Between the columns of a row.
const BETWEEN: char = '\u{1f}';

/// A table, by its columns in their order: name and type.
type Columns = Vec<(String, String)>;

/// What a database held: the rows of each table, a value for each column.
pub type Held = BTreeMap<String, (Columns, Vec<Vec<String>>)>;

/// Which versions a schema had.
pub type Versions = Vec<i64>;

/// The schemas that a service's database may have had, oldest first: each of the three kinds of migrations (the store's, the
/// shared ones, the service's own) has grown by itself, so that each is cut off after each of its versions.
pub fn earlier_schemas(service: &Migrator, is_postgres: bool) -> Result<Vec<Versions>, StoreError> {
    let all: Versions = combined(service, is_postgres)?.iter().map(|migration| migration.version).collect();
    let kind = |version: i64| (version > STORE_VERSION_MAX, version > SHARED_VERSION_MAX);
    let mut schemas = Vec::new();
    for last in &all {
        let is_there = |version: &&i64| kind(**version) != kind(*last) || *version <= last;
        let schema: Versions = all.iter().filter(is_there).copied().collect();
        if schema != all {
            schemas.push(schema);
        }
    }
    schemas.push(all);
    Ok(schemas)
}

/// Makes a schema of these versions in an empty database.
pub async fn migrate_to(
    database: &Database,
    service: &Migrator,
    versions: &Versions,
) -> Result<(), StoreError> {
    let all = combined(service, database.is_postgres())?;
    let chosen = all.iter().filter(|migration| versions.contains(&migration.version)).cloned().collect();
    database.migrate_by(&Migrator::with_migrations(chosen)).await
}

/// Gives every empty table some rows, a value for each column by its type; what holds something already is left as it is, and so
/// are the tables of `except`.
///
/// # Panics
/// When a table has a column of a type that is not known here.
pub async fn fill(database: &Database, except: &[&str]) -> Result<(), StoreError> {
    let mut tx = database.begin_write().await?;
    for (table, columns) in tables(&mut tx).await? {
        if except.contains(&table.as_str()) || !rows(&mut tx, &table, &columns).await?.is_empty() {
            continue;
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        for row in 1..=ROWS {
            let values: Vec<String> =
                columns.iter().map(|(name, kind)| literal(tx.is_postgres(), name, kind, row)).collect();
            let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
            execute!(tx, AssertSqlSafe(sql))?;
        }
    }
    tx.commit().await
}

/// Everything that a database holds, but what sqlx notes of itself.
pub async fn held(database: &Database) -> Result<Held, StoreError> {
    let mut tx = database.begin_read().await?;
    let mut held = Held::new();
    for (table, columns) in tables(&mut tx).await? {
        let rows = rows(&mut tx, &table, &columns).await?;
        held.insert(table, (columns, rows));
    }
    tx.rollback().await?;
    Ok(held)
}

/// Compares what was there before with what is there after, table by table, over the columns that are in both. A table or a
/// column may be missing only when a migration drops it by name.
///
/// # Panics
/// When anything is lost or changed.
pub fn expect_kept(service: &Migrator, before: &Held, after: &Held) {
    let drops = |words: &str| service.iter().any(|migration| migration.sql.as_str().contains(words));
    for (table, (columns, rows)) in before {
        let Some((columns_after, rows_after)) = after.get(table) else {
            assert!(drops(&format!("DROP TABLE {table}")), "table {table} is gone, and nobody dropped it");
            continue;
        };
        let mut common = Vec::new();
        for (place, (column, _)) in columns.iter().enumerate() {
            match columns_after.iter().position(|(after, _)| after == column) {
                Some(place_after) => common.push((place, place_after)),
                None => assert!(
                    drops(&format!("DROP COLUMN {column}")) || drops(&format!("DROP TABLE {table}")),
                    "column {table}.{column} is gone, and nobody dropped it"
                ),
            }
        }
        let mut kept: Vec<Vec<&String>> =
            rows.iter().map(|row| of(row, common.iter().map(|pair| pair.0))).collect();
        let mut found: Vec<Vec<&String>> =
            rows_after.iter().map(|row| of(row, common.iter().map(|pair| pair.1))).collect();
        kept.sort();
        found.sort();
        assert_eq!(found, kept, "rows of {table}");
    }
}

fn of(row: &[String], places: impl Iterator<Item = usize>) -> Vec<&String> {
    places.filter_map(|place| row.get(place)).collect()
}

/// A line for each migration of a service's database, on either database: version, name, and the checksum of its text.
pub fn checksums(service: &Migrator) -> Result<String, StoreError> {
    let mut lines = BTreeSet::new();
    for is_postgres in [false, true] {
        for migration in combined(service, is_postgres)?.iter() {
            let digest: String = migration.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.insert(format!("{:04} {} {digest}\n", migration.version, migration.description));
        }
    }
    Ok(lines.into_iter().collect())
}

/// The lines of `recorded` that `now` has not: migrations that were recorded and have another text now, or are gone.
pub fn changed(recorded: &str, now: &str) -> Vec<String> {
    let known: Vec<&str> = now.lines().collect();
    recorded.lines().filter(|line| !known.contains(line)).map(str::to_owned).collect()
}

/// The tables of a database with their columns; parts of a partitioned one are the whole one's.
async fn tables(tx: &mut Tx) -> Result<BTreeMap<String, Columns>, StoreError> {
    const SQLITE: &str = "SELECT t.name, c.name, c.type FROM sqlite_master t, pragma_table_info(t.name) c \
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid LIMIT 10000";
    const POSTGRES: &str = "SELECT t.relname::text, c.attname::text, format_type(c.atttypid, c.atttypmod) \
        FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_attribute c ON c.attrelid = t.oid \
        WHERE n.nspname = current_schema() AND t.relkind IN ('r', 'p') AND NOT t.relispartition AND c.attnum > 0 \
        AND NOT c.attisdropped ORDER BY t.relname, c.attnum LIMIT 10000";
    let sql = if tx.is_postgres() { POSTGRES } else { SQLITE };
    let mut tables: BTreeMap<String, Columns> = BTreeMap::new();
    for (table, column, kind) in fetch_all!(tx, (String, String, String), sql)? {
        if table != "_sqlx_migrations" {
            tables.entry(table).or_default().push((column, kind));
        }
    }
    Ok(tables)
}

async fn rows(tx: &mut Tx, table: &str, columns: &Columns) -> Result<Vec<Vec<String>>, StoreError> {
    let texts: Vec<String> =
        columns.iter().map(|(name, _)| format!("COALESCE(CAST({name} AS TEXT), 'NULL')")).collect();
    let between = format!(" || '{BETWEEN}' || ");
    let sql = format!("SELECT {} FROM {table} LIMIT 10000", texts.join(&between));
    let found = fetch_all!(tx, (String,), AssertSqlSafe(sql.clone()).into_sql_str())?;
    Ok(found.into_iter().map(|(text,)| text.split(BETWEEN).map(str::to_owned).collect()).collect())
}

/// A value of a column's type, another for each row.
fn literal(is_postgres: bool, column: &str, kind: &str, row: usize) -> String {
    match kind.to_ascii_lowercase().as_str() {
        "text" => format!("'{column}-{row}'"),
        "bigint" => row.to_string(),
        "boolean" if row.is_multiple_of(2) => "FALSE".to_owned(),
        "boolean" => "TRUE".to_owned(),
        "timestamptz" | "timestamp with time zone" => format!("'2019-10-0{row}T00:00:00+00:00'"),
        "bytea" if is_postgres => format!("'\\x6{row}'"),
        "bytea" => format!("X'6{row}'"),
        _ => panic!("{column} has the type {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::{Migration, MigrationType};

    use super::*;
    use crate::testing::TestDatabase;

    fn service(texts: &[(i64, &'static str)]) -> Migrator {
        let migration = |(version, text): &(i64, &'static str)| {
            Migration::new(*version, "service".into(), MigrationType::Simple, text.into_sql_str(), false)
        };
        Migrator::with_migrations(texts.iter().map(migration).collect())
    }

    const FIRST: (i64, &str) = (100, "CREATE TABLE t (a TEXT COLLATE \"C\", b BIGINT, c BYTEA);");

    async fn upgrade(second: &'static str) {
        let (old, new) = (service(&[FIRST]), service(&[FIRST, (101, second)]));
        let file = TestDatabase::sqlite();
        let database = file.open().await.unwrap();
        database.migrate(&old).await.unwrap();
        fill(&database, &[]).await.unwrap();
        let before = held(&database).await.unwrap();
        assert_eq!(before["t"].1[0], ["a-1", "1", "a"]);
        database.migrate(&new).await.unwrap();
        expect_kept(&new, &before, &held(&database).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_kept_added_or_dropped_by_name_is_in_order() {
        upgrade("ALTER TABLE t ADD COLUMN d BIGINT;").await;
        upgrade("ALTER TABLE t DROP COLUMN b;").await;
        upgrade("DROP TABLE t;").await;
    }

    #[tokio::test]
    #[should_panic(expected = "rows of t")]
    async fn row_that_is_lost_is_noticed() {
        upgrade("DELETE FROM t WHERE b = 2;").await;
    }

    #[tokio::test]
    #[should_panic(expected = "rows of t")]
    async fn value_that_is_changed_is_noticed() {
        upgrade("UPDATE t SET a = 'other' WHERE b = 2;").await;
    }

    #[tokio::test]
    #[should_panic(expected = "column t.b is gone")]
    async fn column_that_is_renamed_is_noticed() {
        upgrade("ALTER TABLE t RENAME COLUMN b TO e;").await;
    }

    #[test]
    fn each_kind_of_migrations_is_cut_off_by_itself() {
        let both = service(&[FIRST, (101, "SELECT 1;")]);
        let schemas = earlier_schemas(&both, false).unwrap();
        assert_eq!(schemas.first().unwrap(), &vec![1, 100, 101]);
        let store = combined(&service(&[]), false).unwrap();
        let mut expected: Versions = store.iter().map(|migration| migration.version).collect();
        expected.push(100);
        assert!(schemas.contains(&expected), "{schemas:?}");
        expected.push(101);
        assert_eq!(schemas.last(), Some(&expected));
    }

    #[test]
    fn migration_with_another_text_has_changed() {
        let of = |texts: &[(i64, &'static str)]| checksums(&service(texts)).unwrap();
        let recorded = of(&[FIRST]);
        assert_eq!(changed(&recorded, &of(&[FIRST, (101, "SELECT 1;")])), Vec::<String>::new());
        assert_eq!(changed(&recorded, &of(&[(100, "SELECT 1;")])).len(), 1);
    }
}
