//! Who calls, and how that is known. What: [`caller`] (what every call knows of its caller), [`claims`] (what a token says, as
//! types), and what makes the one of the other. Why a room below `call`: whoever wants to know who calls, admission, limits, rights,
//! events, needs these types and none of the ways in which they came about.

pub mod caller;
pub mod claims;
mod role;
