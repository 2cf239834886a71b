//! Who was erased: their names and numbers are emptied where they stand, and their key is destroyed, so that what is left of a number in
//! a back-up opens no more.

use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::Reach;
use shipei_store::{StoreError, Tx, execute, fetch_all, fetch_optional, fetch_page, list::Listed};

use super::{Maybe, person::of_person};
use crate::domain::Time;

/// More than there are roles.
const ROLES_MAX: i64 = 10;
/// What stands in the place of a number's digest: a keyed digest is this for no number.
const NO_DIGEST: [u8; 32] = [0; 32];

/// Since when somebody is erased.
pub(crate) async fn erased_at(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Option<Time>, StoreError> {
    let row = fetch_optional!(
        tx,
        (Time,),
        "SELECT erased_at FROM person_erasure WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str()
    )?;
    Ok(row.map(|(erased_at,)| erased_at))
}

/// Somebody who is due.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct DueRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
}

/// Those by id who are not erased and whose roles, of now and of before, are all among these, of whom a role is reached.
pub(crate) async fn due(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (roles, region_code): (&[Role], Option<RegionCode>),
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<DueRow>>, StoreError> {
    let asked = Reach::region(text_of(region_code.as_ref()));
    let columns = of_person(now);
    let role = |place: usize| roles.get(place).map_or("", |role| role.as_str());
    fetch_page!(
        tx,
        DueRow,
        "person" by ["person_id"],
        [
            "SELECT DISTINCT p.person_id FROM person p WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND p.person_id > ",
            after,
            " AND NOT EXISTS (SELECT 1 FROM person_erasure d WHERE d.programme_id = p.programme_id \
             AND d.person_id = p.person_id) AND NOT EXISTS (SELECT 1 FROM person o WHERE o.programme_id = p.programme_id \
             AND o.person_id = p.person_id AND o.role NOT IN (",
            role(0),
            ", ",
            role(1),
            ", ",
            role(2),
            ", ",
            role(3),
            ", ",
            role(4),
            ", ",
            role(5),
            "))",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY p.person_id LIMIT ",
            limit
        ]
    )
}

#[derive(sqlx::FromRow)]
struct RoleRow {
    role: String,
    #[sqlx(try_from = "String")]
    county_code: Maybe<RegionCode>,
}

/// The roles that somebody has or had, those from which they were removed too, with where they stand, a trainee first.
pub(crate) async fn roles_ever(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Vec<(Role, Option<RegionCode>)>, StoreError> {
    let rows = fetch_all!(
        tx,
        RoleRow,
        "SELECT role, county_code FROM person WHERE programme_id = $1 AND person_id = $2 LIMIT $3",
        programme_id.as_str(),
        person_id.as_str(),
        ROLES_MAX
    )?;
    let mut roles = Vec::with_capacity(rows.len());
    for row in rows {
        let role = Role::parse(&row.role);
        let role = role.ok_or_else(|| StoreError::corrupt_row("person", "role", person_id))?;
        roles.push((role, row.county_code.0));
    }
    roles.sort_by_key(|(role, _)| Role::ALL.iter().position(|known| known == role));
    Ok(roles)
}

/// Notes that somebody is erased, and empties who they were. Reasons and the key go with the tables of `people`.
pub(crate) async fn erase(
    tx: &mut Tx,
    (programme_id, person_id): (&ProgrammeId, &PersonId),
    (ground, now, actor): (&str, Time, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO person_erasure (programme_id, person_id, ground, erased_at, actor) VALUES ($1, $2, $3, $4, $5)",
        programme_id.as_str(),
        person_id.as_str(),
        ground,
        now,
        actor
    )?;
    let (nothing, no_digest): (&[u8], &[u8]) = (&[], &NO_DIGEST);
    execute!(
        tx,
        "UPDATE person SET name = '', name_key = '', sealed_identity_number = $3, identity_digest = $4 \
         WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str(),
        nothing,
        no_digest
    )?;
    // What said nothing of a name says nothing of it still: what was put right of what they teach stands.
    execute!(
        tx,
        "UPDATE person_change SET name = CASE WHEN name IS NULL THEN NULL ELSE '' END, \
         sealed_identity_number = CASE WHEN sealed_identity_number IS NULL THEN NULL ELSE $3 END, \
         identity_digest = CASE WHEN identity_digest IS NULL THEN NULL ELSE $4 END \
         WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str(),
        nothing,
        no_digest
    )?;
    execute!(
        tx,
        "UPDATE tutor_bar SET number_digest = $3 WHERE programme_id = $1 AND tutor_id = $2",
        programme_id.as_str(),
        person_id.as_str(),
        no_digest
    )?;
    Ok(())
}
