//! All SQL of assessment. [`save`] writes what a batch says, [`load`] and [`classes`] read facts in bulk, [`scores`] keeps what
//! follows from them and is the locks, [`decisions`] says where that does not hold for what was decided, [`counts`] what trainees add up to, [`due`] and [`rescore`] what is behind, [`lists`] finds
//! whom a list is about, [`statistics`] sums up. Each statement is written once for both databases. A new fact is a statement in `save` and one in `load`.

pub mod classes;
pub mod counties;
pub mod counts;
pub mod decisions;
pub mod due;
pub mod duties;
pub mod honours;
pub mod lists;
pub mod load;
pub(crate) mod people;
pub mod places;
pub mod rescore;
pub mod save;
pub mod scores;
pub mod statistics;
