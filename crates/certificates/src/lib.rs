//! What a final version (成绩定稿) and a certificate (年度培训合格证书) are, as bytes that anybody can check: the hash tree over the scores
//! of a version, the fields of a certificate in one canonical form, their signature, and the code that stands on the paper.
//!
//! Pure: no clock, no chance, no I/O. Who has the published key verifies here without asking anybody; a server adds only what
//! can't be signed beforehand, whether a certificate was revoked.

pub mod certificate;
pub mod code;
pub mod tree;
pub mod version;

pub use certificate::{Certificate, Grounds, Number};
pub use code::{CodeError, PublicKey, SigningKey};
pub use tree::{Hash, Side, Step};
