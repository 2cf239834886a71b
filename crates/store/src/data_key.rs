//! The keys that a database keeps. What: a secret of 32 random bytes, made when the database is first opened with a key file, and
//! kept in it wrapped by a key of that file ([`crate::crypto::KeyWrap`]); the keys follow from it by which the database's values are
//! sealed, found and signed. Why not from the file's key itself: that one can be changed, which wraps small keys anew and leaves
//! all sealed values and all digests as they are. And it tells which file is the right one: a mistyped name would make a
//! new key, and from then on half of the values could be opened by neither.
//!
//! What is to be destroyed by itself has a key of its own ([`DataKeys::make_key`]), wrapped likewise and kept where its owner says.

use std::fmt;

use crate::crypto::{CannotOpen, Cipher, KEY_BYTES, Keys, LookupKey, Vault, WrappedKey, random_bytes};
use crate::{Database, PoolLimits, StoreError, Tx, execute, fetch_one, fetch_optional};

/// What the secret of a database is wrapped for.
const CONTEXT: &[u8] = b"data_key.wrapped_key";

/// By which key of the installation a database's secret is wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// It has none yet, so nothing is sealed, and any key will do.
    Nothing,
    /// By the key of this id.
    With(String),
}

impl Sealed {
    /// Whether these keys open it.
    pub fn fits(&self, keys: &Keys) -> bool {
        match self {
            Sealed::Nothing => true,
            Sealed::With(key_id) => keys.wrap().knows(key_id),
        }
    }
}

/// The keys of one database. Clones share those of the installation.
#[derive(Clone)]
pub struct DataKeys {
    installation: Keys,
    vault: Vault,
    lookup: LookupKey,
    certificates: [u8; KEY_BYTES],
}

impl DataKeys {
    /// What follows from the secret of a database; digests are made by the algorithm that it began with, since they could not be
    /// found by another one.
    fn of(installation: &Keys, secret: &[u8; KEY_BYTES], digests_by: Cipher) -> DataKeys {
        let derived = |label: &[u8]| crate::crypto::derived(secret, label);
        DataKeys {
            vault: Vault::new(&derived(b"shipei vault 1"), installation.cipher()),
            lookup: LookupKey::new(derived(b"shipei lookup 1"), digests_by),
            certificates: derived(b"shipei certificates 1"),
            installation: installation.clone(),
        }
    }

    /// Those of a database that nobody keeps, for tests and benchmarks.
    pub fn ephemeral(installation: &Keys) -> Result<DataKeys, StoreError> {
        Ok(DataKeys::of(installation, &random_bytes()?, installation.cipher()))
    }

    /// The keys of the installation.
    pub fn installation(&self) -> &Keys {
        &self.installation
    }

    /// For values at rest.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// For finding sealed values.
    pub fn lookup(&self) -> &LookupKey {
        &self.lookup
    }

    /// The secret from which the key follows that signs what is handed out on paper. It stays with the database, so that what was
    /// signed holds whatever becomes of the installation's keys.
    pub fn certificates(&self) -> [u8; KEY_BYTES] {
        self.certificates
    }

    /// Makes a key for what is to be destroyed by itself: what seals by it, and the key as it is to be kept. `context` says whose
    /// it is.
    ///
    /// # Errors
    /// Without random bytes, and when it can't be wrapped.
    pub fn make_key(&self, context: &[u8]) -> Result<(Vault, WrappedKey), StoreError> {
        let key = random_bytes()?;
        let wrapped = self.installation.wrap().wrap(context, &key)?;
        Ok((Vault::new(&key, self.installation.cipher()), wrapped))
    }

    /// What seals and opens by a key that was made for this context.
    ///
    /// # Errors
    /// [`CannotOpen`] when it was not, or by another installation.
    pub fn open_key(&self, context: &[u8], wrapped: &WrappedKey) -> Result<Vault, CannotOpen> {
        let key = self.installation.wrap().unwrap(context, wrapped)?;
        Ok(Vault::new(&key, self.installation.cipher()))
    }

    /// Wraps such a key by the current key of the installation.
    ///
    /// # Errors
    /// When it can't be unwrapped or wrapped.
    pub fn wrap_anew(&self, context: &[u8], wrapped: &WrappedKey) -> Result<WrappedKey, CannotWrap> {
        wrap_anew(&self.installation, context, wrapped)
    }
}

fn wrap_anew(keys: &Keys, context: &[u8], wrapped: &WrappedKey) -> Result<WrappedKey, CannotWrap> {
    let key = keys.wrap().unwrap(context, wrapped)?;
    Ok(keys.wrap().wrap(context, &key)?)
}

/// Why a key can't be wrapped anew.
#[derive(Debug, thiserror::Error)]
pub enum CannotWrap {
    /// It can't be unwrapped.
    #[error(transparent)]
    Open(#[from] CannotOpen),
    /// It can't be wrapped.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DataKeys(..)")
    }
}

