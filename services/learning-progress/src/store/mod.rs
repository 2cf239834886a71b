//! All SQL of learning-progress, by what it is for: `course` (catalogue and selections; `course_change`
//! what changed of it, and `anew` whose study is read anew for that), `study` (what a batch of
//! heartbeats reads and writes, always in bulk), `phase` (phases, of one id and of persons with several; `united`
//! whose are to be read anew), `progress` (what learners read), `export` (the same of all learners). No rule stands here: a function takes
//! keys and gives rows, or takes rows and keeps them. One more table is one more migration and its functions here.

pub(crate) mod anew;
pub(crate) mod correction;
pub(crate) mod course;
pub(crate) mod course_change;
pub(crate) mod export;
pub(crate) mod people;
pub(crate) mod phase;
pub(crate) mod progress;
#[cfg(test)]
mod reach_tests;
pub(crate) mod session;
pub(crate) mod study;
pub(crate) mod united;
