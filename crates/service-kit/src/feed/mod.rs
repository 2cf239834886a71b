//! The writer's side of an event log: what this process tells others of what happened here. What goes through: a
//! subscription comes in by [`event_feed`], [`subscription`] tells it at the `pace` of its consumer what `reader` finds in the log, and `heads` says when there
//! is more; `pull` does the same in single calls;
//! [`wire`] is what both ends agree on; [`corrections`] takes back what the log tells, [`audit`] shows who looked at what. Why below `follow/`: who tells need not know who listens.

pub mod audit;
pub mod corrections;
pub mod event_feed;
pub mod filter;
mod heads;
mod pace;
mod pull;
mod reader;
mod status;
pub mod subscription;
pub mod wire;
