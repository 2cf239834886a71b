//! The keys of an installation: the current one, older ones that are still taken, and what follows from each.

use std::{
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use hmac::Mac as _;

use super::{
    cipher::{CannotOpen, Cipher, Vault},
    derive::{KEY_BYTES, Key, derived, hmac_of, hmac_sha256, tokens_key},
    key_file::{self, Contents},
    random::random_bytes,
    wrap::{KeyWrap, WrappedKey},
};
use crate::StoreError;

/// All keys of one installation, as the key file has them now. Clones share them.
#[derive(Clone)]
pub struct Keys {
    ring: Arc<Ring>,
    wrap: Arc<dyn KeyWrap>,
    cipher: Cipher,
}

/// The keys of a file.
struct Ring {
    file: Option<PathBuf>,
    known: RwLock<Arc<Known>>,
    /// The file as it was when it was last read for a key that was not known.
    seen: Mutex<Option<FileMark>>,
    cipher: Cipher,
}

/// By which it is seen that a file was written: it is replaced by another one, or written in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileMark {
    inode: u64,
    written: (i64, i64),
    bytes: u64,
}

/// What was read from it.
struct Known {
    contents: Contents,
    /// As many as there are keys, the current one first.
    masters: Vec<Master>,
}

/// What follows from one key.
struct Master {
    wrapping: Vault,
    id: String,
    tokens: Key,
    services: Key,
    checkpoints: Key,
}

/// Authenticates tokens that a caller holds for us; see [`crate::PageTokens`] and [`crate::SealedTokens`].
#[derive(Clone)]
pub struct TokenKey(Arc<Ring>);

impl Master {
    fn of(key: &Key, cipher: Cipher) -> Master {
        let wrapping = Vault::new(&derived(key, b"shipei wrapping 1"), cipher);
        Master {
            id: wrapping.key_id(),
            wrapping,
            tokens: tokens_key(key),
            services: derived(key, b"shipei services 1"),
            checkpoints: derived(key, b"shipei checkpoints 1"),
        }
    }
}

impl Known {
    fn of(contents: Contents, cipher: Cipher) -> Arc<Known> {
        let masters = contents.keys.iter().map(|key| Master::of(key, cipher)).collect();
        Arc::new(Known { contents, masters })
    }

    fn verifies(&self, parts: &[&[u8]], expected: &[u8]) -> bool {
        let tokens = self.masters.iter().map(|master| &master.tokens).chain(&self.contents.tokens);
        tokens.filter_map(|key| hmac_of(key, parts)).any(|mac| mac.verify_slice(expected).is_ok())
    }

    fn find(&self, id: &str) -> Option<&Master> {
        self.masters.iter().find(|master| master.id == id)
    }
}

