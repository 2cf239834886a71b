//! The commands of those who keep lists, as they run them, against a server in a process of its own.

mod audit;
mod certificates;
mod clerk;
mod course;
mod duties;
mod explain;
mod exports;
mod person;
mod place;
mod roster;
mod server;
mod who;
