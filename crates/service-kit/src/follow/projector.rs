//! Learning from another service's log. What: a [`Projector`] says which events it wants and writes what they mean
//! here; [`crate::follow()`] subscribes, applies each response in ONE transaction together with the cursor's move, and
//! tells waiting calls how far this service has come. Why the cursor moves by compare-and-set in that transaction:
//! two instances that follow the same log can't both apply, and a killed one loses nothing. To learn from one more log:
//! one more projector.

use prost::{Message, Name};
use shipei_contracts::event::v1::Event;

use crate::{
    answer::error::{Error, Result},
    write::unit::Unit,
};

/// What a service makes of another one's events.
#[tonic::async_trait]
pub trait Projector: Send + Sync + 'static {
    /// The service whose log it is, e.g. `enrollment`.
    fn source(&self) -> &'static str;

    /// The event types that it wants (full message names); empty for all. After this list has changed, the log is
    /// applied again from its first event.
    fn types(&self) -> Vec<String>;

    /// Writes what the events mean, into the unit's transaction; may emit events of its own. May be rolled back
    /// and run again, and may see events again after [`Projector::types`] or the keys have changed: write upserts.
    ///
    /// # Errors
    /// Anything that goes wrong; it is logged and tried again, since an event can't be skipped.
    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()>;
}

/// The message in an event, if the event is of that type.
///
/// # Errors
/// [`Error::Internal`] when the event says it is and can't be read.
pub fn decode<M: Message + Name + Default>(event: &Event) -> Result<Option<M>> {
    if !is_of_type::<M>(&event.r#type) {
        return Ok(None);
    }
    let data = event.data.as_ref().map_or(&[][..], |data| data.value.as_slice());
    match M::decode(data) {
        Ok(message) => Ok(Some(message)),
        Err(error) => Err(Error::Internal(format!("event {} of {}: {error}", event.id, event.source))),
    }
}

fn is_of_type<M: Name>(name: &str) -> bool {
    let prefix = name.strip_suffix(M::NAME).and_then(|rest| rest.strip_suffix('.'));
    prefix == Some(M::PACKAGE)
}
