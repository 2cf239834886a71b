//! What may stand in a text. PURE: no clock, no I/O, no word of the domain.
//!
//! - [`personal`]: texts that hold what looks like a citizen identity number, which no field but the one for it takes.
//! - [`unseen`]: what has no ink, trimmed from around ids and numbers; full-width letters and digits.
//! - [`id`]: what an id may be made of.
//! - [`name`]: names and free texts: what is refused in them, how they are kept and how they are compared.
//!
//! Why a crate of its own: ids (`rules`), requests (`service-kit`) and tables (`tables`) ask the same questions and
//! don't know each other. A new rule about texts is a function here and a line in `name::fault_of_line`.

pub mod id;
pub mod name;
pub mod personal;
pub mod unseen;

pub use id::fault_of_id;
pub use name::{TextFault, fault_of_line, fault_of_text, normal, same_name_key};
pub use personal::{holds_identity_number, holds_valid_identity_number};
pub use unseen::{clean_code, fold_width, is_unseen, trim_unseen};
