//! What lies where of what a class does: submissions and seminars, within a caller's reach; people and classes as the mirror
//! has them.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::Named;
use shipei_mirror::{MirroredThings, placed, taught_by};
use shipei_service_kit::{
    Reach, Thing, Things,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_list};

use super::{seminar::OF_SEMINAR, submission::OF_SUBMISSION};

/// What this service says of its things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Graded;

#[tonic::async_trait]
impl Things for Graded {
    async fn is_within(
        &self,
        tx: &mut Tx,
        reach: &Reach,
        thing: &Thing,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let key = (thing.programme_id.as_str(), thing.id.as_str());
        match thing.named {
            // It is of the class of its time; who marks it is the tutor of the trainee's class of now.
            Named::Submission => Ok(submissions(tx, reach, key, OF_SUBMISSION, 1).await?
                || submissions(tx, reach, key, of_trainee(now), 1).await?),
            Named::Seminar => seminars(tx, reach, key, 1).await,
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

/// What a submission (`s`) belongs to by where its trainee stands now.
fn of_trainee(now: DateTime<Utc>) -> Columns {
    Columns {
        programme: "s.programme_id",
        region: placed!("county_code", "s.programme_id", "s.person_id", "'9999-12-31T00:00:00+00:00'"),
        class: placed!("class_id", "s.programme_id", "s.person_id", "'9999-12-31T00:00:00+00:00'"),
        person: "s.person_id",
        subject: taught_by!("s.programme_id", "s.person_id"),
        as_of: AsOf::At(now),
    }
}

async fn submissions(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, submission_id): (&str, &str),
    columns: Columns,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT s.submission_id FROM submission s WHERE s.programme_id = ",
            programme_id,
            " AND s.submission_id = ",
            submission_id,
            "",
            reach.over(columns),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}

async fn seminars(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, seminar_id): (&str, &str),
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT s.seminar_id FROM seminar s WHERE s.programme_id = ",
            programme_id,
            " AND s.seminar_id = ",
            seminar_id,
            "",
            reach.over(OF_SEMINAR),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}