impl Ring {
    fn of(file: Option<PathBuf>, contents: Contents, cipher: Cipher) -> Arc<Ring> {
        let known = RwLock::new(Known::of(contents, cipher));
        Arc::new(Ring { file, known, seen: Mutex::new(None), cipher })
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What follows from the current key.
    fn current<T>(&self, of: impl FnOnce(&Master) -> T) -> Option<T> {
        self.known().masters.first().map(of)
    }

    /// Reads the file again. True when it has changed.
    fn look(&self) -> Result<bool, StoreError> {
        let Some(file) = &self.file else { return Ok(false) };
        let gone =
            || StoreError::KeyFile { path: file.display().to_string(), reason: "it is gone".to_owned() };
        let contents = key_file::read(file)?.ok_or_else(gone)?;
        if self.known().contents == contents {
            return Ok(false);
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::of(contents, self.cipher);
        Ok(true)
    }

    /// What is known, and a key of this id in it, if the file has it: another process may have read of it before this one.
    fn known_with(&self, id: &str) -> Arc<Known> {
        let known = self.known();
        if known.find(id).is_some() {
            return known;
        }
        self.look_if_written();
        self.known()
    }

    /// As [`Ring::look`], for what is made by a key that is not known. That may be anything, made up a thousand times a second, so the file is
    /// read only when it is another one than was seen last.
    fn look_if_written(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = self.file.as_deref().and_then(FileMark::of);
        if mark.is_none() || *seen == mark {
            return;
        }
        // One that can't be used is said once, and looked at again when it was written again.
        *seen = mark;
        if let Err(error) = self.look() {
            tracing::warn!(%error, "a key is not known, and the key file can't be read anew");
        }
    }
}

impl FileMark {
    fn of(file: &Path) -> Option<FileMark> {
        let metadata = fs::metadata(file).ok()?;
        Some(FileMark {
            inode: metadata.ino(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.len(),
        })
    }
}

impl KeyWrap for Ring {
    fn current(&self) -> String {
        self.current(|master| master.id.clone()).unwrap_or_default()
    }

    fn knows(&self, key_id: &str) -> bool {
        self.known_with(key_id).find(key_id).is_some()
    }

    fn wrap(&self, context: &[u8], key: &Key) -> Result<WrappedKey, StoreError> {
        let known = self.known();
        let master = known.masters.first().ok_or(StoreError::NoRandomness)?;
        Ok(WrappedKey { key_id: master.id.clone(), bytes: master.wrapping.seal(context, key)? })
    }

    fn unwrap(&self, context: &[u8], wrapped: &WrappedKey) -> Result<Key, CannotOpen> {
        let known = self.known_with(&wrapped.key_id);
        let master = known.find(&wrapped.key_id).ok_or(CannotOpen)?;
        let plain = master.wrapping.open(context, &wrapped.bytes)?;
        plain.try_into().map_err(|_| CannotOpen)
    }
}

impl Keys {
    /// The keys that follow from one: the same every time.
    pub fn derive(key: &[u8; KEY_BYTES]) -> Keys {
        Keys::of(None, Contents::of_key(*key), Cipher::default())
    }

    /// Fresh keys that nobody keeps: for tests and for a process whose tokens need not outlive it.
    pub fn ephemeral() -> Result<Keys, StoreError> {
        Ok(Keys::derive(&random_bytes()?))
    }

    fn of(file: Option<PathBuf>, contents: Contents, cipher: Cipher) -> Keys {
        let ring = Ring::of(file, contents, cipher);
        Keys { wrap: Arc::clone(&ring) as Arc<dyn KeyWrap>, ring, cipher }
    }

    /// Reads the keys of a file; `None` when there is no such file.
    ///
    /// # Errors
    /// When it can't be read, or is no key file.
    pub fn load(path: &Path) -> Result<Option<Keys>, StoreError> {
        let contents = key_file::read(path)?;
        Ok(contents.map(|contents| Keys::of(Some(path.to_owned()), contents, Cipher::default())))
    }

    /// As [`Keys::load`]; a missing file is created with a fresh key and mode 0600. Two processes that start at once get
    /// the same key. Losing the file loses what databases keep sealed. True when it was made here.
    pub fn load_or_create(path: &Path) -> Result<(Keys, bool), StoreError> {
        if let Some(keys) = Keys::load(path)? {
            return Ok((keys, false));
        }
        let made = key_file::create(path)?;
        let vanished = || StoreError::KeyFile {
            path: path.display().to_string(),
            reason: "it vanished while it was made".to_owned(),
        };
        Ok((Keys::load(path)?.ok_or_else(vanished)?, made))
    }

    /// The same keys, sealing by this algorithm from now on. To be said before they are shared.
    #[must_use]
    pub fn sealing_by(self, cipher: Cipher) -> Keys {
        let known = self.ring.known();
        Keys::of(self.ring.file.clone(), known.contents.clone(), cipher)
    }

    /// The same keys for tokens and signatures, while what databases keep is wrapped elsewhere.
    #[must_use]
    pub fn wrapping_by(self, wrap: Arc<dyn KeyWrap>) -> Keys {
        Keys { wrap, ..self }
    }

    /// What wraps the keys that databases keep.
    pub fn wrap(&self) -> &dyn KeyWrap {
        &*self.wrap
    }

    /// The algorithm by which values are sealed.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Reads the file again. True when it has changed; from then on everybody has the new keys.
    ///
    /// # Errors
    /// When it can't be read or is no key file; then the keys that are known go on.
    pub fn look(&self) -> Result<bool, StoreError> {
        self.ring.look()
    }

    /// The ids of the keys, the current one first; an id says nothing of its key.
    pub fn ids(&self) -> Vec<String> {
        self.ring.known().masters.iter().map(|master| master.id.clone()).collect()
    }

    /// The id of the current key, and the secret from which the key follows by which services of a suite sign what they say of
    /// themselves.
    pub fn services(&self) -> (String, [u8; KEY_BYTES]) {
        self.ring.current(|master| (master.id.clone(), master.services)).unwrap_or_default()
    }

    /// The same of the key of this id; none when the file has none.
    pub fn services_of(&self, id: &str) -> Option<[u8; KEY_BYTES]> {
        self.ring.known_with(id).find(id).map(|master| master.services)
    }

    /// The secrets from which the keys follow that sign checkpoints of the logs: the one that signs first, then older ones.
    pub fn checkpoints(&self) -> Vec<[u8; KEY_BYTES]> {
        self.ring.known().masters.iter().map(|master| master.checkpoints).collect()
    }

    /// The public halves for checkpoints of keys that are in the file no more.
    pub fn dropped_checkpoints(&self) -> Vec<String> {
        self.ring.known().contents.checkpoints.clone()
    }

    /// What tells suites apart that share a Redis.
    pub fn suite(&self) -> String {
        self.ring.known().contents.suite.clone()
    }

    /// For page tokens and cursors.
    pub fn tokens(&self) -> TokenKey {
        TokenKey(Arc::clone(&self.ring))
    }
}

impl TokenKey {
    /// By the current key.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.0.current(|master| hmac_sha256(&master.tokens, parts)).unwrap_or_default()
    }

    /// Whether any key made it that the file has or had.
    pub(crate) fn verify(&self, parts: &[&[u8]], expected: &[u8]) -> bool {
        // Another process may have made it by a key that this one has not read of yet.
        let known = self.0.known();
        if known.verifies(parts, expected) {
            return true;
        }
        self.0.look_if_written();
        let again = self.0.known();
        !Arc::ptr_eq(&known, &again) && again.verifies(parts, expected)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(..)")
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ring(..)")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::crypto::{add_key, drop_older_keys, readable_by_others};

    const KEY: Key = [5; KEY_BYTES];

    #[test]
    fn key_file_is_created_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/master.key");
        assert!(Keys::load(&path).unwrap().is_none());
        let (made, first) = Keys::load_or_create(&path).unwrap();
        let (read, second) = Keys::load_or_create(&path).unwrap();
        assert!(first && !second);
        let wrapped = made.wrap().wrap(b"c", &KEY).unwrap();
        assert_eq!(read.wrap().unwrap(b"c", &wrapped), Ok(KEY));
        assert_eq!(read.wrap().unwrap(b"d", &wrapped), Err(CannotOpen));
        assert!(made.ids() == read.ids() && made.ids() != Keys::derive(&[7; 32]).ids());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(readable_by_others(&path), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(readable_by_others(&path), Some(0o640));
        fs::write(&path, "short").unwrap();
        assert!(Keys::load_or_create(&path).unwrap_err().to_string().contains("32 bytes"));
    }

    #[test]
    fn a_new_key_is_taken_while_the_old_one_still_holds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let (keys, _) = Keys::load_or_create(&path).unwrap();
        let other_process = Keys::load(&path).unwrap().unwrap();
        let (id, suite) = (keys.ids()[0].clone(), keys.suite());
        let (wrapped, mac) = (keys.wrap().wrap(b"c", &KEY).unwrap(), keys.tokens().mac(&[b"page"]));
        assert!(!keys.look().unwrap());

        add_key(&path).unwrap();
        assert!(keys.look().unwrap() && !keys.look().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((keys.ids().len(), &keys.ids()[1], keys.suite()), (2, &id, suite.clone()));
        assert_eq!(keys.wrap().unwrap(b"c", &wrapped), Ok(KEY));
        assert!(keys.tokens().verify(&[b"page"], &mac) && keys.tokens().mac(&[b"page"]) != mac);
        assert!(keys.services_of(&id).is_some() && keys.services().0 != id);
        // Who has not looked yet finds what the new key wrapped: it looks then.
        let by_new = keys.wrap().wrap(b"c", &KEY).unwrap();
        assert!(by_new.key_id != id && other_process.wrap().knows(&by_new.key_id));
        assert_eq!(other_process.wrap().unwrap(b"c", &by_new), Ok(KEY));

        drop_older_keys(&path, &["publicHalf".to_owned()]).unwrap();
        assert!(keys.look().unwrap());
        assert_eq!((keys.ids().len(), keys.suite()), (1, suite));
        assert_eq!(keys.dropped_checkpoints(), ["publicHalf"]);
        assert_eq!(keys.wrap().unwrap(b"c", &wrapped), Err(CannotOpen));
        assert_eq!(keys.wrap().unwrap(b"c", &by_new), Ok(KEY));
        // Who follows a log may have a cursor of then; nothing is made by that key any more.
        assert!(keys.tokens().verify(&[b"page"], &mac) && keys.tokens().mac(&[b"page"]) != mac);
        assert!(keys.services_of(&id).is_none());
        // A file that can't be used changes nothing, and is found as soon as it can be.
        let fit = fs::read(&path).unwrap();
        fs::write(&path, "nonsense").unwrap();
        assert!(keys.look().is_err() && !keys.wrap().knows("made up"));
        assert_eq!(keys.wrap().unwrap(b"c", &by_new), Ok(KEY));
        fs::write(&path, fit).unwrap();
        add_key(&path).unwrap();
        let newest = Keys::load(&path).unwrap().unwrap();
        assert!(keys.services_of(&newest.services().0).is_some());
    }

    #[test]
    fn either_algorithm_unwraps_what_the_other_has_wrapped() {
        let (aes, sm4) = (Keys::derive(&KEY), Keys::derive(&KEY).sealing_by(Cipher::Sm4));
        let (by_aes, by_sm4) = (aes.wrap().wrap(b"c", &KEY).unwrap(), sm4.wrap().wrap(b"c", &KEY).unwrap());
        assert_eq!((by_aes.bytes[0], by_sm4.bytes[0]), (1, 2));
        assert_eq!((sm4.wrap().unwrap(b"c", &by_aes), aes.wrap().unwrap(b"c", &by_sm4)), (Ok(KEY), Ok(KEY)));
    }
}
