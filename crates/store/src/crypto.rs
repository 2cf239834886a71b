//! Keys, and the only source of random bytes.
//!
//! One master key of 32 bytes lives in a file beside the data (or comes from the environment); the keys for each
//! purpose are derived from it by HMAC-SHA256 with a label, so that no two purposes share one. To add a purpose, add a
//! label and a type of its own; never change a label.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::StoreError;

/// Length of the master key and of each derived key, in bytes.
pub const KEY_BYTES: usize = 32;

/// The first byte of a sealed value: how it was sealed. One more way (SM4, say) is one more number.
const AES_256_GCM: u8 = 1;

/// Length of a key's id, which says which key sealed a value.
const KEY_ID_BYTES: usize = 4;

/// Length of AES-GCM's nonce, which precedes the ciphertext.
const NONCE_BYTES: usize = 12;

/// The only owner may read the key file.
const KEY_FILE_MODE: u32 = 0o600;

/// The only owner may look into a folder of data.
const FOLDER_MODE: u32 = 0o700;

/// All keys of one installation.
#[derive(Clone)]
pub struct Keys {
    vault: Vault,
    lookup: LookupKey,
    tokens: TokenKey,
    services: [u8; KEY_BYTES],
    certificates: [u8; KEY_BYTES],
    checkpoints: [u8; KEY_BYTES],
    tag: String,
}

/// Encrypts values at rest. A sealed value is `way (1 byte) | key id (4) | nonce (12) | ciphertext`, so that another way or
/// another key can come beside what is there.
#[derive(Clone)]
pub struct Vault {
    cipher: Aes256Gcm,
    key_id: [u8; KEY_ID_BYTES],
}

/// Makes keyed digests, by which an encrypted value can be found and compared without being read.
#[derive(Clone)]
pub struct LookupKey([u8; KEY_BYTES]);

/// Authenticates tokens that a caller holds for us; see [`crate::PageTokens`] and [`crate::SealedTokens`].
#[derive(Clone)]
pub struct TokenKey([u8; KEY_BYTES]);

/// A sealed value that this key and context did not seal, or that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not belong to this key and context, or was changed")]
pub struct CannotOpen;

impl Keys {
    /// The keys that follow from a master key: the same every time.
    pub fn derive(master: &[u8; KEY_BYTES]) -> Keys {
        Keys {
            vault: Vault::new(&hmac_sha256(master, &[b"shipei vault 1"])),
            lookup: LookupKey(hmac_sha256(master, &[b"shipei lookup 1"])),
            tokens: TokenKey(hmac_sha256(master, &[b"shipei tokens 1"])),
            services: hmac_sha256(master, &[b"shipei services 1"]),
            certificates: hmac_sha256(master, &[b"shipei certificates 1"]),
            checkpoints: hmac_sha256(master, &[b"shipei checkpoints 1"]),
            tag: hex(&hmac_sha256(master, &[b"shipei tag 1"])),
        }
    }

    /// Fresh keys that nobody keeps: for tests and for a process whose tokens need not outlive it.
    pub fn ephemeral() -> Result<Keys, StoreError> {
        Ok(Keys::derive(&random_bytes()?))
    }

    /// Reads the master key (base64 in one line) from `path`; `None` when there is no such file.
    pub fn load(path: &Path) -> Result<Option<Keys>, StoreError> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| key_file(path, error))?,
        };
        let keys = Keys::from_base64(text.trim());
        keys.map(Some).map_err(|_| key_file(path, "it must hold 32 bytes in base64"))
    }

    /// As [`Keys::load`]; a missing file is created with a fresh key and mode 0600. Two processes that start at once get
    /// the same key. Losing the file loses what the vault sealed. True when it was made here.
    pub fn load_or_create(path: &Path) -> Result<(Keys, bool), StoreError> {
        if let Some(keys) = Keys::load(path)? {
            return Ok((keys, false));
        }
        let made = create_key_file(path).map_err(|error| key_file(path, error))?;
        let keys = Keys::load(path)?.ok_or_else(|| key_file(path, "it vanished while it was made"))?;
        Ok((keys, made))
    }

    /// The keys of a master key in base64 (standard alphabet), as an environment variable or a mounted secret has it.
    pub fn from_base64(text: &str) -> Result<Keys, InvalidKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| InvalidKey)?;
        let master: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| InvalidKey)?;
        Ok(Keys::derive(&master))
    }

    /// What a database notes of the master key that seals what is in it, to know it again: it says nothing of the key.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// For values at rest.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// For finding sealed values.
    pub fn lookup(&self) -> &LookupKey {
        &self.lookup
    }

    /// The secret from which the key follows that services of a suite know each other by.
    pub fn services(&self) -> [u8; KEY_BYTES] {
        self.services
    }

    /// The secret from which the key follows that signs what is handed out on paper.
    pub fn certificates(&self) -> [u8; KEY_BYTES] {
        self.certificates
    }

    /// The secret from which the key follows that signs checkpoints of the logs.
    pub fn checkpoints(&self) -> [u8; KEY_BYTES] {
        self.checkpoints
    }

    /// For page tokens and cursors.
    pub fn tokens(&self) -> &TokenKey {
        &self.tokens
    }
}

/// A text that is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 32 bytes in base64")]
pub struct InvalidKey;

impl Vault {
    fn new(key: &[u8; KEY_BYTES]) -> Vault {
        let [a, b, c, d, ..] = hmac_sha256(key, &[b"shipei key id 1"]);
        Vault { cipher: Aes256Gcm::new(key.into()), key_id: [a, b, c, d] }
    }

