//! The writer's side of an event log: what this process tells others of what happened here. What goes through: a
//! subscription comes in by [`event_feed`], [`subscription`] tells it at the `pace` of its consumer what `reader` finds in the log, and `heads` says when there
//! is more; `pull` does the same in single calls;
//! [`wire`] is what both ends agree on; [`corrections`] takes back what the log tells, [`audit`] shows who looked at what,
//! [`keys`] wraps anew what is kept wrapped, [`personal`] shows people what is kept of them. Why below `follow/`: who tells need not know who listens.

pub mod audit;
pub mod corrections;
pub mod event_feed;
pub mod filter;
mod heads;
pub mod keys;
mod pace;
pub mod personal;
mod pull;
mod reader;
mod status;
pub mod subscription;
pub mod wire;

use shipei_contracts::event::v1::{
    audit_service_server, correction_service_server, event_feed_server, key_service_server,
    personal_data_service_server,
};

/// The full names of the gRPC services that a server has for every service whose log it shows.
pub const SERVICES: [&str; 5] = [
    event_feed_server::SERVICE_NAME,
    correction_service_server::SERVICE_NAME,
    audit_service_server::SERVICE_NAME,
    key_service_server::SERVICE_NAME,
    personal_data_service_server::SERVICE_NAME,
];
