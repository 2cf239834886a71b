//! The path of every write and read of a service: [`kit`]. What goes through: commands, work in [`parts`], and what a
//! service does by itself (`background`); each gets a [`unit`] of work, an open transaction with the events to be, and
//! what became of it is kept under its request id (`outcome`).

mod background;
pub mod kit;
mod outcome;
pub mod parts;
mod retry;
pub(crate) mod share;
pub mod unit;
