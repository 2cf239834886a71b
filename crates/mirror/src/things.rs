//! What lies where of what the mirror keeps: people and classes, within a caller's reach. The services that have more things
//! of their own ask here for these.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::Named;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::{
    Reach, Thing, Things,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_all, fetch_list, list::Equal};

use crate::{placed, tutor_of_class};

/// More than there are roles.
const ROLES_MAX: i64 = 10;

/// What a service knows of people and classes by its mirror, and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct MirroredThings;

#[tonic::async_trait]
impl Things for MirroredThings {
    async fn is_within(
        &self,
        tx: &mut Tx,
        reach: &Reach,
        thing: &Thing,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let key = (thing.programme_id.as_str(), thing.id.as_str());
        match thing.named {
            // Somebody is where they stand, and a tutor where their classes are too.
            Named::Person => Ok(!people(tx, reach, key, "", now, 1).await?.is_empty()
                || tutors(tx, reach, key, now, 1).await?),
            Named::Trainee => Ok(!people(tx, reach, key, Role::Trainee.as_str(), now, 1).await?.is_empty()),
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
        _: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let rows = fetch_all!(
            tx,
            (Option<String>,),
            concat!(
                "SELECT ",
                placed!("class_id", "m.programme_id", "m.person_id", "'9999-12-31T00:00:00+00:00'"),
                " FROM mirror_member m WHERE m.role = 'trainee' AND m.person_id = $1 \
                 AND ($2 = '' OR m.programme_id = $2)"
            ),
            person_id,
            programme_id
        )?;
        Ok(rows.into_iter().filter_map(|(class,)| class).filter(|class| !class.is_empty()).collect())
    }
}

/// The roles in which somebody is reached now, in the order of the notice; a tutor is where their classes are, too. Who was let in
/// without one is reached as themself, in all of them.
pub async fn roles_of(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    now: DateTime<Utc>,
) -> Result<Vec<Role>, StoreError> {
    let key = (programme_id.as_str(), person_id.as_str());
    let of_word = |words: Vec<String>| -> BTreeSet<Role> {
        words.iter().filter_map(|word| Role::parse(word)).collect()
    };
    let all = of_word(people(tx, &Reach::Everything, key, "", now, ROLES_MAX).await?);
    let mut reached = of_word(people(tx, reach, key, "", now, ROLES_MAX).await?);
    if all.contains(&Role::ClassTutor) && tutors(tx, reach, key, now, 1).await? {
        reached.insert(Role::ClassTutor);
    }
    let roles = if reached.is_empty() { all } else { reached };
    Ok(roles.into_iter().collect())
}

/// What a member (`m`) belongs to by where they stand now in that role.
fn of_member(now: DateTime<Utc>) -> Columns {
    Columns {
        programme: "m.programme_id",
        region: placed!(
            "county_code",
            "m.programme_id",
            "m.person_id",
            "m.as_role",
            "'9999-12-31T00:00:00+00:00'"
        ),
        class: placed!(
            "class_id",
            "m.programme_id",
            "m.person_id",
            "m.as_role",
            "'9999-12-31T00:00:00+00:00'"
        ),
        person: "m.person_id",
        subject: "m.subject",
        as_of: AsOf::At(now),
    }
}

/// Behind the class itself, those whose trainees ever came to stand in it with them.
macro_rules! merged_into {
    () => {
        " UNION ALL SELECT g.code FROM place_successor g WHERE g.kind = 'class' AND g.programme_id = "
    };
}

/// Is a trainee reached who is or was of a class?
async fn trainees(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, class_id): (&str, &str),
    now: DateTime<Utc>,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT m.person_id FROM mirror_member m WHERE m.role = 'trainee' AND m.programme_id = ",
            programme_id,
            " AND m.person_id IN (SELECT r.person_id FROM mirror_member r WHERE r.programme_id = ",
            programme_id,
            " AND r.class_id IN (SELECT ",
            class_id,
            merged_into!(),
            programme_id,
            " AND g.successor = ",
            class_id,
            ") UNION ALL SELECT t.person_id FROM mirror_transfer t WHERE t.programme_id = ",
            programme_id,
            " AND t.class_id IN (SELECT ",
            class_id,
            merged_into!(),
            programme_id,
            " AND g.successor = ",
            class_id,
            "))",
            reach.over(of_member(now)),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}

/// The roles of somebody, or the one that is asked for, in which they are reached by where they stand now.
async fn people(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, person_id): (&str, &str),
    role: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT m.role FROM mirror_member m WHERE m.role <> '' AND m.person_id = ",
            person_id,
            " AND m.programme_id = ",
            programme_id,
            "",
            Equal("m.role", role),
            "",
            reach.over(of_member(now)),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|(role,)| role).collect())
}

fn of_class(now: DateTime<Utc>) -> Columns {
    Columns {
        programme: "c.programme_id",
        region: "c.region_code",
        class: "c.class_id",
        person: tutor_of_class!("'9999-12-31T00:00:00+00:00'"),
        subject: "SELECT m.subject FROM mirror_member m WHERE m.programme_id = c.programme_id AND m.class_id = c.class_id",
        as_of: AsOf::At(now),
    }
}

/// Is somebody the tutor of a class that is reached?
async fn tutors(
    tx: &mut Tx,
    reach: &Reach,
    (programme_id, person_id): (&str, &str),
    now: DateTime<Utc>,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            concat!(
                "SELECT c.class_id FROM mirror_class c WHERE ",
                tutor_of_class!("'9999-12-31T00:00:00+00:00'"),
                " = "
            ),
            person_id,
            " AND c.programme_id = ",
            programme_id,
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
    now: DateTime<Utc>,
    limit: i64,
) -> Result<bool, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT c.class_id FROM mirror_class c WHERE c.class_id = ",
            class_id,
            " AND c.programme_id = ",
            programme_id,
            "",
            reach.over(of_class(now)),
            " LIMIT ",
            limit
        ]
    )?;
    Ok(!rows.is_empty())
}
