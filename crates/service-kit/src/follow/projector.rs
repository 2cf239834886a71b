//! Learning from another service's log. What: a [`Projector`] says which events it wants and writes what they mean
//! here; [`crate::follow()`] subscribes, applies each response in ONE transaction together with the cursor's move, and
//! tells waiting calls how far this service has come. Why the cursor moves by compare-and-set in that transaction:
//! two instances that follow the same log can't both apply, and a killed one loses nothing. To learn from one more log:
//! one more projector.

use shipei_contracts::event::v1::Event;

use crate::{answer::error::Result, write::unit::Unit};

/// What a service makes of another one's events.
#[tonic::async_trait]
pub trait Projector: Send + Sync + 'static {
    /// The service whose log it is, e.g. `enrollment`.
    fn source(&self) -> &'static str;

    /// What it makes of the log, as a number: another number and the log is applied again from its first event. Raise it
    /// when another event is wanted or when more is kept of one.
    fn version(&self) -> u32;

    /// The event types that it wants (full message names); empty for all. See [`crate::follow::dispatch`].
    fn types(&self) -> Vec<String>;

    /// Writes what the events mean, into the unit's transaction; may emit events of its own. May be rolled back
    /// and run again, and may see events again after [`Projector::version`] or the keys have changed: write upserts.
    ///
    /// # Errors
    /// [`crate::Error`] of anything that goes wrong; it is logged and tried again, since an event can't be skipped.
    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()>;
}
