//! The path of every write and read of a service. What goes through: a command comes in by [`commands`], waits in a
//! `line`, and shares a transaction with those that wait too (`group`); work in [`parts`] and what a service does by
//! itself (`background`) have transactions of their own; a [`read`](mod@read) has a snapshot, and
//! so has an [`mod@export`]; a read may go on ([`observe`]); what is masked is shown by `unmask`; what is kept of somebody is erased
//! as [`people`] says. All of them work in a
//! [`mod@unit`], and all writes take the one [`road`], where there is [`room`] for them; what one person adds in a day is bounded by a
//! [`quota`]. What became of a command is kept under its request id (`outcome`, `kept`), and what it
//! recorded can be retracted ([`facts`]). Keys that a service keeps are [`wrapped`].

mod alone;
mod background;
mod command;
pub mod commands;
pub(crate) mod event;
pub mod export;
pub mod facts;
mod group;
mod kept;
pub mod kit;
mod line;
pub mod observe;
pub mod origin;
mod outcome;
pub mod parts;
pub mod people;
pub mod quota;
pub mod read;
mod retry;
pub mod road;
pub mod room;
pub(crate) mod share;
pub mod unit;
mod unmask;
pub mod wrapped;
