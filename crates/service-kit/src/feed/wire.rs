//! What both ends of an event feed agree on besides its messages. Why a file of its own: the writer's side (`feed/`) and
//! the reader's side (`follow/`) keep to it, and neither needs the other.

use std::time::Duration;

pub use crate::answer::size::MESSAGE_BYTES_MAX;

/// The metadata in which a client repeats the log that it asks for: every service serves `EventFeed`, so a load
/// balancer, which does not read messages, can only tell by this whose instances to ask.
pub const SOURCE_HEADER: &str = "shipei-source";
/// How often the end of a log is looked at without a wake; the store puts jitter on it.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a stream is silent at most.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
