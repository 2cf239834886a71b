//! What is signed of a final version: everything by which it could be taken for another one.

use chrono::{DateTime, Utc};
use shipei_rules::ids::ProgrammeId;

use crate::{
    code::{PublicKey, SigningKey},
    tree::Hash,
};

/// What its signature is of.
const KIND: &str = "final version 1";

/// A final version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalVersion {
    /// The programme.
    pub programme_id: ProgrammeId,
    /// Its number, from 1.
    pub number: u32,
    /// As of when its scores are.
    pub as_of: DateTime<Utc>,
    /// The version of the scheme.
    pub scheme_version: u32,
    /// How many scores it has.
    pub scores: u32,
    /// The digest of the scores that were frozen, in hexadecimal.
    pub scores_digest: String,
    /// The root of its tree.
    pub root: Hash,
}

impl FinalVersion {
    fn to_bytes(&self) -> Vec<u8> {
        // Neither of the two texts has a byte of 0.
        [
            self.programme_id.as_str().as_bytes(),
            &[0],
            self.scores_digest.as_bytes(),
            &[0],
            &self.number.to_be_bytes(),
            &self.as_of.timestamp_micros().to_be_bytes(),
            &self.scheme_version.to_be_bytes(),
            &self.scores.to_be_bytes(),
            &self.root.0,
        ]
        .concat()
    }

    /// Its signature.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        key.sign(KIND, &self.to_bytes())
    }

    /// Whether a signature is that of exactly this version.
    pub fn is_signed(&self, key: &PublicKey, signature: &[u8]) -> bool {
        key.holds(KIND, &self.to_bytes(), signature)
    }
}
