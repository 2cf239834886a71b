//! What a service of a suite is, told once: its name, what it serves, keeps and follows. A program puts services together
//! from these ([`Service`] has everything that differs between them), and so do the tests that look at all of them. To
//! add a service: a constant of this type in its crate, and its place in the program's list.

use std::{collections::BTreeMap, fmt};

use shipei_store::sqlx::migrate::Migrator;
use tonic::transport::Channel;

use crate::{
    serve::server::ServerBuilder,
    shutdown::Shutdown,
    write::{kit::Kit, people::PersonTable},
};

/// The channel to whoever serves each log, by its source.
pub type Peers = BTreeMap<&'static str, Channel>;

/// A service, as a process puts it together.
#[derive(Clone, Copy)]
pub struct Service {
    /// Its name, which is the source of its events.
    pub name: &'static str,
    /// The full names of its gRPC services.
    pub grpc_services: &'static [&'static str],
    /// What its database needs beside the store's tables, for `Database::migrate`.
    pub migrations: fn() -> Migrator,
    /// The sources of the logs that it follows.
    pub follows: &'static [&'static str],
    /// Which other services it asks for its own work, beside those that it follows.
    pub asks: &'static [&'static str],
    /// The tables that hold nothing but what was learned from them.
    pub learned: &'static [&'static [&'static str]],
    /// The tables that have rows about people.
    pub people: &'static [&'static [PersonTable]],
    /// Adds its gRPC services and its log to a server, with whose shutdown what it runs ends.
    pub serve: fn(ServerBuilder, &Kit) -> ServerBuilder,
    /// Begins to follow, until shutdown. `Peers` has a channel for each of `follows` and `asks`.
    pub follow: fn(&Kit, &Peers, &Shutdown),
}

impl Service {
    /// For a service that follows nobody.
    pub fn follow_nobody(_: &Kit, _: &Peers, _: &Shutdown) {}

    /// All tables that `learned` names.
    pub fn learned_tables(&self) -> Vec<&'static str> {
        self.learned.iter().flat_map(|tables| tables.iter().copied()).collect()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}
