//! The algorithms by which values are sealed and found, and sealing itself. To add one: a number, and an arm in each `match`.

use std::{fmt, str::FromStr};

use aes_gcm::aead::{Aead, Payload, consts::U12};
use aes_gcm::{Aes256Gcm, AesGcm, KeyInit};
use hmac::{Hmac, Mac};
use sm3::Sm3;
use sm4::Sm4;

use super::{
    derive::{Key, hmac_sha256},
    random::{hex, random_bytes},
};
use crate::StoreError;

/// Length of a key's id, which says which key sealed a value.
const KEY_ID_BYTES: usize = 4;
/// Length of the nonce, which precedes the ciphertext.
const NONCE_BYTES: usize = 12;
/// Length of SM4's key.
const SM4_KEY_BYTES: usize = 16;

/// SM4 in the mode of AES-GCM (RFC 8998).
type Sm4Gcm = AesGcm<Sm4, U12>;

/// How values are sealed, and how digests are made by which they are found. Whatever is chosen, what either sealed is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256-GCM and HMAC-SHA256.
    #[default]
    Aes,
    /// SM4-GCM and HMAC-SM3: what public systems in China are asked for.
    Sm4,
}

/// A word that is no algorithm's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write aes (AES-256-GCM, HMAC-SHA256) or sm4 (SM4-GCM, HMAC-SM3)")]
pub struct UnknownCipher;

impl Cipher {
    /// The first byte of what it sealed.
    pub(crate) fn number(self) -> u8 {
        match self {
            Cipher::Aes => 1,
            Cipher::Sm4 => 2,
        }
    }

    /// Which one has this number.
    pub(crate) fn of_number(number: u8) -> Option<Cipher> {
        [Cipher::Aes, Cipher::Sm4].into_iter().find(|cipher| cipher.number() == number)
    }
}

impl FromStr for Cipher {
    type Err = UnknownCipher;

    fn from_str(text: &str) -> Result<Cipher, UnknownCipher> {
        match text {
            "aes" => Ok(Cipher::Aes),
            "sm4" => Ok(Cipher::Sm4),
            _ => Err(UnknownCipher),
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Cipher::Aes => "aes",
            Cipher::Sm4 => "sm4",
        })
    }
}

/// Encrypts values at rest by one key. A sealed value is `algorithm (1 byte) | key id (4) | nonce (12) | ciphertext`, so that
/// another algorithm or another key can come beside what is there.
#[derive(Clone)]
pub struct Vault {
    key: Key,
    key_id: [u8; KEY_ID_BYTES],
    cipher: Cipher,
}

/// A sealed value that this key and context did not seal, or that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not belong to this key and context, or was changed")]
pub struct CannotOpen;

impl Vault {
    /// Of a key; `cipher` is what it seals by from now on.
    pub(crate) fn new(key: &Key, cipher: Cipher) -> Vault {
        let [a, b, c, d, ..] = hmac_sha256(key, &[b"shipei key id 1"]);
        Vault { key: *key, key_id: [a, b, c, d], cipher }
    }

    /// Which key it is, in hexadecimal digits; it says nothing of the key.
    pub(crate) fn key_id(&self) -> String {
        hex(&self.key_id)
    }

    /// Encrypts. `context` (table, column and row, say) is authenticated but not kept: opening needs the same one, so
    /// that a sealed value can't be moved to another row.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_BYTES] = random_bytes()?;
        let payload = Payload { msg: plain, aad: context };
        let ciphertext = match self.cipher {
            Cipher::Aes => Aes256Gcm::new(&self.key.into()).encrypt(&nonce.into(), payload),
            Cipher::Sm4 => Sm4Gcm::new(&self.sm4_key().into()).encrypt(&nonce.into(), payload),
        };
        // GCM refuses only what is longer than 64 GiB.
        let ciphertext = ciphertext.map_err(|_| StoreError::NoRandomness)?;
        Ok([&[self.cipher.number()][..], &self.key_id, &nonce, &ciphertext].concat())
    }

    /// Decrypts what [`Vault::seal`] gave for the same context, by whichever algorithm.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (number, rest) = sealed.split_first().ok_or(CannotOpen)?;
        let rest = rest.strip_prefix(&self.key_id).ok_or(CannotOpen)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(CannotOpen)?;
        let payload = Payload { msg: ciphertext, aad: context };
        let plain = match Cipher::of_number(*number).ok_or(CannotOpen)? {
            Cipher::Aes => Aes256Gcm::new(&self.key.into()).decrypt(nonce.into(), payload),
            Cipher::Sm4 => Sm4Gcm::new(&self.sm4_key().into()).decrypt(nonce.into(), payload),
        };
        plain.map_err(|_| CannotOpen)
    }

    /// SM4's key is half as long; it is another one, so that no key serves two algorithms.
    fn sm4_key(&self) -> [u8; SM4_KEY_BYTES] {
        let mut key = [0; SM4_KEY_BYTES];
        key.copy_from_slice(&hmac_sm3(&self.key, &[b"shipei sm4 1"])[..SM4_KEY_BYTES]);
        key
    }
}

