//! A call, from the connection to the handler. What goes through: a gate (`misdelivered`, `limit`) or a caller's bound ([`at_once`]) may refuse it, `layer`
//! finds out who calls ([`identify`]), from where (`proxies`) and until when ([`metadata`]), and bounds it by its deadline and a stream by its token's
//! end (`ending`), `body` bounds what it sends by
//! the process's [`budget`], `fault` tells what the transport finds, `watch` logs and measures it, `denials` counts who was refused, and [`admit`] lets it in,
//! when what its [`consistency`] token names is known: [`reach`] says how far its caller may see, [`stated_time`] when
//! something happened. Why one room: every RPC of every service takes this way, and what is not asked here is asked nowhere.

pub mod access;
pub mod admit;
pub mod at_once;
pub(crate) mod body;
pub mod budget;
pub mod consistency;
pub(crate) mod denials;
pub(crate) mod ending;
pub(crate) mod fault;
pub(crate) mod gate;
pub mod identify;
pub(crate) mod layer;
pub(crate) mod limit;
pub mod metadata;
pub(crate) mod misdelivered;
pub(crate) mod proxies;
pub mod reach;
pub(crate) mod rights;
pub mod stated_time;
pub mod things;
mod token_bytes;
pub(crate) mod watch;
