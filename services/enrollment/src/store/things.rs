//! What lies where of what enrollment keeps: people and classes, within a caller's reach.

use shipei_contracts::common::v1::Named;
use shipei_rules::{ids::ProgrammeId, vocabulary::Role};
use shipei_service_kit::{
    Reach, Thing, Things,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_all, fetch_list, list::Equal};

use crate::domain::Time;

/// SQL for the subjects of somebody in a role: what they teach or lead, and of a tutor what the trainees of their classes teach.
macro_rules! taught_by {
    ($programme:literal, $person:literal, $role:literal) => {
        concat!(
            "SELECT taught.subject FROM person taught WHERE taught.programme_id = ",
            $programme,
            " AND taught.person_id = ",
            $person,
            " AND taught.role = ",
            $role,
            " UNION ALL SELECT taught.subject FROM class tutored JOIN person taught \
             ON taught.programme_id = tutored.programme_id AND taught.class_id = tutored.class_id \
             WHERE tutored.programme_id = ",
            $programme,
            " AND ",
            $role,
            " = 'class_tutor' AND tutored.tutor_id = ",
            $person
        )
    };
}
pub(crate) use taught_by;

/// What enrollment says of its things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enrolled;

#[tonic::async_trait]
impl Things for Enrolled {
    async fn is_within(
        &self,
        tx: &mut Tx,
        reach: &Reach,
        thing: &Thing,
        now: Time,
    ) -> Result<bool, StoreError> {
        let key = (thing.programme_id.as_str(), thing.id.as_str());
        match thing.named {
            // Somebody is where they stand, and a tutor where their classes are too.
            Named::Person => {
                Ok(people(tx, reach, key, "", now, 1).await? || tutors(tx, reach, key, now, 1).await?)
            }
            Named::Trainee => people(tx, reach, key, Role::Trainee.as_str(), now, 1).await,
            // A class of a city concerns the counties of its trainees.
            Named::Class => {
                Ok(classes(tx, reach, key, now, 1).await? || trainees(tx, reach, key, now, 1).await?)
            }
            _ => Ok(false),
        }
    }

    async fn classes_of(
        &self,
        tx: &mut Tx,
        programme_id: &str,
        person_id: &str,
        _: Time,
    ) -> Result<Vec<String>, StoreError> {
        let rows = fetch_all!(
            tx,
            (String,),
            "SELECT p.class_id FROM person p WHERE p.role = 'trainee' AND p.class_id <> '' AND p.person_id = $1 \
             AND ($2 = '' OR p.programme_id = $2)",
            person_id,
            programme_id
        )?;
        Ok(rows.into_iter().map(|(class,)| class).collect())
    }
}

/// What a person (`p`) belongs to by where they stand now in that role.
fn of_person(now: Time) -> Columns {
    Columns {
        programme: "p.programme_id",
        region: "p.county_code",
        class: "p.class_id",
        person: "p.person_id",
        subject: "p.subject",
        as_of: AsOf::At(now),
    }
}

/// Is a trainee of a class reached?
async fn trainees(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, class_id): (&str, &str),
    now: Time,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT p.person_id FROM person p WHERE p.programme_id = ",
            programme_id,
            " AND p.class_id = ",
            class_id,
            "",
            reach.over(of_person(now)),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}

/// Is somebody reached by where they stand now in a role, or in any?
async fn people(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, person_id): (&str, &str),
    role: &str,
    now: Time,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT p.person_id FROM person p WHERE p.programme_id = ",
            programme_id,
            " AND p.person_id = ",
            person_id,
            "",
            Equal("p.role", role),
            "",
            reach.over(of_person(now)),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}

fn of_class(now: Time) -> Columns {
    Columns {
        programme: "c.programme_id",
        region: "c.region_code",
        class: "c.class_id",
        person: "c.tutor_id",
        subject: "SELECT t.subject FROM person t WHERE t.programme_id = c.programme_id AND t.class_id = c.class_id",
        as_of: AsOf::At(now),
    }
}

/// Is somebody the tutor of a class that is reached?
pub(super) async fn tutors(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, person_id): (&str, &str),
    now: Time,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT c.class_id FROM class c WHERE c.programme_id = ",
            programme_id,
            " AND c.tutor_id = ",
            person_id,
            "",
            reach.over(of_class(now)),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}

async fn classes(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, class_id): (&str, &str),
    now: Time,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT c.class_id FROM class c WHERE c.programme_id = ",
            programme_id,
            " AND c.class_id = ",
            class_id,
            "",
            reach.over(of_class(now)),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}

/// The regions that somebody reaches now, by code.
pub(crate) async fn regions(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    now: Time,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let columns = Columns { region: "r.code", ..Columns::none("r.programme_id", AsOf::At(now)) };
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT r.code FROM region r WHERE r.programme_id = ",
            programme_id.as_str(),
            "",
            reach.over(columns),
            " ORDER BY r.code LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|(code,)| code).collect())
}
