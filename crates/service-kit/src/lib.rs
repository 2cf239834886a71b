//! How any service of the suite runs; no domain words. A service crate brings handlers and statements; from here
//! come the path of every write and read ([`Kit`]), errors and their statuses, the event feed and its followers,
//! the server with health, reflection, deadlines and shutdown, access policies, and the clock. To add something
//! that every service needs, add a module here; what only one needs stays there.

pub mod access;
mod background;
pub mod call;
mod call_layer;
mod call_watch;
pub mod clock;
pub mod config;
pub mod connection;
pub mod consistency;
pub mod convert;
pub mod descriptors;
mod elsewhere;
pub mod error;
pub mod event_feed;
pub mod follow;
mod follower;
mod gate;
mod heads;
pub mod kit;
mod lag;
mod limit;
mod outcome;
pub mod page;
pub mod parts;
pub mod reach;
mod retry;
pub mod server;
pub mod shards;
pub mod shutdown;
pub mod soft_state;
pub mod status;
pub mod subscription;
pub mod table;
pub mod telemetry;
pub mod testing;
pub mod testing_redis;
#[cfg(test)]
mod tests;
pub mod unit;

pub use access::{Caller, Policies};
pub use call::Call;
pub use clock::Clock;
pub use connection::{InMemory, connect_lazily};
pub use consistency::{Applied, TOKEN_HEADER, Token};
pub use convert::{Fields, to_timestamp};
pub use error::{Error, FieldViolation, Refusal, Result};
pub use follow::{Projector, decode, follow, follow_in_shards};
pub use kit::Kit;
pub use page::Page;
pub use parts::Parts;
pub use reach::Reach;
pub use server::{Server, ServerBuilder, StartError};
pub use shutdown::Shutdown;
pub use soft_state::{Instance, SoftState};
pub use unit::{ReadUnit, Unit};
