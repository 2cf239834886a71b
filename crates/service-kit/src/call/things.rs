//! Things that a request names by id, looked up within the caller's reach. What: [`Things`] is what a service says of the
//! things that it keeps; `look_up` asks it, and the tree and the log, before a handler does anything, in its own snapshot.
//! Why before: what is hidden and what is not there get one answer from one statement, in the same words and the same time, and
//! no look-up of a handler can forget to ask. A call that reaches everything asks nothing.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::{ErrorReason, Named, Role};
use shipei_store::{StoreError, Tx, event_log, fetch_list, list::Equal};

use super::{
    reach::{AsOf, Columns, Reach},
    rights::Thing,
};
use crate::{
    answer::error::{Error, Refusal, Result},
    identity::caller::role_of,
};

/// What a service says of the things that it keeps.
#[tonic::async_trait]
pub trait Things: std::fmt::Debug + Send + Sync + 'static {
    /// Is there such a thing within this reach, as of now?
    ///
    /// # Errors
    /// What the database does.
    async fn is_within(
        &self,
        tx: &mut Tx,
        reach: &Reach,
        thing: &Thing,
        now: DateTime<Utc>,
    ) -> std::result::Result<bool, StoreError>;

    /// The classes that a person is in now, in any programme when none is named.
    ///
    /// # Errors
    /// What the database does.
    async fn classes_of(
        &self,
        tx: &mut Tx,
        programme_id: &str,
        person_id: &str,
        now: DateTime<Utc>,
    ) -> std::result::Result<Vec<String>, StoreError>;
}

/// Who asks, besides how far they reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) subject: &'a str,
    pub(super) programme_id: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// Finds everything that a request names within the reach, or says that one of them is not there; gives the reach with the
/// classes of a person in it.
///
/// # Errors
/// NOT_FOUND for a thing, NOT_PERMITTED for a place, and what the database does.
pub(super) async fn look_up(
    tx: &mut Tx,
    things: Option<&dyn Things>,
    reach: &Reach,
    to_look_up: &[Thing],
    asking: Asking<'_>,
) -> Result<Reach> {
    let silent = || Error::Internal("a service does not say what lies within a caller's reach".to_owned());
    let mut reach = reach.clone();
    // Of a person who is reached as one, the classes too: what is in them is named by who is in them.
    let mut with_classes = reach.clone();
    let by_class = |thing: &Thing| matches!(thing.named, Named::Class | Named::Seminar);
    let people: Vec<String> = reach.people().into_iter().map(str::to_owned).collect();
    for person in people {
        let has_classes = reach.with_classes_of(&person, &[]) != reach;
        if has_classes || to_look_up.iter().any(by_class) {
            let things = things.ok_or_else(silent)?;
            let classes = things.classes_of(tx, asking.programme_id, &person, asking.now).await?;
            reach = reach.with_classes_of(&person, &classes);
            with_classes = Reach::any_of([reach.clone(), Reach::Classes(classes)]);
        }
    }
    for thing in to_look_up {
        let is_there = match thing.named {
            Named::Region => {
                if !lies_within(tx, &reach, &thing.programme_id, &thing.id, asking.now).await? {
                    return Err(Refusal::new(ErrorReason::NotPermitted).field(thing.field).into());
                }
                true
            }
            Named::Fact | Named::OwnFact => is_fact_within(tx, &reach, thing, asking).await?,
            _ => {
                let reach = if by_class(thing) { &with_classes } else { &reach };
                things.ok_or_else(silent)?.is_within(tx, reach, thing, asking.now).await?
            }
        };
        if !is_there {
            return Err(Refusal::new(ErrorReason::NotFound).field(thing.field).into());
        }
    }
    Ok(reach)
}

/// Does a region lie in what is reached, by the tree of an instant? Of any programme that is reached when none is named.
async fn lies_within(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    code: &str,
    at: DateTime<Utc>,
) -> std::result::Result<bool, StoreError> {
    let columns = Columns { region: "r.region_code", ..Columns::none("r.programme_id", AsOf::At(at)) };
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT r.region_code FROM region_within r WHERE r.within_code = r.region_code AND r.region_code = ",
            code,
            "",
            Equal("r.programme_id", programme_id),
            "",
            reach.over(columns),
            " LIMIT ",
            1_i64
        ]
    )?;
    Ok(!rows.is_empty())
}

/// A fact is its recorder's, and seen by who reaches its region. Of the facts of a region those fall by another's word that its
/// counselors recorded.
async fn is_fact_within(
    tx: &mut Tx,
    reach: &Reach,
    thing: &Thing,
    asking: Asking<'_>,
) -> std::result::Result<bool, StoreError> {
    let Some(fact) = event_log::fact(tx, &thing.id).await? else { return Ok(false) };
    if fact.programme != thing.programme_id {
        return Ok(false);
    }
    let (role, rest) = fact.actor.split_once(':').unwrap_or_default();
    let recorder = rest.split_once('@').map_or(rest, |(subject, _)| subject);
    if recorder == asking.subject && role_of(role).is_some_and(|role| role != Role::Service) {
        return Ok(true);
    }
    let may_fall = role_of(role) == Some(Role::CountyCounselor);
    if thing.named == Named::OwnFact && !may_fall {
        return Ok(false);
    }
    lies_within(tx, reach, &fact.programme, &fact.region, asking.now).await
}
