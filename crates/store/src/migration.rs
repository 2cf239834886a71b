//! Migrations: one list of the store's and the service's, one text for both databases.
//!
//! The store's files have versions 1 to 49, what several services share has 50 to 99, a service's own
//! begin at 0100_. An applied file is never edited. Types are
//! TEXT, BIGINT, BOOLEAN, TIMESTAMPTZ and BYTEA.
//!
//! Text must be ordered the same everywhere, or a keyset page would skip rows. SQLite orders by bytes; Postgres as the
//! database was made. So every TEXT column says `COLLATE "C"` (byte order), which is checked here on BOTH databases,
//! and which is left out when the text runs on SQLite: byte order is its own, a column without a collation has its
//! fastest comparison, and `sqlite3` can still open the file (it could not with a collation of our making).

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::StoreError;

/// The last version that belongs to the store.
pub const STORE_VERSION_MAX: i64 = 49;

/// What a TEXT column must say.
const BYTE_ORDER: &str = " COLLATE \"C\"";

/// The text of a migration.
#[derive(Clone, Copy)]
enum Text {
    /// For both databases.
    Same(&'static str),
    /// Where they truly differ.
    Two { postgres: &'static str, sqlite: &'static str },
}

impl Text {
    fn of(self, is_postgres: bool) -> &'static str {
        match self {
            Text::Same(text) => text,
            Text::Two { postgres, .. } if is_postgres => postgres,
            Text::Two { sqlite, .. } => sqlite,
        }
    }
}

/// The store's own migrations: version, description, text.
const STORE_MIGRATIONS: [(i64, &str, Text); 5] = [
    (1, "store", Text::Same(include_str!("../migrations/0001_store.sql"))),
    (2, "lease", Text::Same(include_str!("../migrations/0002_lease.sql"))),
    (3, "data key", Text::Same(include_str!("../migrations/0003_data_key.sql"))),
    (
        4,
        "event",
        Text::Two {
            postgres: include_str!("../migrations/0004_event_postgres.sql"),
            sqlite: include_str!("../migrations/0004_event_sqlite.sql"),
        },
    ),
    (5, "retraction", Text::Same(include_str!("../migrations/0005_retraction.sql"))),
];

/// The store's migrations and the service's as one list, in the words of one database.
pub(crate) fn combined(service: &Migrator, is_postgres: bool) -> Result<Migrator, StoreError> {
    let mut migrations = Vec::new();
    for (version, description, text) in STORE_MIGRATIONS {
        migrations.push(Migration::new(
            version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            text.of(is_postgres).into_sql_str(),
            false,
        ));
    }
    for migration in service.iter() {
        if migration.version <= STORE_VERSION_MAX {
            return Err(StoreError::Migration(format!(
                "version {} ({}) belongs to the store; a service's files begin at 0100_, shared ones at 0050_",
                migration.version, migration.description
            )));
        }
        migrations.push(migration.clone());
    }
    for migration in &mut migrations {
        check_text_columns(migration)?;
        if !is_postgres {
            // The checksum stays that of the file.
            migration.sql = AssertSqlSafe(migration.sql.as_str().replace(BYTE_ORDER, "")).into_sql_str();
        }
    }
    Ok(Migrator::with_migrations(migrations))
}

/// Refuses a TEXT column without byte order.
fn check_text_columns(migration: &Migration) -> Result<(), StoreError> {
    for (place, line) in migration.sql.as_str().lines().enumerate() {
        let line = line.split("--").next().unwrap_or_default();
        for (start, _) in line.match_indices("TEXT") {
            let (before, after) = (&line[..start], &line[start + "TEXT".len()..]);
            let is_word = before.ends_with([' ', '\t']) && !after.starts_with(is_word_part);
            if is_word && !before.ends_with(" AS ") && !after.starts_with(BYTE_ORDER) {
                return Err(StoreError::Migration(format!(
                    "version {} ({}), line {}: a TEXT column needs COLLATE \"C\"",
                    migration.version,
                    migration.description,
                    place + 1
                )));
            }
        }
    }
    Ok(())
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(version: i64, text: &'static str) -> Migrator {
        let migration =
            Migration::new(version, "service".into(), MigrationType::Simple, text.into_sql_str(), false);
        Migrator::with_migrations(vec![migration])
    }

    #[test]
    fn text_column_without_byte_order_is_refused_on_both() {
        for is_postgres in [true, false] {
            let bad = service(100, "CREATE TABLE t (\n    a TEXT NOT NULL\n)");
            let error = combined(&bad, is_postgres).unwrap_err().to_string();
            assert!(error.contains("version 100 (service), line 2"), "{error}");
            let good = service(100, "CREATE TABLE t (a TEXT COLLATE \"C\", CONTEXT_A BIGINT -- a TEXT\n)");
            assert_eq!(combined(&good, is_postgres).unwrap().iter().count(), 1 + STORE_MIGRATIONS.len());
        }
    }

    #[test]
    fn store_version_in_a_service_is_refused() {
        assert!(combined(&service(49, "SELECT 1"), true).is_err());
    }
}
