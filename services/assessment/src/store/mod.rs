//! All SQL of assessment. [`save`] writes what a batch says, [`load`] reads facts in bulk, [`scores`] keeps what follows
//! from them and is the locks, [`counts`] what trainees add up to, [`lists`] finds whom a list is about. Each statement is written once for both databases.
//! A new fact is a statement in `save` and one in `load`.

pub mod counts;
pub mod due;
pub mod lists;
pub mod load;
pub mod save;
pub mod scores;
