//! The server of a process: where it listens ([`config`]), over which connections ([`connection`]) and how many ([`connections`]), how fast they are read (`frames`), encrypted or not ([`tls`]), and what it serves
//! ([`server`]), what it says of its [`health`], `upkeep` of the databases meanwhile, its [`key_file`], and [`checkpoints`] of their logs. Why highest: it puts the other rooms together and none of them needs it.

pub mod checkpoints;
pub mod config;
pub mod connection;
pub mod connections;
mod event_types;
mod frames;
pub mod health;
pub mod key_file;
pub mod server;
pub mod service;
pub mod tls;
pub(crate) mod upkeep;
