//! Tests of the kit as a whole: a fake service of notes, called as tonic calls a generated one. What only one
//! module does is tested in that module.

mod bounds;
mod export;
mod follow;
mod fuzz;
mod group;
mod identity;
mod kit;
pub(crate) mod notes;
mod pull;
mod rights;
mod server;
mod soft_state;
mod streams;
mod tls;
