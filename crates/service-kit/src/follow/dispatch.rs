//! One table from event types to what they mean. What: `handles!` makes the [`Handles`] of a projector, one line for
//! each event type; [`types`] is the list that the projector subscribes to and [`gather`] hands each event to its line.
//! Why one table: a type that is handled and not subscribed to would never arrive, and nobody would say so. To learn from
//! one more event: one more line, its function, and the projector's next version.

use chrono::{DateTime, Utc};
use prost::Message;
use shipei_contracts::event::v1::Event;

use crate::answer::{
    convert::from_timestamp,
    error::{Error, Result},
};

/// How the events of one type are taken into what a projector gathers of a batch.
pub struct Handles<Into> {
    /// The full name of the message.
    pub name: fn() -> String,
    /// Takes an event of that name.
    pub take: fn(&mut Into, &Fact<'_>) -> Result<()>,
}

/// An event with its time.
#[derive(Debug, Clone, Copy)]
pub struct Fact<'a> {
    /// The event.
    pub event: &'a Event,
    /// When it happened.
    pub at: DateTime<Utc>,
}

impl<'a> Fact<'a> {
    /// An event of which the time can be read.
    ///
    /// # Errors
    /// [`Error::Internal`] when it has none or one that can't be.
    pub fn of(event: &'a Event) -> Result<Self> {
        let time =
            event.time.as_ref().ok_or_else(|| Error::Internal(format!("event {} has no time", event.id)))?;
        let at =
            from_timestamp(time).map_err(|fault| Error::Internal(format!("event {}: {fault}", event.id)))?;
        Ok(Self { event, at })
    }

    /// The event as the cause of what follows from it: its source and id.
    pub fn cause(&self) -> String {
        format!("{}/{}", self.event.source, self.event.id)
    }

    /// The message in the event.
    ///
    /// # Errors
    /// [`Error::Internal`] when it can't be read.
    pub fn message<M: Message + Default>(&self) -> Result<M> {
        let data = self.event.data.as_ref().map_or(&[][..], |data| data.value.as_slice());
        M::decode(data).map_err(|error| {
            Error::Internal(format!("event {} of {}: {error}", self.event.id, self.event.source))
        })
    }
}

/// The event types of a table, for a subscription.
pub fn types<Into>(table: &[Handles<Into>]) -> Vec<String> {
    table.iter().map(|handles| (handles.name)()).collect()
}

/// Takes each event by the table's line of its type; other types are left out.
///
/// # Errors
/// What the functions of the table say, and events that can't be read.
pub fn gather<Into>(table: &[Handles<Into>], into: &mut Into, events: &[Event]) -> Result<()> {
    let names = types(table);
    for event in events {
        let Some(place) = names.iter().position(|name| *name == event.r#type) else { continue };
        (table[place].take)(into, &Fact::of(event)?)?;
    }
    Ok(())
}

/// The table of a projector that gathers a batch into a type: `handles![Batch: message => function, ..]`, where a function
/// is `fn(&mut Batch, message, &Fact<'_>) -> Result<()>`.
#[macro_export]
macro_rules! handles {
    ($into:ty: $($message:ty => $take:path),+ $(,)?) => {
        &[$($crate::follow::dispatch::Handles::<$into> {
            name: <$message as $crate::prost::Name>::full_name,
            take: |into, fact| $take(into, fact.message::<$message>()?, fact),
        }),+]
    };
}

#[cfg(test)]
mod tests {
    use prost_types::{Any, Timestamp};
    use shipei_contracts::event::v1::GetHeadRequest;

    use super::*;

    const TABLE: &[Handles<Vec<String>>] = handles![Vec<String>: GetHeadRequest => asked];

    #[expect(clippy::unnecessary_wraps, reason = "what a table's functions look like")]
    fn asked(into: &mut Vec<String>, message: GetHeadRequest, fact: &Fact<'_>) -> Result<()> {
        into.push(format!("{} {} {}", message.source, fact.cause(), fact.at.timestamp()));
        Ok(())
    }

    fn event(kind: &str, data: Vec<u8>) -> Event {
        Event {
            id: "3-4".into(),
            source: "here".into(),
            r#type: kind.into(),
            time: Some(Timestamp { seconds: 9, nanos: 0 }),
            data: Some(Any { type_url: String::new(), value: data }),
            ..Event::default()
        }
    }

    #[test]
    fn events_go_where_the_table_says_and_others_are_left_out() {
        let asked = GetHeadRequest { source: "there".into() }.encode_to_vec();
        let events = [
            event("shipei.event.v1.GetHeadRequest", asked.clone()),
            event("shipei.event.v1.GetHeadResponse", asked.clone()),
            event("GetHeadRequest", asked),
        ];
        let mut taken = Vec::new();
        gather(TABLE, &mut taken, &events).unwrap();
        assert_eq!(taken, ["there here/3-4 9"]);
        assert_eq!(types(TABLE), ["shipei.event.v1.GetHeadRequest"]);
    }

    #[test]
    fn event_that_cannot_be_read_is_named() {
        let broken = event("shipei.event.v1.GetHeadRequest", vec![0xff]);
        let timeless = Event { time: None, ..event("shipei.event.v1.GetHeadRequest", Vec::new()) };
        for event in [broken, timeless] {
            let Err(Error::Internal(what)) = gather(TABLE, &mut Vec::new(), &[event]) else {
                panic!("taken")
            };
            assert!(what.contains("3-4"), "{what}");
        }
    }
}
