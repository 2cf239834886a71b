//! Where the state of a process is: its databases and its key file. A database is opened when its schema fits this
//! program and the key file is the one that sealed it; a SQLite file is served by one process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use shipei_store::{
    Claim, DataKeys, Database, Fit, PoolLimits, Schema, Sealed, StoreError,
    crypto::{self, Cipher, Keys, jitter},
    sqlx::migrate::Migrator,
};
use tokio::time::Instant;

/// How long a start waits for a database that can't be reached.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// The first and the longest pause between two tries to reach it.
const START_PAUSE_FIRST: Duration = Duration::from_millis(100);
const START_PAUSE_MAX: Duration = Duration::from_secs(5);
/// The name of the key file in the data folder.
pub(crate) const KEY_FILE: &str = "shipei.key";

/// Where state is kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A folder with a SQLite file for each service and the key file; made if it is not there.
    Directory(PathBuf),
    /// A database URL for each service, and the file of keys.
    Databases {
        /// By service.
        urls: BTreeMap<&'static str, String>,
        /// The file of keys; made if it is not there and nothing is sealed yet.
        key_file: PathBuf,
    },
}

impl Storage {
    /// The URL of the SQLite file of a service in a folder.
    pub(crate) fn sqlite_url(folder: &Path, service: &str) -> String {
        format!("sqlite:{}", folder.join(format!("{service}.sqlite")).display())
    }

    /// The URL of a service's database.
    pub(crate) fn url(&self, service: &str) -> Result<String> {
        match self {
            Storage::Directory(folder) => Ok(Storage::sqlite_url(folder, service)),
            Storage::Databases { urls, .. } => {
                urls.get(service).cloned().with_context(|| format!("no database URL for {service}"))
            }
        }
    }

    fn key_file(&self) -> PathBuf {
        match self {
            Storage::Directory(folder) => folder.join(KEY_FILE),
            Storage::Databases { key_file, .. } => key_file.clone(),
        }
    }

    /// The keys of the key file, if it is there; nothing is made and no database is asked.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn load_keys(&self) -> Result<Option<Keys>> {
        Ok(Keys::load(&self.key_file())?)
    }

    /// What an error says of a service's database.
    fn place(&self, service: &str) -> String {
        let place = self.url(service).map_or_else(|_| "nowhere".to_owned(), |url| Database::place(&url));
        format!("the database of {service} ({place})")
    }

    /// Claims a service's database for this process, if it is a SQLite file.
    ///
    /// # Errors
    /// When another process serves it.
    pub(crate) fn claim(&self, service: &str) -> Result<Claim> {
        let claim = Database::claim(&self.url(service)?).with_context(|| self.place(service))?;
        claim.with_context(|| {
            format!(
                "{service} is running: another process has {}. Stop that one first (several processes share a \
                 Postgres, not a SQLite file)",
                self.place(service)
            )
        })
    }

    /// Opens a service's database with a schema that this program can work on; gives the schema as it was before.
    /// Nothing is written when the key file, if there is one, did not seal it.
    pub(crate) async fn open(
        &self,
        service: &str,
        migrations: &Migrator,
        limits: PoolLimits,
        migrate: bool,
    ) -> Result<(Database, Schema)> {
        let database = open_patiently(service, &self.url(service)?, limits)
            .await
            .with_context(|| self.place(service))?;
        let readying = async {
            self.check_key(service, &database).await?;
            let migrate = migrate || !database.is_postgres();
            ready(service, migrations, &database, migrate).await.with_context(|| self.place(service))
        };
        match readying.await {
            Ok(schema) => Ok((database, schema)),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }

    /// Refuses a key file that did not seal this database. That there is none is for [`Storage::keys`] to judge: who only
    /// brings a schema up to date needs no key.
    async fn check_key(&self, service: &str, database: &Database) -> Result<()> {
        let Some(keys) = Keys::load(&self.key_file())? else { return Ok(()) };
        let sealed = database.sealed().await.with_context(|| self.place(service))?;
        if sealed.fits(&keys) { Ok(()) } else { Err(self.wrong_key(service)) }
    }

    fn wrong_key(&self, service: &str) -> anyhow::Error {
        anyhow::anyhow!(
            "the key file {} is not the one that sealed {}: put that one back",
            self.key_file().display(),
            self.place(service)
        )
    }

    /// The keys of the key file, and those of each of these databases, wrapped by it from now on if they were not yet. The file is
    /// made when it is missing and no database of the suite has anything sealed. What is sealed from now on is by `cipher`.
    ///
    /// # Errors
    /// When the key file is another one than that which sealed a database; one that was made here is gone again then.
    pub(crate) async fn keys(
        &self,
        databases: &[(&str, Database)],
        limits: PoolLimits,
        cipher: Cipher,
    ) -> Result<(Keys, Vec<DataKeys>)> {
        let file = self.key_file();
        if Keys::load(&file)?.is_none() {
            self.require_nothing_sealed(databases, limits).await?;
        }
        // On disk before any database knows it: the other way round a crash would leave a database without its key.
        let (keys, made) = Keys::load_or_create(&file)?;
        let keys = keys.sealing_by(cipher);
        if let Some(mode) = crypto::readable_by_others(&file) {
            let file = file.display();
            tracing::warn!(%file, mode = format!("{mode:04o}"), "others can read the key file: chmod 600 it");
        }
        let mut of_databases = Vec::with_capacity(databases.len());
        for (place, (service, database)) in databases.iter().enumerate() {
            if let Some(opened) = database.data_keys(&keys).await.with_context(|| self.place(service))? {
                of_databases.push(opened);
                continue;
            }
            // Another machine's process was first, with a key of its own. All go through the databases in one order, so
            // most often nothing knows this key yet.
            if made && place == 0 {
                std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            }
            return Err(self.wrong_key(service));
        }
        Ok((keys, of_databases))
    }

    /// Refuses to go on without a key file where a database of the suite, served here or not, needs one.
    async fn require_nothing_sealed(&self, opened: &[(&str, Database)], limits: PoolLimits) -> Result<()> {
        for service in crate::services::service_names() {
            let sealed = match (opened.iter().find(|(name, _)| *name == service), self.url(service)) {
                (Some((_, database)), _) => database.sealed().await,
                (None, Ok(url)) => Database::sealed_at(&url, limits).await,
                (None, Err(_)) => continue,
            };
            let is_sealed = sealed.with_context(|| self.place(service))? != Sealed::Nothing;
            // Another process that began at the same moment may have made the file since, and noted it.
            if is_sealed && Keys::load(&self.key_file())?.is_none() {
                bail!(
                    "the key file {} is not there, and {} was sealed with one: put that one back",
                    self.key_file().display(),
                    self.place(service)
                );
            }
        }
        Ok(())
    }
}

