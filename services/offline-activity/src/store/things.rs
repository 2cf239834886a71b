//! What lies where of what a county does offline: activities, within a caller's reach; people and classes as the mirror has
//! them.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::Named;
use shipei_mirror::MirroredThings;
use shipei_service_kit::{
    Reach, Thing, Things,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_list};

/// What an activity (`a`) belongs to: its county.
pub(super) const OF_ACTIVITY: Columns = Columns {
    programme: "a.programme_id",
    region: "a.county_code",
    class: "",
    person: "a.counselor_id",
    subject: "",
    as_of: AsOf::Row("a.held_at"),
};

/// What this service says of its things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held;

#[tonic::async_trait]
impl Things for Held {
    async fn is_within(
        &self,
        tx: &mut Tx,
        reach: &Reach,
        thing: &Thing,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        match thing.named {
            Named::Activity => activities(tx, reach, (&thing.programme_id, &thing.id), 1).await,
            _ => MirroredThings.is_within(tx, reach, thing, now).await,
        }
    }

    async fn classes_of(
        &self,
        tx: &mut Tx,
        programme_id: &str,
        person_id: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        MirroredThings.classes_of(tx, programme_id, person_id, now).await
    }
}

async fn activities(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, activity_id): (&str, &str),
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT a.activity_id FROM activity a WHERE a.programme_id = ",
            programme_id,
            " AND a.activity_id = ",
            activity_id,
            "",
            reach.over(OF_ACTIVITY),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}
