//! Assessment as its callers see it, on SQLite and on Postgres: what the scores of a small season (`season.rs`) say
//! (`scores.rs`), facts in any order and by several instances (`order.rs`), following five served logs (`following.rs`),
//! logs that are learned long after they were written (`due.rs`), windows that end later and other tutors (`amended.rs`), what people decided (`adjusted.rs`),
//! every duty of Annex 1 (`duties.rs`), honours (`honours.rs`), late weeks in statistics (`late_weeks.rs`),
//! rows that can't be read (`broken.rs`), what a full batch costs (`cost.rs`), how far lists reach (`reach.rs`), what that costs
//! (`reach_cost.rs`), any steps beside a model (`machine.rs`), and the largest answers (`worst.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on panics")]

mod adjusted;
mod amended;
mod broken;
mod cost;
mod due;
mod duties;
mod following;
mod honours;
mod late_weeks;
mod machine;
mod model;
mod order;
mod reach;
mod reach_cost;
mod scores;
mod season;
mod support;
mod worst;
