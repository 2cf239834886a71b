//! The reader's side of an event log: what this service learns from others. What goes through: a service says what it
//! wants by a [`projector`], and by a table in [`dispatch`] what each event means; [`following`] begins; `follower` subscribes for one shard of the log and applies what comes, each batch in one
//! transaction with the cursor's move; `shards` says which of them this instance has; `applied` and `lag` tell calls and
//! operators how far it has come. Why apart from `feed/`: both ends may run in one process, and neither is the other.

mod applied;
pub mod dispatch;
mod follower;
pub mod following;
mod lag;
pub mod projector;
pub mod retracted;
pub mod shards;

pub use following::{follow, follow_in_shards};
pub use projector::Projector;
