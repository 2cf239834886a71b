//! Whether a database's schema is the one that this program was written for.
//!
//! A schema's version is that of the last migration in it. What fits is decided by the whole lists, not by the last
//! versions: a file between others (the store's are 1 to 49) may be what is missing.

use sqlx::migrate::Migrator;

use crate::{Database, StoreError, Tx, crypto, event_log, fetch_all, fetch_optional, migration};

/// Where sqlx notes what it applied.
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

/// How a schema and this program go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The schema has exactly this program's migrations.
    Current,
    /// The schema lacks some; [`Database::migrate`] brings them.
    Older,
    /// The schema has some that this program does not know: a newer program made them.
    Newer,
}

/// What a schema has and what this program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The last version in the schema; 0 when it is empty.
    pub version: i64,
    /// The last version that this program knows.
    pub needed: i64,
    /// How they go together.
    pub fit: Fit,
}

impl Database {
    /// Compares the schema with this program's migrations; writes nothing, and needs no right to.
    ///
    /// # Errors
    /// When the database does not answer, or when a migration in it had another text than this program's.
    pub async fn schema(&self, service: &Migrator) -> Result<Schema, StoreError> {
        let known = migration::combined(service, self.is_postgres())?;
        let applied = self.retry(|| async {
            let mut tx = self.begin_read().await?;
            let applied = applied_migrations(&mut tx).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(applied)
        });
        compare(&known, &applied.await?)
    }

    /// Gives the event log a name if it has none yet, as the end of a migration that was cut off would have done.
    pub async fn ensure_epoch(&self) -> Result<(), StoreError> {
        self.retry(|| async {
            let mut tx = self.begin_write().await?;
            event_log::ensure_epoch(&mut tx, &crypto::random_name()?).await?;
            tx.commit().await
        })
        .await
    }
}

async fn applied_migrations(tx: &mut Tx) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let exists = match tx.is_postgres() {
        true => "SELECT 1 WHERE to_regclass('_sqlx_migrations') IS NOT NULL",
        false => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'",
    };
    if fetch_optional!(tx, (i32,), exists)?.is_none() {
        return Ok(Vec::new());
    }
    fetch_all!(tx, (i64, Vec<u8>), APPLIED)
}

fn compare(known: &Migrator, applied: &[(i64, Vec<u8>)]) -> Result<Schema, StoreError> {
    let mut lacking = false;
    for migration in known.iter() {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => lacking = true,
            Some((_, checksum)) if checksum[..] != migration.checksum[..] => {
                return Err(StoreError::Migration(format!(
                    "version {} ({}) was applied with another text than this program's",
                    migration.version, migration.description
                )));
            }
            Some(_) => {}
        }
    }
    let has_unknown = applied.iter().any(|(version, _)| !known.version_exists(*version));
    Ok(Schema {
        version: applied.iter().map(|(version, _)| *version).max().unwrap_or_default(),
        needed: known.iter().map(|migration| migration.version).max().unwrap_or_default(),
        fit: if has_unknown {
            Fit::Newer
        } else if lacking {
            Fit::Older
        } else {
            Fit::Current
        },
    })
}

#[cfg(test)]
mod tests {
    use sqlx::SqlSafeStr as _;
    use sqlx::migrate::{Migration, MigrationType};

    use super::*;
    use crate::testing::TestDatabase;

    /// A service with these versions, each with a table of its own.
    fn service(versions: &[(i64, &'static str)]) -> Migrator {
        let migration = |(version, text): &(i64, &'static str)| {
            Migration::new(*version, "test".into(), MigrationType::Simple, text.into_sql_str(), false)
        };
        Migrator::with_migrations(versions.iter().map(migration).collect())
    }

    const FIRST: (i64, &str) = (100, "CREATE TABLE first (a BIGINT)");
    const BETWEEN: (i64, &str) = (60, "CREATE TABLE between_them (a BIGINT)");
    const SECOND: (i64, &str) = (101, "CREATE TABLE second (a BIGINT)");

    #[tokio::test]
    async fn schema_is_older_current_or_newer_on_both() {
        for test in [TestDatabase::sqlite(), TestDatabase::postgres()] {
            let database = test.open().await.unwrap();
            let (old, new) = (service(&[FIRST]), service(&[FIRST, SECOND]));
            let empty = database.schema(&old).await.unwrap();
            assert_eq!(empty, Schema { version: 0, needed: 100, fit: Fit::Older });
            database.migrate(&old).await.unwrap();
            assert_eq!(database.schema(&old).await.unwrap().fit, Fit::Current);
            let older = database.schema(&new).await.unwrap();
            assert_eq!(older, Schema { version: 100, needed: 101, fit: Fit::Older });
            let between = database.schema(&service(&[BETWEEN, FIRST])).await.unwrap();
            assert_eq!(between, Schema { version: 100, needed: 100, fit: Fit::Older });
            database.migrate(&new).await.unwrap();
            let newer = database.schema(&old).await.unwrap();
            assert_eq!(newer, Schema { version: 101, needed: 100, fit: Fit::Newer });
            let edited = service(&[(100, "CREATE TABLE first (b BIGINT)"), SECOND]);
            assert!(matches!(database.schema(&edited).await, Err(StoreError::Migration(_))));
        }
    }
}
