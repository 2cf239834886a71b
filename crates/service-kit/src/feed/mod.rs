//! The writer's side of an event log: what this process tells others of what happened here. What goes through: a
//! subscription comes in by [`event_feed`], [`subscription`] reads the log for it at the `pace` of its consumer, and `heads` says when there is more;
//! [`wire`] is what both ends agree on; [`corrections`] takes back what the log tells, [`audit`] shows who looked at what. Why below `follow/`: who tells need not know who listens.

pub mod audit;
pub mod corrections;
pub mod event_feed;
pub mod filter;
mod heads;
mod pace;
pub mod subscription;
pub mod wire;