/// Makes keyed digests, by which an encrypted value can be found and compared without being read.
#[derive(Clone)]
pub struct LookupKey {
    key: Key,
    cipher: Cipher,
}

impl LookupKey {
    pub(crate) fn new(key: Key, cipher: Cipher) -> LookupKey {
        LookupKey { key, cipher }
    }

    /// The keyed digest of a value: equal values of one context have equal digests, and nothing else can be told.
    pub fn digest(&self, context: &[u8], value: &[u8]) -> [u8; 32] {
        let length = (context.len() as u64).to_be_bytes();
        let parts: [&[u8]; 3] = [&length, context, value];
        match self.cipher {
            Cipher::Aes => hmac_sha256(&self.key, &parts),
            Cipher::Sm4 => hmac_sm3(&self.key, &parts),
        }
    }
}

fn hmac_sm3(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length, so there always is one.
    let Ok(mut mac) = <Hmac<Sm3> as KeyInit>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> = digits.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    #[test]
    fn vault_opens_only_with_key_and_context_by_either_algorithm() {
        for (cipher, other) in [(Cipher::Aes, Cipher::Sm4), (Cipher::Sm4, Cipher::Aes)] {
            let vault = Vault::new(&[7; 32], cipher);
            let sealed = vault.seal(b"person/1", b"secret").unwrap();
            assert_eq!(vault.open(b"person/1", &sealed), Ok(b"secret".to_vec()));
            // Who seals by the other one opens this, too.
            assert_eq!(Vault::new(&[7; 32], other).open(b"person/1", &sealed), Ok(b"secret".to_vec()));
            assert_eq!(vault.open(b"person/2", &sealed), Err(CannotOpen));
            assert_eq!(Vault::new(&[8; 32], cipher).open(b"person/1", &sealed), Err(CannotOpen));
            assert_eq!(vault.open(b"person/1", &sealed[..5]), Err(CannotOpen));
            assert_eq!(sealed.len(), 1 + KEY_ID_BYTES + NONCE_BYTES + b"secret".len() + 16);
            for number in [other.number(), 0, 3] {
                let mut of_another = sealed.clone();
                of_another[0] = number;
                assert_eq!(vault.open(b"person/1", &of_another), Err(CannotOpen));
            }
            for place in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[place] ^= 1;
                assert_eq!(vault.open(b"person/1", &changed), Err(CannotOpen), "{place}");
            }
            assert_ne!(sealed, vault.seal(b"person/1", b"secret").unwrap());
            assert_eq!(cipher.to_string().parse(), Ok(cipher));
        }
        assert_eq!("des".parse::<Cipher>(), Err(UnknownCipher));
    }

    #[test]
    fn lookup_digest_separates_context_and_value() {
        for cipher in [Cipher::Aes, Cipher::Sm4] {
            let lookup = LookupKey::new([7; 32], cipher);
            assert_eq!(lookup.digest(b"a", b"bc"), lookup.digest(b"a", b"bc"));
            assert_ne!(lookup.digest(b"a", b"bc"), lookup.digest(b"ab", b"c"));
        }
        let digest = |cipher| LookupKey::new([7; 32], cipher).digest(b"a", b"bc");
        assert_ne!(digest(Cipher::Aes), digest(Cipher::Sm4));
    }

    /// RFC 8998, appendix A.1.
    #[test]
    fn sm4_gcm_is_that_of_the_rfc() {
        let key: [u8; 16] = bytes("0123456789abcdeffedcba9876543210").try_into().unwrap();
        let nonce: [u8; 12] = bytes("00001234567800000000abcd").try_into().unwrap();
        let plain = bytes(
            "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
             eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
        );
        let aad = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let sealed = Sm4Gcm::new(&key.into()).encrypt(&nonce.into(), Payload { msg: &plain, aad: &aad });
        let expected = bytes(
            "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735\
             d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d\
             83de3541e4c2b58177e065a9bf7b62ec",
        );
        assert_eq!(sealed.unwrap(), expected);
    }

    /// What OpenSSL 3.0.19 says: the text by `openssl dgst -sm3 -mac HMAC -macopt hexkey:0707..07`, the key of SM4 by the same over
    /// its label, and what GCM encrypts by `openssl enc -sm4-ctr -K .. -iv 00001234567800000000abcd00000002` (the counter of the
    /// first block; this OpenSSL has no SM4-GCM, whose tag is the RFC's above).
    #[test]
    fn sm3_and_sm4_are_those_of_openssl() {
        let mac = hmac_sm3(&[7; 32], &[b"shipei ", b"hmac sm3"]);
        assert_eq!(hex(&mac), "dbabccaee65dbfd988286bb2a7e565d05f95f58e8e04499418ee177f1815b03a");
        let key = Vault::new(&[7; 32], Cipher::Sm4).sm4_key();
        assert_eq!(hex(&key), "6c964aa0c68387dd81f66a83512c517c");
        let nonce: [u8; 12] = bytes("00001234567800000000abcd").try_into().unwrap();
        let sealed = Sm4Gcm::new(&key.into()).encrypt(&nonce.into(), &b"130302199001011234"[..]).unwrap();
        assert_eq!(hex(&sealed[..18]), "b6b9b95c00f29ac30719cbfc24802a879cc3");
    }
}