    /// Encrypts. `context` (table, column and row, say) is authenticated but not kept: opening needs the same one, so
    /// that a sealed value can't be moved to another row.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_BYTES] = random_bytes()?;
        let payload = Payload { msg: plain, aad: context };
        // AES-GCM refuses only what is longer than 64 GiB.
        let ciphertext = self.cipher.encrypt(&nonce.into(), payload).map_err(|_| StoreError::NoRandomness)?;
        Ok([&[AES_256_GCM][..], &self.key_id, &nonce, &ciphertext].concat())
    }

    /// Decrypts what [`Vault::seal`] gave for the same context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let rest = sealed.strip_prefix(&[AES_256_GCM]).and_then(|rest| rest.strip_prefix(&self.key_id));
        let (nonce, ciphertext) =
            rest.and_then(<[u8]>::split_first_chunk::<NONCE_BYTES>).ok_or(CannotOpen)?;
        let payload = Payload { msg: ciphertext, aad: context };
        self.cipher.decrypt(nonce.into(), payload).map_err(|_| CannotOpen)
    }
}

impl LookupKey {
    /// The keyed digest of a value: equal values of one context have equal digests, and nothing else can be told.
    pub fn digest(&self, context: &[u8], value: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0, &[&(context.len() as u64).to_be_bytes(), context, value])
    }
}

impl TokenKey {
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(&self.0, parts)
    }

    pub(crate) fn verify(&self, parts: &[&[u8]], expected: &[u8]) -> bool {
        hmac_of(&self.0, parts).is_some_and(|mac| mac.verify_slice(expected).is_ok())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(..)")
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault(..)")
    }
}

impl fmt::Debug for LookupKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LookupKey(..)")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKey(..)")
    }
}

/// Random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(bytes)
}

/// A random name of 32 hexadecimal digits.
pub fn random_name() -> Result<String, StoreError> {
    let bytes: [u8; 16] = random_bytes()?;
    Ok(hex(&bytes))
}

/// Bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A duration between one half and one whole of `most`, at random: for pauses and poll intervals that should not
/// fall together. Without random bytes it is the whole.
pub fn jitter(most: Duration) -> Duration {
    let random = random_bytes().map_or(u16::MAX, u16::from_be_bytes);
    let half = most / 2;
    let micros = half.as_micros().saturating_mul(u128::from(random)) / u128::from(u16::MAX);
    half + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

fn hmac_of(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

fn hmac_sha256(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length, so there always is one.
    hmac_of(key, parts).map_or([0; 32], |mac| mac.finalize().into_bytes().into())
}

/// Writes the whole file aside and links it into place, so that nobody ever reads half a key and the first one wins. False
/// when another was first.
fn create_key_file(path: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    if let Some(directory) = path.parent() {
        make_private_folder(directory)?;
    }
    let master: [u8; KEY_BYTES] = random_bytes()?;
    let aside = path.with_extension(format!("new-{}", random_name()?));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(KEY_FILE_MODE).open(&aside)?;
    file.write_all(STANDARD.encode(master).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    // The file's name is to be on the disk before anything that only its key can open.
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        linked => Ok(linked.is_ok()),
    }
}

/// Makes a folder, and those above it, that nobody but its owner may look into: people's names will be in it. One that is
/// there stays as it is.
pub fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// The permissions of a file, if others than its owner can read or write it.
pub fn readable_by_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Makes a file that nobody but its owner may read, and that was not there.
pub(crate) fn make_private_empty(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(KEY_FILE_MODE).open(path).map(|_| ())
}

fn key_file(path: &Path, reason: impl fmt::Display) -> StoreError {
    StoreError::KeyFile { path: path.display().to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vault_opens_only_with_key_and_context() {
        let keys = Keys::derive(&[7; 32]);
        let sealed = keys.vault().seal(b"person/1", b"secret").unwrap();
        assert_eq!(keys.vault().open(b"person/1", &sealed), Ok(b"secret".to_vec()));
        assert_eq!(keys.vault().open(b"person/2", &sealed), Err(CannotOpen));
        assert_eq!(Keys::derive(&[8; 32]).vault().open(b"person/1", &sealed), Err(CannotOpen));
        assert_eq!(keys.vault().open(b"person/1", &sealed[..5]), Err(CannotOpen));
        assert_eq!(sealed.len(), 1 + KEY_ID_BYTES + NONCE_BYTES + b"secret".len() + 16);
        assert_eq!(sealed[0], AES_256_GCM);
        let mut of_another_way = sealed.clone();
        of_another_way[0] = 2;
        assert_eq!(keys.vault().open(b"person/1", &of_another_way), Err(CannotOpen));
        assert_ne!(sealed, keys.vault().seal(b"person/1", b"secret").unwrap());
    }

    #[test]
    fn lookup_digest_separates_context_and_value() {
        let keys = Keys::derive(&[7; 32]);
        assert_eq!(keys.lookup().digest(b"a", b"bc"), keys.lookup().digest(b"a", b"bc"));
        assert_ne!(keys.lookup().digest(b"a", b"bc"), keys.lookup().digest(b"ab", b"c"));
    }

    #[test]
    fn key_file_is_created_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/master.key");
        assert!(Keys::load(&path).unwrap().is_none());
        let (made, first) = Keys::load_or_create(&path).unwrap();
        let (read, second) = Keys::load_or_create(&path).unwrap();
        assert!(first && !second);
        let sealed = made.vault().seal(b"c", b"v").unwrap();
        assert_eq!(read.vault().open(b"c", &sealed), Ok(b"v".to_vec()));
        assert!(made.tag() == read.tag() && made.tag() != Keys::derive(&[7; 32]).tag());
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
    fn jitter_stays_between_half_and_whole() {
        for _ in 0..100 {
            let pause = jitter(Duration::from_millis(100));
            assert!(pause >= Duration::from_millis(50) && pause <= Duration::from_millis(100));
        }
    }
}
