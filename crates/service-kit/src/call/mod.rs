//! A call, from the connection to the handler. What goes through: a gate (`misdelivered`, `limit`) may refuse it, `layer`
//! reads who calls and until when ([`access`], [`metadata`]) and bounds it by its deadline, [`reach`] says how far its
//! caller may see, [`stated_time`] when something happened, `watch` logs and measures it, `body` bounds what it sends by
//! the process's [`budget`], `fault` tells what the transport finds,
//! and a [`consistency`] token says what its answer must know of. Why one room: every RPC of every service takes this
//! way, and what is not asked here is asked nowhere.

pub mod access;
pub(crate) mod body;
pub mod budget;
pub mod consistency;
pub(crate) mod fault;
pub(crate) mod gate;
pub(crate) mod layer;
pub(crate) mod limit;
pub mod metadata;
pub(crate) mod misdelivered;
pub mod reach;
pub mod stated_time;
mod token_bytes;
pub(crate) mod watch;