impl Database {
    /// By which key this database's secret is wrapped; writes nothing. A schema that is empty or older will do.
    pub async fn sealed(&self) -> Result<Sealed, StoreError> {
        self.retry(|| async {
            let mut tx = self.begin_read().await?;
            let sealed = match has_table(&mut tx).await? {
                true => kept(&mut tx).await?.map_or(Sealed::Nothing, |kept| Sealed::With(kept.key_id)),
                false => Sealed::Nothing,
            };
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

    /// The keys of this database; its secret is made if it has none. Of several that do it at once one is first, and all get its
    /// keys. None when another installation's key wrapped it.
    pub async fn data_keys(&self, keys: &Keys) -> Result<Option<DataKeys>, StoreError> {
        let wrapped = self
            .retry(|| async {
                let mut tx = self.begin_write().await?;
                let WrappedKey { key_id, bytes } =
                    keys.wrap().wrap(&context(keys.cipher()), &random_bytes()?)?;
                execute!(
                    tx,
                    "INSERT INTO data_key (id, key_id, digests_by, wrapped_key) VALUES (1, $1, $2, $3) \
                     ON CONFLICT (id) DO NOTHING",
                    key_id.as_str(),
                    i64::from(keys.cipher().number()),
                    bytes
                )?;
                let kept = fetch_one!(
                    tx,
                    Kept,
                    "SELECT key_id, digests_by, wrapped_key FROM data_key WHERE id = 1"
                )?;
                tx.commit().await?;
                Ok::<_, StoreError>(kept)
            })
            .await?;
        let (digests_by, wrapped) = wrapped.split()?;
        let secret = keys.wrap().unwrap(&context(digests_by), &wrapped).ok();
        Ok(secret.map(|secret| DataKeys::of(keys, &secret, digests_by)))
    }
}

/// Wraps the database's secret by the current key of the installation, if it is not yet; says whether it was not.
///
/// # Errors
/// What the database does; and when it can't be unwrapped.
pub async fn wrap_secret_anew(tx: &mut Tx, keys: &Keys) -> Result<bool, StoreError> {
    let Some(kept) = kept(tx).await? else { return Ok(false) };
    let (digests_by, wrapped) = kept.split()?;
    if wrapped.key_id == keys.wrap().current() {
        return Ok(false);
    }
    let corrupt = |_| StoreError::corrupt_row("data_key", "wrapped_key", 1);
    let WrappedKey { key_id, bytes } = wrap_anew(keys, &context(digests_by), &wrapped).map_err(corrupt)?;
    // Another instance may have done it since, by the same key.
    execute!(
        tx,
        "UPDATE data_key SET key_id = $1, wrapped_key = $2 WHERE id = 1 AND key_id = $3",
        key_id.as_str(),
        bytes,
        wrapped.key_id.as_str()
    )?;
    Ok(true)
}

/// The id of the key by which the database's secret is wrapped.
///
/// # Errors
/// What the database does.
pub async fn secret_wrapped_by(tx: &mut Tx) -> Result<Option<String>, StoreError> {
    Ok(kept(tx).await?.map(|kept| kept.key_id))
}

#[derive(sqlx::FromRow)]
struct Kept {
    key_id: String,
    digests_by: i64,
    wrapped_key: Vec<u8>,
}

impl Kept {
    fn split(self) -> Result<(Cipher, WrappedKey), StoreError> {
        let digests_by = u8::try_from(self.digests_by).ok().and_then(Cipher::of_number);
        let digests_by = digests_by.ok_or_else(|| StoreError::corrupt_row("data_key", "digests_by", 1))?;
        Ok((digests_by, WrappedKey { key_id: self.key_id, bytes: self.wrapped_key }))
    }
}

/// With the algorithm of digests, so that nobody makes it another one in the row.
fn context(digests_by: Cipher) -> Vec<u8> {
    [CONTEXT, &[digests_by.number()]].concat()
}

async fn kept(tx: &mut Tx) -> Result<Option<Kept>, StoreError> {
    fetch_optional!(tx, Kept, "SELECT key_id, digests_by, wrapped_key FROM data_key WHERE id = 1")
}

async fn has_table(tx: &mut Tx) -> Result<bool, StoreError> {
    let exists = match tx.is_postgres() {
        true => "SELECT 1 WHERE to_regclass('data_key') IS NOT NULL",
        false => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'data_key'",
    };
    Ok(fetch_optional!(tx, (i32,), exists)?.is_some())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance::migrator;
    use crate::crypto::{KeyWrap, add_key};
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn first_key_seals_for_ever_on_both() {
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
            let made = futures::future::join_all((0..4).map(|_| database.data_keys(&right))).await;
            let made: Vec<DataKeys> = made.into_iter().map(|made| made.unwrap().unwrap()).collect();
            let digest = made[0].lookup().digest(b"a", b"b");
            assert!(made.iter().all(|made| made.lookup().digest(b"a", b"b") == digest));
            assert!(database.data_keys(&wrong).await.unwrap().is_none());
            let sealed = Database::sealed_at(test.url(), PoolLimits::default()).await.unwrap();
            assert!(
                sealed == database.sealed().await.unwrap() && !sealed.fits(&wrong) && sealed.fits(&right)
            );
        }
    }

    #[tokio::test]
    async fn another_key_or_algorithm_changes_no_value_and_no_digest_on_both() {
        for test in [TestDatabase::sqlite(), TestDatabase::postgres()] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("key");
            let (keys, _) = Keys::load_or_create(&file).unwrap();
            let keys = keys.sealing_by(Cipher::Sm4);
            let database = test.open().await.unwrap();
            database.migrate(&migrator()).await.unwrap();
            let before = database.data_keys(&keys).await.unwrap().unwrap();
            let sealed = before.vault().seal(b"c", b"v").unwrap();
            let (vault, wrapped) = before.make_key(b"who").unwrap();
            let of_who = vault.seal(b"c", b"w").unwrap();
            assert_eq!((sealed[0], of_who[0]), (2, 2));
            let old = keys.wrap().current();

            add_key(&file).unwrap();
            keys.look().unwrap();
            let mut tx = database.begin_write().await.unwrap();
            assert!(wrap_secret_anew(&mut tx, &keys).await.unwrap());
            assert!(!wrap_secret_anew(&mut tx, &keys).await.unwrap());
            tx.commit().await.unwrap();
            assert_eq!(database.sealed().await.unwrap(), Sealed::With(keys.wrap().current()));
            let anew = before.wrap_anew(b"who", &wrapped).unwrap();
            assert!(anew.key_id == keys.wrap().current() && wrapped.key_id == old && anew != wrapped);
            assert!(before.wrap_anew(b"somebody else", &wrapped).is_err());

            crate::crypto::drop_older_keys(&file, &[]).unwrap();
            let keys = Keys::load(&file).unwrap().unwrap();
            let after = database.data_keys(&keys).await.unwrap().unwrap();
            assert_eq!(after.vault().open(b"c", &sealed), Ok(b"v".to_vec()));
            assert_eq!(after.open_key(b"who", &anew).unwrap().open(b"c", &of_who), Ok(b"w".to_vec()));
            assert_eq!(after.lookup().digest(b"a", b"b"), before.lookup().digest(b"a", b"b"));
            assert_eq!(after.certificates(), before.certificates());
            // It seals by the setting, which is another one now.
            assert_eq!(after.vault().seal(b"c", b"v").unwrap()[0], 1);
            assert!(after.open_key(b"who", &wrapped).is_err(), "its key is in the file no more");
        }
    }

    /// What a KMS would be: it has the key, and gives nobody more than an answer.
    #[derive(Debug)]
    struct Elsewhere(Keys);

    impl KeyWrap for Elsewhere {
        fn current(&self) -> String {
            format!("elsewhere/{}", self.0.wrap().current())
        }

        fn knows(&self, key_id: &str) -> bool {
            key_id == self.current()
        }

        fn wrap(&self, context: &[u8], key: &[u8; KEY_BYTES]) -> Result<WrappedKey, StoreError> {
            Ok(WrappedKey { key_id: self.current(), ..self.0.wrap().wrap(context, key)? })
        }

        fn unwrap(&self, context: &[u8], wrapped: &WrappedKey) -> Result<[u8; KEY_BYTES], CannotOpen> {
            let wrapped = WrappedKey { key_id: self.0.wrap().current(), ..wrapped.clone() };
            self.0.wrap().unwrap(context, &wrapped)
        }
    }

    #[tokio::test]
    async fn what_wraps_may_be_elsewhere() {
        let test = TestDatabase::sqlite();
        let database = test.open().await.unwrap();
        database.migrate(&migrator()).await.unwrap();
        let elsewhere = Arc::new(Elsewhere(Keys::derive(&[3; 32])));
        let keys = |file: u8| Keys::derive(&[file; 32]).wrapping_by(elsewhere.clone());
        let before = database.data_keys(&keys(1)).await.unwrap().unwrap();
        let (vault, wrapped) = before.make_key(b"who").unwrap();
        assert_eq!(database.sealed().await.unwrap(), Sealed::With(elsewhere.current()));
        // Whatever the key file is then: it opens nothing that is kept.
        let after = database.data_keys(&keys(2)).await.unwrap().unwrap();
        let sealed = vault.seal(b"c", b"v").unwrap();
        assert_eq!(after.open_key(b"who", &wrapped).unwrap().open(b"c", &sealed), Ok(b"v".to_vec()));
        assert!(database.data_keys(&Keys::derive(&[1; 32])).await.unwrap().is_none());
    }
}