/// Opens a database, and waits for one that can't be reached yet: whoever starts everything at once is not to blame.
async fn open_patiently(service: &str, url: &str, limits: PoolLimits) -> Result<Database, StoreError> {
    let until = Instant::now() + START_PATIENCE;
    let mut pause = START_PAUSE_FIRST;
    loop {
        let opened = match tokio::time::timeout(START_PATIENCE, Database::open(url, limits)).await {
            Ok(opened) => opened,
            Err(_) => Err(StoreError::no_answer()),
        };
        match opened {
            Err(error) if error.is_unavailable() && !error.is_about_tls() && Instant::now() < until => {
                let at = Database::place(url);
                tracing::warn!(of = service, at, %error, "the database can't be opened yet, trying again");
            }
            opened => return opened,
        }
        tokio::time::sleep(jitter(pause)).await;
        pause = (pause * 2).min(START_PAUSE_MAX);
    }
}

/// Brings an older schema up to date if `migrate`, else refuses it; a newer one is refused always. Gives the schema as
/// it was before.
async fn ready(service: &str, migrations: &Migrator, database: &Database, migrate: bool) -> Result<Schema> {
    let schema = database.schema(migrations).await?;
    let Schema { version, needed, fit } = schema;
    // The store's migrations have lower numbers than a service's, so what is lacking may lie below.
    let below = if version == needed { " and all before it" } else { "" };
    match fit {
        Fit::Newer => bail!(
            "the schema of {service} is at version {version}, newer than this shipei, which knows version {needed}: \
             use a newer shipei"
        ),
        Fit::Older if !migrate => bail!(
            "the schema of {service} is at version {version}, older than this shipei, which needs version \
             {needed}{below}: run `shipei migrate` first (or serve with --migrate)"
        ),
        Fit::Older => database.migrate(migrations).await?,
        Fit::Current => database.ensure_epoch().await?,
    }
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use shipei_store::{conformance::migrator, testing::TestDatabase};

    use super::*;

    #[tokio::test]
    async fn of_two_that_make_a_key_at_once_one_goes_on() {
        for test in [TestDatabase::postgres(), TestDatabase::sqlite()] {
            let folder = tempfile::tempdir().unwrap();
            let database = test.open().await.unwrap();
            database.migrate(&migrator()).await.unwrap();
            let databases = [("enrollment", database)];
            let storage = |key: &str| Storage::Databases {
                urls: BTreeMap::from([("enrollment", test.url().to_owned())]),
                key_file: folder.path().join(key),
            };
            let limits = PoolLimits::default();
            let (one, two) = (storage("one.key"), storage("two.key"));
            let aes = Cipher::Aes;
            let (first, second) =
                tokio::join!(one.keys(&databases, limits, aes), two.keys(&databases, limits, aes));
            assert!(first.is_ok() != second.is_ok());
            assert_eq!(one.key_file().exists(), first.is_ok());
            assert_eq!(two.key_file().exists(), second.is_ok());
            // Those that have one key file have one key, also who missed the file before another made it.
            let (same, other) = if first.is_ok() { (one, two) } else { (two, one) };
            same.require_nothing_sealed(&databases, limits).await.unwrap();
            assert!(other.require_nothing_sealed(&databases, limits).await.is_err());
            let both = tokio::join!(same.keys(&databases, limits, aes), same.keys(&databases, limits, aes));
            assert!(both.0.is_ok() && both.1.is_ok());
        }
    }
}
