//! Assessment as its callers see it, on SQLite and on Postgres: facts in any order (`order.rs`), and what the scores of
//! a small season say (`scores.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on panics")]

mod cost;
mod following;
mod order;
mod scores;
mod season;
mod support;
