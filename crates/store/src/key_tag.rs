//! Which master key a database's values are sealed with, known by a tag ([`Keys::tag`]) in the database itself. Why: a
//! mistyped name of the key file would make a new key, and from then on half of the values could be opened by neither.
//! The first open with a key notes it, for ever; to change keys, values must be sealed anew, which nothing does yet.

use crate::crypto::Keys;
use crate::{Database, PoolLimits, StoreError, Tx, execute, fetch_one, fetch_optional};

/// What a database says of the key that it was sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// Nothing is in it yet, so any key will do.
    Nothing,
    /// There is something in it, from a program that noted no tag.
    Unknown,
    /// With the key of this tag.
    With(String),
}

impl Sealed {
    /// Whether values may be sealed with these keys beside those that are there.
    pub fn fits(&self, keys: &Keys) -> bool {
        match self {
            Sealed::Nothing | Sealed::Unknown => true,
            Sealed::With(tag) => tag == keys.tag(),
        }
    }
}

impl Database {
    /// What the key is that this database was sealed with; writes nothing. A schema that is empty or older than tags
    /// will do.
    pub async fn sealed(&self) -> Result<Sealed, StoreError> {
        self.retry(|| async {
            let mut tx = self.begin_read().await?;
            let sealed = sealed(&mut tx).await?;
            tx.rollback().await?;
            Ok::<_, StoreError>(sealed)
        })
        .await
    }

    /// As [`Database::sealed`], of a database that is not to be used: neither file nor schema is made.
    pub async fn sealed_at(url: &str, limits: PoolLimits) -> Result<Sealed, StoreError> {
        if !Database::exists(url, limits).await? {
            return Ok(Sealed::Nothing);
        }
        let database = Database::open(url, limits).await?;
        let sealed = database.sealed().await;
        database.close().await;
        sealed
    }

    /// Notes these keys as those that the database is sealed with, unless others are noted; gives what is noted now. Of
    /// several that do it at once one is first, and all get its tag.
    pub async fn note_keys(&self, keys: &Keys) -> Result<Sealed, StoreError> {
        self.retry(|| async {
            let mut tx = self.begin_write().await?;
            execute!(
                tx,
                "INSERT INTO key_tag (id, tag) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
                keys.tag()
            )?;
            let (tag,) = fetch_one!(tx, (String,), "SELECT tag FROM key_tag WHERE id = 1")?;
            tx.commit().await?;
            Ok::<_, StoreError>(Sealed::With(tag))
        })
        .await
    }
}

async fn sealed(tx: &mut Tx) -> Result<Sealed, StoreError> {
    if has_table(tx, "key_tag").await?
        && let Some((tag,)) = fetch_optional!(tx, (String,), "SELECT tag FROM key_tag WHERE id = 1")?
    {
        return Ok(Sealed::With(tag));
    }
    // Whatever is kept is told in the log, in the same transaction.
    if has_table(tx, "event_head").await?
        && fetch_optional!(tx, (i64,), "SELECT position FROM event_head WHERE position > 0 LIMIT 1")?
            .is_some()
    {
        return Ok(Sealed::Unknown);
    }
    Ok(Sealed::Nothing)
}

async fn has_table(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    let exists = match tx.is_postgres() {
        true => "SELECT 1 WHERE to_regclass($1) IS NOT NULL",
        false => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1",
    };
    Ok(fetch_optional!(tx, (i32,), exists, name)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::migrator;
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn first_key_is_noted_for_ever_on_both() {
        let (right, wrong) = (Keys::derive(&[1; 32]), Keys::derive(&[2; 32]));
        for test in [TestDatabase::sqlite(), TestDatabase::postgres()] {
            let database = test.open().await.unwrap();
            assert_eq!(database.sealed().await.unwrap(), Sealed::Nothing);
            let nowhere = format!("{}x", test.url());
            assert_eq!(Database::sealed_at(&nowhere, PoolLimits::default()).await.unwrap(), Sealed::Nothing);
            assert!(!Database::exists(&nowhere, PoolLimits::default()).await.unwrap());
            database.migrate(&migrator()).await.unwrap();
            let nothing = database.sealed().await.unwrap();
            assert!(nothing == Sealed::Nothing && nothing.fits(&right) && nothing.fits(&wrong));
            // As a program from before tags has left it.
            let mut tx = database.begin_write().await.unwrap();
            execute!(tx, "UPDATE event_head SET position = 1 WHERE partition = 7").unwrap();
            tx.commit().await.unwrap();
            assert_eq!(database.sealed().await.unwrap(), Sealed::Unknown);
            let noted = futures::future::join_all((0..4).map(|_| database.note_keys(&right))).await;
            assert!(noted.into_iter().all(|noted| noted.unwrap().fits(&right)));
            let noted = database.note_keys(&wrong).await.unwrap();
            assert_eq!(Database::sealed_at(test.url(), PoolLimits::default()).await.unwrap(), noted);
            assert!(noted == database.sealed().await.unwrap() && !noted.fits(&wrong) && noted.fits(&right));
        }
    }
}
