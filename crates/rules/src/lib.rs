//! The notice as code: what every fact of a training programme is worth, and why.
//!
//! Everything here is pure. There is no clock, no randomness, no network and no database: a function takes a
//! [`scheme::Scheme`] (the assessment rules of one programme, read from TOML), the facts, and an `as_of`, and gives a
//! score whose every item says which clause it follows, on what evidence, and why it was missed. The same facts in any
//! order give the same score, so that a replay, a what-if and the live service can't disagree.
//!
//! Source of every rule: the notice of one city (Annexes 1 to 4), whose reading, with the decisions taken where it is
//! silent, is `scoring.md`. Numbers come from the scheme; no city and no year is compiled in.
//!
//! How to add a rule: put its figure into the scheme (`scheme/`), its reason into [`explanation::ReasonCode`], its
//! judgement into the module of the role that it judges, and its property into `tests/`.

pub mod absence;
pub mod calendar;
pub mod characters;
pub mod counselor;
pub mod divisions;
pub mod duties;
pub mod explanation;
pub mod history;
pub mod honours;
pub mod identity_number;
pub mod ids;
pub mod intervals;
pub mod marking;
pub mod places;
pub mod region;
pub mod scheme;
pub mod study_time;
pub mod subjects;
pub mod submission;
pub mod teaching;
pub mod trainee;
pub mod tutor;
pub mod vocabulary;
pub mod windows;
